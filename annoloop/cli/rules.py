"""`annoloop rules`: its commands, one file each."""

from __future__ import annotations

import typer

from annoloop.cli.rules_check import check
from annoloop.cli.rules_export import export

rules_app = typer.Typer(help="The rules: how good each pattern is.", no_args_is_help=True)


@rules_app.callback()
def _group() -> None:
    """Without this a group of a single command would be that command."""


rules_app.command("check")(check)
rules_app.command("export")(export)
