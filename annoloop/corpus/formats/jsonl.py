"""JSON Lines (an object a line) and JSON (one array of objects)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from annoloop.corpus.formats.records import Broken, Record, lone_surrogate, read_lines
from annoloop.errors import FormatError

_SURROGATE_HINT = "the other tool cut an emoji in two; export the row again"


def read_jsonl(path: Path) -> Iterator[Record | Broken]:
    """Yield a record for every line that is not blank; a line that is no JSON object is `Broken`.

    Raises:
        FormatError: the file cannot be decoded.
    """
    for number, line in read_lines(path):
        if not line.strip():
            continue
        try:
            value = json.loads(line)
        except json.JSONDecodeError as error:
            reason = f"not JSON: {error.msg} at column {error.colno}"
            hint = (
                "this is one JSON array: name the file .json" if line.strip() == "[" else "one object a line"
            )
            yield Broken(number, reason, hint)
        except (ValueError, RecursionError) as error:
            yield Broken(number, f"not JSON that can be read: {error}", "one object a line")
        else:
            yield _record(number, value, may_hold_surrogate="\\u" in line)


def read_json(path: Path) -> Iterator[Record | Broken]:
    """Yield the objects of one JSON array; their "line" is their number, from 1.

    Raises:
        FormatError: the file is not a JSON array.
    """
    text = "".join(line for _, line in read_lines(path))
    if not text.strip():
        return
    try:
        values = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise FormatError(
            f"{path}: not JSON: {error}", hint="for one object a line, name it .jsonl"
        ) from error
    if not isinstance(values, list):
        raise FormatError(f"{path}: a JSON {type(values).__name__}", hint="an array of objects is expected")
    for number, value in enumerate(values, start=1):
        yield _record(number, value, may_hold_surrogate=True)


def _record(number: int, value: Any, *, may_hold_surrogate: bool) -> Record | Broken:
    if not isinstance(value, dict):
        return Broken(number, f"a JSON {type(value).__name__}, not an object", 'write {"text": "..."}')
    if may_hold_surrogate and (found := lone_surrogate(value)):
        return Broken(number, f"the row holds {found}", _SURROGATE_HINT)
    return Record(number, value)
