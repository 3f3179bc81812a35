"""The review page's side of the store: one idempotent call that saves answers and hands out texts."""

from __future__ import annotations

import time
from collections.abc import Container, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from annoloop.errors import SchemeError
from annoloop.review.parsing import MAX_ANSWERS, Call, is_id, parse_answer, parse_call
from annoloop.review.shown import show_answer, show_task
from annoloop.store.doubts import DOUBTS_FACT
from annoloop.store.leases import Holder, Leased
from annoloop.types import Answer, LabelScheme, Task

if TYPE_CHECKING:
    from annoloop.store.store import Store

__all__ = ["MAX_ANSWERS", "UNDO_STEPS", "sync"]

UNDO_STEPS = 10
"""Decisions sent ahead at a time, so that undo need not wait; there is no end to how many follow."""


def sync(
    store: Store,
    scheme: LabelScheme,
    annotator: str,
    request: Mapping[str, Any],
    *,
    lang: str = "en",
    now: float | None = None,
    lease_seconds: float = 600,
    mode_allowed: Container[str] = ("label",),
    agreement_passes: bool = True,
) -> dict[str, Any]:
    """Save answers, renew leases, hand out texts. Sending the same request again changes nothing.

    Args:
        request: `client` (names a browser tab), `answers` (as in `parse_answer`), `have` (task hashes on
            the page), `want` (how many more tasks), `before` (a `seq`, None for the newest: send the
            decisions made before it, for undo; absent: send none), `mode` ("label", or "adjudicate" for a
            reviewer), `drafts` (`{task_hash, seq, draft}`: what was begun), `fetch` (true: bring the texts
            here that wait in the annotator's other windows).
        lang: language of the texts, for spaCy's tokenizer.
        now: seconds since 1970; the clock where it is None.
        lease_seconds: how long a text stays with whom it was handed to.
        mode_allowed: the modes that the annotator's role allows.
        agreement_passes: texts on which all agree need no reviewer.

    Returns:
        `acked` (ids of answers that are in the store now), `refused` (`{answer_id, reason}`, never
        blocking the others), `drafted` (tasks whose draft need not be sent again), `tasks`, `gone` (task
        hashes of `have` that others have now), `last_seq` (the annotator's newest answer anywhere: the
        next one must be higher), `progress` (`elsewhere`, where there is nothing to hand out: how many
        texts wait in other windows of the annotator's), and where asked `history`, newest first.

    Raises:
        SchemeError: the request itself is malformed or not allowed; nothing was done.
        StoreError: the answers could not be saved; none of them is acknowledged.
    """
    call = parse_call(request)
    if call.mode not in mode_allowed:
        raise SchemeError(f"mode {call.mode!r} is not allowed to {annotator}")
    adjudicating = call.mode == "adjudicate"
    moment = time.time() if now is None else now
    agreed = adjudicating and not agreement_passes
    holder = Holder(annotator, call.client, moment, lease_seconds, adjudicating, agreed)
    with store.reading():
        answers, refused = _parse_all(store, scheme, annotator, call)
        idle = not answers and not call.drafts and not call.fetch
        # A call that brings nothing new mostly needs nothing written: then it waits for nobody.
        leased = store.lease_unchanged(holder, want=call.want, have=call.have) if idle else None
    saved: dict[str, Any] = {"acked": [], "drafted": []}
    if leased is None:
        saved, leased = _write(store, holder, call, answers)
    return {**saved, "refused": refused, **_told(store, scheme, holder, call, leased, lang)}


def _write(
    store: Store, holder: Holder, call: Call, answers: Sequence[Answer]
) -> tuple[dict[str, Any], Leased]:
    """All that a call changes, in one transaction."""
    with store.queueing():
        acked = store.save_answers(answers) if answers else ()
        drafted = store.save_drafts(holder.annotator, call.drafts)
        _settle(store, holder, answers)
        if call.fetch:
            store.fetch_here(holder)
        leased = store.lease(holder, want=call.want, have=call.have)
    return {"acked": list(acked), "drafted": list(drafted)}, leased


