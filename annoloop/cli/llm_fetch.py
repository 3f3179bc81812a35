"""`annoloop llm fetch-model`."""

from __future__ import annotations

import typer

from annoloop.cli.console import narrating


def fetch_model() -> None:
    """Fetch the small local model's weights, checked by sha256, into the user's cache."""
    from annoloop.llm.weights import fetch_model as fetch

    with narrating(to_stderr=True) as narrator:
        path = fetch(on_progress=narrator.progress)
    typer.echo(f"{path}")
