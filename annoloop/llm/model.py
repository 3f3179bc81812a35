"""`annoloop.OpenAI.v1`: any OpenAI-compatible server, for spacy-llm's registry and for our own loop."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Iterable, Literal, TypeVar  # noqa: UP035 - spacy-llm wants typing's Iterable

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from annoloop.errors import LLMError
from annoloop.llm.answers import (
    PAID,
    Answer,
    AnswerCache,
    Malformed,
    MemoryCache,
    NotAnsweredError,
    Prompt,
    as_prompt,
    call_key,
)
from annoloop.llm.chat import Chat, checked
from annoloop.llm.dialect import dialect_of
from annoloop.llm.endpoint import (
    Endpoint,
    OnOpen,
    OnSend,
    allowed_endpoint,
    api_key,
    asking_about,
    open_client,
    resolve,
)
from annoloop.llm.engine import ask_all
from annoloop.llm.local import (
    CONTEXT,
    EMBEDDED,
    MODEL_NAME,
    embedded_server,
    embedded_weights,
    local_model_status,
    weights_identity,
)

T = TypeVar("T")


class ModelSettings(BaseModel):
    """The model block: what each argument of `annoloop.OpenAI.v1` means.

    `base_url` "embedded" is the small local model; `name` is then null or the path of another GGUF file.
    `api_key_env` names the environment variable with the key; unnamed, none is sent, except OPENAI_API_KEY
    to api.openai.com. `workers`, `max_tokens` and `timeout` (seconds) null: 1, 256 and 300 for the embedded
    model; 4 on this machine and 16 elsewhere, 1024 and 60 for a server. Prices are per million tokens.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str | None = None
    base_url: str = EMBEDDED
    api_key_env: str | None = None
    temperature: float | None = Field(default=0.0, ge=0)
    max_tokens: int | None = Field(default=None, gt=0)
    seed: int | None = 0
    workers: int | None = Field(default=None, gt=0, le=256)
    timeout: float | None = Field(default=None, gt=0)
    retries: int = Field(default=4, ge=0)
    allow_remote: Literal["loopback", "private", "public"] = "loopback"
    price_input: float | None = Field(default=None, ge=0)
    price_output: float | None = Field(default=None, ge=0)
    price_date: str | None = None

    @model_validator(mode="after")
    def _named(self) -> ModelSettings:
        if self.base_url != EMBEDDED and not self.name:
            raise ValueError("name: the model's name on that server is missing")
        return self

    @property
    def embedded(self) -> bool:
        """Whether this is the embedded server."""
        return self.base_url == EMBEDDED

    @property
    def label(self) -> str:
        """The model's name for people; the embedded stand-in is always called one."""
        if not self.embedded:
            return str(self.name)
        return Path(self.name).stem if self.name else f"{MODEL_NAME} (very small stand-in)"


def model_settings(block: Mapping[str, Any]) -> ModelSettings:
    """Check a model block (with or without its "@llm_models").

    Raises:
        LLMError: an unknown key or a wrong value, with its path.
    """
    try:
        return ModelSettings(**{key: value for key, value in block.items() if key != "@llm_models"})
    except ValidationError as error:
        first = error.errors()[0]
        path = " -> ".join(("llm", "model", *(str(part) for part in first["loc"])))
        known = ", ".join(ModelSettings.model_fields)
        hint = f"known: {known}" if first["type"] == "extra_forbidden" else ""
        raise LLMError(f"{path}: {first['msg'].removeprefix('Value error, ')}", hint=hint) from None


