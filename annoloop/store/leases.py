"""Who is looking at which task: leases that end by themselves, so that nobody's absence blocks a text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Engine,
    Select,
    and_,
    bindparam,
    delete,
    exists,
    func,
    insert,
    or_,
    select,
    tuple_,
)

from annoloop.store.engine import Database
from annoloop.store.rows import task_from_row
from annoloop.store.schema import annotator_counts, examples, in_force, leases, task_counts, tasks
from annoloop.types import Task

_TASKS = select(tasks, examples.c.text, examples.c.meta, examples.c.split).join(
    examples, examples.c.input_hash == tasks.c.input_hash
)
_IN_ORDER = (tasks.c.round, tasks.c.rank, tasks.c.position)
# Made once, as in `standing`: they run with every call of the page.
_BY_HASH = _TASKS.where(tasks.c.task_hash.in_(bindparam("hashes", expanding=True)))
_HELD = select(leases.c.task_hash, leases.c.until).where(
    leases.c.annotator == bindparam("annotator"),
    leases.c.client == bindparam("client"),
    leases.c.adjudicating == bindparam("adjudicating"),
    leases.c.until > bindparam("now"),
    leases.c.until <= bindparam("latest"),
)
_GIVE_BACK = delete(leases).where(
    leases.c.task_hash.in_(bindparam("hashes", expanding=True)),
    leases.c.annotator == bindparam("annotator"),
    leases.c.adjudicating == bindparam("adjudicating"),
)

FEW = 4
"""So many texts are handed to a client that asks even where others may want them too."""

LONG_QUEUE = 5_000
"""Of more open tasks than these, an annotator's search goes on where the last one found something."""


@dataclass(frozen=True, slots=True)
class Holder:
    """Who asks for tasks: an annotator in one client (a browser tab), at a moment.

    `now` is in seconds since 1970, `seconds` how long a lease lasts. `adjudicating` asks as a reviewer
    for what others have answered: that on which they differ, with `agreed` also that on which they agree.
    """

    annotator: str
    client: str
    now: float
    seconds: float = 600
    adjudicating: bool = False
    agreed: bool = False

    @property
    def until(self) -> float:
        """When a lease taken now ends."""
        return self.now + self.seconds

    @property
    def latest(self) -> float:
        """A lease that seems to last beyond this was taken before the clock was set back."""
        return self.now + 2 * self.seconds


@dataclass(frozen=True, slots=True)
class Leased:
    """What a client may show: `tasks` it did not have; of these it skipped those in `again` before.

    `gone` are those it had (task hashes) that are not for it any more: it was away for longer than its
    lease, and others have them or have answered them.
    """

    tasks: tuple[Task, ...] = ()
    again: frozenset[str] = frozenset()
    gone: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Plan:
    leased: Leased
    write: tuple[str, ...]


