"""A cheap stand-in for the model that ranks the pool: TF-IDF and logistic regression.

It selects as well as spaCy's own scores, and features of 100,000 texts are computed once, in seconds.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from annoloop.types import Gold, LabelScheme, PoolGold

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix


WORD = r"(?u)\b\w+\b"
"""What counts as a word."""

Rank = Callable[[Any], NDArray[np.float64]]
"""From features of texts, (texts, dimensions), to (texts, labels)."""


class Proxy:
    """Features of a pool of texts, computed once, and category probabilities from the gold so far."""

    def __init__(self, texts: Sequence[str]) -> None:
        from scipy.sparse import csr_matrix
        from sklearn.feature_extraction.text import TfidfVectorizer

        self._vectorizer = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, token_pattern=WORD)
        try:
            self.features: csr_matrix = self._vectorizer.fit_transform(texts).tocsr()
            self._has_words = True
        except ValueError:
            # No text, or not one word in them (only emoji, say): nothing to tell them apart by.
            self.features = csr_matrix((len(texts), 1))
            self._has_words = False

    def transform(self, texts: Sequence[str]) -> csr_matrix:
        """Features of other texts, (texts, dimensions), by the pool's words."""
        from scipy.sparse import csr_matrix

        if not self._has_words:
            return csr_matrix((len(texts), 1))
        return self._vectorizer.transform(texts).tocsr()

    def probabilities(self, gold: PoolGold, *, scheme: LabelScheme, seed: int) -> NDArray[np.float64] | None:
        """(texts, labels) in the scheme's order; 0 for labels without gold. None where gold cannot teach.

        Single-choice rows sum to 1; with several categories each label stands for itself. None means a
        cold start: gold of fewer than two categories.
        """
        usable = [g for g in gold if g.complete]
        if not self._has_words or scheme.has_spans or not usable:
            return None
        known = self._vectorizer.transform([g.example.text for g in usable]).tocsr()
        # A feature that no gold text has gets weight 0 (L2), so leaving it out changes nothing but the time.
        columns = np.unique(known.indices)
        known, pool = known[:, columns], self.features[:, columns]
        if not len(columns):
            return None
        rank = ranker(usable, known, scheme, seed)
        return None if rank is None else rank(pool)


def ranker(gold: Sequence[Gold], known: Any, scheme: LabelScheme, seed: int) -> Rank | None:
    """Learn categories from the features of gold, (texts, dimensions); None where gold cannot teach."""
    return (
        _exclusive(gold, known, scheme, seed) if scheme.is_exclusive else _several(gold, known, scheme, seed)
    )


def _exclusive(gold: Sequence[Gold], known: Any, scheme: LabelScheme, seed: int) -> Rank | None:
    rows = [i for i, g in enumerate(gold) if g.annotation.labels]
    target = [gold[i].annotation.labels[0] for i in rows]
    if len(set(target)) < 2:
        return None
    from sklearn.multiclass import OneVsRestClassifier

    model = OneVsRestClassifier(_regression(seed)).fit(known[rows], target)
    columns = [scheme.labels.index(name) for name in model.classes_]

    def rank(features: Any) -> NDArray[np.float64]:
        found = np.zeros((features.shape[0], len(scheme.labels)))
        found[:, columns] = model.predict_proba(features)
        return found

    return rank


def _several(gold: Sequence[Gold], known: Any, scheme: LabelScheme, seed: int) -> Rank | None:
    models: dict[int, Any] = {}
    for column, name in enumerate(scheme.labels):
        target = [name in g.annotation.labels for g in gold]
        if any(target) and not all(target):
            models[column] = _regression(seed).fit(known, target)

    def rank(features: Any) -> NDArray[np.float64]:
        found = np.zeros((features.shape[0], len(scheme.labels)))
        for column, model in models.items():
            found[:, column] = model.predict_proba(features)[:, 1]
        return found

    return rank if models else None


def _regression(seed: int) -> Any:
    # liblinear's dual, a label at a time: with far more features than texts it takes tenths of a second
    # where lbfgs on all labels at once takes many seconds, and it ranks as well.
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression(C=10.0, solver="liblinear", dual=True, max_iter=1000, random_state=seed)
