"""What a row says: our JSONL, and Prodigy's tasks of every interface, as an annotation and a verdict."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

from annoloop.corpus.offsets import repairs
from annoloop.errors import SchemeError
from annoloop.types import Annotation, LabelScheme, Span, Verdict

_MANUAL = ("ner_manual", "spans_manual")
_BETWEEN = ("|", ";", ",")
_BINARY = ("ner", "spans", "classification")
_OWN = frozenset(
    ("text", "meta", "spans", "label", "labels", "cats", "tokens", "options", "accept", "answer", "versions")
)


@dataclass(frozen=True, slots=True)
class Reading:
    """What a row says about its text.

    `annotation` None: nothing. `complete` False: the annotation is a part of the truth only (a binary
    task) or, where the verdict is reject, what is *not* so.
    """

    annotation: Annotation | None
    verdict: Verdict | None
    complete: bool


def read_task(row: Mapping[str, Any], text: str, scheme: LabelScheme) -> Reading:
    """Read the labels of one row.

    ignore gives an empty annotation with verdict ignore. reject gives what was rejected. A row without
    `answer` that has labels counts as accepted.

    Raises:
        SchemeError: the row does not fit the scheme, its text, or any known shape.
    """
    answer = row.get("answer")
    if answer not in (None, "accept", "reject", "ignore"):
        raise SchemeError(f"answer {answer!r}", hint="known answers: accept, reject, ignore")
    verdict = cast("Verdict | None", answer)
    if verdict == "ignore":
        return Reading(Annotation(), "ignore", complete=False)
    annotation, complete = _spans(row, text) if scheme.has_spans else _categories(row, scheme)
    if annotation is None:
        return Reading(None, verdict, complete=False)
    scheme.check(annotation, text)
    if scheme.is_exclusive and not annotation.labels:
        raise SchemeError("no category chosen", hint="kind textcat takes exactly one")
    return Reading(annotation, verdict or "accept", complete=complete and verdict != "reject")


def foreign_keys(row: Mapping[str, Any]) -> dict[str, Any]:
    """Whatever else a row carries, word for word: Prodigy's hashes, session, timestamp, unknown keys."""
    return {key: value for key, value in row.items() if key not in _OWN}


def _view(row: Mapping[str, Any]) -> Any:
    view = row.get("_view_id")
    return row.get("view_id") if view == "review" else view


def _spans(row: Mapping[str, Any], text: str) -> tuple[Annotation | None, bool]:
    binary = _view(row) == "ner" or (row.get("_is_binary") is True and _view(row) not in _MANUAL)
    given = row.get("spans")
    if given is None:
        if any(row.get(key) not in (None, "", [], {}) for key in ("label", "labels", "cats", "accept")):
            raise SchemeError("categories in a project of spans", hint='spans go in "spans"')
        # Prodigy leaves the key out where the annotator saw the text and marked nothing.
        seen = row.get("answer") is not None and (_view(row) in _MANUAL or "tokens" in row)
        return (Annotation() if seen else None), not binary
    if not isinstance(given, list):
        raise SchemeError('"spans" is not a list', hint='[{"start": 0, "end": 4, "label": "NAME"}]')
    own = [span.get("answer") for span in given if isinstance(span, dict)]
    spans = [
        _span(s, text) for s in given if not (isinstance(s, dict) and s.get("answer") in ("reject", "ignore"))
    ]
    if row.get("answer") == "reject":
        spans = [_span(s, text) for s in given]
    return Annotation(spans=tuple(spans)), not binary and not any(own)


