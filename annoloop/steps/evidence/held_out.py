"""What the newest evaluation says of the model itself: is it worth using, and cheaper than the LLM?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from annoloop.evaluation.scores import scores_of_json
from annoloop.evaluation.trivial import BEYOND_CHANCE, Trivial, beyond_chance, is_better, trivial
from annoloop.project import Project
from annoloop.steps.evaluate import EVALUATION_FACT
from annoloop.steps.evidence.gold_counts import gold_counts


@dataclass(frozen=True, slots=True)
class Worth:
    """How the model stands to the answer that is the same for every text, on the held-out texts.

    `than` is that answer, None where no model was judged. `better`: the whole interval of the model's score
    lies above it. `by_chance`: its answers would not surprise from a lot either; with a rare label a model
    that is right about it may long not be `better`. `missing` is how many texts more the gate asks for.
    """

    than: Trivial | None
    better: bool
    by_chance: bool
    missing: int

    @property
    def trivial(self) -> bool:
        """Whether it was judged, and shows nothing that the same answer for every text has not."""
        return self.than is not None and not self.better and self.by_chance

    @property
    def using(self) -> bool:
        """Whether the model may be used on no other ground than its own score."""
        return self.better and not self.missing


def worth(project: Project) -> Worth:
    """The newest evaluation's model beside the trivial answer."""
    row = _judged(project).get("model")
    if row is None or "per_label" not in row:
        return Worth(None, better=False, by_chance=True, missing=0)
    counts, scores = gold_counts(project), scores_of_json(row)
    than = trivial(project.scheme, counts.labels["pool"], counts.texts["pool"], scores)
    better = is_better(project.scheme, scores, than)
    by_chance = beyond_chance(project.scheme, scores) < BEYOND_CHANCE
    return Worth(than, better, by_chance, max(project.settings.gate.min_texts - scores.texts, 0))


def cheaper(project: Project) -> bool:
    """Whether the model is known to cost less than the LLM; no cost is known of imported answers."""
    rows = _judged(project)
    model, llm = (rows.get(name, {}).get("cost") for name in ("model", "llm"))
    return model is not None and llm is not None and model < llm


def _judged(project: Project) -> dict[str, Mapping[str, Any]]:
    judged = project.store.fact(EVALUATION_FACT)
    return {row["approach"]: row for row in judged["leaderboard"]} if judged else {}
