"""`annoloop train`."""

from __future__ import annotations

import typer

from annoloop.cli.console import narrating
from annoloop.cli.options import ProjectFolder


def train(project: ProjectFolder) -> None:
    """Train one model on all gold there is; dev chooses the recipe."""
    from annoloop.project import Project
    from annoloop.steps.progress import recorded
    from annoloop.steps.train import train as train_newest

    opened = Project.open(project)
    with (
        narrating() as narrator,
        opened.exclusive("train"),
        recorded(opened, "train", narrator.progress) as work,
    ):
        record = train_newest(opened, on_progress=work.progress)
    dev = record.dev.score if record.dev else None
    typer.echo(
        f"round {record.number}: {record.gold_texts} gold texts, recipe {record.recipe}, "
        f"score on dev {'undefined' if dev is None else f'{dev:.3f}'}"
    )
    typer.echo(f"model: {opened.folder / (record.model or '')}")
