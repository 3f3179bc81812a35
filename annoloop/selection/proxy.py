"""A cheap stand-in for the model that ranks the pool: TF-IDF and logistic regression.

It selects as well as spaCy's own scores, and features of 100,000 texts are computed once, in seconds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from annoloop.types import Gold, LabelScheme, PoolGold

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix


WORD = r"(?u)\b\w+\b"
"""What counts as a word."""


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


@dataclass(frozen=True)
class Ranker:
    """Logistic regressions, one a category, learned from gold.

    Attributes:
        coefficients: (dimensions, categories learned).
        intercepts: (categories learned,).
        columns: the label of each of them, by its place in the scheme.
        labels: how many labels the scheme has.
        exclusive: whether a text has exactly one category: rows sum to 1.
    """

    coefficients: NDArray[np.float64]
    intercepts: NDArray[np.float64]
    columns: tuple[int, ...]
    labels: int
    exclusive: bool

    def __call__(self, features: Any) -> NDArray[np.float64]:
        """From features of texts, (texts, dimensions), to (texts, labels)."""
        return self.probabilities(features @ self.coefficients)

    def probabilities(self, products: NDArray[Any]) -> NDArray[Any]:
        """(texts, labels) of the features' products with the coefficients, (texts, categories learned)."""
        from scipy.special import expit

        likely = expit(products + self.intercepts.astype(products.dtype))
        if self.exclusive:
            likely /= np.maximum(likely.sum(axis=1, keepdims=True), np.finfo(likely.dtype).tiny)
        found = np.zeros((len(likely), self.labels), dtype=likely.dtype)
        found[:, list(self.columns)] = likely
        return found


def ranker(gold: Sequence[Gold], known: Any, scheme: LabelScheme, seed: int) -> Ranker | None:
    """Learn categories from the features of gold, (texts, dimensions); None where gold cannot teach."""
    models = (
        _exclusive(gold, known, scheme, seed) if scheme.is_exclusive else _several(gold, known, scheme, seed)
    )
    if not models:
        return None
    return Ranker(
        np.stack([weights for _, weights, _ in models], axis=1),
        np.asarray([intercept for _, _, intercept in models]),
        tuple(scheme.labels.index(name) for name, _, _ in models),
        len(scheme.labels),
        scheme.is_exclusive,
    )


_Model = tuple[str, NDArray[np.float64], float]
"""A label, the weights of its features, the intercept."""


def _exclusive(gold: Sequence[Gold], known: Any, scheme: LabelScheme, seed: int) -> list[_Model]:
    rows = [i for i, g in enumerate(gold) if g.annotation.labels]
    target = np.asarray([gold[i].annotation.labels[0] for i in rows], dtype=object)
    names = sorted(set(target))
    if len(names) < 2:
        return []
    if len(names) == 2:
        # Of two categories one is what the other is not.
        _, weights, intercept = model = _learned(names[1], known[rows], target == names[1], seed)
        return [(names[0], -weights, -intercept), model]
    return [_learned(name, known[rows], target == name, seed) for name in names]


def _several(gold: Sequence[Gold], known: Any, scheme: LabelScheme, seed: int) -> list[_Model]:
    marks = {name: np.asarray([name in g.annotation.labels for g in gold]) for name in scheme.labels}
    return [
        _learned(name, known, marked, seed)
        for name, marked in marks.items()
        if marked.any() and not marked.all()
    ]


def _learned(name: str, known: Any, target: NDArray[Any], seed: int) -> _Model:
    # liblinear's dual, a label at a time: with far more features than texts it takes tenths of a second
    # where lbfgs on all labels at once takes many seconds, and it ranks as well.
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(C=10.0, solver="liblinear", dual=True, max_iter=1000, random_state=seed)
    model.fit(known, np.asarray(target, dtype=np.int64))
    return name, model.coef_[0], float(model.intercept_[0])
