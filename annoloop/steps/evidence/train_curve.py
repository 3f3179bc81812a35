"""The learning curve of the gold there is: what further labels would bring, before they are made."""

from __future__ import annotations

import random
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from annoloop.errors import TrainingError
from annoloop.evaluation.curve_advice import Advice, advise, beside_trivial
from annoloop.evaluation.curve_laws import ERRORS, ODDS, WITH_RULES, Law
from annoloop.evaluation.forecast import Forecast, Point, Range, forecast, gain_of, rises
from annoloop.evaluation.leaderboard import headline
from annoloop.evaluation.scores import score, scores_of_json, scores_to_json
from annoloop.evaluation.trivial import Standing, Trivial, standing, trivial
from annoloop.project import Project
from annoloop.steps.compare import compare
from annoloop.steps.evidence.gold_counts import gold_counts
from annoloop.steps.evidence.pace import pace, seconds_ahead
from annoloop.steps.one_label import require_two_labels
from annoloop.steps.progress import OnProgress, silent
from annoloop.steps.train import beside_gold, fingerprint, recipes_of, require_gold, rule_maker
from annoloop.types import Annotation, DevGold, Gold, LabelScheme, PoolGold, Scores

CURVE_FACT = "train_curve"
"""What is trained so far, kept after each model, so that a stopped run goes on."""

SIZES = 7
SHUFFLES = 2
SMALLEST_SHARE = 1 / 6
"""Where the curve begins: the plateau of the first few labels says nothing about the last ones."""

FEWEST_TEXTS = 30

LABELLED_THROUGHOUT = 0.8
"""The share of a text's characters in spans above which there is little but labels: .87 to .96 in names and
addresses, .02 to .67 in running text."""

MORE = 50
"""Texts that the nearest outlook is given for."""


