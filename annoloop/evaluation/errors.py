"""What kinds of mistakes an approach makes, on which texts, and which are new since an earlier model."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Literal

import numpy as np

from annoloop.evaluation.scores import IntArray, bootstrap_interval, count, f_of
from annoloop.types import Annotation, Counts, Example, Gold, LabelScheme, Span

MistakeKind = Literal["type", "boundary", "partial", "missed", "spurious"]
Dimension = Literal["length", "source", "language", "label"]

KINDS: tuple[MistakeKind, ...] = ("type", "boundary", "partial", "missed", "spurious")
LENGTHS = 3
"""Parts of about equal size by length."""

_EMPTY = Annotation()


@dataclass(frozen=True, slots=True)
class Mistake:
    """One mistake: what is true (None: nothing) and what was said (None: nothing), spans or categories."""

    kind: MistakeKind
    gold: Span | str | None
    said: Span | str | None

    @property
    def counts(self) -> Counts:
        """What it adds to false positives and false negatives."""
        return Counts(fp=int(self.said is not None), fn=int(self.gold is not None))

    @property
    def labels(self) -> tuple[str | None, str | None]:
        """(true label, said label)."""
        return _label(self.gold), _label(self.said)


@dataclass(frozen=True, slots=True)
class WrongText:
    """A text with mistakes. `confidence` is how sure the approach was; `also_wrong` how many others erred."""

    example: Example
    gold: Annotation
    said: Annotation
    mistakes: tuple[Mistake, ...]
    confidence: float | None = None
    also_wrong: int = 0


@dataclass(frozen=True, slots=True)
class ErrorAnalysis:
    """All mistakes of one approach on so many texts; `texts` has the wrong ones, the hardest first."""

    read: int
    texts: tuple[WrongText, ...]

    @property
    def kinds(self) -> Mapping[MistakeKind, int]:
        """How many mistakes of each kind there are."""
        counted = Counter(mistake.kind for text in self.texts for mistake in text.mistakes)
        return {kind: counted[kind] for kind in KINDS}

    @property
    def per_label(self) -> Mapping[str, Mapping[MistakeKind, int]]:
        """The kinds by label: the true one, or where nothing is true the said one."""
        counted: dict[str, Counter[MistakeKind]] = defaultdict(Counter)
        for mistake in (m for text in self.texts for m in text.mistakes):
            truth, said = mistake.labels
            counted[truth or said or ""][mistake.kind] += 1
        return {name: {kind: of[kind] for kind in KINDS} for name, of in sorted(counted.items())}

    @property
    def confusion(self) -> Mapping[tuple[str | None, str | None], int]:
        """How often one label was said where another is true, the most frequent pair first; None is nothing.

        With several categories a text, each one missed is paired with each one said too much in the text.
        Spans are paired where they overlap; those with the right label at wrong borders are in too.
        """
        pairs = Counter(pair for text in self.texts for pair in _confused(text.mistakes))
        return dict(sorted(pairs.items(), key=lambda item: (-item[1], str(item[0]))))


@dataclass(frozen=True, slots=True)
class Slice:
    """A part of the texts: how many, their score with its 95 % interval, and how far off the whole it is.

    Of dimension `label` the score is the F of that label over all texts. `behind` says that the whole
    interval lies below the score of all texts.
    """

    dimension: Dimension
    name: str
    texts: int
    score: float | None
    interval: tuple[float, float] | None
    behind: bool


@dataclass(frozen=True, slots=True)
class Regression:
    """A text on which a later model makes more mistakes than an earlier one; `new` are the new mistakes."""

    example: Example
    gold: Annotation
    before: Annotation
    after: Annotation
    new: tuple[Mistake, ...]


@dataclass(frozen=True, slots=True)
class Regressions:
    """Texts that got worse, the worst first, and how many got better, of all that both models read."""

    read: int
    worse: tuple[Regression, ...]
    better: int


def mistakes(scheme: LabelScheme, gold: Annotation, said: Annotation) -> tuple[Mistake, ...]:
    """The mistakes in one text.

    Spans, after the exact ones are taken out, are paired one to one where they overlap, the best fitting
    first: same place with another label ("type"), same label at other borders ("boundary"), neither
    ("partial"); what is left is "missed" or "spurious". Where spans may overlap, those of the same label come
    first, and of two labels one inside the other are no pair. These are the classes of Ortmann (2022,
    Fine-grained error analysis and fair evaluation of labeled spans). Each paired mistake is one false
    positive and one false negative, so that the counts add up to those of `scores.count`. A wrong single
    choice is "type".
    """
    if scheme.has_spans:
        overlap = scheme.kind == "spancat"
        return tuple(_span_mistakes(set(gold.spans), set(said.spans), overlap=overlap))
    missed, extra = sorted({*gold.labels} - {*said.labels}), sorted({*said.labels} - {*gold.labels})
    if scheme.is_exclusive and missed and extra:
        return (Mistake("type", missed[0], extra[0]),)
    lost = tuple(Mistake("missed", name, None) for name in missed)
    return (*lost, *(Mistake("spurious", None, name) for name in extra))


def analyse(
    scheme: LabelScheme,
    gold: Iterable[Gold],
    predictions: Mapping[str, Annotation],
    *,
    confidence: Mapping[str, float | None] | None = None,
    others: Sequence[Mapping[str, Annotation]] = (),
) -> ErrorAnalysis:
    """The mistakes of predictions, keyed by input hash, on gold; the hardest texts first.

    The hardest are those that most of the `others` get wrong too, then those with the most mistakes, then
    those of which the approach was surest. Gold that is not `complete` is left out, a text without a
    prediction counts as an empty one, as in `scores.count`.
    """
    usable = [item for item in gold if item.complete]
    found = []
    for item in usable:
        name = item.example.input_hash
        said = predictions.get(name, _EMPTY)
        made = mistakes(scheme, item.annotation, said)
        if made:
            also = sum(name in of and bool(mistakes(scheme, item.annotation, of[name])) for of in others)
            sure = (confidence or {}).get(name)
            found.append(WrongText(item.example, item.annotation, said, made, sure, also))
    return ErrorAnalysis(len(usable), tuple(sorted(found, key=_hardness)))


def slices(
    scheme: LabelScheme,
    gold: Iterable[Gold],
    predictions: Mapping[str, Annotation],
    *,
    lang: str,
    seed: int,
) -> tuple[Slice, ...]:
    """The score by length, by source, by language and by label, the worst of each dimension first.

    Source and language are what the texts brought along as "source" and as "lang" or "language" (else
    `lang`); a dimension in which all texts are alike is left out.
    """
    usable = [item for item in gold if item.complete]
    if not usable:
        return ()
    counted = count(scheme, usable, predictions)
    whole = float(f_of(counted.units.sum(axis=0)))
    by_name = {item.example.input_hash: item.example for item in usable}
    examples = [by_name[name] for name in counted.input_hashes]
    found = []
    for dimension, value_of in _dimensions(examples, lang).items():
        values = np.array([value_of(example) for example in examples], dtype=object)
        names = sorted(set(values))
        parts = [(name, counted.units[values == name]) for name in names] if len(names) > 1 else []
        found += [
            _slice(dimension, name, units, whole, seed, exclusive=counted.exclusive) for name, units in parts
        ]
    for column, label in enumerate(counted.labels):
        units = counted.counts[:, column]
        held = units[units.any(axis=1)]
        if len(held):
            found.append(_slice("label", label, held, whole, seed, exclusive=False))
    place = list(dict.fromkeys(part.dimension for part in found))
    return tuple(sorted(found, key=lambda s: (place.index(s.dimension), 1 if s.score is None else s.score)))


def regressions(
    scheme: LabelScheme,
    gold: Iterable[Gold],
    before: Mapping[str, Annotation],
    after: Mapping[str, Annotation],
) -> Regressions:
    """Where a later model is worse than an earlier one, of the texts that both have read."""
    read, better, worse = 0, 0, []
    for item in gold:
        name, truth = item.example.input_hash, item.annotation
        if not item.complete or name not in before or name not in after:
            continue
        read += 1
        old, new = (mistakes(scheme, truth, said[name]) for said in (before, after))
        better += len(new) < len(old)
        if len(new) > len(old):
            fresh = tuple(mistake for mistake in new if mistake not in old)
            worse.append(Regression(item.example, truth, before[name], after[name], fresh))
    order = sorted(worse, key=lambda one: (-len(one.new), one.example.input_hash))
    return Regressions(read, tuple(order), better)


def _span_mistakes(gold: set[Span], said: set[Span], *, overlap: bool) -> Iterator[Mistake]:
    missed, spurious = gold - said, said - gold
    pairs = (
        (truth, guess)
        for truth, guess in product(missed, spurious)
        if truth.start < guess.end and guess.start < truth.end
    )
    fits = sorted((_fit(*pair, overlap=overlap), *pair) for pair in pairs if not (overlap and _nested(*pair)))
    for _, truth, guess in fits:
        if truth in missed and guess in spurious:
            missed.remove(truth)
            spurious.remove(guess)
            yield Mistake(_kind(truth, guess), truth, guess)
    yield from (Mistake("missed", truth, None) for truth in sorted(missed))
    yield from (Mistake("spurious", None, guess) for guess in sorted(spurious))


def _nested(truth: Span, guess: Span) -> bool:
    """Whether they have two labels and one is a part of the other: two things, not one taken for another."""
    inside = truth.start <= guess.start and guess.end <= truth.end
    around = guess.start <= truth.start and truth.end <= guess.end
    return truth.label != guess.label and inside != around


def _kind(truth: Span, guess: Span) -> MistakeKind:
    if (truth.start, truth.end) == (guess.start, guess.end):
        return "type"
    return "boundary" if truth.label == guess.label else "partial"


def _fit(truth: Span, guess: Span, *, overlap: bool) -> tuple[int, int]:
    """Lower fits better: the kind, then the characters that only one of them has."""
    off = abs(truth.start - guess.start) + abs(truth.end - guess.end)
    other_label = overlap and truth.label != guess.label
    return KINDS.index(_kind(truth, guess)) + len(KINDS) * other_label, off


def _label(part: Span | str | None) -> str | None:
    return part.label if isinstance(part, Span) else part


def _confused(made: Sequence[Mistake]) -> Iterator[tuple[str | None, str | None]]:
    """Pairs (true, said): categories that stand alone are paired within their text."""
    loose = [m for m in made if isinstance(m.gold or m.said, str) and m.kind in ("missed", "spurious")]
    truths: list[str | None] = [m.gold for m in loose if isinstance(m.gold, str)] or [None]
    saids: list[str | None] = [m.said for m in loose if isinstance(m.said, str)] or [None]
    if loose:
        yield from product(truths, saids)
    yield from (m.labels for m in made if m not in loose)


def _hardness(text: WrongText) -> tuple[int, int, float, str]:
    return (-text.also_wrong, -len(text.mistakes), -(text.confidence or 0.0), text.example.input_hash)


def _dimensions(examples: Sequence[Example], lang: str) -> dict[Dimension, Callable[[Example], str]]:
    # In characters, since not every script has spaces between words.
    lengths = np.array([len(example.text) for example in examples])
    cuts = np.quantile(lengths, np.arange(1, LENGTHS) / LENGTHS, method="lower")
    borders = sorted({int(cut) for cut in cuts})

    def length(example: Example) -> str:
        place = sum(len(example.text) > border for border in borders)
        if place == len(borders):
            return f"over {borders[-1]} characters"
        return f"{borders[place - 1] + 1 if place else 0} to {borders[place]} characters"

    return {
        "length": length,
        "source": lambda example: str(example.meta.get("source") or "unknown"),
        "language": lambda example: str(example.meta.get("lang") or example.meta.get("language") or lang),
    }


def _slice(
    dimension: Dimension, name: str, units: IntArray, whole: float, seed: int, *, exclusive: bool
) -> Slice:
    value = float(f_of(units.sum(axis=0)))
    interval = bootstrap_interval(units, exclusive=exclusive, seed=seed)
    behind = interval is not None and interval[1] < whole
    return Slice(dimension, name, len(units), None if np.isnan(value) else value, interval, behind)
