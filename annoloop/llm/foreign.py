"""Models and tasks of spacy-llm in our loop: its registries and interfaces, our cache and statuses."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Protocol, TypeVar

from annoloop.corpus.spacy_io import from_doc
from annoloop.errors import LLMError
from annoloop.llm.answers import Answer, AnswerCache, LLMResult, Malformed, MemoryCache, Prompt, call_key
from annoloop.llm.chat import checked
from annoloop.llm.endpoint import OnOpen, OnSend, Sent, scrub, silence_logging
from annoloop.types import Annotation, Example, LabelScheme

T = TypeVar("T")

_ONLY_MAKING = frozenset(("@llm_tasks", "@llm_misc", "@misc", "@scorers"))
"""Registries whose functions make something of their arguments; those of others may open a client."""

FAILED_IN_A_ROW = 5
"""Documents that a foreign model fails at, one after the other, before the run stops."""


class Asks(Protocol):
    """A model as the loop sees it."""

    def ask_all(self, questions: Iterable[tuple[T, Prompt]]) -> Iterator[tuple[T, Answer]]:
        """Each question's answer, in any order."""


class ForeignModel:
    """Any model of spacy-llm's registry, asked one prompt at a time: one failure costs one document."""

    def __init__(
        self,
        block: Mapping[str, Any],
        *,
        cache: AnswerCache | None = None,
        on_open: OnOpen | None = None,
        on_send: OnSend | None = None,
    ) -> None:
        self.block = dict(block)
        self._on_open = on_open
        self._on_send = on_send
        self.cache: AnswerCache = cache if cache is not None else MemoryCache()
        self._call: Callable[[Iterable[Iterable[Any]]], Iterable[Iterable[Any]]] | None = None

    def ask_all(self, questions: Iterable[tuple[T, Prompt]]) -> Iterator[tuple[T, Answer]]:
        """Answers in the order of the questions.

        Raises:
            LLMError: the model cannot be made, or fails at several documents in a row.
        """
        failed = 0
        for item, prompt in questions:
            key = call_key("spacy-llm", str(self.block["@llm_models"]), self.block, prompt)
            kept = self.cache.get(key)
            if kept is not None:
                yield item, _checked(prompt, str(kept["content"]), key=key, cached=True)
                continue
            answer = self._ask(prompt, key)
            yield item, answer
            failed = failed + 1 if answer.status == "failed" else 0
            if failed == FAILED_IN_A_ROW:
                raise LLMError(f"{self.block['@llm_models']} fails at every text: {answer.reason}")

    def _ask(self, prompt: Prompt, key: str) -> Answer:
        if self._call is None:
            if self._on_open is not None:
                self._on_open("public")
            self._call = _resolved("llm_models", self.block, "model")
        self._tell(prompt, key)
        try:
            content = str(next(iter(next(iter(self._call([[prompt]]))))))
        except Exception as error:  # whatever a foreign model raises, it costs this document only
            return Answer("", status="failed", key=key, reason=_said(error))
        answer = _checked(prompt, content, key=key)
        self.cache.put(key, {**answer.kept(), "model": str(self.block["@llm_models"]), "prompt": str(prompt)})
        return answer

    def _tell(self, prompt: Prompt, key: str) -> None:
        """Say what is about to be sent; where to, only the model knows."""
        if self._on_send is None:
            return
        name = str(self.block["@llm_models"])
        about = {"model": name, "key": key, "characters": len(prompt), **prompt.about}
        self._on_send(Sent(at=time.time(), address=None, host=name, reach="public", size=None, about=about))


def _checked(prompt: Prompt, content: str, *, key: str, cached: bool = False) -> Answer:
    try:
        return Answer(content, status="ok", key=key, parsed=checked(prompt, content), cached=cached)
    except Malformed as error:
        return Answer(content, status="malformed", key=key, reason=str(error), cached=cached)


def _said(error: Exception) -> str:
    return f"{type(error).__name__}: {scrub(str(error))[:200]}"


