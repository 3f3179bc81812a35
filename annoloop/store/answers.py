"""The store's answers: appended, never changed; the newest of each annotator is in force."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import func, insert, select, update

from annoloop.store.engine import Database
from annoloop.store.rows import answer_from_row, answer_row
from annoloop.store.schema import answers, in_force, tasks
from annoloop.store.texts import chunks
from annoloop.types import Answer


@dataclass(frozen=True, slots=True)
class Progress:
    """How far the asking has come: tasks answered and open, in all and as `{round: (done, open)}`."""

    done: int
    open: int
    per_round: Mapping[int, tuple[int, int]]


class AnswerTables(Database):
    """Answers come in by `save_answers` alone, and are committed before it returns."""

    def save_answers(self, new: Sequence[Answer]) -> tuple[str, ...]:
        """Append answers, each once (by `answer_id`); returns the ids that are now in the store.

        Raises:
            StoreError: nothing of this call was saved (disk full, database locked).
        """
        unique = {answer.answer_id: answer for answer in new}
        with self.writing() as connection:
            for part in chunks(list(unique.values())):
                ids = [answer.answer_id for answer in part]
                known = set(
                    connection.execute(
                        select(answers.c.answer_id).where(answers.c.answer_id.in_(ids))
                    ).scalars()
                )
                fresh = [answer for answer in part if answer.answer_id not in known]
                if fresh:
                    connection.execute(insert(answers), [answer_row(answer) for answer in fresh])
                    self._put_in_force(connection, fresh)
        return tuple(unique)

    def _put_in_force(self, connection: Any, fresh: Sequence[Answer]) -> None:
        newest: dict[tuple[str, str], Answer] = {}
        for answer in fresh:
            place = (answer.input_hash, answer.annotator)
            if place not in newest or answer.seq >= newest[place].seq:
                newest[place] = answer
        hashes = sorted({answer.input_hash for answer in fresh})
        query = select(in_force).where(in_force.c.input_hash.in_(hashes))
        before = {(row.input_hash, row.annotator): row.seq for row in connection.execute(query)}
        inserted, updated = [], []
        for place, answer in newest.items():
            if place not in before:
                inserted.append(_in_force_row(answer))
            elif answer.seq >= before[place]:
                updated.append(answer)
        if inserted:
            connection.execute(insert(in_force), inserted)
        for answer in updated:
            statement = update(in_force).where(
                in_force.c.input_hash == answer.input_hash, in_force.c.annotator == answer.annotator
            )
            connection.execute(statement.values(**_in_force_row(answer)))
        self._count_answered(connection, hashes)

    @staticmethod
    def _count_answered(connection: Any, hashes: Sequence[str]) -> None:
        live = (
            select(func.count())
            .select_from(in_force)
            .where(in_force.c.input_hash == tasks.c.input_hash, in_force.c.retracted.is_(False))
        )
        statement = update(tasks).where(tasks.c.input_hash.in_(hashes))
        counted = live.scalar_subquery()
        connection.execute(statement.values(answered=counted, is_open=counted < tasks.c.wanted))

    def answers_in_force(
        self, annotator: str | None = None, *, hashes: Iterable[str] | None = None
    ) -> tuple[Answer, ...]:
        """The newest answer of each annotator to each text, oldest first, without those taken back."""
        query = select(answers).join(in_force, in_force.c.answer_id == answers.c.answer_id)
        query = query.where(in_force.c.retracted.is_(False)).order_by(answers.c.position)
        if annotator is not None:
            query = query.where(answers.c.annotator == annotator)
        with self.reading() as connection:
            if hashes is None:
                return tuple(answer_from_row(row) for row in connection.execute(query))
            found: list[Answer] = []
            for part in chunks(hashes):
                rows = connection.execute(query.where(answers.c.input_hash.in_(part)))
                found.extend(answer_from_row(row) for row in rows)
            return tuple(found)

    def answer_history(self, annotator: str | None = None, limit: int = 100) -> tuple[Answer, ...]:
        """All that was ever answered, newest first, those taken back and replaced included."""
        query = select(answers).order_by(answers.c.position.desc()).limit(limit)
        if annotator is not None:
            query = query.where(answers.c.annotator == annotator)
        with self.reading() as connection:
            return tuple(answer_from_row(row) for row in connection.execute(query))

    def answer_count(self) -> int:
        """How many answers were ever appended."""
        with self.reading() as connection:
            return int(connection.execute(select(func.count()).select_from(answers)).scalar_one())

    def progress(self, annotator: str | None = None) -> Progress:
        """Tasks done and open; with an annotator, `done` counts that annotator's own."""
        done_flag = tasks.c.is_open.is_(False)
        query = select(tasks.c.round, done_flag, func.count()).group_by(tasks.c.round, done_flag)
        with self.reading() as connection:
            per_round: dict[int, tuple[int, int]] = {}
            for number, is_done, count in connection.execute(query):
                done, still_open = per_round.get(number, (0, 0))
                per_round[number] = (done + count, still_open) if is_done else (done, still_open + count)
            done = sum(pair[0] for pair in per_round.values())
            if annotator is not None:
                own = select(func.count()).select_from(in_force)
                own = own.where(in_force.c.annotator == annotator, in_force.c.retracted.is_(False))
                done = int(connection.execute(own).scalar_one())
        return Progress(done, sum(pair[1] for pair in per_round.values()), dict(sorted(per_round.items())))


def _in_force_row(answer: Answer) -> dict[str, Any]:
    return {
        "input_hash": answer.input_hash,
        "annotator": answer.annotator,
        "answer_id": answer.answer_id,
        "task_hash": answer.task_hash,
        "seq": answer.seq,
        "retracted": answer.retracted,
        "verdict": answer.verdict,
        "adjudicated": answer.adjudicated,
    }
