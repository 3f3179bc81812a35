"""What training on a BERT needs besides spaCy: its weights, low-rank adapters, rates, a loss NumPy takes.

The weights are read from where they lie, in Hugging Face's layout, so that no trained model keeps them beside
those that it made of them.

LoRA (Hu et al. 2021) leaves them as they are: beside each linear layer two narrow ones learn what is added to
it. What is saved is the sum, a BERT as any other.

Adam has a low rate for a BERT's own weights and higher ones for all else. What stands on a BERT begins at
random, and at the rates that a BERT bears some hundred steps teach it next to nothing; adapters bear ten
times the rate of the weights themselves (Schulman and Thinking Machines 2025, "LoRA Without Regret").

spacy-curated-transformers 0.3 keeps its loss as an array of one element, which `float` refuses from NumPy 2.4
on. The name is set anew in the module at fault, and nowhere else.

The file is copied beside a training's config, so it imports nothing of annoloop.
"""

import hashlib
import zipfile
from collections.abc import Callable, Iterable
from io import BytesIO
from pathlib import Path
from typing import Any

import torch
from curated_transformers.models.hf_util import convert_pretrained_model_for_encoder
from safetensors.torch import load as load_safetensors
from spacy.util import registry
from spacy_curated_transformers.pipeline import transformer
from thinc.api import Optimizer
from torch.nn import Linear, Module, Parameter
from torch.nn.functional import linear

WEIGHT_FILES = ("model.safetensors", "pytorch_model.bin")

PRETRAINED = "curated_encoder."
"""With this begin the names of the weights of spaCy's curated transformers."""

ADAPTER = "lora_"
"""With this begin the names of an adapter's weights in its layer."""

ALPHA = 16
"""An adapter's share is multiplied by this over its rank, so that a rate suits any rank."""

Folder = Path | zipfile.Path
"""Files in Hugging Face's layout, in a folder or a zip file."""


# -- weights ---------------------------------------------------------------------------------------


def weight_bytes(folder: Folder) -> tuple[str, bytes]:
    """The name and content of the file of weights.

    Raises:
        ValueError: there is none.
    """
    for name in WEIGHT_FILES:
        if folder.joinpath(name).is_file():
            return name, folder.joinpath(name).read_bytes()
    raise ValueError(f"{folder} has neither {' nor '.join(WEIGHT_FILES)}")


def encoder_tensors(name: str, content: bytes) -> dict[str, torch.Tensor]:
    """The encoder's own tensors, float32, without heads for other tasks."""
    read: dict[str, torch.Tensor] = (
        load_safetensors(content)
        if name.endswith(".safetensors")
        else torch.load(BytesIO(content), map_location="cpu", weights_only=True)
    )
    short = {name.removeprefix("bert."): tensor for name, tensor in read.items()}
    return {
        name: tensor.float()
        for name, tensor in short.items()
        if name.startswith(("embeddings.", "encoder.layer.")) and not name.endswith("position_ids")
    }


@registry.model_loaders("annoloop.BertWeights.v1")  # type: ignore[attr-defined]  # spacy-curated-transformers adds it
def make_weight_loader(path: str, sha256: str, lora: int) -> Callable[..., Any]:
    """Fill a BERT with the weights in a folder or zip file, and add adapters of rank `lora` unless that is 0.

    The loader raises `ValueError` where the weights are not there, or are others than `sha256` says.
    """

    def load(model: Any, **_examples: Any) -> Any:
        name, content = weight_bytes(zipfile.Path(path) if Path(path).is_file() else Path(path))
        if hashlib.sha256(content).hexdigest() != sha256:
            raise ValueError(f"{path}: {name} has changed since this config was written")
        bert = model.shims[0]._model
        device = next(bert.parameters()).device
        bert.load_state_dict(convert_pretrained_model_for_encoder(bert, encoder_tensors(name, content)))
        if lora:
            adapt(bert, lora)
        bert.to(device)
        return model

    return load


# -- adapters --------------------------------------------------------------------------------------


class Adapted(Linear):
    """A linear layer with the weights of another one, which stay as they are, and an adapter, which learns.

    Its state is that of a plain layer, the adapter's product added to the weights.
    """

    def __init__(self, plain: Linear, rank: int) -> None:
        super().__init__(plain.in_features, plain.out_features, plain.bias is not None, device="meta")
        self.weight, self.bias = plain.weight, plain.bias
        self.lora_down = Parameter(torch.empty(rank, plain.in_features))
        self.lora_up = Parameter(torch.zeros(plain.out_features, rank))
        torch.nn.init.kaiming_uniform_(self.lora_down, a=5**0.5)
        self.scale = ALPHA / rank

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        """(..., in) to (..., out). The product is never made: it would cost as much as learning all."""
        added = linear(linear(input, self.lora_down), self.lora_up)
        return linear(input, self.weight, self.bias) + self.scale * added

    def _save_to_state_dict(self, destination: Any, prefix: str, keep_vars: bool) -> None:
        super()._save_to_state_dict(destination, prefix, keep_vars)
        down, up = (destination.pop(f"{prefix}{ADAPTER}{name}") for name in ("down", "up"))
        destination[prefix + "weight"] = (self.weight + self.scale * up @ down).detach()


def adapt(bert: Module, rank: int) -> None:
    """Freeze all weights of a BERT and put an adapter beside each of its linear layers, in place."""
    for weights in bert.parameters():
        weights.requires_grad_(False)
    for block in list(bert.modules()):
        for name, layer in list(block.named_children()):
            if type(layer) is Linear:
                setattr(block, name, Adapted(layer, rank))


# -- rates -----------------------------------------------------------------------------------------


def _to_float(value: Any) -> float:
    return float(value.item()) if hasattr(value, "item") else float(value)


transformer.float = _to_float


class BertAdam(Optimizer):
    """`learn_rate` is that of a BERT's weights; adapters and what stands on it learn some times as fast."""

    __slots__ = ["lora_times", "times"]

    def __init__(self, learn_rate: Any, *, times: float, lora_times: float, **settings: Any) -> None:
        super().__init__(learn_rate, **settings)
        self.times, self.lora_times = times, lora_times

    def __call__(self, key: Any, weights: Any, gradient: Any, *, lr_scale: float = 1.0) -> Any:
        """Update weights; `key` is of the node or shim that they belong to, and their name in it."""
        name = key[1]
        if not name.startswith(PRETRAINED):
            lr_scale *= self.times
        elif ADAPTER in name:
            lr_scale *= self.lora_times
        return super().__call__(key, weights, gradient, lr_scale=lr_scale)


@registry.optimizers("annoloop.BertAdam.v1")
def make_bert_adam(
    learn_rate: float | list[float] | Iterable[float],
    times: float,
    lora_times: float,
    decay: float,
    grad_clip: float,
) -> Optimizer:
    """AdamW (Loshchilov and Hutter 2019) with so much weight decay, without averages: as usual for BERTs."""
    return BertAdam(
        learn_rate,
        times=times,
        lora_times=lora_times,
        L2=decay,
        grad_clip=grad_clip,
        L2_is_weight_decay=True,
        use_averages=False,
    )
