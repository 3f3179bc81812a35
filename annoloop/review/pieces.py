"""A text as the page shows it: pieces that the browser can point at, with their exact offsets."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterable, Sequence
from functools import lru_cache
from itertools import pairwise
from typing import TYPE_CHECKING

from annoloop.types import Span

if TYPE_CHECKING:
    from spacy.language import Language

Piece = tuple[str, int, int, int]
"""Text, 1 where one blank follows (else 0), start and end in code points without that blank."""

_CLUSTER = 200
"""No grapheme is longer than this many code points, runs of flags apart."""

_SURROGATE = re.compile("[\ud800-\udfff]")
_SPACY = threading.Lock()


def pieces(text: str, *, spans: Sequence[Span] = (), lang: str = "en") -> tuple[Piece, ...]:
    """Split a text into the pieces that an expert can select; joined with their blanks they are the text.

    Pieces are the tokens of spaCy's blank tokenizer, so that what is selected can be trained on. No
    border falls inside a grapheme (an emoji of several code points, a letter with its accents); tokens
    that meet there are one piece. Edges of `spans` are always borders: what was suggested is shown as
    it is, even off token borders. Scripts written without blanks are split into graphemes where spaCy
    has no tokenizer at hand.
    """
    starts, ends = {span.start for span in spans}, {span.end for span in spans}
    return _cached_pieces(text, tuple(sorted(starts)), tuple(sorted(ends)), lang)


@lru_cache(maxsize=2048)
def _cached_pieces(
    text: str, span_starts: tuple[int, ...], span_ends: tuple[int, ...], lang: str
) -> tuple[Piece, ...]:
    tokens = _token_offsets(text, lang)
    borders = {0, len(text)}
    borders.update(edge for edge in (*span_starts, *span_ends) if 0 < edge < len(text))
    borders.update(i for token in tokens for i in token if _is_grapheme_border(text, i))
    # A blank that a span begins or ends with must stay a piece of its own, or its edge could not be shown.
    carriers = {end for _, end in tokens} - set(span_starts) - {end - 1 for end in span_ends}
    return tuple(_between(text, borders, carriers))


def _between(text: str, borders: set[int], carriers: set[int]) -> Iterable[Piece]:
    skip = -1
    ordered = sorted(borders)
    for start, end in pairwise(ordered):
        if start == skip:
            # The one blank between two tokens, already carried by the piece before it.
            continue
        follows = end in carriers and text[end : end + 1] == " " and end + 1 in borders
        skip = end if follows else -1
        yield text[start:end], int(follows), start, end


def _token_offsets(text: str, lang: str) -> list[tuple[int, int]]:
    nlp, splits_words = _blank(lang)
    # spaCy takes no lone surrogate; another single code point in its place keeps all offsets.
    text = _SURROGATE.sub("\ufffd", text)
    with _SPACY:
        offsets = [(token.idx, token.idx + len(token)) for token in nlp.tokenizer(text)]
    return offsets if splits_words else [part for token in offsets for part in _unspaced(text, *token)]


@lru_cache(maxsize=16)
def _blank(lang: str) -> tuple[Language, bool]:
    import spacy

    try:
        return spacy.blank(lang), True
    except ImportError:
        # Japanese, Korean, Thai, ... need libraries of their own; without them people can still label.
        return spacy.blank("xx"), False


def _unspaced(text: str, start: int, end: int) -> Iterable[tuple[int, int]]:
    from wcwidth import iter_graphemes

    if all(ord(char) < 0x0E00 for char in text[start:end]):
        yield start, end
        return
    for cluster in iter_graphemes(text[start:end]):
        yield start, start + len(cluster)
        start += len(cluster)


def _is_grapheme_border(text: str, index: int) -> bool:
    if not 0 < index < len(text):
        return True
    before, after = text[index - 1], text[index]
    if before < "\x80" and after < "\x80":
        return not (before == "\r" and after == "\n")
    from wcwidth import grapheme_boundary_before

    # Only what stands near: the library's cost grows with the length of what it is given.
    start = index - 1
    while start > 0 and text[start] >= "\x80" and index - start < _CLUSTER:
        start -= 1
    return grapheme_boundary_before(text[start : index + 1], index - start + 1) == index - start
