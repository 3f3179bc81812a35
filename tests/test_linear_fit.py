"""Offsets between labels: rare labels are answered too, and nothing is moved where there is no gain."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_matrix
from sklearn.metrics import accuracy_score, f1_score

from annoloop.errors import TrainingError
from annoloop.training.linear_fit import FOLDS, fit, label_offsets
from annoloop.training.recipe import load_recipe

SHARES = (0.55, 0.25, 0.12, 0.05, 0.02, 0.01)


def texts(count: int, seed: int, shares: tuple[float, ...] = SHARES) -> tuple[csr_matrix, np.ndarray]:
    """Features (texts, 6) that say little about the labels, and the labels (texts,) by number."""
    rng = np.random.default_rng(seed)
    named = rng.choice(len(shares), size=count, p=shares)
    centres = np.eye(len(shares), 6) * 1.6
    return csr_matrix(centres[named] + rng.normal(size=(count, 6))), named


def judged(
    count: int, seed: int, shares: tuple[float, ...] = SHARES, *, offsets: bool
) -> tuple[float, float]:
    """Accuracy and macro-F on other texts, after learning from so many."""
    matrix, named = texts(count, seed, shares)
    truth = named[:, np.newaxis] == np.arange(len(shares))
    weights, bias = fit(matrix, truth, penalty=1, balanced=True, offsets=offsets)
    asked, wanted = texts(4000, 99, shares)
    said = (asked @ weights + bias).argmax(axis=1)
    return accuracy_score(wanted, said), f1_score(wanted, said, average="macro")


def test_labels_of_unlike_size_are_told_apart_better() -> None:
    before, after = (
        np.mean([judged(1000, seed, offsets=offsets) for seed in range(3)], axis=0)
        for offsets in (False, True)
    )
    assert (after > before + 0.01).all(), (before, after)


@pytest.mark.parametrize("shares", [(0.9, 0.1), (0.9, 0.1, 0.0)])
def test_two_labels_are_left_as_they_are(shares: tuple[float, ...]) -> None:
    assert judged(300, 0, shares, offsets=True) == judged(300, 0, shares, offsets=False)


@pytest.mark.parametrize("count", [0, 1, 3, FOLDS, FOLDS + 1, 12])
def test_the_least_gold_is_enough_to_fit(count: int) -> None:
    matrix, named = texts(count, 0)
    truth = named[:, np.newaxis] == np.arange(3)
    weights, bias = fit(matrix, truth, penalty=1, balanced=True, offsets=True)
    assert (weights.shape, bias.shape) == ((6, 3), (3,))
    assert np.isfinite(weights).all() and np.isfinite(bias).all()


def test_only_a_label_that_is_too_low_is_moved() -> None:
    named = np.repeat([0, 1, 2], [200, 180, 20])
    scores = np.where(named[:, np.newaxis] == np.arange(3), 1.0, -1.0)
    assert not label_offsets(scores, named).any()
    scores[:, 2] -= 2.5
    found = label_offsets(scores, named)
    assert found[2] > 0.5 and not found[:2].any()
    assert ((scores + found).argmax(axis=1) == named).all()


@settings(max_examples=40)
@given(st.integers(0, 40), st.integers(1, 5), st.integers(0, 1000))
def test_offsets_never_lower_what_they_are_tuned_for(count: int, labels: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    scores, named = rng.normal(size=(count, labels)), rng.integers(labels, size=count)
    found = label_offsets(scores, named)
    assert found.shape == (labels,) and (np.abs(found) <= 2).all()
    if count:
        before, after = (
            accuracy_score(named, said) + f1_score(named, said, average="macro", zero_division=0)
            for said in (scores.argmax(axis=1), (scores + found).argmax(axis=1))
        )
        assert after >= before - 1e-9


def test_recipes_of_exclusive_categories_tune_them_and_can_be_told_not_to() -> None:
    for recipe in ("textcat_linear", "textcat_vectors"):
        for setting, wanted in (("", True), (":offsets=false", False)):
            config = load_recipe(recipe + setting, "textcat")
            assert config["components"]["textcat"]["offsets"] is wanted
    with pytest.raises(TrainingError, match="no setting"):
        load_recipe("textcat_multilabel_linear:offsets=true", "textcat_multilabel")
