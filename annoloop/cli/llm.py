"""`annoloop llm`: its commands, one file each."""

from __future__ import annotations

import typer

from annoloop.cli.llm_compare import compare
from annoloop.cli.llm_fetch import fetch_model
from annoloop.cli.llm_import import import_answers

llm_app = typer.Typer(
    help="The LLM: its prompt and model, its local weights, answers made elsewhere.", no_args_is_help=True
)
llm_app.command("compare")(compare)
llm_app.command("fetch-model")(fetch_model)
llm_app.command("import")(import_answers)
