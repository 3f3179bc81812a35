"""A round's batch: what a strategy wants, a share by lot, within a budget, nearly the same texts last.

The rows are sorted by hash before anything is drawn, so the same texts with the same seed give the same
batch in whatever order they came.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from annoloop.selection.candidates import Candidates, FloatArray, IndexArray, IntArray
from annoloop.selection.registry import strategy_named
from annoloop.selection.strategies import MissingSignalError, lowest

SOUGHT = 0.5
"""The part of the ranked texts that goes to labels sought on purpose."""

ENOUGH = 0.5
"""The part of a budget that is enough of a batch where only texts that are too dear are left."""

_CHUNK = 20_000
Chooser = Callable[[IndexArray, int], IndexArray]
"""At most so many of these rows, the most wanted first."""


def select(
    strategy: str,
    hashes: Sequence[str],
    candidates: Candidates,
    *,
    budget: float,
    rng: np.random.Generator,
    costs: FloatArray | None = None,
    random_share: float = 0.2,
    near_duplicate: float = 0.9,
    groups: IntArray | None = None,
    sought: FloatArray | None = None,
    by_lot: NDArray[np.bool_] | None = None,
) -> list[int]:
    """Rows of the texts to ask: those sought, then the most wanted, then those by lot.

    Args:
        strategy: a name that `registry.strategy_named` knows. By lot where what it needs is not known.
        hashes: input hashes, one a text, all different.
        candidates: what is known of the texts.
        budget: what the batch may cost at most: texts, or what `costs` counts; one is asked at any cost.
        rng: where all chance comes from.
        costs: (texts,), positive: tokens or seconds a text. None: each text costs 1.
        random_share: the part of the budget spent by lot, whatever the strategy, since a model never
            learns about what it is wrongly sure of.
        near_duplicate: texts whose features have this cosine or more share a batch only where nothing else
            is left: a round of a few texts would cost a training and a claim of the gate.
        groups: (texts,), equal numbers for near-duplicates (`corpus.near_duplicates.group`): likewise.
        sought: (texts, labels sought), 0 and up: how likely a text has the label; 0 is not at all. Half of
            what is not drawn by lot goes to the likeliest ones, label by label in turn.
        by_lot: (texts,), which texts the lot draws first: a sample, where others are here for their rank.

    Raises:
        AnnoloopError: there is no such strategy, or one of a package failed.
    """
    wanted, order = strategy_named(strategy), np.argsort(np.asarray(hashes, dtype=str), kind="stable")
    places = _places(rng, len(order), None if by_lot is None else by_lot[order])
    batch = _Batch(candidates.take(order), None if costs is None else costs[order], near_duplicate)
    batch.groups = None if groups is None else groups[order]
    ranked = budget - (random_share * budget if costs is not None else round(random_share * budget))

    def lot(rows: IndexArray, n: int) -> IndexArray:
        return rows[lowest(places[rows], n)]

    def most_wanted(rows: IndexArray, n: int) -> IndexArray:
        return rows[wanted(batch.candidates.take(rows), n, rng)]

    try:
        if sought is not None and sought.shape[1]:
            part = SOUGHT * ranked
            batch.fill(_seeking(sought[order]), part if costs is not None else round(part))
        batch.fill(lot if strategy == "random" else most_wanted, ranked)
    except MissingSignalError:
        pass
    batch.fill(lot, budget)
    batch.fill_with_near(lot, budget)
    if not batch.chosen:
        batch.fill(lot, math.inf, most=1)
    return [int(order[row]) for row in batch.chosen]


def _places(rng: np.random.Generator, count: int, first: NDArray[np.bool_] | None) -> IntArray:
    """(texts,): their order by lot. Drawn before all else, so that the strategy does not shape it."""
    places = np.argsort(rng.permutation(count))
    return places if first is None else places + count * ~first


class _Batch:
    """The rows chosen so far and what they cost; rows too near to them or too dear are not open."""

    def __init__(self, candidates: Candidates, costs: FloatArray | None, limit: float) -> None:
        self.candidates, self.limit = candidates, limit
        self.costs = np.ones(candidates.count) if costs is None else costs
        self.groups: IntArray | None = None
        self.chosen: list[int] = []
        self.spent = 0.0
        self._open = np.ones(candidates.count, dtype=np.bool_)

    def fill(self, choose: Chooser, budget: float, *, most: int | None = None) -> None:
        """Add what is chosen until the budget is spent, or nothing that is open fits."""
        tried = ~self._open
        while most is None or len(self.chosen) < most:
            left = budget - self.spent
            rows = np.flatnonzero(~tried & self._open & (self.costs <= left + 1e-9))
            if not len(rows):
                return
            n = len(rows) if left == math.inf else math.ceil(left / float(self.costs[rows].mean()) - 1e-9)
            found = choose(rows, max(1, min(n, len(rows)) if most is None else most))
            if not len(found):
                return
            tried[found] = True
            self._add(found, budget)

    def fill_with_near(self, choose: Chooser, budget: float) -> None:
        """Let in what is nearly the same as what was chosen where little else fits or is left."""
        if self._open.any() and self.spent >= ENOUGH * budget:
            return
        self.limit, self.groups = math.inf, None
        self._open = np.ones(self.candidates.count, dtype=np.bool_)
        self._open[self.chosen] = False
        self.fill(choose, budget)

    def _add(self, found: IndexArray, budget: float) -> None:
        new: list[int] = []
        places: list[int] = []
        near = self._near(found, found)
        for place, row in enumerate(map(int, found)):
            if not near[place, places].any() and self.spent + self.costs[row] <= budget + 1e-9:
                new.append(row)
                places.append(place)
                self.spent += float(self.costs[row])
        self.chosen += new
        self._open[new] = False
        if new:
            for start in range(0, self.candidates.count, _CHUNK):
                rows = np.arange(start, min(start + _CHUNK, self.candidates.count))
                self._open[rows] &= ~self._near(rows, np.asarray(new, dtype=np.intp)).any(axis=1)

    def _near(self, rows: IndexArray, others: IndexArray) -> Any:
        """(rows, others): which of them are nearly the same, by group or by cosine."""
        near = np.zeros((len(rows), len(others)), dtype=np.bool_)
        features: Any = self.candidates.features
        if features is not None:
            product = features[rows] @ features[others].T
            near |= (product.toarray() if hasattr(product, "toarray") else product) >= self.limit
        if self.groups is not None:
            near |= self.groups[rows][:, None] == self.groups[others][None, :]
        return near


def _seeking(sought: FloatArray) -> Chooser:
    """The likeliest texts of each label in turn, those above 0 only."""

    def choose(rows: IndexArray, n: int) -> IndexArray:
        found: dict[int, None] = {}
        ranks = np.argsort(-sought[rows], axis=0, kind="stable")
        for rank in ranks:
            for label, place in enumerate(rank):
                if sought[rows[place], label] > 0 and len(found) < n:
                    found.setdefault(int(rows[place]))
            if len(found) >= n:
                break
        return np.asarray(list(found), dtype=np.intp)

    return choose
