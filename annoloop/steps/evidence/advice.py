"""The one thing to do next: which label lacks examples, and what the next labels would bring."""

from __future__ import annotations

import shlex
from dataclasses import asdict, dataclass
from typing import Any

from annoloop.evaluation.curve_advice import Advised
from annoloop.evaluation.forecast import Point, Range, gain_of, rises
from annoloop.evaluation.trivial import Standing, Trivial
from annoloop.project import Project
from annoloop.steps.evidence.gold_counts import gold_counts
from annoloop.steps.evidence.looks import PLAN_FACT
from annoloop.steps.evidence.stop_set import agreements, settled
from annoloop.steps.evidence.train_curve import MORE, TrainCurve, kept_curve, rounds_forecast, stands
from annoloop.types import Round

FEWEST_ERRORS = 3
"""Mistakes of a label on dev below which chance alone may have made it the worst."""

FEW_EXAMPLES = 30
"""A label with as many that dev lacks is in want of dev texts, not of examples."""

PLENTY = 10_000
"""More texts than this are not counted one by one."""


@dataclass(frozen=True, slots=True)
class LabelNeed:
    """A label of the newest model on dev, and what `MORE` further examples of it might mend.

    `examples` counts it in the training gold. `mends` estimates the mistakes that would go: errors fall with
    the square root of a label's examples, the middle of what learning curves show. None: dev has no gold of
    the label, so that nothing of it is judged.
    """

    label: str
    examples: int
    precision: float | None
    recall: float | None
    errors: int
    mends: float | None

    @property
    def f(self) -> float:
        """F on dev; 0 where nothing of it was found."""
        p, r = self.precision or 0.0, self.recall or 0.0
        return 2 * p * r / (p + r) if p + r else 0.0

    def __str__(self) -> str:
        if self.mends is None:
            number = f"{self.examples} example{'s' * (self.examples != 1)}"
            return f"{self.label} ({number} in the training gold, none on dev, so not judged)"
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

    Those that dev has no gold of come before all others, the rarest first: nobody knows what they lack.
    Judged on dev: held-out results must not steer what is labelled, or the verdict would be of a model
    fitted to the texts that judge it.
    """
    record = newest_round(project)
    if record is None or record.dev is None:
        return ()
    examples = gold_counts(project).labels["pool"]
    unjudged, needs = [], []
    for label in project.scheme.labels:
        counts, seen = record.dev.per_label.get(label), examples.get(label, 0)
        if counts is None or not counts.tp + counts.fn:
            unjudged.append(LabelNeed(label, seen, None, None, counts.fp if counts else 0, None))
            continue
        errors = counts.fn + counts.fp
        mends = errors * (1 - (max(seen, 1) / (max(seen, 1) + MORE)) ** 0.5)
        needs.append((mends, LabelNeed(label, seen, counts.precision, counts.recall, errors, mends)))
    unjudged.sort(key=lambda need: need.examples)
    return (*unjudged, *(need for _, need in sorted(needs, key=lambda one: -one[0])))


def newest_round(project: Project) -> Round | None:
    """The newest round that has a model."""
    trained = [record for record in project.store.rounds() if record.model is not None]
    return trained[-1] if trained else None


def next_labels(project: Project) -> Range | None:
    """What `MORE` more texts would bring, from the curve of `train-curve` or else of the rounds."""
    return _next_labels(project, _current(project))


def against(project: Project) -> tuple[Advised, str] | None:
    """What speaks against labelling on as before, and why; None where nothing does.

    The target is reached, or out of this recipe's reach; more labels change little; or nothing is learned.
    """
    return _against(project, _current(project))


def what_to_label(project: Project) -> str:
    """The most useful next step of a model that is not there yet, in one line."""
    curve = _current(project)
    found, seek = _against(project, curve), _lacking(project, curve)
    if found is not None and found[0] != "reached":
        return found[1]
    above_all = f", above all with {seek}" if seek else ""
    if not unasked(project):
        return f"add texts{above_all}; the pool has none left to ask about: annoloop add PROJECT FILE"
    gain = _next_labels(project, curve) if _learns(project, curve) else None
    how = loop_command(project, seek)
    brings = "" if gain is None else f"; {MORE} more texts bring about {gain.value:+.3f}"
    return f"label {_amount(curve)}{above_all}{brings}: {how}{_short_of(project, curve)}"


def loop_command(project: Project, seek: LabelNeed | None = None) -> str:
    """The command that asks on: one round more where all that were planned are done."""
    record, planned = newest_round(project), project.store.fact(PLAN_FACT) or project.settings.gate.rounds
    done = record is not None and record.number >= planned
    further = f" --max-rounds {record.number + 1}" if record is not None and done else ""
    return f"annoloop loop PROJECT{f' --seek {shlex.quote(seek.label)}' if seek else ''}{further}"


def outlook(project: Project) -> str | None:
    """Whether to go on, in one line from what is known already; None where nothing is."""
    curve = _current(project)
    found, seek = _against(project, curve), _lacking(project, curve)
    if found is not None:
        # Of what is not learned only a label without examples to judge it by stands out.
        absent = found[0] == "look_at_labels" and seek is not None
        return f"{found[1].rstrip('.')}; most lacking: {seek}" if absent else found[1]
    parts = []
    than, how = _standing(project, curve)
    gain = _next_labels(project, curve)
    if how == "not_yet":
        parts.append(f"not yet better than {than} on dev, with too few texts to tell whether it will be")
    elif gain is not None:
        parts.append(
            f"{MORE} more texts would bring about {gain.value:+.3f} "
            f"(95 % interval {gain.low:+.3f} to {gain.high:+.3f})"
        )
    if seek is not None:
        parts.append(f"most lacking: {seek}")
    return "; ".join(parts) or None


def lacking(project: Project) -> LabelNeed | None:
    """The label that lacks examples most, of those below the model's score; None where none stands out.

    First one that dev has none of. Where nothing is learned yet, no label is worse than the others.
    """
    return _lacking(project, _current(project))


def unasked(project: Project) -> int:
    """Texts of the pool that nobody was asked about; of very many a lower bound."""
    store = project.store
    asked = sum(done + still for done, still in store.progress().per_round.values())
    least = store.example_counts()["pool"] - asked - store.answer_count()
    return least if least > PLENTY else len(store.unasked("pool"))


def short_of(project: Project) -> str:
    """That the pool holds fewer texts than the target takes, to be put behind a step; else nothing."""
    return _short_of(project, _current(project))


def _current(project: Project) -> TrainCurve | None:
    curve = kept_curve(project)
    return curve if curve is not None and curve.current else None


def _standing(project: Project, curve: TrainCurve | None) -> tuple[Trivial | None, Standing | None]:
    """How the curve, else the newest model, stands to the trivial answer on dev; None where none is judged.

    The rounds' own models say whether scores rise, where there are enough of them.
    """
    if curve is not None:
        return curve.trivial, curve.standing
    judged = [record for record in project.store.rounds() if record.dev and record.dev.score is not None]
    record = newest_round(project)
    if record is None or record.dev is None or record.dev.score is None:
        return None, None
    points = [Point(one.gold_texts, one.dev.score) for one in judged if one.dev and one.dev.score is not None]
    return stands(project, record.dev, record.gold_texts, rises=rises([p for p in points if p.gold_texts]))


def _learns(project: Project, curve: TrainCurve | None) -> bool:
    """Whether nothing says that the model has not begun to learn."""
    return _standing(project, curve)[1] in ("better", "learning", None)


def _against(project: Project, curve: TrainCurve | None) -> tuple[Advised, str] | None:
    stop = settled(agreements(project))
    if curve is not None and curve.advice.advised != "go_on":
        return curve.advice.advised, curve.advice.reason
    than, how = _standing(project, curve)
    if how == "no_better":
        return "look_at_labels", (
            f"the newest model does no better than {than} on dev: look at the labels or the guidelines first "
            "(annoloop train-curve PROJECT tells whether more texts help)"
        )
    return ("stop", stop) if stop is not None else None


def _next_labels(project: Project, curve: TrainCurve | None) -> Range | None:
    found = curve.forecast if curve is not None else rounds_forecast(project)
    return None if found is None else gain_of(found, MORE)


def _lacking(project: Project, curve: TrainCurve | None) -> LabelNeed | None:
    record, needs = newest_round(project), label_needs(project)
    if len(needs) < 2 or record is None or record.dev is None or record.dev.score is None:
        return None
    if needs[0].mends is None and needs[0].examples < FEW_EXAMPLES:
        return needs[0]
    if not _learns(project, curve):
        return None
    score = record.dev.score
    below = [n for n in needs if n.mends is not None and n.errors >= FEWEST_ERRORS and n.f < score]
    return below[0] if below else None


def _short_of(project: Project, curve: TrainCurve | None) -> str:
    wanted = _wanted(curve)
    left = None if wanted is None else unasked(project)
    if wanted is None or left is None or left >= wanted:
        return ""
    return f" (the pool has {left} left and about {wanted:,} more are needed: add texts)"


def _wanted(curve: TrainCurve | None) -> int | None:
    """Further texts that the target takes, where it is known and not reached."""
    reach = curve.advice.reach if curve else None
    if curve is None or reach is None or reach.texts is None or reach.outlook == "reached":
        return None
    return reach.texts - curve.forecast.seen


def _amount(curve: TrainCurve | None) -> str:
    reach, wanted = curve.advice.reach if curve else None, _wanted(curve)
    if reach is None or wanted is None:
        return "another round"
    return f"about {wanted:,} more texts (forecast to {reach.target:.3f})"
