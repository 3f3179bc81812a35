"""What it costs to ask about a text: its tokens, or the seconds that somebody needs for it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from annoloop.corpus.tokens import TOKEN
from annoloop.selection.candidates import FloatArray, IntArray

SECONDS_TO_START = 2.0
SECONDS_PER_WORD = 60 / 238
"""Assumed until enough answers are measured: 238 words a minute is the mean speed of silent reading
(Brysbaert 2019), the start is a guess."""


LONGEST = 10
"""Medians above which a text counts as no longer: one book is not the mean of many notes."""


def token_counts(texts: Sequence[str]) -> IntArray:
    """(texts,): words and marks of each text, about as many as spaCy makes; 0 for a blank text."""
    return np.asarray([sum(1 for _ in TOKEN.finditer(text)) for text in texts], dtype=np.int64)


def typical(costs: IntArray | FloatArray) -> float:
    """The mean cost of a text, none counted as more than `LONGEST` medians."""
    return float(np.minimum(costs, LONGEST * max(float(np.median(costs)), 1.0)).mean())


def word_counts(texts: Sequence[str]) -> IntArray:
    """(texts,): words counted by the blanks between them, as measured times are kept."""
    return np.asarray([text.count(" ") + 1 for text in texts], dtype=np.int64)


def seconds_needed(words: IntArray, start: float, a_word: float) -> FloatArray:
    """(texts,): the modelled seconds of each text, above 0."""
    return np.maximum(start + a_word * np.asarray(words, dtype=np.float64), 0.1)
