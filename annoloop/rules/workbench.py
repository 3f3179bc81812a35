"""How good each pattern is: its matches held against gold."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from annoloop.rules.matcher import Match
from annoloop.types import DevGold, Gold, LabelScheme, PoolGold, Span

SHOWN = 20
"""Examples kept of each sort."""


@dataclass(frozen=True, slots=True)
class Hit:
    """A match in a text: `text` is an index of the texts. `other` is the rival where it is a conflict."""

    text: int
    match: Match
    other: Match | None = None


@dataclass(frozen=True, slots=True)
class PatternReport:
    """What one pattern does on texts whose truth is known.

    `matches` are those that count: a place once for spans, a text once for categories. `shadowed` are those
    that another match kept out, which are neither right nor wrong. `alone` are right ones that no other
    pattern finds. `conflicts` are overlaps with a match of another label (for one category: texts on which
    another label is named), whether used or not. `interval` is Wilson's 95 % interval of the precision.
    """

    pattern: int
    matches: int = 0
    right: int = 0
    shadowed: int = 0
    alone: int = 0
    conflicts: int = 0
    interval: tuple[float, float] | None = None
    right_hits: tuple[Hit, ...] = ()
    wrong_hits: tuple[Hit, ...] = ()
    conflict_hits: tuple[Hit, ...] = ()

    @property
    def precision(self) -> float | None:
        """The share of matches that are right; None where nothing matched."""
        return self.right / self.matches if self.matches else None


@dataclass(slots=True)
class _Tally:
    right: list[Hit] = field(default_factory=list)
    wrong: list[Hit] = field(default_factory=list)
    conflicts: list[Hit] = field(default_factory=list)
    shadowed: int = 0
    alone: int = 0


def report(
    count: int,
    gold: PoolGold | DevGold | Sequence[Gold],
    found: Sequence[Sequence[Match]],
    scheme: LabelScheme,
) -> tuple[PatternReport, ...]:
    """One report for each of `count` patterns; `found` holds the matches in each text of the gold."""
    tallies = [_Tally() for _ in range(count)]
    for number, (item, matches) in enumerate(zip(gold, found, strict=True)):
        _tally(tallies, number, item, _once(matches, scheme), scheme)
    return tuple(_finished(number, tally) for number, tally in enumerate(tallies))


def _once(matches: Iterable[Match], scheme: LabelScheme) -> list[Match]:
    """For categories a pattern says its label once a text, at its first place."""
    if scheme.has_spans:
        return list(matches)
    first: dict[int, Match] = {}
    for match in matches:
        first.setdefault(match.pattern, match)
    return list(first.values())


def _tally(tallies: list[_Tally], number: int, gold: Gold, matches: list[Match], scheme: LabelScheme) -> None:
    spans, labels = set(gold.annotation.spans), set(gold.annotation.labels)
    for match in matches:
        tally = tallies[match.pattern]
        rival = next((other for other in matches if _conflict(match, other, scheme)), None)
        if rival is not None:
            tally.conflicts.append(Hit(number, match, rival))
        if not match.used:
            tally.shadowed += 1
        elif (
            Span(match.start, match.end, match.label) in spans if scheme.has_spans else match.label in labels
        ):
            tally.right.append(Hit(number, match))
            tally.alone += not any(_same(match, other, scheme) for other in matches)
        else:
            tally.wrong.append(Hit(number, match))


def _conflict(match: Match, other: Match, scheme: LabelScheme) -> bool:
    if match.label == other.label:
        return False
    # Spans may overlap in spancat, and a text may have several labels: there it is none.
    if scheme.has_spans:
        return scheme.kind == "ner" and match.start < other.end and other.start < match.end
    return scheme.is_exclusive


def _same(match: Match, other: Match, scheme: LabelScheme) -> bool:
    if match.pattern == other.pattern or match.label != other.label:
        return False
    return not scheme.has_spans or (match.start, match.end) == (other.start, other.end)


def _finished(number: int, tally: _Tally) -> PatternReport:
    right, matches = len(tally.right), len(tally.right) + len(tally.wrong)
    return PatternReport(
        pattern=number,
        matches=matches,
        right=right,
        shadowed=tally.shadowed,
        alone=tally.alone,
        conflicts=len(tally.conflicts),
        interval=wilson(right, matches),
        right_hits=tuple(tally.right[:SHOWN]),
        wrong_hits=tuple(tally.wrong[:SHOWN]),
        conflict_hits=tuple(tally.conflicts[:SHOWN]),
    )


def wilson(right: int, total: int) -> tuple[float, float] | None:
    """Wilson's 95 % interval of a share; None of nothing."""
    from scipy.stats import binomtest

    if not total:
        return None
    interval = binomtest(right, total).proportion_ci(method="wilson")
    return float(interval.low), float(interval.high)
