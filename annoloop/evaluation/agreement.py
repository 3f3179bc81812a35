"""How far people (or a person and the LLM) agree on the same texts, with intervals over texts.

Undefined is None: nothing was said twice, or nothing could have differed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from annoloop.corpus.tokens import TOKEN
from annoloop.evaluation.errors import mistakes
from annoloop.evaluation.scores import FloatArray, IntArray, f_of, is_point, percentile_interval
from annoloop.types import Annotation, LabelScheme

Said = frozenset[str]
"""The labels that somebody gave one unit: a text, or one token of it."""


@dataclass(frozen=True, slots=True)
class Opinions:
    """One text and what each of several people said of it, by name."""

    text: str
    said: Mapping[str, Annotation]


@dataclass(frozen=True, slots=True)
class Measure:
    """A figure of agreement, 1 is full, with its 95 % bootstrap interval over texts; None is undefined."""

    value: float | None
    interval: tuple[float, float] | None = None


NOT_DEFINED = Measure(None)


@dataclass(frozen=True, slots=True)
class LabelAgreement:
    """One label: how often it was given, and how far those who read the same text agree on it.

    `f` is the F of one person by another, `alpha` and `ac1` are of the choice to give it or not, by text or,
    for spans, by token.
    """

    given: int
    f: Measure
    alpha: Measure
    ac1: Measure


@dataclass(frozen=True, slots=True)
class Agreement:
    """How far those agree who answered the same `texts`; `pairs` counts pairs of answers.

    `same` is the share of pairs that are equal as a whole. `f` is the F of one person by another over exact
    spans or categories, the measure to be compared with a model's score; `partial_f` also takes spans of the
    same label that overlap (None for categories). F of pairs is the measure for spans, since what nobody
    marked cannot be counted (Hripcsak and Rothschild 2005). `alpha` is Krippendorff's, `ac1` Gwet's: of the
    category; of each label's choice where several may be given; for spans of the tokens' labels.
    """

    texts: int
    pairs: int
    same: Measure
    f: Measure
    partial_f: Measure
    alpha: Measure
    ac1: Measure
    per_label: Mapping[str, LabelAgreement] = field(default_factory=dict)


def masi_distance(left: Said, right: Said) -> float:
    """How unlike two sets of labels are, 0 to 1: Measuring Agreement on Set-valued Items (Passonneau 2006).

    1 - J * M, J being the Jaccard index and M 1 for equal sets, 2/3 where one holds the other, 1/3 where they
    only overlap, 0 where nothing is in common. Two empty sets are equal.
    """
    if left == right:
        return 0.0
    shared = left & right
    if not shared:
        return 1.0
    likeness = 2 / 3 if left <= right or right <= left else 1 / 3
    return 1.0 - len(shared) / len(left | right) * likeness


def krippendorff_alpha(counts: IntArray, distances: FloatArray | None = None) -> float | None:
    """Krippendorff's alpha of `counts` (units, values): how many said each value of each unit.

    1 - observed / expected disagreement; units with a single opinion are left out (Krippendorff 2011,
    Computing Krippendorff's alpha-reliability). `distances` (values, values) is the squared difference, by
    default nominal. None where no unit has two opinions, or all of them are the same value.
    """
    sums = _alpha_sums(counts, _nominal(counts.shape[1]) if distances is None else distances)
    return _defined(_alpha(sums.sum(axis=0)[None], distances, counts.shape[1]))


def gwet_ac1(counts: IntArray) -> float | None:
    """Gwet's AC1 of `counts` (units, values): agreement corrected for chance, steady for skewed labels.

    The chance that two agree by guessing is sum p (1 - p) / (values - 1), p being the share of a value (Gwet
    2008, Computing inter-rater reliability and its variance in the presence of high agreement). All values
    that could have been said are counted, so give columns for those that nobody said. It is AC2 with
    weights of identity: other weights are for ordered categories, and the labels of a scheme have no order
    that could say which two are nearly the same. None where no unit has two opinions or there is one value.
    """
    return _defined(_ac1(_ac1_sums(counts).sum(axis=0)[None]))


def agreement(scheme: LabelScheme, texts: Sequence[Opinions], *, seed: int, samples: int = 1000) -> Agreement:
    """How far those agree who answered the same texts; texts with one opinion are left out.

    Intervals are 95 % percentiles of a bootstrap over texts (Efron and Tibshirani 1993, chapter 13).
    `Opinions` on the same text are drawn together and count as one text.
    """
    shared = [one for one in texts if len(one.said) > 1]
    pairs = sum(len(one.said) * (len(one.said) - 1) // 2 for one in shared)
    if not shared:
        return Agreement(0, 0, NOT_DEFINED, NOT_DEFINED, NOT_DEFINED, NOT_DEFINED, NOT_DEFINED)
    draw = _Draw([one.text for one in shared], seed, samples)
    exact, partial, per_label = _pair_counts(scheme, shared)
    values = [_units(scheme, one) for one in shared]
    columns = {name: _binary(values, name) for name in scheme.labels}
    chosen = _chosen(scheme, values, columns)
    return Agreement(
        texts=draw.texts,
        pairs=pairs,
        same=draw(_same(shared), lambda sums: sums[:, 0] / sums[:, 1]),
        f=draw(exact, f_of),
        partial_f=draw(partial, f_of) if scheme.has_spans else NOT_DEFINED,
        alpha=_alpha_of(draw, *_sets(values)),
        ac1=draw(_by_text(_ac1_sums(chosen[1]), chosen[0], len(shared)), _ac1),
        per_label={
            name: LabelAgreement(
                given=sum(_given(one, name) for one in shared),
                f=draw(per_label[name], f_of),
                alpha=_alpha_of(draw, *columns[name], None),
                ac1=draw(_by_text(_ac1_sums(columns[name][1]), columns[name][0], len(shared)), _ac1),
            )
            for name in scheme.labels
        },
    )


class _Draw:
    """Figures of sums over texts, with their intervals: the same texts are drawn for every figure."""

    def __init__(self, texts: Sequence[str], seed: int, samples: int) -> None:
        place = {text: number for number, text in enumerate(dict.fromkeys(texts))}
        self.text_of_row = np.array([place[text] for text in texts], dtype=np.int64)
        self.texts = len(place)
        rng = np.random.default_rng(seed)
        shares = np.full(self.texts, 1 / self.texts)
        self._times = rng.multinomial(self.texts, shares, size=samples).astype(np.float64)

    def __call__(self, rows: NDArray[np.generic], figure: Callable[[FloatArray], FloatArray]) -> Measure:
        """`rows` is (opinions, columns); `figure` makes (n,) figures of (n, columns) sums."""
        table = _by_text(np.asarray(rows, dtype=np.float64), self.text_of_row, self.texts)
        with np.errstate(divide="ignore", invalid="ignore"):
            value = _defined(figure(table.sum(axis=0)[None]))
            if value is None:
                return NOT_DEFINED
            drawn = percentile_interval(figure(self._times @ table))
            # Of texts that are all alike every sample is too, which says nothing of other texts.
            return Measure(value, None if drawn is None or is_point(drawn) else drawn)


def _defined(found: FloatArray) -> float | None:
    return float(found[0]) if np.isfinite(found[0]) else None


def _nominal(values: int) -> FloatArray:
    return 1.0 - np.eye(values)


def _alpha_sums(counts: IntArray, distances: FloatArray) -> FloatArray:
    """(units, 1 + values): observed disagreement and values, of units with two opinions or more."""
    number = counts.sum(axis=1)
    paired = np.where(number[:, None] > 1, counts, 0).astype(np.float64)
    observed = ((paired @ distances) * paired).sum(axis=1) / np.maximum(number - 1, 1)
    return np.concatenate([observed[:, None], paired], axis=1)


def _alpha(sums: FloatArray, distances: FloatArray | None, values: int) -> FloatArray:
    said = sums[:, 1:]
    number = said.sum(axis=1)
    expected = ((said @ (_nominal(values) if distances is None else distances)) * said).sum(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        found: FloatArray = 1.0 - (number - 1) * sums[:, 0] / np.where(expected > 0, expected, np.nan)
    return found


def _ac1_sums(counts: IntArray) -> FloatArray:
    """(units, 3 + values): agreement, whether two said something, whether anybody did, shares of values."""
    number = counts.sum(axis=1).astype(np.float64)
    pairs = number * (number - 1)
    agreed = (counts * (counts - 1.0)).sum(axis=1) / np.maximum(pairs, 1)
    shares = counts / np.maximum(number, 1)[:, None]
    heads = np.stack([agreed, number > 1, number > 0], axis=1)
    return np.concatenate([heads, shares], axis=1)


def _ac1(sums: FloatArray) -> FloatArray:
    values = sums.shape[1] - 3
    with np.errstate(divide="ignore", invalid="ignore"):
        agreed, shares = sums[:, 0] / sums[:, 1], sums[:, 3:] / sums[:, 2:3]
        chance = (shares * (1 - shares)).sum(axis=1) / (np.float64(values) - 1)
        found: FloatArray = (agreed - chance) / (1 - chance)
    return found


Table = tuple[IntArray, IntArray]
"""(units,) the text of each unit, and (units, values) how many said each value of it."""


def _alpha_of(draw: _Draw, rows: IntArray, counts: IntArray, distances: FloatArray | None) -> Measure:
    values = counts.shape[1]
    sums = _alpha_sums(counts, _nominal(values) if distances is None else distances)
    by_text = _by_text(sums, rows, len(draw.text_of_row))
    return draw(by_text, lambda drawn: _alpha(drawn, distances, values))


def _by_text(sums: FloatArray, rows: IntArray, texts: int) -> FloatArray:
    found = np.zeros((texts, sums.shape[1]))
    np.add.at(found, rows, sums)
    return found


def _units(scheme: LabelScheme, one: Opinions) -> list[list[Said]]:
    """What each person said of each unit of a text: of it as a whole, or of its tokens."""
    if not scheme.has_spans:
        return [[frozenset(said.labels) for said in one.said.values()]]
    tokens = [found.span() for found in TOKEN.finditer(one.text)]
    return [[_labels_at(said, start, end) for said in one.said.values()] for start, end in tokens]


def _labels_at(said: Annotation, start: int, end: int) -> Said:
    return frozenset(span.label for span in said.spans if span.start < end and start < span.end)


def _sets(values: Sequence[Sequence[Sequence[Said]]]) -> tuple[IntArray, IntArray, FloatArray]:
    """All units with the sets of labels said of them as values, and how unlike these are."""
    kinds = sorted({said for units in values for unit in units for said in unit}, key=sorted)
    column = {said: place for place, said in enumerate(kinds)}
    rows, counts = _rows(values), np.zeros((sum(map(len, values)), max(len(kinds), 1)), dtype=np.int64)
    for row, unit in enumerate(unit for units in values for unit in units):
        for said in unit:
            counts[row, column[said]] += 1
    distances = np.array([[masi_distance(a, b) for b in kinds] for a in kinds]).reshape(len(kinds), -1)
    return rows, counts, distances if kinds else np.zeros((1, 1))


def _rows(values: Sequence[Sequence[Sequence[Said]]]) -> IntArray:
    return np.repeat(np.arange(len(values)), [len(units) for units in values]).astype(np.int64)


def _binary(values: Sequence[Sequence[Sequence[Said]]], name: str) -> Table:
    """Units with how many gave them the label and how many did not."""
    given = [(sum(name in said for said in unit), len(unit)) for units in values for unit in units]
    table = np.array(given, dtype=np.int64).reshape(-1, 2)
    table[:, 1] -= table[:, 0]
    return _rows(values), table


def _chosen(
    scheme: LabelScheme, values: Sequence[Sequence[Sequence[Said]]], columns: Mapping[str, Table]
) -> Table:
    """What AC1 is of: the one category of a text, or each label's choice."""
    if not scheme.is_exclusive:
        rows, tables = zip(*columns.values(), strict=True)
        return np.concatenate(rows), np.concatenate(tables)
    given = [columns[name][1][:, 0] for name in scheme.labels]
    # An answer whose label the scheme has lost is one more value: left out, it would never differ.
    none = np.array([sum(not said for said in unit) for units in values for unit in units], dtype=np.int64)
    return _rows(values), np.stack([*given, *([none] if none.any() else [])], axis=1)


def _same(texts: Sequence[Opinions]) -> IntArray:
    """(texts, 2): equal pairs, and pairs."""
    found = []
    for one in texts:
        alike = sum(n * (n - 1) // 2 for n in Counter(one.said.values()).values())
        found.append((alike, len(one.said) * (len(one.said) - 1) // 2))
    return np.array(found, dtype=np.int64)


def _given(one: Opinions, name: str) -> int:
    return sum(part[0] == name for said in one.said.values() for part in _parts(said))


def _parts(said: Annotation) -> set[tuple[str, int, int]]:
    spans = {(span.label, span.start, span.end) for span in said.spans}
    return spans | {(name, 0, 0) for name in said.labels}


def _pair_counts(
    scheme: LabelScheme, texts: Sequence[Opinions]
) -> tuple[IntArray, IntArray, Mapping[str, IntArray]]:
    """(texts, 3) tp, fp, fn of one by the other, over all pairs: exact, partly right, and by label."""
    exact, near = np.zeros((len(texts), 3), dtype=np.int64), np.zeros(len(texts), dtype=np.int64)
    labels = {name: np.zeros((len(texts), 3), dtype=np.int64) for name in scheme.labels}
    for row, one in enumerate(texts):
        for left, right in combinations(one.said.values(), 2):
            first, second = _parts(left), _parts(right)
            for place, parts in enumerate((first & second, second - first, first - second)):
                exact[row, place] += len(parts)
                for name, *_ in parts:
                    labels[name][row, place] += 1
            near[row] += sum(found.kind == "boundary" for found in mistakes(scheme, left, right))
    return exact, exact + np.outer(near, [1, -1, -1]), labels
