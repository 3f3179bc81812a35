"""The page that shows how the labelling goes: for whom, how fast, how long still, and what it gave."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import streamlit as st

from annoloop.evaluation.leaderboard import headline
from annoloop.project import Project
from annoloop.review import work
from annoloop.review.pages import agreed, charts
from annoloop.review.pages.entry import plain
from annoloop.review.pages.frame import Lang, Visit, decimal, number
from annoloop.review.pages.told import in_words, told_words
from annoloop.steps.evidence.pace import Day, Estimate, Pace, pace
from annoloop.steps.evidence.savings import MEASURED

REFRESH = 15
"""Seconds after which the page looks again."""

Say = Callable[..., str]

WORDS = {
    "en": {
        "title": "Progress",
        "empty": "No text is answered yet. As soon as somebody labels, this page shows how it goes.",
        "no_texts": "There are no questions yet: add texts and begin the first batch.",
        "done": "Texts done",
        "open": "Open",
        "mine": "Yours",
        "left": "This batch takes",
        "left_help": (
            "Time of looking at texts for one person, if the texts to come are like the recent ones."
        ),
        "too_little": "not known yet",
        "nothing_left": "done",
        "goal": "Still wanted: {count} answers.",
        "goal_missing": (
            "{count} texts to judge by still need an answer before anybody may say that the model is better."
        ),
        "days": "At the pace of the last days: {low} to {high} days for all that is open.",
        "your_pace": "You: {seconds} s a text (median), {rate} texts an hour of looking.",
        "pace": "Texts a day",
        "texts": "texts",
        "day": "day",
        "you": "You",
        "others": "Everybody else",
        "figures": "Figures",
        "who": "Who",
        "minutes": "Minutes of looking",
        "median": "Seconds a text (median)",
        "rate": "Texts an hour",
        "simulated": "{who} (simulated)",
        "only_simulated": "All answers so far were simulated from gold labels: they say nothing about pace.",
        "curve": "How good the model is",
        "curve_held_out": "On the texts to judge by, with 95 % intervals.",
        "curve_dev": "On the texts to compare by, with 95 % intervals; nobody has judged yet.",
        "no_curve": "No model is trained yet. After the first batch this shows the model beside the LLM.",
        "gold_texts": "texts learned from",
        "model": "Model",
        "llm": "LLM",
        "rules": "Rules",
        "round": "Round",
        "low": "from",
        "high": "to",
        "labels": "Labels so far",
        "count": "times",
        "label": "Label",
        "pool": "to learn from",
        "dev": "to compare by",
        "held_out": "to judge by",
        "no_labels": "No text has an agreed answer yet.",
        "saved": "Time saved by suggestions",
        "saved_minutes": (
            "About {minutes} minutes less than labelling by hand (95 % interval {low} to {high}), "
            "measured on {assisted} answers with and {blind} without suggestions. Chance decided which "
            "texts came without; their length is allowed for."
        ),
        "saved_none": (
            "No difference measured: {minutes} minutes (95 % interval {low} to {high}) on {assisted} "
            "answers with and {blind} without suggestions."
        ),
        "saved_unknown": (
            "Not measured yet: it takes {least} texts answered without a suggestion and {least} with one, by "
            "the same people in the same batches; so far there are {blind} and {assisted}."
        ),
        "blind": "without suggestion",
        "assisted": "with suggestion",
        "seconds": "seconds a text",
        "cost": "What the LLM took",
        "cost_line": "{texts} texts read, {tokens} tokens, cost: {money}.",
        "unknown": "not known",
        "no_cost": "No LLM was asked.",
        "running": "At work: {what}",
        "starting": "Work begins.",
        "failed": "The last run failed: {why}",
        "stopped": "The last run was stopped.",
        "finished": "The last run is done.",
    },
    "de": {
        "title": "Fortschritt",
        "empty": "Noch ist kein Text beantwortet. Sobald jemand labelt, zeigt diese Seite, wie es läuft.",
        "no_texts": "Es gibt noch keine Fragen: Texte hinzufügen und die erste Runde beginnen.",
        "done": "Fertige Texte",
        "open": "Offen",
        "mine": "Von Ihnen",
        "left": "Diese Runde dauert",
        "left_help": "Zeit des Lesens für eine Person, wenn die nächsten Texte wie die letzten sind.",
        "too_little": "noch unbekannt",
        "nothing_left": "fertig",
        "goal": "Noch erwünscht: {count} Antworten.",
        "goal_missing": (
            "{count} Texte zum Beurteilen brauchen noch eine Antwort, bevor man sagen darf, dass das "
            "Modell besser ist."
        ),
        "days": "Im Tempo der letzten Tage: {low} bis {high} Tage für alles, was offen ist.",
        "your_pace": "Sie: {seconds} s je Text (Median), {rate} Texte je Stunde Lesezeit.",
        "pace": "Texte am Tag",
        "texts": "Texte",
        "day": "Tag",
        "you": "Sie",
        "others": "Alle anderen",
        "figures": "Zahlen",
        "who": "Wer",
        "minutes": "Minuten Lesezeit",
        "median": "Sekunden je Text (Median)",
        "rate": "Texte je Stunde",
        "simulated": "{who} (simuliert)",
        "only_simulated": "Alle bisherigen Antworten sind simuliert: Sie sagen nichts über das Tempo.",
        "curve": "Wie gut das Modell ist",
        "curve_held_out": "An den Texten zum Beurteilen, mit 95-%-Intervallen.",
        "curve_dev": (
            "An den Texten zum Vergleichen, mit 95-%-Intervallen; an denen zum Beurteilen noch nicht."
        ),
        "no_curve": "Noch ist kein Modell trainiert. Nach der ersten Runde steht es hier neben dem LLM.",
        "gold_texts": "Texte, aus denen gelernt wurde",
        "model": "Modell",
        "llm": "LLM",
        "rules": "Regeln",
        "round": "Runde",
        "low": "von",
        "high": "bis",
        "labels": "Labels bisher",
        "count": "Anzahl",
        "label": "Label",
        "pool": "zum Lernen",
        "dev": "zum Vergleichen",
        "held_out": "zum Beurteilen",
        "no_labels": "Noch hat kein Text eine einige Antwort.",
        "saved": "Zeit, die Vorschläge sparen",
        "saved_minutes": (
            "Etwa {minutes} Minuten weniger als von Hand (95-%-Intervall {low} bis {high}), gemessen "
            "an {assisted} Antworten mit und {blind} ohne Vorschlag. Der Zufall bestimmte, welche Texte ohne "
            "kamen; ihre Länge ist berücksichtigt."
        ),
        "saved_none": (
            "Kein Unterschied gemessen: {minutes} Minuten (95-%-Intervall {low} bis {high}) bei "
            "{assisted} Antworten mit und {blind} ohne Vorschlag."
        ),
        "saved_unknown": (
            "Noch nicht gemessen: Dazu müssten dieselben Personen in denselben Runden je {least} Texte ohne "
            "und mit Vorschlag beantwortet haben; bisher sind es {blind} und {assisted}."
        ),
        "blind": "ohne Vorschlag",
        "assisted": "mit Vorschlag",
        "seconds": "Sekunden je Text",
        "cost": "Was das LLM gebraucht hat",
        "cost_line": "{texts} Texte gelesen, {tokens} Token, Kosten: {money}.",
        "unknown": "unbekannt",
        "no_cost": "Es wurde kein LLM gefragt.",
        "running": "In Arbeit: {what}",
        "starting": "Die Arbeit beginnt.",
        "failed": "Der letzte Lauf ist gescheitert: {why}",
        "stopped": "Der letzte Lauf wurde angehalten.",
        "finished": "Der letzte Lauf ist fertig.",
    },
}


def show(visit: Visit) -> None:
    """Draw the page; it looks again every `REFRESH` seconds."""
    say = visit.words(WORDS)
    st.title(say("title"))

    @st.fragment(run_every=REFRESH)
    def refreshed() -> None:
        # A fragment runs without the page around it: whose role was taken away sees nothing more.
        if visit.may("progress"):
            draw(visit, say)

    refreshed()


def draw(visit: Visit, say: Say) -> None:
    """All figures as they stand."""
    project = visit.project
    offset = -60 * int(st.context.timezone_offset or 0)
    figures = _figures(project, str(project.folder), repr(project.scheme), offset)
    _work(project, say, visit.lang)
    if not figures.done and not figures.people:
        st.info(say("empty") if figures.open else say("no_texts"))
        return
    _headline(figures, visit, say)
    by_person = visit.may("compare")
    left, right = st.columns(2, gap="large")
    with left:
        _curve(figures, project, say)
        _labels(figures, say)
    with right:
        _pace(figures, visit.who, say, by_person=by_person)
        _savings(figures, say, visit.lang)
        if by_person:
            agreed.draw(visit)
        _cost(figures, say, visit.lang)


@st.cache_data(ttl=5, show_spinner=False)
def _figures(_project: Project, _folder: str, _scheme: str, utc_offset: int) -> Pace:
    # Several people look at the same page: one of them counts for all.
    return pace(_project, utc_offset=utc_offset)


def _work(project: Project, say: Say, lang: Lang) -> None:
    state = work.state(project)
    if state is None:
        return
    if state.running:
        shown = say("running", what=in_words(state.what, lang)) if state.what else say("starting")
        share = min(1.0, state.done / state.total) if state.total else 0.0
        st.progress(share, text=plain(shown))
    elif state.failed:
        st.error(plain(say("failed", why=told_words(state.failed, state.hint, lang))))
    elif state.stopped:
        st.info(say("stopped"))
    else:
        st.caption(say("finished"))


def _headline(figures: Pace, visit: Visit, say: Say) -> None:
    mine = next((person for person in figures.people if person.annotator == visit.who), None)
    with st.container(horizontal=True):
        st.metric(say("done"), number(figures.done, visit.lang), border=True)
        st.metric(say("open"), number(figures.open, visit.lang), border=True)
        st.metric(say("mine"), number(mine.texts if mine else 0, visit.lang), border=True)
        st.metric(say("left"), _span(figures.batch, say, visit.lang), border=True, help=say("left_help"))
    if figures.goal.answers:
        st.caption(" ".join(_goal(figures, say, visit.lang)))
    if mine and mine.median_seconds is not None and mine.texts_per_hour is not None:
        seconds, rate = decimal(mine.median_seconds, visit.lang, 1), f"{mine.texts_per_hour:.0f}"
        st.caption(say("your_pace", seconds=seconds, rate=rate))


def _goal(figures: Pace, say: Say, lang: Lang) -> list[str]:
    lines = [say("goal", count=number(figures.goal.answers, lang))]
    if figures.held_out_missing:
        lines.append(say("goal_missing", count=number(figures.held_out_missing, lang)))
    if figures.goal.days:
        low, high = (decimal(days, lang, 1) for days in figures.goal.days)
        lines.append(say("days", low=low, high=high))
    return lines


def _span(estimate: Estimate, say: Say, lang: Lang) -> str:
    """A range of minutes in the unit that suits it."""
    if not estimate.answers:
        return say("nothing_left")
    if estimate.minutes is None:
        return say("too_little")
    low, high = estimate.minutes
    if high < 90:
        least, most = f"{max(low, 1):.0f}", f"{max(high, 1):.0f}"
        return f"{most} min" if least == most else f"{least}–{most} min"
    return f"{decimal(low / 60, lang, 1)}–{decimal(high / 60, lang, 1)} h"


def _pace(figures: Pace, who: str, say: Say, *, by_person: bool) -> None:
    st.header(say("pace"))
    if not figures.days:
        st.caption(say("only_simulated"))
    else:
        days = figures.days if by_person else _own_and_others(figures.days, who, say)
        st.altair_chart(charts.per_day(days, texts=say("texts"), day=say("day")), width="stretch")
    people = [person for person in figures.people if by_person or person.annotator == who]
    rows = [
        {
            say("who"): say("simulated", who=p.annotator) if p.simulated else p.annotator,
            say("texts"): p.texts,
            say("minutes"): None if p.simulated else round(p.minutes, 1),
            say("median"): p.median_seconds,
            say("rate"): None if p.texts_per_hour is None else round(p.texts_per_hour),
        }
        for p in people
    ]
    _table(rows, say)


def _own_and_others(days: Sequence[Day], who: str, say: Say) -> list[Day]:
    return [replace(day, annotator=say("you" if day.annotator == who else "others")) for day in days]


def _curve(figures: Pace, project: Project, say: Say) -> None:
    st.header(say("curve"))
    curve = figures.curve
    if curve is None:
        st.caption(say("no_curve"))
        return
    names = {name: say(name) for name in ("model", "llm", "rules")}
    score = headline(project.scheme)
    st.altair_chart(charts.learning_curve(curve, names, gold=say("gold_texts"), score=score), width="stretch")
    st.caption(say(f"curve_{curve.split}"))
    rows = [
        {say("round"): p.round, say("gold_texts"): p.gold_texts, **_scored(p.score, p.interval, score, say)}
        for p in curve.points
    ]
    others = [
        {say("round"): None, say("who"): b.name, **_scored(b.score, b.interval, score, say)}
        for b in curve.baselines
    ]
    _table([*rows, *others], say)


def _scored(value: float, interval: tuple[float, float] | None, name: str, say: Say) -> dict[str, Any]:
    low, high = interval or (None, None)
    return {name: value, say("low"): low, say("high"): high}


def _labels(figures: Pace, say: Say) -> None:
    st.header(say("labels"))
    if not any(sum(of.values()) for of in figures.labels.values()):
        st.caption(say("no_labels"))
        return
    splits = {split: say(split) for split in ("pool", "dev", "held_out")}
    labels = {str(split): of for split, of in figures.labels.items()}
    st.altair_chart(charts.label_counts(labels, splits, count=say("count")), width="stretch")
    rows = [
        {say("label"): name, **{splits[split]: labels[split][name] for split in splits}}
        for name in labels["pool"]
    ]
    _table(rows, say)


def _savings(figures: Pace, say: Say, lang: Lang) -> None:
    st.header(say("saved"))
    measured = figures.savings
    if measured is None:
        blind, assisted = figures.measured
        st.caption(say("saved_unknown", least=MEASURED, blind=blind, assisted=assisted))
        return
    chart = charts.savings(measured, blind=say("blind"), assisted=say("assisted"), seconds=say("seconds"))
    st.altair_chart(chart, width="stretch")
    low, high = measured.interval
    told = "saved_none" if low <= 0 <= high else "saved_minutes"
    shown = {
        name: decimal(value, lang, 1)
        for name, value in (("minutes", measured.minutes), ("low", low), ("high", high))
    }
    st.caption(say(told, **shown, assisted=measured.assisted, blind=measured.blind))


def _cost(figures: Pace, say: Say, lang: Lang) -> None:
    st.header(say("cost"))
    cost = figures.cost
    if cost is None:
        st.caption(say("no_cost"))
        return
    tokens = say("unknown") if cost.tokens is None else number(cost.tokens, lang)
    money = say("unknown") if cost.money is None else decimal(cost.money, lang, 2)
    st.caption(say("cost_line", texts=number(cost.texts, lang), tokens=tokens, money=money))


def _table(rows: list[dict[str, Any]], say: Say) -> None:
    if rows:
        with st.expander(say("figures")):
            st.dataframe(rows, hide_index=True)
