"""Tasks and answers as the page takes them: JSON, the text in pieces that the browser can point at."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from annoloop.review.pieces import pieces
from annoloop.store.drafts import Draft
from annoloop.types import Annotation, Answer, LabelScheme, Span, Task


def show_task(
    task: Task,
    scheme: LabelScheme,
    *,
    lang: str,
    answer: Answer | None = None,
    draft: Draft | None = None,
    versions: Sequence[Answer] | None = None,
    again: bool = False,
    doubt: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """A task: its text in pieces, its suggestion only where the task is assisted.

    Every edge of a span that the page may draw is the edge of a piece: those suggested, those of `answer`
    (what was said before), of `draft` (what was begun) and of `versions` (what others said, for a reviewer:
    then nothing is suggested). `again` says that it was skipped before, `doubt` why a reviewer is to
    look at it though nobody differs.
    """
    suggestion = task.suggestion if task.assisted and versions is None else None
    suggested = scheme.current(suggestion.annotation) if suggestion else Annotation()
    begun = _begun(draft, scheme, len(task.example.text)) if draft else None
    said = [scheme.current(version.annotation) for version in versions or ()]
    spans = [*suggested.spans, *(answer.annotation.spans if answer else ())]
    spans += [span for annotation in said for span in annotation.spans]
    spans += [Span(*span) for span in begun["spans"]] if begun else []
    shown: dict[str, Any] = {
        "task_hash": task.task_hash,
        "input_hash": task.example.input_hash,
        "split": task.example.split,
        "round": task.round,
        "wanted": task.wanted,
        "assisted": suggestion is not None,
        "again": again,
        "tokens": pieces(task.example.text, spans=spans, lang=lang),
        "suggestion": None,
        "draft": begun,
    }
    if suggestion:
        shown["suggestion"] = {
            **show_annotation(suggested),
            "source": suggestion.source,
            "score": suggestion.score,
            "reason": suggestion.reason,
            "unplaced": list(suggestion.unplaced),
        }
    if versions is not None:
        shown["versions"] = [show_version(version, scheme) for version in versions]
        shown["doubt"] = dict(doubt) if doubt else None
    return shown


def show_answer(answer: Answer, scheme: LabelScheme) -> dict[str, Any]:
    """An annotator's own answer, in the names that its labels have now."""
    return {
        "answer_id": answer.answer_id,
        "verdict": answer.verdict,
        **show_annotation(scheme.rename(answer.annotation)),
        "comment": answer.comment,
        "flagged": answer.flagged,
        "seq": answer.seq,
        "when": answer.seq // 1000,
    }


def show_version(answer: Answer, scheme: LabelScheme) -> dict[str, Any]:
    """What one of several annotators said, for a reviewer."""
    return {
        "annotator": answer.annotator,
        "answer_id": answer.answer_id,
        "verdict": answer.verdict,
        **show_annotation(scheme.current(answer.annotation)),
        "comment": answer.comment,
        "flagged": answer.flagged,
        "milliseconds": answer.milliseconds,
    }


def show_annotation(annotation: Annotation) -> dict[str, Any]:
    """`{"labels": [...], "spans": [[start, end, label], ...]}`."""
    return {
        "labels": list(annotation.labels),
        "spans": [[span.start, span.end, span.label] for span in annotation.spans],
    }


def _begun(draft: Draft, scheme: LabelScheme, length: int) -> dict[str, Any]:
    spans = tuple(Span(*span) for span in draft.content["spans"] if 0 <= span[0] < span[1] <= length)
    annotation = scheme.rename(Annotation(tuple(draft.content["labels"]), spans))
    return {**draft.content, **show_annotation(annotation), "seq": draft.seq}
