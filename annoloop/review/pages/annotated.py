"""Texts with their marks, to look at: drawn by the browser as text only, several beside each other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal, cast

import streamlit as st

from annoloop.review.pages.frame import Lang
from annoloop.review.pieces import pieces
from annoloop.types import Annotation, Span

MOST_CHARACTERS = 5_000
"""Longer texts are cut where they are only looked at."""

WORDS = {
    "en": {"cut": "The first {shown} of {all} characters."},
    "de": {"cut": "Die ersten {shown} von {all} Zeichen."},
}


@dataclass(frozen=True, slots=True)
class Shown:
    """A text as drawn: `against` is what is right, so that what is too much or missing stands out.

    `tone` colours its edge.
    """

    text: str
    annotation: Annotation
    title: str = ""
    note: str = ""
    against: Annotation | None = None
    tone: Literal["plain", "good", "bad"] = "plain"


def annotated(
    items: Sequence[Shown] | Sequence[Sequence[Shown]],
    *,
    key: str,
    lang: str,
    labels: Sequence[str],
    interface: Lang = "en",
) -> None:
    """Draw texts read-only, one a row, or several in a row where an item is a sequence.

    Args:
        lang: the texts' language; `interface` is that of the page.
        labels: the project's, in their order: it gives them their colours.
    """
    rows = [[item] if isinstance(item, Shown) else list(item) for item in items]
    component = st.components.v2.component("annoloop.show", js="show.js", css="show.css")
    component(
        key=key,
        data={
            "interface": interface,
            "labels": list(labels),
            "lang": lang,
            "overlapping": any(_overlap(item) for row in rows for item in row),
            "rows": [[_drawn(item, lang, interface) for item in row] for row in rows],
        },
    )


def _drawn(item: Shown, lang: str, interface: Lang) -> dict[str, Any]:
    text = item.text[:MOST_CHARACTERS]
    against = item.against or item.annotation
    spans, right = _inside(item.annotation, text), _inside(against, text)
    cut = WORDS[interface]["cut"].format(shown=len(text), all=len(item.text)) if text != item.text else ""
    return {
        "against": _plain(right) if item.against is not None and right != spans else None,
        "cut": cut,
        "labels": list(item.annotation.labels),
        "missed": [label for label in against.labels if label not in item.annotation.labels],
        "note": item.note,
        "spans": _plain(spans),
        "title": item.title,
        "tokens": pieces(text, spans=(*spans, *right), lang=lang),
        "tone": item.tone,
    }


def _inside(annotation: Annotation, text: str) -> tuple[Span, ...]:
    return tuple(span for span in annotation.spans if span.end <= len(text))


def _plain(spans: Sequence[Span]) -> list[list[int | str]]:
    return [cast("list[int | str]", [span.start, span.end, span.label]) for span in spans]


def _overlap(item: Shown) -> bool:
    spans = sorted({*item.annotation.spans, *(item.against.spans if item.against else ())})
    return any(right.start < left.end for left, right in pairwise(spans))
