"""How long people looked at texts, as one figure for all that tell it."""

from __future__ import annotations

from annoloop.steps.evidence.pace import Pace


def minutes_of_people(figures: Pace) -> float | None:
    """Minutes that people spent on all answers, without breaks; None where nobody's time is known.

    The simulated expert is nobody, and of imported labels nobody knows how long they took.
    """
    return sum(person.minutes for person in figures.people if not person.simulated) or None
