"""Two approaches on the same documents: the p of "no better", the difference, its interval and bound."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from annoloop.evaluation.scores import (
    DocumentCounts,
    FloatArray,
    IntArray,
    f_of,
    grouped,
    is_point,
    percentile_interval,
    resampled,
    wilson_of,
)


def paired_p(ours: DocumentCounts, theirs: DocumentCounts, *, seed: int, resamples: int = 9_999) -> float:
    """One-sided p of "ours is no better than theirs" on the same documents.

    Single-choice categories: exact mid-p McNemar. All else: approximate randomisation.
    """
    if ours.input_hashes != theirs.input_hashes:
        raise ValueError("the two approaches were counted on different documents")
    if ours.exclusive:
        won = int((ours.right & ~theirs.right).sum())
        lost = int((~ours.right & theirs.right).sum())
        return mcnemar_mid_p(won, lost)
    return randomisation_p(ours.units, theirs.units, seed=seed, resamples=resamples)


def mcnemar_mid_p(won: int, lost: int) -> float:
    """P(X > won) + P(X = won) / 2 with X ~ Binomial(won + lost, 1/2) (Fagerland et al. 2013).

    `won` counts the texts that ours has right and theirs wrong, `lost` the reverse.
    """
    from scipy.stats import binom

    return float(binom.sf(won, won + lost, 0.5) + 0.5 * binom.pmf(won, won + lost, 0.5))


def randomisation_p(ours: IntArray, theirs: IntArray, *, seed: int, resamples: int = 9_999) -> float:
    """Approximate randomisation (Noreen 1989; Yeh 2000): swap the two approaches document by document.

    Both arrays are (documents, 3): tp, fp, fn. p = (1 + #{dF* >= dF}) / (resamples + 1); 1.0 where F
    is not defined.
    """
    total_ours, total_theirs = ours.sum(axis=0), theirs.sum(axis=0)
    observed = float(f_of(total_ours) - f_of(total_theirs))
    if math.isnan(observed):
        return 1.0
    # Swapping a document moves its difference from one side to the other; equal ones change nothing.
    distinct, times = grouped(theirs - ours)
    swaps = np.random.default_rng(seed).binomial(times, 0.5, size=(resamples, len(times)))
    moved = swaps @ distinct
    swapped = f_of(total_ours + moved) - f_of(total_theirs - moved)
    # A swap that gives the same tables may differ in the last bit; NaN counts against the claim.
    reached = int((~(swapped < observed - 1e-12)).sum())
    return (1 + reached) / (resamples + 1)


def difference(
    ours: DocumentCounts, theirs: DocumentCounts, *, seed: int, samples: int = 2_000
) -> tuple[float, tuple[float, float]]:
    """Score of ours less score of theirs, and its 95 % paired bootstrap interval over documents.

    Where every sample has the same difference, as on texts that both have right or on a single text, the
    interval is that of the two scores' Wilson intervals, squared and added (Newcombe 1998, method 10).
    """
    both = np.concatenate([ours.units, theirs.units], axis=1)
    drawn = resampled(both, seed=seed, samples=samples)
    values: FloatArray = f_of(drawn[:, :3]) - f_of(drawn[:, 3:])
    delta = float(f_of(ours.units.sum(axis=0)) - f_of(theirs.units.sum(axis=0)))
    interval = percentile_interval(values) or (-1.0, 1.0)
    return delta, _newcombe(ours, theirs, delta) if is_point(interval) else interval


def _newcombe(ours: DocumentCounts, theirs: DocumentCounts, delta: float) -> tuple[float, float]:
    us, them = (float(f_of(counts.units.sum(axis=0))) for counts in (ours, theirs))
    (low, high), (their_low, their_high) = (
        wilson_of(counts.units, exclusive=counts.exclusive) for counts in (ours, theirs)
    )
    down, up = math.hypot(us - low, their_high - them), math.hypot(high - us, them - their_low)
    return max(-1.0, delta - down), min(1.0, delta + up)


def lower_bound(
    ours: DocumentCounts, theirs: DocumentCounts, *, alpha: float, seed: int, samples: int = 9_999
) -> float:
    """What the difference surpasses with 1 - alpha: the one-sided paired bootstrap bound over documents.

    Where ours is worse on few documents, the samples know too little of those that it is worse on. That k of
    n were worse says with 1 - alpha that at most q of all documents are (Clopper and Pearson 1934; for k = 0,
    q = 1 - alpha^(1/n)): then ours loses q n / k times what it lost on those k, or, where there are none, q.
    n are the documents on which there is something to find or something was said.
    """
    both = np.concatenate([ours.units, theirs.units], axis=1)
    drawn = resampled(both, seed=seed, samples=samples)
    values: FloatArray = f_of(drawn[:, :3]) - f_of(drawn[:, 3:])
    bound = float(np.quantile(np.nan_to_num(values, nan=-1.0), alpha, method="lower"))
    worse, of = worse_on(ours, theirs), telling(ours, theirs)
    times = int(worse.sum())
    most = _largest_share(times, of, alpha)
    if not times:
        return bound - most
    us, them = ours.units.sum(axis=0), theirs.units.sum(axis=0)
    unharmed = np.where(worse[:, None], theirs.units, ours.units).sum(axis=0)
    lost = max(0.0, float(f_of(unharmed) - f_of(us)))
    return min(bound, float(f_of(us) - f_of(them)) + lost - lost * most * of / times)


def _largest_share(times: int, of: int, alpha: float) -> float:
    """The upper end, with 1 - alpha, of a share that was met so many `times` (Clopper and Pearson 1934)."""
    from scipy.stats import beta

    return float(beta.ppf(1 - alpha, times + 1, of - times)) if times < of else 1.0


def worse_on(ours: DocumentCounts, theirs: DocumentCounts) -> NDArray[np.bool_]:
    """On which documents ours finds less or errs more."""
    less = theirs.units - ours.units
    found: NDArray[np.bool_] = (less[:, 0] > 0) | (less[:, 1:].sum(axis=1) < 0)
    return found


def telling(ours: DocumentCounts, theirs: DocumentCounts) -> int:
    """On how many documents there is something to find, or one of the two said something."""
    return int((ours.units.any(axis=1) | theirs.units.any(axis=1)).sum())
