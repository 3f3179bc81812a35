"""An LLM's answers made elsewhere, taken as results like those of our own runs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from annoloop.corpus.read import BadRow, read_rows
from annoloop.errors import FormatError
from annoloop.hashing import input_hash
from annoloop.llm.answers import LLMResult
from annoloop.types import Example, Kind, LabelScheme

_NOTHING: Mapping[Kind, str] = {
    "ner": '"spans": [] says that there is nothing to mark; ',
    "spancat": '"spans": [] says that there is nothing to mark; ',
    "textcat": "",
    "textcat_multilabel": '"labels": [] says that it has none of the categories; ',
}


def import_answers(
    path: str | Path,
    examples: Iterable[Example],
    *,
    scheme: LabelScheme,
    lang: str = "en",
    text_column: str | None = None,
    label_column: str | None = None,
    skip_bad: bool = False,
) -> Iterator[LLMResult]:
    """Read an LLM's answers from a file of labelled texts; rows belong to the examples by their text.

    A row holds "text" with "spans" or "label" as in any file of labels, and may hold "prompt_tokens",
    "completion_tokens", "cost" (money for this text) and "milliseconds", at the top or in "meta". Spans may
    lie off token borders: they are what the LLM said. Of several rows for one text the last one counts;
    rows of other texts are passed over, with `skip_bad` broken ones too.

    Raises:
        FormatError: a row is broken, or has no labels; its line is named and nothing has been yielded.
    """
    wanted = {example.input_hash for example in examples}
    results: dict[str, LLMResult] = {}
    rows = read_rows(
        path,
        scheme=scheme,
        lang=lang,
        text_column=text_column,
        label_column=label_column,
        borders=False,
    )
    for row in rows:
        if isinstance(row, BadRow):
            if skip_bad:
                continue
            raise FormatError(f"{row.path}, line {row.line}: {row.reason}", hint=row.hint)
        key = input_hash(row.text)
        if key not in wanted:
            continue
        if row.annotation is None:
            raise FormatError(
                f"{path}, line {row.line}: the text has no labels",
                hint=f"{_NOTHING[scheme.kind]}leave unanswered texts out",
            )
        told = {**row.meta, **row.foreign}
        results[key] = LLMResult(
            input_hash=key,
            status="ok",
            annotation=row.annotation,
            prompt_tokens=_count(told, "prompt_tokens"),
            completion_tokens=_count(told, "completion_tokens"),
            cost=_number(told, "cost"),
            milliseconds=_count(told, "milliseconds") or 0,
            cached=True,
        )
    yield from results.values()


def _number(told: Mapping[str, Any], name: str) -> float | None:
    value = told.get(name)
    known = isinstance(value, int | float) and not isinstance(value, bool) and value >= 0
    return float(value) if known else None  # type: ignore[arg-type]


def _count(told: Mapping[str, Any], name: str) -> int | None:
    value = _number(told, name)
    return None if value is None else round(value)
