"""`annoloop rules check`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import typer

from annoloop.cli.console import print_json
from annoloop.cli.options import AsJson, ProjectFolder

HEAD = (
    *("line", "label", "matches", "right", "precision", "95 %", "alone", "conflicts", "unlabelled"),
    *("µs a text", "smallest", "pattern"),
)
LONGEST = 80


def check(project: ProjectFolder, as_json: AsJson = False) -> None:
    """How each pattern does on the labelled texts of pool and dev, its time, and the smallest set that does.

    Ends with 1 where a line is wrong, or takes so long that it was stopped.
    """
    from annoloop.project import Project
    from annoloop.steps.rules.report import report_rules

    opened = Project.open(project)
    found = report_rules(opened)
    if as_json:
        print_json(found.to_json())
        return
    if not found.lines:
        typer.echo(f"no patterns: {opened.patterns} holds none")
        return
    print_table(HEAD, [_cells(found, number) for number in range(len(found.lines))])
    speed = f", {found.texts_per_second:,.0f} texts a second" if found.texts_per_second else ""
    typer.echo(f"\n{len(found.lines)} patterns on {len(found.gold)} labelled texts of pool and dev")
    typer.echo(f"{found.covered} of {found.unlabelled} texts without an answer have a match{speed}")
    if found.scores is not None and found.smallest is not None:
        whole, fewer = found.scores
        typer.echo(
            f"on texts to learn from: {len(found.lines)} patterns score {whole:.3f}, "
            f"the {len(found.smallest)} marked * {fewer:.3f}"
        )


def print_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Cells in columns; the last one as long as it is."""
    table = [head, *rows]
    widths = [max(len(cells[i]) for cells in table) for i in range(len(head) - 1)]
    for *cells, last in table:
        typer.echo("  ".join([*(c.ljust(w) for c, w in zip(cells, widths, strict=True)), last]))


def percent_cells(precision: float | None, interval: tuple[float, float] | None) -> tuple[str, str]:
    """A precision and its interval as they stand in tables."""
    if precision is None or interval is None:
        return "–", "–"
    return f"{precision:.3f}", f"{interval[0]:.3f} to {interval[1]:.3f}"


def shortened(shown: str) -> str:
    """A pattern on one line of a terminal."""
    return shown if len(shown) <= LONGEST else f"{shown[: LONGEST - 1]}…"


def _cells(found: Any, number: int) -> tuple[str, ...]:
    pattern, done = found.patterns[number], found.reports[number]
    return (
        str(pattern.line),
        pattern.label,
        str(done.matches),
        str(done.right),
        *percent_cells(done.precision, done.interval),
        str(done.alone),
        str(done.conflicts),
        str(found.coverage[number]),
        f"{found.microseconds[number]:.1f}",
        "*" if found.smallest is not None and number in found.smallest else "",
        shortened(pattern.shown),
    )
