"""`annoloop llm annotate`."""

from __future__ import annotations

from typing import Any

import typer

from annoloop.cli import consent
from annoloop.cli.console import narrating
from annoloop.cli.llm_estimate import AskedSplit, Limit, Split
from annoloop.cli.options import ProjectFolder

FAILURES_SHOWN = 20


def annotate(
    project: ProjectFolder, split: Split = AskedSplit.pool, limit: Limit = None, yes: consent.Yes = False
) -> None:
    """Have the LLM annotate texts; stopped at any time, the same command goes on and pays nothing twice."""
    from annoloop.project import Project
    from annoloop.steps.llm.run import annotate_texts
    from annoloop.steps.progress import recorded

    opened = Project.open(project)
    consent.ask(opened, yes)
    with (
        narrating(to_stderr=True) as narrator,
        opened.exclusive("ask the LLM"),
        recorded(opened, "llm annotate", narrator.progress) as work,
    ):
        asked = annotate_texts(opened, split=split.value, limit=limit, on_progress=work.progress)
    end(asked)


def end(asked: Any) -> None:
    """What came of a run; exit code 1 where it was stopped or nothing but failures came of it."""
    before = f", {asked.known} of them before" if asked.known else ""
    cost = "unknown" if asked.cost is None else f"{asked.cost:.4f}"
    typer.echo(f"{asked.answered} texts annotated{before}; {asked.calls} calls, money: {cost}")
    show_failures(asked.failed)
    if asked.stopped:
        typer.echo(f"stopped: {asked.stopped}", err=True)
    if asked.stopped or (asked.failed and asked.answered == asked.known):
        raise typer.Exit(1)


def show_failures(failed: Any) -> None:
    """Each text that has no annotation, with the reason."""
    if not failed:
        return
    typer.echo(f"{len(failed)} texts without an annotation; to ask again: annoloop llm retry PROJECT")
    for one in failed[:FAILURES_SHOWN]:
        head = " ".join(one.text.split())
        typer.echo(
            f"  {one.status}: {head[:60]}{'…' * (len(head) > 60)}  ({' '.join(one.reason.split())[:120]})"
        )
    if len(failed) > FAILURES_SHOWN:
        typer.echo(f"  and {len(failed) - FAILURES_SHOWN} more")
