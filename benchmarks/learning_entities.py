"""What entities cost to learn, by texts, tokens and modelled seconds: the default, random, shortest, longest,
and an uncertainty sampler in the manner of Prodigy's `ner.teach`.

`figure` takes about 45 minutes on one core, 5 seeds; what is finished is kept and not repeated. Each round a
spaCy recogniser is trained from scratch for 120 steps of about 1,000 words: enough to tell ways of choosing
apart, too few for its best score. Rounds are equal in tokens. Seconds of a text are 2 + .25 a word + 1 an
entity + 3 an edit of what the last round's model had suggested: assumed, not measured. All begin by lot but
shortest and longest. Curves begin with no texts and F 0, and are compared as far as both go. No LLM takes
part, so that the default is its beam uncertainty by the square root of the length, with a fifth by lot.

Measured, area under F less random's over 5 seeds [95 %], at equal texts, tokens and modelled seconds. With 5
pairs no p can be below .06, so that no difference is significant after Holm:

maintenance_orders      texts                   tokens                  seconds
annoloop                +.004 [-.003, +.011]    +.011 [+.002, +.019]    -.005 [-.013, +.003]
Prodigy-style teach     +.013 [-.003, +.029]    +.013 [-.004, +.029]    +.003 [-.014, +.019]
shortest                -.111 [-.130, -.093]    +.004 [-.011, +.018]    -.124 [-.146, -.103]
longest                 -.021 [-.048, +.005]    -.096 [-.120, -.071]    -.018 [-.046, +.011]

fashion_brands          texts                   tokens                  seconds
annoloop                +.026 [+.009, +.043]    +.037 [+.015, +.059]    +.021 [+.004, +.038]
Prodigy-style teach     +.064 [+.029, +.098]    +.039 [-.012, +.089]    +.033 [-.012, +.079]
shortest                -.191 [-.244, -.139]    +.015 [-.023, +.053]    -.037 [-.075, +.001]
longest                 +.143 [+.061, +.226]    -.037 [-.074, +.000]    -.021 [-.056, +.014]

Nothing beat random clearly per second on maintenance_orders, where a text has 8 tokens and most of them are
entities. Only differences to random may be compared: areas are taken where a curve and random's both are.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from learning_ground import published, shown, simulated

from annoloop.evaluation.learning_curves import UNITS, Curve, LearningPoint, compare
from annoloop.steps.simulation.models import Pipeline
from annoloop.steps.simulation.run import Choose, Standing, by_strategy

SETS = {"fashion_brands": (2_000, 6), "maintenance_orders": (350, 6)}
"""Tokens a round, rounds."""

DECAY = 0.02
"""The weight of the newest score in the moving mean and variance."""


def figure(*, seed: int, quick: bool) -> list[dict[str, Any]]:
    """Both data sets, each on three axes, all ways of choosing against random."""
    rows: list[dict[str, Any]] = []
    for name in SETS:
        rows += measured(name, range(seed, seed + (2 if quick else 5)), rounds=2 if quick else None)
    return rows


def measured(name: str, seeds: range, *, rounds: int | None = None) -> list[dict[str, Any]]:
    ground = published(name)
    if ground is None:
        return []
    batch, most = SETS[name]
    found = simulated(name, ground, WAYS, seeds=seeds, batch=batch, rounds=rounds or most, unit="tokens")
    curves = {way: {seed: _from_nothing(curve) for seed, curve in of.items()} for way, of in found.items()}
    return [row for unit in UNITS for row in _on(name, curves, unit)]


def _on(name: str, curves: Mapping[str, Mapping[int, Curve]], unit: Any) -> Iterator[dict[str, Any]]:
    for row in shown(name, compare(curves, baseline="random", unit=unit), unit):
        told = {key.replace(f"{unit} to", "to"): value for key, value in row.items()}
        yield {"data set": told.pop("data set"), "at equal": unit, **told}


def _from_nothing(curve: Curve) -> Curve:
    return (LearningPoint(0, 0, 0.0, 0.0, 0.0), *curve)


def shortest(standing: Standing) -> list[int]:
    return _alone(standing, "shortest")


def longest(standing: Standing) -> list[int]:
    return _alone(standing, "longest")


def _alone(standing: Standing, strategy: str) -> list[int]:
    """Without a share by lot."""
    standing.plan = standing.plan._replace(strategy=strategy, random_share=0.0)
    return by_strategy(standing)


def teach(standing: Standing) -> list[int]:
    """As Prodigy documents its default sorter: it reads a stream, here the pool in the order of a lot.

    A text is asked where it is more than a standard deviation less sure than the moving mean. Its uncertainty
    is that of the entity of the beam that is nearest to one half. The stream is read again from its beginning
    until the batch is full, a third time without a threshold. Prodigy asks about the single entity; here the
    whole text is labelled, as with all others.
    """
    if not isinstance(standing.model, Pipeline):
        standing.plan = standing.plan._replace(strategy="random")
        return by_strategy(standing)
    stream = standing.rng.permutation(len(standing.open))
    scored = standing.model.spans(standing.material.texts[standing.open].tolist())
    unsure = np.asarray([(1 - 2 * np.abs(p - 0.5)).max(initial=0.0) for p in scored])
    costs = np.ones(len(stream)) if standing.costs is None else standing.costs
    chosen: dict[int, None] = {}
    mean, variance, spent = float(unsure[stream[:50]].mean()), float(unsure[stream[:50]].var()), 0.0
    for place, one in enumerate([*stream, *stream, *stream]):
        asked = unsure[one] > mean + np.sqrt(variance) or place >= 2 * len(stream)
        if one not in chosen and asked and spent + costs[one] <= standing.budget:
            chosen[int(one)] = None
            spent += float(costs[one])
        variance = (1 - DECAY) * (variance + DECAY * (unsure[one] - mean) ** 2)
        mean += DECAY * (unsure[one] - mean)
    return [int(standing.open[one]) for one in chosen]


WAYS: dict[str, tuple[str, Choose | None]] = {
    "random": ("random", None),
    "annoloop": ("auto", None),
    "Prodigy-style teach": ("teach", teach),
    "shortest": ("shortest alone", shortest),
    "longest": ("longest alone", longest),
}
