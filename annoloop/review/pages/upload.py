"""Putting texts in by upload: look at the file first, say what is in it, then take it."""

from __future__ import annotations

from typing import Any, cast

import streamlit as st

from annoloop.corpus.read import SUFFIXES
from annoloop.errors import AnnoloopError
from annoloop.review.beginning import ENCODINGS, Outlook, Preview, outlook, preview, take
from annoloop.review.pages.entry import plain
from annoloop.review.pages.frame import Visit
from annoloop.review.pages.told import advised, in_words, told, told_words
from annoloop.review.server.app import MAX_UPLOAD
from annoloop.steps.add import Added, Reading

SHOWN_CHARACTERS = 300
SHOWN_TEXTS = 3
"""So few that the button below them is on the screen too."""
MOST_BAD_ROWS = 200

# Streamlit's button says "Upload" in every language; its words give way to ours.
_BUTTON = """<style>
[data-testid="stFileUploaderDropzone"] > span button p {{ font-size: 0 }}
[data-testid="stFileUploaderDropzone"] > span button p::after {{ content: "{words}"; font-size: .875rem }}
</style>"""

WORDS = {
    "en": {
        "file": "File with texts (CSV, TXT, JSONL, …)",
        "choose": "Choose a file",
        "file_help": "A table as CSV, a text file, JSONL, JSON, or spaCy's .spacy; at most {megabytes} MB",
        "encoding": "Umlauts look wrong? How the file was saved:",
        "utf-8": "Unicode (UTF-8)",
        "cp1252": "Windows, older Excel",
        "mac_roman": "Mac, older",
        "text_column": "Column with the texts",
        "label_column": "Column with labels, if there is one",
        "none": "none",
        "unit": "One text is",
        "line": "a line",
        "whole": "the whole file",
        "first": "The first of {n} texts:",
        "bad": "{n} rows cannot be taken and are left out",
        "line_number": "Line",
        "reason": "What is wrong",
        "hint": "What to do",
        "gold": "Take the labels of {n} texts as right",
        "blind": "They were made by people who saw no suggestions",
        "take": "Take {n} texts",
        "share": "About {learn} to learn from, {choose} to compare by and {judge} to judge by.",
        "counts": "Now {learn} texts to learn from, {choose} to compare by and {judge} to judge by.",
        "few": "For a verdict on the model {least} texts to judge by are needed, about {texts} in all. "
        "You can begin all the same: the model is trained, but not judged.",
        "none_of": "That is too few to begin: no text is left for one of the three. Add more texts.",
        "added": "{new} new texts, {known} were there already.",
        "gold_taken": "{n} labels taken.",
        "near": "{n} are nearly the same as texts to judge by and are kept out of learning.",
        "long_rows": "The first {n} of them:",
    },
    "de": {
        "file": "Datei mit Texten (CSV, TXT, JSONL, …)",
        "choose": "Datei wählen",
        "file_help": "CSV-Tabelle, Textdatei, JSONL, JSON oder spaCys .spacy; höchstens {megabytes} MB",
        "encoding": "Umlaute falsch? So wurde die Datei gespeichert:",
        "utf-8": "Unicode (UTF-8)",
        "cp1252": "Windows, älteres Excel",
        "mac_roman": "Mac, älter",
        "text_column": "Spalte mit den Texten",
        "label_column": "Spalte mit Labels, falls es eine gibt",
        "none": "keine",
        "unit": "Ein Text ist",
        "line": "eine Zeile",
        "whole": "die ganze Datei",
        "first": "Die ersten von {n} Texten:",
        "bad": "{n} Zeilen lassen sich nicht lesen und bleiben draußen",
        "line_number": "Zeile",
        "reason": "Was nicht stimmt",
        "hint": "Was hilft",
        "gold": "Die Labels von {n} Texten als richtig übernehmen",
        "blind": "Sie stammen von Menschen, die keine Vorschläge sahen",
        "take": "{n} Texte übernehmen",
        "share": "Etwa {learn} zum Lernen, {choose} zum Vergleichen und {judge} zum Beurteilen.",
        "counts": "Jetzt {learn} Texte zum Lernen, {choose} zum Vergleichen und {judge} zum Beurteilen.",
        "few": "Für ein Urteil über das Modell braucht es {least} Texte zum Beurteilen, insgesamt etwa "
        "{texts}. Sie können trotzdem beginnen: Das Modell wird trainiert, aber nicht beurteilt.",
        "none_of": "Das reicht noch nicht: Für einen der drei Zwecke bleibt kein Text. "
        "Fügen Sie mehr Texte hinzu.",
        "added": "{new} neue Texte, {known} waren schon da.",
        "gold_taken": "{n} Labels übernommen.",
        "near": "{n} gleichen Texten zum Beurteilen fast ganz und bleiben beim Lernen außen vor.",
        "long_rows": "Die ersten {n} davon:",
    },
}


