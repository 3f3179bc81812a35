"""What a recipe begins with instead of chance: the pool's own texts, or what the LLM said of them.

`ner_pretrained` is the recipe `ner` whose token vectors were first pretrained on the texts of the pool;
`ner_silver` is `ner` first trained on the labels of the LLM. Either way the weights are a file, which spaCy
reads by [initialize] init_tok2vec, and `spacy train` in the model's own folder repeats the training.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

from annoloop.corpus.spacy_io import to_doc
from annoloop.corpus.tokenizer import blank
from annoloop.errors import BlindnessError, TrainingError
from annoloop.types import Annotation, Example, LabelScheme, PoolGold, Span

if TYPE_CHECKING:
    from confection import Config

Start = Literal["pretrained", "silver"]

TOK2VEC = "tok2vec"
_LAYER = "spacy.Tok2Vec.v2"
_LISTENER = "spacy.Tok2VecListener.v1"
_VECTORS_OBJECTIVE = {
    "@architectures": "spacy.PretrainVectors.v1",
    "maxout_pieces": 3,
    "hidden_size": 300,
    "loss": "cosine",
}


@dataclass(frozen=True)
class PoolTexts:
    """Texts to learn words from, without their labels: those of the pool only, by type.

    Raises:
        BlindnessError: a text of another split was put in.
    """

    examples: tuple[Example, ...] = ()

    def __post_init__(self) -> None:
        for example in self.examples:
            if example.split != "pool":
                raise BlindnessError(
                    f"text {example.input_hash} is in {example.split}, not in pool",
                    hint="texts to be judged by are kept from all that learns",
                )

    def __len__(self) -> int:
        return len(self.examples)

    def __iter__(self) -> Iterator[str]:
        return (example.text for example in self.examples)


@dataclass(frozen=True, slots=True)
class BesideGold:
    """What there is to learn from beside gold, read only where a recipe asks for it.

    `texts` gives those of the pool, `silver` what an LLM said of texts without gold. What was pretrained
    stays in the folder `kept`; None: only while training lasts.
    """

    texts: Callable[[], PoolTexts] = PoolTexts
    silver: Callable[[], PoolGold] = PoolGold
    kept: Path | None = None


def start_of(recipe: str) -> Start | None:
    """What the name of a recipe, with or without settings, says that it starts from; None: from chance."""
    name = recipe.partition(":")[0]
    return next((start for start in get_args(Start) if name.endswith(f"_{start}")), None)


def base_of(recipe: str) -> str:
    """The name of the recipe that a recipe is but for its start, without settings."""
    name, start = recipe.partition(":")[0], start_of(recipe)
    return name.removesuffix(f"_{start}") if start else name


def add_start(config: Config, recipe: str) -> None:
    """Fit one of our configs to the start that its recipe's name asks for, in place.

    Paths stay open: [paths] start is to name the file of the weights and, for labels of the LLM, [paths]
    labels that of the labels in the order of those weights.

    Raises:
        TrainingError: the recipe has no token vectors of its own that could be learned before.
    """
    start = start_of(recipe)
    if start is None:
        return
    from spacy.language import DEFAULT_CONFIG_PRETRAIN_PATH
    from spacy.util import load_config

    component = _with_tok2vec(config)
    if component is None:
        raise TrainingError(
            f"recipe {recipe}: {base_of(recipe)} has no tok2vec that could start from {_FROM[start]}",
            hint="the recipes ner, ner_rules and spancat have one",
        )
    defaults = load_config(DEFAULT_CONFIG_PRETRAIN_PATH, interpolate=False)
    config["paths"].update(defaults["paths"], start=None)
    config["corpora"].update(defaults["corpora"])
    config["initialize"]["init_tok2vec"] = "${paths.start}"
    config["pretraining"] = {**defaults["pretraining"], "component": component}
    if start == "silver":
        config["paths"]["labels"] = None
        labels = {"@readers": "spacy.read_labels.v1", "path": "${paths.labels}", "require": True}
        config["initialize"].setdefault("components", {})[component] = {"labels": labels}
        return
    config["pretraining"]["component"] = TOK2VEC
    tok2vec = _separate(config, component)
    if tok2vec["embed"].get("include_static_vectors"):
        config["pretraining"]["objective"] = _VECTORS_OBJECTIVE


def write_labels(config: Config, scheme: LabelScheme, path: Path) -> None:
    """Write the labels as the component with the LLM's weights reads them, in the order of the scheme.

    Both trainings need the same order: a component draws up its own from what it meets, and its output
    layer follows that.
    """
    import srsly
    from spacy.training import Example as Pair

    nlp = blank("en")
    component: Any = nlp.add_pipe(config["components"][config["pretraining"]["component"]]["factory"])
    met = (Annotation(spans=(Span(0, 1, label),)) for label in scheme.labels)
    pairs = [Pair(nlp.make_doc("x"), to_doc(nlp, "x", annotation, scheme)) for annotation in met]
    component.initialize(lambda: pairs, nlp=nlp)
    srsly.write_json(path, component.label_data)


_FROM: Mapping[str, str] = {"pretrained": "the pool's texts", "silver": "the LLM's labels"}


def _with_tok2vec(config: Config) -> str | None:
    for name, block in config["components"].items():
        if block.get("model", {}).get(TOK2VEC, {}).get("@architectures") == _LAYER:
            return str(name)
    return None


def _separate(config: Config, component: str) -> Mapping[str, Any]:
    """Make a component's token vectors one of their own before it: spaCy pretrains no part of a parser."""
    model = config["components"][component]["model"]
    tok2vec = model[TOK2VEC]
    model[TOK2VEC] = {
        "@architectures": _LISTENER,
        "width": tok2vec["encode"]["width"],
        "upstream": TOK2VEC,
    }
    made = {TOK2VEC: {"factory": TOK2VEC, "model": tok2vec}}
    names = [(TOK2VEC, name) if name == component else (name,) for name in config["nlp"]["pipeline"]]
    config["nlp"]["pipeline"] = [name for pair in names for name in pair]
    config["components"] = {**made, **config["components"]}
    return tok2vec  # type: ignore[no-any-return]
