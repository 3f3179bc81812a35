"""How the labelling goes: done by whom, how fast, how long still, what it gave and what it cost.

Only what the store keeps is read, no model runs: a page may ask for it every few seconds.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any, Literal
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from annoloop.evaluation.speed import Speed, fit_speed
from annoloop.project import Project
from annoloop.steps.evidence.gold_counts import gold_counts
from annoloop.steps.evidence.savings import (
    LEAST_CAP,
    MOST_MEASURED,
    Savings,
    capped_seconds,
    measured,
    savings,
)
from annoloop.steps.evidence.verdict import LEADERBOARD_FACT
from annoloop.store.figures import TICK
from annoloop.store.store import Store
from annoloop.types import Round, Split

AWAY = 10
"""An answer counts at most this many times the annotator's median: who looked longer had left."""

FEW_ANSWERS = 10
"""Fewer timed answers than this say nothing about pace."""

RECENT = 200
"""Answers that the estimate goes by."""

SAMPLED = 500
"""Texts still to be labelled by whose length hours are told."""

DAYS_SHOWN = 60
_EPOCH = date(1970, 1, 1)
_Counts = Mapping[tuple[str, bool], Mapping[int, int]]


@dataclass(frozen=True, slots=True)
class Person:
    """One annotator: texts answered, minutes of looking at texts, median seconds a text, texts an hour.

    Pace is None with fewer than `FEW_ANSWERS` answers, and for the simulated expert, whose time is modelled.
    """

    annotator: str
    texts: int
    minutes: float
    median_seconds: float | None
    texts_per_hour: float | None
    simulated: bool = False


@dataclass(frozen=True, slots=True)
class Day:
    """Texts that an annotator answered on one day, as their answers stand now."""

    day: date
    annotator: str
    texts: int


@dataclass(frozen=True, slots=True)
class Estimate:
    """What is left: answers still wanted, minutes of looking for one person, and days at the recent pace.

    Both are (low, high), None where there is too little to go by.
    """

    answers: int
    minutes: tuple[float, float] | None = None
    days: tuple[float, float] | None = None


@dataclass(frozen=True, slots=True)
class CurvePoint:
    """A round's model: its gold texts, its score, the 95 % interval of that."""

    round: int
    gold_texts: int
    score: float
    interval: tuple[float, float] | None


@dataclass(frozen=True, slots=True)
class Baseline:
    """What the rules or the LLM reach on the same texts, as last judged."""

    approach: Literal["rules", "llm"]
    name: str
    score: float
    interval: tuple[float, float] | None


@dataclass(frozen=True, slots=True)
class Curve:
    """Scores round by round on one split; baselines only on the held-out texts, where all were judged."""

    split: Literal["held_out", "dev"]
    points: tuple[CurvePoint, ...]
    baselines: tuple[Baseline, ...] = ()


@dataclass(frozen=True, slots=True)
class Cost:
    """What the LLM took: texts it read, tokens, money; money is None where a price is not known."""

    texts: int
    tokens: int | None
    money: float | None


@dataclass(frozen=True, slots=True)
class Pace:
    """All figures of the progress page. `goal` counts what is left until a verdict can be given too.

    `labels` counts gold by split and label; `gold` counts the texts with gold by split.
    `held_out_missing` is how many further held-out texts the verdict needs. `measured` counts the answers
    without and with a suggestion by which savings are measured.
    """

    done: int
    open: int
    people: tuple[Person, ...]
    days: tuple[Day, ...]
    batch: Estimate
    goal: Estimate
    held_out_missing: int
    gold: Mapping[Split, int]
    labels: Mapping[Split, Mapping[str, int]]
    curve: Curve | None
    savings: Savings | None
    cost: Cost | None
    measured: tuple[int, int] = (0, 0)


