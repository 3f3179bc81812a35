"""One question to one server: attempts with back-off, a repair turn, a breaker for a server that is down."""

from __future__ import annotations

import email.utils
import random
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from annoloop.errors import LLMError
from annoloop.llm.answers import Answer, Malformed, Message, Prompt
from annoloop.llm.dialect import Dialect
from annoloop.llm.endpoint import scrub
from annoloop.llm.parse import first_object

if TYPE_CHECKING:
    import openai

RETRIED = frozenset((408, 409, 425, 429))
FATAL = {401: "refuses the key", 403: "refuses access", 404: "knows no such model or address"}
REFUSED_CONNECTIONS = 3
"""Connections refused in a row, with no answer in between, after which the server counts as down."""
FAILED_ATTEMPTS = 12
"""Other failures in a row (a time-out counts as three), beside four a worker, after which it does."""
LONGEST_WAIT = 600.0
"""Seconds: a Retry-After beyond this is not waited for at once."""


class Stopped(Exception):  # noqa: N818 - not an error: the run was ended
    """The run ended while this question was waiting for its turn."""


class _GaveUpError(Exception):
    """This document gets no answer in this run; the text says why."""


@dataclass(slots=True)
class _Spent:
    """Tokens over all calls behind one answer; None until a server counted some."""

    prompt: int | None = None
    completion: int | None = None

    def add(self, usage: Any) -> None:
        for mine, theirs in (("prompt", "prompt_tokens"), ("completion", "completion_tokens")):
            counted = getattr(usage, theirs, None)
            if isinstance(counted, int):
                setattr(self, mine, (getattr(self, mine) or 0) + counted)


