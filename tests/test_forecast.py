"""Forecasts find the law behind a curve, keep their intervals' promise, and advise by them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from annoloop.evaluation.curve_advice import advise
from annoloop.evaluation.curve_laws import ERRORS, ODDS, WITH_RULES
from annoloop.evaluation.forecast import Point, forecast

SIZES = (40, 57, 80, 113, 160, 226, 320)


def curve(a, b, c, sizes=SIZES, spread=0.0, seed=0):
    noise = (
        np.random.default_rng(seed).normal(0, 1, len(sizes)) * spread * np.sqrt(sizes[-1] / np.array(sizes))
    )
    values = [a - b * n**-c + e for n, e in zip(sizes, noise, strict=True)]
    return [Point(n, float(np.clip(v, 0, 1))) for n, v in zip(sizes, values, strict=True)]


@settings(max_examples=30)
@given(st.floats(0.5, 0.99), st.floats(0.5, 3), st.floats(0.25, 1.2))
def test_an_exact_law_is_continued(a, b, c):
    assume(a - b * SIZES[0] ** -c > 0)
    found = forecast(curve(a, b, c), seed=0, samples=50)
    for texts in (320, 640, 2560):
        told = found.at(texts)
        assert told.value == pytest.approx(a - b * texts**-c, abs=0.01)
        assert told.low <= told.value <= told.high


@settings(max_examples=30)
@given(st.floats(-1.5, 1.5), st.floats(-0.2, 0.2))
def test_a_curve_of_spans_is_continued_by_its_odds(level, more):
    """Odds of any start that rise as usual, or nearly."""
    exponent = ODDS.exponent + more
    points = [Point(n, logistic(level + exponent * np.log(n / SIZES[-1]))) for n in SIZES]
    found = forecast(points, seed=0, law=ODDS, samples=50)
    usual = exponent + ODDS.shrinkage * (ODDS.exponent - exponent)
    for times in (1, 2, 5):
        told = found.at(times * SIZES[-1])
        assert told.value == pytest.approx(logistic(level + usual * np.log(times)), abs=0.02)
        assert told.low <= told.value <= told.high
    reach = found.reach(logistic(level + usual * np.log(3)))
    assert reach.texts == pytest.approx(3 * SIZES[-1], rel=0.15)


def logistic(value):
    return float(1 / (1 + np.exp(-value)))


@pytest.mark.parametrize("law", [ERRORS, ODDS, WITH_RULES])
@pytest.mark.parametrize("score", [0.0, 1.0])
def test_where_nothing_or_everything_is_right_there_is_a_forecast_still(law, score):
    found = forecast([Point(n, score) for n in SIZES], seed=0, law=law, samples=50)
    told = found.at(10 * SIZES[-1])
    assert 0 <= told.low <= told.value <= told.high <= 1
    assert found.at(SIZES[-1]).value == pytest.approx(score, abs=0.01)
    for target in (0.0, 0.5, 1.0):
        reach = found.reach(target)
        assert (reach.outlook == "reached") == (target <= found.at(SIZES[-1]).value + 1e-9)


@settings(max_examples=30)
@given(
    st.lists(st.tuples(st.integers(1, 2000), st.floats(0, 1)), min_size=1, max_size=20),
    st.sampled_from([ERRORS, ODDS, WITH_RULES]),
    st.randoms(),
)
def test_any_points_give_sound_values_in_any_order(points, law, rng):
    points = [Point(*point) for point in points]
    found = forecast(points, seed=1, law=law, samples=50)
    if len({n for n, _ in points}) < 6:
        assert found is None
        return
    for texts in (1, found.seen, 100 * found.seen):
        told = found.at(texts)
        assert 0 <= told.low <= told.value <= told.high <= 1
    shuffled = points[:]
    rng.shuffle(shuffled)
    assert forecast(shuffled, seed=1, law=law, samples=50).at(found.seen) == found.at(found.seen)
    reach = found.reach(0.9)
    assert reach.texts is None or reach.texts >= 1


def test_the_texts_to_a_target_are_where_the_curve_meets_it():
    found = forecast(curve(0.92, 1.5, 0.5), seed=0, samples=200)
    reach = found.reach(0.88)
    assert reach.outlook == "within_reach"
    assert reach.texts == pytest.approx((1.5 / 0.04) ** 2, rel=0.1)
    assert found.at(reach.texts).value == pytest.approx(0.88, abs=1e-3)
    assert found.at(reach.texts - 5).value < 0.88
    assert found.reach(0.5).outlook == "reached"
    assert found.reach(0.95).outlook == "out_of_reach"
    assert found.reach(0.95).texts is None


def test_the_interval_holds_the_later_score_nearly_as_often_as_it_says():
    inside = 0
    for seed in range(100):
        found = forecast(curve(0.85, 1.2, 0.5, spread=0.01, seed=seed), seed=seed, samples=200)
        told = found.at(1280)
        inside += told.low <= 0.85 - 1.2 * 1280**-0.5 <= told.high
    assert inside >= 85


def test_noise_widens_the_interval_and_so_does_distance():
    calm, loud = (forecast(curve(0.85, 1.2, 0.5, spread=s, seed=4), seed=0) for s in (0.003, 0.02))

    def width(found, texts):
        told = found.at(texts)
        return told.high - told.low

    assert width(calm, 640) < width(loud, 640)
    assert width(loud, 640) < width(loud, 6400)


def test_odds_that_the_judged_texts_make_uncertain_have_a_wider_interval():
    points = [Point(n, logistic(0.6 * np.log(n / 320))) for n in SIZES]

    def widths(error):
        found = forecast(points, seed=0, law=ODDS, standard_error=error)
        return [found.at(n).high - found.at(n).low for n in (320, 640, 1600)]

    sure, unsure = widths(None), widths(0.06)
    assert unsure[0] == pytest.approx(sure[0]) and unsure[1] > sure[1] and unsure[2] > sure[2]
    # Of a normal error alone: 1.96 on both sides.
    assert unsure[2] > 2 * 1.96 * 0.06


def test_what_is_no_point_is_refused():
    for point in (Point(0, 0.5), Point(10, 1.5), Point(10, float("nan"))):
        with pytest.raises(ValueError, match="score from 0 to 1"):
            forecast([*curve(0.9, 1, 0.5), point], seed=0)
    with pytest.raises(ValueError, match="one text"):
        forecast(curve(0.9, 1, 0.5), seed=0, samples=20).at(0)


def test_going_on_is_advised_while_it_brings_something():
    found = forecast(curve(0.92, 1.5, 0.5), seed=0)
    told = advise(found, target=0.88, round_texts=50, standard_error=0.005, seconds_a_text=9.0)
    assert told.advised == "go_on"
    assert told.gain.value == pytest.approx(1.5 * (320**-0.5 - 420**-0.5), abs=0.002)
    low, high = told.hours
    assert low <= (1406 - 320) * 9 / 3600 <= high
    assert "100 more texts" in told.reason and "0.880" in told.reason
    assert advise(found, target=0.88, round_texts=50, standard_error=None).hours is None


def test_stopping_is_advised_where_nobody_could_tell_the_gain():
    found = forecast(curve(0.8, 3, 1.0), seed=0)
    told = advise(found, target=None, round_texts=20, standard_error=0.02)
    assert (told.advised, told.reach, told.hours) == ("stop", None, None)
    assert "standard error of 0.020" in told.reason


def test_a_target_within_reach_is_no_reason_to_stop_though_the_next_texts_bring_little():
    points = [Point(n, 1 - 0.15 * (n / 378) ** -0.3) for n in (47, 66, 94, 133, 189, 267, 378)]
    found = forecast(points, seed=0)
    more = {"standard_error": 0.026, "round_texts": 10, "seconds_a_text": None}
    assert advise(found, target=None, **more).advised == "stop"
    told = advise(found, target=0.9, **more)
    assert (told.advised, told.reach.outlook) == ("go_on", "within_reach")
    assert "about" in told.reason and "0.900" in told.reason


def test_a_gain_that_few_judged_texts_cannot_show_is_no_reason_to_stop():
    found = forecast(curve(0.92, 1.5, 0.5), seed=0)
    told = advise(found, target=0.88, round_texts=200, standard_error=0.11)
    assert told.advised == "go_on" and 0.02 < told.gain.value < 0.11
    assert "so few judged texts" in told.reason and "0.110" in told.reason


def test_a_target_above_the_ceiling_is_said_to_be_out_of_reach():
    found = forecast(curve(0.8, 3, 1.0), seed=0)
    told = advise(found, target=0.9, round_texts=20, standard_error=0.001, seconds_a_text=5.0)
    assert told.advised == "change_recipe" and told.hours is None
    assert "will not get there" in told.reason
    reached = advise(found, target=0.7, round_texts=20, standard_error=0.001, seconds_a_text=5.0)
    assert reached.advised == "reached" and reached.hours is None
