"""What a model learned from judges it no more, whatever has become of those texts since."""

from __future__ import annotations

from pathlib import Path

from small_project import feedback, small_project, write_rows

from annoloop.project import Project
from annoloop.steps.add import add
from annoloop.steps.evaluate import evaluate
from annoloop.steps.llm.source import import_llm_answers
from annoloop.steps.train import train

ROWS = feedback(240)


def judged_late(folder: Path, held_out: list[dict]) -> Project:
    """A model of all pool gold, and held-out texts that come after it; the LLM is always wrong."""
    project = small_project(folder, ROWS[:60], corpus="held_out = 0.0\ndev = 0.2")
    add(project, [write_rows(folder / "gold.jsonl", ROWS[:60])], gold=True)
    train(project)
    add(project, [write_rows(folder / "test.jsonl", held_out)], split="held_out", gold=True, blind=True)
    wrong = [{"text": row["text"], "label": "Rolltreppe"} for row in held_out]
    import_llm_answers(project, write_rows(folder / "llm.jsonl", wrong), name="wrong")
    return project


def test_held_out_texts_near_what_the_model_learned_from_before_they_came(tmp_path: Path) -> None:
    """Their near-duplicates are left out of the gold of today: of the next model, not of this one."""
    near = [{**row, "text": row["text"] + " !"} for row in ROWS[:20]]
    project = judged_late(tmp_path / "p", [*near, *ROWS[100:240]])
    first = evaluate(project).verdict
    assert first.decision == "refused"
    [leak] = [line for line in first.reason.splitlines() if "near-duplicate in the training gold" in line]
    assert leak.startswith("No verdict: 20 of ")
    train(project)
    assert "near-duplicate" not in evaluate(project).verdict.reason
    project.store.close()


def test_texts_of_the_pool_that_were_moved_to_the_held_out_ones(tmp_path: Path) -> None:
    project = judged_late(tmp_path / "p", [*ROWS[:15], *ROWS[100:240]])
    assert "15 of " in evaluate(project).verdict.reason
    train(project)
    assert "near-duplicate" not in evaluate(project).verdict.reason
    project.store.close()
