"""Labels that categories need: annoloop's default beside random, small-text and scikit-activeml.

`figure` takes about 40 minutes on one core, 10 seeds; what is finished is kept and not repeated. Scored is the
logistic regression over TIF that all but one choose with.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import learning_peers as theirs
from learning_ground import against_best_peer, open_set, published, shown, simulated

from annoloop.evaluation.learning_curves import compare
from annoloop.steps.simulated_run import Choose
from annoloop.steps.simulated_runs import Ground

OURS = "annoloop"
PEERS: dict[str, Choose] = {
    "small-text BreakingTies": theirs.breaking_ties,
    "small-text BreakingTies, own classifier": theirs.breaking_ties_own,
    "small-text LeastConfidence": theirs.least_confidence,
    "small-text PredictionEntropy": theirs.prediction_entropy,
    "small-text EmbeddingKMeans": theirs.embedding_kmeans,
    "scikit-activeml margin": theirs.active_margin,
    "scikit-activeml Badge": theirs.active_badge,
    "scikit-activeml Falcun": theirs.active_falcun,
}
WAYS: dict[str, tuple[str, Choose | None]] = {
    "random": ("random", None),
    OURS: ("auto", None),
    "annoloop, begun by lot": ("by lot, then auto", theirs.ours_by_lot_first),
    **{name: (name, choose) for name, choose in PEERS.items()},
}
_ORANGE = partial(partial, open_set, text="Text", label="Category")
SETS: dict[str, tuple[Callable[[], Ground | None], int, int]] = {
    "docs_issues": (partial(published, "docs_issues"), 20, 10),
    "customer_feedback_de": (partial(published, "customer_feedback_de"), 50, 10),
    "Reuters R8": (_ORANGE("reuters-r8-train", "reuters-r8-test"), 50, 10),
    "Reuters R52": (_ORANGE("reuters-r52-train", "reuters-r52-test"), 50, 10),
    "20 Newsgroups": (_ORANGE("20newsgroups-train", "20newsgroups-test"), 50, 10),
    "election tweets": (partial(open_set, "election-tweets-2016", None, "Content", "Author"), 50, 10),
}
"""How each is loaded, texts a round, rounds."""


def figure(*, seed: int, quick: bool) -> list[dict[str, Any]]:
    """Every data set at hand, all ways of choosing against random, and ours against the best peer."""
    rows: list[dict[str, Any]] = []
    for name in list(SETS)[:2] if quick else SETS:
        rows += measured(name, range(seed, seed + (2 if quick else 10)), rounds=3 if quick else None)
    return rows


def measured(name: str, seeds: range, *, rounds: int | None = None) -> list[dict[str, Any]]:
    load, batch, most = SETS[name]
    ground = load()
    if ground is None:
        return []
    curves = simulated(name, ground, WAYS, seeds=seeds, batch=batch, rounds=rounds or most)
    best = against_best_peer(name, curves, OURS, list(PEERS), "texts")
    alike = against_best_peer(name, curves, "annoloop, begun by lot", list(PEERS), "texts")
    return [*shown(name, compare(curves, baseline="random"), "texts"), best, alike]
