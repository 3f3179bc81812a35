"""A report as values, and the one self-contained HTML file that it becomes.

Everything that is a text of somebody passes through `_escaped`; the file holds no script and loads nothing.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from unicodedata import bidirectional

from annoloop.evaluation.report_charts import Bar, CurveChart, bars_html, curve_svg
from annoloop.evaluation.report_style import document
from annoloop.types import Span


@dataclass(frozen=True, slots=True)
class Paragraph:
    """Plain words; a warning stands out."""

    text: str
    warning: bool = False


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of cells under a head; the first columns, one or two, hold words, the others figures."""

    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    caption: str = ""
    words: int = 1


@dataclass(frozen=True, slots=True)
class Facts:
    """Names with values, one a line."""

    pairs: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Bars:
    """Scores beside each other."""

    bars: tuple[Bar, ...]
    caption: str


@dataclass(frozen=True, slots=True)
class Quote:
    """A text with the spans that are true and those that were said, and a line on each of them."""

    text: str
    gold: tuple[Span, ...]
    said: tuple[Span, ...]
    lines: tuple[tuple[str, str], ...]


Block = Paragraph | Table | Facts | Bars | CurveChart | Quote


@dataclass(frozen=True, slots=True)
class Section:
    """A heading and what stands under it."""

    title: str
    blocks: tuple[Block, ...]


@dataclass(frozen=True, slots=True)
class Page:
    """A whole report. `headline` is the verdict in a few plain words, `figures` the numbers under it."""

    title: str
    subtitle: str
    headline: str
    good: bool
    lead: tuple[str, ...]
    figures: tuple[tuple[str, str], ...]
    sections: tuple[Section, ...]


def render_page(page: Page) -> str:
    """The report as one HTML document that needs no network: light and dark, on paper, on a phone."""
    links = "".join(
        f'<a href="#s{number}">{_escaped(section.title)}</a>' for number, section in enumerate(page.sections)
    )
    tiles = "".join(
        f"<div><dt>{_escaped(name)}</dt><dd>{_escaped(value)}</dd></div>" for name, value in page.figures
    )
    lead = "".join(f"<p>{_escaped(line)}</p>" for line in page.lead)
    body = "".join(_section(number, section) for number, section in enumerate(page.sections))
    return document(
        page.title,
        f'<header><h1>{_escaped(page.title)}</h1><p class="quiet">{_escaped(page.subtitle)}</p></header>'
        f'<section class="verdict{" good" if page.good else ""}"><h2>{_escaped(page.headline)}</h2>{lead}'
        f"<dl>{tiles}</dl></section><nav>{links}</nav>{body}",
    )


def _section(number: int, section: Section) -> str:
    blocks = "".join(_block(block) for block in section.blocks)
    return f'<section id="s{number}"><h2>{_escaped(section.title)}</h2>{blocks}</section>'


def _block(block: Block) -> str:
    if isinstance(block, Paragraph):
        warning = ' class="warning"' if block.warning else ""
        return f"<p{warning}>{_escaped(block.text)}</p>"
    if isinstance(block, Table):
        return _table(block)
    if isinstance(block, Facts):
        pairs = (f"<dt>{_escaped(name)}</dt><dd>{_escaped(value)}</dd>" for name, value in block.pairs)
        return f'<dl class="facts">{"".join(pairs)}</dl>'
    if isinstance(block, Bars):
        return f"<figure>{bars_html(block.bars)}<figcaption>{_escaped(block.caption)}</figcaption></figure>"
    if isinstance(block, CurveChart):
        return f"<figure>{curve_svg(block)}<figcaption>{_escaped(block.caption)}</figcaption></figure>"
    return _quote(block)


def _table(table: Table) -> str:
    caption = f"<caption><span>{_escaped(table.caption)}</span></caption>" if table.caption else ""
    head = "".join(f'<th scope="col">{_escaped(cell)}</th>' for cell in table.head)
    rows = "".join(f"<tr>{_row(row)}</tr>" for row in table.rows)
    # Regions are told apart by their names, and several tables begin with the labels.
    name = _escaped(table.caption or ", ".join(cell for cell in table.head if cell))
    # It can be scrolled on a phone, and so by keyboard too.
    return (
        f'<div class="wide" tabindex="0" role="region" aria-label="{name}">'
        f'<table class="words{table.words}">{caption}<thead><tr>{head}</tr></thead>'
        f"<tbody>{rows}</tbody></table></div>"
    )


def _row(cells: Sequence[str]) -> str:
    first, *rest = cells
    return f'<th scope="row">{_escaped(first)}</th>' + "".join(f"<td>{_escaped(cell)}</td>" for cell in rest)


def _quote(quote: Quote) -> str:
    lines = "".join(f"<dt>{_escaped(name)}</dt><dd>{_escaped(value)}</dd>" for name, value in quote.lines)
    marked = "".join(_marked(quote))
    return f'<blockquote><p dir="auto">{marked}</p><dl class="facts">{lines}</dl></blockquote>'


def _marked(quote: Quote) -> Iterator[str]:
    """The text with what is true underlined and what was said shaded; they may cross."""
    spans = (*quote.gold, *quote.said)
    borders = sorted({0, len(quote.text), *(border for s in spans for border in (s.start, s.end))})
    for start, end in pairwise(border for border in borders if 0 <= border <= len(quote.text)):
        names = [
            name
            for name, of in (("gold", quote.gold), ("said", quote.said))
            if any(span.start <= start and end <= span.end for span in of)
        ]
        part = _escaped(quote.text[start:end])
        yield f'<mark class="{" ".join(names)}">{part}</mark>' if names else part


_UNPRINTABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff\ufffe\uffff]")


def _escaped(text: str) -> str:
    """As HTML that shows just this text; what no HTML may hold becomes the replacement character."""
    return html.escape(_UNPRINTABLE.sub("\ufffd", text), quote=True)


_ISOLATES, _END = "\u2066\u2067\u2068", "\u2069"
_TURNING = {"R", "AL", "AN", "LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}


def isolated(text: str) -> str:
    """A text as a part of a sentence: what turns its direction ends where it ends (UAX 9, isolates).

    Where nothing turns it stays as it is. Otherwise isolates are closed, ends without a beginning left out
    and line breaks made spaces: each of them would end the one that is put around.
    """
    classes = [bidirectional(character) for character in text]
    if _TURNING.isdisjoint(classes):
        return text
    kept, depth = [], 0
    for character, kind in zip(text, classes, strict=True):
        if character == _END and not depth:
            continue
        depth += (character in _ISOLATES) - (character == _END)
        kept.append(" " if kind == "B" else character)
    return f"\u2068{''.join(kept)}{_END * (depth + 1)}"


LONGEST_QUOTE = 400
"""Characters of a text that a report quotes."""


def shown_part(start: int, end: int, text: str) -> tuple[str, str]:
    """The line of a `Quote` that says which part of a text it shows."""
    return "shown", f"characters {start:,} to {end:,} of {len(text):,}"


def shortened(text: str, spans: Iterable[Span], *, most: int) -> tuple[str, int, int]:
    """A part of a text of about `most` characters that holds its first span, with its (start, end)."""
    if len(text) <= most:
        return text, 0, len(text)
    first = min((span.start for span in spans), default=0)
    start = max(0, min(first - most // 3, len(text) - most))
    return text[start : start + most], start, start + most
