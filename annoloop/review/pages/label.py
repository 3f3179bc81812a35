"""The page where texts are labelled: it mounts the component, which does the rest by itself."""

import shlex

import streamlit as st

from annoloop.review.server import ROUTE, Review, running

_STYLE = """<style>
[data-testid="stHeader"], [data-testid="stToolbar"], [data-testid="stDecoration"] { display: none }
[data-testid="stMainBlockContainer"] { padding: 0; max-width: none }
[data-testid="stMain"] { overflow: hidden }
</style>"""


def annotator(review: Review) -> str:
    """Who labels here: `?session=NAME` in the address, else who started the page."""
    asked = str(st.query_params.get("session", "")).strip()
    # Navigation inside the app may drop the address's parameters; the session remembers.
    name = asked or st.session_state.get("annotator") or review.annotator
    st.session_state["annotator"] = name
    return str(name)[:100]


def main() -> None:
    """Draw the page."""
    review = running()
    project = review.project
    name = project.settings.project.name
    st.set_page_config(page_title=f"{name} · annoloop", page_icon="🏷️", layout="wide")
    st.html(_STYLE)
    who = annotator(review)
    folder = shlex.quote(str(project.folder))
    component = st.components.v2.component("annoloop.review", js="main.js", css="main.css")
    component(
        key="review",
        data={
            "annotator": who,
            "commands": {"add": f"annoloop add {folder} texts.csv", "loop": f"annoloop loop {folder}"},
            "project": {"id": review.project_id, "name": name, "lang": project.settings.project.lang},
            "scheme": {
                "kind": project.scheme.kind,
                "labels": list(project.scheme.labels),
                "definitions": dict(project.scheme.definitions),
            },
            "texts": sum(project.store.example_counts().values()),
            "token": review.token(who),
            "url": ROUTE.lstrip("/"),
        },
    )


main()
