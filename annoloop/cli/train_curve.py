"""`annoloop train-curve`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from annoloop.cli.console import narrating, print_json
from annoloop.cli.options import AsJson, ProjectFolder

if TYPE_CHECKING:
    from annoloop.steps.evidence.train_curve import TrainCurve

Target = Annotated[
    float | None,
    typer.Option(
        min=0.0,
        max=1.0,
        help="The score to reach. By default the LLM's on the dev texts, else the setting [rules] target.",
    ),
]


def train_curve(project: ProjectFolder, target: Target = None, as_json: AsJson = False) -> None:
    """How the score grows with labels, where it will be with more, and whether to go on."""
    from annoloop.project import Project
    from annoloop.steps.evidence.advice import lacking
    from annoloop.steps.evidence.train_curve import train_curve as draw
    from annoloop.steps.progress import recorded

    opened = Project.open(project)
    with (
        narrating(to_stderr=as_json) as narrator,
        opened.exclusive("train a learning curve"),
        recorded(opened, "train-curve", narrator.progress) as work,
    ):
        found = draw(opened, target=target, on_progress=work.progress)
    if as_json:
        print_json(found.to_json())
    else:
        _show(found)
        need = lacking(opened)
        if need is not None:
            typer.echo(f"most lacking: {need}")


def _show(found: TrainCurve) -> None:
    typer.echo(f"recipe {found.recipe}, {found.headline} on {found.scores.texts} dev texts\n")
    typer.echo("gold texts   score")
    for point in found.points:
        typer.echo(f"{point.gold_texts:>10}   {point.score:.3f}")
    if found.standing != "no_better":
        _show_ahead(found)
    reach, hours = found.advice.reach, found.advice.hours
    if reach is not None:
        typer.echo(f"target   {reach.target:.3f} ({found.target_name}): {reach.outlook.replace('_', ' ')}")
    if hours is not None:
        typer.echo(f"labelling to the target: {hours[0]:.1f} to {hours[1]:.1f} hours of one person")
    typer.echo(f"advice: {found.advice.reason}")


def _show_ahead(found: TrainCurve) -> None:
    from annoloop.steps.evidence.train_curve import MORE

    typer.echo("\ngold texts   forecast   95 % interval")
    for count, told in found.ahead[1:]:
        typer.echo(f"{count:>10}   {told.value:>8.3f}   {told.low:.3f} to {told.high:.3f}")
    gain = found.next_labels
    typer.echo(f"\n{MORE} more bring {gain.value:+.3f}, 95 % interval {gain.low:+.3f} to {gain.high:+.3f}")
    ceiling = found.forecast.ceiling
    if ceiling.high < 1:
        typer.echo(f"tends to {ceiling.value:.3f}, 95 % interval {ceiling.low:.3f} to {ceiling.high:.3f}")
    else:
        # Where no levelling off is seen the steady law ends at 1 by its form: that is no finding.
        typer.echo("no ceiling in sight yet")
