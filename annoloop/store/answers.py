"""The store's answers: appended, never changed; the newest of each annotator is in force."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from sqlalchemy import bindparam, func, insert, select

from annoloop.store.engine import Database
from annoloop.store.rows import answer_from_row, answer_row
from annoloop.store.schema import annotator_counts, answers, in_force, task_counts
from annoloop.store.standing import settle
from annoloop.store.texts import chunks
from annoloop.types import Answer


@dataclass(frozen=True, slots=True)
class Progress:
    """How far the asking has come: tasks answered and open, in all and as `{round: (done, open)}`.

    `differ` and `same` count tasks that several have answered and no reviewer has decided. `answers` and
    `decisions` (as a reviewer) are one annotator's own in force, `changed` those of them that a reviewer
    decided otherwise; 0 where nobody was asked about.
    """

    done: int
    open: int
    per_round: Mapping[int, tuple[int, int]] = field(default_factory=dict)
    differ: int = 0
    same: int = 0
    answers: int = 0
    decisions: int = 0
    changed: int = 0


# Made once, as in `standing`: they run with every call of the page.
_KNOWN = select(answers.c.answer_id).where(answers.c.answer_id.in_(bindparam("ids", expanding=True)))
_NEWEST_SEQ = select(func.max(in_force.c.seq)).where(in_force.c.annotator == bindparam("annotator"))
_NEWEST = select(in_force.c.input_hash, in_force.c.seq, in_force.c.retracted).where(
    in_force.c.input_hash.in_(bindparam("hashes", expanding=True)),
    in_force.c.annotator == bindparam("annotator"),
    in_force.c.adjudicated == bindparam("adjudicated"),
)
_COUNTS = select(task_counts).order_by(task_counts.c.round)
_OWN_COUNTS = select(annotator_counts).where(annotator_counts.c.annotator == bindparam("annotator"))


class AnswerTables(Database):
    """Answers come in by `save_answers` alone, and are committed before it returns."""

    def save_answers(self, new: Sequence[Answer]) -> tuple[str, ...]:
        """Append answers, each once (by `answer_id`); returns the ids that are now in the store.

        Raises:
            StoreError: nothing of this call was saved (disk full, database locked).
        """
        unique = {answer.answer_id: answer for answer in new}
        with self.queueing() as connection:
            for part in chunks(list(unique.values())):
                ids = [answer.answer_id for answer in part]
                known = set(connection.execute(_KNOWN, {"ids": ids}).scalars())
                fresh = [answer for answer in part if answer.answer_id not in known]
                if fresh:
                    connection.execute(insert(answers), [answer_row(answer) for answer in fresh])
                    settle(connection, [answer.input_hash for answer in fresh], fresh)
        return tuple(unique)

    def answers_in_force(
        self, annotator: str | None = None, *, hashes: Iterable[str] | None = None
    ) -> tuple[Answer, ...]:
        """The newest answer of each annotator to each text, oldest first, without those taken back.

        What somebody decided as a reviewer (`adjudicated`) stands beside that person's own answer.
        """
        query = select(answers).join(in_force, in_force.c.answer_id == answers.c.answer_id)
        query = query.where(in_force.c.retracted.is_(False)).order_by(answers.c.position)
        if annotator is not None:
            query = query.where(in_force.c.annotator == annotator)
        with self.reading() as connection:
            if hashes is None:
                return tuple(answer_from_row(row) for row in connection.execute(query))
            found: list[Answer] = []
            for part in chunks(hashes):
                rows = connection.execute(query.where(in_force.c.input_hash.in_(part)))
                found.extend(answer_from_row(row) for row in rows)
            return tuple(found)

    def versions(self, input_hashes: Iterable[str]) -> dict[str, tuple[Answer, ...]]:
        """All answers in force to these texts, oldest first; a text without any has an empty tuple."""
        found: dict[str, list[Answer]] = {input_hash: [] for input_hash in input_hashes}
        for answer in self.answers_in_force(hashes=list(found)):
            found[answer.input_hash].append(answer)
        return {input_hash: tuple(said) for input_hash, said in found.items()}

    def answer_history(self, annotator: str | None = None, limit: int = 100) -> tuple[Answer, ...]:
        """All that was ever answered, newest first, those taken back and replaced included."""
        query = select(answers).order_by(answers.c.position.desc()).limit(limit)
        if annotator is not None:
            query = query.where(answers.c.annotator == annotator)
        with self.reading() as connection:
            return tuple(answer_from_row(row) for row in connection.execute(query))

    def newest_seq(self, annotator: str) -> int:
        """The highest `seq` of this annotator's answers, taken back ones included; 0 where there is none."""
        with self.reading() as connection:
            return int(connection.execute(_NEWEST_SEQ, {"annotator": annotator}).scalar() or 0)

    def newest_answers(
        self, annotator: str, hashes: Sequence[str], *, adjudicated: bool
    ) -> dict[str, tuple[int, bool]]:
        """By text: the `seq` of this annotator's newest answer, and whether it takes the one before back."""
        mine = {"annotator": annotator, "adjudicated": adjudicated}
        found: dict[str, tuple[int, bool]] = {}
        with self.reading() as connection:
            for part in chunks(hashes):
                rows = connection.execute(_NEWEST, {"hashes": part, **mine})
                found.update((row.input_hash, (row.seq, bool(row.retracted))) for row in rows)
        return found

    def answer_count(self) -> int:
        """How many answers were ever appended."""
        with self.reading() as connection:
            return int(connection.execute(select(func.count()).select_from(answers)).scalar_one())

    def progress(self, annotator: str | None = None) -> Progress:
        """Tasks done and open, and an annotator's own count: read, not counted."""
        with self.reading() as connection:
            rounds = list(connection.execute(_COUNTS))
            own = {"annotator": annotator}
            person = connection.execute(_OWN_COUNTS, own).first() if annotator is not None else None
        return Progress(
            done=sum(row.done for row in rounds),
            open=sum(row.open for row in rounds),
            per_round={row.round: (row.done, row.open) for row in rounds},
            differ=sum(row.differ for row in rounds),
            same=sum(row.same for row in rounds),
            answers=person.answers if person else 0,
            decisions=person.decisions if person else 0,
            changed=person.changed if person else 0,
        )
