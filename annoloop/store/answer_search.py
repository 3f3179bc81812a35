"""Answers looked for: the newest first, by what was said and what the text says."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import Select, or_, select

from annoloop.store.engine import Database
from annoloop.store.rows import answer_from_row, example_from_row
from annoloop.store.schema import answers, examples, in_force
from annoloop.store.text_search import says
from annoloop.types import Answer, Example

Only = Literal["flagged", "commented", "skipped", "changed"]


@dataclass(frozen=True, slots=True)
class FoundAnswer:
    """An answer in force with its text. `decision` is what a reviewer said, where the text has one."""

    answer: Answer
    example: Example
    decision: Answer | None
    changed: bool


class AnswerSearch(Database):
    """Reading only."""

    def search_answers(
        self,
        annotator: str | None,
        *,
        text: str = "",
        only: Only | None = None,
        adjudicated: bool | None = None,
        before: int | None = None,
        limit: int = 50,
    ) -> tuple[FoundAnswer, ...]:
        """Answers in force, the highest `seq` first; for the next page give the last one's as `before`.

        Args:
            annotator: whose; None for everybody's.
            text: stands in the text or in the comment, in any case.
            only: with a flag, with a comment, skipped, or decided otherwise by somebody else.
            adjudicated: only decisions of reviewers, or only answers that are none; None: both.
            limit: at most so many, and those that share the last one's `seq`.
        """
        query = _query(annotator, only, adjudicated)
        with self.reading() as connection:
            if text.strip():
                wanted = [says(column, text, connection) for column in (examples.c.text, answers.c.comment)]
                query = query.where(or_(*wanted))
            page = query.where(in_force.c.seq < before) if before is not None else query
            rows = list(connection.execute(page.limit(limit)))
            if len(rows) == limit:
                seen = {row.answer_id for row in rows}
                ties = connection.execute(query.where(in_force.c.seq == rows[-1].seq))
                rows += [row for row in ties if row.answer_id not in seen]
            decisions = self._decisions([row.input_hash for row in rows], connection)
        return tuple(
            FoundAnswer(
                answer_from_row(row),
                example_from_row(row),
                None if row.adjudicated else decisions.get(row.input_hash),
                bool(row.changed),
            )
            for row in rows
        )

    @staticmethod
    def _decisions(hashes: list[str], connection: Any) -> dict[str, Answer]:
        """The last reviewer's decision on each text."""
        query = select(answers).join(in_force, in_force.c.answer_id == answers.c.answer_id)
        query = query.where(
            in_force.c.input_hash.in_(hashes),
            in_force.c.adjudicated.is_(True),
            in_force.c.retracted.is_(False),
        )
        rows = connection.execute(query.order_by(in_force.c.seq))
        return {row.input_hash: answer_from_row(row) for row in rows}


def _query(annotator: str | None, only: Only | None, adjudicated: bool | None) -> Select[Any]:
    columns = (examples.c.text, examples.c.meta, examples.c.split, in_force.c.changed)
    query = (
        select(answers, *columns)
        .join(in_force, in_force.c.answer_id == answers.c.answer_id)
        .join(examples, examples.c.input_hash == answers.c.input_hash)
        .where(in_force.c.retracted.is_(False))
        .order_by(in_force.c.seq.desc(), answers.c.position.desc())
    )
    if annotator is not None:
        query = query.where(in_force.c.annotator == annotator)
    if adjudicated is not None:
        query = query.where(in_force.c.adjudicated.is_(adjudicated))
    match only:
        case "flagged":
            query = query.where(answers.c.flagged.is_(True))
        case "commented":
            query = query.where(answers.c.comment != "")
        case "skipped":
            query = query.where(in_force.c.verdict == "ignore")
        case "changed":
            query = query.where(in_force.c.changed.is_(True))
    return query
