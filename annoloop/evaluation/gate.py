"""The gate: may this project say "the model beats the LLM", and do the rules suffice already?

Testing every round at p < .05 makes false claims in 15 to 24 % of projects whose model is no better.
So the number of rounds K and alpha are fixed before round 1, and round k may spend
alpha_k = alpha * 2k / (K (K + 1)): the shares of all rounds add up to alpha, the late rounds, whose
models are the best, get the most.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from statistics import NormalDist

from annoloop.evaluation.paired import difference, lower_bound, paired_p, telling, worse_on
from annoloop.evaluation.scores import DocumentCounts, count, f_of, wilson_interval
from annoloop.types import Annotation, Counts, Decision, GateVerdict, Gold, HeldOutGold, LabelScheme, Scores

EXAMPLE = "; one of them is near "
"""What stands before the quoted training text: a page that goes to others cuts the line here."""
SIMULATED = " The held-out answers were simulated from gold labels, not given by a person."
NOT_BLIND = " held-out texts were not annotated blind"
"""What is said of held-out answers, for pages that say it with more figures."""


@dataclass(frozen=True, slots=True)
class GatePlan:
    """What is fixed before round 1.

    `rounds` is K, `alpha` the chance of a false claim over all rounds, `margin` the loss that still
    counts as level. Under `min_texts` held-out texts there is no verdict. `power` and `effect`
    (a difference worth finding) serve only to say how many more texts are needed. An LLM that
    answered less than `minimum_answered` of the texts was not measured fairly.
    """

    rounds: int = 10
    alpha: float = 0.05
    margin: float = 0.02
    min_texts: int = 100
    power: float = 0.8
    effect: float = 0.05
    minimum_answered: float = 0.98
    resamples: int = 9_999

    def alpha_of(self, round_number: int) -> float:
        """The share of alpha that round k = 1, 2, … may spend; 0 after round K."""
        if not 1 <= round_number <= self.rounds:
            return 0.0
        return self.alpha * 2 * round_number / (self.rounds * (self.rounds + 1))


@dataclass(frozen=True, slots=True)
class RulesVerdict:
    """Whether the rules reach the target already: `lower` is the bound that was compared with it."""

    suffice: bool
    lower: float | None
    target: float | None
    reason: str


def gate(
    scheme: LabelScheme,
    gold: HeldOutGold,
    *,
    model: Mapping[str, Annotation],
    llm: Mapping[str, Annotation] | None,
    round_number: int,
    seed: int,
    plan: GatePlan | None = None,
    leaked: Mapping[str, str] | None = None,
) -> GateVerdict:
    """Decide on a model of round `round_number` (1 to K) against the LLM on the blind held-out gold.

    `model` and `llm` map input hashes to predictions. An LLM's answer that could not be understood
    belongs there as an empty annotation: it is the LLM's mistake. A text that the LLM was never asked
    is left out of the mapping, and then judges neither of the two. `leaked` maps held-out hashes to the
    training text that is a near-duplicate of theirs.

    The decision is "no_llm" without an LLM; "refused" where nothing can be claimed (the reason says what is
    missing, a line for each cause); "beats_llm" where the difference is positive and p <= alpha_k; "level"
    where the difference lies above -margin with 1 - alpha_k; "llm_ahead" where it is negative. Both claims
    share alpha_k: who beats the LLM is no further behind it either (a closed test).
    A positive difference that is neither significant nor safely above -margin is "refused" too: the
    set is too small to tell.
    """
    plan = plan or GatePlan()
    if llm is None:
        return GateVerdict("no_llm", "No LLM was asked, so there is no LLM to beat.")
    usable = [g for g in gold if g.complete]
    ours, theirs = count(scheme, usable, model), count(scheme, usable, llm)
    refusals = list(
        _refusals(usable, ours, theirs, round_number=round_number, plan=plan, leaked=leaked or {})
    )
    if refusals:
        return GateVerdict("refused", "\n".join(refusals))
    asked = [g for g in usable if g.example.input_hash in llm]
    ours, theirs = count(scheme, asked, model), count(scheme, asked, llm)
    delta, interval = difference(ours, theirs, seed=seed)
    p_value = paired_p(ours, theirs, seed=seed, resamples=plan.resamples)
    alpha = plan.alpha_of(round_number)
    bound = lower_bound(ours, theirs, alpha=alpha, seed=seed, samples=plan.resamples)
    decision = _decide(delta, bound, p_value, alpha=alpha, margin=plan.margin)
    reason = _reason(decision, ours, theirs, interval, p_value, alpha=alpha, plan=plan)
    if unasked := len(usable) - len(asked):
        reason += f" {unasked} more that the LLM was never asked are left out for both."
    if any(g.simulated for g in usable):
        reason += SIMULATED
    return GateVerdict(decision, reason, p_value, alpha, delta, interval)


def texts_needed(*, effect: float, alpha: float, power: float = 0.8, discordant: float = 0.2) -> int:
    """How many texts show a difference in accuracy of `effect` (Connor 1987).

    n = ((z_(1-alpha) sqrt(p_d) + z_(1-beta) sqrt(p_d - effect^2)) / effect)^2, where p_d is the share
    of texts on which exactly one of the two is right.
    """
    discordant = max(discordant, effect)
    z_alpha, z_beta = NormalDist().inv_cdf(1 - alpha), NormalDist().inv_cdf(power)
    spread = z_alpha * math.sqrt(discordant) + z_beta * math.sqrt(discordant - effect**2)
    return math.ceil((spread / effect) ** 2)


def entities_needed(*, effect: float, alpha: float, power: float = 0.8) -> int:
    """How many gold entities show a difference in F of `effect`, from SE(dF) = .48 / sqrt(entities)."""
    z = NormalDist().inv_cdf(1 - alpha) + NormalDist().inv_cdf(power)
    return math.ceil((0.48 * z / effect) ** 2)


def rules_suffice(scores: Scores, target: float | None, *, exclusive: bool) -> RulesVerdict:
    """Whether the rules' score on dev reaches the target, judged by its lower bound.

    `exclusive` says that the score is the accuracy of single-choice categories, else it is a micro F.
    The bound is the lower of two: the bootstrap interval's end, and the lower end of the Wilson interval
    on the score's own counts (Wilson 1927). The bootstrap alone is blind on a tiny dev set: where all of
    5 texts are right, every sample of them is right too. For F the Wilson bound is taken on
    J = tp / (tp + fp + fn), and F = 2J / (1 + J) rises with it.
    """
    if target is None:
        return RulesVerdict(False, None, None, "No target is set, so the rules are not judged.")
    if scores.score is None or scores.interval is None:
        return RulesVerdict(False, None, target, "The rules have no score on the dev texts yet.")
    overall = sum(scores.per_label.values(), Counts())
    if exclusive:
        bound, _ = wilson_interval(scores.score * scores.texts, scores.texts)
    else:
        bound, _ = wilson_interval(overall.tp, overall.tp + overall.fp + overall.fn)
        bound = 2 * bound / (1 + bound)
    lower = min(scores.interval[0], bound)
    suffice = lower >= target
    reason = (
        f"Rules score {scores.score:.3f} on {scores.texts} dev texts, lower bound {lower:.3f}, "
        f"{'which reaches' if suffice else 'below'} the target of {target:.3f}."
    )
    return RulesVerdict(suffice, lower, target, reason)


def _refusals(
    usable: list[Gold],
    ours: DocumentCounts,
    theirs: DocumentCounts,
    *,
    round_number: int,
    plan: GatePlan,
    leaked: Mapping[str, str],
) -> Iterator[str]:
    """Every reason why no verdict can be given on this gold, one line each."""
    texts = len(usable)
    leaks = [g.example.input_hash for g in usable if g.example.input_hash in leaked]
    clean = sum(g.blind and g.example.input_hash not in leaked for g in usable)
    if clean < plan.min_texts:
        yield _too_few(theirs, clean, plan)
    assisted = sum(not g.blind for g in usable)
    if assisted:
        yield (
            f"No verdict: {assisted} of {texts}{NOT_BLIND}, "
            "and gold made with suggestions in view flatters whoever suggested; answer them again without."
        )
    if leaks:
        yield (
            f"No verdict: {len(leaks)} of {texts} held-out texts have a near-duplicate in the training "
            "gold, so the model has seen their answers: train once more if they came after it, else judge "
            "by other texts"
            f"{EXAMPLE}{_quoted(leaked[leaks[0]])}."
        )
    if texts and not theirs.units[:, (0, 2)].any():
        yield f"No verdict: the gold of the {texts} held-out texts holds nothing to find."
    elif theirs.exclusive and len(labels := {g.annotation.labels for g in usable}) == 1:
        yield (
            f"No verdict: all {texts} held-out texts have the label {', '.join(labels.pop())}, so there is "
            "nothing to tell apart."
        )
    elif texts and not (ours.units[:, 0].any() or theirs.units[:, 0].any()):
        yield f"No verdict: neither the model nor the LLM is right anywhere in the {texts} held-out texts."
    if theirs.missing > (1 - plan.minimum_answered) * texts:
        yield (
            f"No verdict: the LLM was asked only {texts - theirs.missing} of {texts} held-out texts; "
            "ask it the rest."
        )
    if round_number > plan.rounds:
        yield (
            f"No verdict: the {plan.rounds} rounds fixed before round 1 are used up; "
            "a further claim needs new held-out texts."
        )


def _too_few(theirs: DocumentCounts, clean: int, plan: GatePlan) -> str:
    texts, least = len(theirs.input_hashes), plan.min_texts - clean
    wish = texts_needed(effect=plan.effect, alpha=plan.alpha, power=plan.power)
    if not theirs.exclusive and (found := int(theirs.units[:, (0, 2)].sum())):
        wish = math.ceil(
            texts * entities_needed(effect=plan.effect, alpha=plan.alpha, power=plan.power) / found
        )
    on = (
        f"{texts} held-out texts"
        if clean == texts
        else f"{clean} blind, unseen ones of {texts} held-out texts"
    )
    return (
        f"No verdict on {on}: at least {least} more "
        f"are needed, and about {max(wish - clean, least)} more to show a difference of {plan.effect:.2f} "
        f"with {plan.power:.0%} power."
    )


def _quoted(text: str, most: int = 50) -> str:
    line = " ".join(text.split())
    return f'"{line}"' if len(line) <= most else f'"{line[:most]}…"'


def _decide(delta: float, bound: float, p_value: float, *, alpha: float, margin: float) -> Decision:
    if delta > 0 and p_value <= alpha:
        return "beats_llm"
    if bound > -margin:
        return "level"
    return "llm_ahead" if delta < 0 else "refused"


def _reason(
    decision: Decision,
    ours: DocumentCounts,
    theirs: DocumentCounts,
    interval: tuple[float, float],
    p_value: float,
    *,
    alpha: float,
    plan: GatePlan,
) -> str:
    """One plain sentence with the figures behind the decision."""
    name = "accuracy" if ours.exclusive else "F"
    us, them = float(f_of(ours.units.sum(axis=0))), float(f_of(theirs.units.sum(axis=0)))
    figures = (
        f"{name} {us:.3f} against the LLM's {them:.3f} on {len(ours.input_hashes)} blind held-out texts, "
        f"difference {us - them:+.3f}, 95 % interval {interval[0]:+.3f} to {interval[1]:+.3f}, "
        f"p {_p(p_value)} where this round may claim at {alpha:.4f}"
    )
    if decision == "beats_llm":
        return f"The model beats the LLM: {figures}."
    if decision == "level":
        return f"The model is level with the LLM, at most {plan.margin:g} behind: {figures}."
    if decision == "llm_ahead":
        sure = "clearly " if interval[1] < 0 else "so far, though not beyond doubt, "
        return f"The LLM is {sure}ahead: {figures}."
    more = _more(ours, theirs, alpha, plan)
    return f"Too few held-out texts to tell, about {more} more are needed: {figures}."


def _more(ours: DocumentCounts, theirs: DocumentCounts, alpha: float, plan: GatePlan) -> int:
    """How many more texts would show the difference, at least one."""
    texts = len(ours.input_hashes)
    effect = max(plan.effect, float(f_of(ours.units.sum(axis=0)) - f_of(theirs.units.sum(axis=0))))
    if ours.exclusive:
        discordant = float((ours.right != theirs.right).mean())
        wished = texts_needed(effect=effect, alpha=alpha, power=plan.power, discordant=discordant)
    else:
        entities = float(ours.units[:, (0, 2)].sum())
        wished = math.ceil(texts * entities_needed(effect=effect, alpha=alpha, power=plan.power) / entities)
    if plan.margin and not worse_on(ours, theirs).any():
        # So many telling ones without a worse one show that ours is at most the margin behind.
        needed = math.log(alpha) / math.log(1 - plan.margin)
        wished = max(wished, math.ceil(needed * texts / max(telling(ours, theirs), 1)))
    return max(1, wished - texts)


def _p(value: float) -> str:
    return f"= {value:.4f}" if value >= 0.0001 else "< 0.0001"
