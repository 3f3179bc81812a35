"""`annoloop add`."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from annoloop.cli.console import narrating
from annoloop.cli.options import ProjectFolder, SkipBad


class SplitName(StrEnum):
    """The splits, as options."""

    pool = "pool"
    dev = "dev"
    held_out = "held_out"


class Unit(StrEnum):
    """What one text is in a plain text file."""

    line = "line"
    file = "file"


def add(
    project: ProjectFolder,
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="JSONL, CSV, TSV, TXT or .spacy.")],
    text_column: Annotated[str | None, typer.Option(help="CSV, TSV: the column of the texts.")] = None,
    label_column: Annotated[str | None, typer.Option(help="CSV, TSV: the column of the categories.")] = None,
    one_text_per: Annotated[
        Unit, typer.Option(help="TXT: a line or the whole file is one text.")
    ] = Unit.line,
    split: Annotated[
        SplitName | None, typer.Option(help="Put all texts here, as with a published test file.")
    ] = None,
    sample: Annotated[
        int | None, typer.Option(min=1, help="Take only so many texts, drawn with the project's seed.")
    ] = None,
    gold: Annotated[bool, typer.Option("--gold", help="Take the labels in the file as gold.")] = False,
    blind: Annotated[
        bool, typer.Option("--blind", help="Assert that these labels were made without suggestions.")
    ] = False,
    skip_bad: SkipBad = False,
) -> None:
    """Add texts: deduplicated, split by hash, near-duplicates kept on one side."""
    from annoloop.project import Project
    from annoloop.steps.add import Reading
    from annoloop.steps.add import add as add_texts

    with narrating(to_stderr=True) as narrator:
        opened = Project.open(project)
        with opened.exclusive("add texts"):
            added = add_texts(
                opened,
                files,
                reading=Reading(text_column, label_column, one_text_per.value),
                split=split.value if split else None,
                sample=sample,
                gold=gold,
                blind=blind,
                skip_bad=skip_bad,
                on_progress=narrator.progress,
            )
    for row in added.bad:
        typer.echo(f"left out: {row}", err=True)
    counts = added.counts
    again = f", {added.known} were there already" if added.known else ""
    left = f", {len(added.bad)} bad rows left out" if added.bad else ""
    typer.echo(f"{added.read} texts read: {added.new} new{again}{left}")
    if added.moved:
        typer.echo(f"{added.moved} of those already there moved to {split.value if split else ''}")
    if added.near:
        typer.echo(f"{added.near} kept out of learning: nearly the same as texts to judge by")
    if added.gold:
        who = f"annotator{'s' * (len(added.annotators) > 1)} {', '.join(added.annotators)}"
        empty = f", {added.empty} of them as texts with nothing to label" if added.empty else ""
        typer.echo(f"{added.gold} labelled texts taken as gold of the {who}{empty}")
    if added.replaced:
        typer.echo(f"{added.replaced} of these replace other labels that the same annotator had given")
    if label_column and not gold:
        typer.echo(f"the labels of {label_column} were not taken: --gold takes them")
    typer.echo(f"pool {counts['pool']}, dev {counts['dev']}, held out {counts['held_out']}")
