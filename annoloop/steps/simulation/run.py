"""One simulated project: texts are chosen round by round, answered from gold, learned from, scored.

Nothing is kept and no store is needed. The pool, its gold and the texts to judge by are given; whoever
chooses sees of the gold only what was asked before.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from annoloop.corpus.near_duplicates import group
from annoloop.errors import AnnoloopError
from annoloop.evaluation.learning_curves import Curve, LearningPoint, Unit
from annoloop.evaluation.scores import count, scores_of
from annoloop.oracle import seconds as answer_seconds
from annoloop.selection.batch import select
from annoloop.selection.candidates import Candidates, FloatArray, IndexArray, IntArray
from annoloop.selection.costs import (
    SECONDS_PER_WORD,
    SECONDS_TO_START,
    seconds_needed,
    token_counts,
    word_counts,
)
from annoloop.selection.proxy import Proxy
from annoloop.selection.registry import NEEDS, default_for, settle, strategy_named
from annoloop.steps.ask import RANKED_TEXTS
from annoloop.steps.signals import read_by_models
from annoloop.steps.simulation.models import Constant, Model, Pipeline, learn
from annoloop.steps.simulation.voters import VOTERS, Recorded, Voter
from annoloop.types import Annotation, DevGold, Gold, HeldOutGold, LabelScheme, PoolGold
from annoloop.voting.combine import Ballot, disagreement

SECONDS_PER_SPAN = 1.0
"""Assumed: to look at a marked span and take it as right."""


class Plan(NamedTuple):
    """What shapes a run beside its texts. `batch` counts in `unit`s a round."""

    strategy: str
    recipe: str
    seed: int
    batch: int
    rounds: int
    unit: Unit
    random_share: float


class Material:
    """The texts of a run with all their gold, and what is computed of them once."""

    def __init__(
        self,
        pool: PoolGold,
        dev: DevGold,
        test: HeldOutGold,
        *,
        scheme: LabelScheme,
        lang: str,
        near_duplicate: float,
        said: Recorded | None = None,
        transformer: Path | None = None,
    ) -> None:
        # In the order of the hashes, so that nothing depends on the order of the gold.
        self.pool = tuple(sorted(pool, key=lambda g: g.example.input_hash))
        self.dev, self.test, self.scheme, self.lang = dev, test, scheme, lang
        self.said: Recorded = said or {}
        self.transformer = transformer
        texts = [g.example.text for g in self.pool]
        self.hashes = np.asarray([g.example.input_hash for g in self.pool], dtype=str)
        self.texts = np.asarray(texts, dtype=object)
        self.proxy = Proxy(texts)
        self.tokens = np.maximum(token_counts(texts), 1)
        self.words = word_counts(texts)
        self.groups: IntArray = np.asarray(group(texts, threshold=near_duplicate), dtype=np.int64)
        self.judged = [g.example.text for g in test]
        self._rows = {text: row for row, text in enumerate(texts)}

    @cached_property
    def _judged_features(self) -> Any:
        return self.proxy.transform(self.judged)

    def features(self, texts: Sequence[str]) -> Any:
        """(texts, dimensions) of the proxy; computed once for texts of the pool and those to judge by."""
        if texts is self.judged:
            return self._judged_features
        if all(text in self._rows for text in texts):
            return self.proxy.features[[self._rows[text] for text in texts]]
        return self.proxy.transform(texts)


@dataclass
class Standing:
    """Where a run stands when it chooses: `labelled` are rows of the pool with gold, `open` the others.

    `budget` is what the round may cost and `costs` (open texts,) what each takes of it; None: 1 a text.
    """

    material: Material
    plan: Plan
    number: int
    labelled: list[int]
    open: IndexArray
    model: Model | None
    budget: float
    costs: FloatArray | None
    rng: np.random.Generator

    @property
    def gold(self) -> tuple[Gold, ...]:
        """The gold that was asked so far, in the order of asking."""
        return tuple(self.material.pool[row] for row in self.labelled)


Choose = Callable[[Standing], Sequence[int]]
"""Rows of the pool to ask next, out of `Standing.open`."""


def run(material: Material, plan: Plan, *, choose: Choose | None = None) -> Curve:
    """All rounds of one simulated project; ends early where no text is left. `choose` None: the strategy's.

    Raises:
        AnnoloopError: the strategy or the recipe does not work.
    """
    choose = choose or by_strategy
    asked = _Asked(material)
    model: Model | None = None
    points: list[LearningPoint] = []
    for number in range(1, plan.rounds + 1):
        rows = np.setdiff1d(np.arange(len(material.pool)), np.asarray(asked.rows, dtype=np.intp))
        if not len(rows):
            break
        budget, costs = _costs(material, plan, rows)
        rng = np.random.default_rng([plan.seed, number])
        chosen = choose(Standing(material, plan, number, asked.rows, rows, model, budget, costs, rng))
        asked.add(chosen, model)
        gold = [material.pool[row] for row in asked.rows]
        model = learn(
            plan.recipe,
            gold,
            material.dev,
            features=material.features,
            scheme=material.scheme,
            lang=material.lang,
            seed=plan.seed,
            transformer=material.transformer,
        )
        points.append(LearningPoint(*asked.spent, *_scores(material, model)))
    return tuple(points)


@dataclass
class _Asked:
    """The texts asked so far and what they cost."""

    material: Material
    rows: list[int] = field(default_factory=list)
    tokens: int = 0
    seconds: float = 0.0

    def add(self, chosen: Sequence[int], model: Model | None) -> None:
        """Ask about these, with what the model of the round before says of them as a suggestion."""
        gold = [self.material.pool[row] for row in chosen]
        shown: Sequence[Annotation | None] = [None] * len(gold)
        if model is not None and not isinstance(model, Constant):
            shown = model.annotations([g.example.text for g in gold])
        for one, suggestion in zip(gold, shown, strict=True):
            looked_at = SECONDS_PER_SPAN * len(one.annotation.spans)
            self.seconds += answer_seconds(one.example.text, one.annotation, suggestion) + looked_at
        self.tokens += int(self.material.tokens[list(chosen)].sum())
        self.rows = [*self.rows, *map(int, chosen)]

    @property
    def spent(self) -> tuple[int, int, float]:
        return len(self.rows), self.tokens, self.seconds


def by_strategy(standing: Standing) -> list[int]:
    """What `annoloop loop` would ask with the plan's strategy, rules and LLM as far as they are recorded."""
    material, plan = standing.material, standing.plan
    wanted = default_for(material.scheme, plan.strategy)
    rows, costs = standing.open, standing.costs
    if len(rows) > RANKED_TEXTS and read_by_models(wanted):
        kept = np.sort(standing.rng.choice(len(rows), RANKED_TEXTS, replace=False))
        rows, costs = rows[kept], None if costs is None else costs[kept]
    candidates = _candidates(standing, rows, wanted)
    texts = plan.batch if costs is None else max(1, round(standing.budget / float(costs.mean())))
    found = select(
        settle(wanted, candidates, n=texts),
        material.hashes[rows].tolist(),
        candidates,
        budget=standing.budget,
        rng=standing.rng,
        costs=costs,
        random_share=plan.random_share,
        groups=material.groups[rows],
    )
    return [int(rows[place]) for place in found]


