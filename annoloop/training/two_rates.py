"""What training on a transformer needs besides spaCy: two rates, and a loss that NumPy takes.

Adam has a low rate for a transformer's own weights and a higher one for all that stands on it. What stands
on a BERT begins at random, and at the rates that a BERT bears some hundred steps teach it next to nothing.

spacy-curated-transformers 0.3 keeps its loss as an array of one element, which `float` refuses from NumPy 2.4
on. The name is set anew in the module at fault, and nowhere else.

The file is copied beside a training's config, so it imports nothing of annoloop.
"""

from collections.abc import Iterable
from typing import Any

from spacy.util import registry
from spacy_curated_transformers.pipeline import transformer
from thinc.api import Optimizer

PRETRAINED = "curated_encoder."
"""With this begin the names of the weights of spaCy's curated transformers."""


def _to_float(value: Any) -> float:
    return float(value.item()) if hasattr(value, "item") else float(value)


transformer.float = _to_float


class TwoRates(Optimizer):
    """`learn_rate` is the transformer's; everything else learns `times` as fast."""

    __slots__ = ["times"]

    def __init__(self, learn_rate: Any, *, times: float, **settings: Any) -> None:
        super().__init__(learn_rate, **settings)
        self.times = times

    def __call__(self, key: Any, weights: Any, gradient: Any, *, lr_scale: float = 1.0) -> Any:
        """Update weights; `key` is of the node or shim that they belong to, and their name in it."""
        if not key[1].startswith(PRETRAINED):
            lr_scale *= self.times
        return super().__call__(key, weights, gradient, lr_scale=lr_scale)


@registry.optimizers("annoloop.TwoRates.v1")
def make_two_rates(
    learn_rate: float | list[float] | Iterable[float], times: float, decay: float, grad_clip: float
) -> Optimizer:
    """AdamW (Loshchilov and Hutter 2019) with so much weight decay, without averages: as usual for BERTs."""
    return TwoRates(
        learn_rate, times=times, L2=decay, grad_clip=grad_clip, L2_is_weight_decay=True, use_averages=False
    )
