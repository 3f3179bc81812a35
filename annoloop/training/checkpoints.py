"""spaCy's own steps of training, one after the other, with nothing printed and nothing kept but the best."""

from __future__ import annotations

import random
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from confection import Config


def checkpoints(
    config: Config, making: Path
) -> Iterator[tuple[int, Mapping[str, Any], Callable[[Path], None] | None]]:
    """Yield every step with the scores of the best evaluation, and how to save it where it is the best.

    Where only the end is evaluated the last step counts as the best, whatever an untrained pipeline scores.
    The same steps as `spacy.training.loop.train`, which would write every checkpoint twice, print, and
    name this machine's folders in the saved config.
    """
    from spacy.schemas import ConfigSchemaTraining
    from spacy.training import loop
    from spacy.training.initialize import init_nlp
    from spacy.util import registry, resolve_dot_names
    from thinc.api import fix_random_seed

    import annoloop.training.linear_textcat  # noqa: F401  (registers its factory)

    nlp = init_nlp(located(config, making))
    settings = nlp.config.interpolate()
    chosen = registry.resolve(settings["training"], schema=ConfigSchemaTraining)
    learn, judge = resolve_dot_names(settings, [chosen["train_corpus"], chosen["dev_corpus"]])
    nlp.config["paths"].update(made_here(config, making))
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
    last = chosen["max_steps"] if chosen["eval_frequency"] == chosen["max_steps"] else None
    for _batch, info, is_best in steps:
        counts = is_best or info["step"] == last
        if counts:
            scores = info["other_scores"]
            loop.update_meta(chosen, nlp, info)
        yield info["step"], scores, save if counts else None


_LOOP_SETTINGS = (
    "dropout",
    "accumulate_gradient",
    "patience",
    "max_steps",
    "eval_frequency",
    "before_update",
)


_MADE = ("train", "dev", "patterns", "gold_rules", "vectors", "pieces", "start", "labels", "tokenizer")


def made_here(config: Config, making: Path) -> dict[str, str]:
    """What was written into the folder `making` for the training, by its key in [paths]."""
    named = {key: config["paths"].get(key) for key in _MADE}
    return {key: name for key, name in named.items() if name and (making / name).exists()}


def located(config: Config, making: Path) -> Config:
    """The config with absolute paths of what was written into the folder `making`."""
    found = config.copy()
    found["paths"].update({key: str(making / value) for key, value in made_here(config, making).items()})
    return found


@contextmanager
def own_randomness() -> Iterator[None]:
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
