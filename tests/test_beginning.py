"""From an empty folder to a first batch without a command line; every step again without harm."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest

from annoloop.errors import FormatError, SchemeError, SettingsError, StoreError
from annoloop.hashing import input_hash
from annoloop.project import Project
from annoloop.review.beginning import Wish, begin, outlook, preview, problems, take
from annoloop.settings.edit import edit_settings
from annoloop.steps.add import Reading
from annoloop.steps.labels import can_undo, change_labels, undo_labels
from annoloop.types import Annotation, Answer
from tests.small_project import feedback

WISH = Wish(
    "textcat", (("Aufzug", "alles über Aufzüge"), ("Rolltreppe", ""), ("irrelevant", "")), "de", "Bahn"
)


def table(rows: list[dict], *, delimiter: str = ";", encoding: str = "utf-8") -> bytes:
    file = io.StringIO()
    writer = csv.writer(file, delimiter=delimiter)
    writer.writerow(["Nr", "Rückmeldung", "Thema"])
    writer.writerows([number, row["text"], row["label"]] for number, row in enumerate(rows))
    return file.getvalue().encode(encoding, "replace")


def test_the_whole_way(tmp_path):
    project = begin(tmp_path / "neu", WISH)
    assert project.scheme.labels == ("Aufzug", "Rolltreppe", "irrelevant")
    assert project.scheme.definitions == {"Aufzug": "alles über Aufzüge"}
    assert project.settings.project.lang == "de"
    seen = preview("kunden.csv", table(feedback(60)), project)
    assert seen.columns == ("Nr", "Rückmeldung", "Thema")
    assert seen.text_column == "Rückmeldung"  # The longest column, since none is called text.
    assert seen.total == 60
    assert len(seen.rows) == 5
    expected = outlook(project, seen.total)
    assert (expected.learn, expected.choose, expected.judge) == (42, 6, 12)
    added = take(project, "kunden.csv", table(feedback(60)))
    assert added.new == 60
    now = outlook(project)
    assert now.learn + now.choose + now.judge == 60
    assert now.can_begin
    assert not now.verdict
    assert take(project, "kunden.csv", table(feedback(60))).new == 0  # Once more does no harm.


def test_labels_of_the_file_as_gold(tmp_path):
    project = begin(tmp_path / "neu", WISH)
    reading = Reading("Rückmeldung", "Thema")
    seen = preview("kunden.csv", table(feedback(20)), project, reading)
    assert seen.labelled == seen.total == 20
    assert take(project, "kunden.csv", table(feedback(20)), reading, gold=True).gold == 20


def test_a_table_from_an_old_spreadsheet(tmp_path):
    project = begin(tmp_path / "neu", WISH)
    rows = [{"text": "Größe und Übergang am Gleis", "label": "x"}]
    content = table(rows, encoding="cp1252")
    seen = preview("alt.csv", content, project)
    assert seen.needs_encoding
    assert seen.broken.startswith("alt.csv, line 1:")
    seen = preview("alt.csv", content, project, encoding="cp1252")
    assert seen.rows[0].text == "Größe und Übergang am Gleis"
    take(project, "alt.csv", content, encoding="cp1252")
    assert project.store.examples()[0].text == "Größe und Übergang am Gleis"


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("x.xlsx", b"PK", "unknown format '.xlsx'"),
        ("x.csv", b"", "holds no texts"),
        ("x.csv", b"text\n", "holds no texts"),
        ("x.json", b"{}", "a JSON dict"),
        ("x.txt", b"\n\n", "holds no texts"),
        ("../../x.csv", b'a,"b\n', "not CSV"),
    ],
)
def test_what_cannot_be_read_is_said(tmp_path, name, content, said):
    project = begin(tmp_path / "neu", WISH)
    seen = preview(name, content, project)
    assert said in seen.broken
    assert "tmp" not in seen.broken
    assert not seen.needs_encoding
    with pytest.raises(FormatError):
        take(project, name, content)


def test_bad_rows_are_named_and_the_others_taken(tmp_path):
    project = begin(tmp_path / "neu", WISH)
    content = '{"text": "gut"}\n{"text": 7}\nkaputt\n{"text": "auch <b>gut</b> 👩‍🔧"}\n'.encode()
    seen = preview("x.jsonl", content, project)
    assert [row.line for row in seen.bad] == [2, 3]
    added = take(project, "x.jsonl", content)
    assert added.new == 2
    assert [row.line for row in added.bad] == [2, 3]


def test_nothing_is_added_while_the_loop_runs(tmp_path):
    project = begin(tmp_path / "neu", WISH)
    with project.exclusive("run the loop"), pytest.raises(StoreError):
        take(project, "x.txt", b"eins\nzwei\n")
    assert not project.store.examples()


@pytest.mark.parametrize(
    ("kind", "labels", "problem"),
    [
        ("ner", [], "no_label"),
        ("textcat", ["A"], "one_label"),
        ("textcat", ["A", " A "], "twice"),
        ("ner", ["  "], "blank"),
        ("ner", ["x" * 101], "long"),
        ("ner", ["a=b"], "character"),
        ("ner", ["[x]"], "character"),
        ("ner", ["a\nb"], "character"),
        ("ner", ["${a}"], "character"),
    ],
)
def test_a_wrong_wish_writes_nothing(tmp_path, kind, labels, problem):
    wish = Wish(kind, tuple((label, "was") for label in labels))
    assert problem in [found for found, _ in problems(wish)]
    with pytest.raises(SchemeError):
        begin(tmp_path / "neu", wish)
    assert not (tmp_path / "neu").exists()


@pytest.mark.parametrize("label", ["Preis %", "Ä ö", "a.b", "x;y", "A 'q' \"d\"", "שלום", "👩‍🔧", "-", "1"])
def test_labels_of_every_kind_come_back(tmp_path, label):
    wish = Wish("spancat", ((label, 'sagt: "so" = % ; # \\ zwei\nZeilen'),))
    project = begin(tmp_path / "neu", wish)
    assert project.scheme.labels == (label,)
    assert project.scheme.definitions[label].startswith("sagt:")
    again = begin(tmp_path / "neu", Wish("spancat", ((label, "neu"), ("B", ""))))
    assert again.scheme.definitions == {label: "neu"}


def test_the_first_step_again_changes_what_there_is(tmp_path):
    folder = tmp_path / "neu"
    begin(folder, Wish("ner", (("A", ""),)))
    project = begin(folder, WISH)
    assert project.scheme.kind == "textcat"
    take(project, "x.txt", b"eins\nzwei\n")
    say(project, "eins", "Aufzug")
    assert ("kind", "textcat") in problems(Wish("ner", (("A", ""),)), project)
    with pytest.raises(SchemeError):
        begin(folder, Wish("ner", (("A", ""),)))
    assert Project.open(folder).scheme == project.scheme


def test_a_project_without_labels_gets_them(tmp_path):
    (tmp_path / "annoloop.cfg").write_text(
        '# mein Kommentar\n[project]\nname = "p"\nkind = "ner"\nlabels = []\n'
    )
    project = begin(tmp_path, Wish("ner", (("A", "was"),), "de", "p"))
    assert project.scheme.labels == ("A",)
    assert "# mein Kommentar" in (tmp_path / "annoloop.cfg").read_text()


def say(project: Project, text: str, label: str, seq: int = 1) -> None:
    name = input_hash(text)
    split = project.store.examples(hashes=[name])[0].split
    said = Answer(f"{text} {seq}", f"t {text}", name, "accept", Annotation((label,)), "anna", 1, seq)
    project.store.save_answers([said])
    assert split


def gold(project: Project) -> dict[str, tuple[str, ...]]:
    items = [*project.pool_gold(), *project.dev_gold(), *project.held_out_gold()]
    return {item.example.text: item.annotation.labels for item in items}


def test_renaming_keeps_answers_and_can_be_taken_back(tmp_path):
    project = begin(tmp_path / "neu", WISH)
    take(project, "x.txt", b"eins\nzwei\ndrei\n")
    say(project, "eins", "Aufzug")
    labels = ["Lift", "Rolltreppe", "irrelevant"]
    project = change_labels(project, labels, renamed={"Aufzug": "Lift"})
    assert project.scheme.definitions == {"Lift": "alles über Aufzüge"}
    say(project, "zwei", "Lift")
    assert gold(project) == {"eins": ("Lift",), "zwei": ("Lift",)}
    project = change_labels(project, ["Fahrstuhl", *labels[1:]], renamed={"Lift": "Fahrstuhl"})
    assert gold(project) == {"eins": ("Fahrstuhl",), "zwei": ("Fahrstuhl",)}
    project = undo_labels(undo_labels(project))
    assert project.scheme.labels == ("Aufzug", "Rolltreppe", "irrelevant")
    assert gold(project) == {"eins": ("Aufzug",), "zwei": ("Aufzug",)}
    assert not can_undo(project)


def test_a_label_taken_away_comes_back_with_its_answers(tmp_path):
    project = begin(tmp_path / "neu", WISH)
    take(project, "x.txt", b"eins\nzwei\n")
    say(project, "eins", "Aufzug")
    project = change_labels(project, ["Lift", "Rolltreppe", "irrelevant"], renamed={"Aufzug": "Lift"})
    project = change_labels(project, ["Rolltreppe", "irrelevant"])
    assert gold(project) == {}
    project = undo_labels(project)
    assert gold(project) == {"eins": ("Lift",)}


def test_labels_renamed_to_and_fro(tmp_path):
    project = begin(tmp_path / "neu", Wish("textcat", (("A", ""), ("B", ""))))
    take(project, "x.txt", b"eins\nzwei\n")
    say(project, "eins", "A")
    project = change_labels(project, ["C", "B"], renamed={"A": "C"})
    say(project, "zwei", "C")
    project = change_labels(project, ["A", "B"], renamed={"C": "A"})
    assert gold(project) == {"eins": ("A",), "zwei": ("A",)}


CFG = """# Was wir suchen
[project]
name = "p"
kind = "ner"
# die Labels
labels = ["A",
    "B"]
