"""The charts of the pages, from values; Streamlit's theme gives them their light or dark looks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import altair as alt
from altair.typing import ChartType

from annoloop.steps.evidence.pace import Curve, Day
from annoloop.steps.evidence.savings import Savings

COLOURS = (
    "#2f7de1",
    "#e0662f",
    "#2a9d63",
    "#b84fd0",
    "#c99700",
    "#d6336c",
    "#0fa3b1",
    "#7a6ff0",
    "#9a6b2f",
    "#5c8a2a",
)
APPROACH_COLOURS = {"model": "#2f7de1", "llm": "#e0662f", "rules": "#2a9d63"}
MOST_BARS = 30
_LEGEND = alt.Legend(orient="top", title=None, columns=2, labelLimit=220, symbolOpacity=1)


def per_day(days: Sequence[Day], *, texts: str, day: str) -> ChartType:
    """Texts a day, stacked by annotator; the words name the axes."""
    values = [{"day": d.day.isoformat(), "who": d.annotator, "texts": d.texts} for d in days]
    people = list(dict.fromkeys(d.annotator for d in days))
    scale = alt.Scale(domain=people, range=[COLOURS[i % len(COLOURS)] for i in range(len(people))])
    chart: ChartType = (
        alt.Chart(alt.InlineData(values=values))
        .mark_bar(size=max(4, min(40, 560 // max(len({row["day"] for row in values}), 1))))
        .encode(
            # A day is a day, wherever the browser is: it must not move with the time zone.
            x=alt.X(
                "day:T",
                title=None,
                scale=alt.Scale(type="utc", padding=26),
                axis=alt.Axis(format="%d.%m.", tickCount="day", labelOverlap=True, grid=False),
            ),
            y=alt.Y("sum(texts):Q", title=texts, axis=alt.Axis(tickMinStep=1)),
            color=alt.Color("who:N", scale=scale, legend=_LEGEND if len(people) > 1 else None),
            tooltip=[
                alt.Tooltip("day:N", title=day),
                alt.Tooltip("who:N", title=" "),
                alt.Tooltip("texts:Q", title=texts),
            ],
        )
        .properties(height=300)
    )
    return chart


def learning_curve(curve: Curve, names: Mapping[str, str], *, gold: str, score: str) -> ChartType:
    """The models' scores with their 95 % intervals over the gold they learned from, beside LLM and rules."""
    points = [
        {
            "what": names["model"],
            "gold": p.gold_texts,
            "score": p.score,
            "round": p.round,
            **_band(p.interval),
        }
        for p in curve.points
    ]
    most = max(p.gold_texts for p in curve.points) * 1.05 or 1
    lines = [
        {"what": names[b.approach], "score": b.score, "from": 0, "to": most, **_band(b.interval)}
        for b in curve.baselines
    ]
    shown = ["model", *(b.approach for b in curve.baselines)]
    scale = alt.Scale(domain=[names[s] for s in shown], range=[APPROACH_COLOURS[s] for s in shown])
    legend = alt.Legend(orient="top", title=None, columns=3, symbolOpacity=1)
    colour = alt.Color("what:N", scale=scale, legend=legend)
    x = alt.X("gold:Q", title=gold, scale=alt.Scale(domain=[0, most], nice=False))
    tip = [alt.Tooltip("what:N", title=" "), alt.Tooltip("score:Q", title=score, format=".3f")]
    interval = [
        alt.Tooltip("low:Q", title="2.5 %", format=".3f"),
        alt.Tooltip("high:Q", title="97.5 %", format=".3f"),
    ]
    model = alt.Chart(alt.InlineData(values=points)).encode(x=x, color=colour)
    other = alt.Chart(alt.InlineData(values=lines)).encode(color=colour, x="from:Q", x2="to:Q")
    y = alt.Y("score:Q", title=score, scale=alt.Scale(domain=[0, 1]))
    layers: list[Any] = [
        other.mark_rect(opacity=0.13).encode(y="low:Q", y2="high:Q"),
        other.mark_rule(strokeDash=[6, 4], strokeWidth=2).encode(y=y, tooltip=[*tip, *interval]),
        model.mark_area(opacity=0.18).encode(y="low:Q", y2="high:Q"),
        model.mark_rule(strokeWidth=2).encode(y="low:Q", y2="high:Q"),
        model.mark_line(strokeWidth=2).encode(y=y),
        model.mark_point(filled=True, size=90, opacity=1).encode(
            y=y, tooltip=[alt.Tooltip("gold:Q", title=gold), *tip, *interval]
        ),
    ]
    return alt.layer(*layers).properties(height=340)


