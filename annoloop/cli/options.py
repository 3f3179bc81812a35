"""Arguments that several commands share, so that they say the same words."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

ProjectFolder = Annotated[Path, typer.Argument(metavar="PROJECT", help="The project folder.")]
AsJson = Annotated[
    bool, typer.Option("--json", help="Print one JSON object on standard output and nothing else.")
]
SkipBad = Annotated[
    bool, typer.Option("--skip-bad", help="Leave bad rows out, named, instead of refusing the files.")
]
