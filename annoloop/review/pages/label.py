"""The page where texts are labelled: it mounts the component, which does the rest by itself."""

from __future__ import annotations

import shlex
from typing import Any

import streamlit as st

from annoloop.review.pages.frame import Visit
from annoloop.review.server import HISTORY_ROUTE, ROUTE


def show(visit: Visit) -> None:
    """Draw the page."""
    mount(visit, "label")


def mount(visit: Visit, mode: str) -> None:
    """The component, in mode "label" or "adjudicate"."""
    component = st.components.v2.component("annoloop.review", js="main.js", css="main.css")
    component(key=mode, data=component_data(visit, mode), on_call_change=lambda: None)


def component_data(visit: Visit, mode: str) -> dict[str, Any]:
    """What the component is given, as `main.js` takes it."""
    project, review = visit.project, visit.review
    settings = project.settings
    folder = shlex.quote(str(project.folder))
    return {
        "annotator": visit.who,
        "role": visit.role,
        "mode": mode,
        "lang": settings.review.language,
        "commands": {"add": f"annoloop add {folder} texts.csv", "loop": f"annoloop loop {folder}"},
        "project": {"id": review.project_id, "name": settings.project.name, "lang": settings.project.lang},
        "scheme": {
            "kind": project.scheme.kind,
            "labels": list(project.scheme.labels),
            "definitions": dict(project.scheme.definitions),
        },
        "texts": sum(project.store.example_counts().values()),
        "token": review.token(visit.who),
        "urls": {"sync": ROUTE.lstrip("/"), "history": HISTORY_ROUTE.lstrip("/")},
        "url": ROUTE.lstrip("/"),
        "guidelines": "",
        "accept_on_key": settings.review.accept_on_key,
        "reply": None,
    }
