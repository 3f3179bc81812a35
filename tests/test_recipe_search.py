"""The search for a recipe: its budget, what it keeps of a stopped run, and what `train` does with it."""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from test_train_curve import answered
from test_training import CAT_PAIRS, TEXTCAT, dev, pool
from typer.testing import CliRunner

from annoloop.cli.app import app
from annoloop.errors import TrainingError
from annoloop.evaluation.leaderboard import render
from annoloop.project import Project
from annoloop.steps import train as steps
from annoloop.steps.evaluate import evaluate
from annoloop.steps.evidence.report import report
from annoloop.training import recipe as recipes
from annoloop.training import search as searching
from annoloop.training.recipe import default_recipes, load_recipe
from annoloop.training.search import SHARES, Found, Tried, candidates, search
from annoloop.training.train import OnProgress
from annoloop.types import KINDS, Kind


@pytest.fixture(autouse=True)
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Four linear recipes, whatever encoders are installed: they take parts of a second."""
    monkeypatch.setattr(recipes, "vector_recipes", lambda kind: ())
    monkeypatch.setattr(searching, "_BOW", ())
    monkeypatch.setattr(searching, "_LINEAR", searching._LINEAR[:4])


def run(
    log: Path, *, ticks: float = 0.0, minutes: float = 1.0, on_progress: OnProgress | None = None
) -> Found:
    """Search with a clock that goes on by `ticks` seconds each time it is looked at."""
    clock = count(0.0, ticks)
    return search(
        pool(CAT_PAIRS[::-1]),
        dev(CAT_PAIRS[::5]),
        scheme=TEXTCAT,
        lang="en",
        seed=0,
        minutes=minutes,
        log=log,
        on_progress=on_progress,
        clock=lambda: next(clock),
    )


def test_halves_the_recipes_and_keeps_the_default_to_the_end(tmp_path: Path) -> None:
    found = run(tmp_path / "models" / "search.jsonl")
    every = candidates("textcat", rules=False)
    by_share = [[one.recipe for one in found.tried if one.share == share] for share in SHARES]
    assert found.finished
    assert by_share[0] == list(every)
    assert [every[0] in rung for rung in by_share] == [True] * len(SHARES)
    assert len(by_share[0]) > len(by_share[1]) >= len(by_share[2]) >= 2
    final = {one.recipe: one.dev_score or 0.0 for one in found.tried if one.share == 1.0}
    assert final[found.recipe] == max(final.values())
    if final[every[0]] == max(final.values()):
        assert found.recipe == every[0]


def test_a_stopped_search_goes_on_where_it_was(tmp_path: Path) -> None:
    log = tmp_path / "search.jsonl"
    first = run(log, ticks=1.0, minutes=3 / 60)
    assert not first.finished
    done = len(log.read_text().splitlines())
    assert 1 <= done < len(candidates("textcat", rules=False))
    with log.open("ab") as file:
        # Cut off in the middle of a letter, too.
        file.write('{"gold": "cut off in the midé'.encode()[:-1])
    second = run(log)
    assert second.finished
    kept = [row for row in log.read_text(errors="replace").splitlines() if row.endswith("}")]
    tried = [(row["recipe"], row["share"]) for row in map(json.loads, kept)]
    assert len(tried) == len(set(tried)) == len(second.tried)
    before = log.read_bytes()
    assert run(log) == second
    assert log.read_bytes() == before


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("rules", [False, True])
def test_every_candidate_is_a_recipe_of_its_kind(kind: Kind, rules: bool) -> None:
    every = candidates(kind, rules=rules)
    assert every[0] == default_recipes(kind, rules=rules)[0]
    assert len(set(every)) == len(every)
    assert len({str(load_recipe(recipe, kind)) for recipe in every}) == len(every)


def test_no_time_tries_the_default_alone(tmp_path: Path) -> None:
    found = run(tmp_path / "search.jsonl", ticks=1.0, minutes=0)
    assert [one.recipe for one in found.tried] == [found.recipe] == ["textcat_linear"]
    assert not found.finished
    assert not found.decided
    assert found.said.startswith("no recipe adopted: textcat_linear was tried alone; about ")


def test_as_high_as_the_default_is_not_called_ahead_or_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scores = dict.fromkeys(candidates("textcat", rules=False), 0.5)
    monkeypatch.setattr(searching._Ladder, "_train", fixed(scores, seconds=60.0))
    other = candidates("textcat", rules=False)[1]
    two, three = (run(tmp_path / str(n), ticks=1.0, minutes=(n - 0.5) / 60).said for n in (2, 3))
    assert f"{other} is not ahead of textcat_linear on 25% of the gold" in two
    assert "none of 2 others is ahead of textcat_linear on 25% of the gold" in three


BETTER = "textcat_linear:penalty=0.03"


@pytest.mark.parametrize(
    ("trainings", "recipe", "said"),
    [
        (3, None, f"{BETTER} is ahead of textcat_linear on 25% of the gold, too little to go by"),
        (4, None, f"{BETTER} is ahead of textcat_linear on 25% of the gold, too little to go by"),
        (5, None, f"{BETTER} is ahead of textcat_linear on 25% of the gold, too little to go by"),
        (6, BETTER, f"best recipe: {BETTER}, on 50% of the gold"),
        (7, None, f"{BETTER} is ahead of textcat_linear on 50% of the gold, but was not tried on more"),
        (8, BETTER, f"best recipe: {BETTER}, on 100% of the gold"),
    ],
)
def test_another_recipe_is_adopted_where_it_was_compared_on_enough_gold(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, trainings: int, recipe: str | None, said: str
) -> None:
    """Four recipes on a quarter, two on half, two on all of the gold: each training takes a minute."""
    scores = dict.fromkeys(candidates("textcat", rules=False), 0.5) | {BETTER: 0.6}
    monkeypatch.setattr(searching._Ladder, "_train", fixed(scores, seconds=60.0))
    found = run(tmp_path / "search.jsonl", ticks=1.0, minutes=(trainings - 0.5) / 60)
    assert len(found.tried) == trainings
    assert found.decided == (recipe is not None)
    assert found.recipe == (recipe or "textcat_linear")
    assert said in found.said
    assert found.finished == (trainings == 8)


def test_what_is_left_is_estimated_by_the_shares(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A training takes 240 s on all of the gold: 2 of 60 s, 2 of 120 s and 2 of 240 s are left."""
    scores = dict.fromkeys(candidates("textcat", rules=False), 0.5)
    monkeypatch.setattr(searching._Ladder, "_train", fixed(scores, seconds=240.0, by_share=True))
    found = run(tmp_path / "search.jsonl", ticks=1.0, minutes=1.5 / 60)
    assert len(found.tried) == 2
    assert found.seconds_left == pytest.approx(2 * 60 + 2 * 120 + 2 * 240)
    assert "about 14 min more" in found.said


