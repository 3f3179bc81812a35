"""The peers' ways of choosing categories, called as their documentation does; started by lot.

Same classifier: the logistic regression over TF-IDF that annoloop ranks with and that is scored. Where a peer
needs dense features it gets 100 singular vectors of the same TF-IDF.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from copy import copy
from dataclasses import replace
from typing import Any

import numpy as np
from learning_ground import peers

from annoloop.selection.vectors import load_encoder
from annoloop.steps.simulation.run import Standing, by_strategy


def by_lot_first(standing: Standing) -> list[int] | None:
    """The batch that random has too; None after the first round."""
    if standing.labelled:
        return None
    return by_strategy(_as(standing, "random"))


def ours_by_lot_first(standing: Standing) -> list[int]:
    """annoloop's default, begun by lot as the peers are."""
    return by_lot_first(standing) or by_strategy(_as(standing, "auto"))


def ours_by_vectors(standing: Standing) -> list[int]:
    """annoloop's default with `[selection] vectors`: sentence vectors tell the texts of a batch apart."""
    material = copy(standing.material)
    material.proxy = _ByVectors(standing.material)
    return by_strategy(replace(_as(standing, "auto"), material=material))


class _ByVectors:
    """The proxy, whose probabilities are those of the words, with vectors for features."""

    def __init__(self, material: Any) -> None:
        if not hasattr(material, "vectors"):
            material.vectors = load_encoder().encode(material.texts.tolist()).astype(np.float64)
        self.features, self.probabilities = material.vectors, material.proxy.probabilities


def _as(standing: Standing, strategy: str) -> Standing:
    return replace(standing, plan=standing.plan._replace(strategy=strategy))


# -- small-text --------------------------------------------------------------------------------


def breaking_ties(standing: Standing) -> Sequence[int]:
    return _small_text(standing, "BreakingTies")


def breaking_ties_own(standing: Standing) -> Sequence[int]:
    """With the classifier of its own examples, a linear SVM with confidences; scored like all others."""
    return _small_text(standing, "BreakingTies", own=True)


def least_confidence(standing: Standing) -> Sequence[int]:
    return _small_text(standing, "LeastConfidence")


def prediction_entropy(standing: Standing) -> Sequence[int]:
    return _small_text(standing, "PredictionEntropy")


def embedding_kmeans(standing: Standing) -> Sequence[int]:
    return _small_text(standing, "EmbeddingKMeans", embedded=True)


def _small_text(standing: Standing, name: str, *, own: bool = False, embedded: bool = False) -> Sequence[int]:
    first = by_lot_first(standing)
    if first is not None:
        return first
    peers()
    import small_text

    codes, known = _codes(standing)
    if known < 2:
        return by_strategy(_as(standing, "random"))
    np.random.seed(_seed(standing))
    features, labelled = standing.material.proxy.features, np.asarray(standing.labelled)
    y = np.full(features.shape[0], small_text.LABEL_UNLABELED)
    y[labelled] = codes
    dataset = small_text.SklearnDataset(features, y, target_labels=np.arange(known))
    model = small_text.ConfidenceEnhancedLinearSVC() if own else _regression(standing)
    classifier = small_text.SklearnClassifier(model, known)
    classifier.fit(small_text.SklearnDataset(features[labelled], codes, target_labels=np.arange(known)))
    strategy = getattr(small_text, name)()
    more = {"embeddings": _svd(standing)[np.r_[standing.open, labelled]]} if embedded else {}
    n = min(standing.plan.batch, len(standing.open))
    found = strategy.query(classifier, dataset, np.asarray(standing.open), labelled, codes, n=n, **more)
    return [int(row) for row in found]


# -- scikit-activeml ---------------------------------------------------------------------------


def active_margin(standing: Standing) -> Sequence[int]:
    return _active(standing, "UncertaintySampling", method="margin_sampling")


def active_badge(standing: Standing) -> Sequence[int]:
    return _active(standing, "Badge", embedded=True)


def active_falcun(standing: Standing) -> Sequence[int]:
    return _active(standing, "Falcun")


def _active(standing: Standing, name: str, *, embedded: bool = False, **options: Any) -> Sequence[int]:
    first = by_lot_first(standing)
    if first is not None:
        return first
    peers()
    from skactiveml import pool

    codes, known = _codes(standing)
    if known < 2:
        return by_strategy(_as(standing, "random"))
    seed = _seed(standing)
    if embedded:
        options["clf_embedding_flag_name"] = "return_embeddings"
    strategy = getattr(pool, name)(random_state=seed, **options)
    rows = np.arange(len(standing.material.pool), dtype=np.float64)[:, None]
    y = np.full(len(rows), np.nan)
    y[standing.labelled] = codes
    classifier = _classifier(standing, known, seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = strategy.query(
            rows,
            y,
            clf=classifier,
            candidates=np.asarray(standing.open),
            batch_size=min(standing.plan.batch, len(standing.open)),
        )
    return [int(row) for row in found]


def _classifier(standing: Standing, known: int, seed: int) -> Any:
    """It takes dense features only, so a row is its number, by which the sparse features are looked up."""
    from skactiveml.base import SkactivemlClassifier

    features = standing.material.proxy.features

    class OnRows(SkactivemlClassifier):
        def fit(self, X: Any, y: Any, sample_weight: None = None) -> Any:  # noqa: N803
            labelled = ~np.isnan(y)
            rows = X[labelled, 0].astype(int)
            self.model_ = _regression(standing).fit(features[rows], y[labelled].astype(int))
            self.classes_ = self.model_.classes_
            return self

        def predict_proba(self, X: Any, return_embeddings: bool = False) -> Any:  # noqa: N803
            rows = X[:, 0].astype(int)
            found = self.model_.predict_proba(features[rows])
            return (found, _svd(standing)[rows]) if return_embeddings else found

    return OnRows(classes=np.arange(known), random_state=seed)


# -- both --------------------------------------------------------------------------------------


def _codes(standing: Standing) -> tuple[Any, int]:
    """Numbers of the categories seen so far, and how many there are."""
    names, codes = np.unique([g.annotation.labels[0] for g in standing.gold], return_inverse=True)
    return codes, len(names)


def _regression(standing: Standing) -> Any:
    from sklearn.linear_model import LogisticRegression
    from sklearn.multiclass import OneVsRestClassifier

    class OneVsRest(OneVsRestClassifier):
        def fit(self, X: Any, y: Any, sample_weight: None = None) -> Any:  # noqa: N803
            # small-text passes weights, None here, which scikit-learn's own refuses.
            return super().fit(X, y)

    seed = standing.plan.seed
    return OneVsRest(
        LogisticRegression(C=10.0, solver="liblinear", dual=True, max_iter=1000, random_state=seed)
    )


def _svd(standing: Standing) -> Any:
    """(pool, 100), computed once for each pool."""
    material: Any = standing.material
    if not hasattr(material, "svd_of_peers"):
        from annoloop.selection.diversity import embed

        material.svd_of_peers = embed(material.proxy.features, np.random.default_rng(0))
    return material.svd_of_peers


def _seed(standing: Standing) -> int:
    return int(standing.rng.integers(2**31))
