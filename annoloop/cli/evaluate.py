"""`annoloop evaluate`."""

from __future__ import annotations

from typing import Any

import typer

from annoloop.cli import consent
from annoloop.cli.console import narrating, print_json
from annoloop.cli.options import AsJson, ProjectFolder


def evaluate(project: ProjectFolder, yes: consent.Yes = False, as_json: AsJson = False) -> None:
    """Rules, LLM and model on the same held-out texts, and the gate's verdict."""
    from annoloop.project import Project
    from annoloop.steps.evaluate import evaluate as judge

    opened = Project.open(project)
    consent.ask(opened, yes)
    with narrating(to_stderr=as_json) as narrator:
        result = judge(opened, on_progress=narrator.progress)
    if as_json:
        print_json(result.to_json())
    else:
        show(opened, result)


def show(project: Any, result: Any) -> None:
    """The leaderboard, the verdict, and what a person would do next."""
    from annoloop.evaluation.label_deltas import render_deltas
    from annoloop.evaluation.leaderboard import render, render_labels
    from annoloop.steps.status import advice

    simulated = f", {result.simulated} answered by the simulated expert" if result.simulated else ""
    texts = f"{result.held_out_texts} held-out text{'s' * (result.held_out_texts != 1)}"
    typer.echo(f"\n{texts}, {result.assisted} not labelled blind{simulated}\n")
    typer.echo(render(result.leaderboard, scheme=project.scheme))
    best = next((row for row in result.leaderboard if row.approach == "model"), None)
    if best is not None and len(best.scores.per_label) > 1:
        typer.echo(f"\n{best.name}, label by label\n\n{render_labels(best)}\n")
    if result.deltas:
        typer.echo(f"\nmodel less LLM, F label by label\n\n{render_deltas(result.deltas)}\n")
    for note in result.notes:
        typer.echo(f"note: {note}")
    typer.echo(f"\nverdict: {result.verdict.decision} ({result.said})")
    for line in result.verdict.reason.splitlines():
        typer.echo(f"  {line}")
    if result.wheel:
        typer.echo(f"\nwheel: {result.wheel}")
    typer.echo(f"next: {advice(project, result)}")
