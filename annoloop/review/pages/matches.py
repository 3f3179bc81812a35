"""Matches of a pattern in their surroundings, held against the truth."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import streamlit as st

from annoloop.review.pages.annotated import Shown, annotated
from annoloop.review.pages.frame import Visit
from annoloop.rules.matcher import Match
from annoloop.rules.workbench import Hit, PatternReport
from annoloop.types import Annotation, Gold, Span

AROUND = 200
"""Characters shown on either side of a match."""

WORDS = {
    "en": {
        "matches": "Matches",
        "right": "Right",
        "wrong": "Wrong",
        "conflicts": "Conflicts",
        "new": "Not labelled yet",
        "truth": "right: {labels}",
        "against": "against {label}",
    },
    "de": {
        "matches": "Treffer",
        "right": "Richtig",
        "wrong": "Falsch",
        "conflicts": "Konflikte",
        "new": "Noch nicht gelabelt",
        "truth": "richtig: {labels}",
        "against": "gegen {label}",
    },
}

Say = Callable[..., str]


def examples(
    visit: Visit, report: PatternReport, gold: Sequence[Gold], *, key: str, new: Sequence[Shown] = ()
) -> None:
    """Matches of a pattern, one sort at a time: wrong, right, in conflict, not labelled yet (`new`)."""
    say = visit.words(WORDS)
    sorts = {
        "wrong": [_hit(visit, hit, gold, say) for hit in report.wrong_hits],
        "right": [_hit(visit, hit, gold, say) for hit in report.right_hits],
        "conflicts": [_hit(visit, hit, gold, say) for hit in report.conflict_hits],
        "new": list(new),
    }
    there = [name for name, items in sorts.items() if items]
    if not there:
        return
    # In the state only while it is one of those that are there.
    chosen = st.radio(
        say("matches"),
        there,
        format_func=lambda name: f"{say(name)} ({len(sorts[name])})",
        horizontal=True,
        key=f"rules.{key}.{'.'.join(there)}",
        label_visibility="collapsed",
    )
    annotated(
        sorts[chosen or there[0]],
        key=f"rules.{key}.texts",
        lang=visit.project.settings.project.lang,
        labels=visit.project.scheme.labels,
        interface=visit.lang,
    )


def _hit(visit: Visit, hit: Hit, gold: Sequence[Gold], say: Say) -> Shown:
    """A match in its surroundings, held against the truth."""
    item = gold[hit.text]
    truth = item.annotation
    if not visit.project.scheme.has_spans:
        note = say("truth", labels=", ".join(truth.labels))
        if hit.other is not None:
            note += " · " + say("against", label=hit.other.label)
        return place(item.example.text, hit.match, note=note)
    near = [s for s in truth.spans if s.start < hit.match.end and hit.match.start < s.end]
    note = say("against", label=hit.other.label) if hit.other is not None else ""
    return place(item.example.text, hit.match, note=note, truth=near)


def place(text: str, match: Match, *, note: str = "", truth: Sequence[Span] | None = None) -> Shown:
    """A match in its surroundings; `truth` are the right spans there, None where that is not known."""
    first = max(0, min([match.start, *(span.start for span in truth or ())]) - AROUND)
    last = max([match.end, *(span.end for span in truth or ())]) + AROUND
    inside = Annotation(spans=(Span(match.start - first, match.end - first, match.label),))
    against = None
    if truth is not None:
        against = Annotation(spans=tuple(Span(s.start - first, s.end - first, s.label) for s in truth))
    return Shown(text[first:last], inside, note=note, against=against)
