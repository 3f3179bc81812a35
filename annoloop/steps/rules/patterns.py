"""The project's file of patterns, changed line by line: added to, and switched off and on again."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from annoloop.errors import FormatError
from annoloop.project import Project
from annoloop.rules.matcher import read_pattern

_WAIT = 10.0


def pattern_lines(project: Project) -> dict[int, str]:
    """The lines of the file that hold patterns, by their number from 1."""
    return {number: line for number, line in enumerate(_lines(project.patterns), 1) if line.strip()}


def switched_off(project: Project) -> tuple[str, ...]:
    """The lines that were switched off, oldest first."""
    return tuple(line for line in _lines(off_file(project)) if line.strip())


def off_file(project: Project) -> Path:
    """Where patterns go that are switched off: beside the others, `patterns.off.jsonl`."""
    return project.patterns.with_suffix(f".off{project.patterns.suffix}")


def add_pattern(project: Project, line: str) -> bool:
    """Append a pattern, checked; False where it stands there already.

    Raises:
        FormatError: it is no pattern of this project, or the file cannot be written.
    """
    with _locked(project):
        return _add(project, line)


def _add(project: Project, line: str) -> bool:
    line = line.strip()
    folder = project.patterns.parent
    read_pattern(line, scheme=project.scheme, lang=project.settings.project.lang, folder=folder)
    lines = _lines(project.patterns)
    if any(_same(line, other) for other in lines):
        return False
    _write(project.patterns, [*lines, line])
    return True


@contextmanager
def _locked(project: Project) -> Iterator[None]:
    """Whoever changes the file waits for the other: two that read before either writes would lose a line."""
    from filelock import FileLock, Timeout

    path = project.patterns.with_name(f".{project.patterns.name}.lock")
    try:
        with FileLock(path, timeout=_WAIT):
            yield
    except Timeout:
        raise FormatError(
            f"{project.patterns}: somebody else has been changing it for {_WAIT:g} s",
            hint="try again",
        ) from None
    except OSError as error:
        raise FormatError(f"{path} cannot be written: {error.strerror}", hint="check the folder") from error


def switch_off(project: Project, line: str) -> None:
    """Take a pattern out of the file and keep it beside.

    Raises:
        FormatError: the file holds no such line any more, or cannot be written.
    """
    with _locked(project):
        lines = _lines(project.patterns)
        kept = [other for other in lines if not _same(line, other)]
        if len(kept) == len(lines):
            raise FormatError(f"{project.patterns}: it no longer holds this pattern", hint="reload the page")
        off = [other for other in _lines(off_file(project)) if not _same(line, other)]
        # Written first: a pattern may stand in both for a moment, never in none.
        _write(off_file(project), [*off, line.strip()])
        _write(project.patterns, kept)


def switch_on(project: Project, line: str) -> None:
    """Put a pattern back, at the end of the file.

    Raises:
        FormatError: it no longer fits the project, or a file cannot be written.
    """
    with _locked(project):
        _add(project, line)
        _write(off_file(project), [other for other in _lines(off_file(project)) if not _same(line, other)])


def _same(left: str, right: str) -> bool:
    try:
        return bool(json.loads(left) == json.loads(right))
    except ValueError:
        return left.strip() == right.strip()


def _lines(path: Path) -> list[str]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        return []
    except (OSError, UnicodeDecodeError) as error:
        raise FormatError(f"{path} cannot be read: {error}", hint="save it as UTF-8") from error
    return [line.rstrip("\r") for line in text.rstrip().split("\n")] if text.strip() else []


def _write(path: Path, lines: Sequence[str]) -> None:
    partial = path.with_name(f".{path.name}.partial")
    text = "\n".join(lines).strip("\n")
    try:
        with partial.open("w", encoding="utf8", newline="\n") as file:
            file.write(text + "\n" if text else "")
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    except OSError as error:
        raise FormatError(f"{path} cannot be written: {error.strerror}", hint="check the folder") from error