def _span(given: Any, text: str) -> Span:
    if isinstance(given, list | tuple) and len(given) == 3:
        given = dict(zip(("start", "end", "label"), given, strict=True))
    if not isinstance(given, dict) or not isinstance(given.get("label"), str):
        raise SchemeError(f"span {given!r:.80} has no label", hint='{"start": 0, "end": 4, "label": "NAME"}')
    start, end = given.get("start"), given.get("end")
    if type(start) is not int or type(end) is not int:
        raise SchemeError(
            f"span {given!r:.80} has no whole numbers as start and end", hint="offsets are code points"
        )
    surface = given.get("text") if isinstance(given.get("text"), str) else None
    if not 0 <= start < end <= len(text):
        raise SchemeError(
            f"span {start}-{end} ({given['label']}) lies outside the text of {len(text)} characters",
            hint=_offer(text, start, end, surface),
        )
    if surface is not None and text[start:end] != surface:
        raise SchemeError(
            f"span {start}-{end} ({given['label']}) reads {text[start:end]!r:.80}, the row {surface!r:.80}",
            hint=_offer(text, start, end, surface),
        )
    return Span(start, end, given["label"])


def _offer(text: str, start: int, end: int, surface: str | None) -> str:
    offers = [
        f"{how}, it is {new_start}-{new_end} {text[new_start:new_end]!r:.80}"
        for how, new_start, new_end in repairs(text, start, end, surface)
    ]
    return "; or ".join(offers[:2]) or "offsets are code points of this text, half-open"


def _categories(row: Mapping[str, Any], scheme: LabelScheme) -> tuple[Annotation | None, bool]:
    if row.get("accept") is not None or row.get("options"):
        return _choice(row, scheme)
    if isinstance(row.get("cats"), dict):
        labels = [name for name, value in row["cats"].items() if _is_on(name, value)]
        return Annotation(labels=tuple(labels)), True
    if row.get("labels") is not None:
        return Annotation(labels=_names(row["labels"], scheme)), True
    if row.get("label") not in (None, ""):
        binary = row.get("answer") is not None and _view(row) != "choice"
        return Annotation(labels=_names(row["label"], scheme)), scheme.is_exclusive or not binary
    if row.get("label") == "" and scheme.kind == "textcat_multilabel":
        # A table has no other way to say that a text has none of the categories; our own export says it so.
        return Annotation(), True
    if row.get("spans") and _view(row) not in ("classification", "choice"):
        raise SchemeError("spans in a project of categories", hint=f"the project's kind is {scheme.kind}")
    return None, False


def _choice(row: Mapping[str, Any], scheme: LabelScheme) -> tuple[Annotation | None, bool]:
    if row.get("answer") is None and row.get("accept") is None:
        return None, False
    options = [option for option in row.get("options") or [] if isinstance(option, dict)]
    texts = {str(option.get("id")): str(option.get("text", option.get("id"))) for option in options}
    accepted = row.get("accept") or []
    chosen = [str(one) for one in (accepted if isinstance(accepted, list) else [accepted])]
    # An option's id is its label; tools that number their options keep the label in its text.
    names = [name if name in scheme.labels else texts.get(name, name) for name in chosen]
    return Annotation(labels=tuple(names)), True


def _is_on(name: str, value: Any) -> bool:
    if not isinstance(value, int | float):
        raise SchemeError(f"category {name!r} has the value {value!r:.40}", hint="true, false, or 0 to 1")
    return value >= 0.5


def _several(cell: str, scheme: LabelScheme) -> tuple[str, ...]:
    """The labels in one cell of a table: with bars between them, or others that labels do not have."""
    if cell in scheme.labels:
        return (cell,)
    for mark in _BETWEEN:
        names = tuple(name.strip() for name in cell.split(mark))
        if mark in cell and (mark == "|" or set(names) <= set(scheme.labels)):
            return names
    return (cell,)


def _names(given: Any, scheme: LabelScheme) -> tuple[str, ...]:
    if isinstance(given, str):
        return _several(given, scheme) if scheme.kind == "textcat_multilabel" else (given,)
    if isinstance(given, list) and all(isinstance(name, str) for name in given):
        return tuple(given)
    raise SchemeError(f"label {given!r:.80} is not a name", hint="write a text, or a list of texts")
