"""The one thing to do next: which label lacks examples, and what the next labels would bring."""

from __future__ import annotations

import shlex
from dataclasses import asdict, dataclass
from typing import Any

from annoloop.evaluation.forecast import Range, gain_of
from annoloop.project import Project
from annoloop.steps.evidence.gold_counts import gold_counts
from annoloop.steps.evidence.stop_set import agreements, settled
from annoloop.steps.evidence.train_curve import MORE, TrainCurve, kept_curve, rounds_forecast
from annoloop.types import Round

FEWEST_ERRORS = 3
"""Mistakes of a label on dev below which chance alone may have made it the worst."""


@dataclass(frozen=True, slots=True)
class LabelNeed:
    """A label of the newest model on dev, and what `MORE` further examples of it might mend.

    `examples` counts it in the training gold. `mends` estimates the mistakes that would go: errors fall with
    the square root of a label's examples, the middle of what learning curves show.
    """

    label: str
    examples: int
    precision: float | None
    recall: float | None
    errors: int
    mends: float

    @property
    def f(self) -> float:
        """F on dev; 0 where nothing of it was found."""
        p, r = self.precision or 0.0, self.recall or 0.0
        return 2 * p * r / (p + r) if p + r else 0.0

    def __str__(self) -> str:
        recall = "–" if self.recall is None else f"{self.recall:.2f}"
        precision = "–" if self.precision is None else f"{self.precision:.2f}"
        return (
            f"{self.label} ({self.examples} examples in the training gold, recall {recall} and precision "
            f"{precision} on dev)"
        )

    def to_json(self) -> dict[str, Any]:
        """Plain values, as `--json` prints them."""
        return asdict(self)


def label_needs(project: Project) -> tuple[LabelNeed, ...]:
    """Labels by what more examples of them would mend, the most first; empty before the first model.

    Judged on dev: held-out results must not steer what is labelled, or the verdict would be of a model
    fitted to the texts that judge it.
    """
    record = newest_round(project)
    if record is None or record.dev is None:
        return ()
    examples = gold_counts(project).labels["pool"]
    needs = []
    for label in project.scheme.labels:
        counts, seen = record.dev.per_label.get(label), examples.get(label, 0)
        if counts is None or not counts.tp + counts.fn:
            continue
        errors = counts.fn + counts.fp
        mends = errors * (1 - (max(seen, 1) / (max(seen, 1) + MORE)) ** 0.5)
        needs.append(LabelNeed(label, seen, counts.precision, counts.recall, errors, mends))
    return tuple(sorted(needs, key=lambda need: -need.mends))


def newest_round(project: Project) -> Round | None:
    """The newest round that has a model."""
    trained = [record for record in project.store.rounds() if record.model is not None]
    return trained[-1] if trained else None


def next_labels(project: Project) -> Range | None:
    """What `MORE` more texts would bring, from the curve of `train-curve` or else of the rounds."""
    curve = _current(project)
    found = curve.forecast if curve is not None else rounds_forecast(project)
    return None if found is None else gain_of(found, MORE)


def what_to_label(project: Project) -> str:
    """The most useful next step of a model that is not there yet, in one line."""
    curve, stop = _current(project), settled(agreements(project))
    if curve is not None and curve.advice.advised in ("change_recipe", "stop"):
        return curve.advice.reason
    if stop is not None:
        return stop
    seek, gain = lacking(project), next_labels(project)
    how = f"annoloop loop PROJECT{f' --seek {shlex.quote(seek.label)}' if seek else ''}"
    what = f"label {_amount(curve)}{f', above all with {seek}' if seek else ''}"
    brings = "" if gain is None else f"; {MORE} more texts bring about {gain.value:+.3f}"
    return f"{what}{brings}: {how}"


def outlook(project: Project) -> str | None:
    """Whether to go on, in one line from what is known already; None where nothing is."""
    curve, stop = _current(project), settled(agreements(project))
    if curve is not None and curve.advice.advised in ("reached", "change_recipe", "stop"):
        return curve.advice.reason
    if stop is not None:
        return stop
    gain, seek = next_labels(project), lacking(project)
    parts = []
    if gain is not None:
        parts.append(
            f"{MORE} more texts would bring about {gain.value:+.3f} "
            f"(95 % interval {gain.low:+.3f} to {gain.high:+.3f})"
        )
    if seek is not None:
        parts.append(f"most lacking: {seek}")
    return "; ".join(parts) or None


def _current(project: Project) -> TrainCurve | None:
    curve = kept_curve(project)
    return curve if curve is not None and curve.current else None


def lacking(project: Project) -> LabelNeed | None:
    """The label that lacks examples most, of those below the model's score; None where none stands out."""
    record, needs = newest_round(project), label_needs(project)
    if len(needs) < 2 or record is None or record.dev is None or record.dev.score is None:
        return None
    score = record.dev.score
    below = [n for n in needs if n.errors >= FEWEST_ERRORS and n.f < score]
    return below[0] if below else None


def _amount(curve: TrainCurve | None) -> str:
    reach = curve.advice.reach if curve else None
    if curve is None or reach is None or reach.texts is None or reach.outlook == "reached":
        return "another round"
    return f"about {reach.texts - curve.forecast.seen:,} more texts (forecast to {reach.target:.3f})"
