"""The page where rules, LLM and model stand side by side on dev texts, and gold is set right."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal

import streamlit as st

from annoloop.evaluation.leaderboard import headline
from annoloop.review.pages import charts, fixing
from annoloop.review.pages.annotated import Shown, annotated
from annoloop.review.pages.entry import plain
from annoloop.review.pages.frame import Visit
from annoloop.review.pages.told import in_words
from annoloop.steps.compare import (
    ApproachName,
    Compared,
    Comparison,
    ask_missing,
    compare,
    send_to_review,
)
from annoloop.types import Annotation

ON_A_PAGE = 8
APPROACHES: tuple[ApproachName, ...] = ("rules", "llm", "model")
Say = Callable[..., str]

WORDS = {
    "en": {
        "title": "Compare",
        "empty": "No text to compare by has an agreed answer yet: label those first.",
        "nobody": "There are no rules, no LLM and no model yet, so there is nothing to compare.",
        "why_dev": (
            "On {count} texts to compare by. The texts to judge by are not shown here: who reads the "
            "mistakes made on them can no longer judge by them."
        ),
        "rules": "Rules",
        "llm": "LLM",
        "model": "Model",
        "gold": "Gold",
        "quality": "Quality",
        "mistakes": "Mistakes by label",
        "missed": "missed",
        "extra": "too much",
        "times": "times",
        "paler": "Full colour: missed. Pale: too much.",
        "no_mistakes": "Nobody made a mistake.",
        "figures": "Figures",
        "approach": "Approach",
        "name": "Name",
        "read": "Texts read",
        "precision": "Precision",
        "recall": "Recall",
        "low": "from",
        "high": "to",
        "missing": "{who} has not read {count} of these texts; its figures are on those that it has read.",
        "ask": "Let rules and LLM read all these texts",
        "asking": "Reading …",
        "retrain": "The model has seen these texts only when it learned; train it again to compare.",
        "who_wrong": "Who is wrong",
        "label": "Label",
        "any": "any",
        "search": "Text",
        "confidence": "Confidence of",
        "between": "between",
        "found": "{count} of {all} texts",
        "none_found": "No text fits these filters.",
        "right": "right",
        "wrong": "wrong",
        "unread": "not read",
        "sure": "{percent} % sure",
        "page": "Page",
        "fix": "Fix the gold",
        "review": "Send to review",
        "review_help": "The text appears on Adjudicate, where a reviewer decides.",
        "sent": "It waits on Adjudicate now.",
        "settled": "A reviewer has decided on this text: fix the gold instead.",
    },
    "de": {
        "title": "Vergleich",
        "empty": "Noch hat kein Text zum Vergleichen eine einige Antwort: Diese zuerst labeln.",
        "nobody": "Es gibt weder Regeln noch LLM noch Modell, also nichts zu vergleichen.",
        "why_dev": (
            "An {count} Texten zum Vergleichen. Texte zum Beurteilen stehen hier nicht: Wer die Fehler in "
            "ihnen liest, kann mit ihnen nicht mehr urteilen."
        ),
        "rules": "Regeln",
        "llm": "LLM",
        "model": "Modell",
        "gold": "Gold",
        "quality": "Güte",
        "mistakes": "Fehler je Label",
        "missed": "übersehen",
        "extra": "zu viel",
        "times": "Anzahl",
        "paler": "Volle Farbe: übersehen. Blass: zu viel.",
        "no_mistakes": "Niemand hat einen Fehler gemacht.",
        "figures": "Zahlen",
        "approach": "Verfahren",
        "name": "Name",
        "read": "Gelesene Texte",
        "precision": "Genauigkeit",
        "recall": "Vollständigkeit",
        "low": "von",
        "high": "bis",
        "missing": "{who}: {count} dieser Texte nicht gelesen; die Zahlen gelten für die gelesenen.",
        "ask": "Regeln und LLM alle diese Texte lesen lassen",
        "asking": "Liest …",
        "retrain": "Das Modell kennt diese Texte nur vom Lernen; zum Vergleich neu trainieren.",
        "who_wrong": "Wer sich irrt",
        "label": "Label",
        "any": "alle",
        "search": "Text",
        "confidence": "Sicherheit von",
        "between": "zwischen",
        "found": "{count} von {all} Texten",
        "none_found": "Kein Text passt zu diesen Filtern.",
        "right": "richtig",
        "wrong": "falsch",
        "unread": "nicht gelesen",
        "sure": "zu {percent} % sicher",
        "page": "Seite",
        "fix": "Gold berichtigen",
        "review": "Zur Prüfung geben",
        "review_help": "Der Text erscheint unter Entscheiden; dort wird über ihn entschieden.",
        "sent": "Er wartet jetzt unter Entscheiden.",
        "settled": "Über diesen Text ist entschieden: stattdessen das Gold berichtigen.",
    },
}


def show(visit: Visit) -> None:
    """Draw the page."""
    say = visit.words(WORDS)
    st.title(say("title"))
    comparison = compare(visit.project)
    if not comparison.texts or not comparison.approaches:
        st.info(say("empty" if not comparison.texts else "nobody"))
        return
    st.caption(say("why_dev", count=len(comparison.texts)))
    left, right = st.columns(2, gap="large")
    with left:
        _quality(comparison, say)
    with right:
        _mistakes(comparison, say)
    _missing(comparison, visit, say)
    chosen = _filters(comparison, say)
    st.markdown(f"**{say('found', count=len(chosen), all=len(comparison.texts))}**")
    if not chosen:
        st.caption(say("none_found"))
    for compared in _on_this_page(chosen, say):
        _text(compared, comparison, visit, say)


def _quality(comparison: Comparison, say: Say) -> None:
    st.header(say("quality"))
    rows: list[dict[str, Any]] = []
    table = []
    for found in comparison.approaches:
        if found.scores is None or found.scores.score is None:
            continue
        low, high = found.scores.interval or (None, None)
        band = {"low": low, "high": high} if found.scores.interval else {}
        name = say(found.approach)
        rows.append({"name": name, "approach": found.approach, "score": found.scores.score, **band})
        table.append(
            {
                say("approach"): name,
                headline(comparison.scheme): found.scores.score,
                say("low"): low,
                say("high"): high,
                say("precision"): found.scores.precision,
                say("recall"): found.scores.recall,
                say("read"): found.scores.texts,
                say("name"): found.name,
            }
        )
    if rows:
        st.altair_chart(charts.quality(rows, score=headline(comparison.scheme)), width="stretch")
        with st.expander(say("figures")):
            st.dataframe(table, hide_index=True)


def _mistakes(comparison: Comparison, say: Say) -> None:
    """What each approach misses and what it finds too much, label by label."""
    st.header(say("mistakes"))
    rows = [
        {"label": label, "name": say(found.approach), "kind": say(kind), "count": count}
        for found in comparison.approaches
        if found.scores is not None
        for label, counts in found.scores.per_label.items()
        for kind, count in (("missed", counts.fn), ("extra", counts.fp))
    ]
    wrong = {row["label"] for row in rows if row["count"]}
    if not wrong:
        st.caption(say("no_mistakes"))
        return
    names = {str(found.approach): say(found.approach) for found in comparison.approaches}
    kinds = [say("missed"), say("extra")]
    shown = [row for row in rows if row["label"] in wrong]
    st.altair_chart(charts.mistakes(shown, names, kinds, count=say("times")), width="stretch")
    st.caption(say("paler"))
    with st.expander(say("figures")):
        st.dataframe(
            [
                {
                    say("label"): r["label"],
                    say("approach"): r["name"],
                    " ": r["kind"],
                    say("times"): r["count"],
                }
                for r in shown
            ],
            hide_index=True,
        )


def _missing(comparison: Comparison, visit: Visit, say: Say) -> None:
    gaps = [found for found in comparison.approaches if found.missing]
    for found in gaps:
        st.caption(say("missing", who=say(found.approach), count=found.missing))
    if any(found.approach == "model" for found in gaps):
        st.caption(say("retrain"))
    if not any(found.approach != "model" for found in gaps) or not st.button(say("ask")):
        return
    bar = st.progress(0.0, text=say("asking"))

    def on_progress(what: str, done: int, total: int) -> None:
        bar.progress(done / total if total else 0.0, text=plain(in_words(what, visit.lang)))

    ask_missing(visit.project, on_progress=on_progress)
    st.rerun()


def _filters(comparison: Comparison, say: Say) -> tuple[Compared, ...]:
    present = [found.approach for found in comparison.approaches]
    with st.container(horizontal=True, vertical_alignment="bottom"):
        wrong = st.pills(
            say("who_wrong"), present, selection_mode="multi", format_func=say, key="compare.wrong"
        )
        labels: list[str] = []
        if len(comparison.scheme.labels) > 1:
            labels = st.multiselect(
                say("label"), comparison.scheme.labels, placeholder=say("any"), key="compare.labels"
            )
        text = st.text_input(say("search"), key="compare.text")
        confidence = _confidence(comparison, say)
    chosen = comparison.select(wrong=wrong, labels=labels, text=text, confidence=confidence)
    # What can be learned from comes first: the texts about which most are wrong.
    return tuple(sorted(chosen, key=lambda c: -sum(c.wrong(approach) for approach in APPROACHES)))


def _confidence(comparison: Comparison, say: Say) -> tuple[ApproachName, float, float] | None:
    sure = [
        name
        for name in APPROACHES
        if any(name in c.said and c.said[name].confidence is not None for c in comparison.texts)
    ]
    if not sure:
        return None
    of = st.selectbox(
        say("confidence"), sure, index=None, format_func=say, placeholder=say("any"), key="compare.of"
    )
    if of is None:
        return None
    low, high = st.slider(say("between"), 0.0, 1.0, (0.0, 1.0), 0.05, key="compare.between")
    return of, low, high


def _on_this_page(chosen: Sequence[Compared], say: Say) -> Sequence[Compared]:
    pages = max(1, -(-len(chosen) // ON_A_PAGE))
    if pages == 1:
        return chosen
    # A filter may leave fewer pages than the one that was open.
    st.session_state["compare.page"] = min(st.session_state.get("compare.page", 1), pages)
    page = int(st.number_input(f"{say('page')} (1–{pages})", 1, pages, key="compare.page", width=140))
    return chosen[(page - 1) * ON_A_PAGE : page * ON_A_PAGE]


def _text(compared: Compared, comparison: Comparison, visit: Visit, say: Say) -> None:
    name = compared.example.input_hash
    project = visit.project
    with st.container(border=True):
        annotated(
            [_row(compared, comparison, visit, say)],
            key=f"compare.{name}",
            lang=project.settings.project.lang,
            labels=project.scheme.labels,
            interface=visit.lang,
        )
        with st.container(horizontal=True):
            if st.button(say("fix"), key=f"fix.{name}"):
                fixing.ask(compared, visit)
            if st.button(say("review"), key=f"review.{name}", help=say("review_help")):
                done = send_to_review(project, compared)
                st.toast(say("sent" if done else "settled"))


def _row(compared: Compared, comparison: Comparison, visit: Visit, say: Say) -> list[Shown]:
    text = compared.example.text
    row = [Shown(text, compared.gold, say("gold"))]
    if not comparison.scheme.has_spans:
        # Categories differ, the text does not: once is enough.
        text = ""
    for found in comparison.approaches:
        said = compared.said.get(found.approach)
        title = say(found.approach)
        if said is None:
            row.append(Shown("", Annotation(), title, say("unread")))
            continue
        notes = [say("right" if said.right else "wrong")]
        if said.confidence is not None:
            notes.append(say("sure", percent=round(100 * said.confidence)))
        if said.reason and not said.right:
            notes.append(in_words(said.reason, visit.lang))
        tone: Literal["good", "bad"] = "good" if said.right else "bad"
        row.append(Shown(text, said.annotation, title, " · ".join(notes), compared.gold, tone))
    return row
