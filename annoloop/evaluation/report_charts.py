"""The charts of the report, as HTML and SVG written by hand.

Altair writes a static or a self-contained chart through vl-convert only, which takes 84 MB to install, and
its colours are fixed when the file is made. These take the page's colours, light or dark, need no script,
and their words stay readable on a phone.
"""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from annoloop.evaluation.axes import Axes, axes_over, chart_svg

Approach = Literal["rules", "llm", "model", "forecast"]
Band = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Bar:
    """A value from 0 to 1 with its interval. `shown` is the value as words."""

    name: str
    approach: Approach
    value: float
    interval: Band | None
    shown: str


@dataclass(frozen=True, slots=True)
class CurvePoint:
    """A score (0 to 1) at so many texts with gold."""

    texts: int
    score: float
    interval: Band | None = None


@dataclass(frozen=True, slots=True)
class Level:
    """A score that does not depend on the labels, such as the LLM's."""

    name: str
    approach: Approach
    score: float


@dataclass(frozen=True, slots=True)
class CurveChart:
    """Scores over gold: `points` were measured, `ahead` is forecast, `levels` are what to pass."""

    points: tuple[CurvePoint, ...]
    ahead: tuple[CurvePoint, ...]
    levels: tuple[Level, ...]
    x: str
    y: str
    caption: str
    joined: bool = True


def bars_html(bars: Sequence[Bar]) -> str:
    """One bar a line, the interval as a thin line over its end."""
    return '<div class="bars">' + "".join(_bar(bar) for bar in bars) + "</div>"


def _bar(bar: Bar) -> str:
    interval = ""
    if bar.interval is not None:
        low, high = bar.interval
        interval = f'<i class="interval" style="left:{low:.2%};width:{high - low:.2%}"></i>'
    return (
        f'<div class="name">{html.escape(bar.name)}</div>'
        f'<div class="track"><i class="bar {bar.approach}" style="width:{bar.value:.2%}"></i>{interval}</div>'
        f'<div class="value">{html.escape(bar.shown)}</div>'
    )


def curve_svg(chart: CurveChart) -> str:
    """The curve with its intervals; dashed what was not measured."""
    shown = (*chart.points, *chart.ahead)
    scores = [point.score for point in shown] + [level.score for level in chart.levels]
    scores += [value for point in shown for value in point.interval or ()]
    axes = axes_over([point.texts for point in shown], scores)
    parts = [_level(axes, level) for level in chart.levels]
    parts += [_band(axes, chart.ahead, "forecast"), _line(axes, chart.ahead, "forecast")]
    parts += [_line(axes, chart.points, "model")] if chart.joined else []
    for point in chart.points:
        x, y = axes.x(point.texts), axes.y(point.score)
        if point.interval is not None:
            low, high = (axes.y(value) for value in point.interval)
            parts.append(f'<path class="line model" d="M{x:.1f} {low:.1f}V{high:.1f}"/>')
        parts.append(f'<circle class="dot model" cx="{x:.1f}" cy="{y:.1f}" r="3.5"/>')
    picture = chart_svg(axes, "".join(parts), x=chart.x, y=chart.y, label=chart.caption)
    return f"{picture}{_legend(chart)}"


def _level(axes: Axes, level: Level) -> str:
    return f'<path class="line {level.approach} dashed" d="{axes.level(level.score)}"/>'


def _line(axes: Axes, points: Sequence[CurvePoint], name: Approach) -> str:
    if len(points) < 2:
        return ""
    places = " ".join(f"{axes.x(p.texts):.1f},{axes.y(p.score):.1f}" for p in points)
    dashed = " dashed" if name == "forecast" else ""
    return f'<polyline class="line {name}{dashed}" points="{places}"/>'


def _band(axes: Axes, points: Sequence[CurvePoint], name: Approach) -> str:
    known = [(axes.x(p.texts), p.interval) for p in points if p.interval is not None]
    if len(known) < 2:
        return ""
    upper = [f"{x:.1f},{axes.y(band[1]):.1f}" for x, band in known]
    lower = [f"{x:.1f},{axes.y(band[0]):.1f}" for x, band in reversed(known)]
    return f'<polygon class="band {name}" points="{" ".join([*upper, *lower])}"/>'


def _legend(chart: CurveChart) -> str:
    named: list[tuple[str, str]] = [("model", "measured")]
    named += [("forecast", "forecast, 95 % interval")] if chart.ahead else []
    named += [(level.approach, f"{level.name} {level.score:.3f}") for level in chart.levels]
    keys = "".join(f'<li><i class="bar {key}"></i>{html.escape(text)}</li>' for key, text in named)
    return f'<ul class="legend">{keys}</ul>'
