"""Features of a large pool: computed once, added to as texts come, on the disk and mapped from there.

A text's features are its words and pairs of neighbouring words, hashed into `BUCKETS` columns (Weinberger et
al. 2009). What is kept is 1 + ln(count); the weights by how rare a column is, and the length 1 of a row, come
on reading, so that a text that is added costs nothing but itself. Six to seven bytes a word pair: a million
texts of 20 words take about 300 MB.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from annoloop.selection.candidates import FloatArray
from annoloop.selection.kept_rows import KeptRows
from annoloop.selection.proxy import WORD, ranker
from annoloop.types import LabelScheme, PoolGold

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

BUCKETS = 2**20
_COUNTED = 2**22


class PoolFeatures(KeptRows):
    """The features of the texts of a pool, in a folder."""

    VERSION = 2
    # What fits the processor's cache is ranked soonest.
    PORTION = ALONE = 20_000
    PER_TEXT: ClassVar = {"lengths": np.dtype("<i4")}
    PER_VALUE: ClassVar = {"columns": np.dtype("<i4"), "values": np.dtype("<f4")}

    @staticmethod
    def computed(texts: Sequence[str]) -> dict[str, NDArray[Any]]:
        """How many columns each text has, which, and their values."""
        found = _hashed(texts)
        return {"lengths": np.diff(found.indptr), "columns": found.indices, "values": found.data}

    def probabilities(self, gold: PoolGold, *, scheme: LabelScheme, seed: int) -> FloatArray | None:
        """(rows, labels), as `Proxy.probabilities` gives them; None where gold cannot teach."""
        usable = [g for g in gold if g.complete]
        if scheme.has_spans or not usable or not len(self):
            return None
        weights = self._weights()
        known = _weighted(_hashed([g.example.text for g in usable]), weights)
        # What no gold text has gets weight 0 (L2): leaving it out changes nothing but the time.
        used = np.unique(known.indices)
        if not len(used):
            return None
        rank = ranker(usable, known[:, used], scheme, seed)
        if rank is None:
            return None
        parts = self._products(used, rank.coefficients, weights)
        return np.concatenate([rank.probabilities(part) for part in parts])

    def closeness(self, text: str) -> NDArray[np.float32]:
        """(rows,), 0 to 1: the cosine of each text with this one; 0 where no word is common to both."""
        weights = self._weights()
        asked = _weighted(_hashed([text]), weights)
        if not len(self) or not asked.nnz:
            return np.zeros(len(self), dtype=np.float32)
        return np.concatenate(list(self._products(asked.indices, asked.data[:, None], weights)))[:, 0]

    def _products(
        self, used: NDArray[Any], coefficients: NDArray[Any], weights: NDArray[np.float32]
    ) -> Iterator[NDArray[np.float32]]:
        """(texts, k) of each portion: the features, at these columns, times (columns, k).

        The weights of the columns are multiplied into the coefficients and the length of a row divides its
        products at the end: the features themselves, fifty numbers a text, are never made.
        """
        places = np.full(BUCKETS, len(used), dtype=np.int32)
        places[used] = np.arange(len(used), dtype=np.int32)
        # One row of zeros behind the others, for all columns that are not used.
        factors = np.zeros((len(used) + 1, coefficients.shape[1]), dtype=np.float32)
        factors[:-1] = coefficients * weights[used, None]
        squares = weights * weights
        for part in self._portions():
            lengths = _matrix(part.data * part.data, part.indices, part.indptr, BUCKETS) @ squares
            narrow = _matrix(part.data, places[part.indices], part.indptr, len(factors))
            yield narrow @ factors / np.sqrt(np.maximum(lengths, 1e-12))[:, None]

    def _weights(self) -> NDArray[np.float32]:
        """(BUCKETS,): ln((1 + texts) / (1 + texts with it)) + 1, as scikit-learn's TfidfTransformer."""
        having, columns = np.zeros(BUCKETS, dtype=np.int64), self._read("columns")
        for first in range(0, len(columns), _COUNTED):
            having += np.bincount(columns[first : first + _COUNTED], minlength=BUCKETS)
        return np.asarray(np.log((1 + len(self)) / (1 + having)) + 1, dtype=np.float32)

    def _portions(self) -> Iterator[csr_matrix]:
        lengths, columns, values = (self._read(name) for name in ("lengths", "columns", "values"))
        ends = np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)])
        for first in range(0, len(lengths), self.PORTION):
            own = ends[first : first + self.PORTION + 1]
            at = slice(int(own[0]), int(own[-1]))
            yield _matrix(values[at], columns[at], own - own[0], BUCKETS)


def _matrix(values: NDArray[Any], columns: NDArray[Any], ends: NDArray[Any], width: int) -> csr_matrix:
    from scipy.sparse import csr_matrix

    # Ends as wide as the columns: scipy would make both wide else.
    ends = np.asarray(ends, dtype=np.int32)
    return csr_matrix((values, columns, ends), shape=(len(ends) - 1, width), copy=False)


def _hashed(texts: Sequence[str]) -> csr_matrix:
    """(texts, BUCKETS): 1 + ln(count) of every word and word pair."""
    from sklearn.feature_extraction.text import HashingVectorizer

    vectorizer = HashingVectorizer(
        n_features=BUCKETS, ngram_range=(1, 2), alternate_sign=False, norm=None, token_pattern=WORD
    )
    found = vectorizer.transform(texts).tocsr().astype(np.float32)
    found.data = np.log(found.data) + np.float32(1)
    return found


def _weighted(found: csr_matrix, weights: NDArray[np.float32]) -> csr_matrix:
    """Rows of length 1, or 0."""
    from sklearn.preprocessing import normalize

    return normalize(_matrix(found.data * weights[found.indices], found.indices, found.indptr, BUCKETS))
