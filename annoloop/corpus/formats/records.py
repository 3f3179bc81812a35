"""What every format yields: a record of fields, or a broken place; and how a file's bytes become lines."""

from __future__ import annotations

import codecs
import io
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from annoloop.errors import FormatError

_BOMS = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_ENCODING_HINT = (
    "expected is UTF-8 (UTF-16 with a byte order mark is read too); save it as UTF-8: in Excel "
    "as CSV UTF-8, in a terminal with iconv -f WINDOWS-1252 -t UTF-8 OLD > NEW"
)


@dataclass(frozen=True, slots=True)
class Record:
    """One object of a file and where it starts: a line, or for files without lines the object's number."""

    line: int
    fields: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Broken:
    """A place of a file that is no record: why, and what to do about it."""

    line: int
    reason: str
    hint: str = ""


def read_lines(path: Path) -> Iterator[tuple[int, str]]:
    """Yield (line number from 1, line with its line end). Only LF ends a line, so U+2028 stays inside.

    Raises:
        FormatError: the file is missing, a folder, or not in UTF-8 (or UTF-16/32 with a byte order mark).
    """
    encoding = _encoding(path)
    if encoding in ("utf-16", "utf-32"):
        yield from enumerate(_decode_wide(path, encoding), start=1)
        return
    offset = 0
    with path.open("rb") as file:
        for number, raw in enumerate(file, start=1):
            content = raw[3:] if number == 1 and encoding == "utf-8-sig" else raw
            try:
                line = content.decode("utf8")
            except UnicodeDecodeError as error:
                at = offset + len(raw) - len(content) + error.start
                raise FormatError(
                    f"{path}, line {number}: byte {at} (0x{content[error.start]:02x}) is not UTF-8",
                    hint=_ENCODING_HINT,
                ) from error
            yield number, line
            offset += len(raw)


def _decode_wide(path: Path, encoding: str) -> list[str]:
    try:
        text = path.read_bytes().decode(encoding)
    except UnicodeDecodeError as error:
        where = f"{path}: byte {error.start} is not {encoding.upper()}"
        raise FormatError(where, hint=_ENCODING_HINT) from error
    return list(io.StringIO(text, newline="\n"))


def _encoding(path: Path) -> str:
    if path.is_dir():
        raise FormatError(f"{path} is a folder", hint="give the files in it one by one, or with a wildcard")
    try:
        with path.open("rb") as file:
            head = file.read(4096)
    except OSError as error:
        raise FormatError(f"{path} cannot be read: {error.strerror}", hint="check the path") from error
    for mark, encoding in _BOMS:
        if head.startswith(mark):
            return encoding
    if head.count(b"\0") > len(head) // 4:
        reason = (
            f"{path}, line 1: every second byte is 0: UTF-16 without a byte order mark, or no text at all"
        )
        raise FormatError(reason, hint=_ENCODING_HINT)
    return "utf-8"


def lone_surrogate(value: Any) -> str | None:
    """Say where a value holds half of a surrogate pair, which no file or database in UTF-8 can hold."""
    try:
        json.dumps(value, ensure_ascii=False, default=str).encode("utf8")
    except UnicodeEncodeError as error:
        return f"half a surrogate pair (U+{ord(error.object[error.start]):04X})"
    return None
