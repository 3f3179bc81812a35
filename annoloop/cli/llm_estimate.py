"""`annoloop llm estimate`."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any

import typer

from annoloop.cli.console import narrating, print_json
from annoloop.cli.options import AsJson, ProjectFolder


class AskedSplit(StrEnum):
    """Splits whose texts the LLM may be asked about at will."""

    pool = "pool"
    dev = "dev"


Split = Annotated[AskedSplit, typer.Option(help="Whose texts; held-out ones are asked about by evaluate.")]
Limit = Annotated[int | None, typer.Option(min=1, help="At most so many texts that it has not answered.")]


def estimate(
    project: ProjectFolder, split: Split = AskedSplit.pool, limit: Limit = None, as_json: AsJson = False
) -> None:
    """Count calls, tokens and money of an annotate before it runs; nothing is sent."""
    from annoloop.project import Project
    from annoloop.steps.llm.run import estimate_run

    opened = Project.open(project)
    with narrating(to_stderr=True) as narrator:
        found = estimate_run(opened, split=split.value, limit=limit, on_progress=narrator.progress)
    if as_json:
        print_json(found.to_json())
    else:
        show(found)


def show(found: Any) -> None:
    """What a run would take, in a few lines."""
    where = "in a process of this machine" if found.address == "embedded" else f"at {found.address}"
    typer.echo(f"{found.model}, {where} ({found.reach})")
    typer.echo(f"{found.texts} texts in {found.split}, {found.known} of them with an answer")
    kept = f", {found.kept} answers of which are kept" if found.kept else ""
    typer.echo(f"would read {found.asked} texts{kept}: {found.calls} calls")
    by = "as this model's calls so far" if found.learned else "by general ratios, no call told its own yet"
    typer.echo(f"tokens: about {found.prompt_tokens:,} to read, {found.completion_tokens:,} to write ({by})")
    if found.cost is None:
        typer.echo("money: unknown, [llm.model] has no price_input and price_output")
        return
    if not found.most:
        typer.echo("money: none")
        return
    dated = f" at the prices of {found.price_date}" if found.price_date else ""
    typer.echo(f"money: about {found.cost:.4f}, at most {found.most:.4f} without repeats{dated}")
    if found.max_cost is not None:
        typer.echo(f"limit: [llm] max_cost = {found.max_cost:g}")
