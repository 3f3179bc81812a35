"""`annoloop loop`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from annoloop.cli import consent
from annoloop.cli.console import Narrator, narrating, print_json
from annoloop.cli.options import AsJson, ProjectFolder

Gold = Annotated[
    list[Path] | None,
    typer.Option(help="A file of gold labels, from which a simulated expert answers; may be repeated."),
]
Out = Annotated[Path | None, typer.Option("--out", help="Where the wheel goes; default PROJECT/dist.")]
Seek = Annotated[
    list[str] | None,
    typer.Option(help="A rare label that each new batch looks for on purpose; may be repeated."),
]


def loop(
    project: ProjectFolder,
    oracle: Gold = None,
    text_column: Annotated[
        str | None, typer.Option(help="CSV, TSV given to --oracle: the column of the texts.")
    ] = None,
    label_column: Annotated[
        str | None, typer.Option(help="CSV, TSV given to --oracle: the column of the categories.")
    ] = None,
    batch: Annotated[
        int | None,
        typer.Option(
            min=1, help="How much is asked a round, in [selection] units; by default the settings'."
        ),
    ] = None,
    seek: Seek = None,
    max_rounds: Annotated[
        int | None, typer.Option(min=1, help="Rounds at most; fixed for the gate by the first run.")
    ] = None,
    despite_rules: Annotated[
        bool, typer.Option("--despite-rules", help="Go on where the rules suffice.")
    ] = False,
    out_dir: Out = None,
    wait: Annotated[
        bool | None,
        typer.Option("--wait/--no-wait", help="Wait for people's answers; by default in a terminal."),
    ] = None,
    yes: consent.Yes = False,
    as_json: AsJson = False,
) -> None:
    """Run the whole loop from where it stands: rules, questions, rounds, the gate, the wheel."""
    from annoloop.loop import run_loop
    from annoloop.project import Project
    from annoloop.steps.progress import recorded

    opened = Project.open(project)
    consent.ask(opened, yes)
    expert = _oracle(opened, oracle, text_column, label_column)
    with (
        narrating(to_stderr=as_json) as narrator,
        opened.exclusive("run the loop"),
        recorded(opened, "loop", narrator.progress) as work,
    ):
        events = run_loop(
            opened,
            oracle=expert,
            batch=batch,
            seek=seek or None,
            max_rounds=max_rounds,
            despite_rules=despite_rules,
            wait=(sys.stdin.isatty() and not as_json) if wait is None else wait,
            out_dir=out_dir,
            on_progress=work.progress,
        )
        last = None
        for last in events:
            _tell(narrator, last)
            work.say(last.message)
    _end(opened, last, as_json)


def _end(project: Any, last: Any, as_json: bool) -> None:
    if as_json:
        print_json(_plain(project, last))
    elif last is not None and last.result is not None:
        from annoloop.cli.evaluate import show

        show(project, last.result)


def _oracle(project: Any, paths: list[Path] | None, text_column: str | None, label_column: str | None) -> Any:
    if not paths:
        return None
    from annoloop.oracle import Oracle

    expert = Oracle.load(
        *paths,
        scheme=project.scheme,
        lang=project.settings.project.lang,
        text_column=text_column,
        label_column=label_column,
    )
    for warning in expert.warnings[:10]:
        typer.echo(f"note: {warning}", err=True)
    if len(expert.warnings) > 10:
        typer.echo(f"note: and {len(expert.warnings) - 10} more such lines", err=True)
    return expert


def _tell(narrator: Narrator, event: Any) -> None:
    if event.happened != "done" or event.message != "done":
        narrator.say(f"[{event.happened}] {event.message}")


def _plain(project: Any, event: Any) -> dict[str, Any]:
    if event is not None and event.result is not None:
        result: dict[str, Any] = event.result.to_json()
        return result
    from annoloop.steps.status import status

    # Nothing is judged yet: the same keys as of a judged loop, so that a script need not know.
    waiting = event.message if event else None
    gold = project.held_out_gold()
    return {
        **status(project).to_json(),
        "held_out": {"texts": len(gold), "assisted": sum(not item.blind for item in gold)},
        "leaderboard": [],
        "verdict": {"decision": "refused", "reason": waiting, "p_value": None, "alpha": None},
        "waiting": waiting,
    }
