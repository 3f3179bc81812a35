"""Gold taken out of a project as a file, for a download."""

from __future__ import annotations

import csv
import io
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from annoloop.corpus.write import write_docbin, write_jsonl
from annoloop.errors import FormatError
from annoloop.project import Project
from annoloop.types import Gold, Split

Format = Literal["jsonl", "csv", "spacy"]


def formats(project: Project) -> tuple[Format, ...]:
    """The formats that can hold this project's gold: a table holds categories, no spans."""
    return ("jsonl", "spacy") if project.scheme.has_spans else ("jsonl", "csv", "spacy")


def gold_of(project: Project, splits: Sequence[Split]) -> tuple[Gold, ...]:
    """The complete gold of these splits."""
    by_split = {"pool": project.pool_gold, "dev": project.dev_gold, "held_out": project.held_out_gold}
    return tuple(item for split in splits for item in by_split[split]() if item.complete)


def gold_file(project: Project, form: Format, splits: Sequence[Split]) -> bytes:
    """The gold of these splits as one file: Prodigy's JSONL, CSV in UTF-8 for spreadsheets, or a DocBin.

    Raises:
        FormatError: there is no gold, or the format cannot hold it.
    """
    gold = gold_of(project, splits)
    if not gold:
        raise FormatError("no text of these has a final answer yet", hint="label some first")
    if form not in formats(project):
        raise FormatError(f"{form} holds no spans", hint="take jsonl")
    lang = project.settings.project.lang
    if form == "csv":
        return _table(gold).encode("utf-8-sig")
    with tempfile.TemporaryDirectory(prefix="annoloop-export-") as folder:
        path = Path(folder) / f"gold.{form}"
        if form == "jsonl":
            write_jsonl(path, gold, project.scheme, lang=lang)
        else:
            write_docbin(path, gold, project.scheme, lang=lang)
        return path.read_bytes()


def _table(gold: Sequence[Gold]) -> str:
    file = io.StringIO(newline="")
    writer = csv.writer(file)
    writer.writerow(["text", "label"])
    writer.writerows([item.example.text, "|".join(item.annotation.labels)] for item in gold)
    return file.getvalue()
