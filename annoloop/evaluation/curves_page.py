"""Learning curves of several strategies as one HTML file: no script, nothing loaded, light and dark."""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import dataclass

from annoloop.evaluation.axes import Axes, axes_over, chart_svg
from annoloop.evaluation.learning_curves import Compared
from annoloop.evaluation.report_style import document

_DASHES = ("", "7 4", "2 4", "10 4 2 4")
"""Lines of equal colour differ by their dashes."""

_COLOURS = """
main{max-width:1000px}svg{max-width:660px}svg text{font-size:10px}
:root{--s0:#57606a;--s1:#1f66c4;--s2:#c2410c;--s3:#1a7f42;--s4:#8b3fb0;--s5:#9a6700;--s6:#0e7c86}
@media (prefers-color-scheme:dark){:root{--s0:#a3acb6;--s1:#6ea8f2;--s2:#f08a57;--s3:#5fd08a;--s4:#c792ea;
--s5:#e3b341;--s6:#56c8d3}}
@media print{:root{--s0:#444;--s1:#1f66c4;--s2:#b8430f;--s3:#14602f;--s4:#7a2f9e;--s5:#7a5200;--s6:#0b646c}}
"""
_SERIES = 7


@dataclass(frozen=True, slots=True)
class Line:
    """One strategy's mean scores (0 to 1) over what was spent."""

    name: str
    points: tuple[tuple[float, float], ...]


@dataclass(frozen=True, slots=True)
class Chart:
    """Lines over each other, and the table of their comparison."""

    title: str
    x: str
    y: str
    lines: tuple[Line, ...]
    rows: tuple[Compared, ...]


HEAD = ("strategy", "area", "last", "macro-F", "to random's last", "saved", "95 %", "area less random's", "p")


def render_curves(title: str, about: str, charts: Sequence[Chart]) -> str:
    """One HTML document: for each chart its picture and its table."""
    body = "".join(
        f"<section><h2>{html.escape(chart.title)}</h2><figure>{_svg(chart)}</figure>{_table(chart)}</section>"
        for chart in charts
    )
    head = f'<header><h1>{html.escape(title)}</h1><p class="quiet">{html.escape(about)}</p></header>'
    return document(title, head + body, style=_COLOURS)


def cells(row: Compared) -> tuple[str, ...]:
    """A comparison as the words under `HEAD`; "–" where there is nothing to say."""
    low, high = row.saved_interval or (None, None)
    reached = row.to_last is not None
    return (
        row.name,
        f"{row.area:.3f}",
        f"{row.last:.3f}",
        f"{row.macro_f:.3f}",
        f"{row.to_last:,.0f}" if row.to_last is not None else "not reached",
        f"{row.saved:z.0%}" if row.saved is not None else "–",
        f"{_share(low)} to {_share(high)}" if row.saved_interval and (reached or high is not None) else "–",
        _difference(row),
        "–" if row.p_holm is None else f"{row.p_holm:.3f}",
    )


def _share(value: float | None) -> str:
    return "not reached" if value is None else f"{value:z.0%}"


def _difference(row: Compared) -> str:
    if row.p is None and row.difference == 0:
        return "–"
    interval = f" ({row.interval[0]:+.3f} to {row.interval[1]:+.3f})" if row.interval else ""
    return f"{row.difference:+.3f}{interval}"


def _table(chart: Chart) -> str:
    head = "".join(f'<th scope="col">{html.escape(name)}</th>' for name in HEAD)
    rows = ""
    for row in chart.rows:
        first, *rest = (html.escape(cell) for cell in cells(row))
        rows += f'<tr><th scope="row">{first}</th>{"".join(f"<td>{cell}</td>" for cell in rest)}</tr>'
    return (
        f'<div class="wide" tabindex="0" role="region" aria-label="{html.escape(chart.title)}">'
        f'<table class="words1"><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>'
    )


def _svg(chart: Chart) -> str:
    points = [point for line in chart.lines for point in line.points]
    axes = axes_over([cost for cost, _ in points], [score for _, score in points])
    lines = "".join(_line(axes, place, line) for place, line in enumerate(chart.lines))
    keys = "".join(
        f'<li><svg viewBox="0 0 28 10" style="display:inline-block;width:28px;margin-right:6px">'
        f'<path d="M0 5H28" {_stroke(place)}/></svg>{html.escape(line.name)}</li>'
        for place, line in enumerate(chart.lines)
    )
    picture = chart_svg(axes, lines, x=chart.x, y=chart.y, label=f"{chart.y} over {chart.x}")
    return f'{picture}<ul class="legend">{keys}</ul>'


def _line(axes: Axes, place: int, line: Line) -> str:
    points = " ".join(f"{axes.x(x):.1f},{axes.y(y):.1f}" for x, y in line.points)
    if len(line.points) == 1:
        x, y = line.points[0]
        colour = f'style="fill:var(--s{place % _SERIES})"'
        return f'<circle cx="{axes.x(x):.1f}" cy="{axes.y(y):.1f}" r="3.5" {colour}/>'
    return f'<polyline points="{points}" {_stroke(place)}><title>{html.escape(line.name)}</title></polyline>'


def _stroke(place: int) -> str:
    dashes = _DASHES[place // _SERIES % len(_DASHES)]
    dashed = f";stroke-dasharray:{dashes}" if dashes else ""
    return f'style="fill:none;stroke-width:2;stroke:var(--s{place % _SERIES}){dashed}"'
