"""Strategies that look at a batch as a whole: its texts are to differ from each other.

Same signature as in `strategies`. Distances are Euclidean between rows of length 1, which order as
cosines do; clusters are found on at most `DIMENSIONS` singular vectors (Deerwester 1990).
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from annoloop.selection.candidates import Candidates, FloatArray, IndexArray
from annoloop.selection.strategies import MissingSignalError, doubt, lowest, signal

SHORTLIST = 10
"""Texts on the shortlist for each one to pick, as in Zhdanov 2019."""

DIMENSIONS = 100
LARGEST_POOL = 20_000
"""Texts that are clustered; of more, a sample by lot."""

MOST_COLUMNS = 10_000
NEIGHBOURS = 20
MOST_CLUSTERS = 500


def kmeans_start(candidates: Candidates, n: int, rng: np.random.Generator) -> IndexArray:
    """The cold start: `n` clusters, of each the text nearest to its centre, large clusters first.

    Kang, Ryu and Kwon 2004 (representative sampling); Yuan, Lin and Boyd-Graber 2020 confirm it for texts.
    """
    rows = _sample(candidates, rng)
    points = embed(_features(candidates)[rows], rng)
    clusters = _clusters(points, n, rng)
    sizes = np.bincount(clusters.labels, minlength=len(clusters.nearest))
    order = np.argsort(-sizes[clusters.labels[clusters.nearest]], kind="stable")
    return rows[clusters.nearest[order]]


def margin_kmeans(candidates: Candidates, n: int, rng: np.random.Generator) -> IndexArray:
    """The `SHORTLIST` * n least sure rows, clustered with their doubt as weight; of each cluster one.

    Zhdanov 2019, Diverse mini-batch Active Learning. The default for categories: the best of all on Banking77
    in our experiments, and ahead of `margin` with 2, 8 and 11 categories too. The least sure come first.
    """
    doubts = doubt(candidates)
    rows = lowest(-doubts, SHORTLIST * n)
    points = embed(_features(candidates)[rows], rng)
    # A text of which the model is sure still has a place, if the smallest.
    clusters = _clusters(points, n, rng, weights=np.maximum(doubts[rows], 1e-3))
    return rows[np.sort(clusters.nearest)]


def badge(candidates: Candidates, n: int, rng: np.random.Generator) -> IndexArray:
    """Rows drawn like the seeds of k-means++ among gradients: unsure ones that differ (Ash et al. 2020).

    A gradient is that of the last layer for the likeliest answer, (p - answer) x features, which is never
    written out: the inner product of two is the product of the parts' inner products. Instead of a
    network's last hidden layer, the features are ours, so the paper's figures need not hold.
    """
    probabilities = signal(candidates, "probabilities")
    rows = _sample(candidates, rng)
    errors, points = (
        probabilities[rows] - _answers(probabilities[rows], candidates),
        _features(candidates)[rows],
    )
    norms = (errors**2).sum(axis=1) * _squared(points)
    chosen: list[int] = []
    far = np.full(len(rows), np.inf)
    while len(chosen) < min(n, len(rows)) and far.max() > 1e-12:
        at = int(rng.choice(len(rows), p=far / far.sum())) if chosen else int(np.argmax(norms))
        chosen.append(at)
        inner = (errors @ errors[at]) * _dense(points @ points[[at]].T).ravel()
        far = np.minimum(far, np.maximum(norms + norms[at] - 2 * inner, 0.0))
        far[chosen] = 0.0
    return rows[np.asarray(chosen, dtype=np.intp)]


def typicality(candidates: Candidates, n: int, rng: np.random.Generator) -> IndexArray:
    """Of the largest clusters without a labelled text the most typical row each (TypiClust, Hacohen 2022).

    Typical is who is near to its `NEIGHBOURS` nearest in the cluster: 1 / their mean distance. There are as
    many clusters as labelled texts and texts to pick together, `MOST_CLUSTERS` at most.
    """
    rows = _sample(candidates, rng)
    features, labelled = _features(candidates)[rows], candidates.labelled
    known = 0 if labelled is None else labelled.shape[0]
    points = embed(features if labelled is None else _stack(features, labelled), rng)
    count = min(known + n, max(n, MOST_CLUSTERS))
    labels = _clusters(points, count, rng).labels
    own, covered = labels[: len(rows)], np.bincount(labels[len(rows) :], minlength=count)
    sizes = np.bincount(own, minlength=count)
    chosen: list[int] = []
    # Clusters that are labelled already are turned to last, large ones before small ones.
    for cluster in np.lexsort((-sizes, covered))[:n]:
        members = np.flatnonzero(own == cluster)
        if len(members):
            chosen.append(int(members[np.argmax(_typical(points[members]))]))
    return rows[np.asarray(chosen, dtype=np.intp)]


def density(candidates: Candidates, n: int, rng: np.random.Generator) -> IndexArray:
    """The highest doubt * mean cosine with all candidates (Settles and Craven 2008).

    Their information density; the exponent of the mean cosine is 1 here, and the doubt is the margin's.
    """
    features = _features(candidates)
    centre = np.asarray(features.mean(axis=0)).ravel()
    return lowest(-doubt(candidates) * np.asarray(features @ centre).ravel(), n)


def embed(features: Any, rng: np.random.Generator) -> FloatArray:
    """(texts, at most `DIMENSIONS`) singular vectors' coordinates, rows scaled to length 1 (or 0)."""
    from sklearn.decomposition import TruncatedSVD
    from threadpoolctl import threadpool_limits

    features = _frequent(features)
    texts, width = features.shape
    points = _dense(features) if width <= DIMENSIONS else None
    if points is None and texts > DIMENSIONS:
        svd = TruncatedSVD(DIMENSIONS, random_state=_seed(rng))
        # Beside other work two threads wait for each other twenty times as long as one computes.
        # Texts of punctuation alone have no variance, of which scikit-learn makes a ratio.
        with threadpool_limits(limits=1), np.errstate(divide="ignore", invalid="ignore"):
            points = svd.fit_transform(features)
    elif points is None:
        points = _dense(features)
    lengths = np.linalg.norm(points, axis=1, keepdims=True)
    return np.asarray(points / np.where(lengths > 0, lengths, 1.0), dtype=np.float64)


