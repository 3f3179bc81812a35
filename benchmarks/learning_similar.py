"""What `annoloop similar` finds: of the 10 nearest texts, the share with the same label. Takes four minutes.

Up to 50 texts of each label, drawn by seed, are looked for among all others of the training part, by sentence
vectors and by words; near-duplicates of the text do not count as found. Where the project defines its labels,
name and definition are looked for as well, as `--seek LABEL` does before anything else finds the label. The
mean over the labels but the largest, since rare ones are what is looked for; by lot as many would be found as
the label has texts. For the vectors the extra `vectors` must be installed.

Measured, seed 0:

                                    texts  labels  by lot  by vectors  by words
docs_issues                           564       2    0.32        0.71      0.63
customer_feedback_de                 3460      11    0.05        0.39      0.27
customer_feedback_de, definitions    3460      11    0.05        0.39      0.20
Reuters R8                           3000       8    0.07        0.69      0.65
Reuters R52                          3000      50    0.01        0.30      0.32
election tweets                      3000       2    0.45        0.83      0.75
20 Newsgroups                        3000      20    0.05        0.62      0.57
"""

from __future__ import annotations

import tempfile
from collections import Counter
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from learning_categories import SETS
from learning_ground import PROJECTS, open_set

from annoloop.corpus.near_duplicates import group
from annoloop.selection.pool import PoolFeatures
from annoloop.selection.vectors import PoolVectors
from annoloop.settings.load import load_settings

NEAREST = 10
QUERIES = 50
GROUNDS = {
    **{name: load for name, (load, *_) in SETS.items()},
    "20 Newsgroups": partial(open_set, "20newsgroups-train", "20newsgroups-test", "Text", "Category"),
}
WAYS = {"by vectors": PoolVectors, "by words": PoolFeatures}


class Query(NamedTuple):
    """What is looked for: a text, and the rows that do not count as found."""

    text: str
    own: np.ndarray


def figure(*, seed: int, quick: bool) -> list[dict[str, Any]]:
    """One row a data set: by lot, by vectors, by words."""
    rows = []
    for name in list(GROUNDS)[:2] if quick else GROUNDS:
        ground = GROUNDS[name]()
        if ground is None:
            continue
        pool = ground.material(seed).pool
        texts = [g.example.text for g in pool]
        labels = np.asarray([g.annotation.labels[0] for g in pool])
        alike = np.asarray(group(texts, threshold=ground.near_duplicate))
        most, rng = QUERIES // 10 if quick else QUERIES, np.random.default_rng(seed)
        drawn = {
            label: [Query(texts[row], alike == alike[row]) for row in rng.permutation(rows_with)[:most]]
            for label, rows_with in ((label, np.flatnonzero(labels == label)) for label in _rare(labels))
        }
        rows.append(_row(name, texts, labels, drawn))
        if (PROJECTS / name / "annoloop.cfg").is_file():
            meant = load_settings(PROJECTS / name).project.definitions
            none = np.zeros(len(texts), dtype=np.bool_)
            defined = {label: [Query(f"{label} {meant.get(label, '')}", none)] for label in _rare(labels)}
            rows.append(_row(f"{name}, definitions", texts, labels, defined))
    return rows


def _rare(labels: np.ndarray) -> list[str]:
    counts = Counter(labels.tolist())
    return sorted(counts, key=lambda label: (counts[label], label))[:-1]


def _row(name: str, texts: list[str], labels: np.ndarray, queries: dict[str, list[Query]]) -> dict[str, Any]:
    lot = np.mean([np.mean(labels == label) for label in queries])
    shown = {"data set": name, "texts": len(texts), "labels": len(set(labels)), "by lot": f"{lot:.2f}"}
    for how, kind in WAYS.items():
        with tempfile.TemporaryDirectory() as folder:
            kept = kind(Path(folder))
            kept.add([list(enumerate(texts))], workers=1, on_kept=lambda _: None)
            shares = [
                np.mean(
                    [_share(np.where(q.own, -np.inf, kept.closeness(q.text)), labels, label) for q in own]
                )
                for label, own in queries.items()
            ]
        shown[how] = f"{np.mean(shares):.2f}"
    return shown


def _share(closeness: np.ndarray, labels: np.ndarray, label: str) -> float:
    return float(np.mean(labels[np.argsort(-closeness, kind="stable")[:NEAREST]] == label))
