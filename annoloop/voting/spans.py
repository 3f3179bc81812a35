"""Spans and labels as yes/no items, so that voters who each say a set can be counted."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from annoloop.types import Annotation, LabelScheme, Span

FloatArray = NDArray[np.float64]
Item = Span | str


def items(annotation: Annotation, scheme: LabelScheme) -> frozenset[Item]:
    """What an annotation says yes to: spans or labels, in the names of now; unknown ones are left out."""
    known = scheme.current(annotation)
    return frozenset[Item](known.spans if scheme.has_spans else known.labels)


def candidates(said: Iterable[frozenset[Item]], scheme: LabelScheme) -> tuple[Item, ...]:
    """The items of one text to decide on, in a fixed order.

    Spans: those that somebody says. Labels: all of the scheme.
    """
    if not scheme.has_spans:
        return tuple(scheme.labels)
    return tuple(sorted({item for found in said for item in found}, key=_place))


def label_of(item: Item) -> str:
    """The label that an item is about."""
    return item.label if isinstance(item, Span) else item


def chosen(found: Sequence[tuple[Item, float]], scheme: LabelScheme, *, least: float) -> tuple[Item, ...]:
    """The items whose probability reaches `least`; for ner, of those that overlap the likeliest.

    Of equally likely ones the longer is kept, then the first.
    """
    wanted = [(item, p) for item, p in found if p >= least]
    if scheme.kind != "ner":
        return tuple(item for item, _ in wanted)
    kept: list[Span] = []
    for item, _ in sorted(wanted, key=lambda pair: (-pair[1], -_length(pair[0]), _place(pair[0]))):
        if isinstance(item, Span) and all(item.end <= s.start or s.end <= item.start for s in kept):
            kept.append(item)
    return tuple(sorted(kept))


def best_cut(probabilities: FloatArray, right: NDArray[np.bool_], *, missed: int) -> float:
    """The lowest probability to say yes to, where F = 2tp / (2tp + fp + fn) is highest on known items.

    F is best at a cut of half the F that is reached, not at one half (Lipton et al. 2014). `missed` is
    how many true items are not among these. 0.5 where nothing here is true. The cut lies between
    two probabilities, so that others near it fall on their side.
    """
    if not right.any():
        return 0.5
    order = np.argsort(-probabilities, kind="stable")
    ranked = probabilities[order]
    tp = np.cumsum(right[order])
    said = np.arange(1, len(ranked) + 1)
    f = 2 * tp / (said + right.sum() + missed)
    # Equal probabilities stand or fall together.
    last = np.append(ranked[1:] < ranked[:-1], True)
    best = int(np.argmax(np.where(last, f, -1.0)))
    below = float(ranked[best + 1]) if best + 1 < len(ranked) else 0.0
    return (float(ranked[best]) + below) / 2


def _length(item: Item) -> int:
    return item.end - item.start if isinstance(item, Span) else 0


def _place(item: Item) -> tuple[int, int, str]:
    return (item.start, item.end, item.label) if isinstance(item, Span) else (0, 0, item)