def pace(project: Project, *, utc_offset: int = 0, today: date | None = None) -> Pace:
    """The figures as they stand. `utc_offset` is in seconds east of UTC: where a day begins.

    Raises:
        StoreError: the store cannot be read.
    """
    store = project.store
    today = today or (datetime.now(UTC) + timedelta(seconds=utc_offset)).date()
    looked = store.looked_at()
    simulated = {who for who, modelled in looked if modelled}
    per_day = store.done_per_day(utc_offset=utc_offset)
    people, days = _people(looked, per_day), _days(per_day, simulated, today)
    caps = {who: _cap(looked.get((who, False), {})) for who, _ in looked}
    wanted, gold, progress = store.answers_wanted(), gold_counts(project), store.progress()
    missing = max(0, project.settings.gate.min_texts - gold.blind)
    left_in_batch, left = next(iter(wanted.values()), 0), max(sum(wanted.values()), missing)
    # Today is not over, so it says nothing yet about what a day brings.
    whole = [day for day in days if day.day < today]
    times = capped_seconds(store.newest_times(limit=RECENT, pool_only=False), caps)
    blind, assisted = measured(project)
    return Pace(
        done=progress.done,
        open=progress.open,
        people=people,
        days=days,
        batch=_estimate(left_in_batch, times, whole),
        goal=_estimate(left, times, whole),
        held_out_missing=missing,
        gold=gold.texts,
        labels=gold.labels,
        curve=_curve(project),
        savings=savings(blind, assisted, caps, seed=project.settings.training.seed),
        measured=(len(blind), len(assisted)),
        cost=_cost(store),
    )


def _people(looked: _Counts, per_day: Mapping[tuple[str, int], int]) -> tuple[Person, ...]:
    texts: dict[str, int] = defaultdict(int)
    for (who, _), count in per_day.items():
        texts[who] += count
    found = []
    for (who, simulated), ticks in looked.items():
        cap, answers = _cap(ticks), sum(ticks.values())
        minutes = sum(min(tick * TICK, cap) * count for tick, count in ticks.items()) / 60_000
        known = answers >= FEW_ANSWERS and not simulated and minutes > 0
        median = (_median(ticks) or 0) / 1000
        rate = 60 * texts[who] / minutes if known else None
        found.append(Person(who, texts[who], minutes, median if known else None, rate, simulated))
    return tuple(sorted(found, key=lambda person: (-person.texts, person.annotator)))


def _median(ticks: Mapping[int, int]) -> int | None:
    """The (lower) median in milliseconds, within one step."""
    half, seen = sum(ticks.values()) / 2, 0
    for tick in sorted(ticks):
        seen += ticks[tick]
        if seen >= half:
            return tick * TICK
    return None


def _cap(ticks: Mapping[int, int]) -> int:
    return max(LEAST_CAP, AWAY * (_median(ticks) or 0))


def _days(per_day: Mapping[tuple[str, int], int], simulated: set[str], today: date) -> tuple[Day, ...]:
    # A client's clock may be wrong: days far from now are counted with the texts, and not drawn.
    first, last = (today - _EPOCH).days - DAYS_SHOWN, (today - _EPOCH).days + 1
    found = [
        Day(_EPOCH + timedelta(days=day), who, count)
        for (who, day), count in per_day.items()
        if first <= day <= last and who not in simulated
    ]
    return tuple(sorted(found, key=lambda day: (day.day, day.annotator)))


def _estimate(answers: int, times: NDArray[np.float64], days: Sequence[Day]) -> Estimate:
    """What is left: minutes as a 95 % range of the sum of so many answers like the recent ones.

    Days are from the best to the worst of the recent ones. Both hold where the texts to come are like
    the recent ones and nobody changes pace.
    """
    if not answers:
        return Estimate(0)
    minutes = None
    if len(times) >= FEW_ANSWERS:
        spread = 1.96 * float(times.std(ddof=1)) * np.sqrt(1 / answers + 1 / len(times))
        middle = float(times.mean())
        minutes = (
            max(answers * (middle - spread), answers * float(times.min())) / 60,
            answers * (middle + spread) / 60,
        )
    totals: dict[date, int] = defaultdict(int)
    for day in days:
        totals[day.day] += day.texts
    recent = [totals[day] for day in sorted(totals)[-7:]]
    # Two days say how many texts a day brings, not how far days differ.
    calendar = (answers / max(recent), answers / min(recent)) if len(recent) >= 3 else None
    return Estimate(answers, minutes, calendar)


