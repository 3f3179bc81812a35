"""`annoloop init`."""

from __future__ import annotations

from typing import Annotated

import typer

from annoloop.cli.options import ProjectFolder


def init(
    project: ProjectFolder,
    kind: Annotated[str, typer.Option(help="ner, spancat, textcat or textcat_multilabel.")],
    label: Annotated[list[str], typer.Option(help="A label; once for each.")],
    lang: Annotated[str, typer.Option(help="The language of the texts, as spaCy's code: en, de ...")] = "en",
    name: Annotated[str | None, typer.Option(help="The package's name; by default the folder's.")] = None,
) -> None:
    """Make a new project: a folder with its settings."""
    from annoloop.project import Project

    made = Project.create(project, kind=kind, labels=label, lang=lang, name=name)
    typer.echo(f"{made.folder}: a project of kind {kind} with {len(label)} label(s), language {lang}")
    typer.echo(f"next: annoloop add {made.folder} FILE")
