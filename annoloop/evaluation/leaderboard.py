"""The leaderboard: rules, LLM and model on the same held-out texts, side by side."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from annoloop.evaluation.scores import scores_to_json
from annoloop.types import LabelScheme, LeaderboardRow

_CHEAPEST_FIRST = {"rules": 0, "model": 1, "llm": 2}


class Throughput(NamedTuple):
    """Texts a second and words a second; a word is what whitespace separates."""

    texts_per_second: float
    words_per_second: float


def throughput(predict: Callable[[list[str]], Iterable[Any]], texts: Sequence[str]) -> Throughput | None:
    """How fast `predict` gets through the texts; None where there are none.

    One text goes through first, unmeasured, so that loading is not counted.
    """
    if not texts:
        return None
    for _ in predict([texts[0]]):
        pass
    begin = time.perf_counter()
    for _ in predict(list(texts)):
        pass
    seconds = max(time.perf_counter() - begin, 1e-9)
    return Throughput(len(texts) / seconds, sum(len(text.split()) for text in texts) / seconds)


def megabytes(path: Path) -> float:
    """Size of a file, or of all files of a folder, in 10^6 bytes."""
    files = [path] if path.is_file() else [p for p in path.rglob("*") if p.is_file()]
    return sum(p.stat().st_size for p in files) / 1e6


def ordered(rows: Iterable[LeaderboardRow]) -> list[LeaderboardRow]:
    """The best score first, rows without a score last; of equals the cheapest approach first."""

    def key(row: LeaderboardRow) -> tuple[bool, float, int, str]:
        value = row.scores.score
        return (value is None, -(value or 0.0), _CHEAPEST_FIRST[row.approach], row.name)

    return sorted(rows, key=key)


def to_json(row: LeaderboardRow) -> dict[str, Any]:
    """The row as plain values: the scores' keys beside approach, speed, size and cost."""
    return {
        "approach": row.approach,
        "name": row.name,
        **scores_to_json(row.scores),
        "texts_per_second": row.texts_per_second,
        "words_per_second": row.words_per_second,
        "megabytes": row.megabytes,
        "cost": row.cost,
        "tokens": row.tokens,
        "human_minutes": row.human_minutes,
        "note": row.note,
    }


def headline(scheme: LabelScheme) -> str:
    """What the headline score of such a project is called."""
    return "accuracy" if scheme.is_exclusive else "F"


def render(rows: Iterable[LeaderboardRow], *, scheme: LabelScheme) -> str:
    """The leaderboard as a Markdown table, best first; "–" where nothing was measured.

    Cost is the money per 1,000 texts. Notes, such as how small an LLM was, follow the table.
    """
    lines = ordered(rows)
    head = ("approach", headline(scheme), "95 %", "precision", "recall", "macro-F", "words/s", "MB", "cost")
    table = [head, *(_cells(row) for row in lines)]
    widths = [max(len(cells[i]) for cells in table) for i in range(len(head))]
    out = [_line(head, widths), "|" + "|".join("-" * (width + 2) for width in widths) + "|"]
    out += [_line(cells, widths) for cells in table[1:]]
    notes = [f"{row.name}: {row.note}" for row in lines if row.note]
    return "\n".join([*out, *([""] if notes else []), *notes])


def render_labels(row: LeaderboardRow) -> str:
    """Precision, recall and F of each label of one approach, with how many there were to find."""
    table: list[tuple[str, ...]] = [("label", "F", "precision", "recall", "to find")]
    for label, counts in row.scores.per_label.items():
        found = (_figure(value, "{:.3f}") for value in (counts.f, counts.precision, counts.recall))
        table.append((label, *found, str(counts.tp + counts.fn)))
    widths = [max(len(line[column]) for line in table) for column in range(len(table[0]))]
    ruled = [_line(table[0], widths), _line(["-" * width for width in widths], widths)]
    return "\n".join([*ruled, *(_line(line, widths) for line in table[1:])])


def _cells(row: LeaderboardRow) -> tuple[str, ...]:
    scores = row.scores
    interval = "–" if scores.interval is None else f"{scores.interval[0]:.3f} to {scores.interval[1]:.3f}"
    return (
        row.name.replace("|", "\\|"),
        _figure(scores.score, "{:.3f}"),
        interval,
        _figure(scores.precision, "{:.3f}"),
        _figure(scores.recall, "{:.3f}"),
        _figure(scores.macro_f, "{:.3f}"),
        _figure(row.words_per_second, "{:,.0f}"),
        _figure(row.megabytes, "{:.1f}"),
        _figure(row.cost, "{:.2f}"),
    )


def _figure(value: float | None, form: str) -> str:
    return "–" if value is None else form.format(value)


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    # Names are left-aligned, figures right-aligned.
    first, *rest = (
        c.ljust(w) if i == 0 else c.rjust(w) for i, (c, w) in enumerate(zip(cells, widths, strict=True))
    )
    return "| " + " | ".join([first, *rest]) + " |"
