"""What `annoloop similar` finds: of the 10 nearest texts, the share with the same label. Takes two minutes.

Up to 50 texts of each label, drawn by seed, are looked for among all others of the training part, by sentence
vectors and by words; near-duplicates of the text do not count as found. The mean over the labels but the
largest, since rare ones are what is looked for; by lot as many would be found as the label has texts. For the
vectors the extra `vectors` must be installed.
"""

from __future__ import annotations

import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
from learning_categories import SETS

from annoloop.corpus.near_duplicates import group
from annoloop.selection.pool import PoolFeatures
from annoloop.selection.vectors import PoolVectors

NEAREST = 10
QUERIES = 50


def figure(*, seed: int, quick: bool) -> list[dict[str, Any]]:
    """One row a data set: by vectors, by words, by lot."""
    rows = []
    for name in list(SETS)[:2] if quick else SETS:
        ground = SETS[name][0]()
        if ground is None:
            continue
        pool = ground.material(seed).pool
        texts = [g.example.text for g in pool]
        labels = np.asarray([g.annotation.labels[0] for g in pool])
        alike = np.asarray(group(texts, threshold=ground.near_duplicate))
        shares = _found(
            texts, labels, alike, np.random.default_rng(seed), QUERIES // 10 if quick else QUERIES
        )
        rows.append({"data set": name, "texts": len(texts), "labels": len(set(labels)), **shares})
    return rows


def _found(
    texts: list[str], labels: np.ndarray, alike: np.ndarray, rng: np.random.Generator, most: int
) -> dict[str, str]:
    counts = Counter(labels.tolist())
    rare = sorted(counts, key=lambda label: (counts[label], label))[:-1]
    drawn = {label: rng.permutation(np.flatnonzero(labels == label))[:most] for label in rare}
    shown = {"by lot": f"{np.mean([counts[label] / len(texts) for label in rare]):.2f}"}
    for how, kind in (("by vectors", PoolVectors), ("by words", PoolFeatures)):
        with tempfile.TemporaryDirectory() as folder:
            kept = kind(Path(folder))
            kept.add([list(enumerate(texts))], workers=1, on_kept=lambda _: None)
            found = [
                np.mean([_share(kept.closeness(texts[row]), row, labels, alike) for row in rows])
                for rows in drawn.values()
            ]
        shown[how] = f"{np.mean(found):.2f}"
    return shown


def _share(closeness: np.ndarray, row: int, labels: np.ndarray, alike: np.ndarray) -> float:
    others = np.where(alike == alike[row], -np.inf, closeness)
    return float(np.mean(labels[np.argsort(-others, kind="stable")[:NEAREST]] == labels[row]))
