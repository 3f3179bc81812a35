"""Long texts in pieces that an LLM can take, and what it says of the pieces as one about the text."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate
from typing import TYPE_CHECKING

from annoloop.corpus.tokenizer import blank
from annoloop.llm.answers import PAID, LLMResult
from annoloop.llm.asking import total
from annoloop.types import Annotation, LabelScheme, Span

if TYPE_CHECKING:
    from spacy.language import Language

_BLANK_LINES = re.compile(r"(?:(?:\r\n|\r|\n)[^\S\r\n]*){2,}")
_LINE_END = re.compile("\r\n|[\r\n\x0b\x0c\x85\u2028\u2029]")
_BLANKS = re.compile(r"\s+")
# Scripts without blanks end their sentences with marks of their own, whatever the tokenizer makes of them.
_UNSPACED_END = re.compile("[。！？｡︒][」』”’）〉》】]*")
_SURROGATE = re.compile("[\ud800-\udfff]")
# spaCy's time for characters without a blank between them grows with their square.
_RUN = re.compile(r"\S{2000,}")


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a text that begins at code point `start`."""

    start: int
    text: str

    @property
    def end(self) -> int:
        """The code point after its last."""
        return self.start + len(self.text)


def pieces(text: str, *, longest: int, lang: str = "en") -> tuple[Piece, ...]:
    """Cut a text so that no piece has more than `longest` code points; joined they are the text.

    Cuts are at the ends of sentences, where one is too long at line breaks, then at blanks, then anywhere
    but inside a grapheme (an emoji of several code points, a letter with its accents, CRLF), which alone
    may be longer. A text of at most `longest` stays whole.
    """
    if len(text) <= longest:
        return (Piece(0, text),)
    graphemes = _grapheme_borders(text)
    levels = [
        [border for border in sorted(set(found)) if _has(graphemes, border)]
        for found in (_sentence_ends(text, lang), _ends(_LINE_END, text), _ends(_BLANKS, text))
    ]
    cut: list[Piece] = []
    start = 0
    while len(text) - start > longest:
        ends = (_last(level, start, start + longest) for level in (*levels, graphemes))
        end = next((found for found in ends if found is not None), None)
        if end is None:
            end = graphemes[bisect_right(graphemes, start)]
        cut.append(Piece(start, text[start:end]))
        start = end
    return (*cut, Piece(start, text[start:])) if start < len(text) else tuple(cut)


def _last(borders: Sequence[int], after: int, upto: int) -> int | None:
    """The last of the sorted borders in `after` < border <= `upto`."""
    place = bisect_right(borders, upto) - 1
    return borders[place] if place >= 0 and borders[place] > after else None


def _has(borders: Sequence[int], border: int) -> bool:
    place = bisect_right(borders, border) - 1
    return place >= 0 and borders[place] == border


def _ends(pattern: re.Pattern[str], text: str) -> Iterator[int]:
    return (match.end() for match in pattern.finditer(text))


def _grapheme_borders(text: str) -> Sequence[int]:
    if text.isascii() and "\r\n" not in text:
        return range(len(text) + 1)
    from wcwidth import iter_graphemes

    return [0, *accumulate(map(len, iter_graphemes(text)))]


def _sentence_ends(text: str, lang: str) -> Iterator[int]:
    """Where the next sentence begins: blanks belong to the sentence before them."""
    yield from _ends(_BLANK_LINES, text)
    yield from _ends(_UNSPACED_END, text)
    nlp, by_rules = _sentencizer(lang)
    # spaCy takes no lone surrogate; another code point in its place, or blanks, keep all offsets.
    plain = _SURROGATE.sub("\ufffd", text)
    if by_rules:
        plain = _RUN.sub(lambda run: "x".ljust(len(run[0])), plain)
    doc = nlp.get_pipe("sentencizer")(nlp.tokenizer(plain))
    for sentence in doc.sents:
        blank = _BLANKS.match(text, sentence.end_char)
        yield blank.end() if blank else sentence.end_char


@lru_cache(maxsize=8)
def _sentencizer(lang: str) -> tuple[Language, bool]:
    """A pipeline that knows where sentences end, and whether its tokenizer is spaCy's own."""
    from spacy.tokenizer import Tokenizer

    try:
        nlp = blank(lang)
    except ImportError:  # Japanese, Korean, Thai, ... need libraries of their own
        nlp = blank("xx")
    nlp.add_pipe("sentencizer")
    return nlp, isinstance(nlp.tokenizer, Tokenizer)


def joined(parts: Sequence[tuple[Piece, LLMResult]], scheme: LabelScheme) -> LLMResult:
    """What was said of a text's pieces as one result about the text; ok only where each of them is.

    A piece that got no answer outweighs one that got a wrong one: the text is then asked about again.
    """
    if len(parts) == 1:
        return parts[0][1]
    results = [result for _, result in parts]
    bad = sorted((one for one in results if one.status != "ok"), key=lambda one: one.status in PAID)
    reasons = dict.fromkeys(one.reason for one in results if one.reason)
    return LLMResult(
        input_hash=results[0].input_hash,
        status=bad[0].status if bad else "ok",
        annotation=None if bad else _joined_annotation(parts, scheme),
        unaligned=() if bad else tuple(quote for one in results for quote in one.unaligned),
        ambiguous=not bad and any(one.ambiguous for one in results),
        reason=bad[0].reason if bad else "\n".join(reasons),
        prompt_tokens=total([one.prompt_tokens for one in results]),
        completion_tokens=total([one.completion_tokens for one in results]),
        cost=total([one.cost for one in results]),
        milliseconds=sum(one.milliseconds for one in results),
        cached=all(one.cached for one in results),
    )


def _joined_annotation(parts: Sequence[tuple[Piece, LLMResult]], scheme: LabelScheme) -> Annotation:
    said = [(piece, result.annotation) for piece, result in parts if result.annotation is not None]
    if scheme.has_spans:
        return Annotation(spans=joined_spans(said))
    return Annotation(labels=joined_labels(said, exclusive=scheme.is_exclusive))


def joined_spans(said: Sequence[tuple[Piece, Annotation]]) -> tuple[Span, ...]:
    """The spans of all pieces at their places in the text."""
    return tuple(
        Span(piece.start + span.start, piece.start + span.end, span.label)
        for piece, annotation in said
        for span in annotation.spans
    )


def joined_labels(said: Sequence[tuple[Piece, Annotation]], *, exclusive: bool) -> tuple[str, ...]:
    """The categories of any piece; where one is wanted, that of most characters, of equals the first."""
    characters: dict[str, int] = {}
    for piece, annotation in said:
        for label in annotation.labels:
            characters[label] = characters.get(label, 0) + len(piece.text)
    if not exclusive:
        return tuple(characters)
    return (max(characters, key=lambda label: characters[label]),) if characters else ()
