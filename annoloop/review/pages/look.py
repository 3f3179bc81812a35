"""The look that the reading pages share: headings of a moderate size, small print that can be read."""

from __future__ import annotations

import streamlit as st

# Streamlit's small print is paler than WCAG allows (4.5 to 1); its second heading is as large as a title.
_STYLE = """<style>
[data-testid="stCaptionContainer"] { color: inherit; opacity: .85 }
[data-testid="stMainBlockContainer"] { padding-top: calc(var(--annoloop-top, 3rem) + 1.5rem) }
[data-testid="stMainBlockContainer"] h1 { font-size: 2rem; padding: 0 0 .5rem }
[data-testid="stMainBlockContainer"] h2 { font-size: 1.35rem; padding: .75rem 0 .25rem }
</style>"""


def reading() -> None:
    """Give the page this look."""
    st.html(_STYLE)
