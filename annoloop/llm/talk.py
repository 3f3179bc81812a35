"""What was said to an LLM and came back, for one question: every request made for it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from annoloop.llm.answers import PAID, Prompt, Status
from annoloop.types import LLMCall


@dataclass(slots=True)
class Talk:
    """One question and every request made for it."""

    prompt: Prompt
    key: str
    calls: list[LLMCall] = field(default_factory=list)
    repairing: bool = False

    def judge(self, status: Status, reason: str) -> None:
        """What the last request's answer was worth; `reason` is in our words, never in the answer's."""
        self.calls[-1] = replace(self.calls[-1], status=status, reason=reason)

    def sum(self, name: str) -> int | None:
        """A count over all calls; None where no server counted."""
        told = [value for call in self.calls if (value := getattr(call, name)) is not None]
        return sum(told) if told else None

    @property
    def cost(self) -> float | None:
        """Money for all answers; None where it is unknown for one of them."""
        costs = [call.cost for call in self.calls if call.status in PAID]
        return None if None in costs else sum(cost for cost in costs if cost is not None)
