"""Which texts to ask next: probabilities and features in, indices out, no model inside.

Every strategy has the signature `(probabilities, features, n, rng) -> indices`. `select` wraps them:
it adds the random share, leaves near-duplicates out of a batch, and makes the choice depend on the
texts and the seed alone, never on the order in which the texts came.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from annoloop.types import LabelScheme

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

FloatArray = NDArray[np.float64]
IndexArray = NDArray[np.intp]
Strategy = Callable[
    ["FloatArray | None", "csr_matrix | FloatArray | None", int, np.random.Generator], IndexArray
]


def random(probabilities: FloatArray | None, features: Any, n: int, rng: np.random.Generator) -> IndexArray:
    """`n` rows by lot. Only the number of rows matters, of whichever array is given."""
    rows = probabilities if probabilities is not None else features
    if rows is None:
        raise ValueError("random needs probabilities or features, to know how many texts there are")
    return rng.permutation(rows.shape[0])[:n]


def margin(probabilities: FloatArray | None, features: Any, n: int, rng: np.random.Generator) -> IndexArray:
    """The `n` rows whose two likeliest categories are closest (Scheffer et al. 2001).

    `probabilities` has the shape (texts, labels), rows sum to 1. None is a cold start: by lot.
    """
    if probabilities is None or probabilities.shape[1] < 2:
        return random(probabilities, features, n, rng)
    best = np.sort(probabilities, axis=1)[:, -2:]
    return _lowest(best[:, 1] - best[:, 0], n)


def label_margin(
    probabilities: FloatArray | None, features: Any, n: int, rng: np.random.Generator
) -> IndexArray:
    """For several categories at once: the `n` rows with a label closest to one half.

    `probabilities` has the shape (texts, labels), each label's for itself. None is a cold start: by lot.
    """
    if probabilities is None or not probabilities.shape[1]:
        return random(probabilities, features, n, rng)
    return _lowest(np.abs(probabilities - 0.5).min(axis=1), n)


def uncertainty(
    probabilities: FloatArray | None, features: Any, n: int, rng: np.random.Generator
) -> IndexArray:
    """For spans: the `n` rows with the highest uncertainty, shape (texts,). None is a cold start: by lot."""
    if probabilities is None:
        return random(probabilities, features, n, rng)
    return _lowest(-probabilities, n)


def disagreement(
    probabilities: FloatArray | None, features: Any, n: int, rng: np.random.Generator
) -> IndexArray:
    """The `n` rows on which voters differ most, shape (texts,); equal ones by lot. None is a cold start.

    Never the default: with voters that are not calibrated it found worse texts than chance on questions by
    topic (TREC), and for entities better ones at equal numbers of sentences but not of tokens (BC5CDR).
    """
    if probabilities is None:
        return random(probabilities, features, n, rng)
    # Voters differ or they do not: most values are equal.
    by_lot = rng.permutation(len(probabilities))
    return by_lot[_lowest(-probabilities[by_lot], n)]


STRATEGIES: dict[str, Strategy] = {
    "random": random,
    "margin": margin,
    "label_margin": label_margin,
    "uncertainty": uncertainty,
    "disagreement": disagreement,
}


def strategy_for(scheme: LabelScheme, wanted: str) -> str:
    """The strategy that `[selection] strategy` stands for with this kind of question."""
    if wanted not in ("auto", "margin"):
        return wanted
    return "uncertainty" if scheme.has_spans else "margin" if scheme.is_exclusive else "label_margin"


def uncertainty_per_cost(uncertainties: FloatArray, tokens: NDArray[np.int64]) -> FloatArray:
    """Uncertainty / sqrt(tokens), both of shape (texts,): long texts are dearer, but not in proportion.

    Neither the sum (which prefers the longest) nor the mean over tokens (the shortest) is fair; the
    square root won at equal reading cost on entity-dense and sparse corpora alike.
    """
    return np.asarray(uncertainties / np.sqrt(np.maximum(tokens, 1)), dtype=np.float64)


def select(
    strategy: str,
    hashes: Sequence[str],
    *,
    n: int,
    rng: np.random.Generator,
    probabilities: FloatArray | None = None,
    features: Any = None,
    random_share: float = 0.2,
    near_duplicate: float = 0.9,
) -> list[int]:
    """Indices into `hashes` of at most `n` texts to ask, the most wanted first, then those by lot.

    Args:
        strategy: a name in `STRATEGIES`.
        hashes: input hashes, one a text, all different.
        n: how many.
        rng: where all chance comes from.
        probabilities: (texts, labels) or, for "uncertainty" and "disagreement", (texts,). None: by lot.
        features: (texts, dimensions), rows of length 1. Where given, a text whose cosine with an already
            chosen one reaches `near_duplicate` is passed over while others are left.
        random_share: the part of the batch chosen by lot, whatever the strategy, since a model never
            learns about what it is wrongly sure of.

    The rows are sorted by hash before anything is drawn, so the same texts with the same seed give the
    same choice in any order.
    """
    if strategy not in STRATEGIES:
        raise ValueError(f"no strategy {strategy!r}; there are {', '.join(STRATEGIES)}")
    order = np.argsort(np.asarray(hashes, dtype=str), kind="stable")
    n = min(n, len(order))
    if not n:
        return []
    chance = rng.permutation(len(order))
    if strategy == "random" or probabilities is None:
        ranked, by_lot = chance, n
    else:
        sorted_features = None if features is None else features[order]
        ranked = STRATEGIES[strategy](probabilities[order], sorted_features, len(order), rng)
        by_lot = round(random_share * n)
    chosen = _pick(ranked, [], n - by_lot, order, features, near_duplicate)
    chosen = _pick(chance, chosen, n, order, features, near_duplicate)
    chosen = _pick(ranked, chosen, n, order, None, near_duplicate)
    return [int(order[row]) for row in chosen]


def _lowest(values: FloatArray, n: int) -> IndexArray:
    return np.argsort(values, kind="stable")[:n]


def _pick(
    ranked: IndexArray, chosen: list[int], n: int, order: IndexArray, features: Any, limit: float
) -> list[int]:
    """`chosen` filled up to `n` from `ranked`, passing over near-duplicates of what is already in."""
    chosen, taken = list(chosen), set(chosen)
    for row in map(int, ranked):
        if len(chosen) >= n:
            break
        if row in taken:
            continue
        if features is not None and chosen and _closest(features, order[row], order[chosen]) >= limit:
            continue
        chosen.append(row)
        taken.add(row)
    return chosen


def _closest(features: Any, row: np.intp, others: IndexArray) -> float:
    """The highest cosine of one row with others; rows have length 1, sparse or dense."""
    products = features[others] @ (features[[row]].T)
    return float(products.max())
