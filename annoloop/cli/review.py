"""`annoloop review`: open the page where texts are labelled."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def review(
    project: Annotated[
        Path, typer.Argument(help="The project's folder; the page makes a project where there is none yet.")
    ],
    port: Annotated[int, typer.Option(help="Where to listen on this machine; 0 takes a free port.")] = 8501,
    host: Annotated[
        str, typer.Option(help="The address to listen on; beyond this machine only with [review] login set.")
    ] = "127.0.0.1",
    annotator: Annotated[
        str | None, typer.Option(help="Whose answers they are; your user name where it is not given.")
    ] = None,
    no_browser: Annotated[bool, typer.Option("--no-browser", help="Do not open a browser.")] = False,
) -> None:
    """Label texts in the browser: the page that `loop` waits for. Stop it with Ctrl+C; nothing is lost."""
    from annoloop.review.server import serve

    def ready(address: str) -> None:
        typer.echo(f"Review page: {address}  (stop with Ctrl+C)")

    serve(project, port=port, host=host, annotator=annotator, open_browser=not no_browser, on_ready=ready)
