"""Patterns proposed from what people have labelled, from terms, or from an LLM's answers; and how far to
believe in them.

Only gold to learn from (`PoolGold`) is looked at. Each candidate knows how many texts outside each of the
folds speak for it: on the texts of a fold it is counted only where it would have been proposed without
them. So `right` and `wrong` are what it did on texts that it was not made from.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from annoloop.errors import BlindnessError
from annoloop.hashing import fraction
from annoloop.rules.matcher import Match
from annoloop.rules.suggest_labels import label_ideas
from annoloop.rules.suggest_spans import Idea, span_ideas, spellings
from annoloop.types import Annotation, Gold, LabelScheme, PoolGold

Origin = Literal["gold", "terms", "answers"]
Counts = NDArray[np.int64]

FOLDS = 5
SALT = "rules"
_WEIGHT = 4.0
"""How many matches the estimate one level up weighs in that of a narrower group."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A line that might join patterns.jsonl.

    `sort` says how it was made: surface, lower, spelling, context, shape, affix, exception, ngram, pair,
    terms. `support` is the number of texts that speak for it, `beyond` the same without each fold; empty
    where the line was made without gold. `right` and `wrong` count its matches out of sample. `expected`
    is the precision to expect on new texts, from what candidates of the same sort with a like record did
    out of sample; None before `measured`.
    """

    line: str
    origin: Origin
    sort: str
    support: int
    right: int = 0
    wrong: int = 0
    beyond: tuple[int, ...] = ()
    members: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    expected: float | None = None

    @property
    def label(self) -> str:
        """The label that it stands for."""
        return str(json.loads(self.line)["label"])

    @property
    def negative(self) -> bool:
        """Whether it says where a label is not."""
        return bool(json.loads(self.line).get("negative", False))


def fold_of(gold: Gold) -> int:
    """The fold of a text, from 0 to `FOLDS` - 1: fixed by its hash."""
    return int(fraction(gold.example.input_hash, SALT) * FOLDS)


def from_gold(
    gold: PoolGold, *, scheme: LabelScheme, lang: str, least: int = 2, most: int = 2_000
) -> tuple[Candidate, ...]:
    """Candidates that the labels of the texts suggest, lists first, then those with most support.

    Spans: the words as they stand, in any case, and in their usual other spellings (frequent names each in
    a line, rare ones in a list); capitalised names between certain words and signs; shapes; beginnings and
    ends of words; a list of capitalised words that are no such name. Categories: words and pairs of words
    that tell them apart. A line other than a list needs `least` texts that speak for it.

    Raises:
        BlindnessError: the gold is not gold to learn from.
    """
    _only_pool(gold)
    complete = [item for item in gold if item.complete]
    without = [
        _found(_ideas([item for item in complete if fold_of(item) != fold], scheme, lang, least), least)
        for fold in range(FOLDS)
    ]
    made: dict[str, Candidate] = {}
    for idea in _ideas(complete, scheme, lang, least):
        if idea.members or len(idea.texts) >= least:
            one = _candidate(idea, without)
            made.setdefault(one.line, one)
    lists_first = sorted(made.values(), key=lambda one: (not one.members, -one.support))
    return tuple(lists_first[:most])


def _ideas(gold: Sequence[Gold], scheme: LabelScheme, lang: str, least: int) -> list[Idea]:
    if scheme.has_spans:
        return span_ideas(gold, scheme=scheme, lang=lang)
    return label_ideas(gold, scheme=scheme, lang=lang, least=least)


def _found(ideas: Iterable[Idea], least: int) -> dict[tuple[str, ...], int]:
    """How many texts speak for each line, and for each member of each list."""
    found = {}
    for idea in ideas:
        for member, texts in idea.members.items():
            found[(*idea.name, member)] = len(texts)
        if len(idea.texts) >= least:
            found[idea.name] = len(idea.texts)
    return found


def _candidate(idea: Idea, without: Sequence[Mapping[tuple[str, ...], int]]) -> Candidate:
    line = as_line(idea.label, **idea.fields)
    if not idea.members:
        # A frequent name of all texts may stand in the list of rare ones without a fold.
        names = [idea.name, *([idea.listed] if idea.listed else [])]
        beyond = tuple(max(found.get(name, 0) for name in names) for found in without)
        return Candidate(line, "gold", idea.sort, len(idea.texts), beyond=beyond)
    members = {
        member: tuple(found.get((*idea.name, member), 0) for found in without) for member in idea.members
    }
    support = len(set().union(*idea.members.values()))
    return Candidate(line, "gold", idea.sort, support, beyond=(support,) * FOLDS, members=members)


def from_terms(terms: Mapping[str, Sequence[str]], *, scheme: LabelScheme) -> tuple[Candidate, ...]:
    """A candidate for each term that somebody wrote for a label; they have no support yet."""
    made: dict[str, Candidate] = {}
    for label in scheme.labels:
        for term in terms.get(label, ()):
            if term.strip():
                line = _term_line(label, term.strip(), scheme)
                made.setdefault(line, Candidate(line, "terms", "terms", 0))
    return tuple(made.values())


def _term_line(label: str, term: str, scheme: LabelScheme) -> str:
    if scheme.has_spans and len(forms := spellings(term)) > 1:
        return as_line(label, phrases=list(forms), attr="LOWER")
    return as_line(label, pattern=term, attr="LOWER")


def from_answers(
    said: Iterable[tuple[str, Annotation]], *, scheme: LabelScheme, lang: str, least: int = 3
) -> tuple[Candidate, ...]:
    """Candidates that an LLM's own answers suggest: pairs of a pool text and what it said of it.

    The answers are no gold: nothing is counted for or against the lines here. A line needs `least`
    texts that speak for it. The caller must hand in texts of the pool only.
    """
    from annoloop.types import Example

    items = [Gold(Example("", text), annotation) for text, annotation in said]
    made = [
        Candidate(as_line(idea.label, **idea.fields), "answers", idea.sort, len(idea.texts))
        for idea in _ideas(items, scheme, lang, least)
        if len(idea.texts) >= least and not idea.members
    ]
    return tuple(sorted(made, key=lambda one: (-one.support, one.line)))


def as_line(label: str, **fields: Any) -> str:
    """A line of patterns.jsonl."""
    return json.dumps({"label": label, **fields}, ensure_ascii=False)


def _only_pool(gold: PoolGold) -> None:
    if not isinstance(gold, PoolGold):
        raise BlindnessError(
            f"patterns were to be made from {type(gold).__name__}",
            hint="only texts to learn from may suggest patterns",
        )


@dataclass(frozen=True, slots=True)
class Record:
    """The matches of each candidate alone, right and wrong, by fold: arrays of shape (candidates, FOLDS).

    `right` and `wrong` count them all, `fair_right` and `fair_wrong` those out of sample.
    """

    right: Counts
    wrong: Counts
    fair_right: Counts
    fair_wrong: Counts
    fair: NDArray[np.bool_]


def is_fair(candidate: Candidate, fold: int, words: str) -> bool:
    """Whether the candidate would match these words of a text of the fold had it been made without them."""
    if candidate.members:
        option = candidate.members.get(words) or candidate.members.get(words.lower())
        return option is not None and option[fold] > 0
    return not candidate.beyond or candidate.beyond[fold] > 0


def record(
    candidates: Sequence[Candidate],
    gold: Sequence[Gold],
    found: Sequence[Sequence[Match]],
    *,
    scheme: LabelScheme,
    guarded: bool = False,
) -> Record:
    """Count the matches of each candidate as if it stood alone; `found[i]` are the matches in `gold[i]`.

    With `guarded`, as if it stood beside the negative ones: what those bar counts nowhere. A match of a
    negative pattern is right where no span of its label overlaps it (the text is not of its label).
    """
    counts = np.zeros((4, len(candidates), FOLDS), dtype=np.int64)
    negative = [one.negative for one in candidates]
    for item, matches in zip(gold, found, strict=True):
        fold, text = fold_of(item), item.example.text
        if guarded:
            matches = _not_barred(matches, candidates, negative, item, scheme)
        for match in {_place(match, scheme): match for match in matches}.values():
            good = _good(match, item, negative[match.pattern], scheme)
            counts[0 if good else 1, match.pattern, fold] += 1
            if is_fair(candidates[match.pattern], fold, text[match.start : match.end]):
                counts[2 if good else 3, match.pattern, fold] += 1
    fair = [[bool(count) for count in one.beyond] or [True] * FOLDS for one in candidates]
    shape = len(candidates), FOLDS
    return Record(counts[0], counts[1], counts[2], counts[3], np.array(fair, dtype=bool).reshape(shape))


def _not_barred(
    matches: Sequence[Match],
    candidates: Sequence[Candidate],
    negative: Sequence[bool],
    gold: Gold,
    scheme: LabelScheme,
) -> list[Match]:
    fold, text = fold_of(gold), gold.example.text
    bars = [
        match
        for match in matches
        if negative[match.pattern] and is_fair(candidates[match.pattern], fold, text[match.start : match.end])
    ]

    def barred(match: Match) -> bool:
        return any(
            bar.label == match.label
            and (not scheme.has_spans or (bar.start < match.end and match.start < bar.end))
            for bar in bars
        )

    return [match for match in matches if negative[match.pattern] or not barred(match)]


def _good(match: Match, gold: Gold, negative: bool, scheme: LabelScheme) -> bool:
    if not scheme.has_spans:
        return (match.label in gold.annotation.labels) != negative
    spans = [span for span in gold.annotation.spans if span.label == match.label]
    if negative:
        return not any(span.start < match.end and match.start < span.end for span in spans)
    return any((span.start, span.end) == (match.start, match.end) for span in spans)


def _place(match: Match, scheme: LabelScheme) -> tuple[int, int, int]:
    return (match.pattern, match.start, match.end) if scheme.has_spans else (match.pattern, 0, 0)


def measured(
    candidates: Sequence[Candidate],
    gold: PoolGold,
    found: Sequence[Sequence[Match]],
    *,
    scheme: LabelScheme,
) -> tuple[Candidate, ...]:
    """The candidates with `right`, `wrong` and `expected`; `found` holds the matches in each text of `gold`.

    Raises:
        BlindnessError: the gold is not gold to learn from.
    """
    _only_pool(gold)
    counted = record(candidates, tuple(gold), found, scheme=scheme)
    expected = expectations(candidates, counted)
    own = counted.fair_right.sum(axis=1), counted.fair_wrong.sum(axis=1)
    return tuple(
        replace(one, right=int(right), wrong=int(wrong), expected=float(share))
        for one, right, wrong, share in zip(candidates, *own, expected[:, FOLDS], strict=True)
    )


def expectations(candidates: Sequence[Candidate], counted: Record) -> NDArray[np.float64]:
    """The precision that each candidate can be expected to have on new texts; shape (candidates, FOLDS + 1).

    Column f goes by what was seen outside fold f, the last by everything. Candidates of one sort with
    about as many right and wrong matches elsewhere form a group; what a group did on the texts that its
    members were not made from, drawn towards its sort and that towards all, is what its members can expect.
    """
    nothing = np.zeros((len(candidates), 1), np.int64)
    right = counted.right.sum(axis=1, keepdims=True) - np.hstack([counted.right, nothing])
    wrong = counted.wrong.sum(axis=1, keepdims=True) - np.hstack([counted.wrong, nothing])
    groups = [
        [(one.sort, *_like(int(r), int(w))) for r, w in zip(rs, ws, strict=True)]
        for one, rs, ws in zip(candidates, right, wrong, strict=True)
    ]
    tallies: dict[Any, Counts] = {}
    for number, fold in zip(*np.nonzero(counted.fair), strict=True):
        seen = np.array([counted.fair_right[number, fold], counted.fair_wrong[number, fold]])
        for key in _levels(groups[number][fold]):
            tallies[key] = tallies.get(key, 0) + seen
    made = {group: _expected(tallies, group) for group in {group for row in groups for group in row}}
    values = np.array([[made[group] for group in row] for row in groups], dtype=float)
    return values.reshape(len(candidates), FOLDS + 1)


def _like(right: int, wrong: int) -> tuple[int, int]:
    """A group of records: how many were right, and which share was wrong."""
    share = wrong / (right + wrong) if right + wrong else 0.0
    return int(np.searchsorted([1, 2, 3, 5, 9, 17, 33], right, side="right")), int(
        np.searchsorted([1e-9, 0.02, 0.05, 0.1, 0.2, 0.35, 0.5, 0.75], share, side="right")
    )


def _levels(group: tuple[str, int, int]) -> tuple[tuple[Any, ...], ...]:
    return (), (group[0],), group


def _expected(tallies: Mapping[Any, Counts], group: tuple[str, int, int]) -> float:
    precision = 0.5
    for key in _levels(group):
        right, wrong = tallies.get(key, (0, 0))
        precision = (right + _WEIGHT * precision) / (right + wrong + _WEIGHT)
    return float(precision)
