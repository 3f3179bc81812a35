"""`annoloop agreement`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from annoloop.cli.console import print_json
from annoloop.cli.options import AsJson, ProjectFolder

if TYPE_CHECKING:
    from annoloop.evaluation.agreement import Agreement, Measure


def agreement(project: ProjectFolder, as_json: AsJson = False) -> None:
    """How far people agree with each other and with the LLM, and which labels they confuse."""
    from annoloop.project import Project
    from annoloop.steps.evidence.pace import pace
    from annoloop.steps.evidence.people_agreement import people_agreement
    from annoloop.steps.evidence.report_people import savings_line

    opened = Project.open(project)
    found = people_agreement(opened)
    if as_json:
        print_json(found.to_json())
        return
    if found.people.texts:
        rows = [("all", found.people)]
        rows += [(" and ".join(who), of) for who, of in found.by_pair.items()]
        rows += [("blind" if not n else f"round {n}", of) for n, of in found.by_round.items()]
        rows += list(found.by_time.items()) if len(found.by_time) > 1 else []
        if found.blind is not None and found.llm is not None:
            rows += [("people, read by the LLM", found.blind), (f"with {found.llm_name}", found.llm)]
        if found.assisted.texts and found.unassisted.texts:
            rows += [("with suggestions", found.assisted), ("without suggestions", found.unassisted)]
        width = max(len(name) for name, _ in rows)
        typer.echo(f"{'':{width}} texts   same      F          95 %  alpha    AC1")
        for name, of in rows:
            typer.echo(_row(name, of, width))
        for label, one in found.people.per_label.items():
            typer.echo(f"label {label}: F {_shown(one.f)}, alpha {_shown(one.alpha)}, AC1 {_shown(one.ac1)}")
    for confusion in found.confused[:10]:
        typer.echo(f"gap: {confusion.advice}")
    for warning in found.warnings:
        typer.echo(f"note: {warning}")
    typer.echo(savings_line(pace(opened)))


def _row(name: str, of: Agreement, width: int) -> str:
    between = "–" if of.f.interval is None else f"{of.f.interval[0]:.2f} to {of.f.interval[1]:.2f}"
    same, f, alpha, ac1 = (f"{_value(one):>7}" for one in (of.same, of.f, of.alpha, of.ac1))
    return f"{name:{width}} {of.texts:>5}{same}{f}{between:>14}{alpha}{ac1}"


def _value(one: Measure) -> str:
    return "–" if one.value is None else f"{one.value:.3f}"


def _shown(one: Measure) -> str:
    between = f" ({one.interval[0]:.2f} to {one.interval[1]:.2f})" if one.interval else ""
    return f"{_value(one)}{between}"
