"""Offsets that other tools counted differently: find out how, and offer the right ones."""

from __future__ import annotations

from collections.abc import Callable, Iterator


def repairs(text: str, start: int, end: int, surface: str | None) -> list[tuple[str, int, int]]:
    """Offer code-point offsets for a span that does not fit its text.

    Args:
        text: the text as it is here.
        start, end: offsets as given, in whatever the other tool counts.
        surface: the span's text as given, or None where only the offsets are known to be wrong.

    Returns:
        (how the other tool may have counted, start, end), most specific first. With a surface text only
        those at which it stands in `text`; without, only those that lie inside the text.
    """
    found: list[tuple[str, int, int]] = []
    for how, count in _COUNTS:
        starts = _positions(text, count)
        if start in starts and end in starts:
            found.append((how, starts[start], starts[end]))
    if surface is None:
        return [repair for repair in found if repair[1] < repair[2]]
    fitting = [repair for repair in found if text[repair[1] : repair[2]] == surface]
    return fitting or [
        ("by the nearest place of the same text", *near) for near in _nearest(text, start, surface)
    ]


def _positions(text: str, count: Callable[[str, str], int]) -> dict[int, int]:
    """Map the other tool's offsets to code points, the last where several share one."""
    positions, theirs, before = {0: 0}, 0, ""
    for index, character in enumerate(text, start=1):
        theirs += count(character, before)
        positions[theirs] = index
        before = character
    return positions


def _utf16(character: str, before: str) -> int:
    return 2 if ord(character) > 0xFFFF else 1


def _utf8(character: str, before: str) -> int:
    return len(character.encode("utf8", "surrogatepass"))


def _crlf_as_one(character: str, before: str) -> int:
    return 0 if character == "\n" and before == "\r" else 1


def _lf_as_two(character: str, before: str) -> int:
    return 2 if character == "\n" and before != "\r" else 1


_COUNTS: tuple[tuple[str, Callable[[str, str], int]], ...] = (
    ("counted in UTF-16 units", _utf16),
    ("counted in UTF-8 bytes", _utf8),
    ("counted with CR LF as one character", _crlf_as_one),
    ("counted with line ends as two characters", _lf_as_two),
)


def _nearest(text: str, start: int, surface: str) -> Iterator[tuple[int, int]]:
    """Yield the place of `surface` nearest to `start`; nothing where it does not occur."""
    places, at = [], text.find(surface) if surface else -1
    while at >= 0:
        places.append(at)
        at = text.find(surface, at + 1)
    if places:
        best = min(places, key=lambda place: (abs(place - start), place))
        yield best, best + len(surface)