def test_progress_goes_up_to_the_end_of_the_search(tmp_path: Path) -> None:
    told: list[tuple[str, int, int]] = []
    run(tmp_path / "search.jsonl", ticks=30.0, on_progress=lambda *what: told.append(what))
    assert {what.partition(":")[0] for what, _, _ in told} == {"searching"}
    assert [done for _, done, _ in told] == sorted(done for _, done, _ in told)
    first, rest = told[0], [one for one in told if "cased" in one[0]]
    assert first[2] == 0  # Nothing was measured yet.
    assert rest
    assert all(done < total <= 60 and "all within about 1 min" in what for what, done, total in rest)


def test_gold_too_little_for_a_share_loses_no_recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scores = dict.fromkeys(candidates("textcat", rules=False), 0.5) | {BETTER: 0.6}
    monkeypatch.setattr(
        searching._Ladder,
        "_train",
        lambda ladder, recipe, share: None if share == SHARES[0] else fixed(scores)(ladder, recipe, share),
    )
    found = run(tmp_path / "search.jsonl")
    assert (found.recipe, found.decided, found.finished) == (BETTER, True, True)


def test_train_uses_what_a_search_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    better = "textcat_linear:penalty=0.5"
    project = answered(tmp_path / "p", count=30)
    before = steps.train(project)
    with pytest.raises(TrainingError, match="the settings name the recipes: textcat_linear"):
        steps.search(project, minutes=1)
    project = with_default_recipes(project)
    monkeypatch.setattr(searching, "candidates", lambda _kind, *, rules: ("textcat_linear", better))
    monkeypatch.setattr(searching._Ladder, "_train", fixed({"textcat_linear": 0.5, better: 0.6}))
    assert not steps.search(project, minutes=0).decided
    assert steps.recipes_of(project) is None
    found = steps.search(project, minutes=1)
    assert (found.recipe, found.finished) == (better, True)
    after = steps.train(project)
    assert after.recipe == better
    assert after.fingerprint != before.fingerprint
    assert steps.train(project) == after
    made = steps.dev_scores(project, better, seeds=2)
    assert len(made) == 2
    assert made[0] == made[1]  # Nothing in a linear recipe is drawn by chance.
    project.store.close()


def with_default_recipes(project: Project) -> Project:
    project.store.close()
    path = project.folder / "annoloop.cfg"
    path.write_text(path.read_text().replace('recipes = ["textcat_linear"]', 'recipes = ["auto"]'))
    return Project.open(project.folder)


def fixed(
    scores: dict[str, float], *, seconds: float = 0.0, by_share: bool = False
) -> Callable[[Any, str, float], Tried]:
    """In the place of training: scores by recipe, in so many seconds (for all of the gold)."""

    def train(_ladder: Any, recipe: str, share: float) -> Tried:
        return Tried(recipe, share, scores[recipe], seconds * share if by_share else seconds)

    return train


def test_the_spread_over_seeds_stays_with_the_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    project = answered(tmp_path / "p", count=30)
    record, asked = steps.train(project), []
    scores: list[float | None] = [0.5, None, 0.6, 0.7]
    monkeypatch.setattr(steps, "dev_scores", lambda *_, seeds, **__: asked.append(seeds) or scores)
    assert steps.train_seeds(project, record, seeds=4).dev_seeds == (0.5, 0.6, 0.7)
    kept = steps.train(project)
    assert kept.dev_seeds == (0.5, 0.6, 0.7)
    assert steps.train_seeds(project, kept, seeds=3) == kept
    assert asked == [4]
    spread = "0.600 ± 0.100 (3 seeds)"
    told = CliRunner().invoke(app, ["status", str(project.folder)]).stdout
    assert f"round 1  30 gold texts, not judged yet, recipe on dev {spread}" in told
    result = evaluate(project)
    assert f"its recipe on dev: accuracy {spread}" in render(result.leaderboard, scheme=project.scheme)
    assert spread in report(project, tmp_path / "r.html").path.read_text(encoding="utf8")
    shown = CliRunner().invoke(app, ["train", str(project.folder), "--seeds", "3"]).stdout
    assert f"recipe on dev: {spread}, 0.500 to 0.700" in shown
    with monkeypatch.context() as changed:
        changed.setattr(steps, "fingerprint", lambda *_: "of other gold")
        assert steps.train(project).dev_seeds == ()
    project.store.close()
