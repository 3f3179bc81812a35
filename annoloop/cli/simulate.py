"""`annoloop simulate`."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from annoloop.cli.console import narrating, print_json
from annoloop.cli.options import AsJson, ProjectFolder

if TYPE_CHECKING:
    from annoloop.steps.simulation.simulate import Simulated


class Spent(StrEnum):
    """What rounds are equal in, as options."""

    texts = "texts"
    tokens = "tokens"
    seconds = "seconds"


Gold = Annotated[
    list[Path] | None,
    typer.Option(
        help="A file of gold labels, split anew for each seed; may be repeated. Default: PROJECT's."
    ),
]
Strategies = Annotated[
    str, typer.Option(help="Names, separated by commas; random is always compared. auto is the default one.")
]
Recipes = Annotated[
    str,
    typer.Option(
        help="Names of recipes or spaCy configs, separated by commas. quick: a cheap stand-in of the kind."
    ),
]
Out = Annotated[
    Path | None, typer.Option("--out", "-o", metavar="FOLDER", help="Default: PROJECT/simulations.")
]


def simulate(
    project: ProjectFolder,
    gold: Gold = None,
    strategies: Strategies = "auto",
    recipes: Recipes = "quick",
    seeds: Annotated[int, typer.Option(min=1, help="How often each is simulated.")] = 10,
    batch: Annotated[
        int | None, typer.Option(min=1, help="Texts a round; for spans as many tokens as so many have.")
    ] = None,
    rounds: Annotated[int | None, typer.Option(min=1, help="Rounds; by default 10, or fewer.")] = None,
    unit: Annotated[
        Spent | None, typer.Option(help="What all strategies may spend alike; by default as in the loop.")
    ] = None,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Processes at once; by default one a core.")
    ] = None,
    text_column: Annotated[str | None, typer.Option(help="CSV, TSV: the column of the texts.")] = None,
    label_column: Annotated[str | None, typer.Option(help="CSV, TSV: the column of the categories.")] = None,
    out: Out = None,
    as_json: AsJson = False,
) -> None:
    """Compare strategies and recipes on finished gold: which needs the fewest labels."""
    from annoloop.project import Project
    from annoloop.steps.simulation.simulate import simulate as compare

    with narrating(to_stderr=as_json) as narrator:
        found = compare(
            Project.open(project),
            gold=gold or (),
            strategies=_names(strategies),
            recipes=_names(recipes),
            seeds=seeds,
            batch=batch,
            rounds=rounds,
            unit=None if unit is None else unit.value,
            folder=out,
            workers=workers,
            columns=(text_column, label_column),
            on_progress=narrator.progress,
        )
    for warning in found.warnings[:10]:
        typer.echo(f"note: {warning}", err=True)
    if len(found.warnings) > 10:
        typer.echo(f"note: and {len(found.warnings) - 10} more such lines", err=True)
    if as_json:
        print_json(found.to_json())
    else:
        _show(found)


def _names(given: str) -> list[str]:
    return [name.strip() for name in given.split(",") if name.strip()]


def _show(found: Simulated) -> None:
    from annoloop.evaluation.curves_page import HEAD, cells

    typer.echo(found.about)
    tables = [(f"recipe {recipe}, {found.headline}", rows) for recipe, rows in found.tables.items()]
    if found.recipes:
        tables.append((f"recipes under random, against {found.recipes[0].name}", found.recipes))
    for title, rows in tables:
        typer.echo(f"\n{title}")
        lines = [HEAD, *(cells(row) for row in rows)]
        widths = [max(len(line[at]) for line in lines) for at in range(len(HEAD))]
        for first, *rest in lines:
            shown = (cell.rjust(width) for cell, width in zip(rest, widths[1:], strict=True))
            typer.echo("  ".join([first.ljust(widths[0]), *shown]).rstrip())
    typer.echo(f"\nwritten: {found.folder}/curves.html, curves.csv, results.json")
