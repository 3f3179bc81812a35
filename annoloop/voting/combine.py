"""One annotation out of several voters', learned from texts whose truth is known.

One category a text: a vote is a category (a text without one abstains). Spans and several categories: a
vote is yes or no to an item, and a voter that has read the text and does not say the item says no.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from annoloop.types import Annotation, Example, LabelScheme, Span
from annoloop.voting.calibrate import Calibration, calibration
from annoloop.voting.label_model import ABSTAIN, UNKNOWN, FloatArray, IntArray, LabelModel, fit, one_accuracy
from annoloop.voting.spans import Item, best_cut, candidates, chosen, items, label_of

FOLDS = 5
Weighed = list[tuple[Item, float]]


@dataclass(frozen=True, slots=True)
class Ballot:
    """What each voter says of a text, always in the same order; None where it has not read it."""

    example: Example
    said: tuple[Annotation | None, ...]


@dataclass(frozen=True, slots=True)
class Vote:
    """The voters' common annotation, None where nobody votes.

    `confidence` (0 to 1, calibrated) is that of the part of the annotation that is least sure; None where
    it is empty.
    """

    annotation: Annotation | None
    confidence: float | None


@dataclass(frozen=True)
class Combination:
    """What was learned of a panel of voters."""

    _learned: _Learned
    _calibrated: Calibration

    def vote(self, ballot: Ballot) -> Vote:
        """The annotation that the voters' votes make likeliest."""
        weighed = self._learned.weigh(ballot)
        annotation = self._learned.decide(ballot, weighed)
        said = set() if annotation is None else {*annotation.labels, *annotation.spans}
        stated = np.asarray([p for item, p in weighed if item in said], dtype=np.float64)
        sure = float(self._calibrated(stated).min()) if len(stated) else None
        return Vote(annotation, sure)


def combine(ballots: Sequence[Ballot], truths: Sequence[Annotation], scheme: LabelScheme) -> Combination:
    """Learn to combine these voters from texts with their truths; the order of the texts changes nothing.

    The confidence is calibrated on votes about texts that were left out when they were learned, by folds.

    Raises:
        ValueError: there is no text, or not one truth a text.
    """
    stated: list[float] = []
    right: list[bool] = []
    for learned, ballot, truth in _by_folds(ballots, truths, scheme):
        true = items(truth, scheme)
        for item, p in learned.weigh(ballot):
            stated.append(p)
            right.append(item in true)
    curve = calibration(np.asarray(stated, dtype=np.float64), np.asarray(right, dtype=np.bool_))
    return Combination(_learn(*_sorted(ballots, truths), scheme), curve)


def cross_fitted(
    ballots: Sequence[Ballot], truths: Sequence[Annotation], scheme: LabelScheme
) -> dict[str, Annotation]:
    """What the voters together say of each of these texts, learned from the others, by input hash.

    This is what to judge a combination by: one that has seen a text's truth says it back. Texts that
    nobody votes on are absent.
    """
    said = {}
    for learned, ballot, _ in _by_folds(ballots, truths, scheme):
        annotation = learned.decide(ballot, learned.weigh(ballot))
        if annotation is not None:
            said[ballot.example.input_hash] = annotation
    return said


def disagreement(ballot: Ballot, scheme: LabelScheme) -> float | None:
    """How far the voters differ on a text: 1 - F between two of them, averaged over all pairs; 0 to 1.

    None where fewer than two vote. Two that say nothing agree; with one category F is 1 or 0.
    """
    voted = [items(said, scheme) for said in ballot.said if said is not None and _votes(said, scheme)]
    if len(voted) < 2:
        return None
    apart = [
        1 - 2 * len(one & other) / (len(one) + len(other)) if one or other else 0.0
        for one, other in combinations(voted, 2)
    ]
    # The exact sum, in any order of the voters: a last digit must not rank one text above another.
    return math.fsum(apart) / len(apart)


def _votes(said: Annotation | None, scheme: LabelScheme) -> bool:
    return said is not None and (not scheme.is_exclusive or bool(items(said, scheme)))


@dataclass(frozen=True)
class _Learned:
    """Label models by label, or one for all under "" where a text has one category."""

    scheme: LabelScheme
    models: Mapping[str, LabelModel]
    cut: float = 0.0

    def weigh(self, ballot: Ballot) -> Weighed:
        """Each item in question with its probability; one category: the likeliest only."""
        if self.scheme.is_exclusive:
            votes = _choices([ballot], self.scheme)
            posterior = self.models[""].posterior(votes)[0]
            best = int(np.argmax(posterior))
            return [(self.scheme.labels[best], float(posterior[best]))] if (votes != ABSTAIN).any() else []
        found = [items(said, self.scheme) for said in ballot.said if said is not None]
        return [
            (item, float(self.models[label_of(item)].posterior(_yes_or_no(ballot, item, self.scheme))[0, 1]))
            for item in (candidates(found, self.scheme) if found else ())
        ]

    def decide(self, ballot: Ballot, weighed: Weighed) -> Annotation | None:
        """The likeliest annotation; None where nobody votes."""
        if not any(_votes(said, self.scheme) for said in ballot.said):
            return None
        taken = chosen(weighed, self.scheme, least=self.cut)
        spans = tuple(item for item in taken if isinstance(item, Span))
        return Annotation(tuple(item for item in taken if isinstance(item, str)), spans)