def require_strategy(name: str, scheme: LabelScheme) -> None:
    """Raise where a strategy does not exist, or is for the other kind of question.

    Raises:
        AnnoloopError: so.
    """
    wanted = default_for(scheme, name)
    for one in wanted:
        strategy_named(one)
    if scheme.has_spans and "probabilities" in NEEDS.get(wanted[-1], ()):
        raise AnnoloopError(
            f"the strategy {name!r} is for categories, the project's kind is {scheme.kind}",
            hint="for spans: auto, random, uncertainty, span_margin, kmeans_start, shortest, longest",
        )
    if not scheme.has_spans and "spans" in NEEDS.get(wanted[-1], ()):
        raise AnnoloopError(
            f"the strategy {name!r} is for spans, the project's kind is {scheme.kind}",
            hint="for categories: auto, random, margin, margin_kmeans, badge, density, typicality, entropy",
        )


def _candidates(standing: Standing, rows: IndexArray, wanted: Sequence[str]) -> Candidates:
    material, model = standing.material, standing.model
    needed = {signal for name in wanted for signal in NEEDS.get(name, ("probabilities", "spans"))}
    features: Any = material.proxy.features
    found: dict[str, Any] = {}
    if "probabilities" in needed and standing.labelled and not material.scheme.has_spans:
        gold = PoolGold(standing.gold)
        everything = material.proxy.probabilities(gold, scheme=material.scheme, seed=standing.plan.seed)
        found["probabilities"] = None if everything is None else everything[rows]
    if "spans" in needed and isinstance(model, Pipeline) and material.scheme.has_spans:
        found["spans"] = model.spans(material.texts[rows].tolist())
    for signal in needed & VOTERS.keys():
        found[signal] = _apart(standing, rows, VOTERS[signal])
    return Candidates(
        len(rows),
        exclusive=material.scheme.is_exclusive,
        features=features[rows],
        labelled=features[standing.labelled] if standing.labelled else None,
        tokens=material.tokens[rows],
        **found,
    )


def _apart(standing: Standing, rows: IndexArray, voters: Sequence[Voter]) -> FloatArray | None:
    """(rows,): how far the voters that are recorded and the model differ, NaN where fewer than two vote."""
    material, model = standing.material, standing.model
    examples = [material.pool[row].example for row in rows]
    said: list[Sequence[Annotation | None]] = [
        [material.said[voter].get(eg.input_hash) for eg in examples]
        for voter in voters
        if voter in material.said
    ]
    if model is not None and not isinstance(model, Constant):
        said.append(model.annotations([eg.text for eg in examples]))
    if len(said) < 2:
        return None
    ballots = (Ballot(eg, votes) for eg, votes in zip(examples, zip(*said, strict=True), strict=True))
    apart = (disagreement(ballot, material.scheme) for ballot in ballots)
    return np.asarray([np.nan if value is None else value for value in apart], dtype=np.float64)


def _costs(material: Material, plan: Plan, rows: IndexArray) -> tuple[float, FloatArray | None]:
    """The round's budget, and what each of the rows takes of it; None: 1 a text."""
    if plan.unit == "texts":
        return float(plan.batch), None
    if plan.unit == "seconds":
        return float(plan.batch), seconds_needed(material.words[rows], SECONDS_TO_START, SECONDS_PER_WORD)
    return float(plan.batch), material.tokens[rows].astype(np.float64)


def _scores(material: Material, model: Model) -> tuple[float, float]:
    """The headline and macro-F on the texts to judge by; 0 where they are not defined."""
    said = model.annotations(material.judged)
    hashes = (g.example.input_hash for g in material.test)
    counted = count(material.scheme, material.test, dict(zip(hashes, said, strict=True)))
    found = scores_of(counted, seed=0, samples=1)
    return found.score or 0.0, found.macro_f or 0.0
