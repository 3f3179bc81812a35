"""Settings: the defaults are right, and a wrong value is refused with its path."""

from __future__ import annotations

from pathlib import Path

import pytest

from annoloop.errors import AnnoloopError, SchemeError, SettingsError
from annoloop.project import Project
from annoloop.settings.edit import edit_settings, settings_with
from annoloop.settings.load import load_settings, write_settings

PROJECT = {"name": "p", "kind": "ner", "labels": ["A", "B"], "lang": "de"}
LINES = 'name = "p"\nkind = "ner"\nlabels = ["A", "B"]'


def written(folder: Path, text: str) -> Path:
    (folder / "annoloop.cfg").write_text(text, encoding="utf8")
    return folder


def test_a_new_project_reads_back_with_the_defaults(tmp_path: Path) -> None:
    write_settings(tmp_path / "p", {"project": PROJECT})
    settings = load_settings(tmp_path / "p")
    assert settings.project.labels == ("A", "B")
    assert settings.corpus.held_out == 0.2 and settings.corpus.dev == 0.1
    assert settings.privacy.allow_remote == "loopback"
    assert settings.llm.model["base_url"] == "embedded"


ODD = [
    "Größe",
    "A$",
    "$$",
    'q"',
    "back\\\\slash \\\\u0160",
    "50 %",
    "😀 日本",
    "x;y #z",
    "line\u2028end",
    "1",
    "null",
]


def test_names_stand_in_the_file_as_people_write_them_and_read_back(tmp_path: Path) -> None:
    section = {**PROJECT, "labels": ODD, "definitions": dict.fromkeys(ODD[:2], "für \u2028 alles")}
    path = write_settings(tmp_path / "p", {"project": section})
    assert "Größe" in path.read_text("utf8")
    assert load_settings(tmp_path / "p").project.labels == tuple(ODD)
    edit_settings(tmp_path / "p", {"project": {"name": "neu"}})
    settings = load_settings(tmp_path / "p").project
    assert (settings.name, settings.labels) == ("neu", tuple(ODD))
    assert settings.definitions == section["definitions"]


def test_quotes_around_a_label_are_not_part_of_it(tmp_path: Path) -> None:
    path = write_settings(tmp_path / "p", {"project": {**PROJECT, "labels": ["Größe", '"so"']}})
    with path.open("a", encoding="utf8") as file:
        file.write('[project.definitions]\n"Größe" = "wie groß"\n"so" = "zitiert"\n')
        file.write('[project.renamed]\n"Maß" = "Größe"\n')
    settings = load_settings(tmp_path / "p").project
    assert settings.definitions == {"Größe": "wie groß", '"so"': "zitiert"}
    assert settings.renamed == {"Maß": "Größe"}


@pytest.mark.parametrize("label", ["a: b", "a=b", "#a", "[a]"])
def test_a_definition_that_the_file_cannot_hold_is_refused_and_nothing_written(tmp_path: Path, label) -> None:
    section = {**PROJECT, "labels": [label, "B"], "definitions": {label: "x"}}
    with pytest.raises(SettingsError, match="would not be read"):
        write_settings(tmp_path / "p", {"project": section})
    assert not [*(tmp_path / "p").iterdir()]


def test_an_existing_project_is_not_overwritten(tmp_path: Path) -> None:
    write_settings(tmp_path, {"project": PROJECT})
    before = (tmp_path / "annoloop.cfg").read_text()
    with pytest.raises(SettingsError, match="a project already"):
        write_settings(tmp_path, {"project": {**PROJECT, "lang": "en"}})
    assert (tmp_path / "annoloop.cfg").read_text() == before


def test_a_wrong_new_project_writes_nothing(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="given twice: A"):
        write_settings(tmp_path / "p", {"project": {**PROJECT, "labels": ["A", "A"]}})
    assert not (tmp_path / "p").exists()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('[project]\nkind = "nerr"\n', "project -> kind"),
        ("[projct]\nx = 1\n", "unknown setting projct.*did you mean project"),
        ("[selection]\nbach = 3\n", "selection -> bach.*did you mean batch"),
        ('[selection]\nbatch = "many"\n', "selection -> batch.*not 'many'"),
        ('[project]\nlabels = ["A"]\n\n[project.definitions]\nB = "x"\n', "definitions -> B"),
        ('[project]\nlabels = ["A", " "]\n', "labels.*not blank"),
        ('[project]\nlang = "zz"\n', "project -> lang.*no language"),
        ("[corpus]\nheld_out = 0.6\ndev = 0.5\n", "corpus.*below 1"),
        ("[corpus]\nheld_out = -1\n", "corpus -> held_out"),
        ('[privacy]\nallow_remote = "all"\n', "privacy -> allow_remote"),
        ("[llm]\nfoo = 1\n", "llm.*foo"),
        ("[llm]\nmax_cost = -1\n", "llm -> max_cost"),
        ("[llm]\nmax_characters = 3\n", "llm -> max_characters"),
        ('[privacy]\nredact = ["emails"]\n', "privacy -> redact.*not 'emails'"),
        ('[privacy.patterns]\nK = "(a"\n', "privacy -> patterns: the pattern K, '\\(a', is not regular"),
        ("[rules]\nseconds = 0\n", "rules -> seconds"),
        ('[rules]\njoin = "yes"\n', "rules -> join"),
        ('[voting]\nuse = "yes"\n', "voting -> use"),
        ("[project\n", r"annoloop.cfg, line 1, is broken: \[project"),
        ("\nlabels = 1\n", "annoloop.cfg, line 2, is broken: labels = 1"),
        ('[llm]\n[project]\nkind = "ner"\n[llm]\n', r"line 4, is broken: a second \[llm\]"),
        ('[project]\nkind = "ner"\nkind = "ner"\n', r"line 3, is broken: a second kind in \[project\]"),
    ],
)
def test_wrong_settings_are_refused_with_their_path(tmp_path: Path, text: str, expected: str) -> None:
    with pytest.raises(SettingsError, match=expected):
        load_settings(written(tmp_path, text))