def label_counts(
    labels: Mapping[str, Mapping[str, int]], splits: Mapping[str, str], *, count: str
) -> ChartType:
    """How often each label stands in the gold, by split; the `MOST_BARS` most frequent ones."""
    totals = {name: sum(of[name] for of in labels.values()) for of in labels.values() for name in of}
    kept = sorted(totals, key=lambda name: -totals[name])[:MOST_BARS]
    values = [
        {"label": name, "split": splits[split], "place": place, "count": labels[split][name]}
        for place, split in enumerate(splits)
        for name in kept
    ]
    scale = alt.Scale(domain=list(splits.values()), range=["#2f7de1", "#c99700", "#7a6ff0"])
    chart: ChartType = (
        alt.Chart(alt.InlineData(values=values))
        .mark_bar()
        .encode(
            x=alt.X("count:Q", title=count, axis=alt.Axis(tickMinStep=1)),
            y=alt.Y("label:N", sort=kept, title=None, axis=alt.Axis(labelLimit=160)),
            color=alt.Color("split:N", scale=scale, legend=_LEGEND),
            order="place:Q",
            tooltip=[alt.Tooltip(f"{name}:N", title=" ") for name in ("label", "split")]
            + [alt.Tooltip("count:Q", title=count)],
        )
        .properties(height=180 + 30 * len(kept))
    )
    return chart


def savings(measured: Savings, *, blind: str, assisted: str, seconds: str) -> ChartType:
    """Seconds a text of average length with and without suggestions."""
    values = [
        {"how": blind, "seconds": measured.blind_seconds},
        {"how": assisted, "seconds": measured.assisted_seconds},
    ]
    chart: ChartType = (
        alt.Chart(alt.InlineData(values=values))
        .mark_bar(color=COLOURS[0])
        .encode(
            x=alt.X("seconds:Q", title=seconds),
            y=alt.Y("how:N", sort=None, title=None, axis=alt.Axis(labelLimit=180)),
            tooltip=[alt.Tooltip("how:N", title=" "), alt.Tooltip("seconds:Q", title=seconds, format=".2f")],
        )
        .properties(height=150)
    )
    return chart


def quality(rows: Sequence[Mapping[str, Any]], *, score: str) -> ChartType:
    """Approaches beside each other: `rows` with `name`, `approach`, `score`, `low`, `high`."""
    chart = alt.Chart(alt.InlineData(values=[dict(row) for row in rows]))
    y = alt.Y("name:N", sort=None, title=None, axis=alt.Axis(labelLimit=130))
    shown = [row["approach"] for row in rows]
    scale = alt.Scale(domain=shown, range=[APPROACH_COLOURS[name] for name in shown])
    colour = alt.Color("approach:N", scale=scale, legend=None)
    tip = [alt.Tooltip("name:N", title=" ")] + [
        alt.Tooltip(f"{field}:Q", title=title, format=".3f")
        for field, title in (("score", score), ("low", "2.5 %"), ("high", "97.5 %"))
    ]
    x = alt.X("score:Q", title=score, scale=alt.Scale(domain=[0, 1]))
    bars = chart.mark_bar(opacity=0.45).encode(x=x, y=y, color=colour, tooltip=tip)
    intervals = chart.mark_rule(strokeWidth=3).encode(x="low:Q", x2="high:Q", y=y, color=colour, tooltip=tip)
    return alt.layer(bars, intervals).properties(height=80 + 40 * len(rows))


def mistakes(
    rows: Sequence[Mapping[str, Any]], names: Mapping[str, str], kinds: Sequence[str], *, count: str
) -> ChartType:
    """Mistakes by label and approach: `rows` with `label`, `name`, `kind`, `count`.

    `names` maps the approaches shown to their names; of two `kinds` the second is drawn paler.
    """
    totals: dict[str, int] = {}
    for row in rows:
        totals[row["label"]] = totals.get(row["label"], 0) + row["count"]
    kept = sorted(totals, key=lambda label: -totals[label])[:MOST_BARS]
    values = [{**row, "place": list(kinds).index(row["kind"])} for row in rows if row["label"] in set(kept)]
    scale = alt.Scale(domain=list(names.values()), range=[APPROACH_COLOURS[name] for name in names])
    paler = alt.Scale(domain=list(kinds), range=[1, 0.45])
    chart: ChartType = (
        alt.Chart(alt.InlineData(values=values))
        .mark_bar()
        .encode(
            x=alt.X("count:Q", title=count, axis=alt.Axis(tickMinStep=1)),
            y=alt.Y("label:N", sort=kept, title=None, axis=alt.Axis(labelLimit=110)),
            yOffset=alt.YOffset("name:N", sort=list(names.values())),
            color=alt.Color("name:N", scale=scale, legend=_LEGEND),
            opacity=alt.Opacity("kind:O", sort=list(kinds), scale=paler, legend=None),
            order="place:Q",
            tooltip=[alt.Tooltip(f"{name}:N", title=" ") for name in ("label", "name", "kind")]
            + [alt.Tooltip("count:Q", title=count)],
        )
        .properties(height=160 + 22 * len(names) * len(kept))
    )
    return chart


def _band(interval: tuple[float, float] | None) -> dict[str, float]:
    return {"low": interval[0], "high": interval[1]} if interval else {}
