"""Texts looked for: by what they say, where they are in the project, and what was said about them."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import Column, ColumnElement, Connection, Select, exists, func, or_, select

from annoloop.store.engine import Database
from annoloop.store.rows import example_from_row
from annoloop.store.schema import answers, examples, in_force, tasks
from annoloop.types import Example, Split

State = Literal["answered", "open", "unasked", "flagged", "excluded"]
LONGEST_QUERY = 500

_FOLD = "annoloop_fold"
_LIVE = in_force.c.retracted.is_(False)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What texts are looked for; None and "" mean any.

    `text` stands somewhere in the text, in any case. `labels`: an answer in force says one of them.
    `state` "open": still asked; "unasked": in no batch yet; "excluded": kept out of learning.
    """

    text: str = ""
    split: Split | None = None
    round: int | None = None
    state: State | None = None
    labels: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Found:
    """A text with where it stands: `round` None before it was asked about, `excluded` says why it is out."""

    example: Example
    position: int
    round: int | None
    is_open: bool
    answered: int
    excluded: str | None


class TextSearch(Database):
    """Reading only; nothing here takes longer than one pass over the texts."""

    def search_texts(self, wanted: Wanted, *, after: int = 0, limit: int = 25) -> tuple[Found, ...]:
        """At most `limit` texts, in the order in which they were added, behind the position `after`."""
        columns = (examples, tasks.c.round.label("asked_in"), tasks.c.is_open, tasks.c.answered)
        query = select(*columns).select_from(examples.outerjoin(tasks, _newest_task()))
        with self.reading() as connection:
            query = _where(query, wanted, connection).where(examples.c.position > after)
            rows = connection.execute(query.order_by(examples.c.position).limit(limit))
            return tuple(
                Found(
                    example_from_row(row),
                    row.position,
                    row.asked_in,
                    bool(row.is_open),
                    row.answered or 0,
                    row.excluded,
                )
                for row in rows
            )

    def count_texts(self, wanted: Wanted, *, at_most: int = 1_000) -> int:
        """How many texts there are, counted up to `at_most`."""
        query = select(examples.c.position).select_from(examples.outerjoin(tasks, _newest_task()))
        with self.reading() as connection:
            few = _where(query, wanted, connection).limit(at_most).subquery()
            return int(connection.execute(select(func.count()).select_from(few)).scalar_one())

    def unanswered_texts(self, split: Split, *, limit: int) -> tuple[Example, ...]:
        """At most `limit` texts of a split that nobody has answered, drawn by their hash."""
        query = select(examples).where(examples.c.split == split, examples.c.excluded.is_(None))
        said = exists().where(in_force.c.input_hash == examples.c.input_hash, _LIVE)
        with self.reading() as connection:
            rows = connection.execute(query.where(~said).order_by(examples.c.input_hash).limit(limit))
            return tuple(example_from_row(row) for row in rows)

    def asked_rounds(self) -> tuple[int, ...]:
        """The numbers of the rounds in which texts were asked about, 0 for the blind ones."""
        with self.reading() as connection:
            found = connection.execute(select(tasks.c.round).distinct().order_by(tasks.c.round))
            return tuple(found.scalars())


def _newest_task() -> Any:
    # Changed labels make another question of the same text: one row a text all the same.
    other = tasks.alias()
    newest = select(func.max(other.c.position)).where(other.c.input_hash == examples.c.input_hash)
    return tasks.c.position == newest.scalar_subquery()


def _where(query: Select[Any], wanted: Wanted, connection: Connection) -> Select[Any]:
    if wanted.split is not None:
        query = query.where(examples.c.split == wanted.split)
    if wanted.round is not None:
        query = query.where(tasks.c.round == wanted.round)
    if wanted.state is not None:
        query = query.where(_state(wanted.state))
    if wanted.labels:
        query = query.where(_labelled(wanted.labels))
    if wanted.text.strip():
        query = query.where(says(examples.c.text, wanted.text[:LONGEST_QUERY], connection))
    return query


def _state(state: State) -> Any:
    said = exists().where(in_force.c.input_hash == examples.c.input_hash, _LIVE)
    match state:
        case "answered":
            return said
        case "open":
            return tasks.c.is_open.is_(True)
        case "unasked":
            return tasks.c.position.is_(None) & ~said & examples.c.excluded.is_(None)
        case "excluded":
            return examples.c.excluded.is_not(None)
        case "flagged":
            return examples.c.input_hash.in_(_answers_in_force().where(answers.c.flagged.is_(True)))


def _answers_in_force() -> Select[Any]:
    joined = in_force.join(answers, answers.c.answer_id == in_force.c.answer_id)
    return select(in_force.c.input_hash).select_from(joined).where(_LIVE)


def _labelled(labels: Sequence[str]) -> Any:
    # An annotation is kept as JSON, in which a label is the only text that stands in quotation marks
    # beside the two keys, neither of which is followed by a comma or a bracket.
    cell = answers.c.annotation
    quoted = [json.dumps(label, ensure_ascii=True) for label in labels]
    named = [cell.contains(f"{name}{end}", autoescape=True) for name in quoted for end in (",", "]")]
    said = _answers_in_force().where(answers.c.verdict == "accept", or_(*named))
    return examples.c.input_hash.in_(said)


def says(column: Column[str], text: str, connection: Connection) -> ColumnElement[bool]:
    """The column holds the text somewhere, in any case."""
    text = text.replace("\0", "")
    if connection.dialect.name != "sqlite":
        return column.icontains(text.encode("utf8", "replace").decode("utf8"), autoescape=True)
    if text.isascii() and text.isprintable() and not set(text) & set('"\\'):
        # SQLite's own LIKE takes no notice of case in ASCII, and is the fastest there is.
        return column.contains(text, autoescape=True)
    # Its lower() knows ASCII alone, so that ÄNDERUNG would not find Änderung.
    driver: Any = connection.connection.driver_connection
    driver.create_function(_FOLD, 1, _folded, deterministic=True)
    folded = _fold(text).encode("utf8", "replace").decode("utf8")
    return func.instr(getattr(func, _FOLD)(column), folded) > 0


def _folded(cell: str) -> str:
    # A comment that is kept as JSON has a mark in front.
    return _fold(_unescaped(cell.lstrip("\x01")) if cell[:1] in ('"', "\x01") else cell)


def _unescaped(cell: str) -> str:
    # What no database holds, such as a null byte, is kept as JSON.
    try:
        return str(json.loads(cell)).encode("utf8", "replace").decode("utf8")
    except ValueError:
        return cell


def _fold(text: str) -> str:
    return text.lower() if text.isascii() else unicodedata.normalize("NFC", text.casefold())