def upload(visit: Visit, *, key: str) -> None:
    """The file chooser, the look at the file, and the button that takes it."""
    say = visit.words(WORDS)
    done = st.session_state.pop(f"{key}.added", None)
    if done is not None:
        tell_added(visit, done)
    # A fresh chooser after each file: a taken one would offer itself again.
    turn = st.session_state.setdefault(f"{key}.turn", 0)
    st.html(_BUTTON.format(words=say("choose")))
    types = [suffix.removeprefix(".") for suffix in SUFFIXES]
    file = st.file_uploader(
        say("file"), type=types, help=say("file_help", megabytes=MAX_UPLOAD), key=f"{key}.file.{turn}"
    )
    if file is None:
        return
    content = file.getvalue()
    encoding = st.session_state.get(f"{key}.encoding.{turn}", ENCODINGS[0])
    seen = _seen(visit, key, file.name, content, Reading(), encoding)
    if seen.needs_encoding or encoding != ENCODINGS[0]:
        if seen.needs_encoding and f"{key}.encoding.{turn}" not in st.session_state:
            st.session_state[f"{key}.encoding.{turn}"] = ENCODINGS[1]
        encoding = st.selectbox(
            say("encoding"), ENCODINGS, format_func=lambda name: say(name), key=f"{key}.encoding.{turn}"
        )
    reading = _reading(visit, f"{key}.{turn}", file.name, seen, content, encoding, key)
    seen = _seen(visit, key, file.name, content, reading, encoding)
    if seen.broken:
        st.error(plain(told_words(seen.broken, seen.hint, visit.lang)))
        return
    _show(visit, seen)
    gold = blind = False
    if seen.labelled and visit.may("export"):
        gold = st.checkbox(say("gold", n=seen.labelled), key=f"{key}.gold.{turn}")
        blind = gold and st.checkbox(say("blind"), key=f"{key}.blind.{turn}")
    if st.button(say("take", n=seen.total), type="primary", key=f"{key}.take", disabled=not seen.total):
        if not visit.may("import"):
            return
        try:
            added = take(
                visit.project, file.name, content, reading, encoding=encoding, gold=gold, blind=blind
            )
        except AnnoloopError as error:
            st.error(plain(told(error, visit.lang)))
            return
        st.session_state[f"{key}.added"] = added
        st.session_state[f"{key}.turn"] = turn + 1
        st.session_state.pop(f"{key}.seen", None)
        st.rerun()


def _reading(
    visit: Visit, key: str, name: str, seen: Preview, content: bytes, encoding: str, store: str
) -> Reading:
    say = visit.words(WORDS)
    if name.lower().endswith(".txt"):
        units = {say("line"): "line", say("whole"): "file"}
        unit = st.radio(say("unit"), list(units), horizontal=True, key=f"{key}.unit")
        return Reading(one_text_per=cast(Any, units[unit]))
    if seen.needs_encoding:
        seen = _seen(visit, store, name, content, Reading(), encoding)
    if not seen.columns:
        return Reading()
    left, right = st.columns(2)
    at = seen.columns.index(seen.text_column) if seen.text_column in seen.columns else 0
    text = left.selectbox(say("text_column"), seen.columns, index=at, key=f"{key}.column")
    if visit.project.scheme.has_spans:
        return Reading(text_column=text)
    others = [say("none"), *(column for column in seen.columns if column != text)]
    label = right.selectbox(say("label_column"), others, key=f"{key}.labels")
    return Reading(text_column=text, label_column=None if label == others[0] else label)


def _seen(visit: Visit, key: str, name: str, content: bytes, reading: Reading, encoding: str) -> Preview:
    """The look at a file, kept while nothing about it changes: a large one takes seconds."""
    asked = (name, len(content), hash(content), reading, encoding, visit.project.scheme.labels)
    kept: dict[Any, Preview] = st.session_state.setdefault(f"{key}.seen", {})
    if asked not in kept:
        if len(kept) > 8:
            kept.clear()
        kept[asked] = preview(name, content, visit.project, reading, encoding=encoding)
    return kept[asked]


def _show(visit: Visit, seen: Preview) -> None:
    say = visit.words(WORDS)
    st.write(say("first", n=seen.total))
    with st.container(border=True):
        for row in seen.rows[:SHOWN_TEXTS]:
            short = row.text[:SHOWN_CHARACTERS] + ("…" if len(row.text) > SHOWN_CHARACTERS else "")
            labels = ", ".join(row.annotation.labels) if row.annotation else ""
            st.text(f"{short}  [{labels}]" if labels else short)
    if seen.bad:
        show_bad(visit, seen)
    expected = outlook(visit.project, seen.total)
    st.write(say("share", learn=expected.learn, choose=expected.choose, judge=expected.judge))


def show_bad(visit: Visit, seen: Preview | Added) -> None:
    """The rows that cannot be taken, by line."""
    say = visit.words(WORDS)
    with st.expander(say("bad", n=len(seen.bad))):
        if len(seen.bad) > MOST_BAD_ROWS:
            st.write(say("long_rows", n=MOST_BAD_ROWS))
        names = say("line_number"), say("reason"), say("hint")
        rows = [
            (row.line, in_words(row.reason, visit.lang), advised(row.hint, visit.lang))
            for row in seen.bad[:MOST_BAD_ROWS]
        ]
        st.dataframe([dict(zip(names, row, strict=True)) for row in rows], hide_index=True)


def tell_added(visit: Visit, added: Added) -> None:
    """What an upload brought."""
    say = visit.words(WORDS)
    lines = [say("added", new=added.new, known=added.known)]
    if added.gold:
        lines.append(say("gold_taken", n=added.gold))
    if added.near:
        lines.append(say("near", n=added.near))
    st.success(" ".join(lines))
    if added.bad:
        show_bad(visit, added)


def show_outlook(visit: Visit, now: Outlook) -> None:
    """Where the texts are, and what will come of it where they are few."""
    say = visit.words(WORDS)
    st.write(say("counts", learn=now.learn, choose=now.choose, judge=now.judge))
    if not now.can_begin:
        st.warning(say("none_of"))
    elif not now.verdict:
        share = visit.project.settings.corpus.held_out
        texts = round(now.least / share) if share else now.least
        st.info(say("few", least=now.least, texts=texts))
