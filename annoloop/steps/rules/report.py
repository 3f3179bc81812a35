"""How each of the project's patterns does on labelled texts, and what a new one would do."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

from annoloop.errors import FormatError
from annoloop.evaluation.gate import RulesVerdict
from annoloop.project import Project
from annoloop.rules.choose import MatchTable, choose
from annoloop.rules.matcher import Match, Pattern, read_pattern
from annoloop.rules.trial import Bench
from annoloop.rules.workbench import PatternReport, report
from annoloop.steps.rules.patterns import pattern_lines
from annoloop.steps.sources import rules_source
from annoloop.steps.suggest import judge_rules
from annoloop.types import Gold, PoolGold

UNLABELLED_TEXTS = 1_000
FILE_SECONDS = 60.0
TRY_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class RuleReport:
    """The patterns and what they do; `lines[i]`, `patterns[i]` and `reports[i]` belong together.

    `gold` are the labelled texts of pool and dev, in the order that hits name. `covered` of `unlabelled`
    texts without an answer have a match, `coverage[i]` of them one of pattern i; `texts_per_second` was
    measured on all of them, `microseconds[i]` are pattern i's alone for a text. `smallest` are the indices of
    the fewest patterns found that keep the score on the texts to learn from, and those two scores: of all
    patterns, and of these.
    """

    lines: tuple[str, ...]
    patterns: tuple[Pattern, ...]
    reports: tuple[PatternReport, ...]
    gold: tuple[Gold, ...]
    unlabelled: int
    covered: int
    texts_per_second: float | None
    coverage: tuple[int, ...] = ()
    microseconds: tuple[float, ...] = ()
    smallest: tuple[int, ...] | None = None
    scores: tuple[float, float] | None = None

    def to_json(self) -> dict[str, Any]:
        """The report as plain values; of the texts only how many there are."""
        return {
            "patterns": [
                {
                    "line": pattern.line,
                    "id": pattern.id,
                    "label": pattern.label,
                    "pattern": pattern.shown,
                    "matches": done.matches,
                    "right": done.right,
                    "precision": done.precision,
                    "interval": done.interval,
                    "shadowed": done.shadowed,
                    "alone": done.alone,
                    "conflicts": done.conflicts,
                    "covered": covered,
                    "microseconds": taken,
                    "smallest": None if self.smallest is None else number in self.smallest,
                }
                for number, (pattern, done, covered, taken) in enumerate(
                    zip(self.patterns, self.reports, self.coverage, self.microseconds, strict=True)
                )
            ],
            "score": None if self.scores is None else self.scores[0],
            "smallest_score": None if self.scores is None else self.scores[1],
            "gold_texts": len(self.gold),
            "unlabelled": self.unlabelled,
            "covered": self.covered,
            "texts_per_second": self.texts_per_second,
        }


@dataclass(frozen=True, slots=True)
class TriedPattern:
    """A pattern that is not in the file: alone on the labelled texts, and beside those that are.

    `report.alone` counts right matches that no pattern of the file makes. `unlabelled_matches` are the
    first of its matches on texts without an answer, each with its text; `covered` of `unlabelled` match.
    """

    pattern: Pattern
    report: PatternReport
    gold: tuple[Gold, ...]
    unlabelled: int
    covered: int
    unlabelled_matches: tuple[tuple[str, tuple[Match, ...]], ...]
    seconds: float


@cache
def _bench() -> Bench:
    return Bench()


def report_rules(project: Project) -> RuleReport:
    """The patterns of the file on all labelled texts of pool and dev; held-out texts are never looked at.

    Raises:
        FormatError: the file has wrong lines, or a pattern takes for ever.
    """
    by_number = pattern_lines(project)
    gold, plain = _texts(project)
    lines = tuple(by_number.values())
    lang, scheme = project.settings.project.lang, project.scheme
    patterns = tuple(_parsed(project, number, line) for number, line in by_number.items())
    if not lines:
        return RuleReport((), (), (), gold, len(plain), 0, None)
    texts = [*(item.example.text for item in gold), *plain]
    # Each on the line where it stands, so that messages name it.
    file = "\n".join(by_number.get(number, "") for number in range(1, max(by_number) + 1))
    folder = project.patterns.parent
    trial = _bench().run(
        file, texts, scheme=scheme, lang=lang, seconds=FILE_SECONDS, each=True, folder=folder
    )
    reports = report(len(lines), gold, trial.matches[: len(gold)], scheme)
    matched = [{match.pattern for match in found} for found in trial.matches[len(gold) :]]
    counts = Counter(number for found in matched for number in found)
    found = RuleReport(
        lines=lines,
        patterns=patterns,
        reports=reports,
        gold=gold,
        unlabelled=len(plain),
        covered=sum(map(bool, matched)),
        texts_per_second=len(texts) / trial.seconds if texts and trial.seconds else None,
        coverage=tuple(counts[number] for number in range(len(lines))),
        microseconds=trial.each,
    )
    return _with_smallest(project, found, trial.matches)


def _with_smallest(project: Project, found: RuleReport, matches: Sequence[Sequence[Match]]) -> RuleReport:
    """The report with the smallest set, chosen on texts to learn from: dev judges what was chosen."""
    pool = [
        (item, there)
        for item, there in zip(found.gold, matches, strict=False)
        if item.example.split == "pool"
    ]
    if not pool:
        return found
    gold = PoolGold(tuple(item for item, _ in pool))
    table = MatchTable(
        found.patterns,
        [there for _, there in pool],
        gold,
        scheme=project.scheme,
        lang=project.settings.project.lang,
    )
    chosen = choose(table)
    whole = table.score(*table.counts(range(len(found.patterns))))
    return replace(found, smallest=chosen.patterns, scores=(whole, chosen.score))


def _parsed(project: Project, number: int, line: str) -> Pattern:
    try:
        lang, folder = project.settings.project.lang, project.patterns.parent
        pattern = read_pattern(line, scheme=project.scheme, lang=lang, folder=folder)
        return replace(pattern, line=number)
    except FormatError as error:
        raise FormatError(f"{project.patterns.name}:{number}: {error.message}", hint=error.hint) from None


def try_pattern(
    project: Project, line: str, *, seconds: float = TRY_SECONDS, dev: bool = True
) -> TriedPattern:
    """What this line would do if it stood in the file; on texts to learn from alone without `dev`.

    Raises:
        FormatError: it is no pattern; the message begins with the field: "label: ...", "pattern: ...".
    """
    lang, scheme = project.settings.project.lang, project.scheme
    gold, plain = _texts(project, dev=dev)
    texts, folder = [*(item.example.text for item in gold), *plain], project.patterns.parent
    line = line.replace("\n", " ")
    try:
        tried = _bench().run(line, texts, scheme=scheme, lang=lang, seconds=seconds, folder=folder)
    except FormatError as error:
        raise FormatError(error.message.removeprefix("line 1: "), hint=error.hint) from None
    pattern = read_pattern(line, scheme=scheme, lang=lang, folder=folder)
    shown = [(text, match) for text, match in zip(plain, tried.matches[len(gold) :], strict=True) if match]
    return TriedPattern(
        pattern=pattern,
        report=_beside(project, gold, line),
        gold=gold,
        unlabelled=len(plain),
        covered=len(shown),
        unlabelled_matches=tuple(shown[:20]),
        seconds=tried.seconds,
    )


def _beside(project: Project, gold: Sequence[Gold], line: str) -> PatternReport:
    """The report of a pattern as if it stood at the end of the file."""
    lines = [*pattern_lines(project).values(), line.replace("\n", " ")]
    texts = [item.example.text for item in gold]
    lang, scheme = project.settings.project.lang, project.scheme
    found = _bench().run(
        "\n".join(lines),
        texts,
        scheme=scheme,
        lang=lang,
        seconds=FILE_SECONDS,
        folder=project.patterns.parent,
    )
    return report(len(lines), gold, found.matches, scheme)[-1]


def rules_verdict(project: Project) -> RulesVerdict | None:
    """Whether rules suffice, as the loop judges it on dev; None without patterns or without dev gold."""
    rules = rules_source(project)
    return judge_rules(project, rules)[1] if rules is not None and len(project.dev_gold()) else None


def _texts(project: Project, *, dev: bool = True) -> tuple[tuple[Gold, ...], list[str]]:
    gold = (*project.pool_gold(), *(project.dev_gold() if dev else ()))
    plain = project.store.unanswered_texts("pool", limit=UNLABELLED_TEXTS)
    return tuple(item for item in gold if item.complete), [example.text for example in plain]
