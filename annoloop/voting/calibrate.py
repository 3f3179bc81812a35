"""From a model's own probability to one that keeps its word: of those at .8, about 80 % are right."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
Calibration = Callable[[FloatArray], FloatArray]

ENOUGH_FOR_ISOTONIC = 300
"""Items: a free curve on fewer follows their chance (Niculescu-Mizil and Caruana 2005 put it at 1,000 for
curves of many steps; votes have few)."""
_CLOSEST = 1e-6


def calibration(stated: FloatArray, right: NDArray[np.bool_]) -> Calibration:
    """What a stated probability was worth, never falling: shape (items,) in, the same shape out, 0 to 1.

    `stated` must come from models that have not seen the item (by folds), `right` tells which were true.
    Isotonic regression where there are enough items, else Platt's (1999) logistic curve; where all are
    right or all wrong, or the curve would fall, the share of the right ones with Laplace's counts.
    """
    share = (float(right.sum()) + 1) / (len(right) + 2)
    if not len(right) or right.all() or not right.any():
        return lambda values: np.full(len(values), share)
    if len(right) >= ENOUGH_FOR_ISOTONIC:
        from sklearn.isotonic import IsotonicRegression

        curve = IsotonicRegression(y_min=1 / (len(right) + 2), y_max=1 - 1 / (len(right) + 2))
        curve.set_params(out_of_bounds="clip").fit(stated, right.astype(np.float64))
        return lambda values: np.asarray(curve.predict(values), dtype=np.float64)
    from sklearn.linear_model import LogisticRegression

    platt = LogisticRegression().fit(_logit(stated), right)
    if float(platt.coef_[0, 0]) <= 0:
        return lambda values: np.full(len(values), share)
    return lambda values: np.asarray(platt.predict_proba(_logit(values))[:, 1], dtype=np.float64)


def _logit(values: FloatArray) -> FloatArray:
    inside = np.clip(values, _CLOSEST, 1 - _CLOSEST)
    return np.asarray(np.log(inside / (1 - inside))[:, None], dtype=np.float64)
