"""`annoloop rules`: its commands, one file each."""

from __future__ import annotations

import typer

from annoloop.cli.rules_check import check
from annoloop.cli.rules_export import export
from annoloop.cli.rules_suggest import suggest

rules_app = typer.Typer(
    help="The rules: propose patterns, see how good each is, export them.", no_args_is_help=True
)


rules_app.command("suggest")(suggest)
rules_app.command("check")(check)
rules_app.command("export")(export)
