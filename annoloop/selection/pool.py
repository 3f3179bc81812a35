"""Features of a large pool: computed once, added to as texts come, on the disk and mapped from there.

A text's features are its words and pairs of neighbouring words, hashed into `BUCKETS` columns (Weinberger et
al. 2009). What is kept is 1 + ln(count); the weights by how rare a column is, and the length 1 of a row, come
on reading, so that a text that is added costs nothing but itself. Six to seven bytes a word pair: a million
texts of 20 words take about 300 MB.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from annoloop.hashing import input_hash
from annoloop.selection.candidates import FloatArray, IntArray
from annoloop.selection.proxy import WORD, ranker
from annoloop.types import LabelScheme, PoolGold

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

BUCKETS = 2**20
PORTION = 20_000
"""Texts that are counted, kept and ranked at a time: what fits the processor's cache is ranked soonest."""

_VERSION = 2
"""Of the features: others are computed anew."""

_FILES: dict[str, np.dtype[Any]] = {
    "rows": np.dtype("<i8"),
    "names": np.dtype("<u8"),
    "lengths": np.dtype("<i4"),
    "columns": np.dtype("<i4"),
    "values": np.dtype("<f4"),
}
_A_TEXT = ("rows", "names", "lengths")
Texts = Sequence[tuple[int, str]]
"""Texts with the numbers that name them."""


class PoolFeatures:
    """The features in a folder. Whoever adds to them must be the only one who does.

    A row is named by a number that its text never gives up. Each portion is there as a whole or not at all: a
    process that is killed leaves what was there, and the next goes on from it.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._kept = self._state()

    @property
    def numbers(self) -> IntArray:
        """(rows,): the numbers of the texts whose features are there."""
        return np.asarray(self._read("rows"), dtype=np.int64)

    @property
    def names(self) -> NDArray[np.uint64]:
        """(rows,): their texts' `short_names`, by which another store's texts are found out."""
        return np.asarray(self._read("names"), dtype=np.uint64)

    def rows_of(self, numbers: IntArray) -> IntArray:
        """(texts,): the row of each number, -1 where it has none."""
        known = self.numbers
        if not len(known):
            return np.full(len(numbers), -1, dtype=np.int64)
        order = np.argsort(known, kind="stable")
        rows = order[np.minimum(np.searchsorted(known[order], numbers), len(order) - 1)]
        return np.where(known[rows] == numbers, rows, -1)

    def add(self, portions: Iterable[Texts], *, workers: int, on_kept: Callable[[int], None]) -> None:
        """Compute and keep the features of further texts, in as many processes; tells how many are there."""
        from joblib import Parallel, delayed

        self._folder.mkdir(parents=True, exist_ok=True)
        jobs = (delayed(_counted)(portion) for portion in portions)
        for made in Parallel(n_jobs=workers, return_as="generator")(jobs):
            self._keep(made)
            on_kept(self._kept["rows"])

    def forget(self) -> None:
        """Begin anew: the texts are not those that the features were computed of."""
        (self._folder / "state.json").unlink(missing_ok=True)
        self._kept = self._state()

    def probabilities(self, gold: PoolGold, *, scheme: LabelScheme, seed: int) -> FloatArray | None:
        """(rows, labels), as `Proxy.probabilities` gives them; None where gold cannot teach."""
        usable = [g for g in gold if g.complete]
        if scheme.has_spans or not usable or not self._kept["rows"]:
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
        places = np.full(BUCKETS, -1, dtype=np.int32)
        places[used] = np.arange(len(used), dtype=np.int32)
        parts = [rank(_narrow(part, weights, places, len(used))) for part in self._portions()]
        return np.concatenate(parts)

    def _weights(self) -> NDArray[np.float32]:
        """(BUCKETS,): ln((1 + texts) / (1 + texts with it)) + 1, as scikit-learn's TfidfTransformer."""
        having = np.zeros(BUCKETS, dtype=np.int64)
        for part in self._portions():
            having += np.bincount(part.indices, minlength=BUCKETS)
        return np.asarray(np.log((1 + self._kept["rows"]) / (1 + having)) + 1, dtype=np.float32)

    def _portions(self) -> Iterator[csr_matrix]:
        from scipy.sparse import csr_matrix

        lengths, columns, values = (self._read(name) for name in ("lengths", "columns", "values"))
        ends = np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)])
        for first in range(0, len(lengths), PORTION):
            own = ends[first : first + PORTION + 1]
            at = slice(int(own[0]), int(own[-1]))
            shape = (len(own) - 1, BUCKETS)
            yield csr_matrix((values[at], columns[at], own - own[0]), shape=shape, copy=False)

    def _keep(self, made: dict[str, NDArray[Any]]) -> None:
        """Write behind what counts, and then let it count."""
        for name, dtype in _FILES.items():
            path = self._folder / name
            with path.open("r+b" if path.exists() else "w+b") as file:
                # What a killed process left behind what counts is written over.
                file.seek(self._length(name) * dtype.itemsize)
                file.write(np.ascontiguousarray(made[name], dtype=dtype).tobytes())
                file.truncate()
                file.flush()
                os.fsync(file.fileno())
        self._kept = {
            "version": _VERSION,
            "rows": self._kept["rows"] + len(made["rows"]),
            "values": self._kept["values"] + len(made["values"]),
        }
        new = self._folder / "state.json.new"
        new.write_text(json.dumps(self._kept), encoding="utf8")
        new.replace(self._folder / "state.json")

    def _read(self, name: str) -> NDArray[Any]:
        length = self._length(name)
        if not length:
            return np.zeros(0, dtype=_FILES[name])
        return np.memmap(self._folder / name, dtype=_FILES[name], mode="r", shape=(length,))

    def _length(self, name: str) -> int:
        return int(self._kept["rows" if name in _A_TEXT else "values"])

    def _state(self) -> dict[str, int]:
        none = {"version": _VERSION, "rows": 0, "values": 0}
        try:
            kept = json.loads((self._folder / "state.json").read_text(encoding="utf8"))
            kept = {name: int(kept[name]) for name in none}
        except (OSError, ValueError, KeyError, TypeError):
            return none
        self._kept = kept
        whole = kept["version"] == _VERSION and all(
            (self._folder / name).is_file()
            and (self._folder / name).stat().st_size >= self._length(name) * dtype.itemsize
            for name, dtype in _FILES.items()
        )
        return kept if whole else none


