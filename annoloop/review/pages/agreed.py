"""The part of the progress page that shows how far people agree, and what they confuse."""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

from annoloop.evaluation.agreement import Agreement, Measure
from annoloop.project import Project
from annoloop.review.pages.entry import plain
from annoloop.review.pages.frame import Lang, Visit, decimal
from annoloop.steps.evidence.people_agreement import USEFUL, Confusion, PeopleAgreement, people_agreement

Say = Callable[..., str]

SHOWN = 5
"""Pairs of confused labels that are told of."""

WORDS = {
    "en": {
        "title": "How far people agree",
        "none": (
            "Not measured: no text is answered by several people. The developer can have a share asked of "
            "several (overlap in the settings)."
        ),
        "few": "{texts} texts are answered by several; {missing} more are needed for a figure of use.",
        "low": (
            "People agree less with each other ({people}) than the LLM with them ({llm}). Such labels cannot "
            "tell which of two good models is better: sharpen the guidelines and decide what differs."
        ),
        "who": "Who",
        "texts": "texts",
        "same": "same answer",
        "f": "F of one by the other",
        "alpha": "Krippendorff's alpha",
        "ac1": "Gwet's AC1",
        "all": "All",
        "pair": "{one} and {other}",
        "figures": "Figures",
        "pair_gap": (
            "{one} and {other} are confused in {texts} of {of} texts: write a rule into the guidelines."
        ),
        "one_gap": (
            "{one} is given by one and not by the other in {texts} of {of} texts: write a rule into the "
            "guidelines."
        ),
        "border_gap": (
            "Spans of {one} have other borders in {texts} of {of} texts: write a rule into the guidelines."
        ),
        "label": "Label",
        "given": "given",
    },
    "de": {
        "title": "Wie einig sich die Personen sind",
        "none": (
            "Nicht gemessen: Kein Text ist von mehreren beantwortet. Wer das Projekt einrichtet, kann einen "
            "Teil von mehreren beantworten lassen (overlap in den Einstellungen)."
        ),
        "few": "{texts} Texte sind von mehreren beantwortet; für eine brauchbare Zahl fehlen {missing}.",
        "low": (
            "Die Personen sind sich untereinander weniger einig ({people}) als das LLM mit ihnen ({llm}). "
            "Solche Labels können nicht zeigen, welches von zwei guten Modellen besser ist: die Richtlinien "
            "schärfen und entscheiden, was verschieden ist."
        ),
        "who": "Wer",
        "texts": "Texte",
        "same": "gleiche Antwort",
        "f": "F der einen nach der anderen",
        "alpha": "Krippendorffs Alpha",
        "ac1": "Gwets AC1",
        "all": "Alle",
        "pair": "{one} und {other}",
        "figures": "Zahlen",
        "pair_gap": (
            "{one} und {other} werden in {texts} von {of} Texten verwechselt: eine Regel in die Richtlinien "
            "schreiben."
        ),
        "one_gap": (
            "{one} wird in {texts} von {of} Texten von einer Person vergeben und von einer anderen nicht: "
            "eine Regel in die Richtlinien schreiben."
        ),
        "border_gap": (
            "Markierungen von {one} haben in {texts} von {of} Texten andere Grenzen: eine Regel in die "
            "Richtlinien schreiben."
        ),
        "label": "Label",
        "given": "vergeben",
    },
}


def draw(visit: Visit) -> None:
    """Agreement as it stands, its warnings first."""
    say, lang = visit.words(WORDS), visit.lang
    st.header(say("title"))
    found = _found(visit.project, str(visit.project.folder), repr(visit.project.scheme))
    if not found.people.texts and not found.confused:
        st.caption(say("none"))
        return
    if found.below_llm is not None:
        people, llm = (decimal(value, lang, 3) for value in found.below_llm)
        st.warning(say("low", people=people, llm=llm))
    if found.missing:
        st.caption(say("few", texts=min(found.people.texts, USEFUL), missing=found.missing))
    if found.people.texts:
        with st.container(horizontal=True):
            for name in ("same", "alpha", "ac1"):
                st.metric(say(name), _shown(getattr(found.people, name), lang), border=True)
        rows = [(say("all"), found.people)]
        rows += [(say("pair", one=one, other=other), of) for (one, other), of in found.by_pair.items()]
        with st.expander(say("figures")):
            st.dataframe([_row(say, name, of) for name, of in rows], hide_index=True)
            st.dataframe(
                [
                    {
                        say("label"): name,
                        say("given"): one.given,
                        **{say(key): getattr(one, key).value for key in ("f", "alpha", "ac1")},
                    }
                    for name, one in found.people.per_label.items()
                ],
                hide_index=True,
            )
    for confusion in found.confused[:SHOWN]:
        _gap(confusion, say)


@st.cache_data(ttl=60, show_spinner=False)
def _found(_project: Project, _folder: str, _scheme: str) -> PeopleAgreement:
    # Several people look at the same page: one of them counts for all.
    return people_agreement(_project)


def _gap(confusion: Confusion, say: Say) -> None:
    one, other = confusion.labels
    told = "border_gap" if other == one else "pair_gap" if other else "one_gap"
    line = say(told, one=one, other=other, texts=confusion.texts, of=confusion.of)
    st.markdown(plain(line))
    for example in confusion.quoted:
        st.caption(plain(example.text[:300]))


def _row(say: Say, name: str, of: Agreement) -> dict[str, object]:
    figures = {key: getattr(of, key).value for key in ("same", "f", "alpha", "ac1")}
    shown = {say(key): value for key, value in figures.items()}
    return {say("who"): name, say("texts"): of.texts, **shown}


def _shown(one: Measure, lang: Lang) -> str:
    return "–" if one.value is None else decimal(one.value, lang, 2)
