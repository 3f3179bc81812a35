"""`annoloop.OpenAI.v1`: any OpenAI-compatible server, for spacy-llm's registry and for our own loop."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from typing import Any, Generic, Iterable, TypeVar  # noqa: UP035 - spacy-llm wants typing's Iterable

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
    keep_answers,
    kept_answers,
)
from annoloop.llm.budget import FREE, Budget, Prices, Rehearsal
from annoloop.llm.chat import Chat, checked
from annoloop.llm.dialect import EXTRA, Dialect, dialect_of
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
    embedded_server,
    embedded_weights,
    local_model_status,
    weights_identity,
)
from annoloop.llm.model_settings import ModelSettings, model_settings
from annoloop.types import LLMCall

T = TypeVar("T")


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
        budget: Budget | Rehearsal | None = None,
        on_open: OnOpen | None = None,
        on_send: OnSend | None = None,
    ) -> None:
        self.settings = settings
        self.budget = budget
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
        extra = {EXTRA: self.settings.extra_body} if self.settings.extra_body else {}
        return {
            "temperature": self.settings.temperature,
            "max_tokens": tokens,
            "seed": self.settings.seed,
            **extra,
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

        Equal prompts under way at the same time are asked once. With a `Rehearsal` for a budget nothing is
        asked: what is not kept has the status not_sent.

        Raises:
            LLMError: texts may not go there, the server is down or refuses everything, or there is a limit
                of money and no price.
        """
        self.check()
        under_way: dict[str, _Asked[T]] = {}
        fed = self._fed(iter(questions), under_way)
        if isinstance(self.budget, Rehearsal):
            made = self._rehearsed(fed, self.budget)
        else:
            self._check_price()
            made = self._asked(fed)
        for asked, answer in made:
            under_way.pop(asked.key, None)
            first, *others = asked.items
            yield first, answer
            for item in others:
                yield item, answer.again()

    def _fed(
        self, questions: Iterator[tuple[T, Prompt]], under_way: dict[str, _Asked[T]]
    ) -> Iterator[tuple[_Asked[T], Prompt | Answer]]:
        """Each prompt once with all who ask it, as an answer where one is kept."""
        # The first few at once, so that nobody waits for prompts that are not their turn yet.
        size = self.workers
        while block := list(islice(questions, size)):
            size = 4 * self.workers
            keyed = [(self.key(prompt), item, prompt) for item, prompt in block]
            with self._cache_lock:
                kept = kept_answers(self.cache, [key for key, _, _ in keyed if key not in under_way])
            ready: list[tuple[_Asked[T], Prompt | Answer]] = []
            for key, item, prompt in keyed:
                if key in under_way:
                    under_way[key].items.append(item)
                elif key in kept:
                    ready.append((_Asked(key, prompt, [item]), _read(prompt, key, kept[key])))
                else:
                    under_way[key] = _Asked(key, prompt, [item])
                    ready.append((under_way[key], prompt))
            yield from ready

    def _rehearsed(
        self, fed: Iterator[tuple[_Asked[T], Prompt | Answer]], rehearsal: Rehearsal
    ) -> Iterator[tuple[_Asked[T], Answer]]:
        prices, dialect = self.prices, Dialect()
        for asked, question in fed:
            if isinstance(question, Answer):
                rehearsal.kept += 1
                yield asked, question
                continue
            body = dialect.request(question, question.messages, self.parameters)
            rehearsal.note(len(question), None if prices is None else prices.most(body))
            yield asked, Answer("", status="not_sent", key=asked.key, reason="nothing was sent")

    def _asked(self, fed: Iterator[tuple[_Asked[T], Prompt | Answer]]) -> Iterator[tuple[_Asked[T], Answer]]:
        # Kept answers need no server: it is opened at the first question that nobody has answered yet.
        for asked, question in fed:
            if isinstance(question, Answer):
                yield asked, question
            else:
                yield from self._ask_server(chain(((asked, question),), fed))

    def _ask_server(
        self, questions: Iterator[tuple[_Asked[T], Prompt | Answer]]
    ) -> Iterator[tuple[_Asked[T], Answer]]:
        workers = self.workers
        chat = self._open(workers)

        def ask(asked: _Asked[T], prompt: Prompt) -> Answer:
            with asking_about(self._about(prompt, asked.key)):
                return chat.ask(prompt, asked.key)

        try:
            yield from ask_all(
                questions,
                ask,
                keep=self._keep,
                workers=workers,
                stop=chat.stop,
                on_abandon=chat.client.close,
            )
        finally:
            chat.client.close()

    def _about(self, prompt: Prompt, key: str) -> Mapping[str, Any]:
        """What is recorded of a question beside its address."""
        if self.on_send is None:
            return {}
        told = {"model": self.settings.label, "key": key, "characters": len(prompt)}
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
            record=self._record(endpoint.reach),
            prices=self.prices,
            budget=self.budget if isinstance(self.budget, Budget) else None,
            note=self._note,
        )

    def _record(self, reach: str) -> LLMCall:
        """What the ledger says of every call to this model."""
        # What is free has no price of a day.
        prices = None if self.settings.embedded else self.prices
        return LLMCall(
            "",
            0,
            endpoint=EMBEDDED if self.settings.embedded else self.settings.base_url,
            reach=reach,
            model=self.settings.label,
            parameters=self.parameters,
            price=None if prices is None else prices.to_json(),
        )

    @property
    def prices(self) -> Prices | None:
        """What its tokens cost; None where that is unknown. The embedded model is free."""
        settings = self.settings
        if settings.embedded:
            return FREE
        if settings.price_input is None or settings.price_output is None:
            return None
        return Prices(settings.price_input, settings.price_output, settings.price_cached, settings.price_date)

    def _check_price(self) -> None:
        budget = self.budget
        if isinstance(budget, Budget) and budget.max_cost is not None and self.prices is None:
            raise LLMError(
                f"llm -> max_cost is {budget.max_cost:g}, and what {self.settings.label} costs is not known: "
                "nothing was sent",
                hint="set price_input and price_output in [llm.model], 0 for a server of your own",
            )

    def _keep(self, made: Sequence[tuple[_Asked[Any], Answer]]) -> None:
        """Keep answers that were paid for, and all calls."""
        answers: dict[str, dict[str, Any]] = {}
        calls: list[LLMCall] = []
        for asked, answer in made:
            calls += answer.calls
            if answer.status in PAID:
                answers[asked.key] = {
                    **answer.kept(),
                    "model": self.settings.label,
                    "prompt": str(asked.prompt),
                }
        if answers or calls:
            with self._cache_lock:
                keep_answers(self.cache, answers, calls)

    def _note(self, calls: Sequence[LLMCall]) -> None:
        """Keep the calls of a question that an error ended."""
        if calls:
            with self._cache_lock:
                keep_answers(self.cache, {}, calls)

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


@dataclass(slots=True)
class _Asked(Generic[T]):
    """A prompt under way, and everything that waits for its answer."""

    key: str
    prompt: Prompt
    items: list[T]


def _read(prompt: Prompt, key: str, kept: Mapping[str, Any]) -> Answer:
    """A kept answer, read anew: a better parser also helps answers that were paid for long ago."""
    content = str(kept["content"])
    parsed: Any = None
    status: Any = kept["status"]
    reason = str(kept.get("reason") or "")
    if status in ("ok", "malformed"):
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
    price_cached: float | None = None,
    price_output: float | None = None,
    price_date: str | None = None,
    extra_body: dict[str, Any] | None = None,
) -> OpenAIModel:
    """`annoloop.OpenAI.v1` in spacy-llm's registry; the arguments are those of `ModelSettings`."""
    return OpenAIModel(model_settings({**locals(), "extra_body": extra_body or {}}))


__all__ = [
    "ModelSettings",
    "OpenAIModel",
    "local_model_status",
    "make_openai_model",
    "model_settings",
]
