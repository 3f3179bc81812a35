"""The store's texts, and the questions about them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

from sqlalchemy import func, insert, select, update

from annoloop.store.engine import Database
from annoloop.store.rows import (
    example_from_row,
    example_row,
    suggestion_to_json,
    task_from_row,
    text_from_cell,
)
from annoloop.store.schema import examples, in_force, tasks
from annoloop.store.standing import CHUNK, count_new_tasks, settle
from annoloop.types import Example, Split, Task


def chunks(values: Iterable[Any], size: int = CHUNK) -> Iterator[list[Any]]:
    """The values in lists of at most `size`."""
    iterator = iter(values)
    while part := list(islice(iterator, size)):
        yield part


class TextTables(Database):
    """Texts go in once and stay; their split never changes once the project is frozen."""

    def add_examples(self, new: Iterable[Example], *, excluded: Mapping[str, str] | None = None) -> int:
        """Add texts that are not yet there, all or none; returns how many were new.

        `excluded` maps input hashes to the reason why that text is kept out of the pool.
        """
        reasons = excluded or {}
        added = 0
        with self.writing() as connection:
            for part in chunks(new):
                known = self._known(connection, [e.input_hash for e in part])
                fresh = {e.input_hash: e for e in part if e.input_hash not in known}
                rows = [{**example_row(e), "excluded": reasons.get(e.input_hash)} for e in fresh.values()]
                if rows:
                    connection.execute(insert(examples), rows)
                added += len(rows)
        return added

    def exclude_examples(self, reasons: Mapping[str, str]) -> None:
        """Keep these texts (by input hash) out of tasks and training, each with its reason."""
        with self.writing() as connection:
            for input_hash, reason in reasons.items():
                statement = update(examples).where(examples.c.input_hash == input_hash)
                connection.execute(statement.values(excluded=reason))

    def move_examples(self, hashes: Iterable[str], split: Split) -> int:
        """Put texts into another split, as before round 1 only; returns how many were not there yet."""
        moved = 0
        with self.writing() as connection:
            for part in chunks(hashes):
                statement = update(examples).where(examples.c.input_hash.in_(part), examples.c.split != split)
                moved += connection.execute(statement.values(split=split, excluded=None)).rowcount
        return moved

    @staticmethod
    def _known(connection: Any, hashes: Sequence[str]) -> set[str]:
        found = connection.execute(select(examples.c.input_hash).where(examples.c.input_hash.in_(hashes)))
        return set(found.scalars())

    def known_hashes(self, hashes: Iterable[str]) -> set[str]:
        """Those of the input hashes that are in the store."""
        with self.reading() as connection:
            return set().union(*(self._known(connection, part) for part in chunks(hashes)))

    def examples(
        self, *, split: Split | None = None, hashes: Sequence[str] | None = None, excluded: bool = False
    ) -> tuple[Example, ...]:
        """Texts in the order in which they were added; with `excluded` also those kept out."""
        query = select(examples).order_by(examples.c.position)
        if split is not None:
            query = query.where(examples.c.split == split)
        if not excluded:
            query = query.where(examples.c.excluded.is_(None))
        with self.reading() as connection:
            if hashes is None:
                return tuple(example_from_row(row) for row in connection.execute(query))
            found: list[Example] = []
            for part in chunks(hashes):
                rows = connection.execute(query.where(examples.c.input_hash.in_(part)))
                found.extend(example_from_row(row) for row in rows)
            return tuple(found)

    def answered_examples(self, split: Split) -> tuple[Example, ...]:
        """The texts of a split with an answer in force, in the order in which they were added."""
        answered = select(in_force.c.input_hash).where(in_force.c.retracted.is_(False))
        query = select(examples).where(examples.c.split == split, examples.c.excluded.is_(None))
        query = query.where(examples.c.input_hash.in_(answered)).order_by(examples.c.position)
        with self.reading() as connection:
            return tuple(example_from_row(row) for row in connection.execute(query))

    def places(self, split: Split) -> list[tuple[int, str]]:
        """(position, input hash) of each text of a split that is not kept out, in their order.

        A text's position is a number that no other text of the store ever has.
        """
        with self.reading() as connection:
            return self._places(connection, split)

    def unasked(self, split: Split) -> list[tuple[int, str]]:
        """Of the `places` of a split those of texts without a question or an answer."""
        with self.reading() as connection:
            taken = set(connection.execute(select(tasks.c.input_hash)).scalars())
            answered = select(in_force.c.input_hash).where(in_force.c.retracted.is_(False))
            taken.update(connection.execute(answered).scalars())
            rows = self._places(connection, split)
        return [row for row in rows if row[1] not in taken] if taken else rows

    @staticmethod
    def _places(connection: Any, split: Split) -> list[tuple[int, str]]:
        query = select(examples.c.position, examples.c.input_hash).order_by(examples.c.position)
        query = query.where(examples.c.split == split, examples.c.excluded.is_(None))
        # The driver's own tuples: making a million of SQLAlchemy's rows takes longer than reading them.
        rows: list[tuple[int, str]] = list(connection.execute(query).cursor.fetchall())
        return rows

    def positions(self, hashes: Iterable[str]) -> list[tuple[int, str]]:
        """(position, input hash) of these texts, as far as they are there."""
        query = select(examples.c.position, examples.c.input_hash)
        found: list[tuple[int, str]] = []
        with self.reading() as connection:
            for part in chunks(hashes):
                rows = connection.execute(query.where(examples.c.input_hash.in_(part)))
                found.extend((row[0], row[1]) for row in rows)
        return found

    def texts_at(self, positions: Iterable[int]) -> dict[int, str]:
        """Texts by their position, as far as they are there."""
        query = select(examples.c.position, examples.c.text)
        found: dict[int, str] = {}
        with self.reading() as connection:
            for part in chunks(positions):
                rows = connection.execute(query.where(examples.c.position.in_(part)))
                found.update((row[0], text_from_cell(row[1])) for row in rows)
        return found

    def example_counts(self) -> Mapping[Split, int]:
        """How many texts each split holds, without those kept out."""
        query = select(examples.c.split, func.count()).where(examples.c.excluded.is_(None))
        with self.reading() as connection:
            counted = Counter(
                {row[0]: row[1] for row in connection.execute(query.group_by(examples.c.split))}
            )
        return {split: counted[split] for split in ("pool", "dev", "held_out")}  # type: ignore[misc]

    def excluded_count(self) -> int:
        """How many texts are kept out of the pool."""
        query = select(func.count()).select_from(examples).where(examples.c.excluded.is_not(None))
        with self.reading() as connection:
            return int(connection.execute(query).scalar_one())

    def add_tasks(self, new: Iterable[Task]) -> int:
        """Add questions that are not yet asked, all or none; returns how many were new."""
        wanted = {task.task_hash: task for task in new}
        with self.queueing() as connection:
            for part in chunks(list(wanted)):
                known = connection.execute(select(tasks.c.task_hash).where(tasks.c.task_hash.in_(part)))
                for task_hash in known.scalars():
                    del wanted[task_hash]
            for part in chunks(wanted.values()):
                connection.execute(insert(tasks), [_task_row(task) for task in part])
            count_new_tasks(connection, (task.round for task in wanted.values()))
            # A text may have answers already, as imported gold has.
            settle(connection, (task.example.input_hash for task in wanted.values()))
        return len(wanted)

    def tasks(self, *, round: int | None = None, open_only: bool = False) -> tuple[Task, ...]:
        """Questions in the order in which they are asked: by round, then the highest priority first."""
        query = select(tasks, *_EXAMPLE_COLUMNS).join(examples, examples.c.input_hash == tasks.c.input_hash)
        query = query.order_by(tasks.c.round, tasks.c.rank, tasks.c.position)
        if round is not None:
            query = query.where(tasks.c.round == round)
        if open_only:
            query = query.where(tasks.c.is_open.is_(True))
        with self.reading() as connection:
            return tuple(task_from_row(row) for row in connection.execute(query))


_EXAMPLE_COLUMNS = (examples.c.text, examples.c.meta, examples.c.split)


def _task_row(task: Task) -> dict[str, Any]:
    return {
        "task_hash": task.task_hash,
        "input_hash": task.example.input_hash,
        "suggestion": suggestion_to_json(task.suggestion),
        "assisted": task.assisted,
        "rank": -task.priority,
        "round": task.round,
        "answered": 0,
        "wanted": task.wanted,
        "is_open": True,
        "agreement": "none",
    }
