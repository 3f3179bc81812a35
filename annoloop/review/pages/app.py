"""The page's script: who is there, which pages are theirs, then the one that was asked for."""

from __future__ import annotations

import importlib

import streamlit as st
from streamlit.navigation.page import StreamlitPage

from annoloop.errors import AnnoloopError
from annoloop.review.pages import entry
from annoloop.review.pages.frame import Visit, language
from annoloop.review.pages.told import told
from annoloop.review.people import PAGES, may
from annoloop.review.pieces import load_spacy
from annoloop.review.server import running

WORDS = {
    "en": {
        "label": "Label",
        "adjudicate": "Adjudicate",
        "progress": "Progress",
        "compare": "Compare",
        "tournament": "Tournament",
        "rules": "Rules",
        "texts": "Texts",
        "start": "Start",
        "logout": "Log out {who}",
        "settings": "The settings are not in force: {problem}",
    },
    "de": {
        "label": "Labeln",
        "adjudicate": "Entscheiden",
        "progress": "Fortschritt",
        "compare": "Vergleich",
        "tournament": "Turnier",
        "rules": "Regeln",
        "texts": "Texte",
        "start": "Start",
        "logout": "{who} abmelden",
        "settings": "Die Einstellungen gelten nicht: {problem}",
    },
}

_FULL = ("label", "adjudicate")
"""Pages whose component fills the window."""

_FIRST = "label"
"""The page that must be there before spaCy is."""

_TOP = "3rem"

_STYLE = """<style>
:root {{ --annoloop-top: {top} }}
[data-testid="stHeader"] {{ display: {header}; height: var(--annoloop-top); min-height: var(--annoloop-top) }}
@media (max-width: 700px) {{ :root {{ --annoloop-top: min({top}, 2.25rem) }} }}
[data-testid="stAppDeployButton"], [data-testid="stMainMenu"] {{ display: none }}
[data-testid="stApp"] :is(a, button, summary):focus-visible {{
  outline: 3px solid currentColor !important; outline-offset: 1px
}}
[data-testid="stMain"]:focus-visible {{ outline: 3px solid currentColor; outline-offset: -3px }}
</style>"""

_FULL_STYLE = """<style>
[data-testid="stMainBlockContainer"] { padding: var(--annoloop-top) 0 0; max-width: none }
[data-testid="stMain"] { overflow: hidden }
</style>"""

# Streamlit's headings are as large as a title, its small print and its keys are paler than WCAG's 4.5 to 1,
# what it says under a field is English in every language, and a word without an end pushes the page sideways.
_READING_STYLE = """<style>
[data-testid="stMainBlockContainer"] {
  padding: calc(var(--annoloop-top) + 1.5rem) clamp(1rem, 4vw, 4rem) 4rem;
  max-width: 88rem; overflow-wrap: anywhere
}
[data-testid="stMainBlockContainer"] h1 { font-size: 2rem; padding: 0 0 .5rem }
[data-testid="stMainBlockContainer"] h2 { font-size: 1.35rem; padding: .75rem 0 .25rem }
[data-testid="stMainBlockContainer"] h3 { font-size: 1.15rem; padding: .5rem 0 .25rem }
[data-testid="stCaptionContainer"] { color: inherit; opacity: .85 }
[data-testid="stMainBlockContainer"] kbd { color: inherit; opacity: .85 }
[data-testid="InputInstructions"], [data-testid="stFileUploaderDropzoneInstructions"] { display: none }
</style>"""


def main() -> None:
    """Draw the page that was asked for, if it is this person's."""
    review = running()
    lang = language(review.project.settings.review.language if review.is_made else None)
    name = review.project.settings.project.name if review.is_made else "annoloop"
    st.set_page_config(page_title=f"{name} · annoloop", page_icon="🏷️", layout="wide")
    who = entry.who_is_here(review)
    if who is None:
        show_alone(lambda: entry.show_login(review, lang))
    elif (role := review.role(who)) is None:
        show_alone(lambda: entry.show_stranger(review, who, lang))
    else:
        show_pages(Visit(review, who, role, lang))
    # Last, since it takes a line of the page.
    st.components.v2.component("annoloop.language", js="language.js")(key="language", data=lang)


def show_pages(visit: Visit) -> None:
    """The navigation and the page, which gets to run only where the role allows it."""
    say = visit.words(WORDS)
    names = list(PAGES) if visit.review.is_made else ["start"]
    shown = [name for name in names if is_shown(visit, name)]
    pages = [page_of(visit, name, say(name), name in shown, name == shown[0]) for name in names]
    if visit.review.login == "oidc":
        pages.append(st.Page(st.logout, title=say("logout", who=visit.who), url_path="logout"))
    top = _TOP if len(shown) > 1 or visit.review.login == "oidc" else "0px"
    st.html(_STYLE.format(top=top, header="none" if top == "0px" else "flex"))
    chosen = st.navigation(pages, position="top")
    entry.keep_in_address(visit.review, visit.who)
    if visit.review.problem and visit.review.is_made and visit.role == "developer":
        st.toast(say("settings", problem=entry.plain(str(visit.review.problem))), icon="⚠️")
    chosen.run()


def is_shown(visit: Visit, name: str) -> bool:
    """Whether the navigation offers a page; Start stays: batches begin and labels change there."""
    return may(visit.role, name)


def page_of(visit: Visit, name: str, title: str, is_shown: bool, is_default: bool) -> StreamlitPage:
    """A page of the navigation; one that is not for this role says so and runs nothing of the page."""

    def run() -> None:
        if not visit.may(name):
            st.html(_READING_STYLE)
            entry.show_not_yours(visit, name)
            return
        st.html(_FULL_STYLE if name in _FULL else _READING_STYLE)
        if name != _FIRST and visit.review.is_made:
            load_spacy()
        try:
            importlib.import_module(f"annoloop.review.pages.{name}").show(visit)
        except AnnoloopError as error:
            st.error(entry.plain(told(error, visit.lang)))

    return st.Page(
        run,
        title=title,
        url_path=name,
        default=is_default,
        visibility="visible" if is_shown else "hidden",
    )


def show_alone(page: entry.Drawing) -> None:
    """A page without navigation."""
    st.html(_STYLE.format(top="0px", header="none"))
    st.html(_READING_STYLE)
    st.navigation([st.Page(page, title="annoloop", url_path="login", default=True)], position="hidden").run()


main()
