"""The page where texts are labelled: it mounts the component, which does the rest by itself."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import streamlit as st

from annoloop.errors import AnnoloopError
from annoloop.review.pages.frame import Visit
from annoloop.review.server import HISTORY_ROUTE, ROUTE
from annoloop.review.server.routes import RefusedError, answer_sync

GUIDELINES = "guidelines.md"


def show(visit: Visit) -> None:
    """Draw the page."""
    mount(visit, "label")


def mount(visit: Visit, mode: str) -> None:
    """The component, in mode "label" or "adjudicate"."""
    data = component_data(visit, mode)
    data["reply"] = reply_to_call(visit, st.session_state.get(mode))
    component = st.components.v2.component("annoloop.review", js="main.js", css="main.css")
    component(key=mode, data=data, on_call_change=lambda: None)


def reply_to_call(visit: Visit, state: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """What the route would answer, where something between browser and server lets no route through.

    The component's state `call` is `{id, body}`, its body all that is unsaved: the same call twice
    changes nothing, so that a call which was overtaken by the next is no loss.
    """
    call = (state or {}).get("call")
    if not isinstance(call, Mapping) or "id" not in call:
        return None
    last = st.session_state.get("annoloop.reply")
    if last and last["id"] == call["id"]:
        return dict(last)
    try:
        body = answer_sync(visit.review, visit.who, visit.role, call.get("body"))
    except (AnnoloopError, RefusedError) as error:
        body = {"message": error.message, "hint": error.hint}
    reply = {"id": call["id"], "body": body}
    st.session_state["annoloop.reply"] = reply
    return reply


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
        "guidelines": guidelines(project.folder),
        "accept_on_key": settings.review.accept_on_key,
        "reply": None,
    }


def guidelines(folder: Path) -> str:
    """The project's guidelines.md as HTML without anything foreign in it; empty where there is none."""
    path = folder / GUIDELINES
    try:
        return _rendered(path, path.stat().st_mtime_ns)
    except OSError:
        return ""


@lru_cache(maxsize=4)
def _rendered(path: Path, _: int) -> str:
    return markdown()(path.read_text(encoding="utf-8-sig", errors="replace"))


@lru_cache(maxsize=1)
def markdown() -> Callable[[str], str]:
    """Markdown to HTML; HTML within it is shown as text, images (which would be fetched) as their source."""
    from markdown_it import MarkdownIt

    return (
        MarkdownIt("commonmark", {"html": False}).enable(["table", "strikethrough"]).disable("image").render
    )
