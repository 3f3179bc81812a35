"""From an empty folder to the first batch, as the start page asks for it; no Streamlit in here."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Literal

from annoloop.corpus.formats.delimited import read_columns
from annoloop.corpus.read import SUFFIXES, BadRow, Row, read_rows
from annoloop.errors import FormatError, SchemeError
from annoloop.project import Project
from annoloop.settings.edit import edit_settings
from annoloop.settings.load import FILE_NAME
from annoloop.steps.add import Added, Reading, add
from annoloop.steps.labels import change_labels, label_problem
from annoloop.types import LabelScheme

PREVIEW_ROWS = 5
ENCODINGS = ("utf-8", "cp1252", "mac_roman")
"""How a file's bytes may be meant; spreadsheets on Windows still write the second."""

Problem = Literal["no_label", "one_label", "blank", "long", "twice", "character", "kind"]


@dataclass(frozen=True, slots=True)
class Wish:
    """What somebody wants to find: each label with what it means, in the order shown."""

    kind: str
    labels: tuple[tuple[str, str], ...]
    lang: str = "en"
    name: str = ""


@dataclass(frozen=True, slots=True)
class Preview:
    """A file as it would be taken: its columns (of a table), its first texts, and what cannot be taken.

    `broken` is the error that keeps the whole file out, `hint` what to do about it; `needs_encoding` says
    that its bytes are not UTF-8, so that somebody must say what they are.
    """

    columns: tuple[str, ...] = ()
    text_column: str | None = None
    rows: tuple[Row, ...] = ()
    total: int = 0
    labelled: int = 0
    bad: tuple[BadRow, ...] = ()
    broken: str = ""
    hint: str = ""
    needs_encoding: bool = False


@dataclass(frozen=True, slots=True)
class Outlook:
    """How many texts go where, and what that means: `verdict` needs `least` texts to judge by."""

    learn: int
    choose: int
    judge: int
    least: int

    @property
    def can_begin(self) -> bool:
        """Whether there are texts of each sort: without them the loop asks nobody anything."""
        return min(self.learn, self.choose, self.judge) > 0

    @property
    def verdict(self) -> bool:
        """Whether there are enough texts for a verdict on the model."""
        return self.judge >= self.least


def problems(wish: Wish, made: Project | None = None) -> list[tuple[Problem, str]]:
    """What must be mended before the wish can be kept, each with the label or character it is about."""
    names = [name.strip() for name, _ in wish.labels]
    found: list[tuple[Problem, str]] = []
    if not names:
        found.append(("no_label", ""))
    elif wish.kind == "textcat" and len(set(names)) < 2:
        found.append(("one_label", names[0]))
    for name in dict.fromkeys(names):
        wrong = label_problem(name)
        if wrong == "blank":
            found.append(("blank", name))
        elif wrong == "long":
            found.append(("long", name))
        elif wrong:
            found.append(("character", wrong))
        if name and names.count(name) > 1:
            found.append(("twice", name))
    if made is not None and made.scheme.kind != wish.kind and made.store.answer_count():
        found.append(("kind", made.scheme.kind))
    return found


def begin(folder: Path, wish: Wish, *, renamed: Mapping[str, str] | None = None) -> Project:
    """Make the project that is wished for, or change the one that is there; all or nothing.

    `renamed` maps labels that the project has to those of the wish that stand for them from now on.
    Answers are kept whatever changes: those to a label that is gone do not count any more.

    Raises:
        SchemeError, SettingsError: see `problems`; nothing was written then.
    """
    made = Project.open(folder) if _is_open(folder) else None
    for problem, about in problems(wish, made):
        raise SchemeError(f"{problem.replace('_', ' ')}: {about!r}", hint="mend it and try again")
    labels = [name.strip() for name, _ in wish.labels]
    definitions = {name.strip(): text.strip() for name, text in wish.labels if text.strip()}
    name = wish.name.strip() or folder.resolve().name
    section = {"kind": wish.kind, "lang": wish.lang, "name": name}
    if made is not None:
        return change_labels(made, labels, renamed=renamed, definitions=definitions, section=section)
    if (folder / FILE_NAME).exists():
        edit_settings(
            folder,
            {"project": {**section, "labels": labels}, "project.definitions": {"*": None, **definitions}},
        )
        return Project.open(folder)
    return Project.create(
        folder, kind=wish.kind, labels=labels, lang=wish.lang, name=name, definitions=definitions
    )


def _is_open(folder: Path) -> bool:
    if not (folder / FILE_NAME).exists():
        return False
    try:
        Project.open(folder)
    except SchemeError:  # A project that has no labels yet.
        return False
    return True