def short_names(hashes: Sequence[str]) -> NDArray[np.uint64]:
    """(texts,): the first half of each input hash, as a number."""
    whole = np.frombuffer(bytes.fromhex("".join(hashes)), dtype=">u8")
    return np.asarray(whole.reshape(len(hashes), -1)[:, 0] if hashes else whole, dtype=np.uint64)


def _counted(texts: Texts) -> dict[str, NDArray[Any]]:
    """The arrays of a portion; runs in a process of its own."""
    found = _hashed([text for _, text in texts])
    numbers = np.asarray([number for number, _ in texts], dtype=np.int64)
    names, lengths = short_names([input_hash(text) for _, text in texts]), np.diff(found.indptr)
    return {
        "rows": numbers,
        "names": names,
        "lengths": lengths,
        "columns": found.indices,
        "values": found.data,
    }


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
    return _narrow(found, weights, np.arange(BUCKETS, dtype=np.int32), BUCKETS)


def _narrow(
    found: csr_matrix, weights: NDArray[np.float32], places: NDArray[np.int32], count: int
) -> csr_matrix:
    """The columns at `places` (-1: left out) of rows that have length 1, or 0, with all of them."""
    from scipy.sparse import csr_matrix

    values = found.data * weights[found.indices]
    squares = np.concatenate([[0.0], np.cumsum(values * values, dtype=np.float64)])[found.indptr]
    norms = np.sqrt(np.maximum(np.diff(squares), 1e-12))
    to = places[found.indices]
    kept = np.flatnonzero(to >= 0)
    ends = np.searchsorted(kept, found.indptr)
    scales = np.repeat((1 / norms).astype(np.float32), np.diff(ends))
    return csr_matrix((values[kept] * scales, to[kept], ends), shape=(found.shape[0], count))
