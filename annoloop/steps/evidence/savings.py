"""The time that suggestions save, measured where chance decided which texts came without one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from annoloop.evaluation.speed import fit_speed
from annoloop.project import Project
from annoloop.store.figures import Timed

LEAST_CAP = 60_000
"""Milliseconds that a text may always take."""

MEASURED = 20
"""Answers with and without a suggestion below which no saving is claimed."""

MOST_FAILED = 0.05
"""The share of the texts to be read that a source may fail on for chance still to have decided."""

MOST_MEASURED = 2_000


@dataclass(frozen=True, slots=True)
class Savings:
    """Time saved by suggestions, as measured where chance decided which texts came without one.

    `blind_seconds` and `assisted_seconds` are of a text of average length: measured times over those that
    length alone explains. `share` of the time is saved, `minutes` over all assisted texts; `interval` is the
    95 % bootstrap interval of `minutes`, `share_interval` that of `share`.
    """

    blind: int
    assisted: int
    blind_seconds: float
    assisted_seconds: float
    share: float
    share_interval: tuple[float, float]
    minutes: float
    interval: tuple[float, float]


def measured(project: Project) -> tuple[list[Timed], list[Timed]]:
    """Answers to pool texts without and with a suggestion, by the same people, in rounds that suggested.

    Of those without only the texts that were drawn for it count: where a source had nothing to say, chance
    did not decide. Of a round in which it failed on more than `MOST_FAILED` of the others nothing counts:
    what it fails on are other texts, long ones say, and they are missing on one side only.
    """
    store = project.store
    blind = store.newest_times(limit=MOST_MEASURED, blind=True)
    assisted = store.newest_times(limit=MOST_MEASURED, blind=False) if blind else ()
    read = Counter(t.round for t in assisted)
    failed = Counter(t.round for t in blind if not project.is_unassisted(t.input_hash))
    rounds = {n for n, texts in read.items() if failed[n] <= MOST_FAILED * (texts + failed[n])}
    drawn = [t for t in blind if t.round in rounds and project.is_unassisted(t.input_hash)]
    both = {t.annotator for t in drawn} & {t.annotator for t in assisted}
    asked = {t.round for t in drawn}
    return (
        [t for t in drawn if t.annotator in both],
        [t for t in assisted if t.annotator in both and t.round in asked],
    )


def capped_seconds(times: Sequence[Timed], caps: Mapping[str, int]) -> NDArray[np.float64]:
    """(answers,): seconds looked at, each at most its annotator's cap in milliseconds."""
    return np.asarray(
        [min(t.milliseconds, caps.get(t.annotator, LEAST_CAP)) / 1000 for t in times], dtype=np.float64
    )


def savings(
    blind: Sequence[Timed], assisted: Sequence[Timed], caps: Mapping[str, int], *, seed: int
) -> Savings | None:
    """Measured where there are enough answers of each kind, adjusted for the length of the texts."""
    if min(len(blind), len(assisted)) < MEASURED:
        return None
    times = capped_seconds([*blind, *assisted], caps)
    # Length alone: what was edited is what the suggestion changed, and must not be adjusted away.
    lengths = np.array([[t.words, 0, 0] for t in (*blind, *assisted)])
    speed = fit_speed(lengths, times)
    if speed is None:
        return None
    modelled = np.maximum(speed.seconds(lengths), 0.1)
    ratios, middle = times / modelled, float(modelled.mean())
    slow, fast = ratios[: len(blind)], ratios[len(blind) :]
    rng = np.random.default_rng(seed)
    before, after = (rng.choice(part, (1000, len(part))).mean(axis=1) for part in (slow, fast))
    minutes = float(modelled[len(blind) :].sum()) / 60
    low, high = np.percentile((before - after) * minutes, (2.5, 97.5))
    least, most = np.percentile(1 - after / np.maximum(before, 1e-9), (2.5, 97.5))
    slow_mean, fast_mean = max(float(slow.mean()), 1e-9), float(fast.mean())
    return Savings(
        blind=len(blind),
        assisted=len(assisted),
        blind_seconds=slow_mean * middle,
        assisted_seconds=fast_mean * middle,
        share=1 - fast_mean / slow_mean,
        share_interval=(float(least), float(most)),
        minutes=(slow_mean - fast_mean) * minutes,
        interval=(float(low), float(high)),
    )
