"""`annoloop llm spend`."""

from __future__ import annotations

from typing import Any

import typer

from annoloop.cli.console import print_json
from annoloop.cli.options import AsJson, ProjectFolder

HEAD = ("for", "round", "texts", "calls", "tokens in", "cached", "out", "money", "per 1,000 texts", "model")


def spend(project: ProjectFolder, as_json: AsJson = False) -> None:
    """What the LLM cost so far, by purpose, round and model, beside what the trained model costs."""
    from annoloop.project import Project
    from annoloop.steps.llm.report import spend_report

    found = spend_report(Project.open(project))
    if as_json:
        print_json(found.to_json())
        return
    if not found.rows:
        typer.echo("no LLM was asked yet")
        return
    lines = [HEAD, *(_cells(row) for row in found.rows)]
    if len(found.rows) > 1:
        lines.append(_cells(found.total, "in all"))
    widths = [max(len(cells[at]) for cells in lines) for at in range(len(HEAD) - 1)]
    for *cells, last in lines:
        typer.echo("  ".join([*(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)), last]))
    if found.model is None:
        return
    model = found.model
    speed = f", {model.texts_per_second:,.0f} texts a second" if model.texts_per_second else ""
    time = f", {_minutes(model.human_minutes)} of people's time" if model.human_minutes else ""
    typer.echo(f"\nbeside it: {model.name}, no money{speed}{time}")


def _minutes(minutes: float) -> str:
    if minutes < 1:
        return "less than a minute"
    return f"{minutes:,.0f} minute{'s' * (round(minutes) != 1)}"


def _cells(row: Any, name: str = "") -> tuple[str, ...]:
    from annoloop.steps.llm.report import cost_per_1000

    per_1000 = cost_per_1000(row)
    missing = f" and {row.unpriced} unpriced" if row.unpriced and row.cost is not None else ""
    return (
        name or row.purpose,
        "–" if row.round is None else str(row.round),
        f"{row.texts:,}",
        f"{row.calls:,}",
        f"{row.prompt_tokens:,}",
        f"{row.cached_tokens:,}",
        f"{row.completion_tokens:,}",
        "unknown" if row.cost is None else f"{row.cost:.4f}{missing}",
        "unknown" if per_1000 is None else f"{per_1000:.4f}",
        row.model,
    )
