"""Find texts that say nearly the same, so that they stay on one side of a split.

Two texts are near-duplicates where they are equal but for case, digits, blanks and punctuation, or where
the Jaccard index of their words and word pairs reaches a threshold. Candidates come from MinHash
signatures and banded locality-sensitive hashing (Broder 1997; Leskovec, Rajaraman and Ullman, Mining of
Massive Datasets, chapter 3); each candidate pair is then checked exactly.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

FEWEST_WORDS = 5
"""Shorter texts must be equal after normalisation: one word more or less is another message."""

LARGEST_GROUP = 0.1
"""Share of all texts up to which a chain of near-duplicates is kept together."""

_ALWAYS_KEPT = 50
_BANDS, _ROWS = 16, 4
_SEED = 20
_CHUNK = 4096
_DIGITS = re.compile(r"\d+")
# Not \w+, which tears words apart at combining marks and loses emoji.
_WORD = re.compile(r"[^\s!-/:-@\[-`{-~¡¿«»‘-‟…–—·、。，：；！？]+")
_LONGEST_WORD = 40
_GRAM = 5


def normalise(text: str) -> str:
    """Fold case, write every number as 0, and keep words only, one blank between them."""
    folded = _DIGITS.sub("0", unicodedata.normalize("NFC", text.casefold()))
    return " ".join(_WORD.findall(folded)) or " ".join(folded.split())


def shingles(normalised: str) -> list[str]:
    """The features that are compared: words and pairs of neighbouring words; none for a short text.

    A text without blanks (Thai, Chinese, a long address) gives sequences of five characters instead.
    """
    words = normalised.split(" ")
    if len(normalised) > _LONGEST_WORD * len(words):
        return [normalised[i : i + _GRAM] for i in range(len(normalised) - _GRAM + 1)]
    if len(words) < FEWEST_WORDS:
        return []
    return words + [f"{left} {right}" for left, right in pairwise(words)]


def group(texts: Sequence[str], *, threshold: float, largest: float = LARGEST_GROUP) -> list[int]:
    """Group near-duplicates: for every text the index of the first text of its group.

    Args:
        texts: n texts, in any order; their order decides only which text stands for its group.
        threshold: Jaccard index in (0, 1] from which on two texts are near-duplicates.
        largest: share of all texts above which a chain is no group.

    Returns:
        n indices; `result[i] == i` for a text that stands alone or first. Groups are chains: neighbours
        reach the threshold, the ends of a chain may not. Where a chain takes in more than
        `largest` of all texts (messages made from one template), only texts that are equal after
        normalisation stay together: one side for all of them would leave nothing to compare.
    """
    normalised = [normalise(text) for text in texts]
    parents = list(range(len(texts)))
    firsts: dict[str, int] = {}
    for index, text in enumerate(normalised):
        parents[index] = firsts.setdefault(text, index)
    same = list(parents)
    rows, signatures = _signatures(normalised, list(firsts.values()))
    for left, right in _candidates(signatures, threshold):
        one, other = _find(parents, rows[left]), _find(parents, rows[right])
        if one != other and _jaccard(normalised[rows[left]], normalised[rows[right]]) >= threshold:
            parents[max(one, other)] = min(one, other)
    found = [_find(parents, index) for index in range(len(texts))]
    most = max(largest * len(texts), _ALWAYS_KEPT)
    sizes = Counter(found)
    return [first if sizes[first] <= most else same[index] for index, first in enumerate(found)]


def _signatures(normalised: Sequence[str], indices: Iterable[int]) -> tuple[list[int], NDArray[np.uint32]]:
    """Sketch every text that has shingles: (their indices, array of len(indices) x bands * rows)."""
    from rensa import RMinHash

    permutations = _BANDS * _ROWS
    kept: list[int] = []
    parts: list[NDArray[np.uint32]] = []
    batch: list[list[str]] = []

    def sketch() -> None:
        if batch:
            rows = RMinHash.digest_matrix_from_token_sets(batch, permutations, _SEED).to_rows()
            parts.append(np.array(rows, dtype=np.uint32))
            batch.clear()

    for index in indices:
        features = shingles(normalised[index])
        if features:
            kept.append(index)
            batch.append(features)
        if len(batch) == _CHUNK:
            sketch()
    sketch()
    return kept, np.concatenate(parts) if parts else np.empty((0, permutations), dtype=np.uint32)


def _candidates(signatures: NDArray[np.uint32], threshold: float) -> Iterable[tuple[int, int]]:
    """Yield pairs of rows that share a band and whose signatures agree nearly enough.

    Every row of a band's bucket is paired with the bucket's first row. The share of equal positions
    estimates the Jaccard index with a standard error of at most .5 / sqrt(64) = .0625; pairs more than
    three of them below the threshold are left out.
    """
    least = (threshold - 0.1875) * signatures.shape[1]
    for band in range(_BANDS):
        keys = _keys(signatures[:, band * _ROWS : (band + 1) * _ROWS])
        order = np.argsort(keys, kind="stable")
        starts = np.flatnonzero(np.r_[True, keys[order][1:] != keys[order][:-1]][: len(keys)])
        sizes = np.diff(np.r_[starts, len(order)])
        first = np.repeat(order[starts], sizes)
        pairs = np.flatnonzero(first != order)
        for at in range(0, len(pairs), _CHUNK):
            left, right = first[pairs[at : at + _CHUNK]], order[pairs[at : at + _CHUNK]]
            close = (signatures[left] == signatures[right]).sum(axis=1) >= least
            yield from zip(left[close].tolist(), right[close].tolist(), strict=True)


def _keys(band: NDArray[np.uint32]) -> NDArray[np.uint64]:
    """Mix a band's columns into one number a row; the rare collision costs one more exact check."""
    keys = np.zeros(len(band), dtype=np.uint64)
    for column in band.T:
        keys = (keys ^ column.astype(np.uint64)) * np.uint64(0x9E3779B97F4A7C15)
        keys ^= keys >> np.uint64(29)
    return keys


def _jaccard(one: str, other: str) -> float:
    left, right = set(shingles(one)), set(shingles(other))
    return len(left & right) / len(left | right)


def _find(parents: list[int], index: int) -> int:
    while parents[index] != index:
        parents[index] = parents[parents[index]]
        index = parents[index]
    return index
