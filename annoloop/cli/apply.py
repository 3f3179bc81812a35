"""`annoloop apply`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from annoloop.cli.console import narrating
from annoloop.cli.options import ProjectFolder


def apply(
    project: ProjectFolder,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Texts, as for add.")],
    out: Annotated[Path, typer.Argument(metavar="OUT", help="The JSONL file to write.")],
    text_column: Annotated[str | None, typer.Option(help="CSV, TSV: the column of the texts.")] = None,
    ray: Annotated[bool, typer.Option("--ray", help="Spread the work with Ray (extra ray).")] = False,
) -> None:
    """Label a file of texts with the newest model."""
    from annoloop.project import Project
    from annoloop.steps.apply import apply_to_file

    opened = Project.open(project)
    with narrating() as narrator:
        count = apply_to_file(
            opened, file, out, text_column=text_column, ray=ray, on_progress=narrator.progress
        )
    typer.echo(f"{count} texts labelled: {out}")
