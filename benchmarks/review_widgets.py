"""The page beside ours: Streamlit's own widgets, one rerun for each decision. Run by review_peers.py."""

from __future__ import annotations

import json
import os
import sqlite3
from pathlib import Path

import streamlit as st

FOLDER = Path(os.environ["ANNOLOOP_BENCHMARK"])


@st.cache_data
def read_texts() -> list[str]:
    texts: list[str] = json.loads((FOLDER / "texts.json").read_text(encoding="utf8"))
    return texts


@st.cache_resource
def connect() -> sqlite3.Connection:
    connection = sqlite3.connect(FOLDER / "answers.sqlite", check_same_thread=False)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("CREATE TABLE IF NOT EXISTS answers (text TEXT, verdict TEXT)")
    return connection


def decide(verdict: str) -> None:
    connection = connect()
    connection.execute("INSERT INTO answers VALUES (?, ?)", (read_texts()[st.session_state.at], verdict))
    connection.commit()
    st.session_state.at += 1


st.session_state.setdefault("at", 0)
st.text(read_texts()[st.session_state.at])
st.button("Accept", shortcut="a", on_click=decide, args=("accept",))
st.button("Reject", shortcut="x", on_click=decide, args=("reject",))
