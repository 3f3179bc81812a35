"""Who wins a tournament of blind pairwise comparisons, and how sure that is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt
from statistics import NormalDist

import numpy as np

from annoloop.evaluation.scores import FloatArray

PRIOR = 0.5
"""Wins, and as many losses, that everybody has from the start against an imagined average contestant."""
_STEPS = 1_000
_TOLERANCE = 1e-9
_Z95 = NormalDist().inv_cdf(0.975)


@dataclass(frozen=True, slots=True)
class Outcome:
    """One comparison: `points` of `first`, 1 where it won, 0 where `second` did, 0.5 for a draw.

    `text` names what was compared: comparisons on one text are not independent of each other.
    """

    text: str
    first: str
    second: str
    points: float


@dataclass(frozen=True, slots=True)
class Strength:
    """A contestant's place. `share` is the share of points expected of it, met with each other one once.

    `interval` is the 95 % interval of `share`; `log_odds` the strength itself, 0 for an average contestant;
    `met` counts its comparisons, `points` what it made in them.
    """

    name: str
    share: float
    interval: tuple[float, float]
    log_odds: float
    met: int
    points: float


def bradley_terry(
    outcomes: Sequence[Outcome], names: Sequence[str], *, seed: int, samples: int = 1_000
) -> tuple[Strength, ...]:
    """The contestants, strongest first, by the model of Bradley and Terry (1952).

    P(i beats j) = s_i / (s_i + s_j), fitted by the steps of Hunter (2004, MM algorithms for generalized
    Bradley-Terry models); a draw counts half to each. Everybody has half a win and half a loss against an
    imagined average contestant, so that who won everything has no infinite strength.
    The interval reaches from the lower to the upper of two: the percentile bootstrap over texts, and Wilson's
    on the contestant's own points with as many trials as it had texts. The bootstrap alone is blind where
    somebody won everything: every sample says so too.

    Raises:
        ValueError: there is no outcome, fewer than two names, or an outcome that is not of two of them.
    """
    if len(names) < 2 or not outcomes:
        raise ValueError("a tournament needs two contestants and a comparison")
    points, met = _tables(outcomes, names)
    texts = len(points)
    fitted = _fit(points.sum(axis=0)[None])
    drawn = np.random.default_rng(seed).multinomial(texts, np.full(texts, 1 / texts), size=samples)
    sampled = _shares(_fit(np.tensordot(drawn, points, axes=1)))
    bounds = np.percentile(sampled, (2.5, 97.5), axis=0)
    found = []
    for at, name in enumerate(names):
        made, trials = float(points[:, at].sum()), int(met[:, at].any(axis=1).sum())
        times = int(met[:, at].sum())
        low, high = _wilson(made / times, trials) if times else (0.0, 1.0)
        interval = min(low, float(bounds[0, at])), max(high, float(bounds[1, at]))
        share = float(_shares(fitted)[0, at])
        found.append(Strength(name, share, interval, float(fitted[0, at]), times, made))
    return tuple(sorted(found, key=lambda one: (-one.share, one.name)))


def _tables(outcomes: Sequence[Outcome], names: Sequence[str]) -> tuple[FloatArray, FloatArray]:
    """Points of one contestant against another, and how often they met: (texts, contestants, contestants)."""
    place = {name: number for number, name in enumerate(names)}
    texts = {text: number for number, text in enumerate(dict.fromkeys(one.text for one in outcomes))}
    points = np.zeros((len(texts), len(names), len(names)))
    met = np.zeros(points.shape)
    for one in outcomes:
        if one.first not in place or one.second not in place or one.first == one.second:
            raise ValueError(f"not a comparison of two contestants: {one.first!r}, {one.second!r}")
        row, left, right = texts[one.text], place[one.first], place[one.second]
        points[row, left, right] += one.points
        points[row, right, left] += 1 - one.points
        met[row, left, right] += 1
        met[row, right, left] += 1
    return points, met


def _fit(points: FloatArray) -> FloatArray:
    """Log strengths (samples, contestants) of points (samples, contestants, contestants)."""
    won = points.sum(axis=2) + PRIOR
    met = points + points.transpose(0, 2, 1)
    strength = np.ones(won.shape)
    for _ in range(_STEPS):
        # The imagined contestant's strength is 1 for ever, which fixes the scale.
        against = (met / (strength[:, :, None] + strength[:, None, :])).sum(axis=2)
        better = won / (against + 2 * PRIOR / (strength + 1))
        moved = np.abs(np.log(better / strength)).max()
        strength = better
        if moved < _TOLERANCE:
            break
    return np.asarray(np.log(strength))


def _shares(log_odds: FloatArray) -> FloatArray:
    """Mean chance to beat one of the others, in the shape given: (samples, contestants)."""
    chance = 1 / (1 + np.exp(log_odds[:, None, :] - log_odds[:, :, None]))
    return np.asarray((chance.sum(axis=2) - 0.5) / (log_odds.shape[1] - 1))


def _wilson(share: float, trials: int) -> tuple[float, float]:
    """95 % interval of a share of so many trials (Wilson 1927)."""
    z2 = _Z95**2
    centre = (share + z2 / (2 * trials)) / (1 + z2 / trials)
    spread = _Z95 * sqrt(share * (1 - share) / trials + z2 / (4 * trials**2)) / (1 + z2 / trials)
    return max(0.0, centre - spread), min(1.0, centre + spread)
