"""`--yes`, and the question in its place: whether texts may go to a public address."""

from __future__ import annotations

import getpass
import sys
from collections.abc import Mapping
from typing import Annotated, Any

import typer

from annoloop.errors import LLMError

Yes = Annotated[
    bool, typer.Option("--yes", help="Agree that texts go to the LLM's public address; asked once a project.")
]


def ask(project: Any, yes: bool, *, config: Mapping[str, Any] | None = None) -> None:
    """Have what the LLM needs agreed to: by `--yes`, else by a question on a terminal.

    `config` is the `[llm]` block, by default the project's. Without a terminal nothing is asked: whatever
    would send a text refuses then.

    Raises:
        LLMError: the answer is no; nothing was sent.
    """
    from annoloop.steps.llm.consent import give, needed

    terms = needed(project, config)
    if terms is None:
        return
    if not yes:
        if not sys.stdin.isatty():
            return
        texts = sum(project.store.example_counts().values())
        typer.echo(f"Texts of this project ({texts}) are going to be sent to {terms.shown}.", err=True)
        if not typer.confirm("Do you agree?", err=True):
            raise LLMError(
                f"not agreed: nothing was sent to {terms.address}",
                hint="to go on without an LLM set [llm.model] base_url = null",
            )
    give(project, by=_user(), config=config)


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):
        return ""
