"""All texts: search and look, put in, take out, and the guidelines."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, get_args

import streamlit as st

from annoloop.errors import AnnoloopError
from annoloop.review.beginning import outlook
from annoloop.review.pages.annotated import Shown, annotated
from annoloop.review.pages.entry import plain
from annoloop.review.pages.frame import Visit
from annoloop.review.pages.label import markdown
from annoloop.review.pages.told import told
from annoloop.review.pages.upload import show_outlook, upload
from annoloop.steps.guidelines import ChangedMeanwhileError, read_guidelines, save_guidelines
from annoloop.steps.take_out import formats, gold_file, gold_of
from annoloop.store.gold import gold_from_answers
from annoloop.store.text_search import LONGEST_QUERY, Found, State, Wanted
from annoloop.types import SPLITS, Annotation, Answer

PAGE = 20
COUNTED = 1_000

WORDS = {
    "en": {
        "title": "Texts",
        "find": "Search",
        "import": "Add",
        "export": "Export",
        "guidelines": "Guidelines",
        "search": "Search in the texts",
        "split": "Use",
        "round": "Round",
        "state": "State",
        "label": "Label",
        "any": "all",
        "pool": "to learn from",
        "dev": "to compare by",
        "held_out": "to judge by",
        "blind": "without suggestion",
        "round_n": "round {n}",
        "answered": "answered",
        "open": "open",
        "unasked": "not asked yet",
        "flagged": "flagged",
        "excluded": "kept out",
        "found": "Texts found: {n}",
        "many": "Texts found: more than {n}",
        "nothing": "No text is like that.",
        "previous": "← Back",
        "next": "Next →",
        "by": "by {who}",
        "differing": "{who}, not settled",
        "reject": "rejected",
        "ignore": "skipped",
        "format": "Format",
        "jsonl": "JSONL as Prodigy writes it",
        "csv": "Table (CSV)",
        "spacy": "DocBin for spaCy",
        "which": "Which texts",
        "make": "Make the file",
        "download": "Download {n} texts",
        "edit": "What belongs to which label, in Markdown",
        "preview": "As the annotators see it",
        "save": "Save",
        "saved": "Saved.",
        "conflict": "Somebody else changed the guidelines meanwhile. Below is theirs; above is yours.",
        "theirs": "Theirs",
        "mine_wins": "Save mine instead",
        "theirs_wins": "Take theirs",
        "labels": "Change the labels",
    },
    "de": {
        "title": "Texte",
        "find": "Suchen",
        "import": "Hinzufügen",
        "export": "Exportieren",
        "guidelines": "Richtlinien",
        "search": "In den Texten suchen",
        "split": "Verwendung",
        "round": "Runde",
        "state": "Stand",
        "label": "Label",
        "any": "alle",
        "pool": "zum Lernen",
        "dev": "zum Vergleichen",
        "held_out": "zum Beurteilen",
        "blind": "ohne Vorschlag",
        "round_n": "Runde {n}",
        "answered": "beantwortet",
        "open": "offen",
        "unasked": "noch nicht gefragt",
        "flagged": "gemerkt",
        "excluded": "außen vor",
        "found": "Gefundene Texte: {n}",
        "many": "Gefundene Texte: mehr als {n}",
        "nothing": "Kein Text passt dazu.",
        "previous": "← Zurück",
        "next": "Weiter →",
        "by": "von {who}",
        "differing": "{who}, nicht entschieden",
        "reject": "abgelehnt",
        "ignore": "ausgelassen",
        "format": "Format",
        "jsonl": "JSONL wie von Prodigy",
        "csv": "Tabelle (CSV)",
        "spacy": "DocBin für spaCy",
        "which": "Welche Texte",
        "make": "Datei erstellen",
        "download": "{n} Texte herunterladen",
        "edit": "Was zu welchem Label gehört, in Markdown",
        "preview": "So sehen es die Fachleute",
        "save": "Speichern",
        "saved": "Gespeichert.",
        "conflict": "Jemand anderes hat die Richtlinien inzwischen geändert. Unten steht diese Fassung, "
        "oben Ihre.",
        "theirs": "Andere Fassung",
        "mine_wins": "Meine speichern",
        "theirs_wins": "Andere übernehmen",
        "labels": "Labels ändern",
    },
}

Say = Callable[..., str]


def show(visit: Visit) -> None:
    """Draw the page: one part at a time, so that none waits for another."""
    say = visit.words(WORDS)
    st.title(say("title"))
    parts: dict[str, Callable[[Visit], None]] = {"find": _find}
    if visit.may("import"):
        parts["import"] = _import
    if visit.may("export"):
        parts["export"] = _export
    parts["guidelines"] = _guidelines
    chosen = st.radio(
        say("title"),
        list(parts),
        format_func=lambda part: say(part),
        horizontal=True,
        key="texts.part",
        label_visibility="collapsed",
    )
    parts[chosen or "find"](visit)


@st.fragment
def _find(visit: Visit) -> None:
    if not visit.may("texts"):
        return
    say, store = visit.words(WORDS), visit.project.store
    wanted = _wanted(visit, say)
    # What was found for one question says nothing about where the next one's pages begin.
    if st.session_state.get("texts.wanted") != wanted:
        st.session_state["texts.wanted"], st.session_state["texts.before"] = wanted, [0]
    before: list[int] = st.session_state["texts.before"]
    found = store.search_texts(wanted, after=before[-1], limit=PAGE + 1)
    if not found:
        st.info(say("nothing"))
        return
    count = store.count_texts(wanted, at_most=COUNTED + 1)
    st.write(say("many", n=COUNTED) if count > COUNTED else say("found", n=count))
    page = found[:PAGE]
    annotated(
        _shown(visit, page, say),
        key="texts.found",
        lang=visit.project.settings.project.lang,
        labels=visit.project.scheme.labels,
        interface=visit.lang,
    )
    left, right, _ = st.columns([1, 1, 4])
    left.button(say("previous"), disabled=len(before) == 1, on_click=_step_back, key="texts.previous")
    more = len(found) > PAGE
    right.button(
        say("next"), disabled=not more, on_click=before.append, args=(page[-1].position,), key="texts.next"
    )


def _step_back() -> None:
    st.session_state["texts.before"].pop()


def _wanted(visit: Visit, say: Say) -> Wanted:
    project = visit.project
    text = st.text_input(say("search"), max_chars=LONGEST_QUERY, key="texts.query")
    columns = st.columns(4)

    def choose(place: int, name: str, options: list[Any], shown: Callable[[Any], str]) -> Any:
        return columns[place].selectbox(
            say(name),
            [None, *options],
            format_func=lambda option: say("any") if option is None else shown(option),
            key=f"texts.{name}",
        )

    split = choose(0, "split", list(SPLITS), say)
    state = choose(1, "state", list(get_args(State)), say)
    label = choose(2, "label", list(project.scheme.labels), str)
    rounds = list(project.store.asked_rounds())
    number = choose(3, "round", rounds, lambda n: say("round_n", n=n) if n else say("blind"))
    renamed = project.scheme.renamed
    labels = (label, *(old for old, new in renamed.items() if new == label)) if label else ()
    return Wanted(text.strip(), split, number, state, labels)


def _shown(visit: Visit, page: tuple[Found, ...], say: Say) -> list[list[Shown]]:
    """Each text with its gold, or with what each said where that is not settled; never a prediction."""
    project = visit.project
    examples = [found.example for found in page]
    answers: dict[str, list[Answer]] = {}
    for answer in project.store.answers_in_force(hashes=[eg.input_hash for eg in examples]):
        answers.setdefault(answer.input_hash, []).append(answer)
    given = [answer for said in answers.values() for answer in said]
    gold = {item.example.input_hash: item for item in gold_from_answers(examples, given, project.scheme)}
    rows = []
    for found in page:
        example, title = found.example, _title(found, say)
        settled, said = gold.get(example.input_hash), answers.get(example.input_hash, [])
        if settled is not None:
            by = say("by", who=", ".join(settled.annotators))
            rows.append([Shown(example.text, settled.annotation, title, by)])
        elif said:
            rows.append([_version(found, answer, title, say) for answer in said[:3]])
        else:
            rows.append([Shown(example.text, Annotation(), title, found.excluded or "")])
    return rows


def _version(found: Found, answer: Answer, title: str, say: Say) -> Shown:
    note = say("differing", who=answer.annotator)
    if answer.verdict != "accept":
        return Shown(found.example.text, Annotation(), title, f"{answer.annotator}: {say(answer.verdict)}")
    return Shown(found.example.text, answer.annotation, title, note)


def _title(found: Found, say: Say) -> str:
    parts = [say(found.example.split)]
    if found.excluded is not None:
        parts.append(say("excluded"))
    if found.round is not None:
        parts.append(say("round_n", n=found.round) if found.round else say("blind"))
    if found.is_open:
        parts.append(say("open"))
    return " · ".join(parts)


def _import(visit: Visit) -> None:
    upload(visit, key="texts.upload")
    show_outlook(visit, outlook(visit.project))
    if visit.may("start") and st.button(visit.words(WORDS)("labels")):
        st.switch_page(st.Page(_nothing, title="start", url_path="start"))


def _nothing() -> None:
    """Stands for a page that the navigation already has."""


@st.fragment
def _export(visit: Visit) -> None:
    if not visit.may("export"):
        return
    say, project = visit.words(WORDS), visit.project
    left, right = st.columns(2)
    form = left.selectbox(say("format"), formats(project), format_func=say, key="texts.format")
    splits = right.multiselect(say("which"), SPLITS, default=SPLITS, format_func=say, key="texts.splits")
    count = len(gold_of(project, splits))
    if not st.button(say("make"), key="texts.make", disabled=not splits):
        return
    try:
        content = gold_file(project, form, splits)
    except AnnoloopError as error:
        st.error(plain(told(error, visit.lang)))
        return
    name = f"{project.settings.project.name}.{form}"
    st.download_button(say("download", n=count), content, file_name=name, type="primary", on_click="ignore")


@st.fragment
def _guidelines(visit: Visit) -> None:
    if not visit.may("texts"):
        return
    say, project = visit.words(WORDS), visit.project
    if "texts.base" not in st.session_state:
        st.session_state["texts.base"] = st.session_state["texts.mine"] = read_guidelines(project)
    if st.session_state.pop("texts.saved", False):
        st.success(say("saved"))
    left, right = st.columns(2, gap="large")
    # A widget that is not drawn forgets: what was typed is kept beside it.
    mine = left.text_area(say("edit"), value=st.session_state["texts.mine"], height=420, key="texts.area")
    st.session_state["texts.mine"] = mine
    right.write(say("preview"))
    with right.container(border=True):
        st.html(markdown()(mine))
    changed = mine != st.session_state["texts.base"]
    if left.button(say("save"), type="primary", key="texts.save", disabled=not changed):
        _save(visit, mine, st.session_state["texts.base"])
    theirs = st.session_state.get("texts.theirs")
    if theirs is not None:
        st.warning(say("conflict"))
        st.text_area(say("theirs"), value=theirs, disabled=True, height=240)
        one, two, _ = st.columns([1, 1, 3])
        if one.button(say("mine_wins"), key="texts.mine_wins"):
            _save(visit, mine, theirs)
        two.button(say("theirs_wins"), key="texts.theirs_wins", on_click=_forget)


def _save(visit: Visit, mine: str, before: str) -> None:
    try:
        save_guidelines(visit.project, mine, before=before)
    except ChangedMeanwhileError as error:
        st.session_state["texts.theirs"] = error.theirs
    except AnnoloopError as error:
        st.error(plain(told(error, visit.lang)))
        return
    else:
        _forget()
        st.session_state["texts.saved"] = True
    st.rerun(scope="fragment")


def _forget() -> None:
    """Read the file anew."""
    for key in ("texts.base", "texts.mine", "texts.area", "texts.theirs"):
        st.session_state.pop(key, None)
