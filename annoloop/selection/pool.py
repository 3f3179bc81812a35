"""Features of a large pool: computed once, added to as texts come, on the disk and mapped from there.

A text's features are its words and pairs of neighbouring words, hashed into `BUCKETS` columns (Weinberger et
al. 2009). What is kept is 1 + ln(count); the weights by how rare a column is, and the length 1 of a row, come
on reading, so that a text that is added costs nothing but itself. Six to seven bytes a word pair: a million
texts of 20 words take about 300 MB.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import zipfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from annoloop.selection.kept_rows import KeptRows, Texts
from annoloop.selection.proxy import WORD, ranker
from annoloop.types import LabelScheme, PoolGold

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

BUCKETS = 2**20
_COUNTED = 2**22
_THREADS = 2


@dataclass(frozen=True)
class _Weighing:
    """How rare each column is and how long each row then: as long as no text is added, the same.

    Attributes:
        of: which rows these are: how many, how many values they have, a hash of their names.
        having: (BUCKETS,), texts with each column.
        weights: (BUCKETS,), ln((1 + texts) / (1 + texts with it)) + 1, as scikit-learn's TfidfTransformer.
        norms: (rows,), the length of each row with these weights.
    """

    of: NDArray[np.uint64]
    having: NDArray[np.int64]
    weights: NDArray[np.float32]
    norms: NDArray[np.float32]


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

    def add(self, portions: Iterable[Texts], *, workers: int, on_kept: Callable[[int], None]) -> None:
        """As `KeptRows.add`; then the weights, in which every text has a part, are made anew."""
        super().add(portions, workers=workers, on_kept=on_kept)
        self._weighing()

    def probabilities(self, gold: PoolGold, *, scheme: LabelScheme, seed: int) -> NDArray[Any] | None:
        """(rows, labels), as `Proxy.probabilities` gives them; None where gold cannot teach."""
        usable = [g for g in gold if g.complete]
        if scheme.has_spans or not usable or not len(self):
            return None
        weighing = self._weighing()
        known = _weighted(_hashed([g.example.text for g in usable]), weighing.weights)
        # What no gold text has gets weight 0 (L2): leaving it out changes nothing but the time.
        used = np.unique(known.indices)
        if not len(used):
            return None
        rank = ranker(usable, known[:, used], scheme, seed)
        if rank is None:
            return None
        parts = self._products(used, rank.coefficients, weighing)
        return np.concatenate([rank.probabilities(part) for part in parts])

    def closeness(self, text: str) -> NDArray[np.float32]:
        """(rows,), 0 to 1: the cosine of each text with this one; 0 where no word is common to both."""
        if not len(self):
            return np.zeros(0, dtype=np.float32)
        weighing = self._weighing()
        asked = _weighted(_hashed([text]), weighing.weights)
        if not asked.nnz:
            return np.zeros(len(self), dtype=np.float32)
        return np.concatenate(list(self._products(asked.indices, asked.data[:, None], weighing)))[:, 0]

    def _products(
        self, used: NDArray[Any], coefficients: NDArray[Any], weighing: _Weighing
    ) -> Iterator[NDArray[np.float32]]:
        """(texts, k) of each portion: the features, at these columns, times (columns, k).

        The weights of the columns are multiplied into the coefficients and the length of a row divides its
        products at the end: the features themselves, fifty numbers a text, are never made.
        """
        places = np.full(BUCKETS, len(used), dtype=np.int32)
        places[used] = np.arange(len(used), dtype=np.int32)
        # One row of zeros behind the others, for all columns that are not used.
        factors = np.zeros((len(used) + 1, coefficients.shape[1]), dtype=np.float32)
        factors[:-1] = coefficients * weighing.weights[used, None]

        def product(first: int, part: csr_matrix) -> NDArray[np.float32]:
            narrow = _matrix(part.data, places[part.indices], part.indptr, len(factors))
            found: NDArray[np.float32] = narrow @ factors
            found /= weighing.norms[first : first + self.PORTION, None]
            return found

        return self._each_portion(product)

    def _weighing(self) -> _Weighing:
        """That of the rows as they are; kept, since it takes longer than all the rest of a ranking."""
        place, values = self._folder / "weighing.npz", self._length("values")
        kept = self._kept_weighing()
        if kept is not None and np.array_equal(kept.of, self._named(len(self), values)):
            return kept
        having = np.zeros(BUCKETS, dtype=np.int64) if kept is None else kept.having
        counted, columns = 0 if kept is None else int(kept.of[1]), self._read("columns")
        for first in range(counted, values, _COUNTED):
            having = having + np.bincount(columns[first : first + _COUNTED], minlength=BUCKETS)
        weights = np.asarray(np.log((1 + len(self)) / (1 + having)) + 1, dtype=np.float32)
        squares = weights * weights

        def norms(first: int, part: csr_matrix) -> NDArray[np.float32]:
            lengths = _matrix(part.data * part.data, part.indices, part.indptr, BUCKETS) @ squares
            return np.asarray(np.sqrt(np.maximum(lengths, 1e-12)), dtype=np.float32)

        parts = [np.zeros(0, dtype=np.float32), *self._each_portion(norms)]
        made = _Weighing(self._named(len(self), values), having, weights, np.concatenate(parts))
        # Who may not write here ranks all the same.
        with contextlib.suppress(OSError):
            new = place.with_name(f"weighing-{os.getpid()}.new.npz")
            np.savez(new, **vars(made))
            new.replace(place)
        return made

    def _kept_weighing(self) -> _Weighing | None:
        """What is kept, of these rows or of the first of them; None where it is damaged or of others."""
        try:
            with np.load(self._folder / "weighing.npz") as file:
                kept = _Weighing(**{name: file[name] for name in _Weighing.__dataclass_fields__})
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
            return None
        rows, values = int(kept.of[0]), int(kept.of[1])
        known = rows <= len(self) and values <= self._length("values")
        return kept if known and np.array_equal(kept.of, self._named(rows, values)) else None

    def _named(self, rows: int, values: int) -> NDArray[np.uint64]:
        # In their order: the same texts in another have other rows.
        ordered = hashlib.blake2b(self.names[:rows].tobytes(), digest_size=8).digest()
        return np.asarray([rows, values, int.from_bytes(ordered)], dtype=np.uint64)

    def _each_portion(
        self, made: Callable[[int, csr_matrix], NDArray[np.float32]]
    ) -> Iterator[NDArray[np.float32]]:
        """What is made of each portion, of its first row and its matrix, in order; two at a time."""
        lengths, columns, values = (self._read(name) for name in ("lengths", "columns", "values"))
        ends = np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)])

        def of(first: int) -> NDArray[np.float32]:
            own = ends[first : first + self.PORTION + 1]
            at = slice(int(own[0]), int(own[-1]))
            return made(first, _matrix(values[at], columns[at], own - own[0], BUCKETS))

        with ThreadPoolExecutor(_THREADS) as threads:
            yield from threads.map(of, range(0, len(lengths), self.PORTION))


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
