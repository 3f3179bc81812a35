"""Approaches side by side on dev texts, on real texts and a real store."""

from __future__ import annotations

import pytest
from compared import compared_project
from small_project import settings

import annoloop
from annoloop.errors import AnnoloopError, BlindnessError, SchemeError
from annoloop.project import Project
from annoloop.steps.compare import (
    Compared,
    Comparison,
    Said,
    ask_missing,
    choices,
    compare,
    fix_gold,
    send_to_review,
)
from annoloop.types import Annotation, Example, Span


@pytest.fixture
def project(tmp_path) -> Project:
    return compared_project(tmp_path / "p")


def by_name(comparison: Comparison) -> dict:
    return {found.approach: found for found in comparison.approaches}


def test_each_approach_is_scored_on_the_texts_it_has_read(project):
    comparison = annoloop.compare(project)
    found = by_name(comparison)
    texts = len(project.dev_gold())
    assert texts > 10
    assert len(comparison.texts) == texts
    # The rules were not asked yet.
    assert (found["rules"].missing, found["rules"].scores) == (texts, None)
    right = sum(not c.wrong("model") for c in comparison.texts)
    assert found["model"].missing == 0
    assert found["model"].scores.score == right / texts
    irrelevant = [c for c in comparison.texts if c.gold.labels == ("irrelevant",) and "llm" in c.said]
    assert irrelevant
    assert found["llm"].scores.score == len(irrelevant) / (texts - found["llm"].missing)


def test_asking_the_missing_ones_lets_the_rules_read_all(project):
    heard = []
    left = ask_missing(project, on_progress=lambda *told: heard.append(told))
    comparison = compare(project)
    assert by_name(comparison)["rules"].missing == 0
    assert heard
    assert set(left) == {found.approach for found in comparison.approaches if found.missing}
    wrong = [c for c in comparison.texts if c.wrong("rules")]
    assert wrong
    assert all(c.said["rules"].annotation != c.gold for c in wrong)


def test_a_second_process_does_not_ask_the_same_again(project):
    with project.exclusive("train"), pytest.raises(AnnoloopError, match="another annoloop process"):
        ask_missing(project)


def test_an_answer_that_cannot_be_understood_is_a_mistake_and_a_failure_is_not(project):
    key = project.store.fact("llm.imported")["key"]
    first, second = [item.example.input_hash for item in project.dev_gold()][:2]
    details = {first: {"status": "malformed"}, second: {"status": "failed"}}
    project.store.save_predictions(key, {first: None, second: None}, details=details)
    texts = {c.example.input_hash: c for c in compare(project).texts}
    assert texts[first].wrong("llm")
    assert "llm" not in texts[second].said


def test_texts_are_found_by_who_is_wrong_by_label_by_words_and_by_confidence(project):
    ask_missing(project)
    comparison = compare(project)
    both = comparison.select(wrong=["llm", "model"])
    assert list(both) == [c for c in comparison.texts if c.wrong("llm") and c.wrong("model")]
    assert 0 < len(both) < len(comparison.texts)
    lifts = comparison.select(labels=["Aufzug"])
    assert 0 < len(lifts) < len(comparison.texts)
    assert all("Aufzug" in c.labels for c in lifts)
    word = comparison.texts[0].example.text.split()[0]
    assert comparison.texts[0] in comparison.select(text=word.upper())
    assert comparison.select(text="no text says this") == ()
    unsure = comparison.select(confidence=("model", 0.0, 0.3))
    assert 0 < len(unsure) < len(comparison.texts)
    assert all(c.said["model"].confidence <= 0.3 for c in unsure)
    assert comparison.select(confidence=("rules", 0.0, 1.0)) == ()


def test_held_out_texts_are_never_compared(project):
    assert len(project.held_out_gold())
    assert {c.example.split for c in compare(project).texts} == {"dev"}
    for split in ("held_out", "pool"):
        text = Compared(Example("x", "text", split=split), Annotation(), {})
        with pytest.raises(BlindnessError, match=split):
            Comparison(project.scheme, (), (text,))
        before = project.store.answer_count(), project.store.progress()
        with pytest.raises(BlindnessError):
            fix_gold(project, text, Annotation(("Aufzug",)), reviewer="rita")
        with pytest.raises(BlindnessError):
            send_to_review(project, text)
        assert (project.store.answer_count(), project.store.progress()) == before


def gold_of(project: Project, name: str) -> Annotation | None:
    return next((i.annotation for i in project.dev_gold() if i.example.input_hash == name), None)


def test_a_reviewer_sets_gold_right_and_may_think_again(project):
    text = next(c for c in compare(project).texts if c.gold.labels == ("irrelevant",))
    name = text.example.input_hash
    answer = fix_gold(project, text, Annotation(("Aufzug",)), reviewer="rita")
    assert answer.adjudicated and not answer.blind
    assert gold_of(project, name) == Annotation(("Aufzug",))
    again = next(c for c in compare(project).texts if c.example.input_hash == name)
    assert again.wrong("llm")
    fix_gold(project, again, Annotation(("Rolltreppe",)), reviewer="rita")
    assert gold_of(project, name) == Annotation(("Rolltreppe",))


def test_gold_that_does_not_fit_is_refused_and_nothing_is_kept(project):
    text = compare(project).texts[0]
    before = project.store.answer_count()
    with pytest.raises(SchemeError):
        fix_gold(project, text, Annotation(("Fahrrad",)), reviewer="rita")
    with pytest.raises(AnnoloopError, match="category"):
        fix_gold(project, text, Annotation(), reviewer="rita")
    assert project.store.answer_count() == before


def test_a_text_sent_to_review_waits_for_a_reviewer_and_keeps_its_gold_until_then(project):
    text = compare(project).texts[0]
    name, open_before = text.example.input_hash, project.store.progress().open
    assert send_to_review(project, text)
    assert project.store.progress().open == open_before, "the loop must not wait for it"
    assert project.store.progress().differ == 1
    assert gold_of(project, name) == text.gold
    (task,) = project.store.lease_disputed("rita", "tab", want=9, now=0.0)
    assert task.example.input_hash == name


def test_a_text_that_a_reviewer_settled_is_not_asked_again(project):
    text = compare(project).texts[0]
    fix_gold(project, text, text.gold, reviewer="rita")
    before = project.store.progress()
    assert not send_to_review(project, text)
    assert project.store.progress() == before


def test_gold_is_chosen_from_all_that_anybody_marked():
    text = Example("x", "Nike or Nike or ni\u0303ke", split="dev")
    spans = [Span(0, 4, "BRAND"), Span(8, 12, "BRAND"), Span(8, 12, "SHOP")]
    said = {
        "rules": Said(Annotation(spans=(spans[2],)), False),
        "llm": Said(Annotation(spans=(spans[0],)), False),
    }
    compared = Compared(text, Annotation(spans=(spans[1],)), said)
    assert choices(compared) == (spans[0], spans[1], spans[2])


def test_a_project_without_anything_compares_nothing(tmp_path):
    settings(tmp_path / "p")
    project = Project.open(tmp_path / "p")
    assert compare(project) == Comparison(project.scheme, (), ())
    assert ask_missing(project) == ()