lang = "de"

[project.definitions]
# erklärt
A = "eins"
B = "zwei"

[training]
seed = 7
"""


def test_comments_and_other_settings_stay(tmp_path):
    (tmp_path / "annoloop.cfg").write_text(CFG, encoding="utf8")
    project = change_labels(Project.open(tmp_path), ["C", "B"], renamed={"A": "C"})
    text = (tmp_path / "annoloop.cfg").read_text(encoding="utf8")
    for kept in ("# Was wir suchen", "# die Labels", "# erklärt", "seed = 7", 'lang = "de"'):
        assert kept in text
    assert project.scheme.labels == ("C", "B")
    assert project.scheme.definitions == {"C": "eins", "B": "zwei"}
    assert project.scheme.renamed == {"A": "C"}
    assert project.settings.training.seed == 7
    assert sorted(path.name for path in tmp_path.iterdir() if path.name.startswith(".annoloop.cfg")) == []


def test_a_wrong_edit_leaves_the_file_as_it_was(tmp_path):
    (tmp_path / "annoloop.cfg").write_text(CFG, encoding="utf8")
    for wrong in (
        {"project": {"kind": "nonsense"}},
        {"project.definitions": {"a=b": "x"}},
        {"gate": {"x": 1}},
    ):
        with pytest.raises(SettingsError) as raised:
            edit_settings(tmp_path, wrong)
        assert "partial" not in str(raised.value) and "trial" not in str(raised.value)
        assert (tmp_path / "annoloop.cfg").read_text(encoding="utf8") == CFG
    assert [path.name for path in Path(tmp_path).iterdir()] == ["annoloop.cfg"]
