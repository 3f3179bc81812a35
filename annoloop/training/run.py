"""One recipe's training: its folder, its config fitted to the gold, its model and its score on dev."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from annoloop.errors import TrainingError
from annoloop.training.checkpoints import checkpoints
from annoloop.training.gold_files import BEGINNING, PIECE, write_gold
from annoloop.training.gold_rules import (
    RuleMaker,
    RulesAtHand,
    bring_rules,
    leave_out_filling,
    rules_at_hand,
    score_without_filling,
    wants_rules,
)
from annoloop.training.predict import MAKING
from annoloop.training.recipe import (
    LINEAR_CODE,
    LINEAR_FACTORY,
    fit_recipe,
    is_own,
    load_recipe,
    measure,
    require_encoders,
    score_name,
    wants_vectors,
)
from annoloop.training.starts import BesideGold, start_of, write_labels
from annoloop.training.tokenizer import bring_tokenizer
from annoloop.training.transformer import fit_transformer, starts_from_transformer
from annoloop.training.vectors import write_vectors
from annoloop.types import Gold, LabelScheme

if TYPE_CHECKING:
    from spacy.tokens import Doc


class Run:
    """One recipe in its own folder: the config fitted to the gold, the model, its score on dev."""

    def __init__(self, name: str, folder: Path, scheme: LabelScheme) -> None:
        self.name, self.folder, self.scheme = name, folder, scheme
        self.config = load_recipe(name, scheme.kind)
        self.start = start_of(name) if is_own(name) else None
        self.score: float | None = None
        self.step, self.fill = 0, True
        self.seconds = 0.0

    @property
    def max_steps(self) -> int:
        """How many steps it may take."""
        return int(self.config["training"]["max_steps"])

    @property
    def making(self) -> Path:
        """The folder that repeats the training by `spacy train`."""
        return self.folder / MAKING

    def prepare(
        self,
        learn: Sequence[Gold],
        judge: Sequence[Gold],
        *,
        lang: str,
        seed: int,
        maker: RuleMaker | None,
        transformer: Path | None,
        beside: BesideGold,
        begin: Callable[[Run], Path] | None = None,
        like: Run | None = None,
    ) -> None:
        """Write the gold as spaCy reads it, the config fitted to it, and what else the recipe needs.

        `begin` gives the file of the weights to start from, where the recipe asks for some. `like` is a run
        that has found out how long to train and what to leave out.
        """
        self.fill = like.fill if like else True
        rules = self._rules(maker, learn)
        self.making.mkdir(parents=True)
        self.config["nlp"]["lang"] = self.config["nlp"].get("lang") or lang
        lang = self.config["nlp"]["lang"]
        on_bert = is_own(self.name) and starts_from_transformer(self.config)
        cut = BEGINNING if on_bert else None
        tags = rules.made.crossed if rules else None
        docs = write_gold(
            learn, self.making / "train.spacy", self.scheme, lang, piece=PIECE, beginning=cut, tags=tags
        )
        write_gold(judge, self.making / "dev.spacy", self.scheme, lang, piece=None)
        size = measure(docs)
        fit_recipe(self.config, own=is_own(self.name), labels=self.scheme.labels, seed=seed, size=size)
        if on_bert:
            fit_transformer(self.config, self.making, transformer, size)
        if like and like.step:
            self.config["training"].update(max_steps=like.step, eval_frequency=like.step, patience=0)
        bring_tokenizer(self.config, self.making, lang)
        self._bring(docs, lang, rules, beside)
        if self.start == "silver":
            write_labels(self.config, self.scheme, self.making / "labels.json")
            self.config["paths"]["labels"] = "labels.json"
        if self.start and begin is not None:
            shutil.copy(begin(self), self.making / "start.bin")
            self.config["paths"]["start"] = "start.bin"
        self.config.to_disk(self.making / "config.cfg")

    def _rules(self, maker: RuleMaker | None, learn: Sequence[Gold]) -> RulesAtHand | None:
        if not wants_rules(self.config):
            return None
        if maker is None:
            raise TrainingError(f"recipe {self.name} needs rules", hint="name another recipe, such as ner")
        return rules_at_hand(maker, learn, fill=self.fill)

    def _bring(
        self,
        docs: Sequence[Doc],
        lang: str,
        rules: RulesAtHand | None,
        beside: BesideGold,
    ) -> None:
        """Write the rules, the vectors and the code that the recipe asks for."""
        if rules:
            bring_rules(self.config, self.making, rules)
        if is_own(self.name) and wants_vectors(self.config):
            texts = [*(doc.text for doc in docs), *beside.texts()]
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
            for step, scores, save in checkpoints(self.config, self.making):
                if save is not None:
                    save(self.folder)
                    self.score, self.step = scores.get(score_name(self.scheme.kind)), step
                # An untrained pipeline's score, which rules may have, tells nothing.
                on_step(step, self.score if self.step else None)
        except (ValueError, KeyError) as error:
            raise TrainingError(
                f"recipe {self.name} failed: {error}", hint="try another recipe in [training] recipes"
            ) from error
        self.seconds = time.perf_counter() - started

    def again(self, folder: Path, learn: Sequence[Gold], judge: Sequence[Gold], **settings: Any) -> Run:
        """The same on other gold, for as many steps as were best here."""
        run = Run(self.name, folder, self.scheme)
        run.prepare(learn, judge, like=self, **settings)
        run.train(lambda _step, _score: None)
        return run

    def settle(self, judge: Sequence[Gold]) -> None:
        """Let the rules of the gold no longer fill in where dev says that the recogniser is better alone."""
        alone = score_without_filling(self.folder, judge, self.scheme)
        if alone is not None and alone > (self.score or 0.0):
            leave_out_filling(self.config, self.folder)
            self.config.to_disk(self.making / "config.cfg")
            self.score, self.fill = alone, False
