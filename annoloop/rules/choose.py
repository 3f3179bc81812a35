"""The smallest set of patterns that keeps the score, and the set whose word can be taken.

Both work on one table of matches: nothing is matched again for a subset, only settled again, as
`rules.pattern_matcher` settles it, in the texts that a pattern touches.
"""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from heapq import heapify, heappop, heappush

import numpy as np
from numpy.typing import NDArray

from annoloop.corpus.tokenizer import shared_blank
from annoloop.errors import BlindnessError
from annoloop.rules.matcher import Match
from annoloop.rules.pattern_matcher import Found, PatternMatcher
from annoloop.rules.patterns import Pattern
from annoloop.rules.suggest import FOLDS, Candidate, Record, expectations, fold_of, is_fair, record
from annoloop.rules.workbench import wilson
from annoloop.types import LabelScheme, PoolGold, Span

SURE = 1.5
"""Standard errors by which a pattern made of gold has to gain. Fashion brands, training gold in outer folds:
F .704 / .712 / .718 / .699 at 0 / 1 / 1.5 / 2."""

_TURNS = 4


class MatchTable:
    """All matches of all patterns in gold to learn from, and what any subset of the patterns says.

    `found[i]` are the matches in the text of `gold[i]`, as `Bench.run` and `Rules.explain` give them.
    `candidates` are the patterns' where they were proposed: then a pattern counts, in what is called
    fair, on the texts of a fold only where it would have been proposed without them. Counts are of
    spans, or of texts' categories.

    Raises:
        BlindnessError: the gold is not gold to learn from.
    """

    def __init__(
        self,
        patterns: Sequence[Pattern],
        found: Sequence[Sequence[Match]],
        gold: PoolGold,
        *,
        scheme: LabelScheme,
        lang: str,
        candidates: Sequence[Candidate] = (),
    ) -> None:
        if not isinstance(gold, PoolGold):
            raise BlindnessError(
                f"patterns were to be chosen on {type(gold).__name__}",
                hint="only texts to learn from may choose patterns",
            )
        self.patterns, self.scheme, self.gold = tuple(patterns), scheme, gold
        self.candidates = tuple(candidates) or tuple(
            Candidate(json.dumps(pattern.row), "gold", "file", 0) for pattern in patterns
        )
        self.record: Record = record(self.candidates, tuple(gold), found, scheme=scheme, guarded=True)
        self.folds = [fold_of(item) for item in gold]
        self.total = sum(len(item.annotation.spans or item.annotation.labels) for item in gold)
        self._nlp = nlp = shared_blank(lang)
        self._settler = PatternMatcher(nlp.vocab, nlp.tokenizer, [p.row for p in patterns], scheme.kind)
        self.rows: list[dict[int, list[Found]]] = []
        self._truth: list[set[tuple[int, int, str] | str]] = []
        self.texts: list[list[int]] = [[] for _ in patterns]
        """The texts in which each pattern counts."""
        for number, (item, matches) in enumerate(zip(gold, found, strict=True)):
            text = item.example.text
            rows: dict[int, list[Found]] = {}
            starts, ends = _places(nlp.tokenizer(text)) if matches else ({}, {})
            for match in matches:
                words = text[match.start : match.end]
                if is_fair(self.candidates[match.pattern], self.folds[number], words):
                    row = (match.pattern, starts[match.start], ends[match.end])
                    rows.setdefault(match.pattern, []).append(row)
            spans = [s for s in item.annotation.spans if s.start in starts and s.end in ends]
            places = ((starts[s.start], ends[s.end], s.label) for s in spans)
            self._truth.append({*item.annotation.labels, *places})
            self.rows.append(rows)
            for pattern in rows:
                self.texts[pattern].append(number)

    def tally(self, text: int, rows: Sequence[Found]) -> tuple[int, int]:
        """How much of what these matches in a text amount to is right, and how much they amount to."""
        if not rows:
            return 0, 0
        said: Collection[tuple[int, int, str] | str]
        said = self._settler.spans(rows) if self.scheme.has_spans else self._settler.labels(rows)
        truth = self._truth[text]
        return sum(one in truth for one in said), len(said)

    def says(self, text: int, chosen: Collection[int]) -> tuple[Span, ...]:
        """The spans that these patterns find in a text, in characters; for spans only."""
        rows = [row for pattern, of in self.rows[text].items() if pattern in chosen for row in of]
        if not rows:
            return ()
        doc = self._nlp.tokenizer(self.gold.items[text].example.text)
        return tuple(
            Span(doc[start:end].start_char, doc[start:end].end_char, label)
            for start, end, label in self._settler.spans(rows)
        )

    def counts(self, chosen: Collection[int]) -> tuple[int, int]:
        """How much of what these patterns say on all texts is right, and how much they say."""
        right = said = 0
        for text in {text for pattern in chosen for text in self.texts[pattern]}:
            of = self.rows[text]
            counted = self.tally(text, [row for pattern in of if pattern in chosen for row in of[pattern]])
            right, said = right + counted[0], said + counted[1]
        return right, said

    def score(self, right: float, said: float) -> float:
        """What so many right ones of so many said ones amount to: micro F; accuracy for one category."""
        if self.scheme.is_exclusive:
            return right / len(self.gold) if len(self.gold) else 0.0
        return 2 * right / (said + self.total) if said + self.total else 0.0


