"""The tokenizer that a training begins with, beside its config, so that `spacy train` has it too."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from confection import Config

from annoloop.corpus.tokenizer import split_stops

_FOLDER = "tokenizer"
_OF_RULES: Any = {"@tokenizers": "spacy.Tokenizer.v1"}


def bring_tokenizer(config: Config, making: Path, lang: str) -> None:
    """Write the tokenizer of `lang` into the folder `making`, and have the config's pipeline begin with it.

    Nothing is written where the language keeps spaCy's own, or where the config names another tokenizer or
    does something of its own before it begins.
    """
    import spacy

    initialize = config.setdefault("initialize", {})
    own = (config["nlp"].get("tokenizer") or _OF_RULES) != _OF_RULES or initialize.get("before_init")
    nlp = spacy.blank(lang)
    if own or not split_stops(nlp):
        return
    # Its vocabulary stays behind: the pipeline that takes the tokenizer has one.
    nlp.to_disk(making / _FOLDER, exclude=["vocab"])
    config["paths"]["tokenizer"] = _FOLDER
    callback = {
        "@callbacks": "spacy.copy_from_base_model.v1",
        "tokenizer": "${paths.tokenizer}",
        "vocab": None,
    }
    initialize["before_init"] = callback
