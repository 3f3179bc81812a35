"""The gate claims rarely where there is nothing to claim, and says what is missing."""

from __future__ import annotations

import math
import re
from dataclasses import replace

import numpy as np
import pytest

from annoloop.evaluation.gate import GatePlan, entities_needed, gate, rules_suffice, texts_needed
from annoloop.evaluation.paired import mcnemar_mid_p, randomisation_p
from annoloop.evaluation.scores import f_of, score
from annoloop.hashing import input_hash
from annoloop.types import Annotation, Example, Gold, HeldOutGold, LabelScheme, Span

TOPICS = LabelScheme("textcat", ("a", "b"))
NER = LabelScheme("ner", ("X",))
RIGHT, WRONG = Annotation(labels=("a",)), Annotation(labels=("b",))


def topics(n, **more):
    texts = [f"text {i}" for i in range(n)]
    more = {"blind": True, **more}
    # Every other text is a b.
    truths = [(RIGHT, WRONG)[i % 2] for i in range(n)]
    return HeldOutGold(
        tuple(
            Gold(Example(input_hash(t), t, split="held_out"), truth, **more)
            for t, truth in zip(texts, truths, strict=True)
        )
    )


def answers(gold, right):
    other = {RIGHT: WRONG, WRONG: RIGHT}
    pairs = zip(gold, right, strict=True)
    return {g.example.input_hash: g.annotation if ok else other[g.annotation] for g, ok in pairs}


def decide(model, llm, *, round_number=10, gold=None, **more):
    gold = gold or topics(len(model))
    return gate(
        TOPICS,
        gold,
        model=answers(gold, model),
        llm=answers(gold, llm),
        round_number=round_number,
        seed=0,
        **more,
    )


def first(share, n=400):
    return [i < share * n for i in range(n)]


def test_the_rounds_share_alpha_and_late_ones_get_more():
    plan = GatePlan(rounds=10, alpha=0.05)
    shares = [plan.alpha_of(k) for k in range(1, 11)]
    assert sum(shares) == pytest.approx(0.05)
    assert shares == sorted(shares)
    assert shares[0] == pytest.approx(0.05 * 2 / 110)
    assert plan.alpha_of(11) == 0.0


def test_no_verdict_on_one_label():
    gold = HeldOutGold(tuple(replace(g, annotation=RIGHT) for g in topics(400)))
    verdict = decide([True] * 400, first(0.5), gold=gold)
    assert verdict.decision == "refused" and verdict.delta is None
    assert verdict.reason == (
        "No verdict: all 400 held-out texts have the label a, so there is nothing to tell apart."
    )


@pytest.mark.parametrize(("texts", "decision"), [(100, "refused"), (200, "refused"), (400, "level")])
def test_level_is_said_where_enough_texts_agree(texts, decision):
    """At 1 in 110, the share of round 10, 0.98 ** n texts must all agree by chance: 233 are needed."""
    verdict = decide([True] * texts, [True] * texts)
    assert verdict.decision == decision
    low, high = verdict.delta_interval
    assert low < 0 < high and high == pytest.approx(-low)
    if decision == "refused":
        assert f"about {233 - texts} more are needed" in verdict.reason


def test_a_perfect_score_on_few_texts_has_an_interval():
    scores = score(TOPICS, gold := topics(25), answers(gold, [True] * 25), seed=0)
    # Wilson 1927: n / (n + z squared).
    assert scores.interval == (pytest.approx(25 / (25 + 1.96**2), abs=1e-4), 1.0)
    spans = [Annotation(spans=(Span(0, 1, "X"),)), Annotation()]
    gold = [Gold(Example(input_hash(str(n)), str(n)), spans[n]) for n in range(2)]
    found = score(NER, gold, {g.example.input_hash: g.annotation for g in gold}, seed=0)
    assert found.score == 1.0 and found.interval is not None and found.interval[0] < 0.5


@pytest.mark.parametrize(("won", "lost"), [(0, 0), (5, 5), (9, 2), (2, 9), (40, 22)])
def test_mid_p_is_the_binomial_sum(won, lost):
    n = won + lost
    chance = [math.comb(n, k) / 2**n for k in range(n + 1)]
    assert mcnemar_mid_p(won, lost) == pytest.approx(sum(chance[won + 1 :]) + chance[won] / 2)