def _places(doc: object) -> tuple[dict[int, int], dict[int, int]]:
    starts, ends = {}, {}
    for token in doc:  # type: ignore[attr-defined]
        starts[token.idx] = token.i
        ends[token.idx + len(token)] = token.i + 1
    return starts, ends


@dataclass(frozen=True, slots=True)
class Chosen:
    """Indices of the patterns in their order, and their score on texts that none was made from."""

    patterns: tuple[int, ...]
    score: float


def choose(
    table: MatchTable, *, tolerance: float = 0.0, sure: float = 0.0, kept: Collection[int] = ()
) -> Chosen:
    """The smallest set of patterns found that keeps the score, greedily.

    F is not a sum over patterns, but whether it exceeds f is: 2 right - f (said + gold) > 0. So the pattern
    is added that gains most by that measure until none gains, then those are taken out that cost at most
    `tolerance` of the score together, and f is what came of it: Dinkelbach's method (1967). A pattern has to
    gain by more than `sure` standard errors: of many patterns tried some look good by chance. Negative
    patterns are in from the start, since alone they only take away. Those in `kept` are in to stay.
    """
    search = _Search(table, kept)
    f, best = 0.5, Chosen((), 0.0)
    for _ in range(1 if table.scheme.is_exclusive else _TURNS):
        made = search.run(0.0 if table.scheme.is_exclusive else f, sure, tolerance)
        if made.score > best.score:
            best = made
        if abs(made.score - f) < 1e-4:
            break
        f = made.score
    return best


