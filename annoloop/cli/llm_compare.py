"""`annoloop llm compare`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from annoloop.cli import consent
from annoloop.cli.console import narrating, print_json
from annoloop.cli.options import AsJson, ProjectFolder

HEAD = ("variant", "score", "95 %", "difference", "p", "cost", "ms", "95 % below", "tokens", "failed", "LLM")


def compare(
    project: ProjectFolder,
    variants: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="[VARIANT.cfg ...]",
            help="Files with [llm] sections, laid over the project's; by default those of [llm] variants.",
        ),
    ] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Score on at most so many dev texts.")] = None,
    adopt: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Make this variant the project's LLM, by the name of its file."),
    ] = None,
    pool: Annotated[
        int | None,
        typer.Option(
            min=1,
            metavar="N",
            help="Have N pool texts answered instead, for the page Tournament: no gold needed.",
        ),
    ] = None,
    yes: consent.Yes = False,
    as_json: AsJson = False,
) -> None:
    """Prompts and models against the project's LLM on dev gold: score, cost, time, failures."""
    from annoloop.project import Project
    from annoloop.steps.llm import baseline, compare

    if pool is not None and (adopt is not None or limit is not None):
        raise typer.BadParameter("--pool scores nothing, so it goes with neither --adopt nor --limit")
    opened = Project.open(project)
    read = compare.read_variants(opened, variants or ())
    for config in (None, *(one.config for one in read)):
        consent.ask(opened, yes, config=config)
    with narrating(to_stderr=as_json) as narrator, opened.exclusive("compare LLMs"):
        if pool is not None:
            answers = compare.ask_pool(opened, read, pool, on_progress=narrator.progress)
            problems = _show_pool(answers, as_json)
        else:
            found = compare.compare_variants(opened, read, limit=limit, on_progress=narrator.progress)
            adopted = baseline.adopt(opened, read, found, adopt) if adopt is not None else None
            problems = _show(found, adopted, as_json)
    if problems:
        raise typer.Exit(1)


def _show(found: Any, adopted: Any, as_json: bool) -> bool:
    """Print the table; whether a variant could not be asked."""
    problems = [row for row in found.rows if row.problem]
    if as_json:
        record = (
            None if adopted is None else {name: getattr(adopted, name) for name in ("name", "key", "version")}
        )
        print_json({**found.to_json(), "adopted": record})
        return bool(problems)
    table = [HEAD, *(_cells(row) for row in found.rows if not row.problem)]
    widths = [max(len(cells[place]) for cells in table) for place in range(len(HEAD) - 1)]
    typer.echo(f"\n{found.texts} dev texts, {found.tried} variants tried on them so far\n")
    for *cells, last in table:
        typer.echo("  ".join([*(c.ljust(w) for c, w in zip(cells, widths, strict=True)), last]))
    typer.echo("")
    for row in problems:
        typer.echo(f"{row.name}: not scored: {row.problem}")
    for note in found.notes:
        typer.echo(f"note: {note}")
    if adopted is not None:
        typer.echo(f"adopted: {adopted.name} ({adopted.version}) is the LLM to beat now")
    return bool(problems)


def _cells(row: Any) -> tuple[str, ...]:
    failed = ", ".join(f"{count} {status}" for status, count in row.failures.items())
    return (
        row.name,
        _figure(row.scores.score, "{:.3f}"),
        _between(row.scores.interval, "{:.3f}"),
        f"{_figure(row.delta, '{:+.3f}')} ({_between(row.delta_interval, '{:+.3f}')})"
        if row.delta_interval
        else "–",
        _figure(row.p_value, "{:.4f}"),
        _figure(row.cost_per_1000, "{:.2f}"),
        _figure(row.p50_ms, "{:,.0f}"),
        _figure(row.p95_ms, "{:,.0f}"),
        _figure(row.tokens, "{:,.0f}"),
        failed or "0",
        row.version,
    )


def _figure(value: float | None, form: str) -> str:
    return "–" if value is None else form.format(value)


def _between(interval: tuple[float, float] | None, form: str) -> str:
    return "–" if interval is None else " to ".join(form.format(end) for end in interval)


def _show_pool(answers: Any, as_json: bool) -> bool:
    """Print who answered; whether somebody could not be asked."""
    if as_json:
        print_json(
            {
                "texts": answers.texts,
                "contestants": list(answers.contestants),
                "problems": dict(answers.problems),
            }
        )
        return bool(answers.problems)
    typer.echo(f"{answers.texts} pool texts answered by {', '.join(answers.contestants)}")
    for name, problem in answers.problems.items():
        typer.echo(f"{name}: does not take part: {problem}")
    typer.echo("next: say which answers are better, on the page Tournament: annoloop review PROJECT")
    return bool(answers.problems)
