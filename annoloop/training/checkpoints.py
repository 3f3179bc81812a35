"""spaCy's training, step by step, with each checkpoint that is the best so far."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
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

    located = config.copy()
    located["paths"].update({key: str(making / value) for key, value in _made_here(config).items()})
    nlp = init_nlp(located)
    settings = nlp.config.interpolate()
    chosen = registry.resolve(settings["training"], schema=ConfigSchemaTraining)
    learn, judge = resolve_dot_names(settings, [chosen["train_corpus"], chosen["dev_corpus"]])
    nlp.config["paths"].update(_made_here(config))
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


_MADE = ("train", "dev", "patterns", "gold_rules", "vectors", "pieces", "weights")


def _made_here(config: Config) -> dict[str, str]:
    """The files that `prepare` wrote, by their key in [paths]."""
    return {key: config["paths"][key] for key in _MADE if key in config["paths"]}
