"""`annoloop rules check`."""

from __future__ import annotations

from typing import Any

import typer

from annoloop.cli.console import print_json
from annoloop.cli.options import AsJson, ProjectFolder

HEAD = ("line", "label", "matches", "right", "precision", "95 %", "alone", "conflicts", "pattern")


def check(project: ProjectFolder, as_json: AsJson = False) -> None:
    """How each pattern does on the labelled texts of pool and dev, and how many texts the rules reach."""
    from annoloop.project import Project
    from annoloop.steps.rule_report import report_rules

    opened = Project.open(project)
    found = report_rules(opened)
    if as_json:
        print_json(found.to_json())
        return
    if not found.lines:
        typer.echo(f"no patterns: {opened.patterns} holds none")
        return
    table = [
        HEAD,
        *(_cells(pattern, done) for pattern, done in zip(found.patterns, found.reports, strict=True)),
    ]
    widths = [max(len(cells[i]) for cells in table) for i in range(len(HEAD) - 1)]
    for *cells, last in table:
        typer.echo("  ".join([*(c.ljust(w) for c, w in zip(cells, widths, strict=True)), last]))
    speed = f", {found.texts_per_second:,.0f} texts a second" if found.texts_per_second else ""
    typer.echo(f"\n{len(found.lines)} patterns on {len(found.gold)} labelled texts of pool and dev")
    typer.echo(f"{found.covered} of {found.unlabelled} texts without an answer have a match{speed}")


def _cells(pattern: Any, done: Any) -> tuple[str, ...]:
    low, high = done.interval or (None, None)
    return (
        str(pattern.line),
        pattern.label,
        str(done.matches),
        str(done.right),
        "–" if done.precision is None else f"{done.precision:.3f}",
        "–" if low is None else f"{low:.3f} to {high:.3f}",
        str(done.alone),
        str(done.conflicts),
        pattern.shown,
    )
