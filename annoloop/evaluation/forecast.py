"""The learning curve goes on: what more labels would bring, how many a target takes, when to stop."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np

from annoloop.evaluation.scores import FloatArray

FEWEST_SIZES = 6
"""Different amounts of gold below which no curve is fitted: three numbers describe it."""

MOST_TEXTS = 10_000_000
"""A target that takes more is not within reach."""

_EXPONENTS = np.geomspace(0.05, 2.0, 150)

Outlook = Literal["reached", "within_reach", "open", "out_of_reach"]
Advised = Literal["reached", "go_on", "stop", "change_recipe"]


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
    where the score that it tends to stays below with its whole interval, "within_reach" where the whole
    interval of texts is known, else "open".
    """

    target: float
    outlook: Outlook
    texts: int | None
    low: int | None
    high: int | None


@dataclass(frozen=True)
class Forecast:
    """score(n) = a - b (n / n0)^-c, n0 the most texts seen, fitted to `points`.

    `laws` has the shape (1 + samples, 3): a, b, c of the fit, then of the bootstrap; `noise` (samples,) is
    how far single models fell from the curve at n0, drawn from the residuals.
    """

    points: tuple[Point, ...]
    laws: FloatArray
    noise: FloatArray

    @property
    def seen(self) -> int:
        """The most texts with gold that a model learned from."""
        return max(point.gold_texts for point in self.points)

    @property
    def ceiling(self) -> Range:
        """The score that the curve tends to with ever more labels of this kind."""
        return _range(self.laws[:, 0])

    def at(self, gold_texts: int) -> Range:
        """The score of a model that learns from so many texts.

        Raises:
            ValueError: there is no model of no texts.
        """
        if gold_texts < 1:
            raise ValueError(f"a curve begins at one text, not at {gold_texts}")
        a, b, c = self.laws.T
        share = gold_texts / self.seen
        values = a - b * share**-c
        values[1:] += self.noise * share**-0.5
        return _range(np.clip(values, 0.0, 1.0))

    def reach(self, target: float) -> Reach:
        """How many texts a model takes that scores `target`: n* = n0 (b / (a - target))^(1/c)."""
        texts = self._texts_to(target)
        low, high = np.quantile(texts[1:], (0.025, 0.975), method="nearest")
        outlook: Outlook = "open"
        if texts[0] <= self.seen:
            outlook = "reached"
        elif self.ceiling.high < target:
            outlook = "out_of_reach"
        elif high <= MOST_TEXTS:
            outlook = "within_reach"
        return Reach(target, outlook, *(_whole(value) for value in (texts[0], low, high)))

    def _texts_to(self, target: float) -> FloatArray:
        a, b, c = self.laws.T
        room = a - target
        with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
            share = np.where(room > 0, (b / room) ** (1 / c), np.inf)
        return np.asarray(np.ceil(share * self.seen - 1e-6))


@dataclass(frozen=True, slots=True)
class Advice:
    """What to do next and why. `gain` is what the texts of two more rounds would bring.

    `hours` to the target is (low, high) of one person's labelling from now on, None where pace or texts
    are not known.
    """

    advised: Advised
    reason: str
    gain: Range
    reach: Reach | None
    hours: tuple[float, float] | None


def forecast(points: Sequence[Point], *, seed: int, samples: int = 1_000) -> Forecast | None:
    """Fit a power law to scores over gold; None with fewer than `FEWEST_SIZES` different amounts.

    Residuals weigh √n, since models of little gold differ most. For each exponent of a grid the best
    a <= 1 and b >= 0 follow in closed form, so that the fit cannot end in a local minimum. Intervals are
    from a bootstrap of the residuals (Efron and Tibshirani 1993, chapter 9), widened by √(m / (m - 3)) for
    the three numbers fitted to m points. They do not know of a curve that is no power law, nor of the
    error of the texts that all models are scored on. Where the first labels bring little and later ones
    more, the forecast is too low: TF-IDF and logistic regression on customer_feedback_de, from the first
    fifth of the gold, .765 to .789 (three seeds) where all of it gives .825, outside the intervals.

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
    weights = share
    law = _fit(share, scores[None], weights)
    fitted = _values(law, share)[0]
    residuals = (scores - fitted) * np.sqrt(weights) * np.sqrt(len(kept) / (len(kept) - 3))
    rng = np.random.default_rng(seed)
    drawn = rng.choice(residuals - residuals.mean(), (samples, len(kept) + 1))
    laws = _fit(share, fitted + drawn[:, 1:] / np.sqrt(weights), weights)
    return Forecast(kept, np.concatenate([law, laws]), drawn[:, 0])


def advise(
    found: Forecast,
    *,
    target: float | None,
    round_texts: int,
    standard_error: float | None,
    seconds_a_text: float | None = None,
) -> Advice:
    """What a curve says about going on. `target` is the score to pass, None where there is none.

    Stop where two more rounds of `round_texts` each would bring less than the score's `standard_error`:
    nobody could tell the models apart. Where the target is out of reach, labelling on is no help either.
    """
    now = found.laws[0, 0] - found.laws[0, 1]
    later = found.at(found.seen + 2 * round_texts)
    gain = Range(later.value - now, later.low - now, later.high - now)
    reach = None if target is None else found.reach(target)
    hours = _hours(reach, found.seen, seconds_a_text)
    advised = _advised(gain, reach, standard_error)
    reason = _reason(advised, found, gain, reach, 2 * round_texts, standard_error)
    return Advice(advised, reason, gain, reach, hours)


def _advised(gain: Range, reach: Reach | None, standard_error: float | None) -> Advised:
    if reach is not None and reach.outlook == "reached":
        return "reached"
    if reach is not None and reach.outlook == "out_of_reach":
        return "change_recipe"
    return "stop" if standard_error is not None and gain.value < standard_error else "go_on"


def _reason(
    advised: Advised,
    found: Forecast,
    gain: Range,
    reach: Reach | None,
    more: int,
    standard_error: float | None,
) -> str:
    brings = f"{more} more texts would bring about {gain.value:+.3f}"
    if advised == "reached" and reach is not None:
        return f"The curve has reached the target of {reach.target:.3f} with {found.seen} texts; {brings}."
    if advised == "change_recipe" and reach is not None:
        return (
            f"This recipe will not get there: it tends to {found.ceiling.value:.3f}, at most "
            f"{found.ceiling.high:.3f}, and the target is {reach.target:.3f}. "
            "Try word vectors or a transformer, or review the labels."
        )
    if advised == "stop":
        error = f"the score's standard error of {standard_error:.3f}"
        return f"Stop or change something: {brings}, less than {error}."
    return f"Go on: {brings}{_takes(reach, found.seen)}."


def _takes(reach: Reach | None, seen: int) -> str:
    if reach is None:
        return ""
    if reach.texts is None:
        return f"; whether the target of {reach.target:.3f} can be reached is open"
    most = f"{reach.high - seen:,}" if reach.high is not None else "no known end"
    least = max((reach.low or seen) - seen, 0)
    return (
        f"; the target of {reach.target:.3f} takes about {reach.texts - seen:,} more, "
        f"95 % interval {least:,} to {most}"
    )


def _hours(reach: Reach | None, seen: int, seconds: float | None) -> tuple[float, float] | None:
    if reach is None or seconds is None or reach.outlook == "reached":
        return None
    if reach.low is None or reach.high is None:
        return None
    low, high = (max(texts - seen, 0) * seconds / 3600 for texts in (reach.low, reach.high))
    return low, high


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
