"""`annoloop status`."""

from __future__ import annotations

import typer

from annoloop.cli.console import print_json
from annoloop.cli.options import AsJson, ProjectFolder


def status(project: ProjectFolder, as_json: AsJson = False) -> None:
    """Where the project stands, and what comes next."""
    from annoloop.evaluation.scores import over_seeds
    from annoloop.project import Project
    from annoloop.steps.status import status as look

    found = look(Project.open(project))
    if as_json:
        print_json(found.to_json())
        return
    typer.echo(f"{found.name}: {found.kind}, labels {', '.join(found.labels)}, language {found.lang}")
    splits = found.splits
    typer.echo(f"texts    pool {splits['pool']}, dev {splits['dev']}, held out {splits['held_out']}")
    golden = found.gold
    typer.echo(f"gold     pool {golden['pool']}, dev {golden['dev']}, held out {golden['held_out']}")
    for number, (done, still_open) in found.questions.items():
        name = "blind" if number == 0 else f"round {number}"
        typer.echo(f"asked    {name}: {done} answered, {still_open} open")
    if found.to_decide:
        wait = "text waits" if found.to_decide == 1 else "texts wait"
        typer.echo(f"review   {found.to_decide} {wait} for a reviewer: annoloop review {project}")
    if found.answered_by_several:
        typer.echo(
            f"people   {found.answered_by_several} texts answered by several: annoloop agreement {project}"
        )
    for record in found.rounds:
        shown = "not judged yet" if record["score"] is None else f"held-out score {record['score']:.3f}"
        seeds = record["dev_seeds"]
        spread = f", recipe on dev {over_seeds(seeds)}" if len(seeds) > 1 else ""
        typer.echo(f"round {record['number']}  {record['gold_texts']} gold texts, {shown}{spread}")
    typer.echo(f"LLM      {found.llm}")
    if found.outlook:
        typer.echo(f"outlook  {found.outlook}")
    typer.echo(f"next: {found.next_step}")
