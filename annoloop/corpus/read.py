"""Read a file of texts, with or without labels, row by row: good rows and bad ones."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from annoloop.corpus.formats.delimited import read_delimited
from annoloop.corpus.formats.docbin import read_docbin
from annoloop.corpus.formats.jsonl import read_json, read_jsonl
from annoloop.corpus.formats.records import Broken, Record
from annoloop.corpus.formats.tasks import Reading, foreign_keys, read_task
from annoloop.corpus.formats.txt import read_txt
from annoloop.corpus.spacy_io import LONGEST_TEXT, off_token_borders
from annoloop.corpus.tokenizer import blank
from annoloop.errors import FormatError, SchemeError
from annoloop.types import Annotation, LabelScheme, Verdict

SUFFIXES = (".jsonl", ".ndjson", ".json", ".csv", ".tsv", ".txt", ".spacy")
LONGEST_SYMBOL_RUN = 1_000
"""spaCy takes symbols off a word one by one, in quadratic time: 20,000 emoji in a row took 100 s."""

_SYMBOL_RUN = re.compile(rf"[^\w\s]{{{LONGEST_SYMBOL_RUN + 1}}}")
_NOTHING = Reading(None, None, complete=False)

BorderCheck = Callable[[str, Annotation], None]


@dataclass(frozen=True, slots=True)
class Row:
    """One text of a file and what the file says about it.

    `annotation` None: the row has no labels. `complete` False: the annotation is only a part of the
    truth (a binary task), or with verdict reject what is not so. `foreign` holds what else the row
    carries, such as Prodigy's hashes, word for word.
    """

    line: int
    text: str
    meta: Mapping[str, Any] = field(default_factory=dict)
    annotation: Annotation | None = None
    verdict: Verdict | None = None
    annotator: str | None = None
    foreign: Mapping[str, Any] = field(default_factory=dict)
    complete: bool = False


@dataclass(frozen=True, slots=True)
class BadRow:
    """One row that cannot be taken as it is: where it stands, why, and what to do."""

    path: Path
    line: int
    reason: str
    hint: str = ""

    def __str__(self) -> str:
        return f"{self.path}, line {self.line}: {self.reason}" + (f" ({self.hint})" if self.hint else "")


def read_rows(
    path: str | Path,
    *,
    scheme: LabelScheme,
    text_column: str | None = None,
    label_column: str | None = None,
    one_text_per: Literal["line", "file"] = "line",
    lang: str = "en",
    labels: bool = True,
    borders: bool = True,
) -> Iterator[Row | BadRow]:
    """Yield every row of a file in order; the suffix names the format, see `SUFFIXES`.

    `labels` False takes the texts only and does not look at their labels. `borders` False takes spans
    off token borders as they are, instead of reporting the row. spaCy is loaded only where a
    row carries spans, to see that they lie on token borders of `lang`.

    Raises:
        FormatError: at once for a path or suffix that cannot be read; while reading for a wrong
            encoding, a missing column, or (at the end) a file without any text.
    """
    path = Path(path)
    records = _records(path, scheme, text_column, label_column, one_text_per, lang)
    check = _border_check(lang) if borders else _no_check
    return _rows(path, records, scheme, check, labels)


def _records(
    path: Path,
    scheme: LabelScheme,
    text_column: str | None,
    label_column: str | None,
    one_text_per: str,
    lang: str,
) -> Iterator[Record | Broken]:
    if path.is_dir():
        raise FormatError(f"{path} is a folder", hint="give the files in it one by one, or with a wildcard")
    if not path.exists():
        raise FormatError(f"{path} does not exist", hint="check the path")
    suffix = path.suffix.lower()
    if label_column is not None and scheme.has_spans:
        raise FormatError(
            f"{path}: a label column gives categories", hint=f"the project's kind is {scheme.kind}"
        )
    match suffix:
        case ".jsonl" | ".ndjson":
            return read_jsonl(path)
        case ".json":
            return read_json(path)
        case ".csv" | ".tsv":
            delimiter = "\t" if suffix == ".tsv" else None
            return read_delimited(
                path,
                delimiter=delimiter,
                text_column=text_column,
                label_column=label_column,
                take_label=not scheme.has_spans,
            )
        case ".txt":
            return read_txt(path, one_text_per=one_text_per)
        case ".spacy":
            return read_docbin(path, scheme=scheme, lang=lang)
    raise FormatError(
        f"{path}: unknown format {path.suffix!r}", hint=f"known suffixes: {', '.join(SUFFIXES)}"
    )


def _rows(
    path: Path, records: Iterator[Record | Broken], scheme: LabelScheme, check: BorderCheck, labels: bool
) -> Iterator[Row | BadRow]:
    empty = True
    for record in records:
        empty = False
        if isinstance(record, Broken):
            yield BadRow(path, record.line, record.reason, record.hint)
            continue
        try:
            yield _row(record, scheme, check, labels)
        except SchemeError as error:
            yield BadRow(path, record.line, error.message, error.hint)
    if empty:
        raise FormatError(f"{path} holds no texts", hint="is it the right file, and written to its end?")


def _row(record: Record, scheme: LabelScheme, check: BorderCheck, labels: bool) -> Row:
    fields = record.fields
    text = _text(fields)
    meta = fields.get("meta")
    reading = read_task(fields, text, scheme) if labels else _NOTHING
    if reading.annotation is not None and reading.annotation.spans:
        check(text, reading.annotation)
    annotator = fields.get("_annotator_id") or fields.get("_session_id")
    return Row(
        line=record.line,
        text=text,
        meta=meta if isinstance(meta, dict) else {} if meta is None else {"meta": meta},
        annotation=reading.annotation,
        verdict=reading.verdict,
        annotator=annotator if isinstance(annotator, str) else None,
        foreign=foreign_keys(fields),
        complete=reading.complete,
    )


def _text(fields: Mapping[str, Any]) -> str:
    text = fields.get("text")
    if text is None:
        known = ", ".join(fields) or "none"
        raise SchemeError(f'no "text"; the row\'s keys are: {known:.200}', hint='write {"text": "..."}')
    if not isinstance(text, str):
        raise SchemeError(f'"text" is a {type(text).__name__}, not a text', hint="put it in quotation marks")
    if not text.strip():
        raise SchemeError("the text is empty", hint="leave the row out")
    if "\0" in text:
        at = text.index("\0")
        raise SchemeError(
            f"the text holds a null byte at character {at}", hint="remove it: databases refuse it"
        )
    if len(text) > LONGEST_TEXT:
        reason = f"the text has {len(text):,} characters, spaCy takes {LONGEST_TEXT:,}"
        raise SchemeError(reason, hint="split it into paragraphs")
    # The length first: a regular expression over every short text would be the slowest step of reading.
    if len(text) > LONGEST_SYMBOL_RUN and (run := _SYMBOL_RUN.search(text)) is not None:
        reason = (
            f"more than {LONGEST_SYMBOL_RUN} symbols without a letter or blank from character {run.start()}"
        )
        raise SchemeError(reason, hint="shorten them: spaCy's tokenizer would take minutes")
    return text


def _no_check(text: str, annotation: Annotation) -> None:
    """Take spans wherever they lie."""


def _border_check(lang: str) -> BorderCheck:
    """Make a check that loads the language's tokenizer with the first annotation it gets."""
    loaded: list[Any] = []

    def check(text: str, annotation: Annotation) -> None:
        if not loaded:
            loaded.append(blank(lang))
        for problem in off_token_borders(loaded[0], text, annotation):
            span, near = problem.span, problem.nearest
            hint = (
                f"the nearest token borders are {near.start}-{near.end} {text[near.start : near.end]!r:.80}: "
                "set the span's start and end to them"
                if near
                else ""
            )
            raise SchemeError(
                f"span {span.start}-{span.end} {text[span.start : span.end]!r:.80} ({span.label}) "
                f"{problem.reason}",
                hint=hint or "mark at least one word",
            )

    return check
