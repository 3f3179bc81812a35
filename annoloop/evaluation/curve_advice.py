"""What a learning curve says about going on: is the target near, is it time to stop, does anything learn?"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from annoloop.evaluation.forecast import FAR, Forecast, Range, Reach, gain_of
from annoloop.evaluation.trivial import Standing, Trivial

SMALL_GAIN = 0.02
"""No larger gain is given up because the judged texts are too few to show it; the gate's margin."""

Advised = Literal["reached", "go_on", "stop", "change_recipe", "look_at_labels"]


@dataclass(frozen=True, slots=True)
class Advice:
    """What to do next and why. `gain` is what the texts of two more rounds would bring.

    `hours` to the target is (low, high) of one person's labelling from now on, None where pace or texts
    are not known. "look_at_labels": nothing is learned, so more of the same labels will not help.
    """

    advised: Advised
    reason: str
    gain: Range
    reach: Reach | None
    hours: tuple[float, float] | None


def advise(
    found: Forecast,
    *,
    target: float | None,
    round_texts: int,
    standard_error: float | None,
    seconds_a_text: float | None = None,
    target_name: str = "",
) -> Advice:
    """What a curve says about going on. `target` is the score to pass, None where there is none.

    Stop where two more rounds of `round_texts` each would bring less than `SMALL_GAIN` and less than the
    score's `standard_error`: nobody could tell the models apart. A larger gain that few judged texts cannot
    show is no reason to stop, but to judge by more. Where the target is out of reach, labelling on is no help
    either. `target_name` tells in the reason whose target it is.
    """
    gain = gain_of(found, 2 * round_texts)
    reach = None if target is None else found.reach(target)
    hours = _hours(reach, found.seen, seconds_a_text)
    advised = _advised(gain, reach, standard_error)
    aim = "" if reach is None else f"{reach.target:.3f}{f' ({target_name})' if target_name else ''}"
    reason = _reason(advised, found, gain, reach, aim, 2 * round_texts, standard_error)
    return Advice(advised, reason, gain, reach, hours)


def beside_trivial(advice: Advice, standing: Standing, than: Trivial, *, seen: int) -> Advice:
    """The advice of a model that learned from `seen` texts, after a look at the trivial answer.

    A task of which nothing is learned has no target in reach, whatever curves of other tasks do, and one
    of which nobody can tell yet has none that can be named.
    """
    if standing == "better":
        return advice
    if standing == "learning":
        return replace(advice, reason=f"{advice.reason} It is not yet better than {than}.")
    if standing == "no_better":
        reason = (
            f"The model does no better than {than} and has not grown better up to {seen:,} texts: look at "
            "the labels or the guidelines first, before more texts are labelled."
        )
        return replace(advice, advised="look_at_labels", reason=reason, reach=None, hours=None)
    reason = (
        f"Go on for now: with {seen:,} texts the model is not yet better than {than}, and so few, or so few "
        "dev texts, do not tell whether it will be."
    )
    return replace(advice, advised="go_on", reason=reason, reach=None, hours=None)


def _advised(gain: Range, reach: Reach | None, standard_error: float | None) -> Advised:
    if reach is not None and reach.outlook == "reached":
        return "reached"
    if reach is not None and reach.outlook == "out_of_reach":
        return "change_recipe"
    near = reach is not None and reach.outlook == "within_reach"
    if not near and standard_error is not None and gain.value < min(standard_error, SMALL_GAIN):
        return "stop"
    return "go_on"


def _reason(
    advised: Advised,
    found: Forecast,
    gain: Range,
    reach: Reach | None,
    aim: str,
    more: int,
    standard_error: float | None,
) -> str:
    brings = f"{more} more texts would bring about {gain.value:+.3f}"
    if advised == "reached":
        return f"The curve has reached the target of {aim} with {found.seen} texts; {brings}."
    if advised == "change_recipe":
        far = found.at(FAR * found.seen)
        return (
            f"This recipe will not get there: {FAR} times the gold would bring it to {far.value:.3f}, at "
            f"most {far.high:.3f}, and the target is {aim}. "
            "Try word vectors or a transformer, or review the labels."
        )
    error = "" if standard_error is None else f"the score's standard error of {standard_error:.3f}"
    if advised == "stop":
        return f"Stop or change something: {brings}, less than {error}."
    hidden = standard_error is not None and gain.value < standard_error
    unseen = f", less than so few judged texts can show ({error}): label more of those too" if hidden else ""
    return f"Go on: {brings}{unseen}{_takes(reach, aim, found.seen)}."


def _takes(reach: Reach | None, aim: str, seen: int) -> str:
    if reach is None:
        return ""
    if reach.texts is None:
        return f"; whether the target of {aim} can be reached is open"
    most = f"{reach.high - seen:,}" if reach.high is not None else "no known end"
    least = max((reach.low or seen) - seen, 0)
    return f"; the target of {aim} takes about {reach.texts - seen:,} more, 95 % interval {least:,} to {most}"


def _hours(reach: Reach | None, seen: int, seconds: float | None) -> tuple[float, float] | None:
    if reach is None or seconds is None or reach.outlook == "reached":
        return None
    if reach.low is None or reach.high is None:
        return None
    low, high = (max(texts - seen, 0) * seconds / 3600 for texts in (reach.low, reach.high))
    return low, high
