"""What a strategy sees: arrays about the texts that may be asked about, one row a text."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
IndexArray = NDArray[np.intp]


@dataclass(frozen=True)
class Candidates:
    """Signals about `count` texts; a field is None where nothing is known. Arrays are never changed.

    Attributes:
        count: how many texts.
        exclusive: whether a text has exactly one category: rows of `probabilities` sum to 1. Otherwise
            each label's probability stands for itself.
        probabilities: (texts, labels), of categories.
        features: (texts, dimensions), sparse or dense, rows of length 1, or 0 for a text without words.
        labelled: (labelled texts, dimensions), in the same space: texts that have gold already.
        tokens: (texts,), words and punctuation marks.
        spans: for every text the probabilities of all the spans that the model considers, (spans,) each.
        disagreement: (texts,), 0 to 1: how far rules, LLM and model differ. NaN where nobody can differ.
        llm_disagreement: (texts,), the same between LLM and model.
        rules_disagreement: (texts,), the same between rules and model.

    Raises:
        ValueError: a field has not `count` rows.
    """

    count: int
    exclusive: bool = True
    probabilities: FloatArray | None = None
    features: csr_matrix | FloatArray | None = None
    labelled: csr_matrix | FloatArray | None = None
    tokens: IntArray | None = None
    spans: tuple[FloatArray, ...] | None = None
    disagreement: FloatArray | None = None
    llm_disagreement: FloatArray | None = None
    rules_disagreement: FloatArray | None = None

    def __post_init__(self) -> None:
        for name in _PER_TEXT:
            value = getattr(self, name)
            rows = self.count if value is None else len(value) if name == "spans" else value.shape[0]
            if rows != self.count:
                raise ValueError(f"{name} has {rows} rows, there are {self.count} texts")

    def take(self, rows: IndexArray) -> Candidates:
        """Only these texts, in this order."""
        taken: dict[str, Any] = {}
        for name in _PER_TEXT:
            value = getattr(self, name)
            if name == "spans" and value is not None:
                taken[name] = tuple(value[int(row)] for row in rows)
            elif value is not None:
                taken[name] = value[rows]
        return replace(self, count=len(rows), **taken)

    @property
    def has_words(self) -> bool:
        """Whether features tell any two texts apart."""
        features: Any = self.features
        return features is not None and bool(abs(features).sum() > 0)


_PER_TEXT = tuple(
    field.name for field in fields(Candidates) if field.name not in ("count", "exclusive", "labelled")
)

Strategy = Callable[[Candidates, int, np.random.Generator], IndexArray]
"""At most `n` different rows, the most wanted first; all chance comes from the generator."""
