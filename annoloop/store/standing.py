"""What follows from the answers: which are in force, which tasks are open, where people differ.

It is written in the transaction that appends the answers, and read in place of counting.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import Any

from sqlalchemy import Column, Connection, Table, Update, bindparam, insert, select, update

from annoloop.store.schema import annotator_counts, answers, in_force, task_counts, tasks
from annoloop.types import Answer

CHUNK = 500
"""Values in one IN list: below every database's limit on parameters."""

Place = tuple[str, str, bool]
"""Text, annotator, whether as a reviewer: one answer is in force at each."""

# Made once: making a statement anew costs more than running it, and these run with every decision.
_IN_FORCE = select(in_force).where(in_force.c.input_hash.in_(bindparam("hashes", expanding=True)))
_SAID = select(answers.c.answer_id, answers.c.annotation).where(
    answers.c.answer_id.in_(bindparam("ids", expanding=True))
)
_KEYS = ("input_hash", "annotator", "adjudicated")
_MOVE = (
    update(in_force)
    .where(*(in_force.c[key] == bindparam(f"at_{key}") for key in _KEYS))
    .values({column.name: bindparam(column.name) for column in in_force.c})
)
_STATES = ("answered", "is_open", "agreement")
_ASKED_OF = select(
    tasks.c.task_hash,
    tasks.c.input_hash,
    tasks.c.round,
    tasks.c.wanted,
    tasks.c.doubted,
    *(tasks.c[n] for n in _STATES),
).where(tasks.c.input_hash.in_(bindparam("hashes", expanding=True)))
_CHANGE_TASKS = (
    update(tasks)
    .where(tasks.c.task_hash == bindparam("at"))
    .values({name: bindparam(name) for name in _STATES})
)


def settle(connection: Connection, hashes: Iterable[str], fresh: Sequence[Answer] = ()) -> None:
    """Bring everything that is derived for these texts (input hashes) up to date.

    `fresh` are answers to them that were just appended. The caller holds the queue (`queueing`).
    """
    wanted = sorted(set(hashes))
    for start in range(0, len(wanted), CHUNK):
        part = wanted[start : start + CHUNK]
        mine = set(part)
        _settle(connection, part, [answer for answer in fresh if answer.input_hash in mine])


def _settle(connection: Connection, hashes: Sequence[str], fresh: Sequence[Answer]) -> None:
    found = connection.execute(_IN_FORCE, {"hashes": hashes}).mappings()
    before: dict[Place, dict[str, Any]] = {
        (row["input_hash"], row["annotator"], bool(row["adjudicated"])): dict(row) for row in found
    }
    stand = dict(before)
    for answer in sorted(fresh, key=lambda a: a.seq):
        place = (answer.input_hash, answer.annotator, answer.adjudicated)
        former = stand.get(place)
        if former is None or answer.seq >= former["seq"]:
            stand[place] = _row(answer, former)
    texts = _by_text(connection, stand)
    for rows in texts.values():
        _mark_changed(stand, rows)
    _write(connection, before, stand)
    _count_annotators(connection, before, stand)
    _settle_tasks(connection, hashes, texts)


def _row(answer: Answer, former: Mapping[str, Any] | None) -> dict[str, Any]:
    skipped_before = former is not None and not former["retracted"] and former["verdict"] == "ignore"
    return {
        "input_hash": answer.input_hash,
        "annotator": answer.annotator,
        "adjudicated": answer.adjudicated,
        "answer_id": answer.answer_id,
        "task_hash": answer.task_hash,
        "seq": answer.seq,
        "retracted": answer.retracted,
        "verdict": answer.verdict,
        "again": answer.verdict == "ignore" and not answer.retracted and not skipped_before,
        "changed": False,
    }


def _by_text(connection: Connection, stand: Mapping[Place, Any]) -> dict[str, list[tuple[Place, str]]]:
    """What is said about each text by those whose answer is in force, oldest first: `(place, what)`."""
    texts: dict[str, list[Place]] = defaultdict(list)
    for place, row in sorted(stand.items(), key=lambda item: item[1]["seq"]):
        if not row["retracted"]:
            texts[place[0]].append(place)
    # Only where several have answered is there anything to compare.
    ids = [stand[place]["answer_id"] for places in texts.values() if len(places) > 1 for place in places]
    cells: dict[str, str] = {}
    for start in range(0, len(ids), CHUNK):
        part = connection.execute(_SAID, {"ids": ids[start : start + CHUNK]})
        cells.update((row[0], row[1]) for row in part)
    return {
        text: [(place, _said(stand[place], cells.get(stand[place]["answer_id"], ""))) for place in places]
        for text, places in texts.items()
    }


