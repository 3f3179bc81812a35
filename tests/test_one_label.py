"""Gold that teaches nothing is trained on all the same, and nobody is told that the model is good."""

from __future__ import annotations

from pathlib import Path

import pytest
from small_project import feedback, small_project, write_rows

from annoloop.errors import AnnoloopError
from annoloop.project import Project
from annoloop.steps.add import add
from annoloop.steps.evaluate import evaluate
from annoloop.steps.one_label import training_notes
from annoloop.steps.status import advice
from annoloop.steps.train import train

ROWS = feedback(60)


def labelled(folder: Path, **options: str) -> Project:
    """A project of several categories in which every text has an answer, and none a label."""
    options = {"corpus": "held_out = 0.3\ndev = 0.2", **options}
    project = small_project(folder, ROWS, kind="textcat_multilabel", **options)
    rows = [{"text": row["text"], "labels": []} for row in ROWS]
    add(project, [write_rows(folder / "gold.jsonl", rows)], gold=True, blind=True)
    return project


def test_texts_without_any_label_teach_and_judge_nothing(tmp_path: Path) -> None:
    project = labelled(tmp_path / "p", training='recipes = ["textcat_multilabel_linear"]')
    record = train(project)
    assert record.dev is not None and record.dev.score is None
    [note] = training_notes(project)
    assert note.startswith(f"none of the {len(project.pool_gold())} training texts has a label")
    result = evaluate(project)
    assert "something to find" in advice(project, result) and "train a model" not in advice(project, result)
    project.store.close()


def test_without_held_out_texts_nobody_is_sent_to_label_some(tmp_path: Path) -> None:
    project = labelled(tmp_path / "p", corpus="held_out = 0.0\ndev = 0.2")
    with pytest.raises(AnnoloopError, match="there are no held-out texts") as told:
        evaluate(project)
    assert "--split held_out" in str(told.value.hint)
    project.store.close()
