"""`annoloop look-again`."""

from __future__ import annotations

from typing import Annotated

import typer

from annoloop.cli.console import print_json
from annoloop.cli.options import AsJson, ProjectFolder

Top = Annotated[int, typer.Option(min=1, help="How many texts to send to a reviewer at most.")]


def look_again(project: ProjectFolder, top: Top = 50, as_json: AsJson = False) -> None:
    """Send the labelled texts of the pool whose labels are likely wrong to a reviewer, the oddest first.

    Nothing is changed: the reviewer sees what people said, and decides on the page Adjudicate.
    """
    from annoloop.project import Project
    from annoloop.steps.evidence.look_again import look_again as look

    opened = Project.open(project)
    found = look(opened, top=top)
    if as_json:
        print_json(found.to_json())
        return
    for one in found.sent:
        shown = " ".join(one.gold.example.text.split())[:60]
        typer.echo(f"{one.confidence:.2f}  {one.reason}  |  {shown}")
    counted = f"{found.doubted} of {found.gold_texts} labelled texts are doubted"
    typer.echo(f"{counted}, {len(found.sent)} wait for a reviewer")
    if found.sent:
        typer.echo(f"next: annoloop review {opened.folder}")
