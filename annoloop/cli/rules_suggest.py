"""`annoloop rules suggest`."""

from __future__ import annotations

import getpass
from typing import Annotated, Any

import typer

from annoloop.cli import consent
from annoloop.cli.console import narrating, print_json
from annoloop.cli.options import AsJson, ProjectFolder
from annoloop.cli.rules_check import percent_cells, print_table, shortened

HEAD = ("", "label", "from", "texts", "right", "wrong", "precision", "95 %", "pattern")


def suggest(
    project: ProjectFolder,
    llm: Annotated[
        bool, typer.Option("--llm/--no-llm", help="Have the LLM write terms, and generalise its answers.")
    ] = False,
    most: Annotated[int, typer.Option(min=1, help="Propose at most so many patterns.")] = 60,
    accept_above: Annotated[
        float | None,
        typer.Option(
            min=0.0, max=1.0, help="Take those of the marked set with at least this precision into the rules."
        ),
    ] = None,
    yes: consent.Yes = False,
    as_json: AsJson = False,
) -> None:
    """Propose patterns from the labelled texts to learn from; accept or reject them on the Rules page.

    Precision is measured on texts that a pattern was not made from. The set marked * is the smallest found
    that, with the patterns there are, brings the score as far as any.
    """
    from annoloop.project import Project
    from annoloop.steps.rules.suggest import accept_above as take
    from annoloop.steps.rules.suggest import suggest_rules

    opened = Project.open(project)
    if llm:
        consent.ask(opened, yes)
    with narrating() as narrator:
        made = suggest_rules(opened, llm=llm, most=most, on_progress=narrator.progress)
    taken = () if accept_above is None else take(opened, accept_above, by=_user(), among=made)
    if as_json:
        print_json({"proposals": [one.to_json() for one in made], "accepted": [one.line for one in taken]})
        return
    if not made:
        typer.echo("nothing to propose: label more texts, or ask the LLM with --llm")
        return
    print_table(HEAD, [_cells(one) for one in made])
    chosen = sum(one.chosen for one in made)
    typer.echo(f"\n{len(made)} proposals, {chosen} of them in the smallest set (*)")
    if accept_above is None:
        typer.echo("take them on the Rules page, or with --accept-above 0.9")
    else:
        typer.echo(f"{len(taken)} were taken into {opened.patterns}")


def _cells(one: Any) -> tuple[str, ...]:
    return (
        "*" if one.chosen else "",
        one.pattern.label,
        one.sort if one.origin == "gold" else f"LLM: {one.sort}",
        str(one.support),
        str(one.right),
        str(one.wrong),
        *percent_cells(one.precision, one.interval),
        ("not " if one.pattern.negative else "") + shortened(one.pattern.shown),
    )


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):
        return ""
