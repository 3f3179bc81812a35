"""How far people agree with each other and with the LLM, how many texts say so, and what they confuse."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from itertools import combinations
from typing import Any

from annoloop.errors import LLMError
from annoloop.evaluation.agreement import Agreement, Opinions, agreement
from annoloop.evaluation.errors import mistakes
from annoloop.hashing import input_hash
from annoloop.project import Project
from annoloop.steps.llm.source import ImportedSource, llm_source
from annoloop.types import Annotation, Answer, Example

USEFUL = 50
"""Texts answered twice from which a figure is of use: 85 % is then known to 10 points each way (95 %)."""

DAYS = 14
"""On more days than this agreement is told by the week."""

_CLOCK = 10**15
"""Microseconds since 1970, in 2001: no answer was given before."""

FEW = 20
"""Fewer texts than this are a hint, no measure: no warning is drawn from them."""

QUOTED = 3
"""Texts shown of a pair of labels that people confuse."""


@dataclass(frozen=True, slots=True)
class Confusion:
    """Two labels that people confuse: `texts` of the `of` texts with one of them that several have read.

    `labels` are two names, or one name and None: given by one, not by the other; or the same name twice: its
    spans have other borders. `quoted` are some of the texts; held-out and dev texts are counted and never
    quoted.
    """

    labels: tuple[str, str | None]
    texts: int
    of: int
    quoted: tuple[Example, ...] = ()

    @property
    def advice(self) -> str:
        """The gap in the guidelines, in one line."""
        one, other = self.labels
        if other == one:
            said = f"spans of {one} have other borders in {self.texts} of {self.of} texts"
        elif other is None:
            said = f"{one} is given by one and not by the other in {self.texts} of {self.of} texts"
        else:
            said = f"{one} and {other} are confused in {self.texts} of {self.of} texts"
        return f"{said}; write a rule into guidelines.md"


@dataclass(frozen=True, slots=True)
class PeopleAgreement:
    """How far those agree who answered the same texts.

    `people` is of all of them, `by_pair` of each two, `by_round` of the texts of a round (round 0 holds the
    texts to judge by), `by_time` of the days ("2026-11-28"), or of the ISO weeks ("2026-W48") where there are
    more than 14 days, on which the last of those who read a text answered. `blind` and `llm` are of the same
    texts, answered by several without a suggestion, and read by the LLM: how people agree with each other
    there, and the LLM with them; None where there are none.
    `assisted` and `unassisted` are of pool texts that all answered with, or all without a suggestion: people
    who follow suggestions agree more with each other where they see them.
    `asked` texts are asked of several, `waiting` of them still want an answer, `missing` further texts are
    needed for a figure of use. `rejected` texts were accepted by one and rejected by another; they are in no
    figure, since who rejects does not say what would be right.
    """

    people: Agreement
    by_pair: Mapping[tuple[str, str], Agreement]
    by_round: Mapping[int, Agreement]
    by_time: Mapping[str, Agreement]
    blind: Agreement | None
    llm: Agreement | None
    llm_name: str | None
    assisted: Agreement
    unassisted: Agreement
    asked: int
    waiting: int
    missing: int
    rejected: int
    confused: tuple[Confusion, ...]

    @property
    def below_llm(self) -> tuple[float, float] | None:
        """(people's F, the LLM's F) where people agree less with each other than the LLM with them."""
        if self.blind is None or self.llm is None or self.blind.texts < FEW:
            return None
        people, llm = self.blind.f.value, self.llm.f.value
        return (people, llm) if people is not None and llm is not None and people < llm else None

    @property
    def warnings(self) -> tuple[str, ...]:
        """What a reader has to know before trusting the labels, one line each."""
        found = []
        if self.below_llm is not None:
            people, llm = self.below_llm
            found.append(
                f"people agree less with each other ({people:.3f}) than the LLM with them ({llm:.3f}): such "
                "labels cannot tell which of two good models is better; sharpen guidelines.md, decide what "
                "differs, and label these texts again"
            )
        if self.rejected:
            found.append(
                f"{self.rejected} more text{' was' if self.rejected == 1 else 's were'} accepted by one and "
                "rejected by another: nobody can say how far they differ, so the figures leave them out and "
                "are rather too high"
            )
        if self.missing:
            texts = self.people.texts or "no"
            found.append(
                f"{texts} text{' is' if texts in (1, 'no') else 's are'} answered by several people yet; a "
                f"figure of use takes {USEFUL}"
                + ("" if self.asked else "; have a share asked of several: [review] overlap = 0.2")
            )
        return tuple(found)

    def to_json(self) -> dict[str, Any]:
        """Plain values, as `--json` prints them; texts are named by their hash."""
        return {
            "people": asdict(self.people),
            "by_pair": [{"annotators": list(who), **asdict(of)} for who, of in self.by_pair.items()],
            "by_round": {str(number): asdict(of) for number, of in self.by_round.items()},
            "by_time": {when: asdict(of) for when, of in self.by_time.items()},
            "blind": asdict(self.blind) if self.blind else None,
            "llm": {"name": self.llm_name, **asdict(self.llm)} if self.llm else None,
            "assisted": asdict(self.assisted),
            "unassisted": asdict(self.unassisted),
            "asked": self.asked,
            "waiting": self.waiting,
            "missing": self.missing,
            "rejected": self.rejected,
            "confused": [
                {
                    "labels": list(one.labels),
                    "texts": one.texts,
                    "of": one.of,
                    "quoted": [example.input_hash for example in one.quoted],
                }
                for one in self.confused
            ],
            "warnings": list(self.warnings),
        }


def people_agreement(project: Project) -> PeopleAgreement:
    """The figures as they stand; no model runs and nothing is asked."""
    store = project.store
    hashes = store.answered_by_several()
    answers = [a for a in store.answers_in_force(hashes=hashes) if a.verdict == "accept" and not a.simulated]
    examples = {example.input_hash: example for example in store.examples(hashes=hashes, excluded=True)}
    said = _by_text(project, (answer for answer in answers if not answer.adjudicated))
    people = _measured(project, examples, said)
    blind, llm, name = _beside_llm(project, examples, answers)
    asked, waiting = store.asked_of_several()
    return PeopleAgreement(
        people=people,
        by_pair=_by_pair(project, examples, said),
        by_round=_by_round(project, examples, said, answers),
        by_time=_by_time(project, examples, said, answers),
        blind=blind,
        llm=llm,
        llm_name=name,
        assisted=_alike(project, examples, answers, blind=False),
        unassisted=_alike(project, examples, answers, blind=True),
        asked=asked,
        waiting=waiting,
        missing=max(0, USEFUL - people.texts),
        rejected=store.accepted_and_rejected(),
        confused=_confused(project, examples, said, answers),
    )


Said = Mapping[str, Mapping[str, Annotation]]
"""By input hash, what each person said."""


def _by_text(project: Project, answers: Iterable[Answer]) -> Said:
    found: dict[str, dict[str, Annotation]] = defaultdict(dict)
    for answer in answers:
        found[answer.input_hash][answer.annotator] = project.scheme.current(answer.annotation)
    return found


def _measured(project: Project, examples: Mapping[str, Example], said: Said) -> Agreement:
    texts = [Opinions(examples[name].text, said[name]) for name in sorted(said) if name in examples]
    return agreement(project.scheme, texts, seed=project.settings.training.seed)


def _by_pair(
    project: Project, examples: Mapping[str, Example], said: Said
) -> Mapping[tuple[str, str], Agreement]:
    pairs: dict[tuple[str, str], dict[str, dict[str, Annotation]]] = defaultdict(dict)
    for name, of in said.items():
        for who in combinations(sorted(of), 2):
            pairs[who][name] = {one: of[one] for one in who}
    return {who: _measured(project, examples, pairs[who]) for who in sorted(pairs)}


def _by_round(
    project: Project, examples: Mapping[str, Example], said: Said, answers: Sequence[Answer]
) -> Mapping[int, Agreement]:
    tasks = project.store.tasks_by_hash(sorted({answer.task_hash for answer in answers}))
    rounds: dict[int, dict[str, Mapping[str, Annotation]]] = defaultdict(dict)
    for task in tasks.values():
        name = task.example.input_hash
        if len(said.get(name, {})) > 1:
            rounds[task.round][name] = said[name]
    return {number: _measured(project, examples, rounds[number]) for number in sorted(rounds)}


def _by_time(
    project: Project, examples: Mapping[str, Example], said: Said, answers: Sequence[Answer]
) -> Mapping[str, Agreement]:
    last: dict[str, int] = defaultdict(int)
    for answer in answers:
        if not answer.adjudicated:
            last[answer.input_hash] = max(last[answer.input_hash], answer.seq)
    # What came in a file is counted by its place, not by the clock.
    days = {
        name: datetime.fromtimestamp(last[name] / 1e6, UTC).date()
        for name, of in said.items()
        if len(of) > 1 and last[name] >= _CLOCK
    }
    weekly = len(set(days.values())) > DAYS
    times: dict[str, dict[str, Mapping[str, Annotation]]] = defaultdict(dict)
    for name, day in days.items():
        times[f"{day:%G-W%V}" if weekly else day.isoformat()][name] = said[name]
    return {when: _measured(project, examples, times[when]) for when in sorted(times)}


def _beside_llm(
    project: Project, examples: Mapping[str, Example], answers: Sequence[Answer]
) -> tuple[Agreement | None, Agreement | None, str | None]:
    """People with each other, and the LLM with each of them, on the same texts answered blind."""
    try:
        source = llm_source(project)
    except LLMError:
        source = None
    blind = _by_text(project, (one for one in answers if one.blind and not one.adjudicated))
    shared = {name: of for name, of in blind.items() if len(of) > 1 and name in examples}
    if source is None or not shared:
        return None, None, None
    kept = project.predictions(source.key, hashes=sorted(shared))
    # Of a text whose answer the LLM was shown as an example it says nothing.
    shots = () if isinstance(source, ImportedSource) else source.few_shot
    shown = {input_hash(one.text) for one in shots}
    read = {name: said for name, (said, _) in kept.items() if said is not None and name not in shown}
    if not read:
        return None, None, None
    pairs = [
        Opinions(examples[name].text, {"": read[name], who: annotation})
        for name in sorted(read)
        for who, annotation in sorted(shared[name].items())
    ]
    seed = project.settings.training.seed
    people = _measured(project, examples, {name: shared[name] for name in read})
    return people, agreement(project.scheme, pairs, seed=seed), source.name


def _alike(
    project: Project, examples: Mapping[str, Example], answers: Sequence[Answer], *, blind: bool
) -> Agreement:
    """Of pool texts that everybody answered with a suggestion, or without one because they were drawn."""
    asked = [a for a in answers if not a.adjudicated]
    others = {a.input_hash for a in asked if a.blind != blind}
    pool = {name for name, example in examples.items() if example.split == "pool"} - others
    pool = {name for name in pool if not blind or project.is_unassisted(name)}
    return _measured(project, examples, _by_text(project, (a for a in asked if a.input_hash in pool)))


def _confused(
    project: Project, examples: Mapping[str, Example], said: Said, answers: Sequence[Answer]
) -> tuple[Confusion, ...]:
    """What people, or a person and the reviewer who decided, gave other labels or borders."""
    decided = {a.input_hash: project.scheme.current(a.annotation) for a in answers if a.adjudicated}
    pairs: dict[tuple[str, str | None], set[str]] = defaultdict(set)
    seen: dict[str, set[str]] = defaultdict(set)
    for name, of in said.items():
        opinions = list(dict.fromkeys([*of.values(), *([decided[name]] if name in decided else [])]))
        if len(of) + (name in decided) < 2:
            continue
        for annotation in opinions:
            for label in (*annotation.labels, *(span.label for span in annotation.spans)):
                seen[label].add(name)
        for left, right in combinations(opinions, 2):
            for pair in _label_pairs(project, left, right):
                pairs[pair].add(name)
    found = []
    for (one, other), names in pairs.items():
        held = len(seen[one] | (seen[other] if other else set()))
        shown = [examples[n] for n in sorted(names) if n in examples and examples[n].split == "pool"]
        found.append(Confusion((one, other), len(names), held, tuple(shown[:QUOTED])))
    return tuple(sorted(found, key=lambda one: (-one.texts, one.labels[0], one.labels[1] or "")))


def _label_pairs(project: Project, left: Annotation, right: Annotation) -> Iterable[tuple[str, str | None]]:
    made = mistakes(project.scheme, left, right)
    if not project.scheme.has_spans and len(made) == 2 and {m.kind for m in made} == {"missed", "spurious"}:
        # Of several categories one each that the other has not: one was taken for the other.
        one, other = sorted(str(m.gold or m.said) for m in made)
        yield one, other
        return
    for found in made:
        names = sorted({name for name in found.labels if name is not None})
        if len(names) == 2:
            yield names[0], names[1]
        elif found.kind == "boundary":
            yield names[0], names[0]
        elif None in found.labels:
            yield names[0], None
