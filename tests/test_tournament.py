"""A blind tournament: pool texts only, sides by chance, nothing counted twice, and who is ahead."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from small_project import LABELS, feedback, small_project, write_rows

from annoloop.errors import AnnoloopError, BlindnessError
from annoloop.evaluation.tournament import Outcome, bradley_terry
from annoloop.steps.llm.tournament import (
    ENOUGH,
    contestable,
    decide,
    next_duel,
    set_contestants,
    standing,
    undo,
)
from annoloop.types import Annotation

ROWS = feedback(90)
SOURCES = {"llm:a": ("project", "qwen, prompt 1"), "llm:b": ("mine", "qwen, prompt 2"), "llm:c": ("big", "x")}
AT_MOST = 500


@pytest.fixture
def project(tmp_path):
    """Three sources that differ on most texts, of every split: a and b always, c agrees with b on some."""
    project = small_project(tmp_path / "p", ROWS, corpus="held_out = 0.3\ndev = 0.3")
    for place, key in enumerate(SOURCES):
        said = {
            eg.input_hash: Annotation((LABELS[min(place, 1) if place < 2 or n % 3 == 0 else 2],))
            for n, eg in enumerate(project.store.examples())
        }
        project.store.save_predictions(key, said)
    set_contestants(project, SOURCES)
    return project


def judged(project, annotator="rita", better="llm:b", at_most=AT_MOST):
    """Decide duels for `better` where it takes part, else as both; returns them."""
    seen = []
    while len(seen) < at_most and (duel := next_duel(project, annotator)) is not None:
        sides = {duel.left_source: "left", duel.right_source: "right"}
        assert decide(project, duel, sides.get(better, "both"), annotator=annotator)
        seen.append(duel)
    return seen


def test_only_pool_texts_on_which_two_differ_are_shown_each_once(project):
    seen = judged(project)
    splits = Counter(duel.example.split for duel in seen)
    assert set(splits) == {"pool"} and len(seen) < AT_MOST
    pool = project.store.examples(split="pool")
    said = {key: project.store.predictions(key) for key in SOURCES}
    differing = {
        (eg.input_hash, frozenset((one, other)))
        for eg in pool
        for one in SOURCES
        for other in SOURCES
        if said[one][eg.input_hash][0] != said[other][eg.input_hash][0]
    }
    shown = [(duel.example.input_hash, frozenset((duel.left_source, duel.right_source))) for duel in seen]
    assert len(shown) == len(set(shown)) and set(shown) == differing
    for duel in seen:
        assert duel.left == said[duel.left_source][duel.example.input_hash][0]
        assert duel.right == said[duel.right_source][duel.example.input_hash][0]
    assert next_duel(project, "rita") is None and next_duel(project, "ben") is not None


@pytest.mark.parametrize("split", ["dev", "held_out"])
def test_a_text_to_be_judged_by_never_becomes_a_duel(project, split):
    duel = next_duel(project, "rita")
    moved = duel.example.input_hash
    with pytest.raises(BlindnessError):
        replace(duel, example=replace(duel.example, split=split))
    project.store.move_examples([moved], split)
    # The page may still show what was a pool text a moment ago.
    with pytest.raises(BlindnessError):
        decide(project, duel, "left", annotator="rita")
    assert project.store.duels() == ()
    assert moved not in {one.example.input_hash for one in judged(project)}
    assert moved not in {eg.input_hash for eg in contestable(project)}


def test_a_text_that_the_llms_were_shown_is_no_contest(project):
    text = next_duel(project, "rita").example.text
    write_rows(project.folder / "examples.jsonl", [{"text": text, "label": LABELS[0]}])
    assert text not in {one.example.text for one in judged(project)}


def test_failed_and_taken_out_texts_are_no_contest(project):
    first = next_duel(project, "rita").example.input_hash
    project.store.exclude_examples({first: "a reason"})
    second = next_duel(project, "rita").example.input_hash
    project.store.save_predictions("llm:a", {second: None})
    project.store.save_predictions("llm:b", {second: None})
    assert not {first, second} & {one.example.input_hash for one in judged(project)}


def test_a_side_says_nothing_about_the_source(project):
    left = Counter(duel.left_source for who in ("rita", "ben", "eva") for duel in judged(project, who))
    for source in SOURCES:
        times = sum(source in (one.left_source, one.right_source) for one in project.store.duels())
        # Six standard deviations of a fair coin.
        assert abs(left[source] - times / 2) < 3 * math.sqrt(times), (source, left)


def test_sides_stay_however_often_a_duel_is_looked_at(project):
    assert next_duel(project, "rita") == next_duel(project, "rita")
    sides = {next_duel(project, f"person {n}").left_source for n in range(30)}
    assert len(sides) == 2, "who looks is a part of what the sides are drawn by"


def test_pairs_meet_evenly(project):
    seen = judged(project, at_most=21)
    met = Counter(frozenset((duel.left_source, duel.right_source)) for duel in seen)
    assert sorted(met.values()) == [7, 7, 7]


def test_a_decision_sent_twice_counts_once(project):
    duel = next_duel(project, "rita")
    assert decide(project, duel, "left", annotator="rita", milliseconds=1_200)
    assert not decide(project, duel, "right", annotator="rita")
    (kept,) = project.store.duels_in_force()
    assert (kept.winner, kept.milliseconds, kept.annotator) == ("left", 1_200, "rita")


def test_undo_brings_the_last_duel_back_as_it_was(project):
    assert not undo(project, "rita")
    first, second = judged(project, at_most=2)
    judged(project, "ben", at_most=1)
    assert undo(project, "rita")
    again = next_duel(project, "rita")
    assert replace(again, duel_id="") == replace(second, duel_id="") and again.duel_id != second.duel_id
    assert len(project.store.duels_in_force()) == 2 and len(project.store.duels()) == 4
    assert decide(project, again, "neither", annotator="rita")
    assert [one.winner for one in project.store.duels_in_force(annotator="rita")][-1] == "neither"
    assert undo(project, "rita") and undo(project, "rita") and not undo(project, "rita")
    assert next_duel(project, "rita").example == first.example
    assert [one.annotator for one in project.store.duels_in_force()] == ["ben"]


def test_it_is_told_how_it_stands_only_after_enough(project):
    wanted = standing(project, "rita").wanted
    assert wanted >= ENOUGH
    judged(project, at_most=wanted - 1)
    before = standing(project, "rita")
    assert (before.places, before.decided, before.decisions) == ((), wanted - 1, wanted - 1)
    judged(project, "ben", at_most=1)
    told = standing(project, "rita")
    assert (told.decided, told.decisions) == (wanted - 1, wanted)
    assert told.places[0].name == "mine" and told.versions["mine"] == "qwen, prompt 2"
    undo(project, "ben")
    assert standing(project, "rita").places == ()
    judged(project)
    done = standing(project, "rita")
    assert done.left == 0 and done.places


def test_few_texts_are_told_of_when_all_are_decided(project):
    names = [eg.input_hash for eg in project.store.examples(split="pool")]
    project.store.exclude_examples(dict.fromkeys(names[3:], "too many"))
    assert standing(project, "rita").places == ()
    judged(project)
    assert standing(project, "rita").places[0].name == "mine"


def test_other_contestants_leave_earlier_decisions_out(project):
    judged(project, at_most=30)
    set_contestants(project, {key: SOURCES[key] for key in ("llm:a", "llm:b")})
    kept = standing(project, "rita")
    assert kept.decisions == 10 and len(project.store.duels_in_force()) == 30
    set_contestants(project, {"llm:a": SOURCES["llm:a"]})
    assert next_duel(project, "rita") is None
    with pytest.raises(AnnoloopError, match="no LLMs are compared"):
        standing(project, "rita")


def test_strengths_of_two_are_their_share_of_points():
    outcomes = [Outcome(str(n), "a", "b", float(n < 60)) for n in range(80)]
    first, second = bradley_terry(outcomes, ["b", "a"], seed=0)
    assert (first.name, first.met, first.points, second.points) == ("a", 80, 60, 20)
    # 60 of 80 with the prior's pull of a half either way.
    assert first.share == pytest.approx(0.75, abs=0.01) and first.share + second.share == pytest.approx(1)
    assert first.interval[0] < 0.67 and first.interval[1] > 0.82 and first.interval[0] > 0.5


def test_who_won_everything_is_not_sure_for_that():
    (first, _) = bradley_terry([Outcome(str(n), "a", "b", 1.0) for n in range(5)], ["a", "b"], seed=0)
    assert first.share < 1 and math.isfinite(first.log_odds) and first.interval[0] < 0.6
    same = bradley_terry([Outcome("x", "a", "b", 1.0)] * 40, ["a", "b"], seed=0)
    # Forty people on one text are one text.
    assert same[0].interval[0] < 0.3


def test_strength_goes_over_a_third():
    outcomes = [Outcome(f"{n}", "a", "b", float(n % 4 > 0)) for n in range(40)]
    outcomes += [Outcome(f"{n}", "b", "c", float(n % 4 > 0)) for n in range(40)]
    a, b, c = bradley_terry(outcomes, ["c", "a", "b"], seed=1)
    assert [a.name, b.name, c.name] == ["a", "b", "c"]
    # A and c never met: 3 to 1 twice is 9 to 1.
    assert a.log_odds - c.log_odds == pytest.approx(2 * math.log(3), rel=0.1)


@given(st.lists(st.tuples(st.sampled_from("xyz"), st.sampled_from([0.0, 0.5, 1.0])), min_size=1, max_size=12))
@settings(max_examples=40)
def test_order_and_sides_of_the_outcomes_change_nothing(drawn):
    pairs = {"x": ("a", "b"), "y": ("b", "c"), "z": ("a", "c")}
    outcomes = [Outcome(f"{n}", *pairs[pair], points) for n, (pair, points) in enumerate(drawn)]
    turned = [Outcome(o.text, o.second, o.first, 1 - o.points) for o in outcomes]
    one = bradley_terry(outcomes, ["a", "b", "c"], seed=0, samples=20)
    other = bradley_terry(turned, ["a", "b", "c"], seed=0, samples=20)
    assert [s.name for s in one] == [s.name for s in other]
    for left, right in zip(one, other, strict=True):
        assert left.share == pytest.approx(right.share) and left.interval == pytest.approx(right.interval)
    assert sum(s.share for s in one) == pytest.approx(1.5)


def test_nonsense_is_refused():
    for outcomes, names in (([], ["a", "b"]), ([Outcome("t", "a", "b", 1)], ["a"])):
        with pytest.raises(ValueError, match="two contestants"):
            bradley_terry(outcomes, names, seed=0)
    for wrong in (Outcome("t", "a", "a", 1), Outcome("t", "a", "z", 1)):
        with pytest.raises(ValueError, match="not a comparison"):
            bradley_terry([wrong], ["a", "b"], seed=0)
