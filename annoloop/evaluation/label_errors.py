"""Which labels are likely wrong: gold that disagrees with what all the other gold makes one expect.

Only a ranking for people to look at: nothing here changes a label.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from annoloop.evaluation.scores import FloatArray
from annoloop.types import Annotation, Gold, LabelScheme, PoolGold, Span

FOLDS = 5
LONGEST = 8
"""Tokens of the longest name whose other places are looked at."""

LEAST_PLACES = 3
"""A name with fewer other places than this says nothing about one of them."""

TOKEN_PLACES = 10
"""As many other places of a token as say all that it can about a border: a common word has hundreds."""

_TOKEN = re.compile(r"\w+|[^\w\s]")

Reader = Callable[[PoolGold, Sequence[str]], FloatArray | None]
"""Category probabilities (texts, labels) of texts, by a model that learned from gold; None: it cannot."""


@dataclass(frozen=True, slots=True)
class _Place:
    """Words in a text as written, and their label there; not `asked` ones count and are not doubted."""

    gold: Gold
    surface: str
    label: str | None
    asked: bool = True


@dataclass(frozen=True, slots=True)
class Suspect:
    """A gold text whose label is doubted. `confidence` is from 0, surely wrong, to 1.

    `label` is what the gold says (None: that nothing is there), `expected` what the others make one expect:
    the likeliest category; or, not `likelier` than `label`, one that is as likely as it is where it is given.
    `surface` is the name it is about, for spans; `agreeing` of its `places` elsewhere are as expected, by one
    label alone (`alone`) where spans of others may be at the same place.
    """

    gold: Gold
    confidence: float
    label: str | None
    expected: str | None
    surface: str = ""
    agreeing: int = 0
    places: int = 0
    likelier: bool = True
    alone: bool = False

    @property
    def reason(self) -> str:
        """Why it should be looked at again, in one line."""
        if self.surface and self.alone:
            label, others = self.label or self.expected, f"{self.agreeing} of {self.places} other places"
            here, there = ("", "not ") if self.label else ("not ", "")
            return f"“{self.surface}” is {here}{label} here and {there}{label} in {others}"
        if self.surface:
            here = f"is {self.label} here" if self.label else "is not marked here"
            there = f"{self.expected}" if self.expected else "not marked"
            often = f"in {self.agreeing} of {self.places} other places"
            return f"“{self.surface}” {here} and {there} {often}"
        if self.label is None:
            return f"the other texts make {self.expected} likely here, and it is not given"
        if self.expected is None:
            return f"the other texts make {self.label} unlikely here ({self.confidence:.0%})"
        label = f"{self.label} ({self.confidence:.0%})"
        if self.likelier:
            return f"the other texts make {self.expected} likelier here than {label}"
        return (
            f"the other texts make {self.expected} as likely here as where it is given, and {label} less so"
        )


def category_suspects(
    scheme: LabelScheme, gold: PoolGold, reader: Reader, *, seed: int, folds: int = FOLDS
) -> tuple[Suspect, ...]:
    """The texts whose category a model doubts that has not learned from them, the most doubtful first.

    Each fold is read by a model of the other folds. A text is doubted where another label is as likely as it
    is on average for the texts that have it, so that a model that is never sure of a rare label does not
    doubt all of its texts; the doubted ones are ranked by self-confidence, the probability of the label that
    was given (Northcutt, Jiang and Chuang 2021, Confident learning: the confident joint and self-confidence).
    With several categories a text goes by the least likely of its yes and no decisions that are doubted
    (Thyagarajan et al. 2022). Empty where the gold cannot teach.
    """
    usable = sorted((g for g in gold if g.complete), key=lambda g: g.example.input_hash)
    if scheme.is_exclusive:
        usable = [g for g in usable if g.annotation.labels]
    items: list[Gold] = []
    rows: list[FloatArray] = []
    for rest, part in _folds(scheme, usable, seed, folds):
        read = reader(PoolGold(tuple(rest)), [g.example.text for g in part])
        if read is not None:
            items += part
            rows += list(read)
    if not items:
        return ()
    table = np.stack(rows)
    doubts = _of_one if scheme.is_exclusive else _of_several
    return tuple(sorted(doubts(scheme, items, table), key=_order))


def span_suspects(scheme: LabelScheme, gold: PoolGold) -> tuple[Suspect, ...]:
    """The texts in which a name or a border is labelled otherwise than in other places, the oddest first.

    Each place of a name (in any case, token by token) is held against all its others: a place is as sure as
    the share of others that are labelled the same, (same + 1) / (others + 2) by Laplace's rule, so that many
    other places say more than few. A place inside a longer span says nothing. Of borders the tokens beside
    them are held against their own other places in the same way, the outer token of a longer span and its
    neighbour outside: a span too long or too short seldom has a name that occurs elsewhere. They come after
    the names of which as much is known. Where spans may overlap each label is looked at alone: a name inside
    a phrase of another label is a name all the same. Texts of a project of categories have none. No model is
    trained: the others are out of sample by themselves.
    """
    usable = sorted((g for g in gold if g.complete), key=lambda g: g.example.input_hash)
    if scheme.kind != "spancat":
        return _oddest(_span_suspects(usable) if scheme.has_spans else ())
    whole = {item.example.input_hash: item for item in usable}
    found = [
        replace(suspect, gold=whole[suspect.gold.example.input_hash], alone=True)
        for label in scheme.labels
        for suspect in _span_suspects([_only(item, label) for item in usable])
    ]
    return _oddest(found)


def _only(item: Gold, label: str) -> Gold:
    spans = tuple(span for span in item.annotation.spans if span.label == label)
    return replace(item, annotation=Annotation(spans=spans))


def _oddest(found: Iterable[Suspect]) -> tuple[Suspect, ...]:
    """Of each text its oddest place."""
    best: dict[str, Suspect] = {}
    for suspect in found:
        key = suspect.gold.example.input_hash
        if key not in best or _order(suspect) < _order(best[key]):
            best[key] = suspect
    return tuple(sorted(best.values(), key=_order))


def _span_suspects(usable: Sequence[Gold]) -> Iterator[Suspect]:
    known = {name for item in usable for name in _names(item)}
    names: dict[tuple[str, ...], list[_Place]] = defaultdict(list)
    tokens: dict[str, list[_Place]] = defaultdict(list)
    for item in usable:
        for name, place in _places(item, known):
            names[name].append(place)
        for token, place in _token_places(item):
            tokens[token].append(place)
    for said in names.values():
        yield from _odd(said)
    for said in tokens.values():
        yield from _odd_borders(said)


def _odd(said: Sequence[_Place]) -> Iterator[Suspect]:
    """The places that are labelled otherwise than most of the others."""
    counted = Counter(place.label for place in said)
    if len(said) <= LEAST_PLACES or len(counted) == 1:
        return
    usual = max(counted, key=lambda one: (counted[one], one or ""))
    others = len(said) - 1
    for place in said:
        if place.asked and place.label != usual:
            sure = counted[place.label] / (others + 2)
            yield Suspect(place.gold, sure, place.label, usual, place.surface, counted[usual], others)


def _odd_borders(said: Sequence[_Place]) -> Iterator[Suspect]:
    """The places in a span, in whichever, where most others are in none, and the other way round.

    The others count as `TOKEN_PLACES` at most.
    """
    marked = Counter(place.label for place in said if place.label)
    inside = marked.total()
    outside = len(said) - inside
    if len(said) <= LEAST_PLACES or not inside or not outside:
        return
    usual = max(marked, key=lambda one: (marked[one], one)) if inside >= outside else None
    if usual is not None and marked[usual] < outside:
        return
    agreeing, fewer = (marked[usual], outside) if usual else (outside, inside)
    others = len(said) - 1
    sure = max(fewer / (others + 2), 1 / (TOKEN_PLACES + 2))
    for place in said:
        if place.asked and (place.label is None) != (usual is None):
            yield Suspect(place.gold, sure, place.label, usual, place.surface, agreeing, others)


def _order(suspect: Suspect) -> tuple[float, int, str]:
    return suspect.confidence, suspect.places, suspect.gold.example.input_hash


def _folds(
    scheme: LabelScheme, usable: Sequence[Gold], seed: int, folds: int
) -> Iterator[tuple[list[Gold], list[Gold]]]:
    """(others, part) of each fold; each label is spread over all of them."""
    order = np.random.default_rng(seed).permutation(len(usable))
    mixed = sorted((usable[i] for i in order), key=lambda g: g.annotation.labels)
    for fold in range(folds):
        part = [g for place, g in enumerate(mixed) if place % folds == fold]
        rest = [g for place, g in enumerate(mixed) if place % folds != fold]
        if part and rest:
            yield rest, part


def _of_one(scheme: LabelScheme, items: Sequence[Gold], table: FloatArray) -> Iterator[Suspect]:
    column = {name: place for place, name in enumerate(scheme.labels)}
    given = np.array([column[item.annotation.labels[0]] for item in items])
    usual = np.full(table.shape[1], np.inf)
    for place in np.unique(given):
        usual[place] = table[given == place, place].mean()
    # A label that no other fold has cannot be doubted, nor expected.
    usual[usual == 0] = np.inf
    confident = np.where(table >= usual, table, -1.0)
    for item, place, row, sure in zip(items, given, table, confident, strict=True):
        best = int(sure.argmax())
        if sure[best] >= 0 and best != place and np.isfinite(usual[place]):
            likelier = bool(row.max() > row[place])
            expected = scheme.labels[int(row.argmax()) if likelier else best]
            yield Suspect(item, float(row[place]), scheme.labels[place], expected, likelier=likelier)


def _of_several(scheme: LabelScheme, items: Sequence[Gold], table: FloatArray) -> Iterator[Suspect]:
    given = np.array([[name in item.annotation.labels for name in scheme.labels] for item in items])
    # How sure the model is of each decision, yes or no, and how sure it is on average of the other one.
    sure = np.where(given, table, 1 - table)
    with np.errstate(divide="ignore", invalid="ignore"):
        yes = np.where(given, table, 0).sum(axis=0) / given.sum(axis=0)
        no = np.where(given, 0, 1 - table).sum(axis=0) / (~given).sum(axis=0)
    # Of a label without gold, or that all of it has, nothing can be learned: its column is 0.
    doubted = (sure < 0.5) & (1 - sure >= np.where(given, no, yes)) & (table > 0)
    for item, own, row, here in zip(items, given, sure, doubted, strict=True):
        if here.any():
            worst = int(np.where(here, row, np.inf).argmin())
            name = scheme.labels[worst]
            label, expected = (name, None) if own[worst] else (None, name)
            yield Suspect(item, float(row[worst]), label, expected)


def _tokens(text: str) -> list[tuple[str, int, int]]:
    return [(found.group().casefold(), *found.span()) for found in _TOKEN.finditer(text)]


def _names(item: Gold) -> Iterator[tuple[str, ...]]:
    for span in item.annotation.spans:
        name = tuple(token for token, *_ in _tokens(item.example.text[span.start : span.end]))
        if 0 < len(name) <= LONGEST:
            yield name


def _places(item: Gold, known: set[tuple[str, ...]]) -> Iterator[tuple[tuple[str, ...], _Place]]:
    """Each place of a known name in a text."""
    text, tokens = item.example.text, _tokens(item.example.text)
    exact: Mapping[tuple[int, int], str] = {(s.start, s.end): s.label for s in item.annotation.spans}
    covered = [(s.start, s.end) for s in item.annotation.spans]
    for first in range(len(tokens)):
        for last in range(first, min(first + LONGEST, len(tokens))):
            name = tuple(token for token, *_ in tokens[first : last + 1])
            if name not in known:
                continue
            start, end = tokens[first][1], tokens[last][2]
            label = exact.get((start, end))
            if label is None and any(left < end and start < right for left, right in covered):
                continue
            yield name, _Place(item, text[start:end], label)


def _token_places(item: Gold) -> Iterator[tuple[str, _Place]]:
    """Each token of a text, with the label of the span that it is in; those at a border are asked about."""
    text, tokens = item.example.text, _tokens(item.example.text)
    within: list[Span | None] = [
        next((s for s in item.annotation.spans if s.start <= start and end <= s.end), None)
        for _, start, end in tokens
    ]
    for at, (token, start, end) in enumerate(tokens):
        # Of a full stop or a bracket the others say what is usual of punctuation, not of this border.
        if not any(map(str.isalnum, token)):
            continue
        span, beside = within[at], [*within[max(at - 1, 0) : at], *within[at + 1 : at + 2]]
        # A span of one token is a name, which is looked at as such.
        if span is None:
            asked = any(other is not None for other in beside)
        else:
            asked = span in beside and (at in (0, len(tokens) - 1) or any(other != span for other in beside))
        yield token, _Place(item, text[start:end], span.label if span else None, asked)
