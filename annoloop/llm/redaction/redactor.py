"""What a text hides from an LLM: masks of the same length, so that every offset holds, and the way back.

A masked letter is x or X, a masked digit 0; punctuation and blanks stay. `anna@example.org, 030 1234567`
is sent as `xxxx@xxxxxxx.xxx, 000 0000000`. Too much is masked rather than too little.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from annoloop.errors import LLMError
from annoloop.hashing import input_hash
from annoloop.llm.answers import LLMResult
from annoloop.llm.redaction.kinds import FINDERS, NameFinder
from annoloop.types import Example

KINDS = (*FINDERS, "presidio")
_VERSION = 1
"""Raised whenever the same settings mask otherwise than before: answers are kept by what was sent."""


@dataclass(frozen=True, slots=True)
class Place:
    """Code points from `start` up to `end` that are masked, and what they were taken for."""

    start: int
    end: int
    kind: str


@dataclass(frozen=True, slots=True)
class Masked:
    """A text as it is sent, as long as the original. Places are in order and do not overlap."""

    text: str
    original: str
    places: tuple[Place, ...]

    @property
    def hidden(self) -> int:
        """Masked code points."""
        return sum(place.end - place.start for place in self.places)

    def restore(self, said: str) -> str:
        """What was said of the masked text, with the originals where it is certain which they are.

        A quote that stands at one place of the masked text, or for the same original at each, is that part
        of the original. In other words a mask is replaced where it stands for one original only.
        """
        if not self.places or not said:
            return said
        quoted = {self.original[at : at + len(said)] for at in _all(self.text, said)}
        if quoted:
            return quoted.pop() if len(quoted) == 1 else said
        stands_for: dict[str, set[str]] = {}
        for place in self.places:
            mask = self.text[place.start : place.end]
            stands_for.setdefault(mask, set()).add(self.original[place.start : place.end])
        certain = {mask: found.pop() for mask, found in stands_for.items() if len(found) == 1}
        if not certain:
            return said
        longest_first = sorted(certain, key=len, reverse=True)
        masks = re.compile("|".join(rf"(?<!\w){re.escape(mask)}(?!\w)" for mask in longest_first))
        return masks.sub(lambda found: certain[found[0]], said)


def _all(text: str, part: str) -> Iterator[int]:
    at = text.find(part)
    while at >= 0:
        yield at
        at = text.find(part, at + 1)


class Redactor:
    """Masks kinds of personal data, names and what own patterns find.

    Args:
        kinds: of `KINDS`. `presidio` needs the extra of that name.
        names: each is masked as a whole, whatever its case, with a genitive s too; a surname that may stand
            alone has to be listed alone.
        patterns: regular expressions by a name of one's own. They run in a process of their own, which is
            stopped where one takes too long.
        lang: the language of the texts, for `presidio`.

    Raises:
        LLMError: an unknown kind, a wrong pattern, or presidio is not there.
    """

    def __init__(
        self,
        kinds: Iterable[str] = (),
        *,
        names: Sequence[str] = (),
        patterns: Mapping[str, str] | None = None,
        lang: str = "en",
    ) -> None:
        self.kinds = tuple(kind for kind in KINDS if kind in set(kinds))
        unknown = sorted(set(kinds) - set(KINDS))
        if unknown:
            raise LLMError(f"privacy -> redact: {unknown[0]!r} is unknown", hint=f"known: {', '.join(KINDS)}")
        self._names = tuple(sorted({name.strip() for name in names if name.strip()}))
        self._patterns = dict(sorted((patterns or {}).items()))
        self._finders: list[tuple[str, Callable[[str], Iterable[tuple[int, int]]]]] = [
            (kind, FINDERS[kind]) for kind in self.kinds if kind in FINDERS
        ]
        if self._names:
            self._finders.append(("name", NameFinder(self._names)))
        if self._patterns:
            from annoloop.llm.redaction.patterns import PatternFinder

            self._finders.append(("pattern", PatternFinder(self._patterns)))
        self._outside = ""
        if "presidio" in self.kinds:
            from annoloop.llm.redaction.presidio import PresidioFinder

            presidio = PresidioFinder(lang)
            self._outside = presidio.version
            self._finders.append(("presidio", presidio))

    @property
    def active(self) -> bool:
        """Whether it masks anything at all."""
        return bool(self._finders)

    @property
    def version(self) -> str:
        """12 hex digits that change whenever a text might be masked otherwise; empty where nothing is."""
        if not self.active:
            return ""
        shaped = [_VERSION, self.kinds, self._names, self._patterns, self._outside]
        return input_hash(repr(shaped))[:12]

    def mask(self, text: str) -> Masked:
        """The text as it may be sent. Masking what is masked changes nothing.

        Raises:
            LLMError: an own pattern takes too long on this text.
        """
        places: list[Place] = []
        shown = text
        while True:
            # A mask can look like something to be masked beside what was not: until nothing more is found.
            found = [
                Place(start, end, kind)
                for kind, find in self._finders
                for start, end in find(shown)
                if start < end
            ]
            places = _joined([*places, *found])
            masked = _covered(shown, places)
            if masked == shown:
                return Masked(shown, text, tuple(places))
            shown = masked


def _joined(places: Sequence[Place]) -> list[Place]:
    """Places in order, those that overlap as one, which is called as the first of them."""
    joined: list[Place] = []
    for place in sorted(places, key=lambda one: (one.start, -one.end)):
        if joined and place.start < joined[-1].end:
            joined[-1] = replace(joined[-1], end=max(joined[-1].end, place.end))
        else:
            joined.append(place)
    return joined


def _covered(text: str, places: Sequence[Place]) -> str:
    parts, done = [], 0
    for place in places:
        parts += [text[done : place.start], "".join(map(_shape, text[place.start : place.end]))]
        done = place.end
    return "".join([*parts, text[done:]])


def _shape(character: str) -> str:
    """One code point for one code point, in which nothing of the secret is left but its shape."""
    if character.isascii() and not character.isalnum():
        return character
    category = unicodedata.category(character)
    if category[0] in "PZ":
        return character
    if category[0] == "N":
        return "0"
    return "X" if category == "Lu" else "x"


class Masking:
    """What one run masks: each text that is asked about, what is shown beside it, and what comes back."""

    def __init__(self, redactor: Redactor | None) -> None:
        self._redactor = redactor if redactor is not None and redactor.active else None
        self._masked: dict[str, Masked] = {}

    @property
    def version(self) -> str:
        """The redactor's; empty where nothing is masked."""
        return self._redactor.version if self._redactor else ""

    def text(self, text: str) -> str:
        """A text that is shown beside the one asked about, such as an example's; its offsets hold."""
        return self._redactor.mask(text).text if self._redactor else text

    def example(self, example: Example) -> Example:
        """The example as it is asked about, under its own hash."""
        if self._redactor is None:
            return example
        masked = self._masked[example.input_hash] = self._redactor.mask(example.text)
        return replace(example, text=masked.text)

    def about(self, example: Example) -> dict[str, Any]:
        """What is recorded of a question: never its words."""
        masked = self._masked.get(example.input_hash)
        hidden = masked.hidden if masked else 0
        return {"input_hash": example.input_hash, "masked": hidden, "redaction": self.version}

    def restored(self, result: LLMResult) -> LLMResult:
        """A result in the words of the original text; spans need nothing, their offsets hold."""
        masked = self._masked.get(result.input_hash)
        if masked is None:
            return result
        unaligned = tuple(masked.restore(quote) for quote in result.unaligned)
        return replace(result, unaligned=unaligned, reason=masked.restore(result.reason))


def read_names(path: Path) -> tuple[str, ...]:
    """The names of a file, one a line; blank lines and those that begin with # are none.

    Raises:
        LLMError: the file cannot be read, or is not UTF-8.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8"
        raise LLMError(
            f"privacy -> names: {path} cannot be read: {reason}", hint="names, one a line; nothing was sent"
        ) from None
    return tuple(line.strip() for line in lines if line.strip() and not line.startswith("#"))


__all__ = ["KINDS", "Masked", "Masking", "Place", "Redactor", "read_names"]
