"""`annoloop similar`."""

from __future__ import annotations

from typing import Annotated

import typer

from annoloop.cli.console import narrating, print_json
from annoloop.cli.options import AsJson, ProjectFolder

Wanted = Annotated[
    str, typer.Argument(metavar="TEXT", help="What to look for: a text, or a pool text's input hash.")
]
Labelled = Annotated[
    bool, typer.Option("--labelled", help="Look at texts that were asked about too, and show their labels.")
]
ByWords = Annotated[
    bool, typer.Option("--by-words", help="Compare words only: sooner the first time in a very large pool.")
]
Ask = Annotated[
    bool, typer.Option("--ask", help="Ask people about the texts found, first in the round under way.")
]


def similar(
    project: ProjectFolder,
    text: Wanted,
    top: Annotated[int, typer.Option(min=1, help="How many texts to show at most.")] = 20,
    labelled: Labelled = False,
    by_words: ByWords = False,
    ask: Ask = False,
    as_json: AsJson = False,
) -> None:
    """Find the texts of the pool that mean nearly the same, as for more examples of a rare label.

    By sentence vectors where the extra `vectors` is installed, else by the words in common. Held-out and dev
    texts are never shown.
    """
    from annoloop.project import Project
    from annoloop.steps.similar import similar as find

    opened = Project.open(project)
    with narrating(to_stderr=True) as narrator:
        found = find(
            opened,
            text,
            top=top,
            labelled=labelled,
            by_words=by_words,
            ask=ask,
            on_progress=narrator.progress,
        )
        if found.by == "words" and not by_words:
            narrator.say("note: compared by words alone; by meaning with: pip install 'annoloop[vectors]'")
    if as_json:
        print_json(found.to_json())
        return
    for one in found.to_json()["found"]:
        labels = f"  [{', '.join(one['labels'])}]" if one["labels"] else ""
        typer.echo(f"{one['closeness']:.2f}{labels}  {' '.join(one['text'].split())[:100]}")
    typer.echo(f"{len(found.found)} of {found.looked_at} texts, by {found.by}")
    if found.asked_in is not None:
        typer.echo(f"asked first in round {found.asked_in}: annoloop review {opened.folder}")