def test_randomisation_agrees_with_swapping_documents_one_by_one():
    rng = np.random.default_rng(4)
    ours, theirs = rng.integers(0, 3, (60, 3)), rng.integers(0, 3, (60, 3))
    ours[:, 0] += rng.integers(0, 2, 60)
    observed = f_of(ours.sum(axis=0)) - f_of(theirs.sum(axis=0))
    reached, rounds = 0, 4000
    for _ in range(rounds):
        swap = rng.random(60)[:, None] < 0.5
        left, right = np.where(swap, theirs, ours).sum(axis=0), np.where(swap, ours, theirs).sum(axis=0)
        reached += f_of(left) - f_of(right) >= observed - 1e-12
    assert randomisation_p(ours, theirs, seed=1) == pytest.approx((1 + reached) / (rounds + 1), abs=0.015)


def test_sizes_are_those_of_the_published_formulas():
    assert texts_needed(effect=0.05, alpha=0.05) == 493
    assert texts_needed(effect=0.05, alpha=0.005) == 932
    assert entities_needed(effect=0.05, alpha=0.05) == pytest.approx(570, abs=5)
    assert entities_needed(effect=0.03, alpha=0.05) == pytest.approx(1580, abs=5)


def test_a_clear_lead_beats_the_llm():
    verdict = decide(first(0.9), first(0.7))
    assert verdict.decision == "beats_llm"
    assert verdict.delta == pytest.approx(0.2)
    assert verdict.delta_interval[0] > 0 and verdict.p_value < verdict.alpha
    assert "0.900" in verdict.reason and "0.700" in verdict.reason


def test_the_same_lead_may_be_too_early_to_claim():
    model, llm = first(0.75), [8 <= i < 300 for i in range(400)]
    late, early = decide(model, llm, round_number=10), decide(model, llm, round_number=1)
    assert late.p_value == early.p_value
    assert late.decision == "beats_llm"
    assert early.decision == "level" and early.alpha < early.p_value < late.alpha


def test_level_llm_ahead_and_undecided():
    assert decide(first(0.8), first(0.8)).decision == "level"
    behind = decide(first(0.6), first(0.8))
    assert behind.decision == "llm_ahead" and behind.delta == pytest.approx(-0.2)
    # One text ahead, but on unlike halves: anything from -.09 to +.09 is possible.
    torn = decide([i < 201 for i in range(400)], [i >= 200 for i in range(400)])
    assert torn.decision == "refused" and "more are needed" in torn.reason
    assert torn.delta > 0 and torn.delta_interval[0] < -0.02


def test_level_is_a_claim_too_and_spends_the_same_share():
    model, llm = [i >= 4 for i in range(400)], [i < 396 for i in range(400)]
    late, early = decide(model, llm, round_number=10), decide(model, llm, round_number=1)
    assert late.delta == early.delta == 0 and late.delta_interval == early.delta_interval
    assert late.delta_interval[0] > -0.02
    assert (late.decision, early.decision) == ("level", "refused")
    assert "more are needed" in early.reason


def test_no_llm_no_claim():
    gold = topics(200)
    verdict = gate(TOPICS, gold, model=answers(gold, [True] * 200), llm=None, round_number=1, seed=0)
    assert verdict.decision == "no_llm" and verdict.p_value is None


def test_under_100_texts_there_is_no_verdict_and_the_missing_are_counted():
    verdict = decide([True] * 99, [False] * 99)
    assert verdict.decision == "refused"
    assert "at least 1 more" in verdict.reason and f"about {493 - 99} more" in verdict.reason
    assert decide([True] * 100, [False] * 100).decision == "beats_llm"


def test_assisted_gold_leaks_and_an_absent_llm_are_refused():
    model, llm = [True] * 200, [False] * 200
    gold = topics(200)
    half = HeldOutGold((replace(gold.items[0], blind=False), *gold.items[1:]))
    verdict = decide(model, llm, gold=half)
    assert verdict.decision == "refused" and "1 of 200" in verdict.reason and "blind" in verdict.reason
    verdict = decide(model, llm, leaked={gold.items[3].example.input_hash: "text  3!", "x": "y"})
    assert (
        verdict.decision == "refused" and "1 of 200" in verdict.reason and "near-duplicate" in verdict.reason
    )
    assert 'near "text 3!"' in verdict.reason and "\n" not in verdict.reason
    asked = dict(list(answers(gold, llm).items())[:150])
    verdict = gate(TOPICS, gold, model=answers(gold, model), llm=asked, round_number=1, seed=0)
    assert verdict.decision == "refused" and "150 of 200" in verdict.reason
    assert decide(model, llm, round_number=11).decision == "refused"