@pytest.mark.parametrize("end", ["", "\n"])
def test_sections_may_come_in_any_order(tmp_path: Path, end: str) -> None:
    """[llm.model] may come without [llm], or above it, wherever the file ends."""
    model = '[llm.model]\nname = "x"\nbase_url = "http://localhost:1"\n'
    above = f'# mine\n{model}[llm]\nmax_cost = 3\n[project.definitions]\nA = "[a]"\n[project]\n{LINES}{end}'
    settings = load_settings(written(tmp_path, above))
    assert (settings.llm.max_cost, settings.llm.model["name"]) == (3, "x")
    assert settings.project.definitions == {"A": "[a]"}
    edit_settings(tmp_path, {"llm": {"max_cost": 4}})
    assert load_settings(tmp_path).llm.max_cost == 4
    assert (tmp_path / "annoloop.cfg").read_text().startswith(f"# mine\n{model}[llm]\nmax_cost = 4\n")


def test_a_file_that_is_not_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "annoloop.cfg").write_bytes(b"[project]\nname = \xff\xfe")
    with pytest.raises(SettingsError, match="not UTF-8"):
        load_settings(tmp_path)


def test_a_folder_without_settings_is_no_project(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="annoloop init"):
        Project.open(tmp_path)


@pytest.mark.parametrize(("kind", "labels"), [("ner", []), ("textcat", ["ONE"])])
def test_a_project_needs_labels(tmp_path: Path, kind: str, labels: list[str]) -> None:
    with pytest.raises(SchemeError, match="needs at least"):
        Project.create(tmp_path / "p", kind=kind, labels=labels)


def test_another_model_replaces_the_default_block(tmp_path: Path) -> None:
    text = '[llm.model]\n@llm_models = "spacy.GPT-4.v3"\nconfig = {"temperature": 0.0}\n'
    settings = load_settings(written(tmp_path, text))
    assert settings.llm.model == {"@llm_models": "spacy.GPT-4.v3", "config": {"temperature": 0.0}}
    assert settings.llm.task == {"@llm_tasks": "auto"}


def test_one_long_action_at_a_time(tmp_path: Path) -> None:
    project = Project.create(tmp_path / "p", kind="ner", labels=["A"])
    other = Project.open(tmp_path / "p")
    with (
        project.exclusive("train"),
        pytest.raises(AnnoloopError, match="another annoloop process"),
        other.exclusive("train"),
    ):
        pass
    with other.exclusive("train"):
        pass


def test_a_new_section_goes_above_those_below_it_and_every_comment_stays(tmp_path: Path) -> None:
    text = f'[project]\n{LINES}\n\n# The model, Größe 👍\n[llm.model]\nname = "x" \n\n[gate]\nrounds = 3\n'
    written(tmp_path, text)
    changes = {
        "llm": {"max_cost": 3},
        "llm.model": {"*": None, "@llm_models": "spacy.GPT-4.v3"},
        "llm.task": {},
    }
    tried = settings_with(tmp_path, changes)
    assert (tmp_path / "annoloop.cfg").read_text(encoding="utf8") == text
    edit_settings(tmp_path, changes)
    assert load_settings(tmp_path) == tried
    assert tried.llm.max_cost == 3 and tried.llm.model == {"@llm_models": "spacy.GPT-4.v3"}
    after = (tmp_path / "annoloop.cfg").read_text(encoding="utf8")
    assert after.index("[llm]") < after.index("# The model, Größe 👍\n[llm.model]") and "rounds = 3" in after
    with pytest.raises(SettingsError, match=r"annoloop\.cfg.*max_cost"):
        settings_with(tmp_path, {"llm": {"max_cost": -1}})
