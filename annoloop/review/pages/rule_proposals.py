"""Patterns proposed from the labelled texts: looked at, taken into the rules or turned down."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal

import streamlit as st

from annoloop.errors import AnnoloopError
from annoloop.review.pages.entry import plain
from annoloop.review.pages.frame import Visit
from annoloop.review.pages.matches import examples, place
from annoloop.review.pages.told import told
from annoloop.steps.rules.report import TriedPattern, try_pattern
from annoloop.steps.rules.suggest import Proposal, accept, accept_above, proposals, reject, suggest_rules

BAR = 0.9

WORDS = {
    "en": {
        "title": "Proposed patterns",
        "titled": "Proposed patterns: {n}",
        "make": "Propose patterns",
        "intro": "Made from the texts to learn from. Precision counts only those that a pattern was not "
        "made from; texts to compare or judge by are never looked at.",
        "made": "New proposals: {n}.",
        "nothing": "Nothing new to propose. Label more texts first.",
        "making": "Patterns are made and tried …",
        "all": "Accept those marked as needed, from 90 % precision",
        "taken": "Accepted: {n}.",
        "needed": "Needed",
        "label": "Label",
        "pattern": "Pattern",
        "from": "Made from",
        "right": "Right",
        "wrong": "Wrong",
        "precision": "Precision",
        "between": "95 % interval",
        "covered": "Unlabelled",
        "choose": "Choose a line to see its matches. Needed is the smallest set that brings the "
        "score as far as any.",
        "not": "not: {shown}",
        "accept": "Accept",
        "reject": "Reject",
        "reading": "Reading the texts …",
        "spelling": "names and their spellings",
        "lower": "names in any case",
        "surface": "names exactly so",
        "context": "what stands around a name",
        "shape": "shape of the words",
        "affix": "beginnings and ends of words",
        "exception": "words that are none",
        "ngram": "telling words",
        "pair": "pairs of words",
        "terms": "terms of the LLM",
        "answers": "answers of the LLM: {sort}",
    },
    "de": {
        "title": "Vorgeschlagene Muster",
        "titled": "Vorgeschlagene Muster: {n}",
        "make": "Muster vorschlagen",
        "intro": "Gemacht aus den Texten zum Lernen. Die Genauigkeit ist an denen gemessen, aus denen ein "
        "Muster nicht gemacht ist; Texte zum Vergleichen oder Beurteilen bleiben unberührt.",
        "made": "Neue Vorschläge: {n}.",
        "nothing": "Nichts Neues vorzuschlagen. Labeln Sie erst weitere Texte.",
        "making": "Muster werden gemacht und ausprobiert …",
        "all": "Alle nötigen ab 90 % Genauigkeit annehmen",
        "taken": "Angenommen: {n}.",
        "needed": "Nötig",
        "label": "Label",
        "pattern": "Muster",
        "from": "Gemacht aus",
        "right": "Richtig",
        "wrong": "Falsch",
        "precision": "Genauigkeit",
        "between": "95-%-Intervall",
        "covered": "Ungelabelt",
        "choose": "Wählen Sie eine Zeile, um ihre Treffer zu sehen. Nötig ist die kleinste Auswahl, die so "
        "weit führt wie alle.",
        "not": "nicht: {shown}",
        "accept": "Annehmen",
        "reject": "Ablehnen",
        "reading": "Die Texte werden gelesen …",
        "spelling": "Namen und ihre Schreibweisen",
        "lower": "Namen, groß oder klein",
        "surface": "Namen, genau so",
        "context": "was um einen Namen steht",
        "shape": "Form der Wörter",
        "affix": "Anfänge und Enden von Wörtern",
        "exception": "Wörter, die keine sind",
        "ngram": "sprechende Wörter",
        "pair": "Paare von Wörtern",
        "terms": "Begriffe des LLM",
        "answers": "Antworten des LLM: {sort}",
    },
}

Say = Callable[..., str]


@st.fragment
def propose(visit: Visit) -> None:
    """The section of the Rules page; by itself, so that turning one down does not measure all rules anew."""
    if not visit.may("rules"):
        return
    say = visit.words(WORDS)
    waiting = proposals(visit.project)
    title = say("titled", n=len(waiting)) if waiting else say("title")
    # A fixed key: the section stays open while its title counts down.
    with st.expander(f"**{title}**", expanded=bool(waiting), key="rules.proposals"):
        st.write(say("intro"))
        _told(say)
        with st.container(horizontal=True):
            wanted = st.button(say("make"), key="rules.propose")
            every = any(one.chosen for one in waiting) and st.button(say("all"), key="rules.accept_all")
        if wanted:
            _make(visit, say)
        if every:
            _change(visit, lambda: _accept_all(visit))
        if waiting:
            _list(visit, waiting, say)


def _told(say: Say) -> None:
    """What came of the last press of a button."""
    key, count = st.session_state.pop("rules.proposed", ("", 0))
    if key == "made" and not count:
        st.info(say("nothing"))
    elif key:
        st.success(say(key, n=count))


def _make(visit: Visit, say: Say) -> None:
    try:
        with st.spinner(say("making")):
            made = suggest_rules(visit.project)
    except AnnoloopError as error:
        st.error(plain(told(error, visit.lang)))
        return
    st.session_state["rules.proposed"] = ("made", len(made))
    st.rerun(scope="fragment")


def _accept_all(visit: Visit) -> None:
    taken = accept_above(visit.project, BAR, by=visit.who)
    st.session_state["rules.proposed"] = ("taken", len(taken))


def _list(visit: Visit, waiting: Sequence[Proposal], say: Say) -> None:
    st.write(say("choose"))
    chosen = st.dataframe(
        [_row(one, say) for one in waiting],
        hide_index=True,
        on_select="rerun",
        selection_mode="single-row",
        # A choice is a place in this very list: another list is another key.
        key=f"rules.proposed.{hash(tuple(one.line for one in waiting))}",
        column_config={
            say("precision"): st.column_config.NumberColumn(format="%.0f %%"),
            say("pattern"): st.column_config.TextColumn(width="large"),
        },
    )
    places: Sequence[int] = chosen["selection"]["rows"]
    if places and places[0] < len(waiting):
        _one(visit, waiting[places[0]], say)


def _row(one: Proposal, say: Say) -> dict[str, Any]:
    interval = one.interval
    between = f"{round(100 * interval[0])}–{round(100 * interval[1])} %" if interval else ""
    return {
        say("needed"): "✓" if one.chosen else "",
        say("label"): one.pattern.label,
        say("pattern"): _shown(one, say),
        say("precision"): None if one.precision is None else 100 * one.precision,
        say("between"): between,
        say("right"): one.right,
        say("wrong"): one.wrong,
        say("covered"): one.covered,
        say("from"): _made_from(one, say),
    }


def _shown(one: Proposal, say: Say) -> str:
    return say("not", shown=one.pattern.shown) if one.pattern.negative else one.pattern.shown


def _made_from(one: Proposal, say: Say) -> str:
    sort = say(one.sort) if one.sort in WORDS["en"] else one.sort
    return say("answers", sort=sort) if one.origin == "answers" else sort


def _one(visit: Visit, one: Proposal, say: Say) -> None:
    """One proposal with its matches, and what can be made of it."""
    st.subheader(plain(one.pattern.label))
    st.code(_shown(one, say), language=None, wrap_lines=True)
    with st.container(horizontal=True):
        yes = st.button(say("accept"), type="primary", key="rules.accept")
        no = st.button(say("reject"), key="rules.reject")
    if yes:
        _change(visit, lambda: accept(visit.project, one.line, by=visit.who))
    if no:
        _change(visit, lambda: reject(visit.project, one.line, by=visit.who), scope="fragment")
    try:
        with st.spinner(say("reading")):
            tried = _tried(visit, one.line)
    except AnnoloopError as error:
        st.error(plain(told(error, visit.lang)))
        return
    new = [place(text, match[0]) for text, match in tried.unlabelled_matches]
    examples(visit, tried.report, tried.gold, key="proposed", new=new)


def _tried(visit: Visit, line: str) -> TriedPattern:
    """What was looked at last is kept."""
    kept = st.session_state.get("rules.proposal")
    if kept is None or kept[0] != line:
        kept = st.session_state["rules.proposal"] = (line, try_pattern(visit.project, line, dev=False))
    tried: TriedPattern = kept[1]
    return tried


def _change(visit: Visit, change: Callable[[], object], *, scope: Literal["app", "fragment"] = "app") -> None:
    """Do it; what changes the rules has the whole page measured anew."""
    if not visit.may("rules"):
        return
    try:
        change()
    except AnnoloopError as error:
        st.error(plain(told(error, visit.lang)))
        return
    st.rerun(scope=scope)
