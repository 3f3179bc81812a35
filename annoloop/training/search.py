"""Budgeted search for a recipe and its settings: many on little gold, the better half on twice as much."""

from __future__ import annotations

import hashlib
import json
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from annoloop.errors import TrainingError
from annoloop.training.recipe import default_recipes
from annoloop.training.train import OnProgress, train
from annoloop.training.vectors import has_encoder
from annoloop.types import DevGold, Kind, LabelScheme, PoolGold

SHARES = (0.25, 0.5, 1.0)
"""Of the gold, in the rungs of successive halving (Jamieson and Talwalkar 2016)."""

_SPANS = ("", ":dropout=0.3", ":width=96", ":learn_rate=0.001", ":depth=4")
_VECTORS = ":include_static_vectors=true"
_LINEAR = ("", ":cased=false", ":penalty=0.03", ":penalty=0.3", ":balanced=false", ":min_texts=1")
_BOW = ("", ":ngram_size=2", ":dropout=0.3")


@dataclass(frozen=True, slots=True)
class Tried:
    """One recipe after a share of the gold: its score on dev (None where there is nothing to find)."""

    recipe: str
    share: float
    dev_score: float | None
    seconds: float


@dataclass(frozen=True, slots=True)
class Found:
    """What a search came to: the best recipe, all that was tried, and whether nothing is left to try."""

    recipe: str
    tried: tuple[Tried, ...]
    finished: bool


def candidates(kind: Kind, *, patterns: bool) -> tuple[str, ...]:
    """Recipes with settings, in the order in which they are tried: the default comes first."""
    first = default_recipes(kind, patterns=patterns)[0]
    if kind in ("ner", "spancat"):
        more = (*_SPANS, _VECTORS) if has_encoder() else _SPANS
        return (*(first + settings for settings in more), *(("ner",) if first == "ner_rules" else ()))
    bow = default_recipes(kind, patterns=patterns)[1]
    return (*(first + more for more in _LINEAR), *(bow + more for more in _BOW))


def search(
    gold: PoolGold,
    dev: DevGold,
    *,
    scheme: LabelScheme,
    lang: str,
    seed: int,
    minutes: float,
    log: Path,
    patterns: Sequence[Mapping[str, Any]] | None = None,
    on_progress: OnProgress | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> Found:
    """Try recipes for so many minutes; the best on dev after the largest share of the gold is found.

    Every rung halves the recipes, except that the default always goes on: it is what the best must beat.
    The one that is running when the time is over is finished. What was tried is appended to the file `log`
    at once and not tried again with the same gold, dev and seed: a run that was stopped goes on from there.

    Raises:
        TrainingError: nothing to learn from, or no recipe works.
    """
    ladder = _Ladder(gold, dev, scheme, lang, seed, log, patterns, on_progress)
    end = clock() + 60 * minutes
    left = list(candidates(scheme.kind, patterns=patterns is not None))
    default, best, finished = left[0], left[0], True
    for share in SHARES:
        done: list[Tried] = []
        for recipe in left:
            # Of what is known already none is left out, and the first is always tried.
            if ladder.tried and clock() >= end and not ladder.knows(recipe, share):
                finished = False
                break
            if (tried := ladder.climb(recipe, share)) is not None:
                done.append(tried)
        ranked = sorted(done, key=lambda one: -1.0 if one.dev_score is None else one.dev_score, reverse=True)
        # A rung that only the default has reached compares nothing.
        if len(ranked) > 1 or share == SHARES[0]:
            best = ranked[0].recipe if ranked else best
        if not finished:
            break
        kept = [one.recipe for one in ranked[: max((len(left) + 1) // 2, 2)]]
        left = [default, *(recipe for recipe in kept if recipe != default)]
    if not ladder.tried:
        raise TrainingError("no recipe works with this gold", hint="see annoloop train without --search")
    return Found(best, tuple(ladder.tried), finished)


class _Ladder:
    """Trains a recipe on a share of the gold, unless the log has it."""

    def __init__(
        self,
        gold: PoolGold,
        dev: DevGold,
        scheme: LabelScheme,
        lang: str,
        seed: int,
        log: Path,
        patterns: Sequence[Mapping[str, Any]] | None,
        on_progress: OnProgress | None,
    ) -> None:
        # By hash: a share is drawn by chance, and the same for every order of the gold.
        self.gold = sorted(gold, key=lambda item: item.example.input_hash)
        self.dev, self.scheme, self.lang, self.seed = dev, scheme, lang, seed
        self.log, self.patterns, self.on_progress = log, patterns, on_progress
        self.tried: list[Tried] = []
        self.name = self._name()
        self.known = self._read()

    def _name(self) -> str:
        said = [
            [item.example.input_hash, repr(item.annotation), item.complete]
            for item in (*self.gold, *sorted(self.dev, key=lambda item: item.example.input_hash))
        ]
        shaped = [said, self.scheme.kind, self.scheme.labels, self.lang, self.seed, self.patterns]
        return hashlib.blake2b(json.dumps(shaped, default=str).encode(), digest_size=8).hexdigest()

    def _read(self) -> dict[tuple[str, float], Tried | None]:
        known: dict[tuple[str, float], Tried | None] = {}
        if not self.log.is_file():
            return known
        for line in self.log.read_text(encoding="utf8").splitlines():
            try:
                row = json.loads(line)
                if row.pop("gold") == self.name:
                    failed = row.pop("failed")
                    known[row["recipe"], row["share"]] = None if failed else Tried(**row)
            except (ValueError, KeyError, TypeError):
                # The last line of a run that was killed: that recipe is tried again.
                continue
        return known

    def knows(self, recipe: str, share: float) -> bool:
        return (recipe, share) in self.known

    def climb(self, recipe: str, share: float) -> Tried | None:
        """The recipe's result; None where it does not work with so much gold."""
        if not self.knows(recipe, share):
            self.known[recipe, share] = self._train(recipe, share)
        tried = self.known[recipe, share]
        if tried is not None:
            self.tried.append(tried)
        return tried

    def _train(self, recipe: str, share: float) -> Tried | None:
        part = PoolGold(tuple(self.gold[: max(1, round(share * len(self.gold)))]))
        started = time.perf_counter()
        score, failed = None, False
        with tempfile.TemporaryDirectory() as out:
            try:
                score = train(
                    part,
                    self.dev,
                    scheme=self.scheme,
                    lang=self.lang,
                    seed=self.seed,
                    out=Path(out) / "model",
                    recipes=[recipe],
                    patterns=self.patterns,
                    on_progress=self._say(share),
                ).dev_score
            except TrainingError:
                if share == SHARES[-1]:
                    raise
                failed = True
        tried = Tried(recipe, share, score, round(time.perf_counter() - started, 1))
        row = {"gold": self.name, "failed": failed, "recipe": recipe, "share": share}
        row |= {"dev_score": tried.dev_score, "seconds": tried.seconds}
        self.log.parent.mkdir(parents=True, exist_ok=True)
        broken = self.log.is_file() and not self.log.read_bytes().endswith(b"\n")
        with self.log.open("a", encoding="utf8") as file:
            file.write("\n" * broken + json.dumps(row) + "\n")
        return None if failed else tried

    def _say(self, share: float) -> OnProgress | None:
        tell = self.on_progress
        if tell is None:
            return None
        return lambda what, done, total: tell(f"{what} on {share:.0%} of the gold", done, total)
