"""The search for a recipe: its budget, what it keeps of a stopped run, and what `train` does with it."""

from __future__ import annotations

import json
from itertools import count
from pathlib import Path

import pytest
from test_training import CAT_PAIRS, TEXTCAT, dev, pool

from annoloop.training import search as searching
from annoloop.training.search import SHARES, Found, candidates, search


@pytest.fixture(autouse=True)
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Linear recipes alone: they take parts of a second."""
    monkeypatch.setattr(searching, "_BOW", ())


def run(log: Path, *, ticks: float = 0.0, minutes: float = 1.0) -> Found:
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
        clock=lambda: next(clock),
    )


def test_halves_the_recipes_and_keeps_the_default_to_the_end(tmp_path: Path) -> None:
    found = run(tmp_path / "models" / "search.jsonl")
    every = candidates("textcat", patterns=False)
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
    assert 1 <= done < len(candidates("textcat", patterns=False))
    with log.open("a") as file:
        file.write('{"gold": "cut off in the mid')
    second = run(log)
    assert second.finished
    kept = [row for row in log.read_text().splitlines() if row.endswith("}")]
    tried = [(row["recipe"], row["share"]) for row in map(json.loads, kept)]
    assert len(tried) == len(set(tried)) == len(second.tried)
    before = log.read_bytes()
    assert run(log) == second
    assert log.read_bytes() == before


def test_no_time_tries_the_default_alone(tmp_path: Path) -> None:
    found = run(tmp_path / "search.jsonl", ticks=1.0, minutes=0)
    assert [one.recipe for one in found.tried] == [found.recipe] == ["textcat_linear"]
    assert not found.finished
