"""Asking a reviewer to look again at gold that is likely wrong.

Only pool texts are doubted by what other texts say. Held-out and dev texts come back to a reviewer where
people differ, and for no other reason: were a model to say which of their labels to look at, and a reviewer
to follow it now and then, the gold would drift towards what models say, and the verdict with it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from annoloop.errors import AnnoloopError
from annoloop.evaluation.label_errors import Suspect, category_suspects, span_suspects
from annoloop.evaluation.scores import FloatArray
from annoloop.project import Project
from annoloop.store.doubts import DOUBTS_FACT
from annoloop.types import LabelScheme, PoolGold

LEAST_GOLD = 50
"""Gold texts below which a ranking is worth nobody's time."""


@dataclass(frozen=True, slots=True)
class LookAgain:
    """What was sent to a reviewer, the most doubtful first; `doubted` texts were doubted at all."""

    sent: tuple[Suspect, ...]
    doubted: int
    gold_texts: int

    def to_json(self) -> dict[str, Any]:
        """Plain values, as `--json` prints them."""
        return {
            "gold_texts": self.gold_texts,
            "doubted": self.doubted,
            "sent": [
                {
                    "input_hash": one.gold.example.input_hash,
                    "confidence": one.confidence,
                    "label": one.label,
                    "expected": one.expected,
                    "reason": one.reason,
                }
                for one in self.sent
            ],
        }


def suspects(project: Project) -> tuple[Suspect, ...]:
    """Pool gold whose label is doubted, the most doubtful first; what a reviewer decided is left out.

    Raises:
        AnnoloopError: there is too little gold.
    """
    gold = project.pool_gold()
    if len(gold) < LEAST_GOLD:
        raise AnnoloopError(
            f"{len(gold)} texts of the pool have gold: too few to say which labels are odd",
            hint=f"label at least {LEAST_GOLD}",
        )
    decided = {answer.input_hash for answer in project.store.answers_in_force() if answer.adjudicated}
    found = (
        span_suspects(project.scheme, gold)
        if project.scheme.has_spans
        else category_suspects(
            project.scheme, gold, ProxyReader(project.scheme, project.settings.training.seed), seed=0
        )
    )
    return tuple(one for one in found if one.gold.example.input_hash not in decided)


def look_again(project: Project, *, top: int = 50) -> LookAgain:
    """Send the `top` most doubtful texts of the pool to a reviewer, with what people said and the reason.

    Nothing is changed: the gold stands until a reviewer decides, and a decision can be taken back. A text
    that waits already is not sent twice.

    Raises:
        AnnoloopError: there is too little gold.
    """
    found = suspects(project)
    store, sent = project.store, []
    doubts = dict(store.fact(DOUBTS_FACT) or {})
    for one in found[:top]:
        task = project.task(one.gold.example, number=0)
        if not store.tasks_by_hash([task.task_hash]):
            # Gold that came with the texts: the decision needs a question to belong to.
            store.add_tasks([task])
        if store.send_to_review(task.task_hash):
            doubts[one.gold.example.input_hash] = {
                "label": one.label,
                "expected": one.expected,
                "surface": one.surface,
                "agreeing": one.agreeing,
                "places": one.places,
                "likelier": one.likelier,
                "alone": one.alone,
                "confidence": round(one.confidence, 4),
            }
            sent.append(one)
    store.set_fact(DOUBTS_FACT, doubts)
    return LookAgain(tuple(sent), len(found), len(project.pool_gold()))


@dataclass(frozen=True)
class ProxyReader:
    """The cheap stand-in for the model that ranks the pool, as `category_suspects` takes it."""

    scheme: LabelScheme
    seed: int

    def __call__(self, gold: PoolGold, texts: Sequence[str]) -> FloatArray | None:
        """(texts, labels) probabilities of the texts; None where the gold cannot teach."""
        from annoloop.selection.proxy import Proxy

        proxy = Proxy([*(item.example.text for item in gold), *texts])
        read = proxy.probabilities(gold, scheme=self.scheme, seed=self.seed)
        return None if read is None else read[len(gold) :]
