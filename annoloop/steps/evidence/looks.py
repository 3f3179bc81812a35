"""Looks at the held-out texts: the share of alpha that each spends, and what the training gold gives away."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from annoloop.corpus.near_duplicates import LARGEST_GROUP, group
from annoloop.evaluation.gate import GatePlan
from annoloop.hashing import input_hash
from annoloop.project import Project
from annoloop.store.rows import annotation_to_json, dump
from annoloop.types import Gold, HeldOutGold

PLAN_FACT = "gate.rounds"
TERMS_FACT = "gate.terms"
LOOKS_FACT = "gate.looks"
LEARNED_FACT = "learned"
"""Which texts the newest model learned from: the gold of today may hold fewer, or have moved some."""


@dataclass(frozen=True, slots=True)
class Look:
    """One comparison of a model with an LLM on held-out gold; `share` is the round whose alpha it spent."""

    share: int
    round: int
    model: str
    llm: str
    gold: str


def gate_plan(project: Project, *, rounds: int | None = None) -> GatePlan:
    """The gate's terms; the number of rounds is fixed by the first call that asks, and then stays.

    Alpha and margin are fixed by the first look: whoever has seen a p may not choose what it must pass.
    """
    settings = project.settings.gate
    fixed = project.store.fact(PLAN_FACT)
    if fixed is None:
        fixed = rounds or settings.rounds
        project.store.set_fact(PLAN_FACT, fixed)
    alpha, margin = gate_terms(project)
    return GatePlan(rounds=fixed, min_texts=settings.min_texts, alpha=alpha, margin=margin)


def gate_terms(project: Project) -> tuple[float, float]:
    """Alpha and margin: those that the first look fixed, before it those of the settings."""
    settings = project.settings.gate
    terms = project.store.fact(TERMS_FACT) or {"alpha": settings.alpha, "margin": settings.margin}
    return terms["alpha"], terms["margin"]


def gate_seed(project: Project) -> int:
    """The seed that the first look was drawn with: another one would be another draw of the same p."""
    terms = project.store.fact(TERMS_FACT) or {}
    seed: int = terms.get("seed", project.settings.training.seed)
    return seed


def plan_notes(project: Project) -> list[str]:
    """A line where the settings have left the terms that the first look fixed."""
    settings, (alpha, margin) = project.settings.gate, gate_terms(project)
    if (alpha, margin) == (settings.alpha, settings.margin):
        return []
    return [
        f"the gate keeps alpha {alpha} and margin {margin}, fixed at the first look at the "
        "held-out texts; [gate] says otherwise since"
    ]


def share_of(
    project: Project, plan: GatePlan, *, number: int, model: str, llm: str, gold: HeldOutGold
) -> int:
    """The round whose share of alpha this look may spend; beyond `plan.rounds` where none is left.

    Judging the same model, LLM and gold again is no new look. Another look in a round (a model trained
    again, another LLM, more held-out texts) takes the largest unspent share below the round's own, else the
    next one above: so that all looks together never spend more than alpha. Looks without any p do not count.
    """
    looks = looks_of(project)
    basis = gold_basis(gold)
    for look in looks:
        if (look.model, look.llm, look.gold) == (model, llm, basis):
            return look.share
    return next_share({look.share for look in looks}, number=number, rounds=plan.rounds)


def next_share(spent: set[int], *, number: int, rounds: int) -> int:
    """The share for a new look in round `number`: its own, else the largest free below, else above."""
    order = [*range(min(number, rounds), 0, -1), *range(number + 1, rounds + 1)]
    return next((share for share in order if share not in spent), rounds + 1)


def looks_of(project: Project) -> list[Look]:
    """All looks so far, in order."""
    return [Look(**kept) for kept in project.store.fact(LOOKS_FACT) or []]


def keep_look(
    project: Project, plan: GatePlan, *, share: int, number: int, model: str, llm: str, gold: HeldOutGold
) -> None:
    """Record that a p was computed. Call it before anybody sees the p."""
    looks, look = looks_of(project), Look(share, number, model, llm, gold_basis(gold))
    if look.share in {known.share for known in looks}:
        return
    if not looks:
        terms = {"alpha": plan.alpha, "margin": plan.margin, "seed": gate_seed(project)}
        project.store.set_fact(TERMS_FACT, terms)
    project.store.set_fact(LOOKS_FACT, [asdict(known) for known in (*looks, look)])


def gold_basis(gold: HeldOutGold) -> str:
    """A hash of the held-out texts that are labelled, and of their labels."""
    lines: list[Any] = sorted(
        [item.example.input_hash, dump(annotation_to_json(item.annotation))] for item in gold if item.complete
    )
    return input_hash(dump(lines))


def keep_learned(project: Project, model: str, gold: Iterable[Gold]) -> None:
    """Remember which texts a model, by its fingerprint, learned from."""
    kept = {"model": model, "texts": sorted(item.example.input_hash for item in gold if item.complete)}
    if project.store.fact(LEARNED_FACT) != kept:
        project.store.set_fact(LEARNED_FACT, kept)


def leaked(project: Project, gold: HeldOutGold, model: str) -> Mapping[str, str]:
    """Held-out hashes whose text has a near-duplicate in the training gold, with that text.

    Dev gold counts: the shipped model learns from it too. So does what the judged model, by its fingerprint,
    learned from before it was moved to the held-out texts, or left out of learning for being near one.
    """
    return _near(project, gold, model)


def template_notes(project: Project, gold: HeldOutGold, model: str, leaks: Mapping[str, str]) -> list[str]:
    """A line where many texts are made from one template, so that near ones are not kept apart.

    `leaks` are those that `leaked` finds.
    """
    strict = len(_near(project, gold, model, largest=1.0)) - len(leaks)
    if not strict:
        return []
    are = "1 held-out text is" if strict == 1 else f"{strict} held-out texts are"
    return [
        f"{are} nearly the same as texts that the model learned from, as texts of one "
        "template are: the scores are for texts of such templates"
    ]


def _near(
    project: Project, gold: HeldOutGold, model: str, *, largest: float = LARGEST_GROUP
) -> Mapping[str, str]:
    held = [item.example for item in gold if item.complete]
    now = [item.example for item in (*project.pool_gold(), *project.dev_gold()) if item.complete]
    kept = project.store.fact(LEARNED_FACT) or {"model": "", "texts": ()}
    gone = set(kept["texts"]) - {example.input_hash for example in now} if kept["model"] == model else ()
    before = project.store.examples(hashes=sorted(gone), excluded=True) if gone else ()
    seen = [example.text for example in (*now, *before)]
    # Training texts first, so that a group that holds one is named by it.
    texts = [*seen, *(example.text for example in held)]
    groups = group(texts, threshold=project.settings.corpus.near_duplicate, largest=largest)
    firsts = zip(held, groups[len(seen) :], strict=True)
    return {example.input_hash: seen[first] for example, first in firsts if first < len(seen)}
