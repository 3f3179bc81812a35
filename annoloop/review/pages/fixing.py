"""The dialog in which a reviewer sets a dev text's gold right."""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

from annoloop.errors import AnnoloopError
from annoloop.review.pages.annotated import Shown, annotated
from annoloop.review.pages.entry import plain
from annoloop.review.pages.frame import Visit
from annoloop.review.pages.told import told
from annoloop.steps.compare import Compared, choices, fix_gold
from annoloop.types import Annotation, Span

LONGEST = 60
"""Characters at each end of a marked stretch that are named."""

Say = Callable[..., str]

WORDS = {
    "en": {
        "fix_title": "What is right?",
        "fix_help": "Everything that anybody marked in this text. To mark something else, send it to review.",
        "save": "Save",
        "saved": "Saved. The gold of this text is yours now.",
        "label": "Label",
        "gold": "Gold",
    },
    "de": {
        "fix_title": "Was ist richtig?",
        "fix_help": "Alles, was in diesem Text markiert wurde. Für anderes den Text zur Prüfung geben.",
        "save": "Speichern",
        "saved": "Gespeichert. Ihre Entscheidung gilt jetzt als Gold.",
        "label": "Label",
        "gold": "Gold",
    },
}


def ask(compared: Compared, visit: Visit) -> None:
    """Open the dialog; saving appends the reviewer's decision."""
    say = visit.words(WORDS)

    @st.dialog(say("fix_title"), width="large")
    def dialog() -> None:
        # A dialog runs without the page around it.
        if not visit.may("compare"):
            return
        annotated(
            [Shown(compared.example.text, compared.gold, say("gold"))],
            key=f"gold.{compared.example.input_hash}",
            lang=visit.project.settings.project.lang,
            labels=visit.project.scheme.labels,
            interface=visit.lang,
        )
        annotation = _chosen(compared, visit, say)
        if not st.button(say("save"), type="primary"):
            return
        try:
            fix_gold(visit.project, compared, annotation, reviewer=visit.who)
        except AnnoloopError as error:
            st.error(plain(told(error, visit.lang)))
            return
        st.toast(say("saved"))
        st.rerun()

    dialog()


def _chosen(compared: Compared, visit: Visit, say: Say) -> Annotation:
    """The annotation as put together from what was marked, or from the project's categories."""
    scheme, key = visit.project.scheme, f"chosen.{compared.example.input_hash}"
    if scheme.has_spans:
        spans = [part for part in choices(compared) if isinstance(part, Span)]
        st.caption(say("fix_help"))
        taken = [
            span
            for span in spans
            if st.checkbox(
                _named(compared.example.text, span),
                value=span in compared.gold.spans,
                key=f"{key}.{span.start}.{span.end}.{span.label}",
            )
        ]
        return Annotation(spans=tuple(taken))
    if scheme.is_exclusive:
        known = [label for label in compared.gold.labels if label in scheme.labels]
        index = scheme.labels.index(known[0]) if known else None
        label = st.radio(say("label"), scheme.labels, index=index, format_func=plain, key=key)
        return Annotation(labels=(label,) if label else ())
    ticked = [
        label
        for label in scheme.labels
        if st.checkbox(plain(label), value=label in compared.gold.labels, key=f"{key}.{label}")
    ]
    return Annotation(labels=tuple(ticked))


def _named(text: str, span: Span) -> str:
    """The marked words in their surroundings, so that repeated words can be told apart."""
    before, after = text[max(0, span.start - 20) : span.start], text[span.end : span.end + 20]
    marked = text[span.start : span.end]
    if len(marked) > 2 * LONGEST:
        marked = f"{marked[:LONGEST]} … {marked[-LONGEST:]}"
    return f"{_line(before)} **{_line(marked)}** {_line(after)} · {plain(span.label)}"


def _line(text: str) -> str:
    """On one line, and without what a page cannot hold: lone surrogates, null bytes."""
    shown = text.encode("utf8", "replace").decode().replace("\0", "")
    return plain(" ".join(shown.split()))
