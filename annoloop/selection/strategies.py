"""Which texts to ask next, ranked one by one: candidates in, rows out, no model inside.

Every strategy has the signature `(candidates, n, rng) -> rows` (`candidates.Strategy`), the most wanted
first, and raises `MissingSignalError` where what it goes by is not known. Those that look at a batch as
a whole are in `diversity`; `registry` names them all, `batch.select` makes a batch of what they want.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from annoloop.selection.candidates import Candidates, FloatArray, IndexArray


class MissingSignalError(ValueError):
    """The strategy goes by something that is not known of these texts."""


def signal(candidates: Candidates, name: str) -> Any:
    """A field of the candidates that must be there.

    Raises:
        MissingSignalError: it is None.
    """
    value = getattr(candidates, name)
    if value is None:
        raise MissingSignalError(f"the strategy needs {name}")
    return value


def random(candidates: Candidates, n: int, rng: np.random.Generator) -> IndexArray:
    """By lot: the baseline that every strategy has to beat (Settles 2009)."""
    return rng.permutation(candidates.count)[:n]


def margin(candidates: Candidates, n: int, rng: np.random.Generator) -> IndexArray:
    """The rows whose two likeliest categories are closest (Scheffer, Decomain and Wrobel 2001).

    Several categories at once: the rows with a label closest to one half.
    """
    return lowest(-doubt(candidates), n)


def doubt(candidates: Candidates) -> FloatArray:
    """(texts,), 0 to 1: 1 - (highest probability - second), or 1 - 2 * the least |p - 1/2| of all labels."""
    probabilities = signal(candidates, "probabilities")
    if candidates.exclusive and probabilities.shape[1] > 1:
        best = np.partition(probabilities, -2, axis=1)[:, -2:].astype(np.float64)
        return np.asarray(1 - (best[:, 1] - best[:, 0]), dtype=np.float64)
    return np.asarray(1 - 2 * np.abs(probabilities - 0.5).min(axis=1, initial=0.5), dtype=np.float64)


def entropy(candidates: Candidates, n: int, rng: np.random.Generator) -> IndexArray:
    """The rows of the highest entropy, -sum p ln p (Shannon 1948; Lewis and Gale 1994 for the sampling).

    Never a default: with many labels it prefers texts of which nothing is known, and it did worse than
    `margin` in all of our experiments, at 77 categories no better than lot. Several categories: the sum
    over labels, each its own yes or no.
    """
    return lowest(-surprise(candidates), n)


def surprise(candidates: Candidates) -> FloatArray:
    """(texts,), in nats: the entropy of the categories, of each by itself where there are several at once."""
    p = np.clip(signal(candidates, "probabilities"), 1e-12, 1.0, dtype=np.float64)
    values = p * np.log(p)
    if not candidates.exclusive:
        q = np.clip(1 - p, 1e-12, 1.0)
        values = values + q * np.log(q)
    return np.asarray(-values.sum(axis=1), dtype=np.float64)


def uncertainty(candidates: Candidates, n: int, rng: np.random.Generator) -> IndexArray:
    """Spans: the rows with the highest sum of min(p, 1 - p) over the spans considered, / sqrt(tokens).

    The expected number of errors of the model: for entities p is a span's share of a beam of parses
    (Clark et al. 2018 name the sampler; Settles and Craven 2008 the sequence models before it). The square
    root is ours (`per_cost`).
    """
    return lowest(-per_cost(expected_errors(candidates), signal(candidates, "tokens")), n)


def uncertainty_disagreement(candidates: Candidates, n: int, rng: np.random.Generator) -> IndexArray:
    """Spans: (expected errors + disagreement of LLM and model, 0 to 1) / sqrt(tokens).

    The default for spans where the LLM has read the pool: in our experiments the sum found more per token
    and per modelled second than either alone. A text that the LLM has not read counts as agreed upon.
    """
    apart = np.nan_to_num(signal(candidates, "llm_disagreement"), nan=0.0)
    return lowest(-per_cost(expected_errors(candidates) + apart, signal(candidates, "tokens")), n)


def expected_errors(candidates: Candidates) -> FloatArray:
    """(texts,), 0 and up: the sum of min(p, 1 - p) over all spans that the model considers in a text."""
    spans = signal(candidates, "spans")
    return np.asarray([math.fsum(np.clip(np.minimum(p, 1 - p), 0, None)) for p in spans], dtype=np.float64)


def per_cost(values: FloatArray, tokens: Any) -> FloatArray:
    """Values / sqrt(tokens), both of shape (texts,): long texts are dearer, but not in proportion.

    Neither the sum (which prefers the longest) nor the mean over tokens (the shortest) is fair; the
    square root won at equal reading cost on entity-dense and sparse corpora alike.
    """
    return np.asarray(values / np.sqrt(np.maximum(tokens, 1)), dtype=np.float64)


def span_margin(candidates: Candidates, n: int, rng: np.random.Generator) -> IndexArray:
    """Spans: the rows with a span closest to one half, the least |p - 1/2|.

    Margin sampling (Scheffer, Decomain and Wrobel 2001) of single spans, for `spancat`, whose scores stand
    for themselves. A text without any span considered comes last.
    """
    spans = signal(candidates, "spans")
    return lowest(np.asarray([np.abs(p - 0.5).min(initial=1.0) for p in spans], dtype=np.float64), n)


def disagreement(candidates: Candidates, n: int, rng: np.random.Generator) -> IndexArray:
    """The rows on which rules, LLM and model differ most.

    Query by committee (Seung, Opper and Sompolinsky 1992). Never the default: with voters that are not
    calibrated it found worse texts than chance on questions by topic (TREC), and for entities better ones
    at equal numbers of sentences but not of tokens (BC5CDR).
    """
    return _most_apart(signal(candidates, "disagreement"), n, rng)


def llm_disagreement(candidates: Candidates, n: int, rng: np.random.Generator) -> IndexArray:
    """The rows on which LLM and model differ most (as `disagreement`, a committee of two).

    Per sentence the best of all on BC5CDR in our experiments, per token worse than lot.
    """
    return _most_apart(signal(candidates, "llm_disagreement"), n, rng)


def rules_disagreement(candidates: Candidates, n: int, rng: np.random.Generator) -> IndexArray:
    """The rows on which rules and model differ most (as `disagreement`, a committee of two)."""
    return _most_apart(signal(candidates, "rules_disagreement"), n, rng)


def shortest(candidates: Candidates, n: int, rng: np.random.Generator) -> IndexArray:
    """The rows with the fewest tokens, equal ones by lot.

    A baseline: for entities it beats all others at equal numbers of tokens and loses at equal numbers of
    texts, so no strategy may claim to save tokens that does not beat it.
    """
    return _by_length(signal(candidates, "tokens"), n, rng)


def longest(candidates: Candidates, n: int, rng: np.random.Generator) -> IndexArray:
    """The rows with the most tokens, equal ones by lot: the baseline for equal numbers of texts."""
    return _by_length(-signal(candidates, "tokens"), n, rng)


def lowest(values: NDArray[Any], n: int, *, names: NDArray[Any] | None = None) -> IndexArray:
    """The rows of the `n` lowest values, equal ones in the order of their names, or else in their own."""
    rows = np.arange(len(values))
    if 0 < n < len(values) // 8:
        # Few of many: only those that can be among them are sorted.
        last = np.partition(values, n - 1)[n - 1]
        rows = rows if np.isnan(last) else np.flatnonzero(values <= last)
    if names is not None:
        return rows[np.lexsort((names[rows], values[rows]))[:n]]
    return rows[np.argsort(values[rows], kind="stable")[:n]]


def _by_length(lengths: Any, n: int, rng: np.random.Generator) -> IndexArray:
    by_lot = rng.permutation(len(lengths))
    return by_lot[lowest(lengths[by_lot], n)]


def _most_apart(apart: FloatArray, n: int, rng: np.random.Generator) -> IndexArray:
    # Voters differ or they do not: most values are equal. Who cannot differ comes last.
    values = np.nan_to_num(apart, nan=-1.0)
    by_lot = rng.permutation(len(values))
    return by_lot[lowest(-values[by_lot], n)]
