"""Hashed n-grams of words and characters as the features of a text, and what each weighs.

The file travels inside exported packages beside linear_textcat.py, so it imports nothing of annoloop.

Word 1-2-grams (spaCy's tokens, lower-cased) and character 2-5-grams of the lower-cased text, hashed to 32
bits; where asked for, both once more for the first line alone (a title or a subject says in few words what
the rest goes into), and character n-grams that keep their case. Weights:
(1 + ln tf) * (ln((1 + n) / (1 + df)) + 1), each of these blocks scaled to length 1, as scikit-learn's
`TfidfVectorizer(sublinear_tf=True)` does.
"""

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
from spacy.tokens import Doc

_WORDS, _CHARACTERS, _FIRST_WORDS, _FIRST_CHARACTERS, _CASED = range(5)
_LINE_END = re.compile(r"[\r\n]")

_PRIME = np.uint64(0x9E3779B97F4A7C15)
_MIX = np.uint64(0xBF58476D1CE4E5B9)

Found = tuple[np.ndarray, np.ndarray]
"""A text's hashed n-grams, sorted, uint32 (k,), and how often each occurs, float32 (k,)."""


def _hash_windows(units: np.ndarray, n: int) -> np.ndarray:
    """Hash every window of n units: uint64 (m,) -> uint32 (m - n + 1,)."""
    if len(units) < n:
        return np.empty(0, dtype=np.uint32)
    size = len(units) - n + 1
    hashed = np.full(size, n, dtype=np.uint64)
    for offset in range(n):
        hashed = (hashed ^ units[offset : offset + size]) * _PRIME
        hashed ^= hashed >> np.uint64(29)
    hashed *= _MIX
    return (hashed >> np.uint64(32)).astype(np.uint32)


def _n_grams(units: np.ndarray, lengths: Sequence[int]) -> np.ndarray:
    """The hashes of the n-grams of all lengths from the first to the last: uint64 (m,) -> uint32 (k,)."""
    return np.concatenate([_hash_windows(units, n) for n in range(lengths[0], lengths[1] + 1)])


def _code_points(text: str) -> np.ndarray:
    text = f" {' '.join(text.split())} "
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype=np.uint32).astype(np.uint64)


def first_line_end(text: str) -> int:
    """Where the first line that is not empty ends."""
    start = len(text) - len(text.lstrip())
    found = _LINE_END.search(text, start)
    return found.start() if found else len(text)


class NGrams:
    """The n-grams that are known, `hashes` (n-grams,) uint32, sorted, and their `idf` (n-grams,) float32."""

    def __init__(
        self,
        words: Sequence[int],
        characters: Sequence[int],
        *,
        first_line: bool,
        cased: bool,
        min_texts: int,
    ) -> None:
        """Take n-gram lengths as (shortest, longest), and how many training texts one must be in."""
        self.words = words
        self.characters = characters
        self.first_line = first_line
        self.cased = cased
        self.min_texts = min_texts
        # The lowest bits of a hash name its block: no more of them than there are blocks to tell apart.
        self._block_bits = np.uint32(7 if first_line or cased else 1)
        self.take(np.empty(0), np.empty(0))

    def take(self, hashes: np.ndarray, idf: np.ndarray) -> None:
        """Know these n-grams, and no others."""
        self.hashes = np.ascontiguousarray(hashes, dtype=np.uint32)
        self.idf = np.ascontiguousarray(idf, dtype=np.float32)

    def of(self, doc: Doc) -> Found:
        """All n-grams of a doc, known or not."""
        tokens = doc.to_array(["LOWER", "IS_SPACE", "IDX"]).reshape(len(doc), 3)
        tokens = tokens[tokens[:, 1] == 0]
        words, text = tokens[:, 0].astype(np.uint64), doc.text
        found = {
            _WORDS: _n_grams(words, self.words),
            _CHARACTERS: _n_grams(_code_points(text.lower()), self.characters),
        }
        if self.first_line:
            end = first_line_end(text)
            found[_FIRST_WORDS] = _n_grams(words[tokens[:, 2] < end], self.words)
            found[_FIRST_CHARACTERS] = _n_grams(_code_points(text[:end].lower()), self.characters)
        if self.cased:
            found[_CASED] = _n_grams(_code_points(text), self.characters)
        marked = [hashes & ~self._block_bits | np.uint32(block) for block, hashes in found.items()]
        hashes, counts = np.unique(np.concatenate(marked), return_counts=True)
        return hashes, counts.astype(np.float32)

    def learn(self, found: Sequence[Found]) -> None:
        """Know the n-grams of the training texts that occur in enough of them."""
        every = np.concatenate([np.empty(0, np.uint32), *(hashes for hashes, _ in found)])
        hashes, texts = np.unique(every, return_counts=True)
        kept = texts >= min(self.min_texts, max(len(found) // 50, 1))
        self.take(hashes[kept], np.log((1 + len(found)) / (1 + texts[kept])) + 1)

    def weigh(self, hashes: np.ndarray, counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Columns of the known n-grams, int64 (k,), and their weights, float32 (k,)."""
        columns = np.searchsorted(self.hashes, hashes)
        known = columns < len(self.hashes)
        known[known] = self.hashes[columns[known]] == hashes[known]
        columns = columns[known]
        values = (1 + np.log(counts[known])) * self.idf[columns]
        blocks = hashes[known] & self._block_bits
        lengths = np.sqrt(np.bincount(blocks, weights=values**2, minlength=1)).astype(np.float32)
        return columns, values / lengths[blocks]

    def matrix(self, found: Sequence[Found]) -> Any:
        """The weights of all texts as a sparse matrix, float64 (texts, n-grams)."""
        from scipy.sparse import csr_matrix

        rows = [self.weigh(hashes, counts) for hashes, counts in found]
        ends = np.cumsum([0, *(len(columns) for columns, _ in rows)])
        columns = np.concatenate([np.empty(0, np.int64), *(columns for columns, _ in rows)])
        values = np.concatenate([np.empty(0, np.float32), *(values for _, values in rows)])
        return csr_matrix((values.astype(np.float64), columns, ends), shape=(len(rows), len(self.hashes)))
