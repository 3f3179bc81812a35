"""The door: who is there, the login page, and what somebody sees who may not come in."""

from __future__ import annotations

import re
from collections.abc import Callable

import streamlit as st

from annoloop.review.pages.frame import Lang, Visit
from annoloop.review.people import PAGES, clean_name, name_from_claims, name_from_header
from annoloop.review.server import Review

Drawing = Callable[[], None]

WORDS = {
    "en": {
        "welcome": "Please log in",
        "why": "Your answers are kept under your name.",
        "login": "Log in",
        "logout": "Log out",
        "proxy": "This page is reached through your organisation's entry page only.",
        "stranger": "You may not label here yet",
        "who": "You are logged in as:",
        "ask": "Ask whoever sent you here to add this name.",
        "not_yours": "This page is not for your role",
        "your_role": "You are {role}; this page needs the role {needed}.",
        "expert": "expert",
        "reviewer": "reviewer",
        "developer": "developer",
    },
    "de": {
        "welcome": "Bitte melden Sie sich an",
        "why": "Ihre Antworten werden unter Ihrem Namen gespeichert.",
        "login": "Anmelden",
        "logout": "Abmelden",
        "proxy": "Diese Seite ist nur über die Eingangsseite Ihrer Organisation erreichbar.",
        "stranger": "Sie dürfen hier noch nicht labeln",
        "who": "Sie sind angemeldet als:",
        "ask": "Bitten Sie die Person, die Sie hierher geschickt hat, diesen Namen einzutragen.",
        "not_yours": "Diese Seite gehört nicht zu Ihrer Rolle",
        "your_role": "Ihre Rolle ist {role}; diese Seite braucht die Rolle {needed}.",
        "expert": "Fachperson",
        "reviewer": "Prüfende",
        "developer": "Entwicklung",
    },
}


def who_is_here(review: Review) -> str | None:
    """The name of the person on this page, None where a login does not say it."""
    match review.login:
        case "oidc":
            return _by_oidc()
        case "proxy":
            return _by_proxy(review.project.settings.review.proxy_header)
        case _:
            return _by_address(review)


def keep_in_address(review: Review, who: str) -> None:
    """Write the name back into the address, whose parameters navigation inside the app drops.

    To be called after `st.navigation`: before it the browser is still at the address of the last page.
    """
    if review.login is None and who != review.annotator and st.query_params.get("session") != who:
        st.query_params["session"] = who


def show_login(review: Review, lang: Lang) -> None:
    """Where nobody is logged in."""
    words = WORDS[lang]
    st.title(words["welcome"])
    if review.login == "proxy":
        st.write(words["proxy"])
        return
    st.write(words["why"])
    if st.button(words["login"], type="primary"):
        st.login()


def show_stranger(review: Review, who: str, lang: Lang) -> None:
    """Who is logged in but has no role."""
    words = WORDS[lang]
    st.title(words["stranger"])
    st.write(words["who"])
    st.code(who, language=None)
    st.write(words["ask"])
    if review.login == "oidc" and st.button(words["logout"]):
        st.logout()


def show_not_yours(visit: Visit, page: str) -> None:
    """A page that is not for this person's role."""
    say = visit.words(WORDS)
    st.title(say("not_yours"))
    st.write(say("your_role", role=say(visit.role), needed=say(PAGES[page])))


def plain(text: str) -> str:
    """A text that Streamlit's markdown shows as it is."""
    return re.sub(r"([\\`*_{}\[\]()#+\-.!|<>~$:&])", r"\\\1", text)


def _by_address(review: Review) -> str:
    """`?session=NAME` in the address, else who started the page."""
    asked = clean_name(str(st.query_params.get("session", "")))
    who = asked or str(st.session_state.get("annotator") or review.annotator)
    st.session_state["annotator"] = who
    return who


def _by_oidc() -> str | None:
    if not st.user.is_logged_in:
        return None
    return name_from_claims(st.user.to_dict())


def _by_proxy(header: str) -> str | None:
    # The guard let the header through only where a trusted proxy set it, and once.
    return name_from_header(st.context.headers.get(header) or "")
