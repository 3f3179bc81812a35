"""Patterns that were proposed, and which of them people took: what was rejected is not proposed again."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from sqlalchemy import delete, insert, select

from annoloop.hashing import input_hash
from annoloop.store.engine import Database
from annoloop.store.rows import dump, text_from_cell, text_to_cell
from annoloop.store.schema import pattern_choices, pattern_proposals
from annoloop.store.texts import chunks

Choice = Literal["accept", "reject"]


@dataclass(frozen=True, slots=True)
class PatternProposal:
    """A line for the rules' file, where it comes from ("gold", "llm", ...) and what speaks for it."""

    line: str
    origin: str
    detail: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PatternChoice:
    """What somebody made of a proposed line, named by `line_hash`; `seq` counts microseconds since 1970."""

    line_hash: str
    verdict: Choice
    annotator: str
    seq: int


def line_hash(line: str) -> str:
    """32 hex digits that name a pattern: the same for the same JSON, however it is spaced and ordered."""
    try:
        line = json.dumps(json.loads(line), sort_keys=True, ensure_ascii=True)
    except ValueError:
        line = line.strip()
    return input_hash(line)


class PatternChoices(Database):
    """Proposals nobody has decided about give way to newer ones; choices are only ever added."""

    def save_proposals(self, proposals: Iterable[PatternProposal], *, instead: bool = False) -> None:
        """Keep proposals; one of the same pattern takes the earlier one's place.

        With `instead` they take the place of all that nobody has decided about.
        """
        rows = {}
        for proposal in proposals:
            name = line_hash(proposal.line)
            detail = dump(dict(proposal.detail))
            line = text_to_cell(proposal.line)
            rows[name] = {"line_hash": name, "line": line, "origin": proposal.origin, "detail": detail}
        with self.writing() as connection:
            if instead:
                decided = select(pattern_choices.c.line_hash)
                connection.execute(
                    delete(pattern_proposals).where(pattern_proposals.c.line_hash.not_in(decided))
                )
            for part in chunks(rows.values()):
                hashes = [row["line_hash"] for row in part]
                connection.execute(delete(pattern_proposals).where(pattern_proposals.c.line_hash.in_(hashes)))
                connection.execute(insert(pattern_proposals), part)

    def proposals(self, *, undecided: bool = False) -> Mapping[str, PatternProposal]:
        """The proposals by `line_hash`; only those that nobody has decided about if asked."""
        query = select(pattern_proposals).order_by(pattern_proposals.c.line_hash)
        if undecided:
            decided = select(pattern_choices.c.line_hash)
            query = query.where(pattern_proposals.c.line_hash.not_in(decided))
        with self.reading() as connection:
            return {row.line_hash: _proposal(row) for row in connection.execute(query)}

    def choose_pattern(self, choice: PatternChoice) -> None:
        """Keep what somebody made of a proposal."""
        row = {name: getattr(choice, name) for name in PatternChoice.__slots__}
        with self.writing() as connection:
            connection.execute(insert(pattern_choices).values(row))

    def pattern_choices(self) -> Mapping[str, PatternChoice]:
        """The newest choice about each pattern, by `line_hash`."""
        query = select(pattern_choices).order_by(pattern_choices.c.position)
        with self.reading() as connection:
            return {row.line_hash: _choice(row) for row in connection.execute(query)}


def _proposal(row: Any) -> PatternProposal:
    return PatternProposal(text_from_cell(row.line), row.origin, json.loads(row.detail))


def _choice(row: Any) -> PatternChoice:
    return PatternChoice(**{name: getattr(row, name) for name in PatternChoice.__slots__})
