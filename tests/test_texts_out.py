"""Gold taken out reads back as it was; guidelines are not overwritten by whoever saves last."""

from __future__ import annotations

import pytest

from annoloop.corpus.read import Row, read_rows
from annoloop.errors import FormatError
from annoloop.project import Project
from annoloop.steps.add import add
from annoloop.steps.guidelines import NAME, ChangedMeanwhileError, read_guidelines, save_guidelines
from annoloop.steps.take_out import formats, gold_file, gold_of
from annoloop.types import SPLITS
from tests.small_project import feedback, settings, write_rows


@pytest.fixture
def labelled(tmp_path) -> Project:
    settings(tmp_path / "p")
    project = Project.open(tmp_path / "p")
    odd = {"text": '=1+1; "zitiert"\nzwei Zeilen, 👩‍🔧', "label": "irrelevant"}
    add(project, [write_rows(tmp_path / "gold.jsonl", [*feedback(40), odd])], gold=True)
    return project


@pytest.mark.parametrize("form", ["jsonl", "csv", "spacy"])
def test_what_is_taken_out_reads_back(labelled, tmp_path, form):
    path = tmp_path / f"out.{form}"
    path.write_bytes(gold_file(labelled, form, SPLITS))
    rows = [row for row in read_rows(path, scheme=labelled.scheme, lang="de") if isinstance(row, Row)]
    gold = gold_of(labelled, SPLITS)
    assert len(gold) == 41
    assert {row.text: row.annotation for row in rows} == {g.example.text: g.annotation for g in gold}


def test_only_the_splits_that_were_asked_for(labelled):
    assert {item.example.split for item in gold_of(labelled, ["dev"])} == {"dev"}
    with pytest.raises(FormatError, match="no text"):
        gold_file(labelled, "jsonl", [])


def test_spans_go_into_no_table(tmp_path):
    project = Project.create(tmp_path / "p", kind="ner", labels=["A"])
    assert formats(project) == ("jsonl", "spacy")
    add(
        project,
        [write_rows(tmp_path / "g.jsonl", [{"text": "ab", "spans": [[0, 2, "A"]]}])],
        gold=True,
        split="pool",
    )
    with pytest.raises(FormatError, match="no spans"):
        gold_file(project, "csv", ["pool"])


def test_guidelines_are_saved_and_never_overwrite_another_version(labelled):
    assert read_guidelines(labelled) == ""
    save_guidelines(labelled, "# Regeln\r\nÄ 👩‍🔧\n", before="")
    assert read_guidelines(labelled) == "# Regeln\nÄ 👩‍🔧\n"
    with pytest.raises(ChangedMeanwhileError) as raised:
        save_guidelines(labelled, "meine", before="")
    assert raised.value.theirs == read_guidelines(labelled)
    save_guidelines(labelled, "meine", before=raised.value.theirs)
    assert (labelled.folder / NAME).read_text(encoding="utf8") == "meine"
    assert [path.name for path in labelled.folder.glob(".guidelines*")] == []


def test_guidelines_of_a_windows_editor(labelled):
    (labelled.folder / NAME).write_bytes("\ufeffeins\r\nzwei".encode())
    assert read_guidelines(labelled) == "eins\nzwei"
    save_guidelines(labelled, "eins\ndrei", before="eins\nzwei")
    (labelled.folder / NAME).write_bytes("gr\xfcn".encode("latin1"))
    with pytest.raises(FormatError, match="not UTF-8 at byte 2"):
        read_guidelines(labelled)