class _Search:
    """Adds and takes out patterns one by one."""

    def __init__(self, table: MatchTable, kept: Collection[int]) -> None:
        self.table, self.kept = table, frozenset(kept)
        self._rows: list[list[Found]] = []
        self._now: list[tuple[int, int]] = []
        self._restart()
        everything = range(len(table.patterns))
        self._first = {pattern: self._change(pattern) for pattern in everything if table.texts[pattern]}

    def _restart(self) -> None:
        self.chosen: dict[int, None] = {}
        self._rows = [[] for _ in self.table.gold]
        self._now = [(0, 0)] * len(self.table.gold)
        for number, pattern in enumerate(self.table.patterns):
            if pattern.negative or number in self.kept:
                self._flip(number)

    def run(self, f: float, sure: float, tolerance: float) -> Chosen:
        """Add, then take out; `f` is what a said span costs."""
        self._restart()
        self._add(f, sure)
        self._drop(f, tolerance)
        return Chosen(tuple(sorted(self.chosen)), self.table.score(*self._totals()))

    def _totals(self) -> tuple[int, int]:
        return sum(right for right, _ in self._now), sum(said for _, said in self._now)

    def _with(self, pattern: int, text: int) -> list[Found]:
        if pattern in self.chosen:
            return [row for row in self._rows[text] if row[0] != pattern]
        return [*self._rows[text], *self.table.rows[text][pattern]]

    def _change(self, pattern: int) -> list[tuple[int, int]]:
        """What adding the pattern (or taking it out) changes in each of its texts: right, said."""
        changes = []
        for text in self.table.texts[pattern]:
            right, said = self.table.tally(text, self._with(pattern, text))
            changes.append((right - self._now[text][0], said - self._now[text][1]))
        return changes

    def _flip(self, pattern: int) -> None:
        for text in self.table.texts[pattern]:
            self._rows[text] = self._with(pattern, text)
        self.chosen.pop(pattern) if pattern in self.chosen else self.chosen.setdefault(pattern)
        for text in self.table.texts[pattern]:
            self._now[text] = self.table.tally(text, self._rows[text])

    def _add(self, f: float, sure: float) -> None:
        """Add what gains most until nothing does. Gains mostly shrink: only the best is weighed anew."""
        heap = [(-_gain(changes, f, sure), pattern) for pattern, changes in self._first.items()]
        heap = [one for one in heap if one[0] < -_LEAST and one[1] not in self.chosen]
        heapify(heap)
        while heap:
            _, pattern = heappop(heap)
            gain = _gain(self._change(pattern), f, sure)
            if gain <= _LEAST:
                continue
            if heap and gain < -heap[0][0]:
                heappush(heap, (-gain, pattern))
            else:
                self._flip(pattern)

    def _drop(self, f: float, tolerance: float) -> None:
        """Take out what costs nothing, the last first, then the cheapest while the tolerance lasts."""
        for pattern in reversed(list(self.chosen)):
            if pattern not in self.kept and _gain(self._change(pattern), f, 0.0) >= -_LEAST:
                self._flip(pattern)
        least = self.table.score(*self._totals()) - tolerance
        while self.chosen and tolerance > 0:
            free = [pattern for pattern in self.chosen if pattern not in self.kept]
            if not free:
                return
            costs = {pattern: _gain(self._change(pattern), f, 0.0) for pattern in free}
            cheapest = max(costs, key=lambda pattern: costs[pattern])
            self._flip(cheapest)
            if self.table.score(*self._totals()) < least:
                self._flip(cheapest)
                return


_LEAST = 1e-9


def _gain(changes: Sequence[tuple[int, int]], f: float, sure: float) -> float:
    values = [2 * right - f * said for right, said in changes]
    return sum(values) - (sure * math.sqrt(sum(value * value for value in values)) if sure else 0.0)


def settled(table: MatchTable, *, precision: float = 0.95) -> tuple[int, ...]:
    """The patterns that together settle most texts with so much precision.

    Which patterns a fold's texts are answered by is decided by what was seen in the other folds: those
    whose expected precision reaches a bar. The bar is the one with most answers of those for which the
    lower end of Wilson's 95 % interval of the precision over all folds is at least `precision`. Empty
    where there is none.
    """
    expected = np.round(expectations(table.candidates, table.record), 4)
    guards = np.array([pattern.negative for pattern in table.patterns], dtype=bool)
    expected[guards] = 1.0
    best: tuple[int, float] | None = None
    for bar in np.unique(expected):
        right, said = _answers(table, expected >= bar)
        interval = wilson(right, said)
        if interval is not None and interval[0] >= precision and (best is None or said > best[0]):
            best = said, float(bar)
    if best is None:
        return ()
    return tuple(int(i) for i in np.nonzero(expected[:, FOLDS] >= best[1])[0])


def _answers(table: MatchTable, enough: NDArray[np.bool_]) -> tuple[int, int]:
    right = said = 0
    for text, fold in enumerate(table.folds):
        rows = [row for pattern, of in table.rows[text].items() if enough[pattern, fold] for row in of]
        counted = table.tally(text, rows)
        right, said = right + counted[0], said + counted[1]
    return right, said
