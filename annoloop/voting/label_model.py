"""How far each voter can be trusted, and the truth behind their votes.

The model of Dawid and Skene (1979, Applied Statistics 28:20-28): every voter has a table of how often it
says which class where the truth is which, and given the truth the voters are independent. A voter that
abstains says nothing: its row is left out of the product, so a voter that never votes changes nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float64]

ABSTAIN = -1
"""The vote of a voter that has none."""
UNKNOWN = -1
"""The class of an item whose truth is not known."""
SMOOTHING = 1.0
"""Laplace's count: added to every class of the prior, and once for every class to a voter's row."""
_ITERATIONS, _STILL = 100, 1e-6


@dataclass(frozen=True)
class LabelModel:
    """What was learned of the voters: all entries lie between 0 and 1, both excluded.

    `prior` has the shape (classes,) and sums to 1; `confusion` has the shape (voters, classes, classes):
    the share of `confusion[v, true, said]`; its rows sum to 1.
    """

    prior: FloatArray
    confusion: FloatArray

    def posterior(self, votes: IntArray) -> FloatArray:
        """The probability of each class, shape (items, classes); rows sum to 1.

        `votes` has the shape (items, voters) and holds classes or ABSTAIN. Bayes' rule on independent
        votes: the prior times each vote's share. Where all abstain it is the prior.
        """
        joint = np.tile(np.log(self.prior), (len(votes), 1))
        for voter, confusion in enumerate(np.log(self.confusion)):
            voted = votes[:, voter] != ABSTAIN
            joint[voted] += confusion[:, votes[voted, voter]].T
        likely = np.exp(joint - joint.max(axis=1, keepdims=True))
        return np.asarray(likely / likely.sum(axis=1, keepdims=True), dtype=np.float64)


def fit(
    votes: IntArray,
    *,
    classes: int,
    known: IntArray | None = None,
    weights: FloatArray | None = None,
    base: FloatArray | None = None,
) -> LabelModel:
    """Learn prior and confusion: counts where the truth is known, expectation-maximisation where it is not.

    Nothing is drawn by chance: the same votes give the same model.

    Args:
        votes: (items, voters), classes from 0 or ABSTAIN.
        classes: how many there are.
        known: (items,), the true class or UNKNOWN. None: no truth is known, and majorities start it.
        weights: (items,), how often each item counts. None: once.
        base: (voters, classes, classes), rows sum to 1: what is believed of each voter beforehand. It
            counts as much as Laplace's counts, whose place it takes. None: all classes are equally likely.

    Raises:
        ValueError: a vote or a known class is not one of the classes.
    """
    known = np.full(len(votes), UNKNOWN, dtype=np.int64) if known is None else known
    for name, values in (("vote", votes), ("known class", known)):
        if values.size and (values.min() < -1 or values.max() >= classes):
            raise ValueError(f"a {name} is not one of {classes} classes")
    weights = np.ones(len(votes)) if weights is None else weights
    if base is None:
        base = np.full((votes.shape[1], classes, classes), 1 / classes)
    truth = np.zeros((len(votes), classes))
    sure = known != UNKNOWN
    truth[sure, known[sure]] = 1
    if sure.all():
        return _counted(votes, truth, weights, base)
    if sure.any():
        truth[~sure] = _counted(votes[sure], truth[sure], weights[sure], base).posterior(votes[~sure])
    else:
        truth = _majority(votes, classes)
    for _ in range(_ITERATIONS):
        model = _counted(votes, truth, weights, base)
        better = model.posterior(votes[~sure])
        moved = float(np.abs(better - truth[~sure]).max())
        truth[~sure] = better
        if moved < _STILL:
            break
    return _counted(votes, truth, weights, base)


def one_accuracy(votes: IntArray, known: IntArray, *, classes: int) -> FloatArray:
    """A base for `fit`: each voter equally often right in every class, its errors spread evenly.

    With many classes most rows of a voter's table rest on a handful of texts; what a voter is like
    elsewhere is a better guess there than pure chance. Shape (voters, classes, classes).
    """
    tables = []
    for column in votes.T:
        voted = (column != ABSTAIN) & (known != UNKNOWN)
        right = float((column[voted] == known[voted]).sum())
        share = (right + SMOOTHING) / (float(voted.sum()) + SMOOTHING * classes)
        wrong = (1 - share) / max(classes - 1, 1)
        tables.append(np.full((classes, classes), wrong) + np.eye(classes) * (share - wrong))
    return np.asarray(tables, dtype=np.float64).reshape(-1, classes, classes)


def _counted(votes: IntArray, truth: FloatArray, weights: FloatArray, base: FloatArray) -> LabelModel:
    """The maximisation step: weighted counts of what was said where, smoothed; `truth` (items, classes)."""
    classes = truth.shape[1]
    weighed = truth * weights[:, None]
    prior = weighed.sum(axis=0) + SMOOTHING
    confusion = base * SMOOTHING * classes
    for voter in range(votes.shape[1]):
        for said in range(classes):
            confusion[voter, :, said] += weighed[votes[:, voter] == said].sum(axis=0)
    return LabelModel(prior / prior.sum(), confusion / confusion.sum(axis=2, keepdims=True))


def _majority(votes: IntArray, classes: int) -> FloatArray:
    """Each item's shares of votes, (items, classes); equal shares where all abstain."""
    shares = np.stack([(votes == said).sum(axis=1) for said in range(classes)], axis=1).astype(np.float64)
    shares[shares.sum(axis=1) == 0] = 1
    return np.asarray(shares / shares.sum(axis=1, keepdims=True), dtype=np.float64)