def test_every_reason_is_told_on_its_own_line_and_the_missing_are_counted_once():
    gold = topics(120)
    some = [replace(item, blind=i >= 30) for i, item in enumerate(gold.items)]
    gold = HeldOutGold(tuple(some))
    leaked = {item.example.input_hash: "seen" for item in some[20:40]}
    verdict = decide([True] * 120, [False] * 120, gold=gold, leaked=leaked, round_number=11)
    few, assisted, leaks, used_up = verdict.reason.splitlines()
    assert verdict.decision == "refused" and verdict.p_value is None
    assert "80 blind, unseen ones of 120" in few and "at least 20 more" in few
    assert "30 of 120" in assisted and "20 of 120" in leaks and "used up" in used_up


def test_a_simulated_expert_is_named():
    verdict = decide(first(0.9), first(0.7), gold=topics(400, simulated=True))
    assert verdict.decision == "beats_llm" and "simulated" in verdict.reason
    assert "simulated" not in decide(first(0.9), first(0.7)).reason


def entities(rows):
    return [Annotation(spans=tuple(Span(i, i + 1, "X") for i in np.flatnonzero(row))) for row in rows]


def test_spans_are_judged_by_f_and_without_entities_there_is_nothing_to_judge():
    rng = np.random.default_rng(0)
    truth = np.ones((150, 3), dtype=bool)
    golds = HeldOutGold(
        tuple(
            Gold(Example(input_hash(str(i)), str(i), split="held_out"), a, blind=True)
            for i, a in enumerate(entities(truth))
        )
    )
    keys = [g.example.input_hash for g in golds]
    model = dict(zip(keys, entities(rng.random((150, 3)) < 0.9), strict=True))
    llm = dict(zip(keys, entities(rng.random((150, 3)) < 0.6), strict=True))
    verdict = gate(NER, golds, model=model, llm=llm, round_number=3, seed=0)
    assert verdict.decision == "beats_llm" and verdict.reason.startswith("The model beats the LLM: F ")
    assert gate(NER, golds, model=llm, llm=model, round_number=3, seed=0).decision == "llm_ahead"
    empty = HeldOutGold(tuple(replace(g, annotation=Annotation()) for g in golds))
    assert gate(NER, empty, model=model, llm=llm, round_number=3, seed=0).decision == "refused"


def test_what_the_llm_was_never_asked_judges_neither():
    """Equal answers, eight right ones of the LLM not there: no claim may come of it."""
    gold, right = topics(400), [i % 10 != 0 for i in range(400)]
    model = answers(gold, right)
    gone = [g.example.input_hash for g, ok in zip(gold, right, strict=True) if ok][:8]
    llm = {name: said for name, said in model.items() if name not in gone}
    verdict = gate(TOPICS, gold, model=model, llm=llm, round_number=10, seed=0)
    assert verdict.decision == "level" and verdict.delta == 0
    assert "on 392 blind held-out texts" in verdict.reason
    assert "8 more that the LLM was never asked are left out for both" in verdict.reason


@pytest.mark.parametrize(("texts", "number"), [(201, 10), (251, 1), (800, 10)])
def test_a_model_that_is_behind_by_the_margin_is_seldom_called_level(texts, number):
    """By the binomial distribution of the texts that it alone has wrong; more of them are never better."""
    level = [
        decide([i >= lost for i in range(texts)], [True] * texts, round_number=number).decision == "level"
        for lost in range(8)
    ]
    assert level == sorted(level, reverse=True)
    plan = GatePlan()
    chance = sum(
        math.comb(texts, k) * plan.margin**k * (1 - plan.margin) ** (texts - k)
        for k, said in enumerate(level)
        if said
    )
    assert chance <= plan.alpha_of(number)
    assert level[0] == (texts == 800)


def sparse(texts, entities, found):
    """So many texts, few of them with an entity, all of which are found or none is."""
    some, none = Annotation(spans=(Span(0, 1, "X"),)), Annotation()
    gold = [
        Gold(
            Example(input_hash(f"t{i}"), f"t{i}", split="held_out"),
            some if i < entities else none,
            blind=True,
        )
        for i in range(texts)
    ]
    said = {g.example.input_hash: g.annotation if found else none for g in gold}
    return gate(NER, HeldOutGold(tuple(gold)), model=said, llm=said, round_number=10, seed=0)


def test_texts_with_nothing_to_find_do_not_make_two_level():
    assert sparse(400, 10, found=True).decision == "refused"
    assert sparse(400, 300, found=True).decision == "level"
    nothing = sparse(400, 300, found=False)
    assert nothing.decision == "refused" and "neither the model nor the LLM is right" in nothing.reason


