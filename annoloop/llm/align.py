"""From the words an LLM quoted to the place they stand at, exact even where they stand twice."""

from __future__ import annotations

import html
import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Literal

from annoloop.types import Span

How = Literal["exact", "folded", "casefold", "inside", "fuzzy"]

FUZZY_LEAST = 0.88
"""The least similarity (difflib's ratio, 0 to 1) at which a misquoted name still counts as that name."""

_ENTITY = re.compile(r"&(?:#\d{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z]{2,31});")
_WORD = re.compile(r"\w+")
_SAME = str.maketrans(
    {**dict.fromkeys("’‘‚‛`´′＇", "'"), **dict.fromkeys("“”„‟«»″", '"'), **dict.fromkeys("‐‑‒–—―−", "-")}
)


@dataclass(frozen=True, slots=True)
class Mention:
    """One name as the LLM gave it. `occurrence` counts from 1; None where the LLM did not say."""

    quote: str
    label: str
    occurrence: int | None = None


@dataclass(frozen=True, slots=True)
class Alignment:
    """The spans found, the quotes without a place of their own, and how each quote was found.

    `ambiguous` says that a quote stands in the text more than once and the LLM did not say which is meant,
    or that it was found by likeness only.
    """

    spans: tuple[Span, ...]
    unaligned: tuple[str, ...]
    ambiguous: bool
    how: tuple[How, ...] = ()


def align(text: str, mentions: Iterable[Mention], *, allow_overlap: bool = False) -> Alignment:
    """Find every mention in the text, in any order of mentions.

    A quote is looked for as it is, then with compatibility forms, quotation marks, dashes, HTML entities and
    blanks made equal (NFKC), then without case, then inside words, then by likeness of at least
    `FUZZY_LEAST`. Without an occurrence, all places of the quote are meant.
    Where overlap is not allowed the longer span stays and the other one is reported as unaligned.
    """
    spans: list[tuple[Span, str]] = []
    unaligned: list[str] = []
    how: list[How] = []
    ambiguous = False
    for mention, given in _grouped(mentions):
        places, found_how = find(text, mention.quote)
        if not places or found_how is None:
            unaligned.append(mention.quote)
            continue
        chosen, unsure = _choose(places, mention.occurrence, given)
        ambiguous = ambiguous or unsure or found_how in ("fuzzy", "inside")
        how.append(found_how)
        spans += [(Span(start, end, mention.label), mention.quote) for start, end in chosen]
    if not allow_overlap:
        spans, lost = _without_overlap(spans)
        unaligned += lost
    return Alignment(
        spans=tuple(sorted({span for span, _ in spans})),
        unaligned=tuple(unaligned),
        ambiguous=ambiguous,
        how=tuple(how),
    )


def _grouped(mentions: Iterable[Mention]) -> list[tuple[Mention, int]]:
    """Equal mentions once, with how often they were given."""
    counts: dict[Mention, int] = {}
    for mention in mentions:
        if mention.quote.strip():
            counts[mention] = counts.get(mention, 0) + 1
    return list(counts.items())


def _choose(
    places: list[tuple[int, int]], occurrence: int | None, given: int
) -> tuple[list[tuple[int, int]], bool]:
    """The places that are meant, and whether that is a guess."""
    if len(places) == 1:
        return places, False
    if occurrence is None:
        return places, given < len(places)
    if 1 <= occurrence <= len(places):
        return [places[occurrence - 1]], False
    return [places[-1]], True


def _without_overlap(spans: list[tuple[Span, str]]) -> tuple[list[tuple[Span, str]], list[str]]:
    kept: list[tuple[Span, str]] = []
    lost: list[str] = []
    for span, quote in sorted(spans, key=lambda item: (item[0].start - item[0].end, item[0].start)):
        if all(span.end <= other.start or other.end <= span.start for other, _ in kept):
            kept.append((span, quote))
        elif all(span != other for other, _ in kept):
            lost.append(quote)
    return kept, lost


def find(text: str, quote: str) -> tuple[list[tuple[int, int]], How | None]:
    """All places of a quote in a text, left to right, and how they were found; ([], None) where nowhere."""
    quote = quote.strip()
    if not quote:
        return [], None
    exact = _places(text, quote)
    at_border = [place for place in exact if _at_border(text, *place)]
    if at_border:
        return at_border, "exact"
    folded = _Folded(text)
    needle = _Folded(quote).text.strip()
    for how, haystack, wanted in (
        ("folded", folded, needle),
        ("casefold", folded.casefolded(), _Folded(needle).casefolded().text),
    ):
        places = haystack.places(wanted) if wanted else []
        if places:
            return places, how  # type: ignore[return-value]
    if exact:
        return exact, "inside"
    return _fuzzy(text, quote)


