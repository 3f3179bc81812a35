"""What it costs to ask about a text: its tokens, or the seconds that somebody needs for it."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from annoloop.selection.candidates import FloatArray, IntArray

SECONDS_TO_START = 2.0
SECONDS_PER_WORD = 60 / 238
"""Assumed until enough answers are measured: 238 words a minute is the mean speed of silent reading
(Brysbaert 2019), the start is a guess."""

# Scripts without blanks are counted by the character, roughly as spaCy's tokenizers for them do.
_WIDE = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
_TOKEN = re.compile(rf"[{_WIDE}]|[^\W{_WIDE}]+|[^\w\s]")


def token_counts(texts: Sequence[str]) -> IntArray:
    """(texts,): words and marks of each text, about as many as spaCy makes; 0 for a blank text."""
    return np.asarray([sum(1 for _ in _TOKEN.finditer(text)) for text in texts], dtype=np.int64)


def word_counts(texts: Sequence[str]) -> IntArray:
    """(texts,): words counted by the blanks between them, as measured times are kept."""
    return np.asarray([text.count(" ") + 1 for text in texts], dtype=np.int64)


def seconds_needed(words: IntArray, start: float, a_word: float) -> FloatArray:
    """(texts,): the modelled seconds of each text, above 0."""
    return np.maximum(start + a_word * np.asarray(words, dtype=np.float64), 0.1)