class LeaseTables(Database):
    """Times are seconds since 1970, passed in, so that tests and clocks set back are plain cases."""

    def __init__(self, engine: Engine) -> None:
        super().__init__(engine)
        # By annotator. Tasks wait for others behind it that the annotator has answered: in a long queue
        # there can be thousands, and looking through them again would take longer than all the rest.
        self._reached: dict[str, tuple[int, float, int]] = {}

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
        """Renew the leases of `have` and hand out up to `want` further tasks to this client.

        The client's own live leases that it no longer has come first, then open tasks in the order of
        asking: those that the annotator has not answered and that still want an answer beyond those
        which others hold. Last come tasks that the annotator has skipped once.
        """
        return self.lease(Holder(annotator, client, now, seconds), want=want, have=have).tasks

    def lease_disputed(
        self,
        annotator: str,
        client: str,
        *,
        want: int,
        have: Sequence[str] = (),
        now: float,
        seconds: float = 600,
        agreement_passes: bool = True,
    ) -> tuple[Task, ...]:
        """The same for a reviewer: tasks answered differently by two or more, which nobody has decided.

        Without `agreement_passes` also those on which all agree; skipped answers say nothing.
        """
        holder = Holder(annotator, client, now, seconds, adjudicating=True, agreed=not agreement_passes)
        return self.lease(holder, want=want, have=have).tasks

    def lease(self, holder: Holder, *, want: int, have: Sequence[str] = ()) -> Leased:
        """Hand out tasks as `lease_tasks` and `lease_disputed` do."""
        with self.queueing() as connection:
            plan = self._plan(connection, holder, want, have)
            _hold(connection, holder, plan.write)
        return plan.leased

    def lease_unchanged(self, holder: Holder, *, want: int, have: Sequence[str] = ()) -> Leased | None:
        """What `lease` would return, where it would write nothing; else None.

        Leases are renewed when a third of their time is over: most calls of a page only read.
        """
        with self.reading() as connection:
            plan = self._plan(connection, holder, want, have)
        return None if plan.write else plan.leased

    def take_lease(
        self,
        task_hash: str,
        annotator: str,
        client: str,
        *,
        now: float,
        seconds: float = 600,
        adjudicating: bool = False,
    ) -> Task | None:
        """Take one task back, as undo does, whoever holds it; None where there is no such task."""
        with self.queueing() as connection:
            row = connection.execute(_TASKS.where(tasks.c.task_hash == task_hash)).first()
            if row is None:
                return None
            _hold(connection, Holder(annotator, client, now, seconds, adjudicating), [task_hash])
        return task_from_row(row)

    def release_leases(
        self, task_hashes: Sequence[str], annotator: str, *, adjudicating: bool = False
    ) -> None:
        """Give tasks back before their time, as after an answer: in all of the annotator's clients."""
        held = {"annotator": annotator, "adjudicating": adjudicating}
        with self.queueing() as connection:
            connection.execute(_GIVE_BACK, {"hashes": list(task_hashes), **held})

    def _plan(self, connection: Connection, holder: Holder, want: int, have: Sequence[str]) -> _Plan:
        own = _held(connection, holder)
        overdue = holder.now + holder.seconds * 2 / 3
        known, lost = set(have), [name for name in have if name not in own]
        write = [name for name in have if name in own and own[name] < overdue]
        back = _obtainable(connection, holder, lost) if lost else set()
        gone = _not_said(connection, holder, [name for name in lost if name not in back]) if lost else []
        rows: list[Any] = []
        again: set[str] = set()
        if want > 0:
            mine = [name for name in own if name not in known]
            rows = list(connection.execute(_ordered(_still_asked(holder, mine), want))) if mine else []
        if len(rows) < want:
            taken = [*known, *(row.task_hash for row in rows)]
            room = want - len(rows)
            share = _share(connection, holder, room, taken)
            fresh = self._fresh(connection, holder, share, taken) if share > 0 else []
            rows += fresh
            # Skipped texts come at the very end, not where something is left for others.
            if len(fresh) < share:
                taken = [*known, *(row.task_hash for row in rows)]
                skipped = connection.execute(_skipped(holder, taken).limit(want - len(rows))).all()
                again = {row.task_hash for row in skipped}
                rows += skipped
        write += [name for name in lost if name in back]
        write += [row.task_hash for row in rows if own.get(row.task_hash, 0) < overdue]
        handed = tuple(task_from_row(row) for row in rows)
        return _Plan(Leased(handed, frozenset(again), tuple(gone)), tuple(write))

    def _fresh(self, connection: Connection, holder: Holder, limit: int, but: Sequence[str]) -> list[Any]:
        free = _TASKS.where(_free(holder), tasks.c.task_hash.not_in(list(but)))
        if holder.adjudicating:
            return _disputed(connection, free, limit, ("differ", "same") if holder.agreed else ("differ",))
        asked = _ordered(free.where(_askable(holder)), limit)
        long = connection.execute(select(func.sum(task_counts.c.open))).scalar_one() or 0
        reached = self._reached.get(holder.annotator) if long > LONG_QUEUE else None
        rows: list[Any] = []
        if reached is not None:
            rows += connection.execute(asked.where(tuple_(*_IN_ORDER) >= tuple_(*reached)))
        if not rows:
            rows += connection.execute(asked)
        if rows:
            self._reached[holder.annotator] = (rows[0].round, rows[0].rank, rows[0].position)
        return rows

    def held_elsewhere(self, holder: Holder) -> int:
        """How many texts wait in the annotator's other clients."""
        with self.reading() as connection:
            return int(connection.execute(select(func.count()).where(*_other_clients(holder))).scalar_one())

    def fetch_here(self, holder: Holder) -> None:
        """Move what the annotator's other clients hold to this one, as when another window is gone."""
        with self.queueing() as connection:
            query = select(leases.c.task_hash).where(*_other_clients(holder))
            moved = list(connection.execute(query).scalars())
            connection.execute(delete(leases).where(*_other_clients(holder)))
            _hold(connection, holder, moved)

    def tasks_by_hash(self, task_hashes: Sequence[str]) -> dict[str, Task]:
        """Tasks by their hash, for checking what a client sends."""
        with self.reading() as connection:
            rows = connection.execute(_BY_HASH, {"hashes": list(task_hashes)})
            return {row.task_hash: task_from_row(row) for row in rows}


def _held(connection: Connection, holder: Holder) -> dict[str, float]:
    """The client's own live leases: until when, by task hash."""
    who = {"annotator": holder.annotator, "client": holder.client, "adjudicating": holder.adjudicating}
    rows = connection.execute(_HELD, {**who, "now": holder.now, "latest": holder.latest})
    return {row[0]: row[1] for row in rows}


def _live(holder: Holder) -> ColumnElement[bool]:
    return and_(leases.c.until > holder.now, leases.c.until <= holder.latest)


def _other_clients(holder: Holder) -> tuple[ColumnElement[bool], ...]:
    return (
        leases.c.annotator == holder.annotator,
        leases.c.client != holder.client,
        leases.c.adjudicating.is_(holder.adjudicating),
        _live(holder),
    )


