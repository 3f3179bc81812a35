"""What a score does not say of the gold behind it: nothing is learned from it, or no model can return it."""

from __future__ import annotations

from pathlib import Path

import pytest
from small_project import feedback, small_project, write_rows

from annoloop.errors import AnnoloopError
from annoloop.oracle import Oracle
from annoloop.project import Project
from annoloop.steps.add import add
from annoloop.steps.ask import answer_with, ask_blind, open_round
from annoloop.steps.evaluate import evaluate
from annoloop.steps.gold_notes import training_notes
from annoloop.steps.status import advice
from annoloop.steps.train import train
from annoloop.types import Annotation, Span

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


def test_spans_inside_a_token_are_counted_where_they_are_learned_and_judged(tmp_path: Path) -> None:
    words = ("Jackentasche", "Hose")
    texts = [f"{words[number % 2]}: {row['text']}" for number, row in enumerate(ROWS)]
    project = small_project(
        tmp_path / "p",
        [{"text": text} for text in texts],
        kind="ner",
        labels=["ITEM"],
        corpus="held_out = 0.3\ndev = 0.2",
        training='recipes = ["ner:max_steps=4,eval_frequency=2"]',
    )
    # As an expert marks them character by character.
    ends = {"J": len("Jacke"), "H": len("Hose")}
    said = [(text, Annotation(spans=(Span(0, ends[text[0]], "ITEM"),))) for text in texts]
    expert = Oracle(said, scheme=project.scheme)
    ask_blind(project)
    answer_with(project, expert, 0)
    open_round(project, 1, batch=10, source=None)
    answer_with(project, expert, 1)

    learned = [*project.pool_gold(), *project.dev_gold()]
    inside = sum(item.example.text.startswith("J") for item in learned)
    assert 1 < inside < len(learned)
    [note] = training_notes(project)
    assert note == (
        f"{inside} of {len(learned)} spans of the training and dev gold do not cover whole tokens "
        "('Jacke' ends inside the token 'Jackentasche'): no spaCy model can return them"
    )
    train(project)
    judged = list(project.held_out_gold())
    inside = sum(item.example.text.startswith("J") for item in judged)
    [note] = [note for note in evaluate(project).notes if "tokens" in note]
    assert note.startswith(f"{inside} of {len(judged)} spans of the held-out gold do not cover")
    project.store.close()
