"""Labels are sought on purpose where the loop could end, and one round more is always to be had."""

from __future__ import annotations

import pytest
from small_project import expert, feedback, small_project

import annoloop.loop as loop_module
from annoloop.errors import SchemeError
from annoloop.loop import run_loop
from annoloop.project import Project
from annoloop.steps.ask import open_round
from annoloop.steps.evaluate import evaluate
from annoloop.steps.export import Exported
from annoloop.steps.status import advice_on, status

ROWS = feedback(200)


@pytest.fixture
def project(tmp_path, monkeypatch) -> Project:
    """A project whose model is good enough at once."""
    monkeypatch.setattr(
        loop_module,
        "export",
        lambda project, out, *, on_progress=None: Exported(out / "w.whl", "w", 0, "none"),
    )
    return small_project(tmp_path / "p", ROWS, rules="target = 0.1")


def turn(project, **options):
    return [e.happened for e in run_loop(project, oracle=expert(project, ROWS), batch=30, **options)]


def numbers(project):
    return [record.number for record in project.store.rounds()]


def test_where_the_model_is_good_enough_a_label_can_still_be_sought(project):
    turn(project)
    assert numbers(project) == [1]
    turn(project)
    assert numbers(project) == [1]
    happened = turn(project, seek=["Rolltreppe"])
    assert numbers(project) == [1, 2] and "judged" in happened
    assert project.store.rounds()[-1].strategy.endswith("seeking Rolltreppe")


def test_a_label_that_is_unknown_is_refused_before_anything_is_done(project):
    with pytest.raises(SchemeError, match="'Treppe' cannot be sought"):
        turn(project, seek=["Treppe"])
    assert not project.store.tasks()


def test_a_round_that_is_open_is_ended_even_beyond_those_that_were_planned(project):
    turn(project, max_rounds=1)
    open_round(project, 2, batch=10, source=None)
    turn(project)
    assert [(record.number, record.model is not None) for record in project.store.rounds()] == [
        (1, True),
        (2, True),
    ]


def test_where_all_planned_rounds_are_done_the_advice_asks_for_one_more(project):
    turn(project, max_rounds=1)
    said = advice_on(project, "llm_ahead", {"model": 0.5, "llm": 0.9})
    assert "annoloop loop PROJECT" in said and "--max-rounds 2" in said
    assert "--max-rounds 2" in status(project).next_step
    turn(project, max_rounds=2, seek=["Aufzug"])
    assert numbers(project) == [1, 2]


def test_a_model_that_beats_the_llm_is_to_be_installed_where_there_is_a_wheel(project, monkeypatch):
    turn(project, max_rounds=1)
    evaluate(project)
    use = {found: advice_on_wheel(project, monkeypatch, found) for found in (None, "w.whl")}
    assert use[None].startswith("make the wheel: annoloop export PROJECT")
    assert use["w.whl"].startswith("install the wheel")


def advice_on_wheel(project, monkeypatch, found):
    monkeypatch.setattr("annoloop.steps.status.kept_wheel", lambda project: found)
    return advice_on(project, "beats_llm", {"model": 0.9, "llm": 0.5})
