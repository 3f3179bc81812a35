"""The charts of the report, as HTML and SVG written by hand.

Altair writes a static or a self-contained chart through vl-convert only, which takes 84 MB to install, and
its colours are fixed when the file is made. These take the page's colours, light or dark, need no script,
and their words stay readable on a phone.
"""

from __future__ import annotations

import html
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Approach = Literal["rules", "llm", "model", "forecast"]
Band = tuple[float, float]

_WIDTH, _HEIGHT = 400.0, 260.0
_LEFT, _RIGHT, _TOP, _BOTTOM = 44.0, 12.0, 12.0, 42.0


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
    axes = _Axes(chart)
    parts = [_grid(axes, chart)]
    parts += [_level(axes, level) for level in chart.levels]
    parts += [_band(axes, chart.ahead, "forecast"), _line(axes, chart.ahead, "forecast")]
    parts += [_line(axes, chart.points, "model")] if chart.joined else []
    for point in chart.points:
        x, y = axes.x(point.texts), axes.y(point.score)
        if point.interval is not None:
            low, high = (axes.y(value) for value in point.interval)
            parts.append(f'<path class="line model" d="M{x:.1f} {low:.1f}V{high:.1f}"/>')
        parts.append(f'<circle class="dot model" cx="{x:.1f}" cy="{y:.1f}" r="3.5"/>')
    title = html.escape(chart.caption)
    return (
        f'<svg viewBox="0 0 {_WIDTH:.0f} {_HEIGHT:.0f}" role="img" aria-label="{title}">'
        f"{''.join(parts)}</svg>{_legend(chart)}"
    )


class _Axes:
    """From values to places: texts from 0, scores over what there is to see, in steps of a tenth."""

    def __init__(self, chart: CurveChart) -> None:
        shown = (*chart.points, *chart.ahead)
        self.most = max(point.texts for point in shown) * 1.02
        values = [point.score for point in shown] + [level.score for level in chart.levels]
        values += [value for point in shown for value in point.interval or ()]
        self.low = math.floor(min(values) * 10 - 1e-9) / 10 if min(values) > 0 else 0.0
        self.high = min(1.0, math.ceil(max(values) * 10 + 1e-9) / 10)
        if self.high == self.low:
            self.low = self.high - 0.1
        # Of many lines every second one has a number, the uppermost too.
        steps = round((self.high - self.low) * 10)
        if steps > 6 and steps % 2 and self.low > 0:
            self.low -= 0.1

    def x(self, texts: float) -> float:
        return _LEFT + texts / self.most * (_WIDTH - _LEFT - _RIGHT)

    def y(self, score: float) -> float:
        share = (score - self.low) / (self.high - self.low)
        return _HEIGHT - _BOTTOM - share * (_HEIGHT - _TOP - _BOTTOM)


def _grid(axes: _Axes, chart: CurveChart) -> str:
    parts = []
    count = round((axes.high - axes.low) * 10)
    for step in range(0, count + 1, 2 if count > 6 else 1):
        value = axes.low + step / 10
        y = axes.y(value)
        parts.append(f'<path class="grid" d="M{_LEFT} {y:.1f}H{_WIDTH - _RIGHT}"/>')
        parts.append(f'<text x="{_LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{value:.1f}</text>')
    for texts in _ticks(axes.most):
        place = f'x="{axes.x(texts):.1f}" y="{_HEIGHT - _BOTTOM + 16}"'
        parts.append(f'<text {place} text-anchor="middle">{texts:,}</text>')
    parts.append(
        f'<text x="{_WIDTH - _RIGHT}" y="{_HEIGHT - 6}" text-anchor="end">{html.escape(chart.x)}</text>'
    )
    middle = (_HEIGHT - _BOTTOM + _TOP) / 2
    turned = f'transform="rotate(-90 12 {middle})"'
    parts.append(f'<text x="12" y="{middle}" text-anchor="middle" {turned}>{html.escape(chart.y)}</text>')
    return "".join(parts)


def _ticks(most: float) -> list[int]:
    """At most six round numbers from 0."""
    step = 10 ** math.floor(math.log10(max(most, 1)))
    for share in (5, 2, 1, 0.5, 0.2, 0.1):
        wanted = max(1, int(step * share))
        if 2 <= most // wanted <= 5:
            return list(range(0, int(most) + 1, wanted))
    return [0, int(most)]


def _level(axes: _Axes, level: Level) -> str:
    y = axes.y(level.score)
    return f'<path class="line {level.approach} dashed" d="M{_LEFT} {y:.1f}H{_WIDTH - _RIGHT}"/>'


def _line(axes: _Axes, points: Sequence[CurvePoint], name: Approach) -> str:
    if len(points) < 2:
        return ""
    places = " ".join(f"{axes.x(p.texts):.1f},{axes.y(p.score):.1f}" for p in points)
    dashed = " dashed" if name == "forecast" else ""
    return f'<polyline class="line {name}{dashed}" points="{places}"/>'


def _band(axes: _Axes, points: Sequence[CurvePoint], name: Approach) -> str:
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
