"""What every page is given: who is there, in which role and language, and the project."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import streamlit as st

from annoloop.project import Project
from annoloop.review.people import may
from annoloop.review.server import Review
from annoloop.types import Role

Lang = Literal["en", "de"]


@dataclass(frozen=True)
class Visit:
    """One run of a page for one person, whose role was looked up for this run."""

    review: Review
    who: str
    role: Role
    lang: Lang

    @property
    def project(self) -> Project:
        """The project as its settings are now.

        Raises:
            SettingsError, SchemeError: there is none yet (only the start page has to care).
        """
        return self.review.project

    def words(self, words: Mapping[str, Mapping[str, str]]) -> Callable[..., str]:
        """`say("key", n=3)`: the sentence in this person's language, its placeholders filled."""
        chosen = words[self.lang]

        def say(key: str, **values: Any) -> str:
            return chosen[key].format(**values)

        return say

    def may(self, what: str) -> bool:
        """Whether this person may now see a page or do what `people.RIGHTS` names, asked anew.

        For callbacks and fragments: they run without the page, so that a role taken away meanwhile would
        still count.
        """
        return may(self.review.role(self.who), what)


def language(setting: str | None) -> Lang:
    """The interface's language: as the project says, else as the browser asks."""
    asked = setting or str(st.context.locale or "en")
    return "de" if asked.lower().startswith("de") else "en"


def number(value: int, lang: Lang) -> str:
    """A whole number with its thousands apart."""
    return f"{value:,}".replace(",", "." if lang == "de" else ",")


def decimal(value: float, lang: Lang, places: int = 2) -> str:
    """A number with so many decimal places, behind the mark that the language has for them."""
    figure = f"{value:.{places}f}"
    return figure.replace(".", ",") if lang == "de" else figure