def _share(connection: Connection, holder: Holder, room: int, but: Sequence[str]) -> int:
    """How many more a client gets that has `but`: near the end it holds a quarter of what is left.

    So one who leaves holds up few. Where nobody else has ever answered there is nobody to leave anything to.
    """
    others = annotator_counts.c.annotator != holder.annotator
    active = select(exists().where(others, annotator_counts.c.answers > 0))
    if holder.adjudicating or not connection.execute(active).scalar():
        return room
    free = select(tasks.c.task_hash).where(
        _askable(holder), _free(holder), tasks.c.task_hash.not_in(list(but))
    )
    most = 4 * (room + len(but))
    seen = free.order_by(*_IN_ORDER).limit(most).subquery()
    left = int(connection.execute(select(func.count()).select_from(seen)).scalar_one())
    if not left:
        return room
    return min(room, max(FEW, -(-(left + len(but)) // 4)) - len(but))


def _elsewhere(holder: Holder) -> ColumnElement[bool]:
    """The annotator has the task in another client."""
    return exists().where(leases.c.task_hash == tasks.c.task_hash, *_other_clients(holder))


def _said(holder: Holder) -> ColumnElement[bool]:
    """The annotator's own answer (as a reviewer: decision) to the text is in force."""
    return exists().where(
        in_force.c.input_hash == tasks.c.input_hash,
        in_force.c.annotator == holder.annotator,
        in_force.c.adjudicated.is_(holder.adjudicating),
        in_force.c.retracted.is_(False),
    )


def _askable(holder: Holder) -> ColumnElement[bool]:
    """The task is for this annotator, whoever holds it."""
    if holder.adjudicating:
        return tasks.c.agreement.in_(("differ", "same") if holder.agreed else ("differ",))
    return and_(tasks.c.is_open.is_(True), ~_said(holder))


def _free(holder: Holder) -> ColumnElement[bool]:
    """Nobody holds the task who would answer it in this annotator's place."""
    others = (
        leases.c.task_hash == tasks.c.task_hash,
        leases.c.annotator != holder.annotator,
        leases.c.adjudicating.is_(holder.adjudicating),
        _live(holder),
    )
    if holder.adjudicating:
        return ~or_(exists().where(*others), _elsewhere(holder))
    counted = select(func.count(leases.c.annotator.distinct())).where(*others).scalar_subquery()
    return and_(~_elsewhere(holder), tasks.c.answered + counted < tasks.c.wanted)


def _ordered(query: Select[Any], limit: int) -> Select[Any]:
    return query.order_by(*_IN_ORDER).limit(limit)


def _disputed(connection: Connection, free: Select[Any], limit: int, states: Sequence[str]) -> list[Any]:
    # Each state on its own goes by the index in the order of asking; both together would be sorted.
    rows: list[Any] = []
    for state in states:
        rows += connection.execute(_ordered(free.where(tasks.c.agreement == state), limit))
    return sorted(rows, key=lambda row: (row.round, row.rank, row.position))[:limit]


def _skipped(holder: Holder, but: Sequence[str] = ()) -> Select[Any]:
    """What the annotator has skipped once, the oldest first."""
    query = _TASKS.join(in_force, in_force.c.task_hash == tasks.c.task_hash).where(
        in_force.c.annotator == holder.annotator,
        in_force.c.again.is_(True),
        in_force.c.adjudicated.is_(holder.adjudicating),
        tasks.c.task_hash.not_in(list(but)),
        ~_elsewhere(holder),
    )
    return query.order_by(in_force.c.seq)


def _still_asked(holder: Holder, held: Sequence[str]) -> Select[Any]:
    return _TASKS.where(tasks.c.task_hash.in_(list(held)), _askable(holder))


def _obtainable(connection: Connection, holder: Holder, lost: Sequence[str]) -> set[str]:
    """Those that this client had once, and may have again."""
    query = select(tasks.c.task_hash).where(tasks.c.task_hash.in_(list(lost)))
    fresh = connection.execute(query.where(_askable(holder), _free(holder))).scalars()
    skipped = connection.execute(_skipped(holder).where(tasks.c.task_hash.in_(list(lost))))
    return {*fresh, *(row.task_hash for row in skipped)}


def _not_said(connection: Connection, holder: Holder, lost: Sequence[str]) -> list[str]:
    """Those to which the annotator has said nothing: what was opened again needs no lease."""
    query = select(tasks.c.task_hash).where(tasks.c.task_hash.in_(list(lost)), _said(holder))
    said = set(connection.execute(query).scalars())
    return [name for name in lost if name not in said]


def _hold(connection: Connection, holder: Holder, task_hashes: Sequence[str]) -> None:
    if not task_hashes:
        return
    over = or_(leases.c.until <= holder.now, leases.c.until > holder.now + 2 * holder.seconds)
    mine = (leases.c.annotator == holder.annotator, leases.c.client == holder.client)
    same = and_(leases.c.task_hash.in_(list(task_hashes)), *mine)
    connection.execute(delete(leases).where(or_(over, same)))
    row = {
        "annotator": holder.annotator,
        "client": holder.client,
        "until": holder.until,
        "adjudicating": holder.adjudicating,
    }
    connection.execute(insert(leases), [{**row, "task_hash": name} for name in dict.fromkeys(task_hashes)])
