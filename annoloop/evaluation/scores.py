"""Scores of predictions against gold, with their uncertainty over documents."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import sqrt
from statistics import NormalDist, stdev
from typing import Any

import numpy as np
from numpy.typing import NDArray

from annoloop.types import Annotation, Counts, Gold, LabelScheme, Scores

IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float64]

_EMPTY = Annotation()
_Z95 = NormalDist().inv_cdf(0.975)


@dataclass(frozen=True)
class DocumentCounts:
    """What was right and wrong in every document: the value that scores and gate are computed from.

    `counts` has the shape (documents, labels, 3) and holds true positives, false positives and false
    negatives; `right` has the shape (documents,) and tells whether the whole document is right.
    Documents are in the order of their hashes, so that nothing depends on the order of the gold.
    `missing` is how many documents had no prediction and were counted as an empty one.
    """

    input_hashes: tuple[str, ...]
    labels: tuple[str, ...]
    counts: IntArray
    right: NDArray[np.bool_]
    exclusive: bool
    missing: int

    @property
    def units(self) -> IntArray:
        """(documents, 3): counts whose F is the headline score.

        For spans and several categories these are tp, fp, fn over all labels. For single-choice
        categories a right document is (1, 0, 0) and a wrong one (0, 1, 1): 2tp / (2tp + fp + fn)
        is then the accuracy, and one formula serves all kinds.
        """
        if not self.exclusive:
            return np.asarray(self.counts.sum(axis=1), dtype=np.int64)
        right = self.right.astype(np.int64)
        return np.stack([right, 1 - right, 1 - right], axis=1)


def count(scheme: LabelScheme, gold: Iterable[Gold], predictions: Mapping[str, Annotation]) -> DocumentCounts:
    """Compare the predictions, keyed by input hash, with the gold, document by document.

    Gold that is not `complete` is left out. A text without a prediction counts as an empty
    prediction. Predicted labels outside the scheme count as false positives.
    """
    usable = sorted((g for g in gold if g.complete), key=lambda g: g.example.input_hash)
    guessed = [predictions.get(g.example.input_hash, _EMPTY) for g in usable]
    pairs = [(_units(g.annotation, scheme), _units(p, scheme)) for g, p in zip(usable, guessed, strict=True)]
    seen = {name for truth, guess in pairs for name, *_ in truth | guess}
    labels = (*scheme.labels, *sorted(seen - set(scheme.labels)))
    column = {name: i for i, name in enumerate(labels)}
    counts = np.zeros((len(pairs), len(labels), 3), dtype=np.int64)
    for row, (truth, guess) in enumerate(pairs):
        for kind, found in enumerate((truth & guess, guess - truth, truth - guess)):
            for name, *_ in found:
                counts[row, column[name], kind] += 1
    return DocumentCounts(
        input_hashes=tuple(g.example.input_hash for g in usable),
        labels=labels,
        counts=counts,
        right=np.array([truth == guess for truth, guess in pairs], dtype=bool),
        exclusive=scheme.is_exclusive,
        missing=sum(g.example.input_hash not in predictions for g in usable),
    )


def score(
    scheme: LabelScheme,
    gold: Sequence[Gold] | Iterable[Gold],
    predictions: Mapping[str, Annotation],
    *,
    seed: int,
    samples: int = 1000,
) -> Scores:
    """Score predictions, keyed by input hash, on gold.

    The headline is micro F of exact spans, accuracy for single-choice categories, micro F for
    several categories. `macro_f` is the mean F of the labels that occur in gold, so that it is of the same
    labels whoever predicted; where gold has none, of those predicted. The interval is the 95 % percentile
    bootstrap over documents (Efron and Tibshirani 1993, chapter 13); where that shows no chance at all, as
    where all documents are right, Wilson's.
    `missing` tells how many texts had no prediction. A metric that is not defined is None.
    """
    return scores_of(count(scheme, gold, predictions), seed=seed, samples=samples)


def scores_of(counted: DocumentCounts, *, seed: int, samples: int = 1000) -> Scores:
    """The scores of documents that are already counted; see `score`."""
    table = counted.counts.sum(axis=0)
    per_label = {name: Counts(*map(int, table[i])) for i, name in enumerate(counted.labels)}
    overall = sum(per_label.values(), Counts())
    judged = [c for c in per_label.values() if c.tp + c.fn] or per_label.values()
    defined = [c.f for c in judged if c.f is not None]
    return Scores(
        texts=len(counted.input_hashes),
        score=Counts(*map(int, counted.units.sum(axis=0))).f,
        precision=overall.precision,
        recall=overall.recall,
        macro_f=sum(defined) / len(defined) if defined else None,
        interval=bootstrap_interval(counted.units, exclusive=counted.exclusive, seed=seed, samples=samples),
        per_label=per_label,
        missing=counted.missing,
    )


def is_point(interval: tuple[float, float]) -> bool:
    """Whether resampling showed no chance at all, which says more of the method than of the texts."""
    return interval[1] - interval[0] < 1e-9


def wilson_of(units: IntArray, *, exclusive: bool) -> tuple[float, float]:
    """95 % Wilson interval of F, or of the accuracy of single-choice categories, on its own counts.

    For F it is taken on J = tp / (tp + fp + fn), and F = 2J / (1 + J) rises with it.
    """
    tp, fp, fn = (float(total) for total in units.sum(axis=0))
    if exclusive:
        return wilson_interval(tp, len(units))
    low, high = wilson_interval(tp, tp + fp + fn)
    return 2 * low / (1 + low), 2 * high / (1 + high)


def wilson_interval(right: float, total: float) -> tuple[float, float]:
    """The 95 % interval of a share, right / total (Wilson 1927); total must be above 0."""
    share, z2 = right / total, _Z95**2
    centre = share + z2 / (2 * total)
    spread = _Z95 * sqrt(share * (1 - share) / total + z2 / (4 * total**2))
    low, high = (centre - spread) / (1 + z2 / total), (centre + spread) / (1 + z2 / total)
    return max(0.0, min(low, share)), min(1.0, max(high, share))


def f_of(units: NDArray[Any]) -> FloatArray:
    """F = 2tp / (2tp + fp + fn) along the last axis of size 3; NaN where it is not defined."""
    tp, errors = units[..., 0], units[..., 1] + units[..., 2]
    total = 2.0 * tp + errors
    quotient: FloatArray = np.divide(2.0 * tp, total, out=np.full(np.shape(total), np.nan), where=total > 0)
    return quotient


def grouped(rows: IntArray) -> tuple[IntArray, IntArray]:
    """The distinct rows, sorted, and how often each occurs.

    Documents with equal counts are interchangeable in every resampling, so drawing how many of each
    kind come up (multinomial, binomial) equals drawing documents, and costs far less.
    """
    distinct, times = np.unique(rows, axis=0, return_counts=True)
    return np.asarray(distinct, dtype=np.int64), np.asarray(times, dtype=np.int64)


def resampled(rows: IntArray, *, seed: int, samples: int) -> IntArray:
    """(samples, columns): column sums of `samples` bootstrap samples of the (documents, columns) rows."""
    distinct, times = grouped(rows)
    drawn = np.random.default_rng(seed).multinomial(len(rows), times / len(rows), size=samples)
    return np.asarray(drawn @ distinct, dtype=np.int64)


def bootstrap_interval(
    units: IntArray, *, exclusive: bool, seed: int, samples: int = 1000
) -> tuple[float, float] | None:
    """95 % percentile interval of F over documents; None where F is undefined in most samples.

    Where all samples are alike, as of documents that are all right, it is `wilson_of`.
    """
    if not len(units):
        return None
    drawn = percentile_interval(f_of(resampled(units, seed=seed, samples=samples)))
    return wilson_of(units, exclusive=exclusive) if drawn is not None and is_point(drawn) else drawn


def percentile_interval(values: FloatArray) -> tuple[float, float] | None:
    """The 2.5 and 97.5 percentiles of the defined values; None where fewer than half are defined."""
    defined = values[~np.isnan(values)]
    if 2 * len(defined) < len(values) or not len(defined):
        return None
    low, high = np.percentile(defined, (2.5, 97.5))
    return float(low), float(high)


def over_seeds(scores: Sequence[float]) -> str:
    """Mean and standard deviation (n - 1) of one recipe's scores: "0.681 ± 0.010 (5 seeds)".

    Raises:
        ValueError: fewer than two scores have no spread.
    """
    return f"{np.mean(scores):.3f} ± {stdev(scores):.3f} ({len(scores)} seeds)"


def scores_to_json(scores: Scores) -> dict[str, Any]:
    """Scores as plain values that JSON can hold."""
    return {
        "texts": scores.texts,
        "score": scores.score,
        "precision": scores.precision,
        "recall": scores.recall,
        "macro_f": scores.macro_f,
        "interval": list(scores.interval) if scores.interval else None,
        "missing": scores.missing,
        "per_label": {
            name: {"tp": c.tp, "fp": c.fp, "fn": c.fn, "precision": c.precision, "recall": c.recall, "f": c.f}
            for name, c in scores.per_label.items()
        },
    }


def scores_of_json(value: Mapping[str, Any]) -> Scores:
    """The inverse of `scores_to_json`, also of what was kept with fewer figures."""
    counted = value.get("per_label", {})
    labels = {name: Counts(one["tp"], one["fp"], one["fn"]) for name, one in counted.items()}
    interval = (float(value["interval"][0]), float(value["interval"][1])) if value["interval"] else None
    return Scores(
        texts=value["texts"],
        score=value["score"],
        precision=value.get("precision"),
        recall=value.get("recall"),
        macro_f=value.get("macro_f"),
        interval=interval,
        per_label=labels,
        missing=value.get("missing", 0),
    )


def _units(annotation: Annotation, scheme: LabelScheme) -> set[tuple[Any, ...]]:
    """What can be right or wrong: (label, start, end) for spans, (label,) for categories."""
    if scheme.has_spans:
        return {(s.label, s.start, s.end) for s in annotation.spans}
    return {(name,) for name in annotation.labels}
