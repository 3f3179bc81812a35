"""The learning curve goes on: what more labels would bring, and how many a target takes."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from annoloop.evaluation.curve_laws import AHEAD, ERRORS, Law
from annoloop.evaluation.scores import FloatArray

BoolArray = NDArray[np.bool_]

FEWEST_SIZES = 6
"""Different amounts of gold below which no curve is fitted: three numbers describe it."""

MOST_TEXTS = 10_000_000
"""A target that takes more is not within reach."""

FAR = 10
"""Times the present gold: a target that is not reached by then is called out of reach."""

RISE = 1.8
"""Student's t of a slope that is no chance: 5 %, one-sided, of the 13 points of a curve."""

_EXPONENTS = np.geomspace(0.05, 2.0, 150)

Outlook = Literal["reached", "within_reach", "open", "out_of_reach"]


class Point(NamedTuple):
    """A model's score (0 to 1) and the texts with gold that it learned from."""

    gold_texts: int
    score: float


class Range(NamedTuple):
    """A value with its 95 % interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Reach:
    """When a target is reached: the texts with gold in all, `low` and `high` their 95 % interval.

    None is "not on this curve". `outlook` is "reached" where the curve is there already, "out_of_reach"
    where `FAR` times the gold stays below with its whole interval, "within_reach" where the whole
    interval of texts is known, else "open".
    """

    target: float
    outlook: Outlook
    texts: int | None
    low: int | None
    high: int | None


@dataclass(frozen=True)
class Forecast:
    """Two laws fitted to `points`, n0 the most texts seen: the second is believed as far as points show it.

    Steady: the score grows as `law` says, the exponent shrunk to the usual one. Levelling off: score =
    a - b (n / n0)^-c. `bend`, 0 to 1, is the weight of the second: the share of the first one's squared
    residuals that it explains, for a law of odds the square of that share.

    `laws` has the shape (1 + samples, 3): a, b, c of the fit, then of the bootstrap; `steady`, (1 + samples,
    2), holds the level at n0, on the scale of `law`, and the exponent. `noise` (samples,) is how far single
    models fell from the curve at n0, and `levels` (samples,) which samples take the second law.
    """

    points: tuple[Point, ...]
    law: Law
    laws: FloatArray
    steady: FloatArray
    bend: float
    noise: FloatArray
    levels: BoolArray

    @property
    def seen(self) -> int:
        """The most texts with gold that a model learned from."""
        return max(point.gold_texts for point in self.points)

    @property
    def ceiling(self) -> Range:
        """The score that the curve tends to with ever more labels; 1 where no levelling off is seen."""
        return _range(self._mixed(self.laws[:, 0], np.ones(len(self.laws))))

    def at(self, gold_texts: int) -> Range:
        """The score of a model that learns from so many texts.

        Raises:
            ValueError: there is no model of no texts.
        """
        if gold_texts < 1:
            raise ValueError(f"a curve begins at one text, not at {gold_texts}")
        share = gold_texts / self.seen
        values = self._mixed(*self._both(share))
        values[1:] += self.noise * share**-0.5
        return _range(np.clip(values, 0.0, 1.0))

    def reach(self, target: float) -> Reach:
        """How many texts a model takes that scores `target`."""
        texts = self._texts_to(target)
        low, high = np.quantile(texts[1:], (0.025, 0.975), method="nearest")
        outlook: Outlook = "open"
        if texts[0] <= self.seen:
            outlook = "reached"
        elif self.at(FAR * self.seen).high < target:
            outlook = "out_of_reach"
        elif high <= MOST_TEXTS:
            outlook = "within_reach"
        low, high = min(low, texts[0]), max(high, texts[0])
        return Reach(target, outlook, *(_whole(value) for value in (texts[0], low, high)))

    def flat(self) -> Forecast:
        """The same points for a task of which nothing is learned: the usual rise is not expected of it.

        The score stays where the steady law has it now, and its interval is the chance of the points alone.
        Ask it for no target: none other than the score of now is ever reached.
        """
        levels = np.stack([self.steady[:, 0], np.zeros(len(self.steady))], axis=1)
        return replace(self, steady=levels, bend=0.0, levels=np.zeros_like(self.levels))

    def _both(self, share: float) -> tuple[FloatArray, FloatArray]:
        """(1 + samples,) scores by the law that levels off, and by the steady one."""
        a, b, c = self.laws.T
        level, exponent = self.steady.T
        return a - b * share**-c, self.law.score(level + exponent * np.log(share))

    def _mixed(self, levelling: FloatArray, steady: FloatArray) -> FloatArray:
        """The weighted mean for the fit itself; for each sample one of the two."""
        fit = self.bend * levelling[0] + (1 - self.bend) * steady[0]
        return np.concatenate([[fit], np.where(self.levels, levelling[1:], steady[1:])])

    def _texts_to(self, target: float) -> FloatArray:
        a, b, c = self.laws.T
        room = a - target
        with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
            levelling = np.where(room > 0, (b / room) ** (1 / c), np.inf)
        steady = self.law.share_to(target, *self.steady.T)
        samples = np.where(self.levels, levelling[1:], steady[1:])

        def score(count: int) -> float:
            levelling, steady = self._both(count / self.seen)
            return float(self.bend * levelling[0] + (1 - self.bend) * steady[0])

        # The mean of two laws has no inverse in closed form, but it never falls.
        found = bisect_left(range(1, MOST_TEXTS + 1), target - 1e-9, key=score) + 1
        fit = found if found <= MOST_TEXTS else np.inf
        return np.concatenate([[fit], np.ceil(samples * self.seen - 1e-6)])


def forecast(
    points: Sequence[Point],
    *,
    seed: int,
    law: Law = ERRORS,
    standard_error: float | None = None,
    samples: int = 1_000,
) -> Forecast | None:
    """Fit to scores over gold; None with fewer than `FEWEST_SIZES` different amounts.

    A curve of few labels says little about its own exponent: rare labels come late, so errors seem to fall
    slowly at first (.08 to .16 on customer feedback where they then fall with .25). So the fitted one moves
    `law.shrinkage` of the way to the usual one of other data sets (empirical Bayes). A law with a level of
    its own is believed as far as it fits better. With the usual exponent taken from the other data sets, the
    mean error of the final score from a fifth of the gold was .019 for categories (.055 for the law with a
    level alone), and 95 % of intervals held it. For entities in running
    text, four sets, it was .034 on test and .053 on dev (.057 and .042 by the law of errors), mostly too low,
    of which the noise of the judged texts alone makes .01 to .07; curve_laws.py has the exponents.
    benchmarks/learning.py forecast repeats this with the recipes here.

    `standard_error`, that of a score from the texts that all models are judged by, widens the intervals, the
    more the further ahead: scores of two models with `AHEAD` times the gold between them differ by chance by
    about as much. Without it they do not know of that error.

    Residuals weigh √n, since models of little gold differ most. For each exponent of a grid the best
    a <= 1 and b >= 0 follow in closed form, so that the fit cannot end in a local minimum. Intervals are
    from a bootstrap of the residuals (Efron and Tibshirani 1993, chapter 9), widened by √(m / (m - 3)) for
    the three numbers fitted to m points, and from the spread of exponents.

    Raises:
        ValueError: a point has no texts, or a score outside 0 to 1.
    """
    if any(point.gold_texts < 1 or not 0 <= point.score <= 1 for point in points):
        raise ValueError("points need at least one text and a score from 0 to 1")
    if len({point.gold_texts for point in points}) < FEWEST_SIZES:
        return None
    kept = tuple(sorted(Point(*point) for point in points))
    sizes = np.array([point.gold_texts for point in kept], dtype=np.float64)
    scores = np.array([point.score for point in kept])
    share = sizes / sizes.max()
    levelling = _fit(share, scores[None], share)
    fitted = _values(levelling, share)[0]
    residuals = (scores - fitted) * np.sqrt(share) * np.sqrt(len(kept) / (len(kept) - 3))
    rng = np.random.default_rng(seed)
    drawn = rng.choice(residuals - residuals.mean(), (samples, len(kept) + 1))
    again = fitted + drawn[:, 1:] / np.sqrt(share)
    laws = np.concatenate([levelling, _fit(share, again, share)])
    steady = _steady(law, share, np.concatenate([scores[None], again]))
    bend = _bend(law, share, scores, fitted)
    if law.odds:
        # Of entities' 13 points chance alone explained up to .43, and drew every forecast down.
        bend = bend**2
    steady[:, 1] += law.shrinkage * (law.exponent - steady[:, 1])
    steady[1:, 1] += rng.normal(0.0, _spread(law, steady[0], standard_error), samples)
    steady[:, 1] = np.maximum(steady[:, 1], _EXPONENTS[0])
    return Forecast(kept, law, laws, steady, bend, drawn[:, 0], rng.random(samples) < bend)


def gain_of(found: Forecast, more: int) -> Range:
    """What so many more texts would bring over the fitted score of now."""
    now = found.at(found.seen).value
    later = found.at(found.seen + more)
    return Range(later.value - now, later.low - now, later.high - now)


def rises(points: Sequence[Point]) -> bool:
    """Whether the scores grow with the logarithm of the gold, more than chance makes them (one-sided, 5 %).

    By Student's t of the slope, points weighted by their gold as in `forecast`.
    """
    sizes = np.array([point.gold_texts for point in points], dtype=np.float64)
    scores = np.array([point.score for point in points])
    if len(np.unique(sizes)) < 3:
        return False
    weights, x = sizes / sizes.sum(), np.log(sizes)
    x, y = x - weights @ x, scores - weights @ scores
    spread = weights @ x**2
    slope = (weights @ (x * y)) / spread
    error = np.sqrt(weights @ (y - slope * x) ** 2 / (len(points) - 2) / spread)
    # Where the points lie on a line there is no error, and where on a level one no slope either.
    return bool(slope > max(RISE * error, 1e-9))


def _fit(share: FloatArray, scores: FloatArray, weights: FloatArray) -> FloatArray:
    """a, b, c with the least weighted squares: (samples, 3) of scores (samples, points)."""
    powers = share ** -_EXPONENTS[:, None]
    total = weights.sum()
    x, xx = powers @ weights, powers**2 @ weights
    y, yy, xy = scores @ weights, scores**2 @ weights, (scores * weights) @ powers.T
    b = np.maximum((x * y[:, None] - total * xy) / (total * xx - x**2), 0.0)
    a = (y[:, None] + b * x) / total
    b = np.where(a > 1, np.maximum((x - xy) / xx, 0.0), b)
    a = np.minimum(a, 1.0)
    squares = yy[:, None] - 2 * a * y[:, None] + a**2 * total + 2 * b * xy - 2 * a * b * x + b**2 * xx
    best = squares.argmin(axis=1)
    rows = np.arange(len(scores))
    return np.stack([a[rows, best], b[rows, best], _EXPONENTS[best]], axis=1)


def _steady(law: Law, share: FloatArray, scores: FloatArray) -> FloatArray:
    """Level and exponent with the least weighted squares on the law's scale: (samples, 2) of scores
    (samples, points)."""
    weights, x = share / share.sum(), np.log(share)
    y = law.scaled(scores)
    middle, level = weights @ x, y @ weights
    slope = (y - level[:, None]) @ (weights * (x - middle)) / (weights @ (x - middle) ** 2)
    return np.stack([level - slope * middle, slope], axis=1)


def _spread(law: Law, steady: FloatArray, standard_error: float | None) -> float:
    """The standard deviation of an exponent for which a score at `AHEAD` times the gold errs by as much."""
    if standard_error is None or law.holds_noise:
        return law.spread
    level, exponent = steady
    later = float(law.score(level + exponent * np.log(AHEAD)))
    return float(np.hypot(law.spread, standard_error / (np.log(AHEAD) * law.rise(later))))


def _bend(law: Law, share: FloatArray, scores: FloatArray, fitted: FloatArray) -> float:
    """Share of the steady law's weighted squared residuals that the law with a level explains."""
    level, exponent = _steady(law, share, scores[None])[0]
    left = float(share @ (scores - law.score(level + exponent * np.log(share))) ** 2)
    return max(0.0, 1 - float(share @ (scores - fitted) ** 2) / left) if left > 1e-15 else 0.0


def _values(laws: FloatArray, share: FloatArray) -> FloatArray:
    a, b, c = (laws[:, column, None] for column in range(3))
    return np.asarray(a - b * share**-c)


def _range(values: FloatArray) -> Range:
    """The fit's own value, which comes first, within the bootstrap's 95 %."""
    low, high = np.percentile(values[1:], (2.5, 97.5))
    value = float(values[0])
    return Range(value, min(float(low), value), max(float(high), value))


def _whole(texts: float) -> int | None:
    return int(max(texts, 1)) if texts <= MOST_TEXTS else None
