"""Models and tasks of spacy-llm in our loop: its registries and interfaces, our cache and statuses."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from annoloop.corpus.spacy_io import from_doc
from annoloop.corpus.tokenizer import blank
from annoloop.errors import LLMError
from annoloop.llm.answers import (
    PAID,
    Answer,
    AnswerCache,
    LLMResult,
    Malformed,
    MemoryCache,
    Prompt,
    as_prompt,
    call_key,
    keep_answers,
)
from annoloop.llm.asking import Asked, total
from annoloop.llm.budget import Budget, Rehearsal
from annoloop.llm.chat import checked
from annoloop.llm.endpoint import OnOpen, OnSend, Sent, scrub, silence_logging
from annoloop.types import Annotation, Example, LabelScheme, LLMCall

T = TypeVar("T")

_ONLY_MAKING = frozenset(("@llm_tasks", "@llm_misc", "@misc", "@scorers"))
"""Registries whose functions make something of their arguments; those of others may open a client."""

FAILED_IN_A_ROW = 5
"""Documents that a foreign model fails at, one after the other, before the run stops."""


class ForeignModel:
    """Any model of spacy-llm's registry, asked one prompt at a time: one failure costs one document."""

    def __init__(
        self,
        block: Mapping[str, Any],
        *,
        cache: AnswerCache | None = None,
        budget: Budget | Rehearsal | None = None,
        on_open: OnOpen | None = None,
        on_send: OnSend | None = None,
    ) -> None:
        self.block = dict(block)
        self._budget = budget
        self._on_open = on_open
        self._on_send = on_send
        self.cache: AnswerCache = cache if cache is not None else MemoryCache()
        self._call: Callable[[Iterable[Iterable[Any]]], Iterable[Iterable[Any]]] | None = None

    def ask_all(self, questions: Iterable[tuple[T, Prompt]]) -> Iterator[tuple[T, Answer]]:
        """Answers in the order of the questions.

        Raises:
            LLMError: the model cannot be made, fails at several documents in a row, or there is a limit of
                money, which nobody could keep: what it costs is not known.
        """
        if isinstance(self._budget, Budget) and self._budget.max_cost is not None:
            raise LLMError(
                f"llm -> max_cost is {self._budget.max_cost:g}, and what {self.block['@llm_models']} "
                "costs is not known: nothing was sent",
                hint="use annoloop.OpenAI.v1 with its prices, or set max_cost = null",
            )
        failed = 0
        for item, prompt in questions:
            key = call_key("spacy-llm", str(self.block["@llm_models"]), self.block, prompt)
            kept = self.cache.get(key)
            rehearsal = self._budget if isinstance(self._budget, Rehearsal) else None
            if kept is not None:
                if rehearsal:
                    rehearsal.kept += 1
                yield item, _checked(prompt, str(kept["content"]), key=key, cached=True)
                continue
            if rehearsal:
                rehearsal.note(len(prompt), None)
                yield item, Answer("", status="not_sent", key=key, reason="nothing was sent")
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
        at, began = time.time_ns() // 1000, time.monotonic()
        try:
            content = str(next(iter(next(iter(self._call([[prompt]]))))))
            answer = _checked(prompt, content, key=key)
        except Exception as error:  # whatever a foreign model raises, it costs this document only
            answer = Answer("", status="failed", key=key, reason=_said(error))
        answer.milliseconds = round((time.monotonic() - began) * 1000)
        name = str(self.block["@llm_models"])
        # What its server said, and what that cost, only the model knows.
        call = LLMCall(
            key,
            at,
            endpoint=name,
            reach="public",
            model=name,
            status=answer.status,
            milliseconds=answer.milliseconds,
            characters=len(prompt),
            input_hash=prompt.about.get("input_hash"),
            redaction=prompt.about.get("redaction", ""),
        )
        kept = {key: {**answer.kept(), "model": name, "prompt": str(prompt)}}
        keep_answers(self.cache, kept if answer.status in PAID else {}, [call])
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


_KINDS = {"NER": ("ner",), "SpanCat": ("spancat",), "TextCat": ("textcat", "textcat_multilabel")}


def check_kind(name: str, scheme: LabelScheme) -> None:
    """Refuse a task of spacy-llm's own that answers another question; those of others may answer any.

    Raises:
        LLMError: it does not fit the project's kind.
    """
    owner, _, rest = name.partition(".")
    kinds = _KINDS.get(rest.partition(".")[0], ())
    if owner == "spacy" and scheme.kind not in kinds:
        fits = next(task for task, of in _KINDS.items() if scheme.kind in of)
        raise LLMError(
            f"llm -> task: {name} does not fit a project of kind {scheme.kind}", hint=f"use spacy.{fits}.v3"
        )