def _places(text: str, quote: str) -> list[tuple[int, int]]:
    """Places of a string that do not overlap, left to right."""
    places = []
    start = text.find(quote)
    while start >= 0:
        places.append((start, start + len(quote)))
        start = text.find(quote, start + len(quote))
    return places


def _at_border(text: str, start: int, end: int) -> bool:
    """Whether neither end cuts a word in two, nor a letter from its combining marks."""
    return not (_joined(text, start) or _joined(text, end))


def _joined(text: str, position: int) -> bool:
    if not 0 < position < len(text):
        return False
    after = text[position]
    if unicodedata.combining(after) or after in "\u200d\ufe0f" or text[position - 1] == "\u200d":
        return True
    return _is_word(text[position - 1]) and _is_word(after)


def _is_word(char: str) -> bool:
    return char.isalnum() or char == "_" or bool(unicodedata.combining(char))


class _Folded:
    """A text made comparable, with the way back: character i came from source[starts[i]:ends[i]]."""

    def __init__(self, source: str) -> None:
        self.source = source
        chars: list[str] = []
        self.starts: list[int] = []
        self.ends: list[int] = []
        for start, end in _clusters(source):
            piece = _fold(source[start:end])
            if piece == " " and chars and chars[-1] == " ":
                self.ends[-1] = end
                continue
            chars.append(piece)
            self.starts += [start] * len(piece)
            self.ends += [end] * len(piece)
        self.text = "".join(chars)

    def casefolded(self) -> _Folded:
        """The same without case: one character may become several ("ß", "İ")."""
        other = object.__new__(_Folded)
        other.source = self.source
        pieces = [unicodedata.normalize("NFKC", char.casefold()).replace("\u0307", "") for char in self.text]
        other.text = "".join(pieces)
        other.starts = [s for s, piece in zip(self.starts, pieces, strict=True) for _ in piece]
        other.ends = [e for e, piece in zip(self.ends, pieces, strict=True) for _ in piece]
        return other

    def places(self, needle: str) -> list[tuple[int, int]]:
        """Places in the source of a folded string, at word borders only."""
        found = [(self.starts[a], self.ends[b - 1]) for a, b in _places(self.text, needle)]
        return [place for place in found if _at_border(self.source, *place)]


def _clusters(text: str) -> Iterable[tuple[int, int]]:
    """Stretches that fold as one: an HTML entity, or a character with the combining marks after it."""
    position = 0
    while position < len(text):
        entity = _ENTITY.match(text, position) if text[position] == "&" else None
        end = entity.end() if entity else position + 1
        while end < len(text) and _composes(text[position:end], text[end]):
            end += 1
        yield position, end
        position = end


def _composes(cluster: str, char: str) -> bool:
    """Whether a character belongs to what stands before it: a mark, or a part of a Hangul or Indic letter."""
    if char.isascii():
        return False
    if unicodedata.combining(char):
        return True
    alone = unicodedata.normalize("NFC", cluster)
    return len(unicodedata.normalize("NFC", cluster + char)) <= len(alone)


def _fold(cluster: str) -> str:
    if cluster.startswith("&") and len(cluster) > 1:
        cluster = html.unescape(cluster)
    folded = unicodedata.normalize("NFKC", cluster).translate(_SAME)
    if folded.isspace():
        return " "
    return "".join(char for char in folded if unicodedata.category(char) != "Cf" and char != "\ufe0f")


def _fuzzy(text: str, quote: str) -> tuple[list[tuple[int, int]], How | None]:
    """The one stretch of words most like the quote, one word longer or shorter at most."""
    wanted = quote.casefold()
    words = [(match.start(), match.end()) for match in _WORD.finditer(text)]
    count = len(_WORD.findall(quote))
    best: tuple[float, tuple[int, int]] | None = None
    matcher = SequenceMatcher(autojunk=False, b=wanted)
    for size in {max(count - 1, 1), max(count, 1), count + 1}:
        for first in range(len(words) - size + 1):
            start, end = words[first][0], words[first + size - 1][1]
            if abs((end - start) - len(quote)) > 0.3 * len(quote) + 1:
                continue
            matcher.set_seq1(text[start:end].casefold())
            if matcher.real_quick_ratio() < FUZZY_LEAST or matcher.quick_ratio() < FUZZY_LEAST:
                continue
            likeness = matcher.ratio()
            if likeness >= FUZZY_LEAST and (best is None or likeness > best[0]):
                best = (likeness, (start, end))
    return ([best[1]], "fuzzy") if best else ([], None)
