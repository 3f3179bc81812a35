"""What the linear text categorizer learns: logistic regressions, one a label, and offsets between them.

The file travels inside exported packages beside linear_textcat.py, so it imports nothing of annoloop.
Fitting needs scikit-learn.

Regressions that each set one label against all others answer their rarest labels too seldom, however the
sides are weighed. An offset a label, added to its score before the labels are compared, mends that
(Menon et al. 2021, "Long-tail learning via logit adjustment", take it from the labels' shares; tuned label
by label it gained more here). The offsets are tuned on scores of the training texts by models that have
not seen them, for the mean of accuracy and macro-F, less a cost for their size.
"""

from typing import Any

import numpy as np

FOLDS = 5
_STEPS = np.linspace(-2, 2, 17)
_COST = 0.25
"""What one unit of one offset costs, over the root of the number of texts: half a share's standard error.
Less of it follows single texts; of four times as much no offset is worth its cost."""


def fit(
    matrix: Any, truth: np.ndarray, *, penalty: float, balanced: bool, offsets: bool
) -> tuple[np.ndarray, np.ndarray]:
    """One regression with an L2 penalty a label: weights (features, labels) and bias (labels,), float32.

    `matrix` is (texts, features), `truth` is bool (texts, labels), `penalty` is 1 / C of scikit-learn;
    where `balanced` the rare side of a label weighs as much as the other. `offsets` tunes the labels against
    each other, where there are more than two and each text has one: the bias has their offsets in it.

    Raises:
        ImportError: scikit-learn is not installed.
    """
    weights, bias = _regressions(matrix, truth, penalty, balanced=balanced)
    # Between two labels there is but one threshold, and accuracy and macro-F agree on it: nothing was gained.
    if offsets and truth.any(axis=0).sum() > 2 and len(truth) > FOLDS:
        scores = _out_of_fold(matrix, truth, penalty, balanced=balanced)
        bias += label_offsets(scores, truth.argmax(axis=1))
    return weights, bias


def _regressions(
    matrix: Any, truth: np.ndarray, penalty: float, *, balanced: bool
) -> tuple[np.ndarray, np.ndarray]:
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


def _out_of_fold(matrix: Any, truth: np.ndarray, penalty: float, *, balanced: bool) -> np.ndarray:
    """The scores of each text, (texts, labels), by regressions that have learned from the other folds."""
    named, folds = truth.argmax(axis=1), np.empty(len(truth), dtype=np.int64)
    for label in range(truth.shape[1]):
        having = np.flatnonzero(named == label)
        folds[having] = np.arange(len(having)) % FOLDS
    scores = np.empty(truth.shape)
    for fold in range(FOLDS):
        asked, rest = np.flatnonzero(folds == fold), np.flatnonzero(folds != fold)
        weights, bias = _regressions(matrix[rest], truth[rest], penalty, balanced=balanced)
        scores[asked] = matrix[asked] @ weights + bias
    return scores


def label_offsets(scores: np.ndarray, named: np.ndarray) -> np.ndarray:
    """What to add to the score of each label, (labels,) from -2 to 2, so that the highest is right oftener.

    `scores` are log odds, (texts, labels), of texts that the model has not learned from, `named` (texts,)
    the labels that they have, by number. Offsets are moved one label at a time for as long as the mean of
    accuracy and macro-F, less the cost of all offsets, rises.
    """
    found, cost = np.zeros(scores.shape[1]), _COST / np.sqrt(max(len(named), 1))
    best = _accuracy_and_macro_f(named, scores.argmax(axis=1), len(found))
    risen = True
    while risen:
        risen = False
        for label in range(len(found)):
            others = scores + found
            others[:, label] = -np.inf
            second, bar = others.argmax(axis=1), others.max(axis=1)
            elsewhere = np.abs(np.delete(found, label)).sum()
            for step in _STEPS:
                said = np.where(scores[:, label] + step > bar, label, second)
                value = _accuracy_and_macro_f(named, said, len(found)) - cost * (elsewhere + abs(step))
                if value > best + 1e-9:
                    best, found[label], risen = value, step, True
    return found


def _accuracy_and_macro_f(named: np.ndarray, said: np.ndarray, labels: int) -> float:
    """Their mean; macro-F over the labels that are named or said."""
    right = np.bincount(named[named == said], minlength=labels)
    either = np.bincount(named, minlength=labels) + np.bincount(said, minlength=labels)
    macro_f = (2 * right / np.maximum(either, 1))[either > 0].mean() if len(named) else 0.0
    return float(macro_f + right.sum() / max(len(named), 1)) / 2


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
