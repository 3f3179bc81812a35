"""The patterns: what each matches, how often it is right, and what a new one would do."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

import altair as alt
import streamlit as st

from annoloop.errors import AnnoloopError
from annoloop.project import Project
from annoloop.review.pages.entry import plain
from annoloop.review.pages.frame import Visit, decimal
from annoloop.review.pages.matches import examples, place
from annoloop.review.pages.rule_proposals import propose
from annoloop.review.pages.told import told
from annoloop.rules.matcher import Pattern
from annoloop.rules.workbench import PatternReport
from annoloop.steps.rules.patterns import add_pattern, pattern_lines, switch_off, switch_on, switched_off
from annoloop.steps.rules.report import RuleReport, TriedPattern, report_rules, rules_verdict, try_pattern

MOST_BARS = 20
SHORT = 32
RIGHT, WRONG = "#2a9d63", "#d6336c"

WORDS = {
    "en": {
        "title": "Rules",
        "intro": "Measured on {gold} labelled texts; texts to judge by are never looked at.",
        "no_gold": "No text to learn from or to compare by is labelled yet: matches can be seen, not judged.",
        "covered": "They match in {covered} of {texts} texts without an answer, at {speed} texts a second.",
        "covered_slow": "They match in {covered} of {texts} texts without an answer.",
        "suffice": "Rules suffice: at worst they score {low} on texts to compare by, the target is {target}.",
        "short": "Rules do not suffice: at worst they score {low} on texts to compare by, the target is "
        "{target}.",
        "none": "There are no patterns yet. Try one:",
        "try": "Try a pattern",
        "trying": "Reading the texts …",
        "measuring": "Trying {n} patterns on the texts …",
        "label": "Label",
        "how": "How it is written",
        "phrase": "Words, exactly so",
        "tokens": "Tokens (JSON)",
        "pattern": "Pattern",
        "tokens_eg": 'for example [{"LOWER": {"IN": ["lift", "elevator"]}}]',
        "not_json": "Pattern: not JSON at character {at}",
        "result": "{matches} matches in labelled texts, {right} right{interval}; {alone} that no other "
        "pattern finds; {conflicts} conflicts. {covered} of {unlabelled} texts without an answer match.",
        "interval": " ({low} to {high} %)",
        "save": "Save the pattern",
        "saved": "Saved.",
        "known": "This pattern is there already.",
        "right": "Right",
        "wrong": "Wrong",
        "conflicts": "Conflicts",
        "nothing": "None.",
        "all": "all",
        "filter": "Search in the patterns",
        "sort": "Order",
        "file": "as in the file",
        "worst": "least precise first",
        "most": "most matches first",
        "conflicting": "most conflicts first",
        "matches": "Matches",
        "precision": "Precision",
        "between": "95 % interval",
        "alone": "Alone",
        "shadowed": "Overruled",
        "unlabelled": "Unlabelled",
        "time": "µs a text",
        "smallest": "Needed",
        "choose": "Choose a line to see its matches.",
        "off": "Switch this pattern off",
        "off_list": "Switched off: {n}",
        "on": "Switch on again",
    },
    "de": {
        "title": "Regeln",
        "intro": "Gemessen an {gold} gelabelten Texten; Texte zum Beurteilen bleiben unberührt.",
        "no_gold": "Noch ist kein Text zum Lernen oder Vergleichen gelabelt: Treffer sind zu sehen, aber "
        "nicht zu beurteilen.",
        "covered": "Sie treffen in {covered} von {texts} Texten ohne Antwort, bei {speed} Texten je Sekunde.",
        "covered_slow": "Sie treffen in {covered} von {texts} Texten ohne Antwort.",
        "suffice": "Regeln genügen: Sie erreichen auf Texten zum Vergleichen mindestens {low}, Ziel ist "
        "{target}.",
        "short": "Regeln genügen nicht: Sie erreichen auf Texten zum Vergleichen mindestens {low}, Ziel ist "
        "{target}.",
        "none": "Es gibt noch keine Muster. Probieren Sie eines:",
        "try": "Muster ausprobieren",
        "trying": "Die Texte werden gelesen …",
        "measuring": "{n} Muster werden an den Texten ausprobiert …",
        "label": "Label",
        "how": "Schreibweise",
        "phrase": "Wörter, genau so",
        "tokens": "Token (JSON)",
        "pattern": "Muster",
        "tokens_eg": 'zum Beispiel [{"LOWER": {"IN": ["lift", "aufzug"]}}]',
        "not_json": "Muster: kein JSON ab Zeichen {at}",
        "result": "{matches} Treffer in gelabelten Texten, {right} richtig{interval}; {alone}, die kein "
        "anderes Muster findet; {conflicts} Konflikte. Treffer in {covered} von {unlabelled} Texten ohne "
        "Antwort.",
        "interval": " ({low} bis {high} %)",
        "save": "Muster speichern",
        "saved": "Gespeichert.",
        "known": "Dieses Muster gibt es schon.",
        "right": "Richtig",
        "wrong": "Falsch",
        "conflicts": "Konflikte",
        "nothing": "Keine.",
        "all": "alle",
        "filter": "In den Mustern suchen",
        "sort": "Reihenfolge",
        "file": "wie in der Datei",
        "worst": "ungenaueste zuerst",
        "most": "meiste Treffer zuerst",
        "conflicting": "meiste Konflikte zuerst",
        "matches": "Treffer",
        "precision": "Genauigkeit",
        "between": "95-%-Intervall",
        "alone": "Allein",
        "shadowed": "Überstimmt",
        "unlabelled": "Ungelabelt",
        "time": "µs je Text",
        "smallest": "Nötig",
        "choose": "Wählen Sie eine Zeile, um ihre Treffer zu sehen.",
        "off": "Dieses Muster abschalten",
        "off_list": "Abgeschaltet: {n}",
        "on": "Wieder einschalten",
    },
}

Say = Callable[..., str]


def show(visit: Visit) -> None:
    """Draw the page."""
    say = visit.words(WORDS)
    st.title(say("title"))
    project = visit.project
    try:
        with st.spinner(say("measuring", n=len(pattern_lines(project)))):
            found = _report(project)
    except AnnoloopError as error:
        # A wrong line: what is wrong is said, and trying goes on.
        st.error(plain(told(error, visit.lang)))
        found = None
    if found is not None:
        _summary(visit, found, say)
    with st.expander(f"**{say('try')}**", expanded=found is None or not found.lines):
        _try(visit)
    propose(visit)
    if found is not None and found.lines:
        _list(visit, found, say)
    _off(visit, say)


def _report(project: Project) -> RuleReport:
    return _reported(project, str(project.folder), _version(project))


@st.cache_data(max_entries=8, show_spinner=False)
def _reported(_project: Project, _folder: str, version: tuple[Any, ...]) -> RuleReport:
    # Made again, for all who look on, when the patterns, the answers or the labels have changed.
    return report_rules(_project)


def _version(project: Project) -> tuple[Any, ...]:
    stat = project.patterns.stat() if project.patterns.exists() else None
    return (stat and (stat.st_mtime_ns, stat.st_size), project.store.answer_count(), repr(project.scheme))


def _summary(visit: Visit, found: RuleReport, say: Say) -> None:
    if not found.lines:
        st.info(say("none"))
        return
    st.write(say("intro", gold=len(found.gold)) if found.gold else say("no_gold"))
    verdict = rules_verdict(visit.project)
    if verdict is not None and verdict.lower is not None and verdict.target is not None:
        key = "suffice" if verdict.suffice else "short"
        st.write(say(key, low=decimal(verdict.lower, visit.lang), target=decimal(verdict.target, visit.lang)))
    if found.unlabelled:
        speed = found.texts_per_second
        shown = {"covered": found.covered, "texts": found.unlabelled}
        st.write(say("covered", speed=round(speed), **shown) if speed else say("covered_slow", **shown))


@st.fragment
def _try(visit: Visit) -> None:
    if not visit.may("rules"):
        return
    say, project = visit.words(WORDS), visit.project
    if st.session_state.pop("rules.saved", False):
        st.success(say("saved"))
    left, right = st.columns(2)
    label = left.selectbox(say("label"), project.scheme.labels, key="rules.label")
    way = right.radio(say("how"), ["phrase", "tokens"], format_func=say, horizontal=True, key="rules.way")
    hint = say("tokens_eg") if way == "tokens" else None
    typed = st.text_input(say("pattern"), key=f"rules.{way}", placeholder=hint, max_chars=2_000)
    if not typed.strip():
        return
    line = _line(label, way, typed, say)
    if line is None:
        return
    try:
        with st.spinner(say("trying")):
            tried = _tried(project, line)
    except AnnoloopError as error:
        st.error(plain(told(error, visit.lang)))
        return
    _result(visit, tried, say)
    if st.button(say("save"), type="primary", key="rules.save"):
        _save(visit, line, say, f"rules.{way}")


def _tried(project: Project, line: str) -> TriedPattern:
    """What was tried last is kept: choosing something else on the page tries nothing anew."""
    asked = (line, _version(project))
    kept = st.session_state.get("rules.tried")
    if kept is None or kept[0] != asked:
        kept = st.session_state["rules.tried"] = (asked, try_pattern(project, line))
    tried: TriedPattern = kept[1]
    return tried


def _line(label: str, way: str, typed: str, say: Say) -> str | None:
    """The line of the file, None (and said) where the tokens are no JSON."""
    pattern: Any = typed.strip()
    if way == "tokens":
        try:
            pattern = json.loads(typed)
        except (ValueError, RecursionError) as error:
            st.error(say("not_json", at=getattr(error, "pos", 0) + 1))
            return None
    return json.dumps({"label": label, "pattern": pattern}, ensure_ascii=False)


def _save(visit: Visit, line: str, say: Say, typed: str) -> None:
    try:
        if not add_pattern(visit.project, line):
            st.info(say("known"))
            return
    except AnnoloopError as error:
        st.error(plain(told(error, visit.lang)))
        return
    st.session_state.pop(typed, None)
    st.session_state["rules.saved"] = True
    st.rerun()


def _result(visit: Visit, tried: TriedPattern, say: Say) -> None:
    report = tried.report
    interval = report.interval
    shown = "" if interval is None else say("interval", low=_percent(interval[0]), high=_percent(interval[1]))
    st.write(
        say(
            "result",
            matches=report.matches,
            right=report.right,
            interval=shown,
            alone=report.alone,
            conflicts=report.conflicts,
            covered=tried.covered,
            unlabelled=tried.unlabelled,
        )
    )
    new = [place(text, match[0]) for text, match in tried.unlabelled_matches]
    examples(visit, report, tried.gold, key="tried", new=new)


def _list(visit: Visit, found: RuleReport, say: Say) -> None:
    left, middle, right = st.columns(3)
    query = left.text_input(say("filter"), key="rules.filter").casefold().strip()
    labels = [None, *dict.fromkeys(pattern.label for pattern in found.patterns)]
    label = middle.selectbox(
        say("label"), labels, format_func=lambda name: name or say("all"), key="rules.only"
    )
    order = right.selectbox(
        say("sort"), ["most", "worst", "conflicting", "file"], format_func=say, key="rules.sort"
    )
    kept = [
        report
        for report, pattern, line in zip(found.reports, found.patterns, found.lines, strict=True)
        if (label is None or pattern.label == label) and query in line.casefold()
    ]
    kept.sort(key=_ORDERS[order])
    if not kept:
        st.info(say("nothing"))
        return
    if any(report.matches for report in kept):
        st.altair_chart(_chart(kept, found.patterns, say))
    st.write(say("choose"))
    chosen = st.dataframe(
        [_row(report, found, say) for report in kept],
        hide_index=True,
        on_select="rerun",
        selection_mode="single-row",
        # A choice is a place in this very list: another order is another list.
        key=f"rules.list.{order}.{label}.{query}.{len(found.lines)}",
        column_config={say("precision"): st.column_config.NumberColumn(format="%.0f %%")},
    )
    places: Sequence[int] = chosen["selection"]["rows"]
    if places and places[0] < len(kept):
        _one(visit, found, kept[places[0]], say)


_ORDERS: dict[str, Callable[[PatternReport], Any]] = {
    "most": lambda report: -report.matches,
    "worst": lambda report: (report.precision is None, report.precision, -report.matches),
    "conflicting": lambda report: -report.conflicts,
    "file": lambda report: report.pattern,
}


def _row(report: PatternReport, found: RuleReport, say: Say) -> dict[str, Any]:
    number, interval = report.pattern, report.interval
    between = f"{_percent(interval[0])}–{_percent(interval[1])} %" if interval else ""
    return {
        say("label"): found.patterns[number].label,
        say("pattern"): found.patterns[number].shown,
        say("matches"): report.matches,
        say("precision"): None if report.precision is None else 100 * report.precision,
        say("between"): between,
        say("alone"): report.alone,
        say("conflicts"): report.conflicts,
        say("shadowed"): report.shadowed,
        say("unlabelled"): found.coverage[number],
        say("time"): round(found.microseconds[number]),
        say("smallest"): "✓" if number in (found.smallest or ()) else "",
    }


def _percent(share: float) -> int:
    return round(100 * share)


def _chart(kept: Sequence[PatternReport], patterns: Sequence[Pattern], say: Say) -> alt.Chart:
    kept = [report for report in kept if report.matches][:MOST_BARS]
    names = {r.pattern: f"{r.pattern + 1} {_short(patterns[r.pattern])}" for r in kept}
    values = [
        {"pattern": names[report.pattern], "what": what, "matches": count, "place": place}
        for report in kept
        for place, (what, count) in enumerate(
            ((say("right"), report.right), (say("wrong"), report.matches - report.right))
        )
    ]
    scale = alt.Scale(domain=[say("right"), say("wrong")], range=[RIGHT, WRONG])
    order = [names[report.pattern] for report in kept]
    chart: alt.Chart = (
        alt.Chart(alt.InlineData(values=values))
        .mark_bar()
        .encode(
            x=alt.X("matches:Q", title=say("matches"), axis=alt.Axis(tickMinStep=1)),
            y=alt.Y("pattern:N", sort=order, title=None, axis=alt.Axis(labelLimit=220, labelOverlap=False)),
            color=alt.Color("what:N", scale=scale, legend=alt.Legend(orient="top", title=None)),
            order=alt.Order("place:Q"),
            tooltip=[alt.Tooltip("pattern:N", title=" "), "what:N", alt.Tooltip("matches:Q", title=" ")],
        )
        .properties(height=150 + 22 * len(order))
    )
    return chart


def _short(pattern: Pattern) -> str:
    return pattern.shown if len(pattern.shown) <= SHORT else pattern.shown[: SHORT - 1] + "…"


def _one(visit: Visit, found: RuleReport, report: PatternReport, say: Say) -> None:
    """One pattern with its matches, and the switch."""
    pattern, line = found.patterns[report.pattern], found.lines[report.pattern]
    st.subheader(plain(pattern.label))
    st.code(pattern.shown, language=None, wrap_lines=True)
    examples(visit, report, found.gold, key="one")
    if st.button(say("off"), key="rules.off") and visit.may("rules"):
        _change(visit, lambda: switch_off(visit.project, line))


def _off(visit: Visit, say: Say) -> None:
    lines = switched_off(visit.project)
    if not lines:
        return
    with st.expander(say("off_list", n=len(lines))):
        for number, line in enumerate(lines):
            left, right = st.columns([5, 1], vertical_alignment="center")
            left.code(line, language=None, wrap_lines=True)
            if right.button(say("on"), key=f"rules.on.{number}") and visit.may("rules"):
                _change(visit, lambda line=line: switch_on(visit.project, line))  # type: ignore[misc]


def _change(visit: Visit, change: Callable[[], None]) -> None:
    try:
        change()
    except AnnoloopError as error:
        st.error(plain(told(error, visit.lang)))
        return
    st.rerun()