def _told(
    store: Store, scheme: LabelScheme, holder: Holder, call: Call, leased: Leased, lang: str
) -> dict[str, Any]:
    with store.reading():
        progress = _progress(store, holder)
        if call.want and not call.have and not leased.tasks:
            progress["elsewhere"] = store.held_elsewhere(holder)
        last_seq = store.newest_seq(holder.annotator)
        decided = _decided(store, holder, call.before) if call.history else []
        tasks = [*leased.tasks, *(task for task, _ in decided)]
        drafts = store.drafts_of(holder.annotator, [task.task_hash for task in leased.tasks])
        hashes = [task.example.input_hash for task in tasks] if holder.adjudicating else []
        doubts = (store.fact(DOUBTS_FACT) or {}) if holder.adjudicating else {}
        versions = {
            text: [version for version in said if not version.adjudicated]
            for text, said in store.versions(hashes).items()
        }
    shown = [
        show_task(
            task,
            scheme,
            lang=lang,
            draft=drafts.get(task.task_hash),
            versions=versions.get(task.example.input_hash),
            again=task.task_hash in leased.again,
            doubt=doubts.get(task.example.input_hash),
        )
        for task in leased.tasks
    ]
    told: dict[str, Any] = {
        "tasks": shown,
        "gone": list(leased.gone),
        "last_seq": last_seq,
        "progress": progress,
    }
    if call.history:
        told["history"] = [
            {
                "task": show_task(
                    task,
                    scheme,
                    lang=lang,
                    answer=answer,
                    versions=versions.get(task.example.input_hash),
                    doubt=doubts.get(task.example.input_hash),
                ),
                "answer": show_answer(answer, scheme),
            }
            for task, answer in decided
        ]
    return told


def _decided(store: Store, holder: Holder, before: int | None) -> list[tuple[Task, Answer]]:
    """The annotator's decisions in force with a `seq` below `before`, newest first."""
    found = store.search_answers(
        holder.annotator, adjudicated=holder.adjudicating, before=before, limit=UNDO_STEPS
    )
    tasks = store.tasks_by_hash([item.answer.task_hash for item in found])
    return [(tasks[item.answer.task_hash], item.answer) for item in found if item.answer.task_hash in tasks]


def _parse_all(
    store: Store, scheme: LabelScheme, annotator: str, call: Call
) -> tuple[list[Answer], list[dict[str, str]]]:
    named = [raw for raw in call.answers if isinstance(raw, Mapping) and is_id(raw.get("answer_id"))]
    hashes = sorted({raw["task_hash"] for raw in named if is_id(raw.get("task_hash"))})
    tasks = store.tasks_by_hash(hashes) if hashes else {}
    answers: list[Answer] = []
    nameless = {"answer_id": "", "reason": "an answer came without an id"}
    refused = [nameless] * (len(call.answers) - len(named))
    for raw in named:
        try:
            task = tasks.get(raw["task_hash"]) if is_id(raw.get("task_hash")) else None
            answers.append(parse_answer(raw, task, scheme, annotator, call.mode))
        except SchemeError as error:
            refused.append({"answer_id": raw["answer_id"], "reason": str(error)})
    return answers, refused


def _settle(store: Store, holder: Holder, answers: Sequence[Answer]) -> None:
    """What was answered is given back, its draft ended; what was taken back is on this page again."""
    texts = {answer.task_hash: answer.input_hash for answer in answers}
    # A call that arrives late or twice brings what no longer counts.
    newest = store.newest_answers(holder.annotator, list(texts.values()), adjudicated=holder.adjudicating)
    stands = {name: newest[text] for name, text in texts.items() if text in newest}
    done = {name: seq for name, (seq, retracted) in stands.items() if not retracted}
    back = {answer.task_hash for answer in answers if (answer.seq, True) == stands.get(answer.task_hash)}
    if done:
        store.release_leases(list(done), holder.annotator, adjudicating=holder.adjudicating)
        store.end_drafts(holder.annotator, done)
    for name in back:
        store.take_lease(
            name,
            holder.annotator,
            holder.client,
            now=holder.now,
            seconds=holder.seconds,
            adjudicating=holder.adjudicating,
        )


def _progress(store: Store, holder: Holder) -> dict[str, Any]:
    progress = store.progress(holder.annotator)
    shown: dict[str, Any] = {
        "done": progress.done,
        "open": progress.open,
        "rounds": {str(number): list(pair) for number, pair in progress.per_round.items()},
        "mine": progress.decisions if holder.adjudicating else progress.answers,
        "changed": progress.changed,
    }
    if holder.adjudicating:
        shown["disputed"] = progress.differ + (progress.same if holder.agreed else 0)
    return shown
