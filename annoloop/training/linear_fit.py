"""Logistic regressions over a sparse matrix, one a label: what the linear text categorizer learns.

The file travels inside exported packages beside linear_textcat.py, so it imports nothing of annoloop.
Fitting needs scikit-learn.
"""

from typing import Any

import numpy as np


def fit(matrix: Any, truth: np.ndarray, *, penalty: float, balanced: bool) -> tuple[np.ndarray, np.ndarray]:
    """One regression with an L2 penalty a label: weights (features, labels) and bias (labels,), float32.

    `matrix` is (texts, features), `truth` is bool (texts, labels), `penalty` is 1 / C of scikit-learn;
    where `balanced` the rare side of a label weighs as much as the other.

    Raises:
        ImportError: scikit-learn is not installed.
    """
    labels = truth.shape[1]
    weights = np.zeros((matrix.shape[1], labels), dtype=np.float32)
    bias = np.full(labels, -20.0, dtype=np.float32)
    for column in range(labels):
        if truth[:, column].all() and len(truth):
            bias[column] = 20.0
        elif truth[:, column].any():
            model = _regression(penalty, balanced=balanced).fit(matrix, truth[:, column])
            weights[:, column], bias[column] = model.coef_[0], model.intercept_[0]
    return weights, bias


def _regression(penalty: float, *, balanced: bool) -> Any:
    try:
        from sklearn.linear_model import LogisticRegression
    except ImportError as error:
        raise ImportError("fitting a linear recipe needs scikit-learn: pip install scikit-learn") from error
    # liblinear's dual solver was about three times as fast here as lbfgs on all labels at once.
    return LogisticRegression(
        C=1 / penalty,
        class_weight="balanced" if balanced else None,
        solver="liblinear",
        dual=True,
        tol=1e-2,
        max_iter=2000,
        random_state=0,
    )
