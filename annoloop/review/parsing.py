"""What the page sends, checked before anything is done with it: nothing here trusts the browser."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from annoloop.errors import SchemeError
from annoloop.store.drafts import Draft
from annoloop.types import Annotation, Answer, LabelScheme, Span, Task

MAX_ANSWERS = 500
MAX_TASKS = 50
MAX_DRAFTS = 50
MAX_SPANS = 20_000
MAX_ID = 64
MAX_SEQ = 2**62
MAX_MILLISECONDS = 2**31 - 1
MAX_COMMENT = 10_000
MAX_QUERY = 500

Mode = Literal["label", "adjudicate"]
_VERDICTS = ("accept", "reject", "ignore")
_ONLY = (None, "flagged", "commented", "skipped", "changed")


@dataclass(frozen=True, slots=True)
class Call:
    """One call of `sync`: who asks, what was decided (`answers`, not checked yet) and begun, what is wanted.

    `before` is a `seq`; None asks for the newest decisions where `history` is wanted. `fetch` brings the
    texts here that wait in the annotator's other windows.
    """

    client: str
    mode: Mode
    answers: Sequence[Any]
    drafts: tuple[Draft, ...]
    have: tuple[str, ...]
    want: int
    history: bool
    before: int | None
    fetch: bool


@dataclass(frozen=True, slots=True)
class Query:
    """One call of `history.search`."""

    mode: Mode
    text: str
    only: Any
    before: int | None
    limit: int


def parse_call(request: Any) -> Call:
    """A request of `sync`.

    Raises:
        SchemeError: it is malformed as a whole.
    """
    values = _mapping(request)
    client, answers, drafts = values.get("client"), values.get("answers", []), values.get("drafts", [])
    have, want = values.get("have", []), values.get("want", 0)
    if not is_id(client):
        raise SchemeError(f"client is not a text of 1 to {MAX_ID} characters")
    if not isinstance(answers, list) or len(answers) > MAX_ANSWERS:
        raise SchemeError(f"answers is not a list of at most {MAX_ANSWERS}")
    if not isinstance(drafts, list) or len(drafts) > MAX_DRAFTS:
        raise SchemeError(f"drafts is not a list of at most {MAX_DRAFTS}")
    if not isinstance(have, list) or len(have) > MAX_TASKS or not all(map(is_id, have)):
        raise SchemeError(f"have is not a list of at most {MAX_TASKS} task hashes")
    if type(want) is not int or want < 0:
        raise SchemeError("want is not a number of tasks")
    known = [draft for draft in map(_parse_draft, drafts) if draft is not None]
    return Call(
        client=str(client),
        mode=_mode(values),
        answers=answers,
        drafts=tuple(known),
        have=tuple(dict.fromkeys(have)),
        want=min(want, MAX_TASKS - len(have)),
        history="before" in values,
        before=_before(values),
        fetch=values.get("fetch") is True,
    )


def parse_query(request: Any) -> Query:
    """A request of `history.search`.

    Raises:
        SchemeError: it is malformed.
    """
    values = _mapping(request)
    text, only, limit = values.get("text", ""), values.get("only"), values.get("limit", MAX_TASKS)
    if not isinstance(text, str) or len(text) > MAX_QUERY:
        raise SchemeError(f"text is not a text of at most {MAX_QUERY} characters")
    if only not in _ONLY:
        raise SchemeError(f"only is none of {', '.join(str(name) for name in _ONLY[1:])}")
    if type(limit) is not int or not 1 <= limit <= MAX_TASKS:
        raise SchemeError(f"limit is not a number from 1 to {MAX_TASKS}")
    return Query(_mode(values), text, only, _before(values), limit)


def parse_answer(
    raw: Mapping[str, Any], task: Task | None, scheme: LabelScheme, annotator: str, mode: Mode = "label"
) -> Answer:
    """An answer as the page sends it, checked against its task, the scheme and the text.

    `raw` holds `answer_id`, `task_hash`, `verdict`, `labels` (names), `spans` (`[start, end, label]` in
    code points), `milliseconds` looked at, `seq`, perhaps `comment` and `flagged`, and `retracted` where
    it takes an answer back. Labels that were renamed meanwhile get the name they have now.

    Raises:
        SchemeError: it does not fit; the message is for the annotator.
    """
    if task is None:
        raise SchemeError("this text is not, or no longer, in the project")
    if raw.get("verdict") not in _VERDICTS:
        raise SchemeError(f"verdict {raw.get('verdict')!r} is none of accept, reject, ignore")
    annotation = scheme.rename(parse_annotation(raw))
    retracted = raw.get("retracted", False) is True
    if not retracted:
        scheme.check(annotation, task.example.text)
        if scheme.is_exclusive and raw["verdict"] == "accept" and not annotation.labels:
            raise SchemeError("accepted without a category", hint="choose one, or skip the text")
    return Answer(
        answer_id=raw["answer_id"],
        task_hash=task.task_hash,
        input_hash=task.example.input_hash,
        verdict=raw["verdict"],
        annotation=annotation,
        annotator=annotator,
        milliseconds=_whole(raw, "milliseconds", MAX_MILLISECONDS),
        seq=_whole(raw, "seq", MAX_SEQ),
        blind=not task.assisted,
        retracted=retracted,
        comment=_comment(raw),
        flagged=raw.get("flagged", False) is True,
        adjudicated=mode == "adjudicate",
    )


def parse_annotation(raw: Mapping[str, Any]) -> Annotation:
    """The annotation in `labels` and `spans`; nothing is checked but its form.

    Raises:
        SchemeError: it has another form.
    """
    labels, spans = raw.get("labels", []), raw.get("spans", [])
    if not isinstance(labels, list) or not all(isinstance(label, str) for label in labels):
        raise SchemeError("labels is not a list of names")
    if not isinstance(spans, list) or len(spans) > MAX_SPANS:
        raise SchemeError(f"spans is not a list of at most {MAX_SPANS}")
    parsed = []
    for span in spans:
        match span:
            case [int(start), int(end), str(label)] if type(start) is int and type(end) is int:
                parsed.append(Span(start, end, label))
            case _:
                raise SchemeError("a span is not [start, end, label]")
    return Annotation(tuple(labels), tuple(parsed))


def is_id(value: Any) -> bool:
    """Whether it can name an answer, a task or a browser tab."""
    return isinstance(value, str) and 0 < len(value) <= MAX_ID and value.isascii() and value.isprintable()


def _parse_draft(raw: Any) -> Draft | None:
    """None for what the page never sends: a draft is kept as it is, and that blocks no answer."""
    if not isinstance(raw, Mapping) or not is_id(raw.get("task_hash")):
        return None
    content = raw.get("draft")
    if not isinstance(content, Mapping):
        return None
    try:
        annotation, part = parse_annotation(content), content.get("part")
        kept = {
            "labels": list(annotation.labels),
            "spans": [[span.start, span.end, span.label] for span in annotation.spans],
            "comment": _comment(content),
            "flagged": content.get("flagged", False) is True,
            "part": None if part is None else _whole(content, "part", MAX_SPANS),
        }
        return Draft(str(raw["task_hash"]), _whole(raw, "seq", MAX_SEQ), kept)
    except SchemeError:
        return None


def _mapping(request: Any) -> Mapping[str, Any]:
    if not isinstance(request, Mapping):
        raise SchemeError("the request is not a JSON object")
    return request


def _mode(values: Mapping[str, Any]) -> Mode:
    match values.get("mode", "label"):
        case "label":
            return "label"
        case "adjudicate":
            return "adjudicate"
        case other:
            raise SchemeError(f"mode {other!r} is none of label, adjudicate")


def _before(values: Mapping[str, Any]) -> int | None:
    before = values.get("before")
    if before is not None and (type(before) is not int or not 0 <= before <= MAX_SEQ):
        raise SchemeError("before is not a seq")
    return before


def _comment(raw: Mapping[str, Any]) -> str:
    comment = raw.get("comment", "")
    if not isinstance(comment, str):
        raise SchemeError("the comment is not a text")
    if len(comment) > MAX_COMMENT:
        raise SchemeError(
            f"the comment has {len(comment)} characters", hint=f"{MAX_COMMENT} is the longest; shorten it"
        )
    return comment


def _whole(raw: Mapping[str, Any], name: str, limit: int) -> int:
    value = raw.get(name)
    if type(value) is not int or not 0 <= value <= limit:
        raise SchemeError(f"{name} is not a whole number from 0 to {limit}")
    return value
