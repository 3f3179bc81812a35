"""Money for an LLM: what a call costs, what a run will cost, and the limit that a run never passes."""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

CHARACTERS_PER_TOKEN = 3.2
"""Until a model's own calls have told: low for English and German, so that an estimate errs upwards."""
COMPLETION_TOKENS = 60.0
"""Tokens of an answer, until a model's own calls have told."""
TURN_TOKENS = 16
"""What a chat's form adds to each turn, at most."""


@dataclass(frozen=True, slots=True)
class Prices:
    """Money per million tokens, and of which day the prices are. `cached` is for tokens the server knew."""

    input: float
    output: float
    cached: float | None = None
    date: str | None = None

    def of(self, prompt: int | None, cached: int | None, completion: int | None) -> float | None:
        """What a call cost; `cached` of its prompt tokens have their own price. None where tokens are."""
        if prompt is None or completion is None:
            return None
        known = min(cached or 0, prompt) if self.cached is not None else 0
        spent = (prompt - known) * self.input + known * (self.cached or 0.0) + completion * self.output
        return spent / 1e6

    def most(self, body: Mapping[str, Any]) -> float:
        """What this request can cost at most.

        No token of a text is shorter than a byte, so that the bytes of turns and schema bound the prompt's.
        """
        turns = body["messages"]
        prompt = sum(len(turn["content"].encode("utf-8", "surrogatepass")) + TURN_TOKENS for turn in turns)
        prompt += len(json.dumps(body.get("response_format") or {}, ensure_ascii=False).encode())
        limits = (body.get("max_tokens"), body.get("max_completion_tokens"))
        completion = max((limit for limit in limits if isinstance(limit, int)), default=0)
        return (prompt * self.input + int(body.get("n") or 1) * completion * self.output) / 1e6

    def to_json(self) -> dict[str, Any]:
        """As the ledger keeps them beside each cost."""
        return {"input": self.input, "cached": self.cached, "output": self.output, "date": self.date}


FREE = Prices(0.0, 0.0)
"""The prices of a model on this machine's own processor."""


class Budget:
    """Money that a run may spend: each request has what it can cost at most put aside before it is sent.

    Safe to use from several threads. Without `max_cost` it only counts.
    """

    def __init__(self, max_cost: float | None = None) -> None:
        self.max_cost = max_cost
        self.exhausted = False
        self._spent = self._reserved = 0.0
        self._changed = threading.Condition()

    @property
    def spent(self) -> float:
        """Money spent; where a server did not tell its tokens, what the request could cost at most."""
        return self._spent

    @property
    def told(self) -> str:
        """Why nothing more is asked, in words."""
        limit = "" if self.max_cost is None else f" = {self.max_cost:g}"
        return f"the next call could pass max_cost{limit}, {self._spent:.4f} is spent"

    def reserve(self, most: float) -> bool:
        """Put aside what a request can cost; False, for good, where that would pass the limit.

        Waits while requests under way may turn out cheap enough to leave room for it.
        """
        with self._changed:
            if self.max_cost is None:
                return True
            while not self.exhausted and self._spent + self._reserved + most > self.max_cost:
                if self._reserved <= 0 or self._spent + most > self.max_cost:
                    self.exhausted = True
                    self._changed.notify_all()
                else:
                    self._changed.wait()
            if not self.exhausted:
                self._reserved += most
            return not self.exhausted

    def settle(self, most: float, cost: float | None) -> None:
        """Give back what was put aside and count what was spent; None counts as all of it."""
        with self._changed:
            if self.max_cost is not None:
                self._reserved -= most
                # Sums of fractions leave a rest that would look like a request under way.
                self._reserved = self._reserved if self._reserved > 1e-12 else 0.0
            self._spent += most if cost is None else cost
            self._changed.notify_all()


class Rehearsal:
    """A run that sends nothing and counts what it would have sent: in a budget's place.

    `characters` are those of prompts that nobody answered yet, `calls` how many those are, `kept` the ones
    whose answers are kept, `most` the money that the calls could cost at most without repeats.
    """

    def __init__(self) -> None:
        self.calls = self.kept = self.characters = 0
        self.most = 0.0

    def note(self, characters: int, most: float | None) -> None:
        """Count a question that would be asked."""
        self.calls += 1
        self.characters += characters
        self.most += most or 0.0


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a run would take: `calls` questions, of which `kept` more are answered already at no cost.

    Tokens and `cost` are expected ones; `most` is the bound that no run without repeats passes. Money is
    None where the price is unknown, else of the day `price_date`. `learned` says that the model's earlier
    calls were gone by, not general ratios.
    """

    calls: int
    kept: int
    characters: int
    prompt_tokens: int
    completion_tokens: int
    cost: float | None
    most: float | None
    price_date: str | None
    learned: bool


def estimate(
    rehearsal: Rehearsal,
    prices: Prices | None,
    *,
    characters_per_token: float | None = None,
    completion_tokens: float | None = None,
) -> Estimate:
    """What the rehearsed questions would take, by what is typical of the model's calls where known."""
    learned = characters_per_token is not None and completion_tokens is not None
    prompt = round(rehearsal.characters / (characters_per_token or CHARACTERS_PER_TOKEN))
    answered = COMPLETION_TOKENS if completion_tokens is None else completion_tokens
    completion = round(rehearsal.calls * answered)
    return Estimate(
        calls=rehearsal.calls,
        kept=rehearsal.kept,
        characters=rehearsal.characters,
        prompt_tokens=prompt,
        completion_tokens=completion,
        cost=None if prices is None else prices.of(prompt, 0, completion),
        most=None if prices is None else rehearsal.most,
        price_date=None if prices is None else prices.date,
        learned=learned,
    )
