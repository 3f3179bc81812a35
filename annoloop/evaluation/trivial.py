"""Is a model better than an answer that needs no text: always the most frequent label, or nothing?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import sqrt
from typing import Literal

import numpy as np

from annoloop.types import Counts, LabelScheme, Scores

ABOUT_ZERO = 0.02
"""An F as low as this is hardly any."""

BEYOND_CHANCE = 1.645
"""Standard deviations from which answers have to do with the texts: 5 % of those drawn by lot reach them."""

FEWEST_GOLD = 100
FEWEST_JUDGED = 50
"""Fewer texts (of spans: spans) learned from, or to judge by, call no task hopeless."""

FEWEST_OTHERS = 50
FEWEST_OTHERS_JUDGED = 20
"""So many of them have another label than the trivial answer: a rare one takes long to be learned at all."""

Standing = Literal["better", "learning", "not_yet", "no_better"]


@dataclass(frozen=True, slots=True)
class Trivial:
    """The best answer that is the same for every text, none of whose labels is nothing, and its score."""

    labels: tuple[str, ...]
    score: float

    def __str__(self) -> str:
        if not self.labels:
            return "finding nothing"
        return f"always saying {' and '.join(self.labels)} ({self.score:.3f})"


def trivial(scheme: LabelScheme, learned: Mapping[str, int], texts: int, scores: Scores) -> Trivial:
    """The trivial answer that the training gold suggests, scored on the texts that `scores` judges.

    `learned` counts the labels of the `texts` texts of training gold. Of one category that is the most
    frequent; of several the most frequent ones that together have the best F there. Spans have none: they
    would have to be found first.
    """
    if scheme.has_spans or not texts or not scores.texts:
        return Trivial((), 0.0)
    ranked = sorted(learned, key=lambda label: (-learned[label], label))
    ranked = [label for label in ranked if learned[label]]
    if not ranked:
        return Trivial((), 0.0)
    gold = {label: counts.tp + counts.fn for label, counts in scores.per_label.items()}
    if scheme.is_exclusive:
        return Trivial((ranked[0],), gold.get(ranked[0], 0) / scores.texts)
    sizes = range(1, len(ranked) + 1)
    best = max(sizes, key=lambda size: _f(ranked[:size], learned, texts))
    return Trivial(tuple(ranked[:best]), _f(ranked[:best], gold, scores.texts))


def _f(said: Sequence[str], gold: Mapping[str, int], texts: int) -> float:
    """F of giving every text these labels."""
    return 2 * sum(gold.get(label, 0) for label in said) / (len(said) * texts + sum(gold.values()))


def is_better(scheme: LabelScheme, scores: Scores, than: Trivial) -> bool:
    """Whether the whole 95 % interval of a score lies above the trivial answer's, and no lot does so well.

    Of two labels that are equally frequent the one that the training gold has more of may be the rarer one
    on the judged texts, where coin flips are then better than it.
    """
    least = max(than.score, 0.0 if scheme.is_exclusive else ABOUT_ZERO)
    above = scores.interval is not None and scores.interval[0] > least
    return above and (scheme.has_spans or beyond_chance(scheme, scores) >= BEYOND_CHANCE)


def beyond_chance(scheme: LabelScheme, scores: Scores) -> float:
    """By how many standard deviations more labels are right than if the answers were dealt out by lot.

    The moments of the number of right answers over all permutations of the texts (Hoeffding 1951), which for
    single-choice categories need no more than the counts by label; for several the labels are taken to be
    independent. 0 where every text gets the same answer, and for spans, of which no lot finds any.
    """
    total = scores.texts
    if scheme.has_spans or total < 2 or not scores.per_label:
        return 0.0
    counts: Sequence[Counts] = tuple(scores.per_label.values())
    gold = np.array([one.tp + one.fn for one in counts], dtype=np.float64)
    said = np.array([one.tp + one.fp for one in counts], dtype=np.float64)
    expected = gold * said / total
    if scheme.is_exclusive:
        squares = (gold * said).sum() - (expected * (gold + said)).sum() + expected.sum() ** 2
        variance = squares / (total - 1)
    else:
        variance = (expected * (total - gold) * (total - said)).sum() / (total * (total - 1))
    right = sum(one.tp for one in counts)
    return float((right - expected.sum()) / sqrt(variance)) if variance > 1e-9 else 0.0


def standing(
    scheme: LabelScheme,
    scores: Scores,
    than: Trivial,
    *,
    learned: Mapping[str, int],
    texts: int,
    rises: bool,
) -> Standing:
    """How a model that learned from `texts` texts with the labels `learned` stands to the trivial answer.

    "learning": not better yet, but the curve `rises`, or the answers are better than a lot would deal them
    (`BEYOND_CHANCE`). Else "no_better" calls the task hopeless as it is, where gold and judged texts are
    enough to say so (`FEWEST_GOLD` and the others); with fewer it is "not_yet" better.

    Measured with TF-IDF and logistic regression on docs_issues, customer_feedback_de and four of its labels
    against the rest, Reuters R8 and the election tweets, 100 to 300 gold texts, 50 to 200 judged
    (`benchmarks/learning.py hopeless`): "no_better" was said of 2 of 720 curves; of 720 with shuffled labels
    of 264, "not_yet" of 362, "learning" of 90, "better" of 4. The thresholds were chosen on other draws of
    the first two sets. For several categories and spans it was not measured.
    """
    if is_better(scheme, scores, than):
        return "better"
    if rises or beyond_chance(scheme, scores) >= BEYOND_CHANCE:
        return "learning"
    judged = {label: one.tp + one.fn for label, one in scores.per_label.items()}
    if scheme.has_spans:
        enough = sum(learned.values()) >= FEWEST_GOLD and sum(judged.values()) >= FEWEST_JUDGED
    else:
        common = set(than.labels) if scheme.is_exclusive else set()
        others, others_judged = (
            sum(number for label, number in counted.items() if label not in common)
            for counted in (learned, judged)
        )
        enough = others >= FEWEST_OTHERS and others_judged >= FEWEST_OTHERS_JUDGED
    enough = enough and texts >= FEWEST_GOLD and scores.texts >= FEWEST_JUDGED
    return "no_better" if enough else "not_yet"
