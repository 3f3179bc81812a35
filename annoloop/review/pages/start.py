"""The first steps in one page: what to find, which texts, the first batch; and labels changed later."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import streamlit as st

from annoloop.errors import AnnoloopError
from annoloop.project import Project
from annoloop.review import work
from annoloop.review.beginning import Problem, Wish, begin, outlook, problems
from annoloop.review.pages.entry import plain
from annoloop.review.pages.frame import Visit
from annoloop.review.pages.told import in_words, told, told_words
from annoloop.review.pages.upload import show_outlook, upload
from annoloop.steps.labels import can_undo, undo_labels
from annoloop.steps.llm.consent import give, needed
from annoloop.types import KINDS

LANGUAGES = {
    "de": "Deutsch",
    "en": "English",
    "fr": "Français",
    "es": "Español",
    "it": "Italiano",
    "nl": "Nederlands",
    "pl": "Polski",
    "pt": "Português",
    "da": "Dansk",
    "sv": "Svenska",
    "nb": "Norsk",
    "fi": "Suomi",
    "cs": "Čeština",
    "hu": "Magyar",
    "ro": "Română",
    "el": "Ελληνικά",
    "tr": "Türkçe",
    "uk": "Українська",
    "ru": "Русский",
    "he": "עברית",
    "ar": "العربية",
    "zh": "中文",
}

WORDS = {
    "en": {
        "title": "Three steps to your first label",
        "intro": "Your texts stay on the computer that annoloop runs on. Every step can be done again later.",
        "again": "Every step can be done again later.",
        "step1": "1 · What do you want to find?",
        "step2": "2 · Your texts",
        "step3": "3 · The first batch",
        "kind": "Kind",
        "ner": "Names, places or things in a text",
        "spancat": "Passages in a text, which may overlap",
        "textcat": "One topic for each text",
        "textcat_multilabel": "Any number of topics for each text",
        "ner_eg": ":blue-background[Lisa Meier] works in :orange-background[Cologne].",
        "spancat_eg": ":blue-background[Late again, and :orange-background[nobody told us].]",
        "textcat_eg": "“The lift is broken again.” → :blue-background[Lift]",
        "textcat_multilabel_eg": "“Lift broken, platform dark.” → "
        ":blue-background[Lift] :orange-background[Lighting]",
        "labels": "Labels",
        "labels_help": "What you look for, each with one sentence on what belongs to it.",
        "label": "Label",
        "label_n": "Label {n}",
        "meaning": "What belongs to it",
        "meaning_n": "What belongs to label {n}",
        "remove": "Take label {n} away",
        "more": "+ Add a label",
        "language": "Language of the texts",
        "name": "Name of the project",
        "save": "Save and go on",
        "change": "Save the changes",
        "saved": "Saved.",
        "undo": "Take the last change of the labels back",
        "kept": "Answers given so far are kept: a renamed label takes them along, a label taken away "
        "keeps them until it comes back.",
        "first": "Save step 1 first.",
        "texts_first": "Add texts first.",
        "begin": "Begin",
        "next": "Prepare the next batch",
        "stop": "Stop",
        "stopped": "Stopped; it goes on from there.",
        "begin_why": "First come some texts without any suggestion: what you say there is what the model is "
        "judged by. After that suggestions begin.",
        "running": "Preparing your texts …",
        "ready": "{n} texts are waiting for you.",
        "go": "Start labelling",
        "failed": "That did not work: {why}",
        "no_label": "Name at least one label.",
        "one_label": "One topic for each text needs at least two labels to choose from.",
        "blank": "A label has no name.",
        "long": "This label is longer than 100 characters: {about}",
        "twice": "This label is there twice: {about}",
        "character": "A label cannot hold or begin with {about}",
        "agree": "I agree that texts of this project are sent to {address}, a public address. {masked}",
        "masked": "Masked before that: {what}.",
        "unmasked": "Nothing in them is masked.",
        "kind_fixed": "The kind cannot change any more, since there are answers to it.",
    },
    "de": {
        "title": "In drei Schritten zum ersten Label",
        "intro": "Ihre Texte bleiben auf dem Rechner, auf dem annoloop läuft. "
        "Jeder Schritt lässt sich später wiederholen.",
        "again": "Jeder Schritt lässt sich später wiederholen.",
        "step1": "1 · Was möchten Sie finden?",
        "step2": "2 · Ihre Texte",
        "step3": "3 · Die erste Runde",
        "kind": "Art",
        "ner": "Namen, Orte oder Dinge im Text",
        "spancat": "Stellen im Text, die sich überlappen dürfen",
        "textcat": "Ein Thema für jeden Text",
        "textcat_multilabel": "Beliebig viele Themen für jeden Text",
        "ner_eg": ":blue-background[Lisa Meier] arbeitet in :orange-background[Köln].",
        "spancat_eg": ":blue-background[Wieder zu spät, und :orange-background[niemand sagt etwas].]",
        "textcat_eg": "„Der Aufzug ist wieder kaputt.“ → :blue-background[Aufzug]",
        "textcat_multilabel_eg": "„Aufzug kaputt, Bahnsteig dunkel.“ → "
        ":blue-background[Aufzug] :orange-background[Licht]",
        "labels": "Labels",
        "labels_help": "Wonach Sie suchen, jeweils mit einem Satz, was dazugehört.",
        "label": "Label",
        "label_n": "Label {n}",
        "meaning": "Was dazugehört",
        "meaning_n": "Was zu Label {n} gehört",
        "remove": "Label {n} entfernen",
        "more": "+ Label hinzufügen",
        "language": "Sprache der Texte",
        "name": "Name des Projekts",
        "save": "Speichern und weiter",
        "change": "Änderungen speichern",
        "saved": "Gespeichert.",
        "undo": "Letzte Änderung der Labels zurücknehmen",
        "kept": "Bisherige Antworten bleiben: Ein umbenanntes Label nimmt sie mit, ein entferntes behält "
        "sie, bis es wiederkommt.",
        "first": "Speichern Sie zuerst Schritt 1.",
        "texts_first": "Fügen Sie zuerst Texte hinzu.",
        "begin": "Beginnen",
        "next": "Nächste Runde vorbereiten",
        "stop": "Anhalten",
        "stopped": "Angehalten; es geht von dort aus weiter.",
        "begin_why": "Zuerst kommen einige Texte ganz ohne Vorschlag: An Ihren Antworten dort wird das "
        "Modell gemessen. Danach beginnen die Vorschläge.",
        "running": "Ihre Texte werden vorbereitet …",
        "ready": "{n} Texte warten auf Sie.",
        "go": "Jetzt labeln",
        "failed": "Das ging nicht: {why}",
        "no_label": "Nennen Sie mindestens ein Label.",
        "one_label": "Ein Thema für jeden Text braucht mindestens zwei Labels zur Auswahl.",
        "blank": "Ein Label hat keinen Namen.",
        "long": "Dieses Label ist länger als 100 Zeichen: {about}",
        "twice": "Dieses Label steht zweimal da: {about}",
        "character": "Ein Label darf nicht enthalten oder beginnen mit {about}",
        "agree": "Ich stimme zu, dass Texte dieses Projekts an {address} gesendet werden, eine öffentliche "
        "Adresse. {masked}",
        "masked": "Vorher unkenntlich gemacht: {what}.",
        "unmasked": "Darin wird nichts unkenntlich gemacht.",
        "kind_fixed": "Die Art lässt sich nicht mehr ändern, weil es schon Antworten gibt.",
    },
}

Row = dict[str, str]


def show(visit: Visit) -> None:
    """Draw the page."""
    say = visit.words(WORDS)
    st.title(say("title"))
    made = visit.project if visit.review.is_made else None
    local = made is None or made.settings.privacy.allow_remote == "loopback"
    st.write(say("intro") if local else say("again"))
    if st.session_state.pop("start.saved", False):
        st.success(say("saved"))
    with_texts = made is not None and bool(sum(made.store.example_counts().values()))
    with st.expander(f"**{say('step1')}**", expanded=made is None):
        _what(visit, made)
    with st.expander(f"**{say('step2')}**", expanded=made is not None):
        if made is None:
            st.write(say("first"))
        else:
            upload(visit, key="start")
            if with_texts:
                show_outlook(visit, outlook(made))
    with st.expander(f"**{say('step3')}**", expanded=with_texts):
        if not with_texts:
            st.write(say("texts_first"))
        else:
            st.write(say("begin_why"))
            now = work.state(visit.project)
            running = now is not None and now.running
            # Only while something changes by itself: a look that comes between a click and the page it
            # leads to would stop that page half-drawn.
            st.fragment(_batch, run_every=1.0 if running else None)(visit, running)


def _what(visit: Visit, made: Project | None) -> None:
    say = visit.words(WORDS)
    turn = st.session_state.get("start.turn", 0)
    kinds = list(KINDS)
    kind = st.radio(
        say("kind"),
        kinds,
        index=kinds.index(made.scheme.kind) if made else kinds.index("textcat"),
        format_func=lambda kind: say(kind),
        captions=[say(f"{kind}_eg") for kind in kinds],
        key=f"start.kind.{turn}",
    )
    rows = _rows(visit, made)
    left, right = st.columns(2)
    codes = list(LANGUAGES)
    if made and made.settings.project.lang not in codes:
        codes.append(made.settings.project.lang)
    lang = left.selectbox(
        say("language"),
        codes,
        index=codes.index(made.settings.project.lang if made else visit.lang),
        format_func=lambda code: LANGUAGES.get(code, code),
        key=f"start.lang.{turn}",
    )
    folder = visit.review.folder
    name = right.text_input(
        say("name"),
        value=made.settings.project.name if made else folder.resolve().name,
        max_chars=80,
        key=f"start.name.{turn}",
    )
    if made and made.store.answer_count():
        st.write(say("kept"))
    if st.button(say("change" if made else "save"), type="primary", key="start.save"):
        named = tuple((row["label"], row["meaning"]) for row in rows if row["label"].strip() or row["was"])
        _save(visit, made, Wish(kind, named, lang, name), rows)
    if made and can_undo(made) and st.button(say("undo"), key="start.undo") and visit.may("start"):
        _keep(visit, lambda: undo_labels(made))


def _save(visit: Visit, made: Project | None, wish: Wish, rows: list[Row]) -> None:
    if not visit.may("start"):
        return
    for problem, about in problems(wish, made):
        st.error(_problem(visit, problem, about))
        return
    renamed = {row["was"]: row["label"].strip() for row in rows if row["was"] and row["label"].strip()}
    _keep(visit, lambda: begin(visit.review.folder, wish, renamed=renamed))


def _problem(visit: Visit, problem: Problem, about: str) -> str:
    say = visit.words(WORDS)
    shown = "⏎" if about in ("\n", "\r") else about
    return say("kind_fixed") if problem == "kind" else say(problem, about=plain(shown))


def _keep(visit: Visit, change: Callable[[], object]) -> None:
    """Do it, then draw the page anew from what is saved; or say what was wrong."""
    say = visit.words(WORDS)
    try:
        change()
    except AnnoloopError as error:
        st.error(say("failed", why=plain(told(error, visit.lang))))
        st.stop()
    # Under their old keys the browser would go on showing what was typed.
    turn = st.session_state.get("start.turn", 0) + 1
    for key in [key for key in st.session_state if str(key).startswith("start.")]:
        del st.session_state[key]
    st.session_state["start.turn"], st.session_state["start.saved"] = turn, True
    st.rerun()


def _rows(visit: Visit, made: Project | None) -> list[Row]:
    """The labels as they are being edited; a row that was a label remembers it, so that it is renamed."""
    say = visit.words(WORDS)
    if "start.rows" not in st.session_state:
        named = made.scheme.labels if made else ()
        st.session_state["start.rows"] = [(number, label) for number, label in enumerate(named)] or [
            (0, ""),
            (1, ""),
        ]
    kept: list[tuple[int, str]] = st.session_state["start.rows"]
    turn = st.session_state.get("start.turn", 0)
    st.markdown(f"**{say('labels')}**")
    st.write(say("labels_help"))
    rows: list[Row] = []
    definitions = made.scheme.definitions if made else {}
    for place, (number, was) in enumerate(kept, start=1):
        left, middle, right = st.columns([3, 6, 1], vertical_alignment="bottom")
        shown: Literal["visible", "collapsed"] = "visible" if place == 1 else "collapsed"
        label = left.text_input(
            say("label") if place == 1 else say("label_n", n=place),
            value=was,
            max_chars=100,
            placeholder=say("label"),
            key=f"start.label.{turn}.{number}",
            label_visibility=shown,
        )
        meaning = middle.text_input(
            say("meaning") if place == 1 else say("meaning_n", n=place),
            value=definitions.get(was, ""),
            max_chars=1_000,
            placeholder=say("meaning"),
            key=f"start.meaning.{turn}.{number}",
            label_visibility=shown,
        )
        right.button(
            f"✕ {place}",
            help=say("remove", n=place),
            key=f"start.remove.{turn}.{number}",
            on_click=_remove,
            args=(number,),
            disabled=len(kept) == 1,
        )
        rows.append({"label": label, "meaning": meaning, "was": was})
    st.button(say("more"), key="start.more", on_click=_more)
    return rows


def _remove(number: int) -> None:
    rows = st.session_state["start.rows"]
    st.session_state["start.rows"] = [row for row in rows if row[0] != number]


def _more() -> None:
    rows = st.session_state["start.rows"]
    st.session_state["start.rows"] = [*rows, (1 + max((row[0] for row in rows), default=0), "")]


def _batch(visit: Visit, was_running: bool) -> None:
    """Where the first batch stands; the only part of the page that looks again by itself."""
    if not visit.may("start"):
        return
    say = visit.words(WORDS)
    project = visit.project
    still_open = project.store.progress().open
    now = work.state(project)
    if was_running and not (now is not None and now.running):
        st.rerun()
    if still_open:
        st.success(say("ready", n=still_open))
        if st.button(say("go"), type="primary", key="start.go"):
            st.switch_page(st.Page(_nothing, title="label", url_path="label"))
        return
    if now is not None and now.running:
        share = now.done / now.total if now.total else 0.0
        st.progress(
            min(max(share, 0.0), 1.0),
            text=plain(in_words(now.what, visit.lang)) if now.what else say("running"),
        )
        if st.button(say("stop"), key="start.stop"):
            work.stop(project)
        return
    if now is not None and now.failed:
        st.error(say("failed", why=plain(told_words(now.failed, now.hint, visit.lang))))
    elif now is not None and now.stopped:
        st.info(say("stopped"))
    elif now is not None and now.message:
        st.info(plain(in_words(now.message, visit.lang)))
    name = say("next" if project.store.answer_count() else "begin")
    agreed = _agreed(visit)
    ready = outlook(project).can_begin and agreed
    if st.button(name, type="primary", key="start.begin", disabled=not ready):
        try:
            give(project, by=visit.who)
            work.start(project.folder)
        except AnnoloopError as error:
            st.error(plain(told(error, visit.lang)))
            return
        st.rerun()


def _agreed(visit: Visit) -> bool:
    """Whether texts may go where the LLM is; where nobody has agreed to it yet, asks this person."""
    say = visit.words(WORDS)
    try:
        terms = needed(visit.project)
    except AnnoloopError as error:
        st.error(plain(told(error, visit.lang)))
        return False
    if terms is None:
        return True
    masked = say("masked", what=plain(", ".join(terms.masked))) if terms.masked else say("unmasked")
    return st.checkbox(say("agree", address=plain(terms.address), masked=masked), key="start.agree")


def _nothing() -> None:
    """Stands for a page that the navigation already has."""
