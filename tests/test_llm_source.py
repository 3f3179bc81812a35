"""The project's LLM as a source: what its key depends on, what it is told, how its calls are named."""

from __future__ import annotations

import json

import pytest
from fake_llm import FakeLLM
from small_project import feedback, small_project, write_rows

from annoloop.errors import BlindnessError
from annoloop.project import Project
from annoloop.steps.llm.source import llm_config, llm_source, shown_examples, source_of
from annoloop.steps.sources import ask_source

CFG = """[project]
name = "pinned"
kind = "{kind}"
labels = ["A", "B"]
lang = "de"

[project.definitions]
A = "Größe 👍"

[llm]
include_reason = {reason}
{llm}

[llm.model]
base_url = "http://127.0.0.1:9/v1"
name = "fake"
{model}
"""


def key(folder, *, kind="ner", reason="false", llm="", model="", shots=0):
    folder.mkdir(exist_ok=True)
    text = CFG.format(kind=kind, reason=reason, llm=llm, model=model)
    (folder / "annoloop.cfg").write_text(text, encoding="utf8")
    right = {"spans": [[0, 1, "A"]]} if kind in ("ner", "spancat") else {"label": "A"}
    (folder / "examples.jsonl").unlink(missing_ok=True)
    if shots:
        write_rows(folder / "examples.jsonl", [{"text": "İ eins", **right}] * shots)
    return llm_source(Project.open(folder)).key


@pytest.mark.parametrize(
    ("kind", "reason", "shots", "expected"),
    [
        ("ner", "false", 0, "llm:bbde1022a0e04b33ebf62259499c1afe"),
        ("ner", "false", 1, "llm:1cbc292d10d57bf56c53ec01b9417af2"),
        ("ner", "true", 0, "llm:9a1be41ee8e6b5e739dced0584686114"),
        ("ner", "true", 1, "llm:e863d90acf69513ecc75cb3c965caa48"),
        ("textcat", "false", 0, "llm:1249fd5346f505decd09aaabbd4f3901"),
        ("textcat", "false", 1, "llm:5dfad98f9053bdf5ef569044a957c1b8"),
        ("textcat_multilabel", "true", 1, "llm:6fbe37127422188af1cbebb61a39c39c"),
    ],
)
def test_answers_kept_by_earlier_versions_go_on_counting(tmp_path, kind, reason, shots, expected):
    """These keys stand in people's stores: whoever changes one makes them lose what was answered."""
    assert key(tmp_path, kind=kind, reason=reason, shots=shots) == expected


def test_what_shapes_no_answer_changes_no_key(tmp_path):
    plain = key(tmp_path / "plain")
    knobs = (
        'workers = 3\ntimeout = 5.0\nretries = 0\napi_key_env = null\nallow_remote = "loopback"\n'
        'price_input = 1.0\nprice_output = 2.0\nprice_date = "2026-01-31"'
    )
    spent = 'max_cost = 5\nfew_shot = 3\nvariants = ["*.cfg"]\nguidelines = true\ncache = {"path": null}'
    assert key(tmp_path / "knobs", model=knobs, llm=spent) == plain
    # Without a guidelines.md the setting brings nothing in.
    (tmp_path / "plain" / "guidelines.md").write_text("Größe zählt.", encoding="utf8")
    assert key(tmp_path / "plain") == plain


def test_what_shapes_an_answer_changes_the_key(tmp_path):
    (tmp_path / "guidelines.md").write_text("Größe zählt.", encoding="utf8")
    told = key(tmp_path, llm="guidelines = true")
    (tmp_path / "guidelines.md").write_text("Größe zählt nicht.", encoding="utf8")
    keys = {
        key(tmp_path),
        told,
        key(tmp_path, llm="guidelines = true"),
        key(tmp_path, llm="max_characters = 500"),
        key(tmp_path, model="temperature = 0.5"),
        key(tmp_path, reason="true"),
        key(tmp_path, shots=1),
    }
    assert len(keys) == 7


def test_the_number_of_examples_can_be_set(tmp_path):
    rows = [{"text": f"Text {number}", "label": "Aufzug"} for number in range(12)]
    with FakeLLM('{"label": "Aufzug"}') as fake:
        project = small_project(tmp_path / "p", [{"text": "Der Aufzug"}], server=fake)
        write_rows(project.folder / "examples.jsonl", rows)
        config = llm_config(project)
        assert len(shown_examples(project)) == 8
        for number in (0, 3, 12):
            assert len(shown_examples(project, {**config, "few_shot": number})) == number


def test_an_example_that_is_to_be_judged_by_is_refused_whatever_is_asked(tmp_path):
    with FakeLLM('{"label": "Aufzug"}') as fake:
        rows = [{"text": f"Der Aufzug {number} steht"} for number in range(20)]
        project = small_project(tmp_path / "p", rows, server=fake)
        judged = project.store.examples(split="held_out")[0]
        write_rows(project.folder / "examples.jsonl", [{"text": judged.text, "label": "Aufzug"}])
        with pytest.raises(BlindnessError, match="to be judged by"):
            llm_source(project)
        assert not fake.history


def test_the_guidelines_are_told_and_another_block_is_another_source(tmp_path):
    with FakeLLM('{"label": "Aufzug"}') as fake:
        project = small_project(tmp_path / "p", feedback(30), server=fake)
        (project.folder / "guidelines.md").write_text("Größe zählt 👍", encoding="utf8")
        (example, *_) = project.store.examples(split="pool")
        own = llm_source(project)
        told = source_of(project, {**llm_config(project), "guidelines": True}, purpose="compare")
        assert own.key != told.key and own.run != told.run
        for source in (own, told):
            assert ask_source(project, source, [example])[example.input_hash].labels == ("Aufzug",)
        first, second = (json.dumps(body["messages"], ensure_ascii=False) for body in fake.history)
        assert "Größe zählt 👍" not in first and "Größe zählt 👍" in second
        assert (own.purpose, own.round, told.purpose, told.round) == ("suggest", 1, "compare", None)
        assert llm_source(project, purpose="held_out").round == 0
