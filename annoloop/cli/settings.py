"""`annoloop settings`."""

from __future__ import annotations

import typer


def settings() -> None:
    """Print every setting with its default and its meaning."""
    from annoloop.settings.load import DEFAULTS

    typer.echo(DEFAULTS.read_text(encoding="utf8"))
