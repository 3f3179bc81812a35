"""Strategies and recipes compared on one's own finished gold: simulated projects, as often as it takes."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from statistics import fmean
from typing import Any

from annoloop.errors import AnnoloopError, TrainingError
from annoloop.evaluation.curves_page import Chart, Line, render_curves
from annoloop.evaluation.leaderboard import headline
from annoloop.evaluation.learning_curves import (
    UNITS,
    Compared,
    Curve,
    LearningPoint,
    Unit,
    compare,
    mean_curve,
)
from annoloop.hashing import input_hash
from annoloop.project import Project
from annoloop.selection.candidates import FloatArray, IntArray
from annoloop.selection.costs import token_counts, typical
from annoloop.steps.one_label import require_two_labels
from annoloop.steps.progress import OnProgress, silent
from annoloop.steps.simulation.models import QUICK
from annoloop.steps.simulation.run import Plan, require_strategy
from annoloop.steps.simulation.runs import Ground, run_all
from annoloop.steps.simulation.voters import Voter, recorded, stands_for
from annoloop.training.recipe import load_recipe
from annoloop.types import Example, Gold

BASELINE = "random"
ROUNDS = 10
FEWEST_TEXTS = 40
"""Fewer texts to choose from, or fewer than half of it to judge by, show nothing."""

MOST_ASKED = 0.6
"""The share of the pool that a simulation asks at most: of the last texts all strategies ask the same."""

FOLDER = "simulations"


@dataclass(frozen=True)
class Simulated:
    """What came out. `tables` has for each recipe every strategy against random with the same recipe.

    `recipes` compares the recipes under random with the first; empty where there is one. `curves` are by
    recipe, strategy and seed. `batch` counts in `unit`s a round. `warnings` say, line by line, what in the
    gold files is odd or left out. `recorded` names those, of rules and LLM, whose answers were kept before.
    """

    folder: Path
    headline: str
    unit: Unit
    batch: int
    rounds: int
    pool: int
    test: int
    tables: Mapping[str, tuple[Compared, ...]]
    recipes: tuple[Compared, ...]
    curves: Mapping[str, Mapping[str, Mapping[int, Curve]]]
    recorded: tuple[Voter, ...] = ()
    warnings: tuple[str, ...] = ()

    @property
    def about(self) -> str:
        """What was simulated and how to read it, in a few sentences."""
        names = {"rules": "the rules as they are now", "llm": "the LLM's recorded answers"}
        votes = f" The model's votes are set against {' and '.join(names[one] for one in self.recorded)}."
        rounds = "round" if self.rounds == 1 else "rounds"
        # What is mended takes time too, which nobody can budget before it is read.
        unit = "seconds of reading" if self.unit == "seconds" else self.unit
        seeds = max(row.seeds for rows in self.tables.values() for row in rows)
        # Of n differences all alike the share of signs that is as extreme is 2 in 2^n.
        few = f" With so few seeds no p can be below {2 / 2**seeds:.2g}." if 1 < seeds < 6 else ""
        return (
            f"Seeds: {seeds}. {self.rounds} {rounds} of {self.batch:,} {unit}, chosen from "
            f"{self.pool:,} texts, judged on {self.test:,}. The expert is simulated from gold; differences "
            f"are to {BASELINE}, paired by seed, with Student's 95 % interval and p by sign flips, corrected "
            f"after Holm.{few}{votes if self.recorded else ''}"
        )

    def to_json(self) -> dict[str, Any]:
        """Plain values, as `--json` prints them and `results.json` keeps them."""
        return {
            "headline": self.headline,
            "unit": self.unit,
            "batch": self.batch,
            "rounds": self.rounds,
            "pool_texts": self.pool,
            "test_texts": self.test,
            "baseline": BASELINE,
            "recorded": list(self.recorded),
            "warnings": list(self.warnings),
            "recipes": {recipe: [asdict(row) for row in rows] for recipe, rows in self.tables.items()},
            "between_recipes": [asdict(row) for row in self.recipes],
            "curves": [
                {"recipe": recipe, "strategy": strategy, "seed": seed, "points": [p._asdict() for p in curve]}
                for recipe, strategy, seed, curve in self.each()
            ],
        }

    def each(self) -> list[tuple[str, str, int, Curve]]:
        """(recipe, strategy, seed, curve) of every run."""
        return [
            (recipe, strategy, seed, curve)
            for recipe, strategies in self.curves.items()
            for strategy, seeds in strategies.items()
            for seed, curve in seeds.items()
        ]


def simulate(
    project: Project,
    *,
    gold: Sequence[Path] = (),
    strategies: Sequence[str] = ("auto",),
    recipes: Sequence[str] = (QUICK,),
    seeds: int = 10,
    batch: int | None = None,
    rounds: int | None = None,
    unit: Unit | None = None,
    folder: Path | None = None,
    workers: int | None = None,
    columns: tuple[str | None, str | None] = (None, None),
    on_progress: OnProgress = silent,
) -> Simulated:
    """Simulate every strategy with every recipe and seed; `random` is always among them.

    Without files the project's own gold is used: its pool is chosen from, its held-out texts judge. Gold
    files are split anew for each seed, by the project's shares. Whoever chooses and learns never sees the
    texts that judge. `batch` counts in texts; for spans a round spends as many tokens as so many average
    texts have, unless `unit` says "texts" (or "seconds": modelled). The default batch and rounds leave a
    part of the pool unasked. Finished runs are kept in `folder` and not repeated; results.json, curves.csv
    and curves.html are written there at the end. `columns` are those of CSV and TSV.

    Raises:
        AnnoloopError: a strategy that a simulation cannot have, or that goes by rules or LLM answers that
            there are not; gold that is too little or cannot be read.
    """
    if not strategies:
        raise AnnoloopError("no strategy is named", hint=f"--strategies auto; {BASELINE} is always compared")
    strategies = tuple(dict.fromkeys([BASELINE, *strategies]))
    recipes = tuple(dict.fromkeys(recipes))
    _require(project, strategies, recipes)
    warnings: list[str] = []
    numbers = range(project.settings.training.seed, project.settings.training.seed + seeds)
    ground, sizes = _ground(project, gold, columns, warnings, numbers)
    ground = replace(ground, said=recorded(project, ground.choosable(), strategies))
    strategies = _different(project, ground, strategies, warnings)
    unit = unit or _unit(project)
    a_text = _a_text(ground, unit)
    texts, rounds = _size(min(sizes)[0], batch or _texts_a_round(project, a_text), rounds, batch)
    spent = round(texts * a_text)
    share = project.settings.selection.random_share
    plans = [
        Plan(strategy, recipe, seed, spent, rounds, unit, share)
        for seed in numbers
        for recipe in recipes
        for strategy in strategies
    ]
    folder = folder or project.folder / FOLDER
    found = run_all(ground, plans, folder / "runs", workers=workers, on_progress=on_progress)
    return _told(project, ground, sizes, _by_recipe(found), folder, unit, spent, rounds, tuple(warnings))


def _different(
    project: Project, ground: Ground, strategies: Sequence[str], warnings: list[str]
) -> tuple[str, ...]:
    """The strategies without those that stand for the same as one before: p would be corrected for both."""
    first: dict[tuple[str, ...], str] = {}
    for name in strategies:
        known = first.setdefault(stands_for(name, project.scheme, ground.said), name)
        if known != name:
            warnings.append(f"{name} chooses the same texts as {known} here, so it is simulated once")
    return tuple(first.values())


def _require(project: Project, strategies: Sequence[str], recipes: Sequence[str]) -> None:
    """Nothing begins that would fail hours later for a name."""
    for name in strategies:
        require_strategy(name, project.scheme)
    if not recipes:
        raise AnnoloopError("no recipe is named", hint=f"--recipes {QUICK}, or recipes of the kind")
    for name in recipes:
        if name != QUICK:
            load_recipe(name, project.scheme.kind)


def _by_recipe(found: Mapping[Plan, Curve]) -> dict[str, dict[str, dict[int, Curve]]]:
    """Curves by recipe, strategy and seed."""
    curves: dict[str, dict[str, dict[int, Curve]]] = {}
    for plan, curve in found.items():
        curves.setdefault(plan.recipe, {}).setdefault(plan.strategy, {})[plan.seed] = curve
    return curves


def _told(
    project: Project,
    ground: Ground,
    sizes: Sequence[tuple[int, int]],
    curves: Mapping[str, Mapping[str, Mapping[int, Curve]]],
    folder: Path,
    unit: Unit,
    batch: int,
    rounds: int,
    warnings: tuple[str, ...],
) -> Simulated:
    """Compare, and write it down."""
    tables = {recipe: tuple(compare(found, baseline=BASELINE, unit=unit)) for recipe, found in curves.items()}
    between = {recipe: found[BASELINE] for recipe, found in curves.items()}
    first = next(iter(curves))
    told = Simulated(
        folder=folder,
        headline=headline(project.scheme),
        unit=unit,
        batch=batch,
        rounds=rounds,
        pool=round(fmean(pool for pool, _ in sizes)),
        test=round(fmean(test for _, test in sizes)),
        tables=tables,
        recipes=tuple(compare(between, baseline=first, unit=unit)) if len(between) > 1 else (),
        curves=curves,
        recorded=tuple(sorted(ground.said)),
        warnings=warnings,
    )
    _write(told, project.settings.project.name)
    return told


def _ground(
    project: Project,
    files: Sequence[Path],
    columns: tuple[str | None, str | None],
    warnings: list[str],
    seeds: Sequence[int],
) -> tuple[Ground, list[tuple[int, int]]]:
    """The gold, and of each seed how many texts there are to choose from and to judge by."""
    corpus = project.settings.corpus
    if files:
        gold, shares = _from_files(project, files, columns, warnings), (corpus.held_out, corpus.dev)
    else:
        parts = (project.pool_gold(), project.dev_gold(), project.held_out_gold())
        gold, shares = tuple(g for part in parts for g in part), None
    kept = (g for g in gold if g.complete and (g.annotation.labels or not project.scheme.is_exclusive))
    # By hash, so that what is drawn does not depend on the order of the files.
    usable = tuple(sorted(kept, key=lambda g: g.example.input_hash))
    lang, threshold = project.settings.project.lang, corpus.near_duplicate
    ground = Ground(usable, project.scheme, lang, threshold, shares, transformer=project.transformer)
    sizes = [ground.sizes(seed) for seed in seeds]
    for seed, (pool, test) in zip(seeds, sizes, strict=True):
        if pool < FEWEST_TEXTS or test < FEWEST_TEXTS // 2:
            alike = f" in seed {seed}, with nearly equal texts on one side," if files else ""
            raise TrainingError(
                f"{project.folder}: gold on {pool} texts to choose from and {test} to judge by{alike} "
                "shows nothing",
                hint=f"at least {FEWEST_TEXTS} and {FEWEST_TEXTS // 2} are needed: label more, or give files "
                "of labelled texts with --gold",
            )
    require_two_labels(project, usable)
    if not any(g.annotation.labels or g.annotation.spans for g in usable):
        raise TrainingError(
            f"{project.folder}: none of the {len(usable)} texts with gold has a label: nothing to learn",
            hint="label more texts, or give files of labelled texts with --gold",
        )
    return ground, sizes


def _from_files(
    project: Project,
    files: Sequence[Path],
    columns: tuple[str | None, str | None],
    warnings: list[str],
) -> tuple[Gold, ...]:
    from annoloop.oracle import First, read_gold

    found: dict[str, Gold] = {}
    first: First = {}
    for file in files:
        lang = project.settings.project.lang
        for text, annotation in read_gold(file, project.scheme, lang, columns, warnings, first):
            name = input_hash(text)
            found[name] = Gold(Example(name, text), annotation, simulated=True)
    return tuple(found.values())


def _unit(project: Project) -> Unit:
    unit = project.settings.selection.unit
    if unit in UNITS:
        return unit
    return "tokens" if project.scheme.has_spans else "texts"


def _size(pool: int, batch: int, rounds: int | None, asked: int | None) -> tuple[int, int]:
    """Texts a round and rounds, which together leave a part of the pool unasked."""
    most = int(MOST_ASKED * pool)
    if asked is None and batch * (rounds or ROUNDS) > most:
        batch = max(most // (rounds or ROUNDS), 4)
    if rounds is None:
        rounds = max(min(ROUNDS, most // batch), 1)
    if batch * rounds > pool:
        raise AnnoloopError(
            f"{rounds} rounds of {batch} texts are more than the {pool} there are to choose from",
            hint=f"--batch times --rounds is best at most {most}: later all strategies ask the same",
        )
    return batch, rounds


def _texts_a_round(project: Project, a_text: float) -> int:
    """The settings' batch, which may count in tokens or seconds, in texts."""
    selection = project.settings.selection
    in_units = selection.unit in ("tokens", "seconds")
    return max(1, round(selection.batch / a_text)) if in_units else selection.batch


