"""Label by label: by how much the model's F differs from the LLM's, and where that is beyond chance."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from annoloop.evaluation.paired import difference, randomisation_p
from annoloop.evaluation.scores import DocumentCounts, f_of


@dataclass(frozen=True, slots=True)
class LabelDelta:
    """F of the model less F of the LLM on one label, on the same held-out texts.

    `interval` is the 95 % paired bootstrap interval over documents, `to_find` how many there are in gold.
    `p_value` is two-sided and Holm-corrected over the labels; `marked` where it is at most .05.
    """

    label: str
    to_find: int
    model: float
    llm: float
    delta: float
    interval: tuple[float, float]
    p_value: float
    marked: bool

    def to_json(self) -> dict[str, Any]:
        """Plain values, as `--json` prints them."""
        names = ("label", "to_find", "model", "llm", "delta", "p_value", "marked")
        return {**{name: getattr(self, name) for name in names}, "interval": list(self.interval)}


def label_deltas(
    ours: DocumentCounts, theirs: DocumentCounts, *, seed: int, alpha: float = 0.05, resamples: int = 9_999
) -> tuple[LabelDelta, ...]:
    """The differences of the labels that gold holds, in the scheme's order; F is compared for all kinds.

    They describe, after the gate has decided on the whole; no claim of the gate rests on them.

    Raises:
        ValueError: the two were counted on different documents.
    """
    if ours.input_hashes != theirs.input_hashes:
        raise ValueError("the two approaches were counted on different documents")
    found: list[tuple[str, DocumentCounts, DocumentCounts]] = []
    for label in ours.labels:
        mine, other = (_of_label(counts, label) for counts in (ours, theirs))
        if mine.counts[:, 0, (0, 2)].any():
            found.append((label, mine, other))
    # Corrected over many labels, no p of fewer resamples could ever be beyond chance.
    resamples = max(resamples, math.ceil(2 * len(found) / alpha))
    raw = [_two_sided(mine, other, seed=seed, resamples=resamples) for _, mine, other in found]
    deltas = []
    for (label, mine, other), p_value in zip(found, holm(raw), strict=True):
        delta, interval = difference(mine, other, seed=seed)
        us, them = (float(f_of(counts.units.sum(axis=0))) for counts in (mine, other))
        to_find = int(mine.counts[:, 0, (0, 2)].sum())
        deltas.append(LabelDelta(label, to_find, us, them, delta, interval, p_value, p_value <= alpha))
    return tuple(deltas)


def holm(p_values: list[float]) -> list[float]:
    """Holm's (1979) corrected p of each test: largest of (m - rank) p over it and all smaller ones."""
    order = np.argsort(np.asarray(p_values, dtype=np.float64), kind="stable")
    corrected, highest = [0.0] * len(p_values), 0.0
    for rank, index in enumerate(order):
        highest = max(highest, min(1.0, (len(p_values) - rank) * p_values[index]))
        corrected[index] = highest
    return corrected


def _two_sided(ours: DocumentCounts, theirs: DocumentCounts, *, seed: int, resamples: int) -> float:
    better = randomisation_p(ours.units, theirs.units, seed=seed, resamples=resamples)
    worse = randomisation_p(theirs.units, ours.units, seed=seed, resamples=resamples)
    return min(1.0, 2 * min(better, worse))


def _of_label(counted: DocumentCounts, label: str) -> DocumentCounts:
    """The counts of one label alone; all zero where this approach never met it."""
    if label in counted.labels:
        column = counted.labels.index(label)
        counts = counted.counts[:, column : column + 1]
    else:
        counts = np.zeros((len(counted.input_hashes), 1, 3), dtype=np.int64)
    return DocumentCounts(counted.input_hashes, (label,), counts, counted.right, False, counted.missing)


def render_deltas(deltas: tuple[LabelDelta, ...], *, model: str = "model", llm: str = "LLM") -> str:
    """The differences as a table; * marks those beyond chance."""
    rows = [("label", model, llm, "difference", "95 %", "to find")]
    rows += [
        (
            d.label,
            f"{d.model:.3f}",
            f"{d.llm:.3f}",
            f"{d.delta:+.3f}{'*' if d.marked else ' '}",
            f"{d.interval[0]:+.3f} to {d.interval[1]:+.3f}",
            str(d.to_find),
        )
        for d in deltas
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = [
        "  ".join(
            c.ljust(w) if i == 0 else c.rjust(w) for i, (c, w) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    ]
    if any(d.marked for d in deltas):
        lines.append("* beyond chance (p <= .05, Holm-corrected over the labels)")
    return "\n".join(line.rstrip() for line in lines)