@contextmanager
def received(name: str, content: bytes, *, encoding: str = "utf-8") -> Iterator[Path]:
    """An uploaded file on disk while the block runs, its text in UTF-8.

    Raises:
        FormatError: its suffix is none that can be read, or its bytes are not in that encoding.
    """
    suffix = Path(name).suffix.lower()
    if suffix not in SUFFIXES:
        hint = "in the spreadsheet: File, Save as, CSV UTF-8" if suffix in (".xlsx", ".xls", ".ods") else ""
        raise FormatError(f"{Path(name).name}: unknown format {suffix!r}", hint=hint or ", ".join(SUFFIXES))
    if encoding != "utf-8":
        try:
            content = content.decode(encoding).encode("utf8")
        except UnicodeDecodeError as error:
            raise FormatError(f"{Path(name).name} is not {encoding}: byte {error.start}") from None
    folder = Path(tempfile.mkdtemp(prefix="annoloop-upload-"))
    path = folder / f"upload{suffix}"
    try:
        path.write_bytes(content)
        yield path
    except FormatError as error:
        raise FormatError(error.message.replace(str(path), Path(name).name), hint=error.hint) from None
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def preview(
    name: str, content: bytes, project: Project, reading: Reading | None = None, *, encoding: str = "utf-8"
) -> Preview:
    """How a file would be taken; never raises for what is wrong with the file."""
    reading = reading or Reading()
    columns: tuple[str, ...] = ()
    try:
        with received(name, content, encoding=encoding) as path:
            if path.suffix in (".csv", ".tsv"):
                columns = read_columns(path)
                reading = replace(reading, text_column=reading.text_column or _texts_in(path, columns))
            return _previewed(path, columns, reading, project)
    except FormatError as error:
        needs = encoding == "utf-8" and "is not UTF-8" in error.message
        return Preview(
            columns, reading.text_column, broken=error.message, hint=error.hint, needs_encoding=needs
        )


def _previewed(path: Path, columns: tuple[str, ...], reading: Reading, project: Project) -> Preview:
    rows: list[Row] = []
    bad: list[BadRow] = []
    total = labelled = 0
    found = read_rows(
        path,
        scheme=project.scheme,
        text_column=reading.text_column,
        label_column=reading.label_column,
        one_text_per=reading.one_text_per,
        lang=project.settings.project.lang,
    )
    for row in found:
        if isinstance(row, BadRow):
            bad.append(row)
            continue
        total += 1
        labelled += row.annotation is not None and row.complete
        if len(rows) < PREVIEW_ROWS:
            rows.append(row)
    return Preview(columns, reading.text_column, tuple(rows), total, labelled, tuple(bad))


def _texts_in(path: Path, columns: Sequence[str]) -> str:
    """The column that holds the texts, as far as its name or its length says so."""
    called = {column.lower(): column for column in columns}
    if "text" in called:
        return called["text"]
    scheme = LabelScheme("textcat", ())
    lengths: Mapping[str, int] = {
        column: sum(
            len(row.text)
            for row in islice(read_rows(path, scheme=scheme, text_column=column, labels=False), 50)
            if isinstance(row, Row)
        )
        for column in columns
    }
    return max(lengths, key=lambda column: lengths[column], default="")


def take(
    project: Project,
    name: str,
    content: bytes,
    reading: Reading | None = None,
    *,
    encoding: str = "utf-8",
    gold: bool = False,
    blind: bool = False,
) -> Added:
    """Add an uploaded file's texts; rows that cannot be taken are left out and named in what is returned.

    Raises:
        FormatError: the file as a whole cannot be read, or has no label where `gold` is asked for.
        StoreError: a command is at work on the project.
    """
    with received(name, content, encoding=encoding) as path, project.exclusive("add texts"):
        reading = reading or Reading()
        if path.suffix in (".csv", ".tsv"):
            column = reading.text_column or _texts_in(path, read_columns(path))
            reading = replace(reading, text_column=column)
        return add(project, [path], reading=reading, gold=gold, blind=blind, skip_bad=True)


def outlook(project: Project, more: int = 0) -> Outlook:
    """Where the project's texts went; `more` texts that are not in yet are shared out by the settings."""
    counts, shares = project.store.example_counts(), project.settings.corpus
    judge, choose = round(more * shares.held_out), round(more * shares.dev)
    return Outlook(
        learn=counts["pool"] + more - judge - choose,
        choose=counts["dev"] + choose,
        judge=counts["held_out"] + judge,
        least=project.settings.gate.min_texts,
    )
