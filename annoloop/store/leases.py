"""Who is looking at which task: leases that end by themselves, so that nobody's absence blocks a text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import and_, delete, exists, insert, select, update

from annoloop.store.engine import Database
from annoloop.store.rows import task_from_row
from annoloop.store.schema import examples, leases, tasks
from annoloop.types import Task

_TASKS = select(tasks, examples.c.text, examples.c.meta, examples.c.split).join(
    examples, examples.c.input_hash == tasks.c.input_hash
)


class LeaseTables(Database):
    """Times are seconds since 1970, passed in, so that tests and clocks set back are plain cases."""

    def lease_tasks(
        self,
        annotator: str,
        client: str,
        *,
        want: int,
        have: Sequence[str] = (),
        now: float,
        seconds: float = 600,
    ) -> tuple[Task, ...]:
        """Renew the leases of `have` and hand out up to `want` further open tasks, each to one client.

        The client's own live leases that it no longer has come first, then open tasks that nobody
        holds, in the order of asking.
        """
        mine = and_(leases.c.annotator == annotator, leases.c.client == client)
        with self.writing() as connection:
            connection.execute(delete(leases).where(leases.c.until <= now))
            connection.execute(
                update(leases).where(mine, leases.c.task_hash.in_(list(have))).values(until=now + seconds)
            )
            if want <= 0:
                return ()
            held = exists().where(leases.c.task_hash == tasks.c.task_hash)
            own = exists().where(leases.c.task_hash == tasks.c.task_hash, mine)
            is_open = and_(tasks.c.is_open.is_(True), tasks.c.task_hash.not_in(list(have)))
            ordered = _TASKS.order_by(tasks.c.round, tasks.c.rank, tasks.c.position).limit(want)
            rows = list(connection.execute(ordered.where(is_open, own)))
            if len(rows) < want:
                rows += connection.execute(ordered.where(is_open, ~held).limit(want - len(rows)))
            for row in rows:
                self._lease(connection, row.task_hash, annotator, client, now + seconds)
        return tuple(task_from_row(row) for row in rows)

    def take_lease(
        self, task_hash: str, annotator: str, client: str, *, now: float, seconds: float = 600
    ) -> Task | None:
        """Take one task back, as undo does, whoever holds it; None where there is no such task."""
        with self.writing() as connection:
            row = connection.execute(_TASKS.where(tasks.c.task_hash == task_hash)).first()
            if row is None:
                return None
            self._lease(connection, task_hash, annotator, client, now + seconds)
        return task_from_row(row)

    def release_leases(self, task_hashes: Sequence[str], annotator: str, client: str) -> None:
        """Give tasks back before their time, as after an answer."""
        mine = and_(leases.c.annotator == annotator, leases.c.client == client)
        with self.writing() as connection:
            connection.execute(delete(leases).where(mine, leases.c.task_hash.in_(list(task_hashes))))

    @staticmethod
    def _lease(connection: Any, task_hash: str, annotator: str, client: str, until: float) -> None:
        key = {"task_hash": task_hash, "annotator": annotator, "client": client}
        same = and_(*(leases.c[name] == value for name, value in key.items()))
        if connection.execute(update(leases).where(same).values(until=until)).rowcount == 0:
            connection.execute(insert(leases).values(**key, until=until))

    def tasks_by_hash(self, task_hashes: Sequence[str]) -> dict[str, Task]:
        """Tasks by their hash, for checking what a client sends."""
        with self.reading() as connection:
            rows = connection.execute(_TASKS.where(tasks.c.task_hash.in_(list(task_hashes))))
            return {row.task_hash: task_from_row(row) for row in rows}
