"""Learning curves side by side: their areas, the labels to a score, and whether differences are chance.

A curve is the scores of the models of one simulated project, round by round. Curves of equal seed are
paired: they learned from the same pool and were judged on the same texts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Literal, NamedTuple

import numpy as np

from annoloop.evaluation.scores import FloatArray

Unit = Literal["texts", "tokens", "seconds"]
UNITS: tuple[Unit, ...] = ("texts", "tokens", "seconds")

_EXACT = 14
"""Up to so many pairs all 2^n signs are tried; of more, `_DRAWN` by lot."""

_DRAWN = 9_999
_GRID = 400
_SAMPLES = 2_000


class LearningPoint(NamedTuple):
    """What was asked in all up to a round, and the score (0 to 1) of the model that learned from it.

    `seconds` are modelled, not measured. `macro_f` is the mean F of the labels.
    """

    texts: int
    tokens: int
    seconds: float
    score: float
    macro_f: float


Curve = tuple[LearningPoint, ...]


@dataclass(frozen=True, slots=True)
class Compared:
    """One way of choosing against the baseline, over all seeds that both have.

    Attributes:
        name: of the way of choosing.
        seeds: how many pairs of curves there are.
        area: mean over seeds of the curve's mean height, over the costs that it has in common with the
            baseline's curve of that seed.
        last: mean of the last scores; `macro_f` likewise.
        cost: what the baseline's mean curve spends in all.
        to_last: the cost at which the mean curve first reaches the baseline's mean last score; None: never.
            The baseline's own is all that it spends, unless its curve was up there before.
        saved: 1 - to_last / the baseline's own, with the 95 % bootstrap interval over seeds; a bound is None
            where the score is not reached.
        difference: mean over seeds of the area less the baseline's, with Student's 95 % interval.
        p: two-sided, by flipping the signs of the paired differences (Fisher 1935); `p_holm` is corrected
            for all comparisons of the table (Holm 1979). None for the baseline and for a single seed.
    """

    name: str
    seeds: int
    area: float
    last: float
    macro_f: float
    cost: float
    to_last: float | None
    saved: float | None
    saved_interval: tuple[float | None, float | None] | None
    difference: float
    interval: tuple[float, float] | None
    p: float | None
    p_holm: float | None


def compare(
    curves: Mapping[str, Mapping[int, Curve]], *, baseline: str, unit: Unit = "texts", seed: int = 0
) -> list[Compared]:
    """Every way of choosing against the `baseline`, in the order given. `curves` are by name and seed.

    Raises:
        ValueError: the baseline is not there, or has no seed in common with one of the others.
    """
    if baseline not in curves:
        raise ValueError(f"no curves of {baseline!r}")
    rows = [_compare(name, found, curves[baseline], unit, seed) for name, found in curves.items()]
    tested = [place for place, row in enumerate(rows) if row.name != baseline and row.p is not None]
    corrected = dict(zip(tested, holm([rows[place].p or 0.0 for place in tested]), strict=True))
    return [
        replace(row, p_holm=corrected[place])
        if place in corrected
        else replace(row, p=None, interval=None, saved=0.0, saved_interval=None)
        if row.name == baseline
        else row
        for place, row in enumerate(rows)
    ]


def area(curve: Curve, unit: Unit, low: float, high: float) -> float:
    """The mean height between two costs, points joined by straight lines, level beyond both ends."""
    x, y = _xy(curve, unit)
    if high <= low:
        return float(np.interp(high, x, y))
    inside = x[(x > low) & (x < high)]
    places = np.concatenate([[low], inside, [high]])
    return float(np.trapezoid(np.interp(places, x, y), places) / (high - low))


def sign_flip(differences: Sequence[float], *, seed: int = 0) -> float | None:
    """The two-sided p of paired differences, whose signs chance alone would set; None for a single one.

    Exact up to 14 pairs, of which ten cannot give less than 2 / 1,024; else (1 + as extreme) / (R + 1)
    over R = 9,999 draws.
    """
    values = np.asarray(differences, dtype=np.float64)
    if len(values) < 2:
        return None
    if len(values) <= _EXACT:
        signs = np.asarray(list(product((1.0, -1.0), repeat=len(values))))
    else:
        signs = np.random.default_rng(seed).choice((1.0, -1.0), (_DRAWN, len(values)))
    extreme = np.abs(signs @ values) >= abs(values.sum()) * (1 - 1e-9)
    if len(values) <= _EXACT:
        return float(extreme.mean())
    return float((1 + extreme.sum()) / (_DRAWN + 1))


def holm(p_values: Sequence[float]) -> list[float]:
    """Corrected for as many comparisons as there are, stepping down (Holm 1979); in the order given."""
    corrected, highest = [0.0] * len(p_values), 0.0
    for rank, place in enumerate(np.argsort(np.asarray(p_values), kind="stable")):
        highest = max(highest, min(1.0, (len(p_values) - rank) * p_values[place]))
        corrected[place] = highest
    return corrected


def mean_curve(curves: Sequence[Curve], unit: Unit) -> list[tuple[float, float]]:
    """(cost, score) of every round, each the mean over the curves; as many as the shortest has."""
    rounds = min(len(curve) for curve in curves)
    places = [[_xy(curve, unit)[side][:rounds] for curve in curves] for side in (0, 1)]
    costs, scores = (np.mean(side, axis=0) for side in places)
    return [(float(x), float(y)) for x, y in zip(costs, scores, strict=True)]


def _compare(
    name: str, curves: Mapping[int, Curve], baseline: Mapping[int, Curve], unit: Unit, seed: int
) -> Compared:
    seeds = sorted(set(curves) & set(baseline))
    if not seeds:
        raise ValueError(f"{name!r} has no seed in common with the baseline")
    own, other = [curves[s] for s in seeds], [baseline[s] for s in seeds]
    areas = np.asarray([_areas(a, b, unit) for a, b in zip(own, other, strict=True)])
    differences = areas[:, 0] - areas[:, 1]
    cost, to_last, saved, saved_interval = _savings(own, other, unit, seed)
    return Compared(
        name=name,
        seeds=len(seeds),
        area=float(areas[:, 0].mean()),
        last=float(np.mean([curve[-1].score for curve in own])),
        macro_f=float(np.mean([curve[-1].macro_f for curve in own])),
        cost=cost,
        to_last=to_last,
        saved=saved,
        saved_interval=saved_interval,
        difference=float(differences.mean()),
        interval=_student(differences),
        p=sign_flip(differences, seed=seed),
        p_holm=None,
    )


def _areas(curve: Curve, other: Curve, unit: Unit) -> tuple[float, float]:
    ends = [_xy(one, unit)[0][[0, -1]] for one in (curve, other)]
    low, high = max(end[0] for end in ends), min(end[1] for end in ends)
    return area(curve, unit, low, high), area(other, unit, low, high)


def _savings(
    own: Sequence[Curve], other: Sequence[Curve], unit: Unit, seed: int
) -> tuple[float, float | None, float | None, tuple[float | None, float | None] | None]:
    """What the baseline spends; the cost to its last score, the share saved, and its interval over seeds."""
    cost = float(np.mean([_xy(curve, unit)[0][-1] for curve in other]))
    mine, theirs = _heights(own, unit), _heights(other, unit)
    targets = np.asarray([curve[-1].score for curve in other])
    even = np.full((1, len(own)), 1 / len(own))
    reached, usual = _reached(even, *mine, targets), _reached(even, *theirs, targets)
    interval = None
    if len(own) > 1:
        drawn = np.random.default_rng(seed).multinomial(len(own), even[0], size=_SAMPLES) / len(own)
        shares = 1 - _reached(drawn, *mine, targets) / _reached(drawn, *theirs, targets)
        ends = np.quantile(shares, (0.025, 0.975), method="nearest")
        interval = (_finite(float(ends[0])), _finite(float(ends[1])))
    return cost, _finite(float(reached[0])), _finite(float(1 - reached[0] / usual[0])), interval


def _heights(curves: Sequence[Curve], unit: Unit) -> tuple[FloatArray, FloatArray]:
    """A grid of costs over all curves, and (curves, grid) heights."""
    low = min(float(_xy(curve, unit)[0][0]) for curve in curves)
    high = max(float(_xy(curve, unit)[0][-1]) for curve in curves)
    grid = np.linspace(low, high, _GRID)
    return grid, np.stack([np.interp(grid, *_xy(curve, unit)) for curve in curves])


def _reached(weights: FloatArray, grid: FloatArray, heights: FloatArray, targets: FloatArray) -> FloatArray:
    """(samples,): where the curves' mean comes up to that of the targets, by (samples, curves) weights."""
    return _reach(weights @ heights, weights @ targets, grid)


def _reach(heights: FloatArray, targets: FloatArray, grid: FloatArray) -> FloatArray:
    """(curves,): where each row of `heights` first comes up to its target; infinite where it never does."""
    up = heights >= targets[:, None] - 1e-12
    return np.where(up.any(axis=1), grid[up.argmax(axis=1)], np.inf)


def _student(values: FloatArray) -> tuple[float, float] | None:
    if len(values) < 2:
        return None
    from scipy.stats import t

    half = float(t.ppf(0.975, len(values) - 1) * values.std(ddof=1) / np.sqrt(len(values)))
    return float(values.mean()) - half, float(values.mean()) + half


def _xy(curve: Curve, unit: Unit) -> tuple[FloatArray, FloatArray]:
    x = np.asarray([getattr(point, unit) for point in curve], dtype=np.float64)
    return x, np.asarray([point.score for point in curve], dtype=np.float64)


def _finite(value: float) -> float | None:
    return value if np.isfinite(value) else None
