"""One question to one server: attempts with back-off, a repair turn, a breaker for a server that is down."""

from __future__ import annotations

import json
import random
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from annoloop.errors import LLMError
from annoloop.llm.answers import Answer, Malformed, Message, Prompt, Status
from annoloop.llm.budget import Budget, Prices
from annoloop.llm.dialect import Dialect
from annoloop.llm.endpoint import response_type, scrub
from annoloop.llm.parse import first_object
from annoloop.llm.replies import (
    NoCompletionError,
    Usage,
    chain,
    complaint,
    first_choice,
    never_connected,
    retry_after,
    usage_of,
)
from annoloop.llm.talk import Talk
from annoloop.types import LLMCall

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


class _OverBudgetError(Exception):
    """The next request could cost more than is left."""


class Chat:
    """Asks one model on one server. Safe to use from several threads.

    `record` is what the ledger says of each of its calls, `prices` and `budget` say what they cost and may
    cost. `note` takes the calls of a question whose run was ended by an error.
    """

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
        record: LLMCall | None = None,
        prices: Prices | None = None,
        budget: Budget | None = None,
        note: Callable[[Sequence[LLMCall]], None] = lambda _: None,
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
        self._record = record or LLMCall("", 0)
        self._prices = prices
        self._budget = budget or Budget()
        self._note = note
        self._response = response_type()
        # Whole, since joining it anew for each call takes a twentieth of a call's time.
        self._url = str(client.base_url.join("chat/completions"))
        self._rng = random.Random(seed)
        self._lock = threading.Lock()
        self._first = threading.Lock()
        self._form_known = threading.Event()
        if dialect.proven:
            self._form_known.set()
        self._pause_until = 0.0
        self._refused = 0
        self._failures = 0
        self._most_failures = FAILED_ATTEMPTS + 4 * workers

    def ask(self, prompt: Prompt, key: str = "") -> Answer:
        """The checked answer to a prompt; status failed where the server gave none.

        Raises:
            LLMError: the server is down, refuses the key or does not know the model: no further
                question has a chance.
            Stopped: `stop` was set meanwhile.
        """
        if self._budget.exhausted:
            return Answer("", status="budget", key=key, reason=self._budget.told)
        talk = Talk(prompt, key)
        content, parsed = "", None
        try:
            status, content, parsed, reason = self._alone_at_first(talk)
        except _GaveUpError as error:
            status, reason = "failed", str(error)
        except _OverBudgetError:
            status, reason = "budget", self._budget.told
        except (LLMError, Stopped) as error:
            self._note(talk.calls)
            # What the client raised may repeat the key, and a traceback would show it.
            raise error from None
        return Answer(
            content,
            status=status,
            key=key,
            parsed=parsed,
            reason=reason,
            prompt_tokens=talk.sum("prompt_tokens"),
            completion_tokens=talk.sum("completion_tokens"),
            cost=talk.cost,
            milliseconds=sum(call.milliseconds for call in talk.calls),
            calls=tuple(talk.calls),
        )

    def _alone_at_first(self, talk: Talk) -> tuple[Status, str, Any, str]:
        """The conversation; until the server's form of structured output is known, one at a time."""
        if talk.prompt.schema is None or self._form_known.is_set():
            return self._conversation(talk)
        if self._first.acquire(blocking=False):
            try:
                return self._conversation(talk)
            finally:
                self._form_known.set()
        while not self._form_known.wait(0.05):
            if self.stop.is_set():
                raise Stopped
        return self._conversation(talk)

    def _conversation(self, talk: Talk) -> tuple[Status, str, Any, str]:
        """Ask, and once more where the answer is malformed: (status, content, parsed value, reason)."""
        prompt = talk.prompt
        choice = self._attempts(talk, prompt.messages)
        read = self._read(talk, choice)
        if read[0] != "malformed":
            return read
        talk.repairing = True
        _, content, _, reason = read
        messages = (
            *prompt.messages,
            {"role": "assistant", "content": content[:2000]},
            {"role": "user", "content": prompt.repair(reason)},
        )
        try:
            return self._read(talk, self._attempts(talk, messages))
        except (_GaveUpError, _OverBudgetError, Stopped, LLMError):
            # The first answer is paid for: thrown away, it would be paid again in the next run.
            return read

    def _read(self, talk: Talk, choice: Mapping[str, Any]) -> tuple[Status, str, Any, str]:
        """What an answer is worth: (status, content, parsed value, reason)."""
        message = choice["message"]
        content, refusal = str(message.get("content") or ""), message.get("refusal")
        if self._key:
            content = content.replace(self._key, "…")
        finish = choice.get("finish_reason")
        if refusal or finish == "content_filter":
            said = self._scrubbed(refusal or "the server's content filter stopped the answer")
            talk.judge("refusal", "content filter" if finish == "content_filter" else "refused")
            return "refusal", content, None, said
        try:
            return "ok", content, checked(talk.prompt, content), ""
        except Malformed as error:
            cut = ", cut off at max_tokens" if finish == "length" else ""
            talk.judge("malformed", f"not what was asked for{cut}")
            return "malformed", content, None, f"{error}{cut}"

    def _attempts(self, talk: Talk, messages: Sequence[Message]) -> Mapping[str, Any]:
        """The first choice of a completion, after as many attempts as it takes."""
        import openai

        attempt = 0
        while True:
            self._wait_for_turn(talk)
            asked = self.dialect.request(talk.prompt, messages, self.parameters)
            try:
                choice = self._call(talk, {"model": self.name, **asked})
            except openai.APIStatusError as error:
                if self.dialect.learn(asked, error.status_code, self._complaint(error)):
                    continue
                reason, wait = self._judge(error)
            except openai.APITimeoutError:
                reason, wait = "no answer in time", None
                self._note_failure(reason, weight=3)
            except openai.APIConnectionError as error:
                reason, wait = self._disconnected(error), None
            except (NoCompletionError, ValueError) as error:
                said = self._scrubbed(error)[:120]
                reason, wait = f"the server's reply is no chat completion: {said}", None
                self._note_failure(reason)
            else:
                self._note_success()
                if talk.prompt.schema is not None:
                    self.dialect.prove()
                return choice
            # Whatever this was, it was not about the form: the others need not wait for another attempt.
            self._form_known.set()
            if attempt >= self.retries:
                raise _GaveUpError(f"{reason}, {attempt + 1} attempts")
            self._sleep(wait if wait is not None else self._backoff(attempt), talk)
            attempt += 1

    def _call(self, talk: Talk, body: Mapping[str, Any]) -> Mapping[str, Any]:
        """One request's first choice; the request is noted and paid for whatever becomes of it."""
        import openai

        most = self._prices.most(body) if self._prices else 0.0
        if not self._budget.reserve(most):
            raise _OverBudgetError
        at, began = time.time_ns() // 1000, time.monotonic()
        http: int | None = None
        usage: Usage = (None, None, None)
        # What a request that broke off cost is unknown: in the budget it counts as all that it could cost.
        reason, status, charged = "no chat completion", "failed", None
        try:
            # Not `chat.completions.create`: making its objects takes longer than all else in a call.
            response = self.client.post(self._url, cast_to=self._response, body=body)
            http = response.status_code
            completion = json.loads(response.content)
            choice, usage = first_choice(completion), usage_of(completion)
            reason, status = "", "ok"
            charged = self._prices.of(*usage) if self._prices else None
            return choice
        except openai.APIStatusError as error:
            http, charged, reason = error.status_code, 0.0, f"HTTP {error.status_code}"
            raise
        except openai.APITimeoutError:
            reason = "no answer in time"
            raise
        except openai.APIConnectionError as error:
            charged = 0.0 if never_connected(error) else None
            reason = "no connection" if never_connected(error) else "connection broken"
            raise
        finally:
            self._budget.settle(most, charged)
            talk.calls.append(
                replace(
                    self._record,
                    key=talk.key,
                    at=at,
                    attempt=len(talk.calls) + 1,
                    status=status,
                    http=http,
                    prompt_tokens=usage[0],
                    cached_tokens=usage[1],
                    completion_tokens=usage[2],
                    cost=charged if status == "ok" else None,
                    milliseconds=round((time.monotonic() - began) * 1000),
                    reason=reason,
                    characters=len(talk.prompt),
                    input_hash=talk.prompt.about.get("input_hash"),
                    template=talk.prompt.about.get("template", ""),
                    redaction=talk.prompt.about.get("redaction", ""),
                )
            )

    def _complaint(self, error: openai.APIStatusError) -> str:
        return self._scrubbed(complaint(error))

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
        wait = retry_after(error.response.headers)
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
        causes = chain(error)
        for cause in causes:
            if isinstance(cause, LLMError):  # raised below the client, such as by an audit that cannot write
                raise cause
        reason = self._scrubbed(next((str(c) for c in reversed(causes) if str(c)), "connection broken"))
        if never_connected(error):
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

    def _wait_for_turn(self, talk: Talk) -> None:
        self._sleep(self._pause_until - time.monotonic(), talk)

    def _sleep(self, seconds: float, talk: Talk) -> None:
        """Wait, not beyond the end of the run: only what is paid for in part already is seen through."""
        if seconds <= 0 and not self.stop.is_set():
            return
        if talk.repairing:
            time.sleep(max(seconds, 0.0))
        elif self.stop.wait(max(seconds, 0.0)):
            raise Stopped


_FATAL_HINT = "see llm -> model: base_url, name and api_key_env"


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
