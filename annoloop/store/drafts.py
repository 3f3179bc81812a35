"""What annotators have begun and not yet answered."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import and_, delete, insert, or_, select

from annoloop.store.engine import Database
from annoloop.store.rows import dump
from annoloop.store.schema import drafts, in_force, tasks


@dataclass(frozen=True, slots=True)
class Draft:
    """Half an answer, as the page keeps it: JSON. The highest `seq` (see `Answer`) wins."""

    task_hash: str
    seq: int
    content: Mapping[str, Any]


class DraftTables(Database):
    """Each annotator sees only their own."""

    def save_drafts(self, annotator: str, new: Sequence[Draft]) -> tuple[str, ...]:
        """Keep drafts; returns the task hashes of those that need not be sent again.

        One that is older than what is kept, or than the annotator's answer, is let go; so is one of a task
        that is not in the store.
        """
        newest = {draft.task_hash: draft for draft in sorted(new, key=lambda d: d.seq)}
        if not newest:
            return ()
        with self.queueing() as connection:
            kept = connection.execute(
                select(drafts.c.task_hash, drafts.c.seq).where(
                    drafts.c.annotator == annotator, drafts.c.task_hash.in_(list(newest))
                )
            )
            answered = connection.execute(
                select(tasks.c.task_hash, in_force.c.seq)
                .join(in_force, in_force.c.input_hash == tasks.c.input_hash)
                .where(in_force.c.annotator == annotator, tasks.c.task_hash.in_(list(newest)))
            )
            latest: dict[str, int] = {}
            for task_hash, seq in (*kept, *answered):
                latest[task_hash] = max(seq, latest.get(task_hash, 0))
            known = set(
                connection.execute(
                    select(tasks.c.task_hash).where(tasks.c.task_hash.in_(list(newest)))
                ).scalars()
            )
            rows = [
                {"task_hash": name, "annotator": annotator, "seq": draft.seq, "draft": dump(draft.content)}
                for name, draft in newest.items()
                if name in known and draft.seq > latest.get(name, -1)
            ]
            if rows:
                gone = drafts.c.task_hash.in_([row["task_hash"] for row in rows])
                connection.execute(delete(drafts).where(drafts.c.annotator == annotator, gone))
                connection.execute(insert(drafts), rows)
        return tuple(newest)

    def end_drafts(self, annotator: str, answered: Mapping[str, int]) -> None:
        """Let go what was begun on tasks before they were answered: the `seq` of each task's answer."""
        if not answered:
            return
        over = [and_(drafts.c.task_hash == name, drafts.c.seq <= seq) for name, seq in answered.items()]
        with self.queueing() as connection:
            for start in range(0, len(over), 100):
                part = or_(*over[start : start + 100])
                connection.execute(delete(drafts).where(drafts.c.annotator == annotator, part))

    def drafts_of(self, annotator: str, task_hashes: Sequence[str]) -> dict[str, Draft]:
        """What the annotator has begun on these tasks."""
        mine = select(drafts).where(drafts.c.annotator == annotator)
        with self.reading() as connection:
            rows = connection.execute(mine.where(drafts.c.task_hash.in_(list(task_hashes))))
            return {row.task_hash: Draft(row.task_hash, row.seq, json.loads(row.draft)) for row in rows}