class Chat:
    """Asks one model on one server. Safe to use from several threads."""

    def __init__(
        self,
        client: openai.OpenAI,
        *,
        name: str,
        address: str,
        parameters: Mapping[str, Any],
        dialect: Dialect,
        retries: int,
        workers: int,
        backoff: float = 0.5,
        seed: int = 0,
        key: str | None = None,
    ) -> None:
        self.client = client
        self._key = key
        self.name = name
        self.address = address
        self.parameters = parameters
        self.dialect = dialect
        self.retries = retries
        self.backoff = backoff
        self.stop = threading.Event()
        self._rng = random.Random(seed)
        self._lock = threading.Lock()
        self._pause_until = 0.0
        self._refused = 0
        self._failures = 0
        self._most_failures = FAILED_ATTEMPTS + 4 * workers

    def ask(self, prompt: Prompt) -> Answer:
        """The checked answer to a prompt; status failed where the server gave none.

        Raises:
            LLMError: the server is down, refuses the key or does not know the model: no further
                question has a chance.
            Stopped: `stop` was set meanwhile.
        """
        started = time.monotonic()
        spent = _Spent()
        try:
            status, content, parsed, reason = self._conversation(prompt, spent)
        except _GaveUpError as error:
            status, content, parsed, reason = "failed", "", None, str(error)
        except LLMError as error:
            # What the client raised may repeat the key, and a traceback would show it.
            raise error from None
        return Answer(
            content,
            status=status,  # type: ignore[arg-type]
            parsed=parsed,
            reason=reason,
            prompt_tokens=spent.prompt,
            completion_tokens=spent.completion,
            milliseconds=round((time.monotonic() - started) * 1000),
        )

    def _conversation(self, prompt: Prompt, spent: _Spent) -> tuple[str, str, Any, str]:
        """Ask, and once more where the answer is malformed: (status, content, parsed value, reason)."""
        messages: tuple[Message, ...] = prompt.messages
        content = reason = ""
        for _turn in range(2):
            choice = self._attempts(prompt, messages, spent)
            content = choice.message.content or ""
            if self._key and self._key in content:
                content = content.replace(self._key, "…")
            refusal = getattr(choice.message, "refusal", None)
            if refusal or choice.finish_reason == "content_filter":
                said = self._scrubbed(refusal or "the server's content filter stopped the answer")
                return "refusal", content, None, said
            if prompt.check is None and content.strip():
                return "ok", content, None, ""
            try:
                return "ok", content, checked(prompt, content), ""
            except Malformed as error:
                cut = ", cut off at max_tokens" if choice.finish_reason == "length" else ""
                reason = f"{error}{cut}"
            messages = (
                *prompt.messages,
                {"role": "assistant", "content": content[:2000]},
                {"role": "user", "content": prompt.repair(reason)},
            )
        return "malformed", content, None, reason

    def _attempts(self, prompt: Prompt, messages: Sequence[Message], spent: _Spent) -> Any:
        """The first choice of a completion, after as many attempts as it takes."""
        import openai

        attempt = 0
        while True:
            self._wait_for_turn()
            asked = self.dialect.request(prompt, messages, self.parameters)
            try:
                completion = self.client.chat.completions.create(model=self.name, **asked)
                choice = _first_choice(completion)
            except openai.APIStatusError as error:
                if self.dialect.learn(asked, error.status_code, self._complaint(error)):
                    continue
                reason, wait = self._judge(error)
            except openai.APITimeoutError:
                reason, wait = "no answer in time", None
                self._note_failure(reason, weight=3)
            except openai.APIConnectionError as error:
                reason, wait = self._disconnected(error), None
            except (openai.APIResponseValidationError, _NoCompletionError, ValueError) as error:
                reason, wait = (
                    f"the server's reply is no chat completion: {self._scrubbed(error)[:120]}",
                    None,
                )
                self._note_failure(reason)
            else:
                self._note_success()
                spent.add(completion.usage)
                return choice
            if attempt >= self.retries:
                raise _GaveUpError(f"{reason}, {attempt + 1} attempts")
            self._sleep(wait if wait is not None else self._backoff(attempt))
            attempt += 1

    def _complaint(self, error: openai.APIStatusError) -> str:
        return self._scrubbed(_complaint(error))

    def _scrubbed(self, said: object) -> str:
        return scrub(str(said), self._key)

    def _judge(self, error: openai.APIStatusError) -> tuple[str, float | None]:
        """A refusal worth another attempt: its reason, and the seconds the server asks to wait."""
        code, complaint = error.status_code, self._complaint(error)
        reason = f"HTTP {code}: {complaint[:200]}"
        if 300 <= code < 400:
            raise LLMError(
                f"{self.address} redirects elsewhere (HTTP {code}); texts are not sent after redirects",
                hint="set llm -> model -> base_url to the address that answers",
            )
        if code in FATAL:
            raise LLMError(f"{self.address} {FATAL[code]} ({self.name}): {complaint[:200]}", hint=_FATAL_HINT)
        if code == 429 and "insufficient_quota" in complaint:
            raise LLMError(f"{self.address}: the account's quota is used up", hint="answers so far are kept")
        if code not in RETRIED and code < 500:
            self._note_success()
            raise _GaveUpError(reason)
        wait = _retry_after(error.response.headers)
        if wait is not None and wait > LONGEST_WAIT:
            raise LLMError(
                f"{self.address} asks to come back in {wait:.0f} seconds", hint="run it again then"
            )
        if code == 429:
            # A crowded server is not a broken one: all workers pause, nobody counts this against it.
            with self._lock:
                self._pause_until = max(self._pause_until, time.monotonic() + (wait or 0))
        else:
            self._note_failure(reason)
        return reason, wait

    def _disconnected(self, error: openai.APIConnectionError) -> str:
        causes = _chain(error)
        for cause in causes:
            if isinstance(cause, LLMError):  # raised below the client, such as by an audit that cannot write
                raise cause
        reason = self._scrubbed(next((str(c) for c in reversed(causes) if str(c)), "connection broken"))
        if any(type(cause).__name__ == "ConnectError" for cause in causes):
            with self._lock:
                self._refused += 1
                down = self._refused >= REFUSED_CONNECTIONS
            if down:
                raise self._down(reason)
        else:
            self._note_failure(reason)
        return reason

    def _down(self, reason: str) -> LLMError:
        return LLMError(
            f"the LLM server at {self.address} does not answer: {reason}",
            hint="is it running? Answers so far are kept; the next run goes on from there",
        )

    def _note_failure(self, reason: str, *, weight: int = 1) -> None:
        with self._lock:
            self._failures += weight
            down = self._failures >= self._most_failures
        if down:
            raise self._down(reason)

    def _note_success(self) -> None:
        with self._lock:
            self._refused = self._failures = 0

    def _backoff(self, attempt: int) -> float:
        if self._refused:
            return float(0.1 * 2**attempt)
        with self._lock:
            return float(min(self.backoff * 2**attempt, 30.0) * self._rng.uniform(0.5, 1.0))

    def _wait_for_turn(self) -> None:
        self._sleep(self._pause_until - time.monotonic())

    def _sleep(self, seconds: float) -> None:
        """Wait, but not beyond the end of the run."""
        if self.stop.wait(max(seconds, 0.0)):
            raise Stopped


_FATAL_HINT = "see llm -> model: base_url, name and api_key_env"


class _NoCompletionError(Exception):
    """A reply with status 200 that is no chat completion."""


def checked(prompt: Prompt, content: str) -> Any:
    """The JSON value in an answer, None where no JSON was asked for.

    Raises:
        Malformed: there is none, or it does not answer the prompt.
    """
    if prompt.check is None:
        if not content.strip():
            raise Malformed("the answer is empty")
        return None
    parsed = first_object(content)
    prompt.check(parsed)
    return parsed


def _first_choice(completion: Any) -> Any:
    choices = getattr(completion, "choices", None)
    if not choices or getattr(choices[0], "message", None) is None:
        raise _NoCompletionError("no choices in it")
    return choices[0]


def _complaint(error: openai.APIStatusError) -> str:
    body = error.body
    if isinstance(body, Mapping):
        parts = [str(body[key]) for key in ("message", "code", "param", "detail") if body.get(key)]
        return " ".join(parts) or str(body)
    return str(body or error.message)


def _chain(error: BaseException) -> list[BaseException]:
    causes = [error]
    while (cause := causes[-1].__cause__ or causes[-1].__context__) is not None and cause not in causes:
        causes.append(cause)
    return causes


def _retry_after(headers: Mapping[str, str]) -> float | None:
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
