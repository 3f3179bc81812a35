"""Train a pipeline with spaCy's own training, from scratch, out of a config that is kept beside it."""

from __future__ import annotations

import glob
import math
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from annoloop.errors import TrainingError
from annoloop.training.checkpoints import own_randomness
from annoloop.training.gold_rules import RuleMaker, span_f, wants_rules
from annoloop.training.predict import Prediction, predict
from annoloop.training.recipe import default_recipes
from annoloop.training.run import Run
from annoloop.training.starting_weights import StartingWeights
from annoloop.training.starts import BesideGold
from annoloop.types import DevGold, Gold, GoldSet, LabelScheme, PoolGold

OnProgress = Callable[[str, int, int], None]
"""Called with what is going on (recipe, score on dev, seconds), steps done, and an estimate of all steps."""

Said = Mapping[str, Prediction]
"""Predictions by input hash."""

Finish = Callable[[Path, Said, Callable[[], Said]], Said]
"""Called with the folder of the finished pipeline, before it is where others look for it; with what the
pipeline said of the dev texts before it learned from them; and with a function that trains it on parts of
dev too, as often as it takes for each dev text to be judged by a pipeline that has learned from nearly as
much as the finished one, though not from that text."""

_NEARLY = 0.8
"""The least share of all gold that such a pipeline learns from."""

_FORGOTTEN = 0.02
"""Points of F on gold it has learned from, below which the model with dev is taken for broken."""

_SEEDS = 3
"""Seeds tried before the model without dev is kept."""

_BUSY = "busy"
"""The lock in the folder of a training that is under way."""


@dataclass(frozen=True, slots=True)
class Trained:
    """A trained pipeline: `path` is the folder that `load_model` and `spacy.load` read.

    `path / "training"` has config.cfg, train.spacy, dev.spacy and the tokenizer (and code or patterns where
    the recipe needs them): in it, `spacy train config.cfg` repeats the training, from the same BERT where
    there is one. `dev_score` is the kind's headline on dev, None where dev has nothing to find. `tried` has
    (recipe, dev_score, seconds) for every recipe.
    """

    path: Path
    recipe: str
    dev_score: float | None
    tried: tuple[tuple[str, float | None, float], ...]
    dev_said: Mapping[str, Prediction] = field(default_factory=dict)


def train(
    gold: PoolGold,
    dev: DevGold,
    *,
    scheme: LabelScheme,
    lang: str,
    seed: int,
    out: Path,
    recipes: Sequence[str] | None = None,
    rules: RuleMaker | None = None,
    transformer: Path | None = None,
    with_dev: bool = False,
    beside: BesideGold = BesideGold(),
    finish: Finish | None = None,
    on_progress: OnProgress | None = None,
) -> Trained:
    """Train every recipe on `gold`, choose on `dev`, and put the best into the folder `out`.

    The same gold in any order with the same seed gives the same model. Incomplete gold is left out. `recipes`
    are names or paths of spaCy configs (None: the defaults of the kind); `rules` are the project's, with what
    makes others of gold, for the recipes that look at some; `transformer` is the folder of the BERT for those
    that start from one (None: the installed package's). `with_dev` trains the best recipe once more on `gold`
    and `dev` together, for as many steps as were best: a model for the held-out set or for use, whose own
    answers on dev say nothing. `beside` gives texts without gold, for the recipes that learn from some.
    `finish` may change the finished pipeline's folder; what it returns is `dev_said`. `out` is replaced at
    the end, in one rename: a run that is stopped leaves it as it was.

    Raises:
        TrainingError: nothing to learn from, or a recipe that does not work.
    """
    learn, judge = _usable(gold, scheme, "training"), _usable(dev, scheme, "dev")
    _check_learnable(learn, scheme)
    names = tuple(recipes) if recipes else default_recipes(scheme.kind, rules=rules is not None)
    out = Path(out)
    out.parent.mkdir(parents=True, exist_ok=True)
    settings: dict[str, Any] = {"lang": lang, "seed": seed, "maker": rules, "transformer": transformer}
    settings["beside"] = beside
    with _staging(out) as staging:
        runs = [Run(name, staging / str(index), scheme) for index, name in enumerate(names)]
        settings["begin"] = StartingWeights(staging, learn, judge, dict(settings), on_progress).of
        with own_randomness():
            for run in runs:
                if on_progress and wants_rules(run.config):
                    on_progress("rules are made of the gold", 0, 0)
                run.prepare(learn, judge, **settings)
            _train_all(runs, judge, on_progress, again=with_dev)
            best = max(runs, key=lambda run: -1.0 if run.score is None else run.score)
            made, dev_said = best, _dev_said(best, judge)
            if with_dev:
                made = _once_more(best, staging / "final", learn, judge, on_progress, **settings)
            if finish is not None:
                dev_said = finish(
                    made.folder, before := dev_said, lambda: _crossed(best, before, learn, judge, **settings)
                )
        _replace(made.folder, out)
    tried = tuple((run.name, run.score, run.seconds) for run in runs)
    return Trained(out, best.name, best.score, tried, dev_said)


