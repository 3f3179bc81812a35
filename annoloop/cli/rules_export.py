"""`annoloop rules export`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from annoloop.cli.console import narrating
from annoloop.cli.options import ProjectFolder


def export(
    project: ProjectFolder,
    out_dir: Annotated[Path, typer.Argument(metavar="OUT_DIR", help="Where the wheel goes.")],
) -> None:
    """Build a wheel of the rules alone, without a model, install it afresh, and try it."""
    from annoloop.project import Project
    from annoloop.steps.rules.export import export_rules

    opened = Project.open(project)
    with narrating() as narrator, opened.exclusive("rules export"):
        made = export_rules(opened, out_dir, on_progress=narrator.progress)
    typer.echo(f"{made.wheel}")
    typer.echo(f"tried in {made.environment}: {made.texts_tried} texts, the same answers as here")
    typer.echo(f'use it: pip install {made.wheel.name}, then spacy.load("{made.package}")')
