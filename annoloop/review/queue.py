"""The review page's side of the store: one idempotent call that saves answers and hands out texts."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from annoloop.errors import SchemeError
from annoloop.review.pieces import pieces
from annoloop.types import Annotation, Answer, LabelScheme, Span, Task

if TYPE_CHECKING:
    from annoloop.store.store import Store

MAX_ANSWERS = 500
MAX_TASKS = 50
MAX_SPANS = 20_000
MAX_ID = 64
MAX_SEQ = 2**62
MAX_MILLISECONDS = 2**31 - 1
UNDO_STEPS = 10
"""Decisions sent ahead at a time, so that undo need not wait; there is no end to how many follow."""

_VERDICTS = ("accept", "reject", "ignore")


def sync(
    store: Store,
    scheme: LabelScheme,
    annotator: str,
    request: Mapping[str, Any],
    *,
    lang: str = "en",
    now: float | None = None,
) -> dict[str, Any]:
    """Save answers, renew leases, hand out texts. Sending the same request again changes nothing.

    Args:
        request: `client` (names a browser tab), `answers` (as in `parse_answer`), `have` (task hashes on
            the page), `want` (how many more tasks), `before` (a `seq`, None for the newest: send the
            decisions made before it, for undo; absent: send none).
        lang: language of the texts, for spaCy's tokenizer.
        now: seconds since 1970; the clock where it is None.

    Returns:
        `acked` (ids of answers that are in the store now), `refused` (`{answer_id, reason}`, never
        blocking the others), `tasks`, `progress`, and where asked `history`, newest first.

    Raises:
        SchemeError: the request itself is malformed; nothing was done.
        StoreError: the answers could not be saved; none of them is acknowledged.
    """
    moment = time.time() if now is None else now
    client, sent, have, want = _checked(request)
    answers, refused = _parse_all(store, scheme, annotator, sent)
    acked = store.save_answers(answers) if answers else ()
    _settle_leases(store, annotator, client, answers, moment)
    leased = store.lease_tasks(annotator, client, want=want, have=have, now=moment)
    reply: dict[str, Any] = {
        "acked": list(acked),
        "refused": refused,
        "tasks": [show_task(task, lang=lang) for task in leased],
        "progress": _progress(store),
    }
    if "before" in request:
        reply["history"] = decided_before(store, annotator, request["before"], lang=lang)
    return reply


def show_task(task: Task, *, lang: str) -> dict[str, Any]:
    """A task as the page takes it: its text in pieces, its suggestion only where the task is assisted."""
    suggestion = task.suggestion if task.assisted else None
    annotation = suggestion.annotation if suggestion else Annotation()
    shown: dict[str, Any] = {
        "task_hash": task.task_hash,
        "input_hash": task.example.input_hash,
        "split": task.example.split,
        "round": task.round,
        "assisted": task.assisted,
        "tokens": pieces(task.example.text, spans=annotation.spans, lang=lang),
        "suggestion": None,
    }
    if suggestion:
        shown["suggestion"] = {
            **_show_annotation(annotation),
            "source": suggestion.source,
            "score": suggestion.score,
        }
    return shown


def decided_before(
    store: Store, annotator: str, before: int | None, *, lang: str, count: int = UNDO_STEPS
) -> list[dict[str, Any]]:
    """The annotator's decisions in force with a `seq` below `before`, newest first, each with its task."""
    limit = 4 * count
    while True:
        history = store.answer_history(annotator, limit)
        newest: dict[str, Answer] = {}
        for answer in history:
            if answer.input_hash not in newest or answer.seq > newest[answer.input_hash].seq:
                newest[answer.input_hash] = answer
        decided = [a for a in newest.values() if not a.retracted and (before is None or a.seq < before)]
        if len(decided) >= count or len(history) < limit:
            break
        limit *= 4
    decided = sorted(decided, key=lambda a: a.seq, reverse=True)[:count]
    tasks = store.tasks_by_hash([answer.task_hash for answer in decided])
    return [
        {
            "task": _show_decided(tasks[answer.task_hash], answer, lang=lang),
            "answer": {
                "answer_id": answer.answer_id,
                "verdict": answer.verdict,
                "seq": answer.seq,
                **_show_annotation(answer.annotation),
            },
        }
        for answer in decided
        if answer.task_hash in tasks
    ]