@contextmanager
def _staging(out: Path) -> Iterator[Path]:
    """A folder beside `out` that is gone afterwards. What killed trainings left of theirs goes first."""
    from filelock import FileLock, Timeout

    for left in out.parent.glob(f".{glob.escape(out.name)}-*"):
        with suppress(Timeout, OSError), FileLock(left / _BUSY, timeout=0):
            shutil.rmtree(left, ignore_errors=True)
    staging = Path(tempfile.mkdtemp(prefix=f".{out.name}-", dir=out.parent))
    try:
        with FileLock(staging / _BUSY):
            yield staging
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _dev_said(run: Run, judge: Sequence[Gold]) -> Said:
    made = predict(run.folder, (gold.example.text for gold in judge), scheme=run.scheme)
    return {gold.example.input_hash: one for gold, one in zip(judge, made, strict=True)}


def _once_more(
    best: Run,
    folder: Path,
    learn: Sequence[Gold],
    judge: Sequence[Gold],
    on_progress: OnProgress | None,
    **settings: Any,
) -> Run:
    """The best run on dev's gold too; of spans that may overlap by another seed where it came out broken.

    A span categorizer may stop learning a kind of span by chance. What it then no longer finds in the gold
    that both have learned from shows that, without a look at texts to judge by.
    """
    together = [*learn, *judge]
    if best.scheme.kind != "spancat":
        return best.again(folder, together, judge, **settings)
    least = span_f(best.folder, learn, best.scheme) - _FORGOTTEN
    for turn in range(_SEEDS):
        made = best.again(
            folder / str(turn), together, judge, **{**settings, "seed": settings["seed"] + turn}
        )
        if span_f(made.folder, learn, best.scheme) >= least:
            return made
        if on_progress:
            then = "another seed" if turn < _SEEDS - 1 else "the one without dev is kept"
            on_progress(f"trained with dev it forgot what it had learned: {then}", 0, 0)
    return best


def _crossed(best: Run, before: Said, learn: Sequence[Gold], judge: Sequence[Gold], **settings: Any) -> Said:
    """What is said of each dev text by a run like the best that has learned from most of the others too."""
    room = (1 - _NEARLY) * (len(learn) + len(judge))
    if len(judge) <= room:
        return before
    said: dict[str, Prediction] = {}
    parts = max(2, math.ceil(len(judge) / room))
    for number in range(parts):
        # In the order of their hashes, so that the parts are drawn by chance.
        asked = judge[number::parts]
        rest = [gold for index, gold in enumerate(judge) if index % parts != number]
        run = best.again(best.folder.with_name(f"part-{number}"), [*learn, *rest], asked, **settings)
        said.update(_dev_said(run, asked))
    return said


def _usable(gold: GoldSet, scheme: LabelScheme, name: str) -> list[Gold]:
    """The complete gold, in an order that depends on the texts alone."""
    items = [g for g in gold if g.complete and g.example.text.strip()]
    if scheme.is_exclusive:
        items = [g for g in items if g.annotation.labels]
    if not items:
        raise TrainingError(
            f"no complete gold in {name}", hint="label some texts first: annoloop review PROJECT"
        )
    return sorted(items, key=lambda g: g.example.input_hash)


def _check_learnable(learn: Sequence[Gold], scheme: LabelScheme) -> None:
    if scheme.has_spans and not any(g.annotation.spans for g in learn):
        raise TrainingError(
            f"none of the {len(learn)} training texts has a span",
            hint="label more texts, or texts in which the rules or the LLM find something",
        )
    if scheme.is_exclusive and len(scheme.labels) < 2:
        raise TrainingError("one label is no choice", hint="add a label, or use kind textcat_multilabel")


def _train_all(
    runs: Sequence[Run], judge: Sequence[Gold], on_progress: OnProgress | None, *, again: bool
) -> None:
    # A step that is the whole training takes as long as hundreds of others: what is left is not told by it.
    steps = [run.max_steps if run.max_steps > 1 else 0 for run in runs]
    total = sum(steps) + (max(steps) if again else 0)
    done, started = 0, time.perf_counter()
    for run, own in zip(runs, steps, strict=True):

        def report(
            step: int, score: float | None, *, run: Run = run, done: int = done, own: int = own
        ) -> None:
            if on_progress and (step % 10 == 0 or step == run.max_steps):
                said = "" if score is None else f" {score:.3f} on dev,"
                seconds = f"{time.perf_counter() - started:.0f} s"
                on_progress(f"training {run.name}:{said} {seconds}", done + min(step, own), total)

        run.train(report)
        run.settle(judge)
        done += own
    if on_progress:
        on_progress("training once more, on dev too" if again else "trained", done, total)


def _replace(made: Path, out: Path) -> None:
    """Put `made` in the place of `out`."""
    old = made.with_name("old")
    if out.exists():
        out.rename(old)
    made.rename(out)