def refuse_nested(block: Any, allow_remote: str, *, path: str = "llm -> task") -> None:
    """Refuse what a task's block would construct beside the task, where texts may not go anywhere.

    A model named inside the block is made as soon as the block is resolved, and many models of spacy-llm
    call their server then, with the key of the environment: only `public` covers that.

    Raises:
        LLMError: there is such a thing and the project allows less; nothing has been constructed.
    """
    if allow_remote == "public":
        return
    if isinstance(block, Mapping):
        for key, value in block.items():
            if str(key).startswith("@") and key not in _ONLY_MAKING:
                raise LLMError(
                    f"{path}: {key} = {value!r} may send texts anywhere, "
                    f"and the project allows {allow_remote} only: nothing was sent",
                    hint='take it out of the task, or set allow_remote = "public"',
                )
            refuse_nested(value, allow_remote, path=f"{path} -> {key}")
    elif isinstance(block, Sequence) and not isinstance(block, str):
        for part in block:
            refuse_nested(part, allow_remote, path=path)


def _resolved(registry_name: str, block: Mapping[str, Any], section: str) -> Any:
    """What a registered function makes of its block.

    Raises:
        LLMError: there is no such function, or its arguments are wrong.
    """
    from spacy_llm.registry import registry

    silence_logging()
    try:
        return registry.resolve({section: dict(block)})[section]
    except Exception as error:
        reason = " ".join(scrub(str(error)).split())[:400]
        name = block.get(f"@{registry_name}")
        raise LLMError(f"llm -> {section}: {name} cannot be made: {reason}") from None


def annotate_with_task(
    examples: Sequence[Example],
    model: Asks,
    *,
    block: Mapping[str, Any],
    scheme: LabelScheme,
    lang: str,
    allow_remote: str = "loopback",
    about: Callable[[Example], Mapping[str, Any]] = lambda _: {},
) -> Iterator[LLMResult]:
    """Ask about each text with a task of spacy-llm; labels and definitions are the scheme's unless given.

    `about` says what is recorded of a question beside its address.

    Raises:
        LLMError: there is no such task, it would reach farther than `allow_remote`, or the model cannot
            be asked.
    """
    refuse_nested(block, allow_remote)
    import spacy
    from spacy_llm.ty import supports_sharding

    filled = {"labels": list(scheme.labels), **block}
    if scheme.definitions:
        filled.setdefault("label_definitions", dict(scheme.definitions))
    task = _resolved("llm_tasks", filled, "task")
    sharding = supports_sharding(task)
    nlp = spacy.blank(lang)
    docs = {example.input_hash: nlp.make_doc(example.text) for example in examples}
    parts: dict[str, Any] = {}

    def questions() -> Iterator[tuple[tuple[Example, int], Prompt]]:
        from annoloop.llm.answers import as_prompt

        for example in examples:
            doc = docs[example.input_hash]
            made = (
                next(iter(task.generate_prompts([doc], getattr(model, "context_length", None))))
                if sharding
                else ([next(iter(task.generate_prompts([doc])))], [doc])
            )
            prompts, shards = list(made[0]), list(made[1])
            parts[example.input_hash] = (shards, [None] * len(prompts))
            for number, prompt in enumerate(prompts):
                ours = as_prompt(prompt)
                ours.about = about(example)
                yield (example, number), ours

    for (example, number), answer in model.ask_all(questions()):
        shards, answers = parts[example.input_hash]
        answers[number] = answer
        if None not in answers:
            yield _read(task, example, shards, answers, scheme, sharding)
            del parts[example.input_hash]


def _read(
    task: Any, example: Example, shards: list[Any], answers: list[Answer], scheme: LabelScheme, sharding: bool
) -> LLMResult:
    bad = next((answer for answer in answers if answer.status != "ok"), None)
    annotation: Annotation | None = None
    status, reason = (bad.status, bad.reason) if bad is not None else ("ok", "")
    if bad is None:
        try:
            parsed = task.parse_responses([shards] if sharding else shards, [answers])
            annotation = from_doc(next(iter(parsed)), scheme)
            scheme.check(annotation, example.text)
        except Exception as error:  # a foreign parser may raise anything at an odd answer
            annotation, status, reason = None, "malformed", _said(error)
    return LLMResult(
        input_hash=example.input_hash,
        status=status,
        annotation=annotation,
        reason=reason,
        prompt_tokens=_sum([answer.prompt_tokens for answer in answers]),
        completion_tokens=_sum([answer.completion_tokens for answer in answers]),
        cost=_sum([answer.cost for answer in answers]),
        milliseconds=sum(answer.milliseconds for answer in answers),
        cached=all(answer.cached for answer in answers),
    )


def _sum(values: list[Any]) -> Any:
    return None if None in values else sum(values)
