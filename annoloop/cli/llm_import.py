"""`annoloop llm import`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from annoloop.cli.options import ProjectFolder, SkipBad


def import_answers(
    project: ProjectFolder,
    file: Annotated[
        Path | None, typer.Argument(metavar="[FILE]", help="Texts with the LLM's labels, as for add.")
    ] = None,
    name: Annotated[str | None, typer.Option(help="The LLM's name; by default the file's.")] = None,
    text_column: Annotated[str | None, typer.Option(help="CSV, TSV: the column of the texts.")] = None,
    label_column: Annotated[str | None, typer.Option(help="CSV, TSV: the column of the categories.")] = None,
    skip_bad: SkipBad = False,
    forget: Annotated[
        bool, typer.Option("--forget", help="Go back to the configured LLM; takes no file.")
    ] = False,
) -> None:
    """Take an LLM's answers made elsewhere as the LLM baseline."""
    from annoloop.project import Project
    from annoloop.steps.llm.source import forget_import, import_llm_answers

    if forget == (file is not None):
        raise typer.BadParameter("either FILE or --forget")
    opened = Project.open(project)
    if file is None:
        name = forget_import(opened)
        typer.echo(f"{name} is the LLM baseline no more" if name else "no answers were imported")
        return
    count = import_llm_answers(
        opened,
        file,
        name=name or file.stem,
        text_column=text_column,
        label_column=label_column,
        skip_bad=skip_bad,
    )
    typer.echo(f"{count} texts have an answer of {name or file.stem}; it is the LLM baseline now")