def _a_text(ground: Ground, unit: Unit) -> float:
    """What an average text takes, in units."""
    return 1.0 if unit == "texts" else typical(_costs(ground, unit))


def _costs(ground: Ground, unit: Unit) -> IntArray | FloatArray:
    from annoloop.selection.costs import SECONDS_PER_WORD, SECONDS_TO_START, seconds_needed, word_counts

    said = [g.example.text for g in ground.gold]
    if unit == "tokens":
        return token_counts(said)
    return seconds_needed(word_counts(said), SECONDS_TO_START, SECONDS_PER_WORD)


def _write(told: Simulated, name: str) -> None:
    content = json.dumps(told.to_json(), ensure_ascii=False, indent=1) + "\n"
    page = render_curves(f"{name}: simulated learning curves", told.about, _charts(told))
    for file, text in (("results.json", content), ("curves.csv", _csv(told)), ("curves.html", page)):
        partial = told.folder / f".{file}.partial"
        partial.write_text(text, encoding="utf8", newline="")
        partial.replace(told.folder / file)


def _csv(told: Simulated) -> str:
    written = io.StringIO()
    rows = csv.writer(written)
    rows.writerow(["recipe", "strategy", "seed", "round", *LearningPoint._fields])
    for recipe, strategy, seed, curve in told.each():
        rows.writerows([recipe, strategy, seed, place, *point] for place, point in enumerate(curve, start=1))
    return written.getvalue()


def _charts(told: Simulated) -> list[Chart]:
    return [
        Chart(
            title=f"Recipe {recipe}",
            x=f"{told.unit} labelled" + (", modelled" if told.unit == "seconds" else ""),
            y=told.headline,
            lines=tuple(
                Line(strategy, tuple(mean_curve(list(seeds.values()), told.unit)))
                for strategy, seeds in strategies.items()
            ),
            rows=told.tables[recipe],
        )
        for recipe, strategies in told.curves.items()
    ]
