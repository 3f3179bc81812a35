"""What a server's reply says: the completion's first choice, its tokens, how long to wait."""

from __future__ import annotations

import email.utils
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import openai

Usage = tuple[int | None, int | None, int | None]
"""Tokens of the prompt, those of them that the server knew already, and of the answer; None is unknown."""


class NoCompletionError(Exception):
    """A reply with status 200 that is no chat completion."""


def first_choice(completion: Any) -> Mapping[str, Any]:
    """The first choice of a chat completion, whose message is an object.

    Raises:
        NoCompletionError: this is none.
    """
    choices = completion.get("choices") if isinstance(completion, Mapping) else None
    first = choices[0] if isinstance(choices, list) and choices else None
    if not isinstance(first, Mapping) or not isinstance(first.get("message"), Mapping):
        raise NoCompletionError("no choices in it")
    return first


def usage_of(completion: Mapping[str, Any]) -> Usage:
    """The tokens that a server counted."""
    usage = completion.get("usage")
    if not isinstance(usage, Mapping):
        return None, None, None
    details = usage.get("prompt_tokens_details")
    cached = details.get("cached_tokens") if isinstance(details, Mapping) else None
    told = (usage.get("prompt_tokens"), cached, usage.get("completion_tokens"))
    prompt, known, completion_tokens = (value if type(value) is int else None for value in told)
    return prompt, known, completion_tokens


def never_connected(error: BaseException) -> bool:
    """Whether nothing was sent, as no connection came about."""
    return any(type(cause).__name__ == "ConnectError" for cause in chain(error))


def complaint(error: openai.APIStatusError) -> str:
    """What the server said of a request that it refused; it may repeat words of the request."""
    body = error.body
    if isinstance(body, Mapping):
        parts = [str(body[key]) for key in ("message", "code", "param", "detail") if body.get(key)]
        return " ".join(parts) or str(body)
    return str(body or error.message)


def chain(error: BaseException) -> list[BaseException]:
    """An error and what it came of, the first cause last."""
    causes = [error]
    while (cause := causes[-1].__cause__ or causes[-1].__context__) is not None and cause not in causes:
        causes.append(cause)
    return causes


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds that a server asks to wait: a number or an HTTP date."""
    told = headers.get("retry-after-ms")
    try:
        if told:
            return float(told) / 1000
        told = headers.get("retry-after")
        if not told:
            return None
        return max(float(told), 0.0)
    except ValueError:
        pass
    try:
        return max(email.utils.parsedate_to_datetime(told or "").timestamp() - time.time(), 0.0)
    except (TypeError, ValueError):
        return None
