"""Duels: of two annotations of a text, which one somebody found better without knowing whose they are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import select

from annoloop.store.engine import Database, insert_new
from annoloop.store.schema import llm_duels

Winner = Literal["left", "right", "both", "neither", "undone"]


@dataclass(frozen=True, slots=True)
class Duel:
    """A decided duel. The sources are named by their keys; `seq` counts microseconds since 1970.

    "both" are equally good, "neither" is any good; "undone" takes back what the annotator said of this pair.
    """

    duel_id: str
    input_hash: str
    left_source: str
    right_source: str
    winner: Winner
    annotator: str
    milliseconds: int
    seq: int


class DuelTables(Database):
    """Duels are only ever added."""

    def save_duel(self, duel: Duel) -> bool:
        """Keep a duel; False where one with this id is there already, as when it is sent twice."""
        row = {name: getattr(duel, name) for name in Duel.__slots__}
        with self.writing() as connection:
            return insert_new(connection, llm_duels, [row]) > 0

    def duels(self, *, annotator: str | None = None) -> tuple[Duel, ...]:
        """All duels, oldest first; only one annotator's if asked."""
        query = select(llm_duels).order_by(llm_duels.c.position)
        if annotator is not None:
            query = query.where(llm_duels.c.annotator == annotator)
        with self.reading() as connection:
            return tuple(_duel(row) for row in connection.execute(query))

    def duels_in_force(self, *, annotator: str | None = None) -> tuple[Duel, ...]:
        """Each annotator's last word on each pair of a text, as it was given; what was undone is absent."""
        last: dict[tuple[str, str, frozenset[str]], Duel] = {}
        for duel in sorted(self.duels(annotator=annotator), key=lambda one: one.seq):
            pair = frozenset((duel.left_source, duel.right_source))
            last.pop((duel.annotator, duel.input_hash, pair), None)
            last[duel.annotator, duel.input_hash, pair] = duel
        return tuple(duel for duel in last.values() if duel.winner != "undone")


def _duel(row: Any) -> Duel:
    return Duel(**{name: getattr(row, name) for name in Duel.__slots__})