@dataclass(frozen=True)
class TrainCurve:
    """Dev scores of one recipe over shuffled parts of the pool gold, and what follows from them.

    `scores` are those of all gold. `target_name` says whose score is to be passed: the one given, the LLM's
    or the setting's. `standing` is that to `trivial`, the answer that is the same for every text; where
    nothing is learned ("no_better") the forecast is flat. `current` is False where gold or settings have
    changed since.
    """

    recipe: str
    headline: str
    points: tuple[Point, ...]
    forecast: Forecast
    advice: Advice
    target_name: str
    scores: Scores
    standing: Standing
    trivial: Trivial
    current: bool = True

    @property
    def ahead(self) -> tuple[tuple[int, Range], ...]:
        """The score forecast for all gold, half as much more, and twice, three and four times as much."""
        seen = self.forecast.seen
        texts = [seen, seen * 3 // 2, 2 * seen, 3 * seen, 4 * seen]
        return tuple((count, self.forecast.at(count)) for count in texts)

    @property
    def next_labels(self) -> Range:
        """What `MORE` more texts would bring over the curve's score of now."""
        return gain_of(self.forecast, MORE)

    def to_json(self) -> dict[str, Any]:
        """Plain values, as `--json` prints them."""
        advice, reach = self.advice, self.advice.reach
        return {
            "recipe": self.recipe,
            "headline": self.headline,
            "points": [point._asdict() for point in self.points],
            "ceiling": self.forecast.ceiling._asdict(),
            "forecast": [{"gold_texts": count, **told._asdict()} for count, told in self.ahead],
            "target": None
            if reach is None
            else {
                "name": self.target_name,
                "score": reach.target,
                "outlook": reach.outlook,
                "gold_texts": reach.texts,
                "interval": [reach.low, reach.high],
                "hours": advice.hours,
            },
            "trivial": {"labels": list(self.trivial.labels), "score": self.trivial.score},
            "standing": self.standing,
            "advice": advice.advised,
            "reason": advice.reason,
            "gain": advice.gain._asdict(),
            "next_labels": {"texts": MORE, **self.next_labels._asdict()},
            "current": self.current,
        }


def train_curve(
    project: Project, *, target: float | None = None, on_progress: OnProgress = silent
) -> TrainCurve:
    """Train the project's recipe on `SIZES` parts of the pool gold, shuffled `SHUFFLES` times; score on dev.

    Held-out texts are not looked at. Each score is kept, so that a stopped run goes on where it was, and
    only new gold or settings begin anew. `target` is the score to pass, kept with the curve; None: the LLM's
    on dev, where it has read the dev texts, else the setting [rules] target. The recipe is that of the newest
    model, else the one that dev chooses on all gold.

    Raises:
        TrainingError: there is too little gold to draw a curve.
    """
    pool = PoolGold(tuple(gold for gold in project.pool_gold() if gold.complete))
    dev = project.dev_gold()
    require_gold(project, pool, dev)
    _require_curve(project, pool)
    runs = _Runs(project, pool, dev, on_progress)
    runs.complete(target)
    found = _curve(project, runs.kept, current=True)
    if found is None:
        raise TrainingError(
            f"{project.folder}: too few parts of the gold have something to learn from for a curve",
            hint="label more texts, or texts in which the rules or the LLM find something",
        )
    return found


def _require_curve(project: Project, pool: PoolGold) -> None:
    if len(pool) < FEWEST_TEXTS:
        raise TrainingError(
            f"{project.folder}: {len(pool)} texts with gold are too few for a learning curve",
            hint=f"label at least {FEWEST_TEXTS - len(pool)} more: annoloop review PROJECT",
        )
    require_two_labels(project, pool)


def kept_curve(project: Project) -> TrainCurve | None:
    """The curve that was trained last, finished or far enough; None before. Nothing is trained."""
    kept = project.store.fact(CURVE_FACT)
    if not kept:
        return None
    named = _name(project, project.pool_gold(), project.dev_gold(), kept["recipe"])
    return _curve(project, kept, current=named == kept["key"])


def rounds_forecast(project: Project) -> Forecast | None:
    """The forecast from the rounds' own models; None with too few rounds.

    Their texts were chosen, not drawn, and so each round adds more than as many texts at random would.
    """
    curve = pace(project).curve
    points = [Point(p.gold_texts, p.score) for p in curve.points if p.gold_texts] if curve else []
    recipe = next((record.recipe for record in reversed(project.store.rounds()) if record.recipe), None)
    return _forecast(project, recipe, points, None)


def law_of(scheme: LabelScheme, recipe: str | None, gold: Iterable[Gold]) -> Law:
    """How the scores of a recipe usually grow on such texts.

    The odds of entities rise, unless rules give the recipe a start, or nearly all of each text is labelled,
    as in names and addresses: then, as with categories, errors fall.
    """
    if (recipe or "").startswith("ner_rules"):
        return WITH_RULES
    if not scheme.has_spans:
        return ERRORS
    items = list(gold)
    labelled = sum(_covered(item.annotation) for item in items)
    characters = sum(len(item.example.text) for item in items)
    return ERRORS if labelled > LABELLED_THROUGHOUT * characters else ODDS


def _covered(annotation: Annotation) -> int:
    """Characters in spans, those in several counted once."""
    reached = covered = 0
    for span in sorted(annotation.spans):
        covered += max(0, span.end - max(span.start, reached))
        reached = max(reached, span.end)
    return covered


def _forecast(
    project: Project, recipe: str | None, points: Sequence[Point], error: float | None
) -> Forecast | None:
    law = law_of(project.scheme, recipe, _pool_gold(project))
    return forecast(points, seed=project.settings.training.seed, law=law, standard_error=error)


def _pool_gold(project: Project) -> Iterator[Gold]:
    """Read from the store no sooner than somebody looks: `status` asks, and most laws take no look."""
    yield from project.pool_gold()


class _Runs:
    """The models of the curve: which there are to train, and the scores of those that are."""

    def __init__(self, project: Project, pool: PoolGold, dev: DevGold, on_progress: OnProgress) -> None:
        self.project, self.pool, self.dev, self.on_progress = project, pool, dev, on_progress
        self.seed = project.settings.training.seed
        self.rules = rule_maker(project)
        self.wanted = list(_wanted(len(pool)))
        self.kept = self._begun()

    def _begun(self) -> dict[str, Any]:
        kept: dict[str, Any] | None = self.project.store.fact(CURVE_FACT)
        if kept and kept["key"] == _name(self.project, self.pool, self.dev, kept["recipe"]):
            return _with_labels(kept, len(self.pool))
        recipe = self._recipe()
        key = _name(self.project, self.pool, self.dev, recipe) if recipe else None
        return {"key": key, "recipe": recipe, "runs": {}, "all": None, "target": None}

    def _recipe(self) -> str | None:
        """The newest model's, or the only one there is to choose; None lets dev choose."""
        trained = [record.recipe for record in self.project.store.rounds() if record.recipe]
        named = recipes_of(self.project)
        if trained:
            return trained[-1]
        return named[0] if named and len(named) == 1 else None

    def complete(self, target: float | None) -> None:
        """Train what is missing, all gold first: it says which recipe. Keep the target that was given."""
        if self.kept.get("target") != target:
            self.kept["target"] = target
            self.project.store.set_fact(CURVE_FACT, self.kept)
        with tempfile.TemporaryDirectory(prefix="annoloop-curve-") as folder:
            for number, (shuffle, size) in enumerate(self.wanted):
                name = f"{shuffle}:{size}"
                if name not in self.kept["runs"]:
                    self._run(name, self._part(shuffle, size), Path(folder) / str(number), number)
        self.on_progress("learning curve", len(self.wanted), len(self.wanted))

    def _part(self, shuffle: int, size: int) -> PoolGold:
        items = sorted(self.pool, key=lambda gold: gold.example.input_hash)
        random.Random(f"curve:{self.seed}:{shuffle}").shuffle(items)
        return PoolGold(tuple(items[:size]))

    def _run(self, name: str, part: PoolGold, out: Path, number: int) -> None:
        def told(_what: str, _done: int, _total: int) -> None:
            self.on_progress(f"learning curve: {len(part)} texts", number, len(self.wanted))

        told("", 0, 0)
        scores = self._score(part, out, told)
        if scores is not None and len(part) == len(self.pool):
            self.kept["all"] = scores_to_json(scores)
        self.kept["runs"][name] = None if scores is None else scores.score
        self.project.store.set_fact(CURVE_FACT, self.kept)

    def _score(self, part: PoolGold, out: Path, told: OnProgress) -> Scores | None:
        """None where the part holds nothing to learn from, which is no failure of the whole."""
        if not _learnable(part, exclusive=self.project.scheme.is_exclusive):
            return None
        from annoloop.training.train import train

        recipe = self.kept["recipe"]
        trained = train(
            part,
            self.dev,
            scheme=self.project.scheme,
            lang=self.project.settings.project.lang,
            seed=self.seed,
            out=out,
            recipes=[recipe] if recipe else recipes_of(self.project),
            rules=self.rules,
            transformer=self.project.transformer,
            beside=beside_gold(self.project),
            on_progress=told,
        )
        if recipe is None:
            self.kept["recipe"] = trained.recipe
            self.kept["key"] = _name(self.project, self.pool, self.dev, trained.recipe)
        said = {text: one.annotation for text, one in trained.dev_said.items()}
        return score(self.project.scheme, list(self.dev), said, seed=self.seed)


def _wanted(texts: int) -> Iterator[tuple[int, int]]:
    """(shuffle, size) of every model: all gold once, then the largest parts first."""
    step = SMALLEST_SHARE ** (1 / (SIZES - 1))
    yield 0, texts
    for place in range(1, SIZES):
        yield from ((shuffle, round(texts * step**place)) for shuffle in range(SHUFFLES))


def _name(project: Project, pool: PoolGold, dev: DevGold, recipe: str | None) -> str:
    complete = PoolGold(tuple(gold for gold in pool if gold.complete))
    return f"{fingerprint(project, complete, dev)}:{recipe}"


def _learnable(part: PoolGold, *, exclusive: bool) -> bool:
    said: set[Any] = {_first(gold) for gold in part} - {None}
    return len(said) > 1 if exclusive else bool(said)


def _first(gold: Gold) -> Any:
    parts = (*gold.annotation.labels, *gold.annotation.spans)
    return parts[0] if parts else None


def _curve(project: Project, kept: Mapping[str, Any], *, current: bool) -> TrainCurve | None:
    runs = {name: value for name, value in kept["runs"].items() if value is not None}
    points = tuple(sorted(Point(int(name.partition(":")[2]), value) for name, value in runs.items()))
    if kept["all"] is None:
        return None
    scores = scores_of_json(kept["all"])
    error = standard_error(scores)
    found = _forecast(project, kept["recipe"], points, error)
    if found is None:
        return None
    than, how = stands(project, scores, found.seen, rises=rises(points))
    if not scores.per_label:
        # Kept by an earlier version, which did not count by label: nothing is known against it.
        how = "better"
    if how == "no_better":
        found = found.flat()
    given = kept.get("target")
    name, aim = ("given with --target", given) if given is not None else _aim(project)
    advice = advise(
        found,
        target=None if how == "no_better" else aim,
        round_texts=project.settings.selection.batch,
        # Both models err on the same texts: of their difference this is an upper guess.
        standard_error=error,
        seconds_a_text=seconds_ahead(project),
        target_name=name,
    )
    advice = beside_trivial(advice, how, than, seen=found.seen)
    called = headline(project.scheme)
    return TrainCurve(kept["recipe"], called, points, found, advice, name, scores, how, than, current)


def stands(project: Project, scores: Scores, texts: int, *, rises: bool) -> tuple[Trivial, Standing]:
    """The answer that is the same for every text, and how a model of `texts` pool texts stands to it.

    `scores` are the model's on any split; `rises` says whether those of earlier, smaller ones were lower.
    """
    counts = gold_counts(project)
    learned = counts.labels["pool"]
    than = trivial(project.scheme, learned, counts.texts["pool"], scores)
    return than, standing(project.scheme, scores, than, learned=learned, texts=texts, rises=rises)


def standard_error(scores: Scores) -> float | None:
    """That of a score, by its interval; None where it has none."""
    return (scores.interval[1] - scores.interval[0]) / (2 * 1.96) if scores.interval else None


def _aim(project: Project) -> tuple[str, float]:
    for approach in compare(project).approaches:
        value = approach.scores.score if approach.scores and not approach.missing else None
        if approach.approach == "llm" and value is not None:
            return f"the score of {approach.name}", value
    return "the setting [rules] target", project.settings.rules.target


def _with_labels(kept: Mapping[str, Any], texts: int) -> dict[str, Any]:
    """Without the model of all gold, where its answers were not counted by label: it is trained once more."""
    if kept["all"] is None or "per_label" in kept["all"]:
        return dict(kept)
    runs = {name: value for name, value in kept["runs"].items() if name != f"0:{texts}"}
    return {**kept, "runs": runs, "all": None}
