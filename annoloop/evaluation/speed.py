"""How long an annotator needs for a text, by its length and by what had to be done to it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from annoloop.evaluation.scores import FloatArray

FEWEST_TIMES = 30
"""Fewer measured answers than this fit no model."""

LEAST_CAP, AWAY = 60.0, 10
"""Seconds that a text may always take, and how many medians: who looked longer had left."""

PAUSE = 6.0
"""So many robust standard deviations above the modelled time somebody had left."""

_TUNING = 1.345
"""Huber's constant: 95 % of least squares' efficiency where times are normal."""

_STEPS = 30


@dataclass(frozen=True, slots=True)
class Speed:
    """Seconds for a text: t = start + a_word * words + an_entity * entities + an_edit * edits.

    No part is negative. Fitted on `answers` measured answers; `error` is the mean absolute error in seconds.
    """

    start: float
    a_word: float
    an_entity: float
    an_edit: float
    answers: int
    error: float

    def seconds(self, features: NDArray[np.generic]) -> FloatArray:
        """(texts,) modelled seconds of (texts, 3) words, entities, edits."""
        weights = np.array([self.a_word, self.an_entity, self.an_edit])
        return np.asarray(self.start + np.asarray(features, dtype=np.float64) @ weights)


def fit_speed(features: NDArray[np.generic], seconds: NDArray[np.generic]) -> Speed | None:
    """The speed of whoever answered, from (answers, 3) words, entities, edits and (answers,) seconds.

    Least squares without negative parts (Lawson and Hanson 1974), reweighted by Huber's function until
    pauses count no more than they should (Huber 1964), then scaled so that the modelled times add up to
    the measured ones: hours are sums. Answers more than `PAUSE` robust deviations above the line are
    pauses, and left out of that. None with fewer than `FEWEST_TIMES` answers, or where nobody took any time.
    """
    times = np.asarray(seconds, dtype=np.float64)
    if len(times) < FEWEST_TIMES or not times.any():
        return None
    from scipy.optimize import nnls

    capped = np.minimum(times, max(LEAST_CAP, AWAY * float(np.median(times))))
    table = np.column_stack([np.ones(len(times)), np.asarray(features, dtype=np.float64)])
    weights = np.ones(len(times))
    for _ in range(_STEPS):
        root = np.sqrt(weights)
        parts, _ = nnls(table * root[:, None], capped * root)
        off = np.abs(capped - table @ parts)
        scale = float(np.median(off)) / 0.6745
        if scale <= 1e-9:
            break
        fresh = np.minimum(1.0, _TUNING * scale / np.maximum(off, 1e-12))
        if np.allclose(fresh, weights, atol=1e-4):
            break
        weights = fresh
    off = capped - table @ parts
    at_it = off <= PAUSE * max(float(np.median(np.abs(off))) / 0.6745, 0.1)
    modelled = float((table @ parts)[at_it].sum())
    if modelled <= 0:
        return None
    parts = parts * float(capped[at_it].sum()) / modelled
    error = float(np.abs(capped - table @ parts)[at_it].mean())
    start, a_word, an_entity, an_edit = map(float, parts)
    return Speed(start, a_word, an_entity, an_edit, answers=len(times), error=error)
