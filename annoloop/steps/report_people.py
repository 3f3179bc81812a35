"""What the report says of people: their time, what the LLM cost beside it, how far they agree."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from itertools import combinations

from annoloop.evaluation.report import Block, Paragraph, Section, Table
from annoloop.evaluation.scores import count, f_of
from annoloop.project import Project
from annoloop.steps.pace import Pace
from annoloop.types import Annotation, Answer, Example, Gold

FEW_TEXTS = 20
"""Texts in common below which two people's agreement is called a hint."""


def cost_section(project: Project, figures: Pace) -> Section:
    """Who labelled how much in what time, what suggestions saved, and what the LLM took."""
    people = tuple(
        (
            f"{person.annotator} (simulated)" if person.simulated else person.annotator,
            f"{person.texts:,}",
            f"{person.minutes:,.0f}",
            "–" if person.median_seconds is None else f"{person.median_seconds:.1f}",
        )
        for person in figures.people
    )
    blocks: list[Block] = []
    if people:
        blocks.append(Table(("annotator", "texts", "minutes", "median seconds"), people))
    else:
        blocks.append(Paragraph("No answers were timed."))
    if figures.savings is not None:
        saved, (low, high) = figures.savings, figures.savings.interval
        blocks.append(
            Paragraph(
                f"Suggestions saved about {saved.minutes:.0f} minutes "
                f"(95 % interval {low:.0f} to {high:.0f}): "
                f"{saved.assisted_seconds:.2f} seconds a word with, {saved.blind_seconds:.2f} without."
            )
        )
    blocks += _llm(project)
    return Section("Cost and time", tuple(blocks))


def _llm(project: Project) -> list[Block]:
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
        return [Paragraph("No call to an LLM is on record.")]
    return [Table(("LLM for", "model", "texts", "tokens", "money", "minutes"), rows)]


def agreement_section(project: Project) -> Section | None:
    """How far each two people agree on texts that both answered; None where no text has two answers."""
    by_pair: dict[tuple[str, str], list[tuple[Answer, Answer]]] = defaultdict(list)
    for said in _by_text(project.store.answers_in_force()).values():
        for pair in combinations(sorted(said, key=lambda answer: answer.annotator), 2):
            by_pair[pair[0].annotator, pair[1].annotator].append(pair)
    if not by_pair:
        return None
    rows = tuple(_pair_row(project, names, pairs) for names, pairs in sorted(by_pair.items()))
    same = "same answer" if not project.scheme.has_spans else "same spans"
    table = Table(("annotators", "texts", same, "F of one by the other"), rows)
    blocks: list[Block] = [table]
    if any(len(pairs) < FEW_TEXTS for pairs in by_pair.values()):
        blocks.append(Paragraph(f"Fewer than {FEW_TEXTS} texts in common are a hint, no measure."))
    return Section("Agreement of people", tuple(blocks))


def _by_text(answers: Iterable[Answer]) -> Mapping[str, list[Answer]]:
    """What people accepted, as annotators, by text."""
    found: dict[str, list[Answer]] = defaultdict(list)
    for answer in answers:
        if answer.verdict == "accept" and not answer.adjudicated and not answer.simulated:
            found[answer.input_hash].append(answer)
    return found


def _pair_row(
    project: Project, names: tuple[str, str], pairs: list[tuple[Answer, Answer]]
) -> tuple[str, ...]:
    scheme = project.scheme
    said: dict[str, Annotation] = {}
    gold = []
    for left, right in pairs:
        gold.append(Gold(Example(left.input_hash, ""), scheme.current(left.annotation)))
        said[left.input_hash] = scheme.current(right.annotation)
    counted = count(scheme, gold, said)
    value = float(f_of(counted.counts.sum(axis=(0, 1))))
    return (
        " and ".join(names),
        f"{len(pairs):,}",
        f"{counted.right.mean():.0%}",
        "–" if value != value else f"{value:.3f}",
    )
