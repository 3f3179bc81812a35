"""The models that a simulation trains and scores each round: a cheap stand-in, or a recipe."""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from annoloop.selection.candidates import FloatArray
from annoloop.types import Annotation, DevGold, Gold, LabelScheme, PoolGold

QUICK = "quick"
"""The cheap model of the kind. Categories: logistic regression over the TF-IDF that ranks the pool. Spans:
our recipe of the kind, `QUICK_STEPS` steps long."""

QUICK_STEPS = 120
"""Steps of about 1,000 words: enough to tell strategies apart, too few for the model's best score."""


Features = Callable[[Sequence[str]], Any]
"""(texts, dimensions), sparse."""


class Model(Protocol):
    """What has learned from the gold of a round."""

    def annotations(self, texts: Sequence[str]) -> list[Annotation]:
        """What it says of each text."""


class Constant:
    """Says the same of every text: what there is while the gold has nothing to tell apart."""

    def __init__(self, annotation: Annotation = Annotation()) -> None:
        self.annotation = annotation

    def annotations(self, texts: Sequence[str]) -> list[Annotation]:
        """The same for each."""
        return [self.annotation] * len(texts)


class Linear:
    """Logistic regression over a proxy's features; one label against the rest."""

    def __init__(self, features: Features, gold: Sequence[Gold], scheme: LabelScheme, seed: int) -> None:
        from sklearn.linear_model import LogisticRegression
        from sklearn.multiclass import OneVsRestClassifier

        self.features, self.scheme = features, scheme
        known = features([g.example.text for g in gold])
        wanted: Any = (
            [g.annotation.labels[0] for g in gold]
            if scheme.is_exclusive
            else np.asarray([[name in g.annotation.labels for name in scheme.labels] for g in gold])
        )
        # As the proxy itself learns (`selection.proxy`): the same penalty and solver.
        one = LogisticRegression(C=10.0, solver="liblinear", dual=True, max_iter=1000, random_state=seed)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Label .* is present in all training examples")
            self.model = OneVsRestClassifier(one).fit(known, wanted)

    def annotations(self, texts: Sequence[str]) -> list[Annotation]:
        """The likeliest category, or all from one half on."""
        found = np.asarray(self.model.predict(self.features(texts)))
        if self.scheme.is_exclusive:
            return [Annotation((str(name),)) for name in found]
        return [
            Annotation(tuple(name for name, has in zip(self.scheme.labels, row, strict=True) if has))
            for row in found.reshape(len(texts), len(self.scheme.labels))
        ]


class Pipeline:
    """A spaCy pipeline, loaded once."""

    def __init__(self, path: Path, scheme: LabelScheme) -> None:
        from annoloop.training.predict import load_model

        self.nlp, self.scheme = load_model(path), scheme

    def annotations(self, texts: Sequence[str]) -> list[Annotation]:
        """What the pipeline finds in each."""
        from annoloop.training.predict import predict

        return [said.annotation for said in predict(self.nlp, texts, scheme=self.scheme)]

    def spans(self, texts: Sequence[str]) -> tuple[FloatArray, ...]:
        """For every text the probabilities of the spans considered, (spans,) each."""
        from annoloop.training.predict import span_probabilities

        found = span_probabilities(self.nlp, texts, scheme=self.scheme)
        return tuple(np.asarray(p, dtype=np.float64) for p in found)


def learn(
    recipe: str,
    gold: Sequence[Gold],
    dev: DevGold,
    *,
    features: Features,
    scheme: LabelScheme,
    lang: str,
    seed: int,
    transformer: Path | None = None,
) -> Model:
    """Train a model on gold; `features` are the proxy's. Dev says when a recipe's training stops.

    `transformer` is the folder of the BERT that a transformer recipe starts from (None: an installed
    package's).

    Raises:
        TrainingError: the recipe does not work, or there is no gold on dev for it.
    """
    usable = [g for g in gold if g.complete and (g.annotation.labels or not scheme.is_exclusive)]
    said = {part for g in usable for part in (*g.annotation.labels, *g.annotation.spans)}
    if len(said) < (2 if scheme.is_exclusive else 1):
        return Constant(usable[0].annotation if usable and scheme.is_exclusive else Annotation())
    if recipe == QUICK and not scheme.has_spans:
        return Linear(features, usable, scheme, seed)
    from annoloop.rules.of_gold import RuleMaker
    from annoloop.training.train import train

    with tempfile.TemporaryDirectory(prefix="annoloop-simulation-") as folder:
        named = _quick_spans(usable, scheme, lang, seed, Path(folder)) if recipe == QUICK else recipe
        made = train(
            PoolGold(tuple(usable)),
            dev,
            scheme=scheme,
            lang=lang,
            seed=seed,
            out=Path(folder) / "model",
            recipes=[named],
            rules=RuleMaker(scheme, lang) if scheme.kind == "ner" else None,
            transformer=transformer,
        )
        return Pipeline(made.path, scheme)


def _quick_spans(gold: Sequence[Gold], scheme: LabelScheme, lang: str, seed: int, folder: Path) -> str:
    """The kind's own recipe, fitted to the gold, but no longer than `QUICK_STEPS`; as a file."""
    from annoloop.training.gold_files import PIECE, write_gold
    from annoloop.training.recipe import default_recipes, fit_recipe, load_recipe, measure

    config = load_recipe(default_recipes(scheme.kind, rules=False)[0], scheme.kind)
    docs = write_gold(gold, folder / "measured.spacy", scheme, lang, piece=PIECE)
    fit_recipe(config, own=True, labels=scheme.labels, seed=seed, size=measure(docs))
    steps = min(int(config["training"]["max_steps"]), QUICK_STEPS)
    config["training"].update(max_steps=steps, eval_frequency=max(steps // 4, 1), patience=0)
    path = folder / "quick.cfg"
    config.to_disk(path)
    return str(path)
