"""`annoloop train`."""

from __future__ import annotations

from typing import Annotated

import typer

from annoloop.cli.console import narrating
from annoloop.cli.options import ProjectFolder


def train(
    project: ProjectFolder,
    search: Annotated[
        float | None,
        typer.Option(
            min=0, metavar="MINUTES", help="First look for a better recipe so long; later rounds use it too."
        ),
    ] = None,
    seeds: Annotated[
        int | None,
        typer.Option(min=2, help="Then train the recipe with so many seeds, and tell the spread on dev."),
    ] = None,
) -> None:
    """Train one model on all gold there is; dev chooses the recipe."""
    from annoloop.evaluation.scores import over_seeds
    from annoloop.project import Project
    from annoloop.steps import train as steps
    from annoloop.steps.gold_notes import training_notes
    from annoloop.steps.progress import recorded

    opened = Project.open(project)
    with (
        narrating() as narrator,
        opened.exclusive("train"),
        recorded(opened, "train", narrator.progress) as work,
    ):
        if search is not None:
            found = steps.search(opened, minutes=search, on_progress=work.progress)
            for tried in found.tried:
                narrator.say(
                    f"{tried.recipe} on {tried.share:.0%} of the gold: {_shown(tried.dev_score)} on dev"
                )
            narrator.say(found.said)
        record = steps.train(opened, on_progress=work.progress)
        if seeds is not None:
            record = steps.train_seeds(opened, record, seeds=seeds, on_progress=work.progress)
    texts, dev = (record.dev.texts, record.dev.score) if record.dev else (0, None)
    typer.echo(
        f"round {record.number}: {record.gold_texts} gold texts, recipe {record.recipe}, "
        f"score on {texts} dev texts {_shown(dev)}"
    )
    for note in training_notes(opened):
        typer.echo(f"note: {note}")
    typer.echo(f"model: {opened.folder / (record.model or '')}")
    if seeds is not None and len(scores := record.dev_seeds) > 1:
        typer.echo(f"recipe on dev: {over_seeds(scores)}, {min(scores):.3f} to {max(scores):.3f}")
        if min(scores) == max(scores):
            typer.echo("note: the seed changes nothing here; that says nothing of other dev texts")


def _shown(score: float | None) -> str:
    return "undefined" if score is None else f"{score:.3f}"