class OpenAIModel:
    """A model on an OpenAI-compatible server: opened at the first question, never before.

    As spacy-llm's model it takes and returns an iterable (documents) of iterables (prompts). `ask_all` is our
    own way: answers as they arrive, each with its status.
    """

    def __init__(
        self,
        settings: ModelSettings,
        *,
        cache: AnswerCache | None = None,
        on_open: OnOpen | None = None,
        on_send: OnSend | None = None,
    ) -> None:
        self.settings = settings
        self.on_open = on_open
        self.on_send = on_send
        self.cache: AnswerCache = cache if cache is not None else MemoryCache()
        self._cache_lock = threading.Lock()
        self._identity: str | None = None

    @property
    def context_length(self) -> int | None:
        """Tokens of prompt and answer together; None where the server has not told."""
        return CONTEXT if self.settings.embedded else None

    @property
    def workers(self) -> int:
        """Questions asked at the same time."""
        if self.settings.workers is not None:
            return self.settings.workers
        if self.settings.embedded:
            return 1
        look_up = self.settings.allow_remote != "loopback"
        return 4 if resolve(self.settings.base_url, look_up=look_up).reach == "loopback" else 16

    @property
    def parameters(self) -> dict[str, Any]:
        """What is sent beside the prompt and shapes the answer."""
        tokens = self.settings.max_tokens or (256 if self.settings.embedded else 1024)
        return {
            "temperature": self.settings.temperature,
            "max_tokens": tokens,
            "seed": self.settings.seed,
        }

    @property
    def identity(self) -> str:
        """What stands for the server in cache keys: its URL, or the embedded weights' sha256."""
        if self._identity is None:
            if self.settings.embedded:
                self._identity = weights_identity(embedded_weights(self.settings.name))
            else:
                self._identity = self.settings.base_url.rstrip("/")
        return self._identity

    def key(self, prompt: Prompt) -> str:
        """The cache key of a prompt to this model."""
        name = "" if self.settings.embedded else str(self.settings.name)
        return call_key(self.identity, name, self.parameters, prompt)

    def check(self) -> Endpoint | None:
        """Whether texts may go there and the model could run; asks nothing. None for the embedded server.

        Raises:
            LLMError: refused, or something is missing; the message says what.
        """
        if self.settings.embedded:
            embedded_weights(self.settings.name)
            return None
        return allowed_endpoint(self.settings.base_url, self.settings.allow_remote)

    def ask_all(self, questions: Iterable[tuple[T, Prompt]]) -> Iterator[tuple[T, Answer]]:
        """Answers in any order, the kept ones at no cost; each new one is kept before it is yielded.

        Raises:
            LLMError: texts may not go there, or the server is down or refuses everything.
        """
        self.check()
        fresh: list[tuple[T, Prompt]] = []
        remaining = iter(questions)
        # Kept answers need no server: it is opened at the first question that nobody has answered yet.
        for item, prompt in remaining:
            kept = self._kept(prompt)
            if kept is None:
                fresh.append((item, prompt))
                break
            yield item, kept
        if fresh:
            yield from self._ask_server(_chained(fresh, remaining))

    def _ask_server(self, questions: Iterator[tuple[T, Prompt]]) -> Iterator[tuple[T, Answer]]:
        workers = self.workers
        chat = self._open(workers)

        def ask(prompt: Prompt) -> Answer:
            kept = self._kept(prompt)
            if kept is not None:
                return kept
            with asking_about(self._about(prompt)):
                return self._keep(prompt, chat.ask(prompt))

        try:
            yield from ask_all(questions, ask, workers=workers, stop=chat.stop, on_abandon=chat.client.close)
        finally:
            chat.client.close()

    def _about(self, prompt: Prompt) -> Mapping[str, Any]:
        """What is recorded of a question beside its address."""
        if self.on_send is None:
            return {}
        told = {"model": self.settings.label, "key": self.key(prompt), "characters": len(prompt)}
        return {**told, **prompt.about}

    def _open(self, workers: int) -> Chat:
        settings = self.settings
        timeout = settings.timeout or (300.0 if settings.embedded else 60.0)
        if settings.embedded:
            server = embedded_server(settings.name)
            endpoint, name = allowed_endpoint(server.base_url, "loopback"), server.model_path.stem
            key: str | None = server.key
            address = f"the local model's process ({server.base_url})"
        else:
            endpoint = allowed_endpoint(settings.base_url, settings.allow_remote)
            if self.on_open is not None:
                self.on_open(endpoint.reach)
            name = str(settings.name)
            key = api_key(endpoint, settings.api_key_env)
            address = settings.base_url
        return Chat(
            open_client(endpoint, key=key, timeout=timeout, workers=workers, on_send=self.on_send),
            name=name,
            address=address,
            parameters=self.parameters,
            dialect=dialect_of(self.identity, name),
            retries=settings.retries,
            workers=workers,
            key=key,
        )

    def _kept(self, prompt: Prompt) -> Answer | None:
        key = self.key(prompt)
        with self._cache_lock:
            kept = self.cache.get(key)
        if kept is None:
            return None
        content = str(kept["content"])
        parsed: Any = None
        status: Any = kept["status"]
        reason = str(kept.get("reason") or "")
        if status in ("ok", "malformed"):
            # Read anew, so that a better parser also helps answers that were paid for long ago.
            try:
                parsed, status, reason = checked(prompt, content), "ok", ""
            except Malformed as error:
                status, reason = "malformed", str(error)
        return Answer(
            content,
            status=status,
            key=key,
            parsed=parsed,
            reason=reason,
            prompt_tokens=kept.get("prompt_tokens"),
            completion_tokens=kept.get("completion_tokens"),
            cost=kept.get("cost"),
            milliseconds=int(kept.get("milliseconds") or 0),
            cached=True,
        )

    def _keep(self, prompt: Prompt, answer: Answer) -> Answer:
        answer.key = self.key(prompt)
        answer.cost = self._cost(answer)
        if answer.status in PAID:
            kept = {**answer.kept(), "model": self.settings.label, "prompt": str(prompt)}
            with self._cache_lock:
                self.cache.put(answer.key, kept)
        return answer

    def _cost(self, answer: Answer) -> float | None:
        """Money for an answer; None where a price or tokens are unknown. The embedded model is free."""
        settings = self.settings
        if settings.embedded:
            return 0.0
        if settings.price_input is None or settings.price_output is None:
            return None
        if answer.prompt_tokens is None or answer.completion_tokens is None:
            return None
        spent = answer.prompt_tokens * settings.price_input + answer.completion_tokens * settings.price_output
        return spent / 1e6

    def __call__(self, prompts: Iterable[Iterable[Any]]) -> Iterable[Iterable[Any]]:
        """spacy-llm's call: the answers in the order of the prompts.

        Raises:
            NotAnsweredError: a document of a task that knows no statuses got no answer; spaCy's error
                handler decides what becomes of its batch.
        """
        asked = [list(document) for document in prompts]
        flat = [((i, j), prompt) for i, document in enumerate(asked) for j, prompt in enumerate(document)]
        answers: dict[tuple[int, int], Answer] = dict(
            self.ask_all((place, as_prompt(prompt)) for place, prompt in flat)
        )
        for place, prompt in flat:
            # Our own tasks understand statuses; another task would take an empty answer for "nothing found".
            if answers[place].status != "ok" and not isinstance(prompt, Prompt):
                raise NotAnsweredError(
                    f"{self.settings.label} did not answer a document: {answers[place].reason}",
                    hint="run it again: what was answered is kept",
                )
        return [[answers[i, j] for j in range(len(document))] for i, document in enumerate(asked)]


def _chained(first: list[tuple[T, Prompt]], rest: Iterator[tuple[T, Prompt]]) -> Iterator[tuple[T, Prompt]]:
    yield from first
    yield from rest


def make_openai_model(
    name: str | None = None,
    base_url: str = EMBEDDED,
    api_key_env: str | None = None,
    temperature: float | None = 0.0,
    max_tokens: int | None = None,
    seed: int | None = 0,
    workers: int | None = None,
    timeout: float | None = None,
    retries: int = 4,
    allow_remote: str = "loopback",
    price_input: float | None = None,
    price_output: float | None = None,
    price_date: str | None = None,
) -> OpenAIModel:
    """`annoloop.OpenAI.v1` in spacy-llm's registry; the arguments are those of `ModelSettings`."""
    return OpenAIModel(model_settings(dict(locals())))


__all__ = [
    "ModelSettings",
    "OpenAIModel",
    "local_model_status",
    "make_openai_model",
    "model_settings",
]
