"""`annoloop llm`: its commands, one file each."""

from __future__ import annotations

import typer

from annoloop.cli.llm_annotate import annotate
from annoloop.cli.llm_compare import compare
from annoloop.cli.llm_estimate import estimate
from annoloop.cli.llm_fetch import fetch_model
from annoloop.cli.llm_import import import_answers
from annoloop.cli.llm_retry import retry
from annoloop.cli.llm_spend import spend

llm_app = typer.Typer(
    help="The LLM: what it would cost, its answers, what it cost; prompts and models compared.",
    no_args_is_help=True,
)
for command in (estimate, annotate, retry, compare, spend):
    llm_app.command()(command)
llm_app.command("fetch-model")(fetch_model)
llm_app.command("import")(import_answers)
