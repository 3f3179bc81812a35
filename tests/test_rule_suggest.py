"""Proposed patterns of a project: made from texts to learn from, kept, taken, turned down."""

from __future__ import annotations

import json
import shutil
from concurrent.futures import ThreadPoolExecutor

import pytest
from fake_llm import FakeLLM

from annoloop.errors import FormatError
from annoloop.project import Project
from annoloop.steps.add import add
from annoloop.steps.llm.source import llm_source
from annoloop.steps.rules.patterns import add_pattern, pattern_lines, switch_off
from annoloop.steps.rules.suggest import accept, accept_above, proposals, reject, suggest_rules
from annoloop.store.pattern_choices import PatternProposal, line_hash
from annoloop.types import Annotation
from tests.small_project import feedback, settings, write_rows

SECRET = "Xylophonbrücke"


@pytest.fixture(scope="module")
def labelled(tmp_path_factory) -> Project:
    folder = tmp_path_factory.mktemp("labelled")
    settings(folder)
    project = Project.open(folder)
    rows = feedback(150)
    add(project, [write_rows(folder / "gold.jsonl", rows[:120])], split="pool", gold=True, blind=True)
    add(project, [write_rows(folder / "more.jsonl", [{"text": row["text"]} for row in rows[120:]])])
    # A word that only texts to judge by hold, and hold often.
    for split in ("dev", "held_out"):
        told = [{"text": f"{SECRET} {n} {split}", "label": "Aufzug"} for n in range(8)]
        add(project, [write_rows(folder / f"{split}.jsonl", told)], split=split, gold=True, blind=True)
    suggest_rules(project)
    yield project
    project.store.close()


@pytest.fixture
def project(labelled, tmp_path) -> Project:
    labelled.store.close()
    shutil.copytree(labelled.folder, tmp_path / "p")
    opened = Project.open(tmp_path / "p")
    yield opened
    opened.store.close()


def test_proposals_tell_what_speaks_for_them_and_never_know_texts_to_judge_by(project):
    made = proposals(project)
    assert any("aufzug" in one.line for one in made)
    assert any(one.chosen for one in made) and not all(one.chosen for one in made)
    best = made[0]
    assert best.right > 3 and best.interval[0] <= best.precision <= best.interval[1]
    assert not any(SECRET.lower() in one.line.lower() for one in made)


def test_accepted_lines_join_the_file_and_rejected_ones_never_come_back(project):
    first, second, *_ = proposals(project)
    assert accept(project, first.line, by="anna")
    reject(project, second.line, by="anna")
    assert list(pattern_lines(project).values()) == [first.line]
    assert not {first.line, second.line} & {one.line for one in proposals(project)}
    again = suggest_rules(project)
    assert again and not {first.line, second.line} & {one.line for one in again}
    choices = project.store.pattern_choices()
    assert choices[line_hash(first.line)].verdict == "accept"
    assert choices[line_hash(second.line)].annotator == "anna"
    # Taken out by hand, it is still something that was decided.
    switch_off(project, first.line)
    assert first.line not in {one.line for one in suggest_rules(project)}


def test_newer_proposals_take_the_place_of_those_nobody_decided_about(project):
    line = '{"label": "Aufzug", "pattern": "nie und nimmer"}'
    project.store.save_proposals([PatternProposal(line, "gold", {"right": 1})])
    assert line in {one.line for one in proposals(project)}
    made = suggest_rules(project)
    assert line not in {one.line for one in proposals(project)}
    assert [one.line for one in proposals(project)] == [one.line for one in made]


def test_only_sure_ones_of_the_smallest_set_are_taken_together(project):
    taken = accept_above(project, 0.9, by="anna")
    assert taken and all(one.chosen and one.precision >= 0.9 for one in taken)
    assert set(pattern_lines(project).values()) == {one.line for one in taken}
    assert accept_above(project, 0.9, by="anna") == ()


def test_a_proposal_of_a_label_that_is_gone_is_not_shown(project):
    gone = '{"label": "Paternoster", "pattern": "x"}'
    project.store.save_proposals([PatternProposal(gone, "gold")])
    assert gone not in {one.line for one in proposals(project)}
    with pytest.raises(FormatError, match="label"):
        accept(project, gone, by="anna")
    assert line_hash(gone) not in project.store.pattern_choices()


def test_without_gold_and_without_an_llm_there_is_nothing_to_propose(tmp_path):
    settings(tmp_path)
    project = Project.open(tmp_path)
    assert suggest_rules(project) == () and suggest_rules(project, llm=True) == ()
    project.store.close()


def test_the_llm_writes_terms_and_its_answers_count_on_pool_texts_only(tmp_path):
    with FakeLLM(lambda body: '{"terms": ["Fahrstuhl", "Lift", "Rolltreppe"]}') as server:
        folder = tmp_path / "p"
        settings(folder, llm=json.dumps(server.base_url))
        project = Project.open(folder)
        rows = feedback(60)
        add(project, [write_rows(folder / "gold.jsonl", rows)], split="pool", gold=True, blind=True)
        new = [{"text": "Der Fahrstuhl 12 klemmt"}]
        add(project, [write_rows(folder / "new.jsonl", new)], split="pool")
        held = [{"text": f"{SECRET} steht {n}"} for n in range(6)]
        add(project, [write_rows(folder / "held.jsonl", held)], split="held_out")
        blind = {eg.input_hash: Annotation(("Aufzug",)) for eg in project.store.examples(split="held_out")}
        project.store.save_predictions(llm_source(project).key, blind)
        made = suggest_rules(project, llm=True)
        terms = [json.loads(one.line) for one in made if one.origin == "terms"]
        assert {"label": "Aufzug", "pattern": "Fahrstuhl", "attr": "LOWER"} in terms
        assert not any(SECRET.lower() in one.line.lower() for one in made)
        sent = json.dumps(server.history, ensure_ascii=False)
        assert "Fahrstuhl 12" not in sent and not any(row["text"][:25] in sent for row in rows)
        assert {spend.purpose for spend in project.store.spend()} <= {"terms"}
        asked = len(server.history)
        suggest_rules(project, llm=True)
        assert len(server.history) == asked
        project.store.close()


def test_lines_added_at_once_are_all_there(project):
    lines = [json.dumps({"label": "Aufzug", "pattern": f"Wort {n}"}) for n in range(40)]
    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(lambda line: add_pattern(Project.open(project.folder), line), lines))
    assert set(pattern_lines(project).values()) == set(lines)
