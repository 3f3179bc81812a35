"""All strategies by name: ours, and those that installed packages bring along.

A package offers one under the entry point group `annoloop.strategies`:

    [project.entry-points."annoloop.strategies"]
    mine = "my_package:mine"

where `mine(candidates, n, rng)` returns at most `n` different rows, the most wanted first.
"""

from __future__ import annotations

from importlib.metadata import entry_points
from typing import Any

import numpy as np

from annoloop.errors import AnnoloopError
from annoloop.selection import diversity, strategies
from annoloop.selection.candidates import Candidates, IndexArray, Strategy
from annoloop.selection.strategies import MissingSignalError
from annoloop.types import STRATEGY_GROUP, LabelScheme

STRATEGIES: dict[str, Strategy] = {
    "random": strategies.random,
    "margin": strategies.margin,
    "entropy": strategies.entropy,
    "kmeans_start": diversity.kmeans_start,
    "margin_kmeans": diversity.margin_kmeans,
    "badge": diversity.badge,
    "typicality": diversity.typicality,
    "density": diversity.density,
    "uncertainty": strategies.uncertainty,
    "uncertainty_disagreement": strategies.uncertainty_disagreement,
    "span_margin": strategies.span_margin,
    "disagreement": strategies.disagreement,
    "llm_disagreement": strategies.llm_disagreement,
    "rules_disagreement": strategies.rules_disagreement,
    "shortest": strategies.shortest,
    "longest": strategies.longest,
}

NEEDS: dict[str, tuple[str, ...]] = {
    "random": (),
    "margin": ("probabilities",),
    "entropy": ("probabilities",),
    "kmeans_start": ("features",),
    "margin_kmeans": ("probabilities", "features"),
    "badge": ("probabilities", "features"),
    "typicality": ("features",),
    "density": ("probabilities", "features"),
    "uncertainty": ("spans", "tokens"),
    "uncertainty_disagreement": ("spans", "tokens", "llm_disagreement"),
    "span_margin": ("spans",),
    "disagreement": ("disagreement",),
    "llm_disagreement": ("llm_disagreement",),
    "rules_disagreement": ("rules_disagreement",),
    "shortest": ("tokens",),
    "longest": ("tokens",),
}
"""The fields of `Candidates` that each goes by. A strategy of a package is given all that there are."""

MANY_LABELS = 10
"""From here on labels that stand for themselves are ranked as single categories are."""


def default_for(scheme: LabelScheme, wanted: str) -> tuple[str, ...]:
    """What `[selection] strategy` stands for with this kind of question, the preferred first.

    `settle` chooses among them when it is known what is known of the texts. For single categories that is
    `margin_kmeans`: with 2, 8 and 11 of them its curve lay above plain margin's on four of four data sets.
    """
    if scheme.has_spans:
        spans = {"auto": ("uncertainty_disagreement", "uncertainty"), "margin": ("uncertainty",)}
        return spans.get(wanted, (wanted,))
    if wanted != "auto":
        return (wanted,)
    diverse = scheme.is_exclusive or len(scheme.labels) > MANY_LABELS
    return ("margin_kmeans", "margin") if diverse else ("margin",)


def settle(preferred: tuple[str, ...], candidates: Candidates, *, n: int) -> str:
    """The first of these strategies that these candidates allow; at a cold start, one that needs no model.

    Where categories cannot be ranked yet that is `kmeans_start`, for spans and where votes are missing
    `random`. A pool below ten batches has no shortlist to cluster: `margin_kmeans` gives way to `margin`.
    """
    small = candidates.count < diversity.SHORTLIST * n
    if len(preferred) > 1 and preferred[0] == "margin_kmeans" and small:
        preferred = preferred[1:]
    for name in preferred:
        if all(_known(candidates, field) for field in NEEDS.get(name, ())):
            return name
    cold = any("probabilities" in NEEDS.get(name, ()) for name in preferred)
    return "kmeans_start" if cold and candidates.has_words else "random"


def _known(candidates: Candidates, field: str) -> bool:
    return candidates.has_words if field == "features" else getattr(candidates, field) is not None


def strategy_named(name: str) -> Strategy:
    """A strategy by its name, ours before a package's of the same name.

    Raises:
        AnnoloopError: there is none of this name, or its package cannot be imported.
    """
    if name in STRATEGIES:
        return STRATEGIES[name]
    found = {point.name: point for point in entry_points(group=STRATEGY_GROUP)}
    if name not in found:
        known = ", ".join([*STRATEGIES, *sorted(found)])
        raise AnnoloopError(f"there is no strategy {name!r}", hint=f"[selection] strategy is one of {known}")
    try:
        loaded = found[name].load()
    except Exception as error:
        raise AnnoloopError(
            f"the strategy {name!r} ({found[name].value}) cannot be loaded: {error}",
            hint="mend or update the package that brings it along",
        ) from error
    return _checked(name, loaded)


def _checked(name: str, strategy: Any) -> Strategy:
    """A strategy whose rows are checked: a wrong one would ask about other texts than it says."""

    def checked(candidates: Candidates, n: int, rng: np.random.Generator) -> IndexArray:
        try:
            rows = np.asarray(strategy(candidates, n, rng))
        except MissingSignalError:
            # As ours: by lot where what it needs is not known yet.
            raise
        except Exception as error:
            raise AnnoloopError(
                f"the strategy {name!r} failed: {type(error).__name__}: {error}",
                hint="report it to the package that brings it along, or choose another [selection] strategy",
            ) from error
        whole = rows.ndim == 1 and (not len(rows) or rows.dtype.kind in "iu")
        good = whole and len(rows) <= n and len(set(rows.tolist())) == len(rows)
        if not good or (len(rows) and not 0 <= rows.min() <= rows.max() < candidates.count):
            raise AnnoloopError(
                f"the strategy {name!r} must return at most {n} different rows below {candidates.count}",
                hint="report it to the package that brings it along, or choose another [selection] strategy",
            )
        return rows.astype(np.intp)

    return checked
