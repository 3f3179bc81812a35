"""Plain text: a line a text, or a file a text."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from annoloop.corpus.formats.records import Record, read_lines


def read_txt(path: Path, *, one_text_per: str = "line") -> Iterator[Record]:
    """Yield {"text"} a line that is not blank, or one for the whole file; the last line end is no part of it.

    Raises:
        FormatError: the file cannot be decoded.
    """
    if one_text_per == "file":
        text = _without_line_end("".join(line for _, line in read_lines(path)))
        if text.strip():
            yield Record(1, {"text": text, "meta": {"file": path.name}})
        return
    for number, line in read_lines(path):
        text = _without_line_end(line)
        if text.strip():
            yield Record(number, {"text": text})


def _without_line_end(line: str) -> str:
    return line.removesuffix("\n").removesuffix("\r")