def _frequent(features: Any) -> Any:
    """The `MOST_COLUMNS` most used columns: what few texts share hardly shapes the first singular vectors."""
    if features.shape[1] <= MOST_COLUMNS or not hasattr(features, "indices"):
        return features
    used = np.bincount(features.indices, minlength=features.shape[1])
    return features[:, np.sort(np.argsort(-used, kind="stable")[:MOST_COLUMNS])]


class _Clusters:
    """Each point's cluster, and the point nearest to the centre of every cluster that has points."""

    def __init__(self, labels: IndexArray, distances: FloatArray) -> None:
        self.labels = labels
        order = np.lexsort((distances, labels))
        firsts = np.flatnonzero(np.r_[True, labels[order][1:] != labels[order][:-1]])
        self.nearest: IndexArray = order[firsts]


def _clusters(
    points: FloatArray, n: int, rng: np.random.Generator, *, weights: FloatArray | None = None
) -> _Clusters:
    from sklearn.cluster import KMeans
    from sklearn.exceptions import ConvergenceWarning
    from threadpoolctl import threadpool_limits

    model = KMeans(min(n, len(points)), n_init=1, max_iter=100, random_state=_seed(rng))
    # Threads add up in an order of their own: the last digits, and with them the choice, would be chance.
    with warnings.catch_warnings(), threadpool_limits(limits=1):
        warnings.simplefilter("ignore", ConvergenceWarning)  # fewer different texts than clusters
        labels = model.fit_predict(points, sample_weight=weights)
    distances = np.linalg.norm(points - model.cluster_centers_[labels], axis=1)
    return _Clusters(labels.astype(np.intp), distances)


def _typical(points: FloatArray) -> FloatArray:
    """1 / the mean distance to the nearest neighbours, (points,); a lone point is as typical as can be."""
    from sklearn.neighbors import NearestNeighbors

    if len(points) == 1:
        return np.ones(1)
    k = min(NEIGHBOURS, len(points) - 1)
    distances, _ = NearestNeighbors(n_neighbors=k).fit(points).kneighbors()
    return np.asarray(1 / (distances.mean(axis=1) + 1e-9), dtype=np.float64)


def _answers(probabilities: FloatArray, candidates: Candidates) -> FloatArray:
    """1 for the likeliest category, or for every label from one half on; shape (texts, labels)."""
    if not candidates.exclusive:
        return np.asarray(probabilities >= 0.5, dtype=np.float64)
    return np.asarray(np.eye(probabilities.shape[1])[probabilities.argmax(axis=1)], dtype=np.float64)


def _features(candidates: Candidates) -> Any:
    if not candidates.has_words:
        raise MissingSignalError("the strategy needs features")
    return candidates.features


def _sample(candidates: Candidates, rng: np.random.Generator) -> IndexArray:
    """All rows, or so many by lot that clustering them takes seconds."""
    if candidates.count <= LARGEST_POOL:
        return np.arange(candidates.count)
    return np.sort(rng.choice(candidates.count, LARGEST_POOL, replace=False))


def _squared(points: Any) -> FloatArray:
    product = points.multiply(points) if hasattr(points, "multiply") else points * points
    return np.asarray(product.sum(axis=1), dtype=np.float64).ravel()


def _dense(matrix: Any) -> FloatArray:
    return np.asarray(matrix.toarray() if hasattr(matrix, "toarray") else matrix, dtype=np.float64)


def _stack(upper: Any, lower: Any) -> Any:
    if hasattr(upper, "toarray"):
        from scipy.sparse import vstack

        return vstack([upper, lower]).tocsr()
    return np.vstack([upper, lower])


def _seed(rng: np.random.Generator) -> int:
    return int(rng.integers(2**31))
