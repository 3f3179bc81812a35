"""What goes to an LLM and comes back: strings that carry more, so that every spacy-llm part takes them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from annoloop.errors import LLMError
from annoloop.types import Annotation, LLMCall

Status = Literal["ok", "refusal", "malformed", "failed", "budget", "not_sent"]
Message = Mapping[str, str]

PAID: tuple[Status, ...] = ("ok", "refusal", "malformed")
"""Statuses of answers that came and may have cost something: they are kept and never asked for again."""

UNASKED: tuple[Status, ...] = ("budget", "not_sent")
"""Statuses of texts that nobody was asked about: no failures, and nothing to keep."""


class Malformed(ValueError):  # noqa: N818 - names the status
    """An answer came but is not what was asked for; the text says why, in words that the LLM can act on."""


class NotAnsweredError(LLMError):
    """spacy-llm's way of a document that got no answer: an error for this document, never "no entities"."""


class AnswerCache(Protocol):
    """Where answers are kept. The engine calls both from its own threads, one call at a time."""

    def get(self, key: str) -> Mapping[str, Any] | None:
        """The kept answer under this key, None where there is none."""

    def put(self, key: str, answer: Mapping[str, Any]) -> None:
        """Keep an answer so that it outlives the process; called before the answer is handed on."""


class Ledger(AnswerCache, Protocol):
    """A cache that also keeps the calls, and takes many at once: one transaction for all that are ready."""

    def get_many(self, keys: Sequence[str]) -> Mapping[str, Mapping[str, Any]]:
        """The kept answers under these keys."""

    def put_many(self, answers: Mapping[str, Mapping[str, Any]], calls: Sequence[LLMCall]) -> None:
        """Keep answers by key, and these calls, all of them or nothing."""


class MemoryCache(dict[str, Mapping[str, Any]]):
    """An `AnswerCache` that lives as long as the process."""

    def put(self, key: str, answer: Mapping[str, Any]) -> None:
        """Keep an answer."""
        self[key] = dict(answer)


def kept_answers(cache: AnswerCache, keys: Sequence[str]) -> Mapping[str, Mapping[str, Any]]:
    """What a cache keeps under these keys."""
    if hasattr(cache, "get_many"):
        found: Mapping[str, Mapping[str, Any]] = cache.get_many(keys)
        return found
    each = ((key, cache.get(key)) for key in keys)
    return {key: answer for key, answer in each if answer is not None}


def keep_answers(
    cache: AnswerCache, answers: Mapping[str, Mapping[str, Any]], calls: Sequence[LLMCall]
) -> None:
    """Have a cache keep answers by key, and the calls where it is a ledger."""
    if hasattr(cache, "put_many"):
        cache.put_many(answers, calls)
        return
    for key, answer in answers.items():
        cache.put(key, answer)


class Prompt(str):
    """A prompt as one string, and beside it the chat turns, the JSON schema and the check of the answer.

    `check` takes the parsed JSON value and raises `Malformed` where it is no answer to this prompt;
    `repair` makes from that reason the one turn that asks again. `about` names what is asked about, without
    its words: it goes into records, never to the server.
    """

    messages: tuple[Message, ...]
    schema: Mapping[str, Any] | None
    check: Callable[[Any], None] | None
    repair: Callable[[str], str]
    about: Mapping[str, Any]

    def __new__(
        cls,
        messages: tuple[Message, ...],
        *,
        schema: Mapping[str, Any] | None = None,
        check: Callable[[Any], None] | None = None,
        repair: Callable[[str], str] | None = None,
    ) -> Prompt:
        """Join the turns to one string."""
        self = super().__new__(cls, "\n\n".join(message["content"] for message in messages))
        self.messages = messages
        self.schema = schema
        self.check = check
        self.about = {}
        self.repair = repair or "That was not a valid answer: {}. Answer again.".format
        return self


def as_prompt(prompt: Any) -> Prompt:
    """Any spacy-llm task's prompt as ours: one user turn, no schema, no check."""
    if isinstance(prompt, Prompt):
        return prompt
    return Prompt(({"role": "user", "content": str(prompt)},))


class Answer(str):
    """What an LLM said, as a string, and beside it how the call went.

    `parsed` is the checked JSON value where a schema was asked for. Tokens are None where the server did
    not count them, `cost` is None where the price is unknown. `milliseconds` is the time of the calls
    behind this answer. `calls` are all requests made for it, none where it came from the cache.
    """

    status: Status
    key: str
    parsed: Any
    reason: str
    prompt_tokens: int | None
    completion_tokens: int | None
    cost: float | None
    milliseconds: int
    cached: bool
    calls: tuple[LLMCall, ...]

    def __new__(
        cls,
        content: str,
        *,
        status: Status,
        key: str = "",
        parsed: Any = None,
        reason: str = "",
        prompt_tokens: int | None = None,
        completion_tokens: int | None = None,
        cost: float | None = None,
        milliseconds: int = 0,
        cached: bool = False,
        calls: tuple[LLMCall, ...] = (),
    ) -> Answer:
        """The content, with its attributes."""
        self = super().__new__(cls, content)
        self.status = status
        self.key = key
        self.parsed = parsed
        self.reason = reason
        self.prompt_tokens = prompt_tokens
        self.completion_tokens = completion_tokens
        self.cost = cost
        self.milliseconds = milliseconds
        self.cached = cached
        self.calls = calls
        return self

    def again(self) -> Answer:
        """The same answer for another who asked the same at the same time."""
        return Answer(
            str(self),
            status=self.status,
            key=self.key,
            parsed=self.parsed,
            reason=self.reason,
            prompt_tokens=self.prompt_tokens,
            completion_tokens=self.completion_tokens,
            cost=self.cost,
            milliseconds=self.milliseconds,
            cached=True,
        )

    def kept(self) -> dict[str, Any]:
        """What the cache keeps of this answer."""
        return {
            "status": self.status,
            "content": str(self),
            "reason": self.reason,
            "prompt_tokens": self.prompt_tokens,
            "completion_tokens": self.completion_tokens,
            "cost": self.cost,
            "milliseconds": self.milliseconds,
        }


@dataclass(frozen=True, slots=True)
class LLMResult:
    """What an LLM said about one text. `annotation` is None unless `status` is ok.

    `unaligned` are the quotes that could not be placed; `ambiguous` says that a place is a guess.
    `reason` is the LLM's own where one was asked for, else what went wrong where `status` is not ok.
    `milliseconds`, tokens and cost are those of the call that was made, also where it was made in an earlier
    run (`cached`); None is unknown, never 0.
    """

    input_hash: str
    status: Status
    annotation: Annotation | None
    unaligned: tuple[str, ...] = ()
    ambiguous: bool = False
    reason: str = ""
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    cost: float | None = None
    milliseconds: int = 0
    cached: bool = False


def call_key(
    endpoint: str, name: str, parameters: Mapping[str, Any], prompt: Prompt, version: str = ""
) -> str:
    """64 hex digits that name a call: sha256 over everything that shapes its answer.

    `endpoint` is the base URL, or for the embedded server (whose port changes) the weights' sha256.
    Few-shot examples, labels and definitions are in the prompt's turns, the answer's form in its schema.
    """
    shaped = {
        "endpoint": endpoint,
        "model": name,
        "parameters": dict(parameters),
        "messages": [dict(message) for message in prompt.messages],
        "schema": prompt.schema,
        "version": version,
    }
    dumped = json.dumps(shaped, sort_keys=True, ensure_ascii=True, separators=(",", ":"))
    return hashlib.sha256(dumped.encode()).hexdigest()
