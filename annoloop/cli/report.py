"""`annoloop report`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from annoloop.cli.options import ProjectFolder

Out = Annotated[Path, typer.Option("--out", "-o", metavar="FILE", help="The HTML file to write.")]


def report(project: ProjectFolder, out: Out = Path("report.html")) -> None:
    """What was last judged, with all that stands behind it, as one HTML file."""
    from annoloop.project import Project
    from annoloop.steps.evidence.report import report as write

    made = write(Project.open(project), out)
    quoted = f"; it quotes {made.quoted} text{'s' * (made.quoted != 1)}" if made.quoted else ""
    typer.echo(f"report: {made.path}{quoted}")
