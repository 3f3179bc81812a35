"""The page where a reviewer says which of two LLM versions answered better, not knowing which is which."""

from __future__ import annotations

import shlex
import time
from collections.abc import Callable

import streamlit as st

from annoloop.errors import AnnoloopError
from annoloop.review.pages.annotated import MOST_CHARACTERS, Shown, annotated
from annoloop.review.pages.entry import plain
from annoloop.review.pages.frame import Visit
from annoloop.review.pages.told import told
from annoloop.steps.llm.tournament import Duel, Standing, contestants, decide, next_duel, standing, undo
from annoloop.store.duels import Winner
from annoloop.types import Annotation, Span

BEFORE = 500
"""Characters shown before the first difference in a text that is too long to be shown as a whole."""

KEYS: dict[Winner, str] = {"left": "Left", "right": "Right", "both": "B", "neither": "N"}
Say = Callable[..., str]

WORDS = {
    "en": {
        "title": "Tournament",
        "question": "Which answer is better? Two versions of the LLM have read the same text; which is which "
        "stays hidden, and so do their costs.",
        "empty": "No versions of the LLM are compared yet. Whoever runs this project lets them answer some "
        "texts to learn from, for which no labels are needed:",
        "same": "There is nothing to decide: the versions agree on every text that they all answered.",
        "left": "Answer 1",
        "right": "Answer 2",
        "both": "Both are good",
        "neither": "Neither is",
        "undo": "Undo",
        "progress": "{decided} of {all} decided",
        "text": "Text",
        "no_spans": "nothing marked",
        "no_labels": "no category",
        "from": "from character {at}",
        "done": "You have decided on all of them.",
        "standing": "How it stands",
        "wait": "Who is ahead is told after {wanted} decisions, so that it sways nobody. "
        "So far: {decisions}.",
        "share": "By {decisions} decisions: the share of the points that each makes against the others. "
        "A draw is half a point.",
        "place": "**{name}**: {share} % (95 % interval: {low} to {high} %). {version}",
        "clear": "**{name}** is ahead, and not by chance alone.",
        "unclear": "Who is ahead may still be chance: more decisions would tell.",
    },
    "de": {
        "title": "Turnier",
        "question": "Welche Antwort ist besser? Zwei Fassungen des LLM haben denselben Text gelesen; welche "
        "welche ist, bleibt verborgen, und auch, was sie kosten.",
        "empty": "Noch werden keine Fassungen des LLM verglichen. Die Person, die dieses Projekt betreibt, "
        "lässt sie einige Texte zum Lernen beantworten; Labels braucht es dazu nicht:",
        "same": "Es gibt nichts zu entscheiden: Die Fassungen sind sich bei jedem Text einig, den alle "
        "beantwortet haben.",
        "left": "Antwort 1",
        "right": "Antwort 2",
        "both": "Beide sind gut",
        "neither": "Keine ist gut",
        "undo": "Rückgängig",
        "progress": "{decided} von {all} entschieden",
        "text": "Text",
        "no_spans": "nichts markiert",
        "no_labels": "keine Kategorie",
        "from": "ab Zeichen {at}",
        "done": "Sie haben über alle entschieden.",
        "standing": "Wie es steht",
        "wait": "Wer vorn liegt, steht hier nach {wanted} Entscheidungen, damit es niemanden beeinflusst. "
        "Bisher: {decisions}.",
        "share": "Nach {decisions} Entscheidungen: der Anteil der Punkte, den jede gegen die anderen macht. "
        "Ein Unentschieden zählt einen halben Punkt.",
        "place": "**{name}**: {share} % (95-%-Intervall: {low} bis {high} %). {version}",
        "clear": "**{name}** liegt vorn, und nicht nur durch Zufall.",
        "unclear": "Wer vorn liegt, kann noch Zufall sein: Mehr Entscheidungen würden es zeigen.",
    },
}


