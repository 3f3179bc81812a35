"""A text as the page shows it: pieces that the browser can point at, with their exact offsets."""

from __future__ import annotations

import re
import threading
from collections.abc import Container, Iterable, Iterator, Sequence
from functools import lru_cache
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING

from annoloop.corpus.tokenizer import blank
from annoloop.review.ahead import Ahead
from annoloop.types import Span

if TYPE_CHECKING:
    from spacy.language import Language

Piece = tuple[str, int, int, int]
"""Text, 1 where one blank follows (else 0), start and end in code points without that blank."""

LONG_RUN = 2_000
"""Characters without a blank between them that spaCy still gets: its time grows with their square."""

LONG_TEXT = 5_000
"""Characters; of longer texts only a few are kept in pieces, as they take much memory."""

_SURROGATE = re.compile("[\ud800-\udfff]")
_RUN = re.compile(rf"\S{{{LONG_RUN},}}")
# Accents and vowel signs that stand as code points of their own belong to their word.
_WORD = re.compile(r"[\w\u0300-\u036f\u0591-\u05c7\u0610-\u065f\u0900-\u0dff\u200c\u200d]+|[^\w\s]+")
_UNSPACED = re.compile("[\u0e00-\U0010ffff]")
_SPACY = threading.Lock()
_LOADING = threading.Lock()
_ahead: Ahead | None = None


def pieces(text: str, *, spans: Sequence[Span] = (), lang: str = "en") -> tuple[Piece, ...]:
    """Split a text into the pieces that an expert can select; joined with their blanks they are the text.

    Pieces are the tokens of spaCy's blank tokenizer, so that what is selected can be trained on. No
    border falls inside a grapheme (an emoji of several code points, a letter with its accents); tokens
    that meet there are one piece. Edges of `spans` are always borders: what was suggested is shown as
    it is, even off token borders. Scripts written without blanks are split into graphemes where spaCy
    has no tokenizer at hand.
    """
    starts, ends = {span.start for span in spans}, {span.end for span in spans}
    cached = _pieces_of_long if len(text) > LONG_TEXT else _pieces
    return cached(text, tuple(sorted(starts)), tuple(sorted(ends)), lang)


def _split(
    text: str, span_starts: tuple[int, ...], span_ends: tuple[int, ...], lang: str
) -> tuple[Piece, ...]:
    tokens, graphemes = token_offsets(text, lang), _grapheme_borders(text)
    borders = {0, len(text)}
    borders.update(edge for edge in (*span_starts, *span_ends) if 0 < edge < len(text))
    borders.update(edge for token in tokens for edge in token if edge in graphemes)
    # A blank that a span begins or ends with must stay a piece of its own, or its edge could not be shown.
    carriers = {end for _, end in tokens} - set(span_starts) - {end - 1 for end in span_ends}
    return tuple(_between(text, borders, carriers))


_pieces = lru_cache(maxsize=1024)(_split)
_pieces_of_long = lru_cache(maxsize=16)(_split)


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


def prepare(ahead: Ahead | None) -> None:
    """Take tokens from `ahead`, instead of loading spaCy for them; None: no longer."""
    global _ahead
    former, _ahead = _ahead, ahead
    if former is not None:
        former.close()


def load_spacy() -> None:
    """Import spaCy, one thread at a time; for whoever may be the first in a process with several threads.

    Where two begin at once at different modules of it, it is half there for both (KeyError 'spacy').
    """
    with _LOADING:
        import spacy
        import spacy.tokenizer  # noqa: F401


def warm(lang: str) -> None:
    """Load spaCy and the language here; from then on no other process is asked."""
    _blank(lang)
    prepare(None)


def token_offsets(text: str, lang: str) -> list[tuple[int, int]]:
    """Start and end of each token in code points, in the text's order."""
    ahead = _ahead
    found_ahead = ahead.offsets(text, lang) if ahead else None
    if found_ahead is not None:
        return found_ahead
    nlp, by_rules, splits_words = _blank(lang)
    # spaCy takes no lone surrogate; another single code point in its place keeps all offsets.
    text = _SURROGATE.sub("\ufffd", text)
    found: list[tuple[int, int]] = []
    for start, end, is_run in _stretches(text) if by_rules else [(0, len(text), False)]:
        if is_run:
            words = [match.span() for match in _WORD.finditer(text, start, end)]
        else:
            with _SPACY:
                doc = nlp.tokenizer(text[start:end])
            words = [(start + token.idx, start + token.idx + len(token)) for token in doc]
        for word in words:
            if (is_run or not splits_words) and _UNSPACED.search(text, *word):
                found += _graphemes(text, *word)
            else:
                found.append(word)
    return found


def _stretches(text: str) -> Iterator[tuple[int, int, bool]]:
    """The text from end to end; True marks what has no blank for longer than spaCy can bear."""
    done = 0
    for match in _RUN.finditer(text):
        if done < match.start():
            yield done, match.start(), False
        yield match.start(), match.end(), True
        done = match.end()
    if done < len(text):
        yield done, len(text), False


@lru_cache(maxsize=16)
def _blank(lang: str) -> tuple[Language, bool, bool]:
    """A tokenizer; whether it is spaCy's own, which goes by rules; whether it splits words at all."""
    load_spacy()
    from spacy.tokenizer import Tokenizer

    try:
        nlp, splits_words = blank(lang), True
    except ImportError:
        # Japanese, Korean, Thai, ... need libraries of their own; without them people can still label.
        nlp, splits_words = blank("xx"), False
    return nlp, isinstance(nlp.tokenizer, Tokenizer), splits_words


def _graphemes(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    from wcwidth import iter_graphemes

    return pairwise(accumulate(map(len, iter_graphemes(text[start:end])), initial=start))


def _grapheme_borders(text: str) -> Container[int]:
    """Where no character that a reader sees as one would be cut."""
    if text.isascii() and "\r\n" not in text:
        return range(len(text) + 1)
    from wcwidth import iter_graphemes

    return {0, *accumulate(map(len, iter_graphemes(text)))}
