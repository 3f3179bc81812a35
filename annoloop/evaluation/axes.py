"""The plane of charts written by hand as SVG: where costs and scores lie, and the grid behind them."""

from __future__ import annotations

import html
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

_WIDTH, _HEIGHT = 400.0, 260.0
_LEFT, _RIGHT, _TOP, _BOTTOM = 48.0, 12.0, 12.0, 42.0


@dataclass(frozen=True, slots=True)
class Axes:
    """From values to places: costs from 0 to `most`, scores from `low` to `high` with a line every `step`."""

    most: float
    low: float
    high: float
    step: float

    def x(self, cost: float) -> float:
        """Where a cost lies, from the left."""
        return _LEFT + cost / self.most * (_WIDTH - _LEFT - _RIGHT)

    def y(self, score: float) -> float:
        """Where a score lies, from the top."""
        return _HEIGHT - _BOTTOM - (score - self.low) / (self.high - self.low) * (_HEIGHT - _TOP - _BOTTOM)

    def level(self, score: float) -> str:
        """The path of a line across at a score."""
        return f"M{_LEFT} {self.y(score):.1f}H{_WIDTH - _RIGHT}"


def axes_over(costs: Sequence[float], scores: Sequence[float]) -> Axes:
    """Axes that show all of these, with round numbers at the lines; scores are from 0 to 1."""
    step = _step(max(max(scores) - min(scores), 0.02), 5)
    low = max(math.floor(min(scores) / step + 1e-9) * step, 0.0)
    high = math.ceil(max(scores) / step - 1e-9) * step
    return Axes(max(max(costs), 1.0) * 1.02, low, high if high > low else low + step, step)


def chart_svg(axes: Axes, drawn: str, *, x: str, y: str, label: str) -> str:
    """The picture of what is `drawn`, as markup, over a grid; `x` and `y` name the axes, `label` it all."""
    return (
        f'<svg viewBox="0 0 {_WIDTH:.0f} {_HEIGHT:.0f}" role="img" aria-label="{html.escape(label)}">'
        f"{''.join(_grid(axes, html.escape(x), html.escape(y)))}{drawn}</svg>"
    )


def _step(width: float, most: int) -> float:
    """A round step that divides the width into at most so many parts and a half."""
    power = 10.0 ** math.floor(math.log10(width / most))
    return next((s * power for s in (1, 2, 5) if s * power * most >= width - 1e-12), 10 * power)


def _grid(axes: Axes, x: str, y: str) -> Iterator[str]:
    digits = max(1, -math.floor(math.log10(axes.step) + 1e-9))
    for number in range(round((axes.high - axes.low) / axes.step) + 1):
        score = axes.low + number * axes.step
        yield f'<path class="grid" d="{axes.level(score)}"/>'
        place = f'x="{_LEFT - 6}" y="{axes.y(score) + 4:.1f}"'
        yield f'<text {place} text-anchor="end">{score:.{digits}f}</text>'
    step = max(_step(axes.most, 6), 1.0)
    for number in range(int(axes.most / step) + 1):
        place = f'x="{axes.x(number * step):.1f}" y="{_HEIGHT - _BOTTOM + 16}"'
        yield f'<text {place} text-anchor="middle">{number * step:,.0f}</text>'
    yield f'<text x="{_WIDTH - _RIGHT}" y="{_HEIGHT - 6}" text-anchor="end">{x}</text>'
    middle = (_HEIGHT - _BOTTOM + _TOP) / 2
    turned = f'transform="rotate(-90 12 {middle})"'
    yield f'<text x="12" y="{middle}" text-anchor="middle" {turned}>{y}</text>'