def _curve(project: Project) -> Curve | None:
    rounds = project.store.rounds()
    judged = [record for record in rounds if record.held_out is not None]
    points = tuple(filter(None, (_point(record, held_out=bool(judged)) for record in rounds)))
    if not points:
        return None
    kept = project.store.fact(LEADERBOARD_FACT) if judged else None
    baselines = [_baseline(row) for row in kept or () if row["approach"] != "model"]
    shown = tuple(row for row in baselines if row is not None)
    return Curve("held_out" if judged else "dev", points, shown)


def _point(record: Round, *, held_out: bool) -> CurvePoint | None:
    scores = record.held_out if held_out else record.dev
    if scores is None or scores.score is None:
        return None
    return CurvePoint(record.number, record.gold_texts, scores.score, scores.interval)


def _baseline(row: Mapping[str, Any]) -> Baseline | None:
    if row["score"] is None:
        return None
    interval = tuple(row["interval"]) if row["interval"] else None
    return Baseline(row["approach"], row["name"], row["score"], interval)  # type: ignore[arg-type]


def annotator_speed(project: Project, annotator: str | None = None) -> Speed | None:
    """The fitted time model of one annotator, or of all together; None with too few measured answers."""
    times = project.store.newest_times(limit=MOST_MEASURED, pool_only=False)
    kept = [t for t in times if annotator in (None, t.annotator)]
    features = np.array([[t.words, t.entities, t.edits] for t in kept]).reshape(-1, 3)
    return fit_speed(features, np.array([t.milliseconds / 1000 for t in kept]))


def seconds_ahead(project: Project) -> float | None:
    """Seconds that one of the texts still to be labelled takes a person; None where no pace is known.

    By the fitted time model, for a text of their mean length on which there is as much to find and to mend as
    on the recent ones: by the word for spans, by the text for categories. With too few measured answers for
    the model, or nothing left to ask about: the mean of the people whose pace is known.
    """
    speed, words = annotator_speed(project), project.store.words_ahead(limit=SAMPLED)
    recent = project.store.newest_times(limit=RECENT) if speed is not None and words is not None else ()
    if speed is None or words is None or not recent:
        known = [person for person in pace(project).people if person.texts_per_hour]
        texts = sum(person.texts for person in known)
        return 60 * sum(person.minutes for person in known) / texts if texts else None
    read = sum(t.words for t in recent) if project.scheme.has_spans else len(recent)
    to_come = (words if project.scheme.has_spans else 1) / max(read, 1)
    entities, edits = (to_come * sum(getattr(t, part) for t in recent) for part in ("entities", "edits"))
    return float(speed.seconds(np.array([[words, entities, edits]]))[0])


_costs: WeakKeyDictionary[Store, tuple[int, Cost | None]] = WeakKeyDictionary()


def _cost(store: Store) -> Cost | None:
    """What all LLMs asked so far took; None where none was asked. Summed again when more was asked."""
    count = store.llm_call_count()
    if store not in _costs or _costs[store][0] != count:
        _costs[store] = (count, _summed_cost(store))
    return _costs[store][1]


def _summed_cost(store: Store) -> Cost | None:
    spent = store.spend_in_all()
    if not spent.calls:
        return None
    tokens = spent.prompt_tokens + spent.completion_tokens
    return Cost(spent.texts, tokens or None, None if spent.unpriced else spent.cost)
