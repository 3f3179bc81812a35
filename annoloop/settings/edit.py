"""Changing annoloop.cfg: single values, the user's comments and everything else left as they are."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from annoloop.errors import SettingsError
from annoloop.settings.load import FILE_NAME, load_settings, read_config
from annoloop.settings.schema import Settings

_SECTION = re.compile(r"^\[([^\]\n]+)\]\s*$")


def edit_settings(folder: Path, values: Mapping[str, Mapping[str, Any]]) -> None:
    """Set values of the project's annoloop.cfg: `{"project": {"labels": [...]}}`; None takes a key out.

    A whole section is put in place of what it held with `{"project.renamed": {...}}` and the key `*`
    mapped to None first: `{"*": None, "HUMAN": "PERSON"}`.

    Raises:
        SettingsError: the file would no longer be right; it is as it was then.
    """
    path = folder / FILE_NAME
    load_settings(folder)
    lines = _edited(path, values)
    partial = folder / f".{FILE_NAME}.partial"
    trial = folder / f".{FILE_NAME}.trial"
    trial.mkdir(exist_ok=True)
    try:
        _write(trial / FILE_NAME, lines)
        load_settings(trial)
        _require(trial / FILE_NAME, values)
        _write(partial, lines)
        partial.replace(path)
    except SettingsError as error:
        raise SettingsError(
            error.message.replace(str(trial / FILE_NAME), str(path)), hint=error.hint
        ) from None
    except OSError as error:
        raise SettingsError(f"{path} cannot be written: {error.strerror}", hint="check the folder") from error
    finally:
        (trial / FILE_NAME).unlink(missing_ok=True)
        trial.rmdir()
        partial.unlink(missing_ok=True)


def settings_with(folder: Path, values: Mapping[str, Mapping[str, Any]]) -> Settings:
    """The project's settings as they would be after `edit_settings`; the file stays as it is.

    Raises:
        SettingsError: they would not be right.
    """
    path = folder / FILE_NAME
    load_settings(folder)
    with TemporaryDirectory() as aside:
        trial = Path(aside) / FILE_NAME
        try:
            _write(trial, _edited(path, values))
            settings = load_settings(folder, file=trial)
            _require(trial, values)
        except SettingsError as error:
            raise SettingsError(error.message.replace(str(trial), str(path)), hint=error.hint) from None
    return settings


def _edited(path: Path, values: Mapping[str, Mapping[str, Any]]) -> list[str]:
    # splitlines() would also break a text at U+2028, which comes with what is pasted.
    lines = path.read_text(encoding="utf-8-sig").removesuffix("\n").split("\n")
    for section, keys in values.items():
        for key, value in keys.items():
            lines = _cleared(lines, section) if key == "*" else _with(lines, section, key, value)
    return lines


def _write(path: Path, lines: Sequence[str]) -> None:
    with path.open("w", encoding="utf8", newline="\n") as file:
        file.write("\n".join(lines) + "\n")
        file.flush()
        os.fsync(file.fileno())


def _require(path: Path, values: Mapping[str, Mapping[str, Any]]) -> None:
    """Read back what was written: a key that the format understands otherwise must not pass."""
    written: Any = read_config(path)
    for section, keys in values.items():
        found = written
        for part in section.split("."):
            found = found.get(part, {})
        for key, value in keys.items():
            if key != "*" and found.get(key) != value:
                raise SettingsError(
                    f"{path}: {section} -> {key} cannot be changed here", hint="edit the file by hand"
                )


def _with(lines: Sequence[str], section: str, key: str, value: Any) -> list[str]:
    line = [] if value is None else [f"{key} = {json.dumps(value, ensure_ascii=False)}"]
    block = _block(lines, section)
    if block is None:
        at = _before_below(lines, section)
        return (
            [*lines[:at], "", f"[{section}]", *line, *_gap(lines, at), *lines[at:]] if line else list(lines)
        )
    first, end = block
    for at in range(first, end):
        if re.match(rf"{re.escape(key)}\s*[=:]", lines[at]):
            return [*lines[:at], *line, *lines[_value_end(lines, at, end) :]]
    while end > first and not lines[end - 1].strip():
        end -= 1
    return [*lines[:end], *line, *lines[end:]]


def _before_below(lines: Sequence[str], section: str) -> int:
    """Where a new section goes: to the end, or above the first that lies below it, with its comments."""
    headers = [at for at, line in enumerate(lines) if line.startswith(f"[{section}.")]
    at = headers[0] if headers else len(lines)
    while headers and at and lines[at - 1].startswith(("#", ";")):
        at -= 1
    return at


def _gap(lines: Sequence[str], at: int) -> list[str]:
    return [""] if at < len(lines) else []


def _cleared(lines: Sequence[str], section: str) -> list[str]:
    """The lines without the values of a section; its comments stay."""
    block = _block(lines, section)
    if block is None:
        return list(lines)
    kept: list[str] = []
    at, end = block
    while at < end:
        if not lines[at].strip() or lines[at].lstrip().startswith(("#", ";")):
            kept.append(lines[at])
            at += 1
        else:
            at = _value_end(lines, at, end)
    return [*lines[: block[0]], *kept, *lines[end:]]


def _block(lines: Sequence[str], section: str) -> tuple[int, int] | None:
    """From the line behind a section's header to the next header."""
    headers = [(at, found[1]) for at, line in enumerate(lines) if (found := _SECTION.match(line))]
    for place, (at, name) in enumerate(headers):
        if name == section:
            return at + 1, headers[place + 1][0] if place + 1 < len(headers) else len(lines)
    return None


def _value_end(lines: Sequence[str], at: int, end: int) -> int:
    """The line behind a value: lists may go on over indented lines."""
    last = at + 1
    for place in range(at + 1, end):
        if lines[place][:1] not in (" ", "\t"):
            break
        if lines[place].strip():
            last = place + 1
    return last