def show(visit: Visit) -> None:
    """Draw the page."""
    say, project = visit.words(WORDS), visit.project
    st.title(say("title"))
    if len(contestants(project)) < 2:
        st.info(say("empty"))
        st.code(
            f"annoloop llm compare {shlex.quote(str(project.folder))} VARIANT.cfg --pool 50", language=None
        )
        return
    if problem := st.session_state.pop("tournament.problem", None):
        st.error(plain(problem))
    found = standing(project, visit.who)
    if not found.decided and not found.left:
        st.info(say("same"))
        return
    st.write(say("question"))
    duel = next_duel(project, visit.who)
    _buttons(visit, duel, found, say)
    if duel is None:
        st.success(say("done"))
    else:
        _answers(visit, duel, say)
    _standing(found, say)


def _buttons(visit: Visit, duel: Duel | None, found: Standing, say: Say) -> None:
    """Above the texts, so that they stay where they are whatever comes next."""
    with st.container(horizontal=True, vertical_alignment="center"):
        for winner, key in KEYS.items():
            st.button(
                say(winner),
                key=f"tournament.{winner}",
                shortcut=key,
                disabled=duel is None,
                on_click=_decided,
                args=(visit, duel, winner, time.monotonic()),
            )
        st.button(
            say("undo"),
            key="tournament.undo",
            shortcut="Backspace",
            type="tertiary",
            disabled=not found.decided,
            on_click=_undone,
            args=(visit,),
        )
    total = found.decided + found.left
    st.progress(found.decided / total, text=say("progress", decided=found.decided, all=total))


def _decided(visit: Visit, duel: Duel, winner: Winner, since: float) -> None:
    if not visit.may("tournament"):
        return
    milliseconds = min(round(1000 * (time.monotonic() - since)), 2**31 - 1)
    try:
        decide(visit.project, duel, winner, annotator=visit.who, milliseconds=milliseconds)
    except AnnoloopError as error:
        st.session_state["tournament.problem"] = told(error, visit.lang)


def _undone(visit: Visit) -> None:
    if visit.may("tournament"):
        undo(visit.project, visit.who)


def _answers(visit: Visit, duel: Duel, say: Say) -> None:
    scheme = visit.project.scheme
    pair = ((say("left"), duel.left), (say("right"), duel.right))
    if scheme.has_spans:
        first = _first_shown(duel)
        note = say("from", at=first + 1) if first else ""
        rows = [
            [Shown(duel.example.text[first:], _moved(s, first), t, _note(s, say) or note) for t, s in pair]
        ]
    else:
        # Categories differ, the text does not: once is enough.
        rows = [
            [Shown(duel.example.text, Annotation(), say("text"))],
            [Shown("", s, t, "" if s.labels else say("no_labels")) for t, s in pair],
        ]
    annotated(
        rows,
        key="tournament.texts",
        lang=visit.project.settings.project.lang,
        labels=scheme.labels,
        interface=visit.lang,
    )


def _note(said: Annotation, say: Say) -> str:
    return "" if said.spans else say("no_spans")


def _first_shown(duel: Duel) -> int:
    """Where the shown part begins, so that the first difference is in it."""
    differing = sorted({*duel.left.spans} ^ {*duel.right.spans})
    far = [span for span in differing[:1] if span.end > MOST_CHARACTERS]
    return max(0, far[0].start - BEFORE) if far else 0


def _moved(said: Annotation, first: int) -> Annotation:
    return Annotation(
        spans=tuple(Span(s.start - first, s.end - first, s.label) for s in said.spans if s.start >= first)
    )


def _standing(found: Standing, say: Say) -> None:
    with st.expander(f"**{say('standing')}**"):
        if not found.places:
            st.write(say("wait", wanted=found.wanted, decisions=found.decisions))
            return
        st.write(say("share", decisions=found.decisions))
        lines = [
            say(
                "place",
                name=plain(place.name),
                share=round(100 * place.share),
                low=round(100 * place.interval[0]),
                high=round(100 * place.interval[1]),
                version=plain(found.versions[place.name]),
            )
            for place in found.places
        ]
        st.markdown("\n".join(f"{number}. {line}" for number, line in enumerate(lines, 1)))
        first, second = found.places[:2]
        ahead = first.interval[0] > (0.5 if len(found.places) == 2 else second.interval[1])
        st.write(say("clear", name=plain(first.name)) if ahead else say("unclear"))