def _filled(block: Mapping[str, Any], scheme: LabelScheme, folder: Path | None) -> dict[str, Any]:
    """The block with what the scheme knows, as far as the task takes it, and with paths from `folder`."""
    known: dict[str, Any] = {"labels": list(scheme.labels)}
    if scheme.definitions:
        known["label_definitions"] = dict(scheme.definitions)
    if not scheme.has_spans:
        known["exclusive_classes"] = scheme.is_exclusive
    taken = _arguments(str(block["@llm_tasks"]))
    usable = {key: value for key, value in known.items() if key == "labels" or key in taken}
    if usable.get("labels") and taken.get("labels") is str:
        usable["labels"] = ",".join(scheme.labels)
    return {**usable, **(_at(block, folder) if folder is not None else block)}


def _arguments(name: str) -> dict[str, Any]:
    """The arguments of a registered task and their types; none where there is no such task."""
    from inspect import signature

    from spacy_llm.registry import registry

    try:
        made = registry.get("llm_tasks", name)
    except Exception:  # resolving it says what is wrong
        return {}
    return {key: argument.annotation for key, argument in signature(made).parameters.items()}


def files_of(block: Mapping[str, Any], folder: Path) -> tuple[Path, ...]:
    """The files that a task's block reads, such as examples or a template: they shape its prompts."""
    found: list[Path] = []
    for key, value in block.items():
        if isinstance(value, Mapping):
            found += files_of(value, folder)
        elif _is_path(block, key, value):
            found.append(folder / value)
    return tuple(found)


def _at(block: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    return {
        key: _at(value, folder)
        if isinstance(value, Mapping)
        else str(folder / value)
        if _is_path(block, key, value)
        else value
        for key, value in block.items()
    }


def _is_path(block: Mapping[str, Any], key: str, value: Any) -> bool:
    """Readers are registered functions whose argument is a path."""
    reader = "@misc" in block or "@llm_misc" in block
    return reader and isinstance(value, str) and (key == "path" or key.endswith("_path"))


class ForeignForm:
    """A task of spacy-llm as a way to ask; labels and definitions are the scheme's unless its block says.

    Relative paths in its block begin at `folder`.

    Raises:
        LLMError: there is no such task, its arguments are wrong, it asks another kind of question, or it
            would reach farther than `allow_remote`.
    """

    def __init__(
        self,
        block: Mapping[str, Any],
        *,
        scheme: LabelScheme,
        lang: str,
        model: Any,
        folder: Path | None = None,
        allow_remote: str = "loopback",
    ) -> None:
        refuse_nested(block, allow_remote)
        from spacy_llm.ty import supports_sharding

        check_kind(str(block["@llm_tasks"]), scheme)
        self._name = str(block["@llm_tasks"])[:100]
        self.scheme = scheme
        self.task = _resolved("llm_tasks", _filled(block, scheme, folder), "task")
        self._sharding = supports_sharding(self.task)
        self._context = getattr(model, "context_length", None)
        self._nlp = blank(lang)

    @property
    def template(self) -> str:
        """Only the task knows its words."""
        return self._name

    @property
    def shown(self) -> tuple[str, ...]:
        """The texts of the task's own examples."""
        examples = getattr(self.task, "_prompt_examples", None) or ()
        return tuple(str(one.text) for one in examples if hasattr(one, "text"))

    def ask(self, example: Example) -> Asked:
        """The task's prompts about this text, and its own parser."""
        doc = self._nlp.make_doc(example.text)
        if self._sharding:
            made, shards = next(iter(self.task.generate_prompts([doc], self._context)))
        else:
            made, shards = [next(iter(self.task.generate_prompts([doc])))], [doc]
        return Asked([as_prompt(prompt) for prompt in made], partial(self._read, example, list(shards)))

    def _read(self, example: Example, shards: list[Any], answers: Sequence[Answer]) -> LLMResult:
        bad = next((answer for answer in answers if answer.status != "ok"), None)
        annotation: Annotation | None = None
        status, reason = (bad.status, bad.reason) if bad is not None else ("ok", "")
        if bad is None:
            try:
                given = [shards] if self._sharding else shards
                parsed = self.task.parse_responses(given, [list(answers)])
                annotation = from_doc(next(iter(parsed)), self.scheme)
                self.scheme.check(annotation, example.text)
            except Exception as error:  # a foreign parser may raise anything at an odd answer
                annotation, status, reason = None, "malformed", _said(error)
        return LLMResult(
            input_hash=example.input_hash,
            status=status,
            annotation=annotation,
            reason=reason,
            prompt_tokens=total([answer.prompt_tokens for answer in answers]),
            completion_tokens=total([answer.completion_tokens for answer in answers]),
            cost=total([answer.cost for answer in answers]),
            milliseconds=sum(answer.milliseconds for answer in answers),
            cached=all(answer.cached for answer in answers),
        )
