"""What the report says of people: their time, what the LLM cost beside it, how far they agree."""

from __future__ import annotations

from collections.abc import Iterator

from annoloop.evaluation.agreement import Agreement, Measure
from annoloop.evaluation.report import (
    LONGEST_QUOTE,
    Block,
    Paragraph,
    Quote,
    Section,
    Table,
    isolated,
    shortened,
    shown_part,
)
from annoloop.project import Project
from annoloop.steps.evidence.pace import Pace, annotator_speed
from annoloop.steps.evidence.people_agreement import FEW, Confusion, PeopleAgreement, people_agreement
from annoloop.steps.evidence.savings import MEASURED
from annoloop.steps.llm.source import IMPORTED_FACT

GAPS, LEAST_CONFUSED = 5, 2
"""Pairs of confused labels that are told of, and in how many texts they must be confused."""


def cost_section(project: Project, figures: Pace) -> Section:
    """Who labelled how much in what time, what suggestions saved, and what the LLM took."""
    people = tuple(
        (
            f"{isolated(person.annotator)} (simulated)" if person.simulated else person.annotator,
            f"{person.texts:,}",
            # Of imported labels nobody knows how long they took.
            minutes_shown(person.minutes) if person.minutes else "–",
            "–" if person.median_seconds is None else f"{person.median_seconds:.1f}",
        )
        for person in figures.people
    )
    blocks: list[Block] = []
    if people:
        blocks.append(Table(("annotator", "texts", "minutes", "median seconds"), people))
    else:
        blocks.append(Paragraph("No answers were timed."))
    blocks.append(Paragraph(savings_line(figures)))
    if (speed := annotator_speed(project)) is not None:
        blocks.append(
            Paragraph(
                f"Modelled time of a text: {speed.start:.1f} s, {speed.a_word:.2f} s a word, "
                f"{speed.an_entity:.1f} s a label given, {speed.an_edit:.1f} s a change; fitted on "
                f"{speed.answers:,} answers, {speed.error:.1f} s off on average."
            )
        )
    blocks += _llm(project)
    return Section("Cost and time", tuple(blocks))


def minutes_shown(minutes: float) -> str:
    """Whole minutes, or that it was less than one."""
    return "under 1" if minutes < 1 else f"{minutes:,.0f}"


def savings_line(figures: Pace) -> str:
    """What suggestions save, in one line, or how many texts are missing to say so."""
    saved = figures.savings
    if saved is None:
        blind, assisted = figures.measured
        return (
            f"What suggestions save is not measured yet: {blind} answers without and {assisted} with one, "
            f"by the same people in the same rounds; {MEASURED} of each are needed."
        )
    low, high = saved.share_interval
    told = f"{saved.share:.0%} of the time" if low > 0 or high < 0 else "no time that could be measured"
    return (
        f"Suggestions save {told} (95 % interval {low:.0%} to {high:.0%}): a text of average length takes "
        f"{saved.assisted_seconds:.1f} seconds with and {saved.blind_seconds:.1f} without, measured on "
        f"{saved.assisted} and {saved.blind} answers; chance decided which texts came without."
    )


def _llm(project: Project) -> list[Block]:
    imported = project.store.fact(IMPORTED_FACT) is not None
    unknown = [Paragraph("What the LLM's imported answers cost is not known.")] if imported else []
    rows = tuple(
        (
            f"{one.purpose or 'other'}{'' if one.round is None else f', round {one.round}'}",
            one.model,
            f"{one.texts:,}",
            f"{one.prompt_tokens + one.completion_tokens:,}",
            "unknown" if one.cost is None or one.unpriced else f"{one.cost:,.2f}",
            f"{one.milliseconds / 60_000:,.1f}",
        )
        for one in project.store.spend()
    )
    if not rows:
        return [*unknown] or [Paragraph("No call to an LLM is on record.")]
    return [Table(("LLM for", "model", "texts", "tokens", "money", "minutes"), rows, words=2), *unknown]


def agreement_section(project: Project) -> tuple[Section | None, frozenset[str]]:
    """How far those agree who answered the same texts, and the hashes of the texts quoted for it.

    None where no text has two answers. Quoted are pool texts only.
    """
    found = people_agreement(project)
    if not found.people.texts:
        return None, frozenset()
    rows = [("all", found.people)] if len(found.by_pair) > 1 else []
    rows += [(" and ".join(map(isolated, who)), of) for who, of in found.by_pair.items()]
    if len(found.by_round) > 1:
        rows += [(f"round {n}" if n else "texts to judge by", of) for n, of in found.by_round.items()]
    if len(found.by_time) > 1:
        rows += list(found.by_time.items())
    if found.blind is not None and found.llm is not None:
        rows += [
            ("people where the LLM has read", found.blind),
            (f"{isolated(found.llm_name or 'the LLM')} with people", found.llm),
        ]
    if found.assisted.texts and found.unassisted.texts:
        rows += [("with suggestions", found.assisted), ("without suggestions", found.unassisted)]
    same = "same spans" if project.scheme.has_spans else "same answer"
    head = ("who", "texts", same, "F of one by the other", "Krippendorff's alpha", "Gwet's AC1")
    blocks: list[Block] = [
        Paragraph(f"{line[0].upper()}{line[1:]}.", warning=True) for line in found.warnings
    ]
    blocks.append(Table(head, tuple(_agreement_row(name, of) for name, of in rows)))
    if any(of.texts < FEW for of in found.by_pair.values()):
        blocks.append(Paragraph(f"Fewer than {FEW} texts in common are a hint, no measure."))
    labels = tuple(
        (name, f"{one.given:,}", *(_measure(m) for m in (one.f, one.alpha, one.ac1)))
        for name, one in found.people.per_label.items()
    )
    blocks.append(Table(("label", "given", "F of one by the other", "alpha", "AC1"), labels))
    gaps = tuple(_gaps(found))
    quoted = frozenset(eg.input_hash for one in _told_of(found) for eg in one.quoted)
    return Section("Agreement of people", (*blocks, *gaps)), quoted


def _gaps(found: PeopleAgreement) -> Iterator[Block]:
    """What the guidelines leave open, with texts to learn from as examples."""
    for one in _told_of(found):
        yield Paragraph(f"{one.advice}.")
        for example in one.quoted:
            cut, start, end = shortened(example.text, (), most=LONGEST_QUOTE)
            whole = len(cut) == len(example.text)
            yield Quote(cut, (), (), () if whole else (shown_part(start, end, example.text),))


def _told_of(found: PeopleAgreement) -> list[Confusion]:
    return [one for one in found.confused[:GAPS] if one.texts >= LEAST_CONFUSED]


def _agreement_row(name: str, of: Agreement) -> tuple[str, ...]:
    return (name, f"{of.texts:,}", _measure(of.same, "{:.0%}"), *map(_measure, (of.f, of.alpha, of.ac1)))


def _measure(one: Measure, shape: str = "{:.3f}") -> str:
    if one.value is None:
        return "–"
    between = f" ({shape} to {shape})".format(*one.interval) if one.interval else ""
    return shape.format(one.value) + between