def _said(row: Mapping[str, Any], annotation: str) -> str:
    return annotation if row["verdict"] == "accept" else str(row["verdict"])


def _decision(said: Sequence[tuple[Place, str]]) -> tuple[Place, str] | None:
    """What the last of the reviewers decided."""
    return next((item for item in reversed(said) if item[0][2]), None)


def _mark_changed(stand: dict[Place, dict[str, Any]], said: Sequence[tuple[Place, str]]) -> None:
    decision = _decision(said)
    for place, what in said:
        if place[2]:
            continue
        row = stand[place]
        changed = decision is not None and decision[0][1] != place[1] and what not in (decision[1], "ignore")
        # What a reviewer has decided needs no second look by who skipped it.
        again = row["again"] and decision is None
        stand[place] = {**row, "changed": changed, "again": again}


def _write(connection: Connection, before: Mapping[Place, Any], stand: Mapping[Place, Any]) -> None:
    new = [row for place, row in stand.items() if place not in before]
    if new:
        connection.execute(insert(in_force), new)
    moved = [
        {**row, **{f"at_{key}": row[key] for key in _KEYS}}
        for place, row in stand.items()
        if place in before and row != before[place]
    ]
    if moved:
        connection.execute(_MOVE, moved)


def _count_annotators(
    connection: Connection, before: Mapping[Place, Any], stand: Mapping[Place, Any]
) -> None:
    differences: dict[str, dict[str, int]] = defaultdict(lambda: dict.fromkeys(_PERSONAL, 0))
    for rows, sign in ((before, -1), (stand, 1)):
        for (_, annotator, adjudicated), row in rows.items():
            counted = differences[annotator]
            counted["decisions" if adjudicated else "answers"] += sign * (not row["retracted"])
            counted["changed"] += sign * bool(row["changed"])
    _add(connection, annotator_counts, annotator_counts.c.annotator, differences)


_PERSONAL = ("answers", "decisions", "changed")


def _settle_tasks(
    connection: Connection, hashes: Sequence[str], texts: Mapping[str, Sequence[tuple[Place, str]]]
) -> None:
    differences: dict[int, dict[str, int]] = defaultdict(lambda: dict.fromkeys(_ASKED, 0))
    moved = []
    for row in connection.execute(_ASKED_OF, {"hashes": hashes}):
        said = texts.get(row.input_hash, ())
        answered = sum(not place[2] for place, _ in said)
        agreement = _agreement(said, doubted=bool(row.doubted))
        is_open = answered < row.wanted and _decision(said) is None
        if (answered, is_open, agreement) == (row.answered, bool(row.is_open), row.agreement):
            continue
        moved.append({"at": row.task_hash, "answered": answered, "is_open": is_open, "agreement": agreement})
        _tally(differences[row.round], bool(row.is_open), row.agreement, -1)
        _tally(differences[row.round], is_open, agreement, 1)
    if moved:
        connection.execute(_CHANGE_TASKS, moved)
    _add(connection, task_counts, task_counts.c.round, differences)


_ASKED = ("done", "open", "same", "differ")


def _agreement(said: Sequence[tuple[Place, str]], *, doubted: bool) -> str:
    opinions = [what for place, what in said if not place[2] and what != "ignore"]
    if not opinions or _decision(said) is not None:
        return "none"
    if doubted:
        return "differ"
    if len(opinions) < 2:
        return "none"
    return "same" if len(set(opinions)) == 1 else "differ"


def _tally(counted: dict[str, int], is_open: bool, agreement: str, sign: int) -> None:
    counted["open" if is_open else "done"] += sign
    if agreement != "none":
        counted[agreement] += sign


def count_new_tasks(connection: Connection, rounds: Iterable[int]) -> None:
    """Count tasks that were just added, all open: the round of each."""
    differences: dict[int, dict[str, int]] = defaultdict(lambda: dict.fromkeys(_ASKED, 0))
    for number in rounds:
        differences[number]["open"] += 1
    _add(connection, task_counts, task_counts.c.round, differences)


def _add(
    connection: Connection, table: Table, key: Column[Any], differences: Mapping[Any, Mapping[str, int]]
) -> None:
    for value, counted in sorted(differences.items()):
        if not any(counted.values()):
            continue
        added = {f"by_{name}": number for name, number in counted.items()}
        if connection.execute(_adding(key, tuple(counted)), {"at": value, **added}).rowcount == 0:
            connection.execute(insert(table).values({key.name: value, **counted}))


@cache
def _adding(key: Column[Any], names: tuple[str, ...]) -> Update:
    # Added by the database, not set: what stands there is never overwritten.
    added = {name: key.table.c[name] + bindparam(f"by_{name}") for name in names}
    return update(key.table).where(key == bindparam("at")).values(added)
