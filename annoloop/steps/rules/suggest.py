"""Patterns proposed from the project's gold and its LLM; what people made of them."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from annoloop.errors import FormatError
from annoloop.hashing import fraction
from annoloop.project import Project
from annoloop.rules.choose import SURE, MatchTable, choose
from annoloop.rules.matcher import Match
from annoloop.rules.patterns import Pattern, read_pattern
from annoloop.rules.suggest import Candidate, from_answers, from_gold, from_terms, measured
from annoloop.rules.trial import Bench
from annoloop.rules.workbench import wilson
from annoloop.steps.progress import OnProgress, silent
from annoloop.steps.rules.patterns import add_pattern, pattern_lines, switched_off
from annoloop.store.pattern_choices import Choice, PatternChoice, PatternProposal, line_hash
from annoloop.types import Annotation, PoolGold

if TYPE_CHECKING:
    from annoloop.llm.endpoint import Reach
    from annoloop.llm.terms import Terms
    from annoloop.steps.llm.source import LLMSource

MOST_TEXTS, MOST_PLAIN = 3_000, 500
MOST_PROPOSALS = 60
SECONDS = 600.0
_LEAST_MATCHES, _LEAST_RIGHT = 3, 2


@dataclass(frozen=True, slots=True)
class Proposal:
    """A line that might join the rules, and what speaks for it.

    `origin` is gold, terms or answers (the LLM's). `right` and `wrong` are its matches in texts to learn
    from that it was not made from, `support` the texts that speak for it, `expected` the precision to expect.
    `chosen` marks the smallest set found that keeps the score. `covered` counts those of the first
    texts without an answer that match.
    """

    line: str
    pattern: Pattern
    origin: str
    sort: str
    support: int
    right: int
    wrong: int
    expected: float | None
    chosen: bool
    covered: int = 0

    @property
    def precision(self) -> float | None:
        """The share of its matches out of sample that are right; None without any."""
        return self.right / (self.right + self.wrong) if self.right + self.wrong else None

    @property
    def interval(self) -> tuple[float, float] | None:
        """Wilson's 95 % interval of the precision."""
        return wilson(self.right, self.right + self.wrong)

    def to_json(self) -> dict[str, Any]:
        """The proposal as plain values, without words of texts but its own."""
        return {
            "line": self.line,
            "label": self.pattern.label,
            "origin": self.origin,
            "sort": self.sort,
            "support": self.support,
            "right": self.right,
            "wrong": self.wrong,
            "precision": self.precision,
            "interval": self.interval,
            "expected": self.expected,
            "chosen": self.chosen,
            "covered": self.covered,
        }


@cache
def _bench() -> Bench:
    return Bench()


def suggest_rules(
    project: Project, *, llm: bool = False, most: int = MOST_PROPOSALS, on_progress: OnProgress = silent
) -> tuple[Proposal, ...]:
    """Propose patterns and keep the proposals; texts to choose by and held-out texts are never looked at.

    The smallest set comes first that, beside the patterns there are, brings the score as far as any found;
    then others, the most precise first. What is in the file, switched off, accepted or rejected is not
    proposed again. With `llm` the LLM writes terms for each label (no text is sent), and its answers about
    pool texts that are kept already are generalised.

    Raises:
        FormatError: the file of patterns has wrong lines.
        LLMError: the LLM cannot be asked.
    """
    gold = _gold(project)
    lang, scheme = project.settings.project.lang, project.scheme
    on_progress("patterns are made", 0, 0)
    candidates = list(from_gold(gold, scheme=scheme, lang=lang)) if len(gold) else []
    if llm:
        candidates += _by_llm(project, on_progress)
    known = {line_hash(line) for line in (*pattern_lines(project).values(), *switched_off(project))}
    known |= set(project.store.pattern_choices())
    fresh: dict[str, Candidate] = {}
    for one in candidates:
        if line_hash(one.line) not in known:
            fresh.setdefault(line_hash(one.line), one)
    made = _measured(project, gold, list(fresh.values()), most, on_progress) if fresh else ()
    project.store.save_proposals((_kept(one) for one in made), instead=True)
    return made


def _gold(project: Project) -> PoolGold:
    """The complete texts to learn from, of very many a part that stays the same."""
    complete = [item for item in project.pool_gold() if item.complete]
    complete.sort(key=lambda item: fraction(item.example.input_hash, "rules.texts"))
    return PoolGold(tuple(complete[:MOST_TEXTS]))


def _measured(
    project: Project, gold: PoolGold, fresh: Sequence[Candidate], most: int, on_progress: OnProgress
) -> tuple[Proposal, ...]:
    lang, scheme = project.settings.project.lang, project.scheme
    there = [Candidate(line, "gold", "file", 0) for line in pattern_lines(project).values()]
    everything = [*there, *fresh]
    plain = [example.text for example in project.store.unanswered_texts("pool", limit=MOST_PLAIN)]
    on_progress(f"{len(everything)} patterns are tried on {len(gold)} labelled texts", 0, 0)
    folder = project.patterns.parent
    patterns = [read_pattern(one.line, scheme=scheme, lang=lang, folder=folder) for one in everything]
    texts = [*(item.example.text for item in gold), *plain]
    lines = "\n".join(one.line for one in everything)
    trial = _bench().run(lines, texts, scheme=scheme, lang=lang, seconds=SECONDS, folder=folder)
    found, unlabelled = trial.matches[: len(gold)], trial.matches[len(gold) :]
    everything = list(measured(everything, gold, found, scheme=scheme))
    table = MatchTable(patterns, found, gold, scheme=scheme, lang=lang, candidates=everything)
    on_progress("the smallest set is chosen", 0, 0)
    chosen = set(choose(table, sure=SURE, kept=range(len(there))).patterns)
    order = sorted(range(len(there), len(everything)), key=lambda n: _rank(everything[n], n in chosen))
    covered = Counter(number for matches in unlabelled for number in {match.pattern for match in matches})
    order = _unlike(order, chosen, everything, trial.matches)
    made = (_proposal(patterns[n], everything[n], n in chosen, covered[n]) for n in order[:most])
    return tuple(sorted(made, key=_by_worth))


def _unlike(
    order: Sequence[int],
    chosen: set[int],
    candidates: Sequence[Candidate],
    matches: Sequence[Sequence[Match]],
) -> list[int]:
    """Those that are chosen, or found something, and match otherwise than all that come before them."""
    places: dict[int, list[tuple[int, int, int, str]]] = {}
    for text, found in enumerate(matches):
        for match in found:
            places.setdefault(match.pattern, []).append((text, match.start, match.end, match.label))
    kept, seen = [], set()
    for number in order:
        place = frozenset(places.get(number, ()))
        if number in chosen or (place and place not in seen and _tells(candidates[number])):
            kept.append(number)
        seen.add(place)
    return kept


def _tells(one: Candidate) -> bool:
    """Whether enough speaks for it that a person should look: right out of sample, or written by the LLM."""
    return one.right >= _LEAST_RIGHT or (one.origin != "gold" and one.right >= one.wrong)


def _rank(one: Candidate, chosen: bool) -> tuple[Any, ...]:
    """Chosen ones first, by what they find; then by expected precision; barring ones last."""
    return not chosen, one.negative, -one.right if chosen else -(one.expected or 0.0), -one.support


def _proposal(pattern: Pattern, one: Candidate, chosen: bool, covered: int) -> Proposal:
    return Proposal(
        line=one.line,
        pattern=pattern,
        origin=one.origin,
        sort=one.sort,
        support=one.support,
        right=one.right,
        wrong=one.wrong,
        expected=one.expected,
        chosen=chosen,
        covered=covered,
    )


def _kept(one: Proposal) -> PatternProposal:
    names = ("sort", "support", "right", "wrong", "expected", "chosen", "covered")
    return PatternProposal(one.line, one.origin, {name: getattr(one, name) for name in names})


def proposals(project: Project) -> tuple[Proposal, ...]:
    """The kept proposals that nobody has decided about and that still fit the project, the best first."""
    there = {line_hash(line) for line in (*pattern_lines(project).values(), *switched_off(project))}
    made = []
    for name, kept in project.store.proposals(undecided=True).items():
        detail: dict[str, Any] = {
            "sort": "",
            "support": 0,
            "right": 0,
            "wrong": 0,
            "expected": None,
            "chosen": False,
        }
        detail.update(kept.detail)
        try:
            pattern = read_pattern(kept.line, scheme=project.scheme, lang=project.settings.project.lang)
        except FormatError:
            # Its label has been renamed or removed since.
            continue
        if name not in there:
            made.append(Proposal(kept.line, pattern, kept.origin, **detail))
    return tuple(sorted(made, key=_by_worth))


def _by_worth(one: Proposal) -> tuple[Any, ...]:
    worth = -one.right if one.chosen else -(one.expected or 0.0)
    return not one.chosen, one.pattern.negative, worth, -one.support, one.line


def accept(project: Project, line: str, *, by: str) -> bool:
    """Take a proposed line into the rules; False where it stood there already.

    Raises:
        FormatError: it no longer fits the project, or the file cannot be written.
    """
    added = add_pattern(project, line)
    # After the file: a line that could not be written is still proposed.
    _choose(project, line, "accept", by)
    return added


def reject(project: Project, line: str, *, by: str) -> None:
    """Turn a proposed line down: it is never proposed again."""
    _choose(project, line, "reject", by)


def accept_above(
    project: Project, precision: float, *, by: str, among: Iterable[Proposal] | None = None
) -> tuple[Proposal, ...]:
    """Take all proposals of the chosen set that are right in at least this share of their matches.

    They need a few matches in texts that they were not made from; returns those that were taken.
    """
    taken = []
    for one in proposals(project) if among is None else among:
        enough = one.right + one.wrong >= _LEAST_MATCHES
        if one.chosen and enough and one.precision is not None and one.precision >= precision:
            accept(project, one.line, by=by)
            taken.append(one)
    return tuple(taken)


def _choose(project: Project, line: str, verdict: Choice, by: str) -> None:
    seq = time.time_ns() // 1_000
    project.store.choose_pattern(PatternChoice(line_hash(line), verdict, by, seq))


def _by_llm(project: Project, on_progress: OnProgress) -> list[Candidate]:
    """Terms that the LLM writes, and its kept answers about pool texts, generalised."""
    from annoloop.steps.llm.source import LLMSource, llm_source

    source = llm_source(project, purpose="terms")
    if source is None:
        return []
    lang, scheme = project.settings.project.lang, project.scheme
    # The key holds answers about dev and held-out texts too: only those of the pool are read.
    pool = {example.input_hash: example.text for example in project.store.examples(split="pool")}
    said: list[tuple[str, Annotation]] = [
        (pool[name], annotation)
        for name, (annotation, _) in project.predictions(source.key).items()
        if name in pool and annotation is not None
    ]
    made = list(from_answers(said, scheme=scheme, lang=lang))
    if isinstance(source, LLMSource):
        on_progress("the LLM writes terms", 0, len(scheme.labels))
        written = _terms(project, source)
        for label, reason in written.failed.items():
            on_progress(f"no terms for {label}: {reason}", 0, 0)
        made += from_terms(written.terms, scheme=scheme)
    return made


def _terms(project: Project, source: LLMSource) -> Terms:
    from annoloop.llm.terms import ask_terms
    from annoloop.steps.llm.agreement import refuse_without
    from annoloop.steps.llm.audit import AuditFile
    from annoloop.steps.llm.spending import budget_of, remembered

    def refuse(reach: Reach) -> None:
        if reach == "public":
            refuse_without(project, source.config, ())

    privacy = project.settings.privacy
    with remembered(project):
        return ask_terms(
            project.scheme,
            config=source.config,
            allow_remote=privacy.allow_remote,
            cache=project.store.answers_kept(run=source.run, purpose="terms"),
            lang=project.settings.project.lang,
            budget=budget_of(project),
            on_open=refuse,
            on_send=AuditFile(project.folder / privacy.audit, run=source.run),
        )