def test_missing_texts_are_counted_by_the_entities_in_them():
    verdict = sparse(99, 10, found=True)
    told = re.search(r"at least 1 more are needed, and about (\d+) more", verdict.reason)
    assert int(told[1]) == math.ceil(9.9 * entities_needed(effect=0.05, alpha=0.05)) - 99
    many = decide([True] * 600, [True] * 600, plan=GatePlan(min_texts=700))
    assert "at least 100 more are needed, and about 100 more" in many.reason


def test_the_margin_is_told_as_it_is():
    right = [True] * 2_000
    for margin in (0.004, 0.014):
        verdict = decide(right, right, plan=GatePlan(margin=margin))
        assert verdict.decision == "level" and f"at most {margin} behind" in verdict.reason


def null_project(rng, *, texts, rounds):
    """Right or wrong of an LLM and of `rounds` models exactly as good, each like the one before."""
    hard = rng.random(texts)
    llm = rng.random(texts) < 0.6 + 0.4 * hard
    model = rng.random(texts) < 0.6 + 0.4 * hard
    for _ in range(rounds):
        renewed = rng.random(texts) < 0.5
        model = np.where(renewed, rng.random(texts) < 0.6 + 0.4 * hard, model)
        yield model, llm


def false_claims(projects, *, texts=300):
    """Shares of null projects that claim in any round: with the gate's alphas, and at p < .05 each round."""
    rng, plan, gated, naive = np.random.default_rng(7), GatePlan(), 0, 0
    for _ in range(projects):
        ps = [
            mcnemar_mid_p(int((model & ~llm).sum()), int((~model & llm).sum()))
            for model, llm in null_project(rng, texts=texts, rounds=plan.rounds)
        ]
        gated += any(p <= plan.alpha_of(k) for k, p in enumerate(ps, start=1))
        naive += any(p < 0.05 for p in ps)
    return gated / projects, naive / projects


def test_ten_rounds_of_nothing_seldom_end_in_a_claim():
    gated, naive = false_claims(300)
    assert gated < 0.05
    assert naive > 0.1


@pytest.mark.slow
def test_a_thousand_null_projects():
    gated, naive = false_claims(1000)
    assert gated < 0.04
    assert 0.12 < naive < 0.3


@pytest.mark.slow
def test_a_thousand_null_projects_of_spans():
    rng, plan, claims = np.random.default_rng(3), GatePlan(), 0
    for project in range(1000):
        ours = np.stack([rng.binomial(3, 0.7, 200), rng.poisson(0.4, 200)], axis=1)
        theirs = np.stack([rng.binomial(3, 0.7, 200), rng.poisson(0.4, 200)], axis=1)
        claimed = False
        for k in range(1, plan.rounds + 1):
            fresh = np.stack([rng.binomial(3, 0.7, 200), rng.poisson(0.4, 200)], axis=1)
            ours = np.where(rng.random((200, 1)) < 0.5, fresh, ours)
            units = [np.stack([x[:, 0], x[:, 1], 3 - x[:, 0]], axis=1) for x in (ours, theirs)]
            claimed |= randomisation_p(*units, seed=project, resamples=1999) <= plan.alpha_of(k)
        claims += claimed
    assert claims / 1000 < 0.05


def dev_scores(right, wrong):
    gold = [Gold(Example(input_hash(str(i)), str(i)), RIGHT) for i in range(right + wrong)]
    guesses = {g.example.input_hash: RIGHT if i < right else WRONG for i, g in enumerate(gold)}
    return score(TOPICS, gold, guesses, seed=0)


def test_rules_suffice_by_their_lower_bound():
    good = rules_suffice(dev_scores(196, 4), 0.9, exclusive=True)
    assert good.suffice and good.lower >= 0.9 and "0.980" in good.reason
    assert not rules_suffice(dev_scores(185, 15), 0.9, exclusive=True).suffice


def test_a_handful_of_right_answers_proves_nothing():
    scores = dev_scores(8, 0)
    verdict = rules_suffice(scores, 0.9, exclusive=True)
    assert not verdict.suffice and verdict.lower == pytest.approx(8 / (8 + 1.96**2), abs=0.001)
    spans = rules_suffice(scores, 0.9, exclusive=False)
    assert not spans.suffice and 0.6 < spans.lower < 0.9


def test_without_target_or_score_rules_are_not_judged():
    assert not rules_suffice(dev_scores(196, 4), None, exclusive=True).suffice
    assert not rules_suffice(dev_scores(0, 0), 0.9, exclusive=True).suffice
