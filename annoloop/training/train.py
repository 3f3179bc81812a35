"""Train a pipeline with spaCy's own training, from scratch, out of a config that is kept beside it."""

from __future__ import annotations

import math
import random
import shutil
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from annoloop.errors import TrainingError
from annoloop.training.gold_files import BEGINNING, PIECE, write_gold, write_patterns
from annoloop.training.predict import MAKING, Prediction, predict
from annoloop.training.recipe import (
    LINEAR_CODE,
    LINEAR_FACTORY,
    default_recipes,
    fit_recipe,
    is_own,
    load_recipe,
    measure,
    require_encoders,
    score_name,
    wants_vectors,
)
from annoloop.training.transformer import fit_transformer, starts_from_transformer
from annoloop.training.vectors import write_vectors
from annoloop.types import DevGold, Gold, GoldSet, LabelScheme, PoolGold

if TYPE_CHECKING:
    from confection import Config
    from spacy.tokens import Doc

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


@dataclass(frozen=True, slots=True)
class Trained:
    """A trained pipeline: `path` is the folder that `load_model` and `spacy.load` read.

    `path / "training"` has config.cfg, train.spacy and dev.spacy (and code or patterns where the recipe
    needs them): in it, `spacy train config.cfg` repeats the training, from the same BERT where there is one.
    `dev_score` is the kind's headline on dev, None where dev has nothing to find. `tried` has (recipe,
    dev_score, seconds) for every recipe.
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
    patterns: Sequence[Mapping[str, Any]] | None = None,
    transformer: Path | None = None,
    with_dev: bool = False,
    more_texts: Callable[[], Iterable[str]] | None = None,
    finish: Finish | None = None,
    on_progress: OnProgress | None = None,
) -> Trained:
    """Train every recipe on `gold`, choose on `dev`, and put the best into the folder `out`.

    The same gold in any order with the same seed gives the same model. Gold that is not complete is left
    out. `recipes` are names or paths of spaCy configs (None: the defaults of the kind); `patterns` are rows
    with "label" and "pattern" (token dicts, or a phrase) for the recipes that use them, and `transformer` is
    the folder of the BERT for those that start from one (None: the installed package's). `with_dev` trains
    the best recipe once more on `gold` and `dev` together, for as many steps as were best: a model for the
    held-out set or for use, whose own answers on dev say nothing. `more_texts` gives texts without gold,
    such as the pool's: where a recipe looks at vectors, their words get some too. `finish` may change the
    finished pipeline's folder; what it returns is `dev_said`. `out` is replaced at the end, in one rename: a
    run that is stopped leaves it as it was.

    Raises:
        TrainingError: nothing to learn from, or a recipe that does not work.
    """
    learn, judge = _usable(gold, scheme, "training"), _usable(dev, scheme, "dev")
    _check_learnable(learn, scheme)
    names = tuple(recipes) if recipes else default_recipes(scheme.kind, patterns=patterns is not None)
    out = Path(out)
    out.parent.mkdir(parents=True, exist_ok=True)
    settings: dict[str, Any] = {"lang": lang, "seed": seed, "patterns": patterns}
    settings |= {"transformer": transformer, "more_texts": more_texts}
    staging = Path(tempfile.mkdtemp(prefix=f".{out.name}-", dir=out.parent))
    try:
        runs = [_Run(name, staging / str(index), scheme) for index, name in enumerate(names)]
        for run in runs:
            run.prepare(learn, judge, **settings)
        with _own_randomness():
            _train_all(runs, on_progress, again=with_dev)
            best = max(runs, key=lambda run: -1.0 if run.score is None else run.score)
            made, dev_said = best, _dev_said(best, judge)
            if with_dev:
                made = _Run(best.name, staging / "final", scheme)
                made.prepare([*learn, *judge], judge, steps=best.step, **settings)
                made.train(lambda _step, _score: None)
            if finish is not None:
                dev_said = finish(
                    made.folder, before := dev_said, lambda: _crossed(best, before, learn, judge, **settings)
                )
        _replace(made.folder, out)
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    tried = tuple((run.name, run.score, run.seconds) for run in runs)
    return Trained(out, best.name, best.score, tried, dev_said)


def _dev_said(run: _Run, judge: Sequence[Gold]) -> Said:
    made = predict(run.folder, (gold.example.text for gold in judge), scheme=run.scheme)
    return {gold.example.input_hash: one for gold, one in zip(judge, made, strict=True)}


def _crossed(best: _Run, before: Said, learn: Sequence[Gold], judge: Sequence[Gold], **settings: Any) -> Said:
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
        run = _Run(best.name, best.folder.with_name(f"part-{number}"), best.scheme)
        run.prepare([*learn, *rest], asked, steps=best.step, **settings)
        run.train(lambda _step, _score: None)
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


class _Run:
    """One recipe in its own folder: the config fitted to the gold, the model, its score on dev."""

    def __init__(self, name: str, folder: Path, scheme: LabelScheme) -> None:
        self.name, self.folder, self.scheme = name, folder, scheme
        self.config = load_recipe(name, scheme.kind)
        self.score: float | None = None
        self.step = 0
        self.seconds = 0.0

    @property
    def max_steps(self) -> int:
        return int(self.config["training"]["max_steps"])

    @property
    def making(self) -> Path:
        return self.folder / MAKING

    def prepare(
        self,
        learn: Sequence[Gold],
        judge: Sequence[Gold],
        *,
        lang: str,
        seed: int,
        patterns: Sequence[Mapping[str, Any]] | None,
        transformer: Path | None,
        more_texts: Callable[[], Iterable[str]] | None,
        steps: int | None = None,
    ) -> None:
        """Write the gold as spaCy reads it, the config fitted to it, and what else the recipe needs.

        `steps` fixes how long to train, without patience.
        """
        self.making.mkdir(parents=True)
        self.config["nlp"]["lang"] = self.config["nlp"].get("lang") or lang
        lang = self.config["nlp"]["lang"]
        on_bert = is_own(self.name) and starts_from_transformer(self.config)
        cut = BEGINNING if on_bert else None
        docs = write_gold(learn, self.making / "train.spacy", self.scheme, lang, piece=PIECE, beginning=cut)
        write_gold(judge, self.making / "dev.spacy", self.scheme, lang, piece=None)
        size = measure(docs)
        fit_recipe(self.config, own=is_own(self.name), labels=self.scheme.labels, seed=seed, size=size)
        if on_bert:
            fit_transformer(self.config, self.making, transformer, size)
        if steps:
            self.config["training"].update(max_steps=steps, eval_frequency=steps, patience=0)
        self._bring(docs, lang, patterns, more_texts)
        self.config.to_disk(self.making / "config.cfg")

    def _bring(
        self,
        docs: Sequence[Doc],
        lang: str,
        patterns: Sequence[Mapping[str, Any]] | None,
        more_texts: Callable[[], Iterable[str]] | None,
    ) -> None:
        """Write the patterns, the vectors and the code that the recipe asks for."""
        if "patterns" in self.config["paths"]:
            if patterns is None:
                raise TrainingError(
                    f"recipe {self.name} needs patterns", hint="add the project's patterns.jsonl"
                )
            write_patterns(patterns, self.making / "patterns.json", lang)
            self.config["paths"]["patterns"] = "patterns.json"
        if is_own(self.name) and wants_vectors(self.config):
            texts = [*(doc.text for doc in docs), *(more_texts() if more_texts else ())]
            write_vectors(texts, self.making / "vectors", lang)
            self.config["paths"]["vectors"] = "vectors"
            self.config["initialize"]["vectors"] = "${paths.vectors}"
        for block in self.config["components"].values():
            if block.get("factory") == LINEAR_FACTORY:
                require_encoders(self.name, block)
                for code in LINEAR_CODE:
                    shutil.copy(code, self.making)

    def train(self, on_step: Callable[[int, float | None], None]) -> None:
        """Train, and keep the checkpoint that is best on dev.

        Raises:
            TrainingError: spaCy refuses the config or the gold.
        """
        started = time.perf_counter()
        try:
            for step, scores, save in _checkpoints(self.config, self.making):
                if save is not None:
                    save(self.folder)
                    self.score, self.step = scores.get(score_name(self.scheme.kind)), step
                on_step(step, self.score)
        except (ValueError, KeyError) as error:
            raise TrainingError(
                f"recipe {self.name} failed: {error}", hint="try another recipe in [training] recipes"
            ) from error
        self.seconds = time.perf_counter() - started


def _checkpoints(
    config: Config, making: Path
) -> Iterator[tuple[int, Mapping[str, Any], Callable[[Path], None] | None]]:
    """Yield every step with the scores of the last evaluation, and how to save it where it is the best.

    The same steps as `spacy.training.loop.train`, which would write every checkpoint twice, print, and
    name this machine's folders in the saved config.
    """
    from spacy.schemas import ConfigSchemaTraining
    from spacy.training import loop
    from spacy.training.initialize import init_nlp
    from spacy.util import registry, resolve_dot_names
    from thinc.api import fix_random_seed

    import annoloop.training.linear_textcat  # noqa: F401  (registers its factory)

    located = config.copy()
    located["paths"].update({key: str(making / value) for key, value in _made_here(config).items()})
    nlp = init_nlp(located)
    settings = nlp.config.interpolate()
    chosen = registry.resolve(settings["training"], schema=ConfigSchemaTraining)
    learn, judge = resolve_dot_names(settings, [chosen["train_corpus"], chosen["dev_corpus"]])
    nlp.config["paths"].update(_made_here(config))
    if "weights" in config["paths"]:
        # They lie elsewhere on this machine, which is nobody's business.
        nlp.config["paths"]["weights"] = None
    fix_random_seed(settings["training"]["seed"])
    optimizer, before_save = (
        chosen["optimizer"],
        loop.create_before_to_disk_callback(chosen["before_to_disk"]),
    )

    def save(folder: Path) -> None:
        with nlp.use_params(optimizer.averages or {}):
            before_save(nlp).to_disk(folder)

    steps = loop.train_while_improving(
        nlp,
        optimizer,
        loop.create_train_batches(nlp, learn, chosen["batcher"], chosen["max_epochs"]),
        loop.create_evaluation_callback(nlp, judge, chosen["score_weights"]),
        exclude=chosen["frozen_components"],
        annotating_components=chosen["annotating_components"],
        **{name: chosen[name] for name in _LOOP_SETTINGS},
    )
    scores: Mapping[str, Any] = {}
    for _batch, info, is_best in steps:
        if is_best:
            scores = info["other_scores"]
            loop.update_meta(chosen, nlp, info)
        yield info["step"], scores, save if is_best else None


_LOOP_SETTINGS = (
    "dropout",
    "accumulate_gradient",
    "patience",
    "max_steps",
    "eval_frequency",
    "before_update",
)


_MADE = ("train", "dev", "patterns", "vectors", "pieces")


def _made_here(config: Config) -> dict[str, str]:
    """The files that `prepare` wrote, by their key in [paths]."""
    return {key: config["paths"][key] for key in _MADE if key in config["paths"]}


def _train_all(runs: Sequence[_Run], on_progress: OnProgress | None, *, again: bool) -> None:
    total = sum(run.max_steps for run in runs) + (max(run.max_steps for run in runs) if again else 0)
    done, started = 0, time.perf_counter()
    for run in runs:

        def report(step: int, score: float | None, *, run: _Run = run, done: int = done) -> None:
            if on_progress and (step % 10 == 0 or step == run.max_steps):
                said = "" if score is None else f" {score:.3f} on dev,"
                on_progress(
                    f"training {run.name}:{said} {time.perf_counter() - started:.0f} s", done + step, total
                )

        run.train(report)
        done += run.max_steps
    if on_progress:
        on_progress("training once more, on dev too" if again else "trained", done, total)


@contextmanager
def _own_randomness() -> Iterator[None]:
    """Give the caller's global generators back as they were: spaCy seeds and uses them."""
    import numpy as np

    python, numpy, torch = random.getstate(), np.random.get_state(), sys.modules.get("torch")
    drawn = torch.get_rng_state() if torch else None
    try:
        with warnings.catch_warnings():
            # spaCy's word on spans off token borders; what becomes of them is said where texts are read.
            warnings.filterwarnings("ignore", message=r"\[W030\]")
            yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)
        if torch:
            torch.set_rng_state(drawn)


def _replace(made: Path, out: Path) -> None:
    """Put `made` in the place of `out`."""
    old = made.with_name("old")
    if out.exists():
        out.rename(old)
    made.rename(out)