def _by_folds(
    ballots: Sequence[Ballot], truths: Sequence[Annotation], scheme: LabelScheme
) -> Iterator[tuple[_Learned, Ballot, Annotation]]:
    """Every text with what was learned from the other folds; a single text has nothing to learn from."""
    ballots, truths = _sorted(ballots, truths)
    folds = min(FOLDS, len(ballots))
    for fold in range(folds if folds > 1 else 0):
        rest = [place for place in range(len(ballots)) if place % folds != fold]
        learned = _learn([ballots[i] for i in rest], [truths[i] for i in rest], scheme)
        for place in range(fold, len(ballots), folds):
            yield learned, ballots[place], truths[place]


def _sorted(ballots: Sequence[Ballot], truths: Sequence[Annotation]) -> tuple[list[Ballot], list[Annotation]]:
    """Both by input hash, so that neither folds nor sums depend on the order in which texts come."""
    pairs = sorted(zip(ballots, truths, strict=True), key=lambda pair: pair[0].example.input_hash)
    if not pairs:
        raise ValueError("no texts to learn from")
    return [ballot for ballot, _ in pairs], [truth for _, truth in pairs]


def _learn(ballots: Sequence[Ballot], truths: Sequence[Annotation], scheme: LabelScheme) -> _Learned:
    if scheme.is_exclusive:
        votes, known = _choices(ballots, scheme), _truths(truths, scheme)
        classes = len(scheme.labels)
        base = one_accuracy(votes, known, classes=classes)
        usable = known != UNKNOWN
        return _Learned(scheme, {"": fit(votes[usable], classes=classes, known=known[usable], base=base)})
    rows = _rows(ballots, truths, scheme)
    pooled = fit(rows.votes, classes=2, known=rows.known, weights=rows.weights)
    models = {}
    for column, label in enumerate(scheme.labels):
        own = rows.labels == column
        models[label] = fit(
            rows.votes[own],
            classes=2,
            known=rows.known[own],
            weights=rows.weights[own],
            base=pooled.confusion,
        )
    learned = _Learned(scheme, models)
    return _Learned(scheme, models, _cut(learned, ballots, truths))


def _cut(learned: _Learned, ballots: Sequence[Ballot], truths: Sequence[Annotation]) -> float:
    weighed, right, missed = [], [], 0
    for ballot, truth in zip(ballots, truths, strict=True):
        true, found = items(truth, learned.scheme), learned.weigh(ballot)
        weighed += [p for _, p in found]
        right += [item in true for item, _ in found]
        missed += len(true - {item for item, _ in found})
    return best_cut(np.asarray(weighed, dtype=np.float64), np.asarray(right, dtype=np.bool_), missed=missed)


def _choices(ballots: Sequence[Ballot], scheme: LabelScheme) -> IntArray:
    """(texts, voters): the place of each one's category among the labels, or ABSTAIN."""
    columns = [_truths([said or Annotation() for said in ballot.said], scheme) for ballot in ballots]
    return np.stack(columns)


def _truths(said: Sequence[Annotation], scheme: LabelScheme) -> IntArray:
    """(annotations,): the place of each one's category among the labels; -1 where it has none."""
    found = [scheme.current(annotation).labels for annotation in said]
    return np.asarray([scheme.labels.index(labels[0]) if labels else -1 for labels in found], dtype=np.int64)


def _yes_or_no(ballot: Ballot, item: Item | None, scheme: LabelScheme) -> IntArray:
    """(1, voters): 1 for yes, 0 for no, ABSTAIN for those who have not read the text."""
    votes = [ABSTAIN if said is None else int(item in items(said, scheme)) for said in ballot.said]
    return np.asarray([votes], dtype=np.int64)


@dataclass(frozen=True)
class _Rows:
    """Yes/no items: votes (items, voters); known, weights and place of the label (items,)."""

    votes: IntArray
    known: IntArray
    weights: FloatArray
    labels: IntArray


def _rows(ballots: Sequence[Ballot], truths: Sequence[Annotation], scheme: LabelScheme) -> _Rows:
    """All items to learn from, those too that nobody says.

    True items that all missed are in, or a voter's "no" would seem to mean more than it does. So are,
    for spans, the places where rightly nobody says anything: about one a word and label, in one row.
    Of items somebody says alone, a rare voter's silence would be taken for assent.
    """
    votes, known, weights, labels = [], [], [], []
    for ballot, truth in zip(ballots, truths, strict=True):
        true = items(truth, scheme)
        every = candidates([true, *(items(said, scheme) for said in ballot.said if said)], scheme)
        for item in every:
            votes.append(_yes_or_no(ballot, item, scheme))
            known.append(int(item in true))
            weights.append(1.0)
            labels.append(scheme.labels.index(label_of(item)))
        for column, label in enumerate(scheme.labels if scheme.has_spans else ()):
            taken = sum(label_of(item) == label for item in every)
            votes.append(_yes_or_no(ballot, None, scheme))
            known.append(0)
            weights.append(float(max(len(ballot.example.text.split()) - taken, 1)))
            labels.append(column)
    return _Rows(np.concatenate(votes), np.asarray(known), np.asarray(weights), np.asarray(labels))
