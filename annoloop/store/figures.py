"""What the answers add up to: counted in the database, so that a hundred thousand of them stay quick."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, func, select

from annoloop.store.engine import Database
from annoloop.store.rows import annotation_from_json, suggestion_from_json
from annoloop.store.schema import answers, examples, in_force, predictions, tasks
from annoloop.store.texts import chunks
from annoloop.types import Annotation, Split

TICK = 100
"""Milliseconds in one step of `looked_at`."""

SEARCHED = 5
"""How many answers are looked through for each one wanted."""

_WORDS = func.length(examples.c.text) - func.length(func.replace(examples.c.text, " ", "")) + 1
"""Words of a text, counted by the blanks between them."""

DAY = 86_400_000_000
"""Microseconds in a day: `seq` counts microseconds."""


@dataclass(frozen=True, slots=True)
class Timed:
    """One answer's time: milliseconds looked at, words of its text, whether a suggestion was shown.

    `entities` counts the spans of the answer, or its categories; `edits` those added to and taken out of what
    was suggested, of nothing where nothing was. `round` is that of its question.
    """

    annotator: str
    milliseconds: int
    words: int
    blind: bool
    input_hash: str = ""
    round: int = 0
    entities: int = 0
    edits: int = 0


class FigureTables(Database):
    """Sums over answers, reviewers' decisions left out.

    Answers taken back count as time spent, never as texts done.
    """

    def newest_answer(self) -> int:
        """The place of the newest answer: what was counted up to here stays counted."""
        with self.reading() as connection:
            return int(connection.execute(select(func.max(answers.c.position))).scalar() or 0)

    def done_per_day(self, *, utc_offset: int = 0) -> Mapping[tuple[str, int], int]:
        """Texts with an answer in force, by (annotator, day since 1970), `utc_offset` seconds east of UTC."""
        day = ((in_force.c.seq + utc_offset * 1_000_000) // DAY).label("day")
        query = select(in_force.c.annotator, day, func.count())
        query = query.where(in_force.c.retracted.is_(False), in_force.c.adjudicated.is_(False))
        with self.reading() as connection:
            rows = connection.execute(query.group_by(in_force.c.annotator, day))
            return {(row[0], int(row[1])): int(row[2]) for row in rows}

    def looked_at(self) -> Mapping[tuple[str, bool], Mapping[int, int]]:
        """Times of all answers, by (annotator, simulated): `{steps of TICK milliseconds: answers}`."""
        ticks = (answers.c.milliseconds // TICK).label("ticks")
        kept = (answers.c.annotator, answers.c.simulated, ticks)
        found: dict[tuple[str, bool], dict[int, int]] = {}
        with self.reading() as connection:
            for who, simulated, tick, count in connection.execute(
                select(*kept, func.count()).where(answers.c.adjudicated.is_(False)).group_by(*kept)
            ):
                found.setdefault((who, bool(simulated)), {})[int(tick)] = int(count)
        return found

    def newest_times(
        self, *, limit: int, blind: bool | None = None, pool_only: bool = True
    ) -> tuple[Timed, ...]:
        """Recent answers of people in force, newest first; only blind or only assisted ones if asked.

        Recent means among the newest `SEARCHED` times `limit`.
        """
        newest = select(answers.c.position).order_by(answers.c.position.desc())
        oldest = newest.offset(SEARCHED * limit).limit(1).scalar_subquery()
        query = (
            select(
                answers.c.annotator,
                answers.c.milliseconds,
                _WORDS.label("words"),
                answers.c.blind,
                answers.c.input_hash,
                answers.c.annotation,
                tasks.c.round,
                tasks.c.suggestion,
            )
            .join(in_force, in_force.c.answer_id == answers.c.answer_id)
            .join(examples, examples.c.input_hash == answers.c.input_hash)
            .join(tasks, tasks.c.task_hash == answers.c.task_hash, isouter=True)
            .where(
                answers.c.position > func.coalesce(oldest, 0),
                answers.c.simulated.is_(False),
                answers.c.retracted.is_(False),
                answers.c.adjudicated.is_(False),
                answers.c.verdict != "ignore",
                # Of imported labels nobody knows how long they took.
                answers.c.milliseconds > 0,
            )
            .order_by(answers.c.position.desc())
            .limit(limit)
        )
        if pool_only:
            query = query.where(examples.c.split == "pool")
        if blind is not None:
            query = query.where(answers.c.blind.is_(blind))
        with self.reading() as connection:
            return tuple(_timed(row) for row in connection.execute(query))

    def words_ahead(self, *, limit: int) -> float | None:
        """Mean words of the pool texts without a question or an answer; None where there is none.

        Of the first `limit` by their hashes, which are as good as chance.
        """
        asked = select(tasks.c.task_hash).where(tasks.c.input_hash == examples.c.input_hash).exists()
        said = select(in_force.c.answer_id).where(
            in_force.c.input_hash == examples.c.input_hash, in_force.c.retracted.is_(False)
        )
        waiting = select(_WORDS.label("words")).where(
            examples.c.split == "pool", examples.c.excluded.is_(None), ~asked, ~said.exists()
        )
        counted = waiting.order_by(examples.c.input_hash).limit(limit).subquery()
        with self.reading() as connection:
            mean = connection.execute(select(func.avg(counted.c.words))).scalar()
        return None if mean is None else float(mean)

    def answers_wanted(self) -> Mapping[int, int]:
        """How many answers the open tasks still want, by round, in the order of asking."""
        missing = func.sum(tasks.c.wanted - tasks.c.answered)
        query = select(tasks.c.round, missing).where(tasks.c.is_open.is_(True))
        with self.reading() as connection:
            rows = connection.execute(query.group_by(tasks.c.round).order_by(tasks.c.round))
            return {int(row[0]): int(row[1]) for row in rows}

    def answered_by_several(self) -> tuple[str, ...]:
        """Hashes of the texts with two or more answers in force, a reviewer's decision counted as one."""
        said = in_force.c.retracted.is_(False) & (in_force.c.verdict == "accept")
        query = select(in_force.c.input_hash).where(said).group_by(in_force.c.input_hash)
        with self.reading() as connection:
            return tuple(connection.execute(query.having(func.count() > 1)).scalars())

    def accepted_and_rejected(self) -> int:
        """How many texts one person accepted and another rejected, as their answers stand."""
        said = in_force.c.retracted.is_(False) & answers.c.simulated.is_(False)
        person = said & in_force.c.adjudicated.is_(False) & in_force.c.verdict.in_(("accept", "reject"))
        both = func.count(in_force.c.verdict.distinct()) > 1
        by_text = select(in_force.c.input_hash).join(answers, answers.c.answer_id == in_force.c.answer_id)
        query = by_text.where(person).group_by(in_force.c.input_hash).having(both)
        with self.reading() as connection:
            return int(connection.execute(select(func.count()).select_from(query.subquery())).scalar_one())

    def asked_of_several(self) -> tuple[int, int]:
        """How many texts several are asked about, and how many of these still want an answer."""
        query = select(func.count(), func.count().filter(tasks.c.is_open)).where(tasks.c.wanted > 1)
        with self.reading() as connection:
            asked, still_open = connection.execute(query).one()
        return int(asked), int(still_open)

    def answered_after(self, position: int) -> frozenset[str]:
        """Hashes of the texts about which something was said after this place."""
        query = select(answers.c.input_hash).where(answers.c.position > position).distinct()
        with self.reading() as connection:
            return frozenset(connection.execute(query).scalars())

    def splits(self, hashes: Iterable[str]) -> Mapping[str, Split]:
        """The split of each of these texts."""
        found: dict[str, Split] = {}
        with self.reading() as connection:
            for part in chunks(hashes):
                query = select(examples.c.input_hash, examples.c.split).where(examples.c.input_hash.in_(part))
                found.update((row[0], row[1]) for row in connection.execute(query))
        return found

    def prediction_count(self, prefix: str) -> int:
        """How many predictions are kept of the sources whose key starts so."""
        with self.reading() as connection:
            query = select(func.count()).select_from(predictions).where(_of(prefix))
            return int(connection.execute(query).scalar_one())

    def prediction_details(self, prefix: str) -> Iterator[Mapping[str, Any]]:
        """The details of all predictions of the sources whose key starts so."""
        with self.reading() as connection:
            cells = list(connection.execute(select(predictions.c.detail).where(_of(prefix))).scalars())
        return (json.loads(cell) for cell in cells)


def _timed(row: Any) -> Timed:
    said = annotation_from_json(json.loads(row.annotation))
    suggestion = None if row.blind else suggestion_from_json(row.suggestion)
    shown = suggestion.annotation if suggestion else Annotation()
    edits = len({*said.spans, *said.labels} ^ {*shown.spans, *shown.labels})
    entities = len(said.spans) + len(said.labels)
    counted = (int(row.milliseconds), int(row.words), bool(row.blind))
    return Timed(row.annotator, *counted, row.input_hash, row.round or 0, entities, edits)


def _of(prefix: str) -> ColumnElement[bool]:
    return predictions.c.source.startswith(prefix, autoescape=True)
