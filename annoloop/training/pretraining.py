"""Token vectors pretrained on the pool: they learn to tell a word's letters from its neighbours.

spaCy's own objectives and its own update (`spacy.training.pretrain`); only the loop is ours: bounded in
words, told of as it goes, and its result kept for as long as the texts and the sizes stay the same.
"""

from __future__ import annotations

import hashlib
import json
import random
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from annoloop.corpus.tokenizer import RULES, split_stops
from annoloop.errors import TrainingError
from annoloop.training.gold_files import PIECE

if TYPE_CHECKING:
    from confection import Config
    from spacy.language import Language
    from spacy.tokens import Doc

OnProgress = Callable[[str, int, int], None]

WORDS = 300_000
"""Read in all, as often over as it takes: ten times as many were no better (see benchmarks/training.txt)."""

MOST_PASSES = 100
"""Over the texts: a few dozen texts would be learned by heart."""

_SEED = 0
"""One for all: seeds of the training that follows then share what was pretrained."""


def pretrained_weights(
    config: Config,
    texts: Sequence[str],
    *,
    recipe: str,
    kept: Path,
    vectors: Path | None = None,
    on_progress: OnProgress | None = None,
) -> Path:
    """The file of a recipe's pretrained token vectors in the folder `kept`, made now unless it is there.

    `config` has [pretraining], its paths absolute; `vectors` is the folder of the static vectors, where it
    looks at some. A file for other texts or sizes of this recipe is taken away. A run that is stopped leaves
    the folder as it was.

    Raises:
        TrainingError: there are no texts with words in them.
    """
    texts = sorted({text for text in texts if text.strip()})
    if not texts:
        raise TrainingError(
            f"recipe {recipe} needs texts of the pool to learn from", hint="add some: annoloop add PROJECT"
        )
    begins = f"{recipe.partition(':')[0]}-{_digest(recipe)}-"
    path = kept / f"{begins}{_name(config, texts, vectors)}.bin"
    if path.is_file():
        return path
    made = _pretrain(config, texts, recipe, on_progress)
    kept.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}")
    part.write_bytes(made)
    part.replace(path)
    for old in kept.glob(f"{begins}*.bin"):
        if old != path:
            old.unlink(missing_ok=True)
    return path


def _name(config: Config, texts: Sequence[str], vectors: Path | None) -> str:
    """16 hex digits of all that shapes the weights."""
    from importlib.metadata import version

    files = sorted(vectors.rglob("*")) if vectors else []
    shaped = {
        "tok2vec": config["components"]["tok2vec"],
        "pretraining": config["pretraining"],
        "lang": config["nlp"]["lang"],
        "texts": [_digest(text) for text in texts],
        "vectors": [hashlib.blake2b(file.read_bytes()).hexdigest() for file in files if file.is_file()],
        "budget": [WORDS, MOST_PASSES, _SEED],
        "spacy": version("spacy"),
        "tokens": RULES,
    }
    return _digest(json.dumps(shaped, sort_keys=True, ensure_ascii=True))


def _digest(said: str) -> str:
    return hashlib.blake2b(said.encode(), digest_size=8).hexdigest()


def _pretrain(config: Config, texts: Sequence[str], recipe: str, on_progress: OnProgress | None) -> bytes:
    """The weights of the token vectors after `WORDS` words, averaged over the last steps."""
    from spacy.schemas import ConfigSchemaPretrain
    from spacy.training.pretrain import create_pretraining_model, make_update
    from spacy.util import load_model_from_config, registry
    from thinc.api import fix_random_seed

    fix_random_seed(_SEED)
    nlp = load_model_from_config(_alone(config), auto_fill=True)
    split_stops(nlp)
    settings: Any = registry.resolve(nlp.config.interpolate()["pretraining"], schema=ConfigSchemaPretrain)
    model: Any = create_pretraining_model(nlp, settings)  # type: ignore[no-untyped-call]
    docs = list(_docs(nlp, texts))
    budget = min(WORDS, MOST_PASSES * sum(map(len, docs)))
    rng, read, started = random.Random(_SEED), 0, time.perf_counter()
    while read < budget:
        rng.shuffle(docs)
        for batch in settings["batcher"](docs):
            make_update(model, batch, settings["optimizer"], model.attrs["loss"])
            read = min(read + sum(map(len, batch)), budget)
            if on_progress:
                left = (time.perf_counter() - started) * (budget - read) / read
                on_progress(f"pretraining {recipe} on the pool: about {left:.0f} s left", read, budget)
            if read == budget:
                break
    with model.use_params(settings["optimizer"].averages):
        weights: bytes = model.get_ref("tok2vec").to_bytes()
    return weights


def _alone(config: Config) -> Config:
    """The config without what comes before and after the token vectors in the pipeline."""
    found = config.copy()
    found["nlp"]["pipeline"] = ["tok2vec"]
    found["components"] = {"tok2vec": config["components"]["tok2vec"]}
    found["initialize"] = {"vectors": config["initialize"].get("vectors")}
    return found


def _docs(nlp: Language, texts: Sequence[str]) -> Iterator[Doc]:
    """The texts, long ones in pieces."""
    nlp.max_length = max(nlp.max_length, *(len(text) + 1 for text in texts))
    for doc in map(nlp.make_doc, texts):
        if len(doc) <= PIECE:
            yield doc
            continue
        yield from (doc[start : start + PIECE].as_doc() for start in range(0, len(doc), PIECE))
