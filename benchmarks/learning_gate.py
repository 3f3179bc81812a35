"""False claims and power of the verdict over simulated projects. Takes about 4 minutes on 2 cores.

Null: the model of every round is exactly as good as the LLM, the worst that may still not be claimed. A
round's model keeps most of the last one's answers, as models do that learn from a little more. Every round is
judged by the package's own test at its own share of alpha; a claim in any of 10 rounds makes a project false.

Level: the model of every round is behind by just the margin, and is called level in some round; beside it
by the 95 % interval of each round.

Power: one look, a model that is better by `effect`, as many texts as the package says are needed.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from annoloop.evaluation.gate import GatePlan, entities_needed, texts_needed
from annoloop.evaluation.paired import difference, lower_bound, mcnemar_mid_p, paired_p
from annoloop.evaluation.scores import DocumentCounts

ROUNDS = 10
RESAMPLES = 1_999
KEPT = 0.7
"""Share of a model's answers that the next round's model repeats whatever the text."""


def figure(*, seed: int, quick: bool) -> list[dict]:
    """False claims for categories and entities, gate and naive rules, then power against theory."""
    projects, looks = (60, 100) if quick else (1_000, 2_000)
    rng = np.random.default_rng(seed)
    rows = [
        _false_claims("categories, 300 texts", (_topics(rng, 300) for _ in range(projects)), seed),
        _false_claims("categories, 100 texts", (_topics(rng, 100) for _ in range(projects)), seed),
        _false_claims("entities, 200 texts", (_spans(rng, 200) for _ in range(projects)), seed),
    ]
    rows += [_false_level(rng, texts, 60 if quick else 1_000, seed) for texts in (300, 1_000)]
    for effect, discordant in ((0.05, 0.2), (0.05, 0.1), (0.03, 0.15), (0.1, 0.3)):
        rows.append(_power_topics(rng, effect, discordant, looks))
    for effect in (0.05, 0.08):
        rows.append(_power_spans(rng, effect, max(looks // 4, 50), seed))
    return rows


def _counts(units: np.ndarray, *, exclusive: bool) -> DocumentCounts:
    names = tuple(str(i) for i in range(len(units)))
    right = (units[:, 1:] == 0).all(axis=1)
    return DocumentCounts(names, ("X",), units[:, None, :], right, exclusive, 0)


def _of_right(right: np.ndarray) -> DocumentCounts:
    right = right.astype(np.int64)
    return _counts(np.stack([right, 1 - right, 1 - right], axis=1), exclusive=True)


def _topics(rng: np.random.Generator, texts: int) -> Iterator[tuple[DocumentCounts, DocumentCounts]]:
    """An LLM and ten models, all right with the same chance on a text: hard for one, hard for all."""
    chance = 0.6 + 0.4 * rng.random(texts)
    llm, model = rng.random(texts) < chance, rng.random(texts) < chance
    for _ in range(ROUNDS):
        yield _of_right(model), _of_right(llm)
        model = np.where(rng.random(texts) < KEPT, model, rng.random(texts) < chance)


def _spans(rng: np.random.Generator, texts: int) -> Iterator[tuple[DocumentCounts, DocumentCounts]]:
    """The same with entities: how many a text holds, how many of them are found, how many are made up."""
    gold, chance = rng.poisson(1.5, texts), 0.5 + 0.5 * rng.random(texts)

    def drawn() -> np.ndarray:
        found = rng.binomial(gold, chance)
        return np.stack([found, rng.poisson(0.3, texts), gold - found], axis=1)

    llm, model = drawn(), drawn()
    for _ in range(ROUNDS):
        yield _counts(model, exclusive=False), _counts(llm, exclusive=False)
        model = np.where(rng.random((texts, 1)) < KEPT, model, drawn())


def _false_claims(name: str, projects: Iterator, seed: int) -> dict:
    plan, total = GatePlan(rounds=ROUNDS), 0
    gated = naive = higher = bonferroni = 0
    for number, rounds in enumerate(projects):
        ps, leads = [], []
        for ours, theirs in rounds:
            ps.append(paired_p(ours, theirs, seed=seed + number, resamples=RESAMPLES))
            leads.append(_f(ours) > _f(theirs))
        gated += any(
            lead and p <= plan.alpha_of(k) for k, (p, lead) in enumerate(zip(ps, leads, strict=True), start=1)
        )
        naive += any(p < plan.alpha for p in ps)
        higher += any(leads)
        bonferroni += any(p <= plan.alpha / ROUNDS for p in ps)
        total += 1
    error = (gated / total * (1 - gated / total) / total) ** 0.5
    return {
        "simulated": f"{total} projects of {ROUNDS} rounds, {name}",
        "the gate": f"{gated / total:.1%} (± {1.96 * error:.1%})",
        "alpha / 10 each": f"{bonferroni / total:.1%}",
        "p < .05 each": f"{naive / total:.1%}",
        "higher once": f"{higher / total:.1%}",
        "theory": "at most 5 %",
        "difference": "",
    }


def _false_level(rng: np.random.Generator, texts: int, projects: int, seed: int) -> dict:
    """Projects whose models are behind the LLM by just the margin, and are called level in some round."""
    plan, gated, naive = GatePlan(rounds=ROUNDS), 0, 0
    for number in range(projects):
        chance = 0.6 + 0.38 * rng.random(texts)
        llm, model = rng.random(texts) < chance + plan.margin, rng.random(texts) < chance
        claimed = plain = False
        for k in range(1, ROUNDS + 1):
            both = _of_right(model), _of_right(llm)
            bound = lower_bound(*both, alpha=plan.alpha_of(k), seed=seed + number, samples=plan.resamples)
            claimed |= bound > -plan.margin
            plain |= difference(*both, seed=seed + number)[1][0] > -plan.margin
            model = np.where(rng.random(texts) < KEPT, model, rng.random(texts) < chance)
        gated, naive = gated + claimed, naive + plain
    return {
        "simulated": f"{projects} projects behind by the margin called level, {texts} texts",
        "the gate": f"{gated / projects:.1%}",
        "p < .05 each": f"{naive / projects:.1%}",
        "theory": "at most 5 %",
    }


def _f(counts: DocumentCounts) -> float:
    tp, fp, fn = counts.units.sum(axis=0)
    return 2 * tp / max(1, 2 * tp + fp + fn)


def _power_topics(rng: np.random.Generator, effect: float, discordant: float, looks: int) -> dict:
    texts, alpha = texts_needed(effect=effect, alpha=0.05, discordant=discordant), 0.05
    shares = [(discordant + effect) / 2, (discordant - effect) / 2, 1 - discordant]
    drawn = rng.multinomial(texts, shares, size=looks)
    power = float(np.mean([mcnemar_mid_p(int(won), int(lost)) <= alpha for won, lost, _ in drawn]))
    return _power(f"{looks} looks, effect {effect}, {discordant:.0%} discordant, {texts} texts", power)


def _power_spans(rng: np.random.Generator, effect: float, looks: int, seed: int) -> dict:
    """Found and made up so that F differs by `effect`: both err as often in missing as in making up."""
    entities = entities_needed(effect=effect, alpha=0.05)
    hits = 0
    for look in range(looks):
        gold = rng.poisson(1.5, round(entities / 1.5))
        tables = []
        for f in (0.70 + effect, 0.70):
            # The same text is hard for both: its chance moves both alike.
            tables.append((f, rng.binomial(gold, f), rng.poisson((1 - f) * gold)))
        ours, theirs = (
            _counts(np.stack([found, wrong, gold - found], axis=1), exclusive=False)
            for _, found, wrong in tables
        )
        hits += paired_p(ours, theirs, seed=seed + look, resamples=RESAMPLES) <= 0.05
    return _power(f"{looks} looks, effect {effect} in F, {entities} entities", hits / looks)


def _power(name: str, power: float, theory: float = 0.8) -> dict:
    return {
        "simulated": name,
        "the gate": f"power {power:.1%}",
        "alpha / 10 each": "",
        "p < .05 each": "",
        "higher once": "",
        "theory": f"{theory:.0%}",
        "difference": f"{100 * (power - theory):+.1f} points",
    }
