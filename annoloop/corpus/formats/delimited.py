"""CSV and TSV: a header line, a text a row, optionally a category; all other columns become meta."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

from annoloop.corpus.formats.records import Broken, Record, read_lines
from annoloop.errors import FormatError

_LONGEST_FIELD = 2**31 - 1
_LABEL_COLUMNS = ("label", "labels")


def read_delimited(
    path: Path,
    *,
    delimiter: str | None = None,
    text_column: str | None = None,
    label_column: str | None = None,
    take_label: bool = True,
) -> Iterator[Record | Broken]:
    """Yield {"text", "label"?, "meta"} a row, with the line on which the row starts.

    `delimiter` None takes a semicolon where the header has one and no comma, else a comma. The text
    column is by default the one called text, the label column the one called label, in any case;
    without `take_label` a label is meta like any other column.

    Raises:
        FormatError: no such column, or the file cannot be decoded.
    """
    reader = _reader(path, delimiter)
    if reader is None:
        return
    columns = [name.strip() for name in next(reader)]
    text_at = _column(path, columns, text_column, "text", "--text-column")
    label_at = _optional_column(path, columns, label_column) if take_label else None
    for line, row in _rows(reader):
        if isinstance(row, Broken):
            yield row
        elif not row:
            continue
        elif len(row) != len(columns):
            reason = f"{len(row)} fields where the header has {len(columns)}"
            yield Broken(line, reason, "put a text with separators, quotes or line ends in double quotes")
        else:
            meta = {
                c: v
                for i, (c, v) in enumerate(zip(columns, row, strict=True))
                if i not in (text_at, label_at)
            }
            fields = {"text": row[text_at], "meta": meta}
            if label_at is not None:
                fields["label"] = row[label_at].strip()
            yield Record(line, fields)


def read_columns(path: Path) -> tuple[str, ...]:
    """The names of the columns, as the header says; none of an empty file.

    Raises:
        FormatError: the file cannot be decoded, or its first line is no header.
    """
    reader = _reader(path, "\t" if path.suffix.lower() == ".tsv" else None)
    try:
        return tuple(name.strip() for name in next(reader)) if reader else ()
    except csv.Error as error:
        raise FormatError(f"{path}, line 1: not CSV: {error}", hint="the first line names columns") from None


def _reader(path: Path, delimiter: str | None) -> csv._reader | None:  # type: ignore[name-defined]
    lines = (line for _, line in read_lines(path))
    first = next(lines, "")
    if not first.strip():
        return None
    delimiter = delimiter or (";" if ";" in first and "," not in first else ",")
    csv.field_size_limit(_LONGEST_FIELD)
    return csv.reader(chain([first], lines), delimiter=delimiter, strict=True)


def _rows(reader: csv._reader) -> Iterator[tuple[int, list[str] | Broken]]:  # type: ignore[name-defined]
    while True:
        start = reader.line_num + 1
        try:
            yield start, next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield start, Broken(start, f"not CSV: {error}", "look for a quotation mark that is not closed")


def _column(path: Path, columns: list[str], wanted: str | None, default: str, option: str) -> int:
    name = wanted or default
    if name in columns:
        return columns.index(name)
    lowered = [column.lower() for column in columns]
    if name.lower() in lowered:
        return lowered.index(name.lower())
    raise FormatError(
        f"{path}, line 1: no column called {name!r}; its columns are: {', '.join(columns)}",
        hint=f"name the column with {option}",
    )


def _optional_column(path: Path, columns: list[str], wanted: str | None) -> int | None:
    lowered = {column.lower() for column in columns}
    default = next((name for name in _LABEL_COLUMNS if name in lowered), None)
    if wanted is None and default is None:
        return None
    return _column(path, columns, wanted, default or _LABEL_COLUMNS[0], "--label-column")
