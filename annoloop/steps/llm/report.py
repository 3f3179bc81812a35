"""What the LLM cost so far, by what for, and what the trained model costs beside it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from annoloop.project import Project
from annoloop.steps.evidence.pace import pace
from annoloop.steps.evidence.people_time import minutes_of_people
from annoloop.steps.evidence.verdict import LEADERBOARD_FACT
from annoloop.store.ledger import Spend


@dataclass(frozen=True, slots=True)
class ModelCost:
    """What the newest judged model takes: no money, this machine's time, and what people gave.

    `texts_per_second` was measured on this machine when it was judged. `human_minutes` is what people have
    spent on all answers so far, None where nobody's time is known.
    """

    name: str
    cost_per_1000: float
    texts_per_second: float | None
    human_minutes: float | None


@dataclass(frozen=True, slots=True)
class SpendReport:
    """Sums of all calls by purpose, round and model; and those of all together."""

    rows: tuple[Spend, ...]
    total: Spend
    model: ModelCost | None

    def to_json(self) -> dict[str, Any]:
        """As plain values, each row with its cost per 1,000 texts."""
        return {
            "rows": [_row(row) for row in self.rows],
            "total": _row(self.total),
            "model": None if self.model is None else asdict(self.model),
        }


def cost_per_1000(spend: Spend) -> float | None:
    """Money per 1,000 different texts; None where a price is unknown or there was no text."""
    if spend.cost is None or spend.unpriced or not spend.texts:
        return None
    return 1000 * spend.cost / spend.texts


def spend_report(project: Project) -> SpendReport:
    """What the project's LLMs cost so far, as the ledger tells."""
    store = project.store
    judged = store.fact(LEADERBOARD_FACT) or ()
    model = next((row for row in judged if row["approach"] == "model"), None)
    return SpendReport(
        store.spend(),
        store.spend_in_all(),
        None
        if model is None
        else ModelCost(
            str(model["name"]), 0.0, model.get("texts_per_second"), minutes_of_people(pace(project))
        ),
    )


def _row(spend: Spend) -> dict[str, Any]:
    return {**asdict(spend), "cost_per_1000": cost_per_1000(spend)}
