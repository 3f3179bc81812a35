"""`annoloop llm retry`."""

from __future__ import annotations

from typing import Annotated

import typer

from annoloop.cli import consent
from annoloop.cli.console import narrating
from annoloop.cli.llm_annotate import end
from annoloop.cli.options import ProjectFolder


def retry(
    project: ProjectFolder,
    malformed: Annotated[
        bool,
        typer.Option("--malformed", help="Also where its answer was not what was asked; paid again."),
    ] = False,
    refused: Annotated[
        bool, typer.Option("--refused", help="Also where it refused to answer; paid again.")
    ] = False,
    yes: consent.Yes = False,
) -> None:
    """Ask the LLM once more about the texts that failed."""
    from annoloop.project import Project
    from annoloop.steps.llm.run import failures
    from annoloop.steps.llm.run import retry as ask_again
    from annoloop.steps.progress import recorded

    also = ["malformed"] * malformed + ["refusal"] * refused
    opened = Project.open(project)
    consent.ask(opened, yes)
    with (
        narrating(to_stderr=True) as narrator,
        opened.exclusive("ask the LLM"),
        recorded(opened, "llm retry", narrator.progress) as work,
    ):
        outcome, asked = ask_again(opened, also=also, on_progress=work.progress)
        left = len(failures(opened)) - len(outcome.failed)
    if not asked:
        typer.echo("no text to ask again about")
    if left:
        typer.echo(f"{left} more texts were answered wrongly: --malformed and --refused ask about them too")
    if asked:
        end(outcome)