def parse_answer(raw: Any, task: Task | None, scheme: LabelScheme, annotator: str) -> Answer:
    """An answer as the page sends it, checked against its task, the scheme and the text.

    `raw` holds `answer_id`, `task_hash`, `verdict`, `labels` (names), `spans` (`[start, end, label]` in
    code points), `milliseconds` looked at, `seq`, and `retracted` where it takes an answer back.

    Raises:
        SchemeError: it does not fit; the message is for the annotator.
    """
    if task is None:
        raise SchemeError("this text is not, or no longer, in the project")
    if raw.get("verdict") not in _VERDICTS:
        raise SchemeError(f"verdict {raw.get('verdict')!r} is none of accept, reject, ignore")
    annotation = _parse_annotation(raw)
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
    )


def _checked(request: Any) -> tuple[str, list[Any], list[str], int]:
    if not isinstance(request, Mapping):
        raise SchemeError("the request is not a JSON object")
    client, answers = request.get("client"), request.get("answers", [])
    have, want, before = request.get("have", []), request.get("want", 0), request.get("before")
    if not _is_id(client):
        raise SchemeError(f"client is not a text of 1 to {MAX_ID} characters")
    if not isinstance(answers, list) or len(answers) > MAX_ANSWERS:
        raise SchemeError(f"answers is not a list of at most {MAX_ANSWERS}")
    if not isinstance(have, list) or len(have) > MAX_TASKS or not all(map(_is_id, have)):
        raise SchemeError(f"have is not a list of at most {MAX_TASKS} task hashes")
    if type(want) is not int or want < 0:
        raise SchemeError("want is not a number of tasks")
    if before is not None and (type(before) is not int or not 0 <= before <= MAX_SEQ):
        raise SchemeError("before is not a seq")
    return str(client), answers, have, min(want, MAX_TASKS - len(have))


def _parse_all(
    store: Store, scheme: LabelScheme, annotator: str, sent: Sequence[Any]
) -> tuple[list[Answer], list[dict[str, str]]]:
    named = [raw for raw in sent if isinstance(raw, Mapping) and _is_id(raw.get("answer_id"))]
    hashes = sorted({raw["task_hash"] for raw in named if _is_id(raw.get("task_hash"))})
    tasks = store.tasks_by_hash(hashes) if hashes else {}
    answers: list[Answer] = []
    nameless = {"answer_id": "", "reason": "an answer came without an id"}
    refused = [nameless] * (len(sent) - len(named))
    for raw in named:
        try:
            task = tasks.get(raw["task_hash"]) if _is_id(raw.get("task_hash")) else None
            answers.append(parse_answer(raw, task, scheme, annotator))
        except SchemeError as error:
            refused.append({"answer_id": raw["answer_id"], "reason": str(error)})
    return answers, refused


def _parse_annotation(raw: Mapping[str, Any]) -> Annotation:
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


def _settle_leases(store: Store, annotator: str, client: str, answers: Sequence[Answer], now: float) -> None:
    """What was answered is given back; what was taken back is on this client's page again."""
    last: dict[str, Answer] = {}
    for answer in sorted(answers, key=lambda a: a.seq):
        last[answer.task_hash] = answer
    done = [task_hash for task_hash, answer in last.items() if not answer.retracted]
    if done:
        store.release_leases(done, annotator, client)
    for task_hash, answer in last.items():
        if answer.retracted:
            store.take_lease(task_hash, annotator, client, now=now)


def _progress(store: Store) -> dict[str, Any]:
    progress = store.progress()
    rounds = {str(number): list(pair) for number, pair in progress.per_round.items()}
    return {"done": progress.done, "open": progress.open, "rounds": rounds}


def _show_decided(task: Task, answer: Answer, *, lang: str) -> dict[str, Any]:
    shown = show_task(task, lang=lang)
    suggested = task.suggestion.annotation.spans if task.suggestion and task.assisted else ()
    spans = (*suggested, *answer.annotation.spans)
    return {**shown, "tokens": pieces(task.example.text, spans=spans, lang=lang)}


def _show_annotation(annotation: Annotation) -> dict[str, Any]:
    return {
        "labels": list(annotation.labels),
        "spans": [[span.start, span.end, span.label] for span in annotation.spans],
    }


def _is_id(value: Any) -> bool:
    return isinstance(value, str) and 0 < len(value) <= MAX_ID


def _whole(raw: Mapping[str, Any], name: str, limit: int) -> int:
    value = raw.get(name)
    if type(value) is not int or not 0 <= value <= limit:
        raise SchemeError(f"{name} is not a whole number from 0 to {limit}")
    return value
