"""Between the vocabulary and rows of text: JSON that reads back equal."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from annoloop.types import Annotation, Answer, Counts, Example, Round, Scores, Span, Suggestion, Task

_ESCAPED = "\x01"


def dump(value: Any) -> str:
    """Compact JSON; lone surrogates survive as escapes."""
    return json.dumps(value, ensure_ascii=True, separators=(",", ":"))


def annotation_to_json(annotation: Annotation) -> dict[str, Any]:
    """`{"labels": [...], "spans": [[start, end, label], ...]}`."""
    return {"labels": list(annotation.labels), "spans": [[s.start, s.end, s.label] for s in annotation.spans]}


def annotation_from_json(value: Mapping[str, Any]) -> Annotation:
    """The inverse of `annotation_to_json`."""
    return Annotation(tuple(value["labels"]), tuple(Span(*span) for span in value["spans"]))


def suggestion_to_json(suggestion: Suggestion | None) -> str | None:
    """A suggestion as a cell of the tasks table."""
    if suggestion is None:
        return None
    annotation = annotation_to_json(suggestion.annotation)
    value: dict[str, Any] = {"annotation": annotation, "score": suggestion.score, "source": suggestion.source}
    if suggestion.reason:
        value["reason"] = suggestion.reason
    if suggestion.unplaced:
        value["unplaced"] = list(suggestion.unplaced)
    return dump(value)


def suggestion_from_json(cell: str | None) -> Suggestion | None:
    """The inverse of `suggestion_to_json`."""
    if cell is None:
        return None
    value = json.loads(cell)
    annotation = annotation_from_json(value["annotation"])
    reason, unplaced = value.get("reason", ""), tuple(value.get("unplaced", ()))
    return Suggestion(annotation, value["score"], value["source"], reason, unplaced)


def example_row(example: Example) -> dict[str, Any]:
    """A row of the examples table."""
    return {
        "input_hash": example.input_hash,
        "text": json.dumps(example.text, ensure_ascii=True) if unstorable(example.text) else example.text,
        "meta": dump({**example.meta, "_escaped": True} if unstorable(example.text) else dict(example.meta)),
        "split": example.split,
    }


def unstorable(text: str) -> bool:
    """Whether no database takes this text as it is."""
    # They hold neither null bytes (PostgreSQL) nor lone surrogates (both).
    return "\0" in text or any("\ud800" <= char <= "\udfff" for char in text)


def example_from_row(row: Any) -> Example:
    """The inverse of `example_row`."""
    meta = json.loads(row.meta)
    text = json.loads(row.text) if meta.pop("_escaped", False) else row.text
    return Example(row.input_hash, text, meta, row.split)


def task_from_row(row: Any) -> Task:
    """A task from a join of tasks and examples."""
    return Task(
        row.task_hash,
        example_from_row(row),
        suggestion_from_json(row.suggestion),
        bool(row.assisted),
        -row.rank,
        row.round,
        row.wanted,
    )


def answer_row(answer: Answer) -> dict[str, Any]:
    """A row of the answers table."""
    row = {name: getattr(answer, name) for name in Answer.__slots__}
    annotation = dump(annotation_to_json(answer.annotation))
    return {**row, "annotation": annotation, "comment": text_to_cell(answer.comment)}


def text_to_cell(text: str) -> str:
    """A text as a cell that every database takes."""
    # It has no meta beside it that could say it is escaped: a mark in front does.
    escaped = unstorable(text) or text.startswith(_ESCAPED)
    return _ESCAPED + json.dumps(text, ensure_ascii=True) if escaped else text


def text_from_cell(cell: str) -> str:
    """The inverse of `text_to_cell`."""
    return str(json.loads(cell[1:])) if cell.startswith(_ESCAPED) else cell


def answer_from_row(row: Any) -> Answer:
    """The inverse of `answer_row`."""
    values = {name: getattr(row, name) for name in Answer.__slots__}
    values["annotation"] = annotation_from_json(json.loads(row.annotation))
    values["comment"] = text_from_cell(row.comment)
    for name in ("blind", "simulated", "retracted", "flagged", "adjudicated"):
        values[name] = bool(values[name])
    return Answer(**values)


def scores_from_json(value: Mapping[str, Any] | None) -> Scores | None:
    """Scores from the dict that `dataclasses.asdict` makes of them."""
    if value is None:
        return None
    counts = {label: Counts(**item) for label, item in value["per_label"].items()}
    interval = tuple(value["interval"]) if value["interval"] else None
    return Scores(**{**value, "per_label": counts, "interval": interval})


def round_to_json(record: Round) -> str:
    """A round as a cell of the rounds table."""
    return dump(asdict(record))


def round_from_json(cell: str) -> Round:
    """The inverse of `round_to_json`."""
    value = json.loads(cell)
    value["tasks"] = tuple(value["tasks"])
    value["dev_seeds"] = tuple(value.get("dev_seeds", ()))
    value["dev"] = scores_from_json(value["dev"])
    value["held_out"] = scores_from_json(value["held_out"])
    return Round(**value)
