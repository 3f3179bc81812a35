"""From a task block to a question, and from its answer to a result."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from annoloop.corpus.tokenizer import shared_blank
from annoloop.errors import LLMError
from annoloop.llm.answers import Answer, LLMResult, Malformed, Prompt
from annoloop.llm.prompting import own_template
from annoloop.llm.questions import CLOSED_LONGEST, CategoryQuestion, Question, Shot, SpanQuestion
from annoloop.types import Example, LabelScheme

OWN_TASKS = ("auto", "annoloop.NER.v1", "annoloop.TextCat.v1", "annoloop.SpanCat.v1")
TEMPLATES = {
    "annoloop.NER.v1": "ner.v1",
    "annoloop.SpanCat.v1": "spancat.v1",
    "annoloop.TextCat.v1": "textcat.v1",
}
"""The prompt template of each of our tasks."""
EMBEDDED_MOST = 8
"""Quotes a label that the embedded model may give: a small one left alone repeats itself to the end."""


Number = TypeVar("Number", int, float)


@dataclass(frozen=True)
class Asked:
    """One text on its way: the prompts that ask about it, and how their answers are read.

    `read` takes one answer a prompt, in their order.
    """

    prompts: Sequence[Prompt]
    read: Callable[[Sequence[Answer]], LLMResult]


def make_question(
    block: Mapping[str, Any],
    *,
    scheme: LabelScheme,
    embedded: bool,
    few_shot: tuple[Shot, ...] = (),
    guidelines: str | None = None,
    lang: str = "en",
    include_reason: bool = False,
    folder: Path | None = None,
) -> Question:
    """The question of a task block: labels, definitions and language are the scheme's unless the block says.

    `template` in the block is the path, from `folder`, of a prompt template of the project's own.

    Raises:
        LLMError: an unknown key, or a task that does not fit the project's kind.
    """
    options = {key: value for key, value in block.items() if key != "@llm_tasks"}
    template = TEMPLATES[task_name(block, scheme)]
    known = {"lang", "labels", "template"} | ({"style", "closed_quotes"} if scheme.has_spans else set())
    unknown = sorted(set(options) - known)
    if unknown:
        raise LLMError(f"llm -> task -> {unknown[0]}: unknown", hint=f"known: {', '.join(sorted(known))}")
    _check_labels(options.get("labels"), scheme)
    lang = str(options.get("lang") or lang)
    most = EMBEDDED_MOST if embedded else None
    words = template_words(block, folder)
    if not scheme.has_spans:
        return CategoryQuestion(scheme, lang, few_shot, guidelines, most, include_reason, words)
    style = options.get("style") or ("by_label" if embedded else "entities")
    if style not in ("entities", "by_label"):
        raise LLMError(f"llm -> task -> style: {style!r} is not one of entities, by_label")
    return SpanQuestion(
        scheme,
        lang,
        few_shot,
        guidelines,
        style=style,  # type: ignore[arg-type]
        closed=closed_quotes(lang) if options.get("closed_quotes") else None,
        most=most,
        include_reason=include_reason,
        template=template,
        words=words,
    )


def template_words(block: Mapping[str, Any], folder: Path | None) -> str:
    """The words of the prompt template that a task block names, "" where it names none.

    Raises:
        LLMError: the file is not there, not in the folder, or broken.
    """
    named = block.get("template")
    if not named:
        return ""
    within = (folder or Path()).resolve()
    path = (within / str(named)).resolve()
    if not path.is_relative_to(within):
        raise LLMError(
            f"llm -> task -> template: {path} is not in the project folder {within}",
            hint="a prompt lies in its project",
        )
    return own_template(path)


def _check_labels(given: Any, scheme: LabelScheme) -> None:
    """Labels named in the task, as in a pipeline's, have to be the project's.

    Raises:
        LLMError: they are others.
    """
    names = [name.strip() for name in given.split(",")] if isinstance(given, str) else given
    if names and set(names) != set(scheme.labels):
        raise LLMError(
            f"llm -> task -> labels: they are not the project's: {', '.join(scheme.labels)}",
            hint="leave them out: the project's are asked for",
        )


def task_name(block: Mapping[str, Any], scheme: LabelScheme) -> str:
    """Which of our tasks a block means; "auto" is the one of the project's kind.

    Raises:
        LLMError: it does not fit the project's kind.
    """
    wanted = str(block.get("@llm_tasks", "auto"))
    fits = "annoloop.NER.v1" if scheme.has_spans else "annoloop.TextCat.v1"
    # NER.v1 stood for both kinds of spans before there was SpanCat.v1: answers to its prompt go on counting.
    if scheme.kind == "spancat" and wanted != fits:
        fits = "annoloop.SpanCat.v1"
    if wanted not in ("auto", fits):
        raise LLMError(
            f"llm -> task: {wanted} does not fit a project of kind {scheme.kind}", hint=f"use {fits}"
        )
    return fits


def closed_quotes(
    lang: str, *, longest: int = CLOSED_LONGEST, most_characters: int = 300
) -> Callable[[str], list[str] | None]:
    """For a text, all quotes of 1 to `longest` tokens without punctuation or a stop word at either end.

    None for texts beyond `most_characters`: their list would be longer than the text is worth.
    """

    def quotes(text: str) -> list[str] | None:
        if len(text) > most_characters:
            return None
        doc = shared_blank(lang).make_doc(text)
        usable = [not (token.is_punct or token.is_space or token.is_stop) for token in doc]
        found = [
            doc[first : last + 1].text
            for first in range(len(doc))
            for last in range(first, min(first + longest, len(doc)))
            if usable[first] and usable[last]
        ]
        return list(dict.fromkeys(found))

    return quotes


def result_of(example: Example, answer: Answer, question: Question) -> LLMResult:
    """What an answer says about its text; an answer that says nothing readable is never "no entities"."""
    if answer.status != "ok":
        return _result(example, answer, status=answer.status, annotation=None, reason=answer.reason)
    try:
        reading = question.read(example.text, answer.parsed)
    except Malformed as error:
        return _result(example, answer, status="malformed", annotation=None, reason=str(error))
    return _result(
        example,
        answer,
        status="ok",
        annotation=reading.annotation,
        unaligned=reading.unaligned,
        ambiguous=reading.ambiguous,
        reason=reading.reason,
    )


def _result(example: Example, answer: Answer, **said: Any) -> LLMResult:
    return LLMResult(
        input_hash=example.input_hash,
        prompt_tokens=answer.prompt_tokens,
        completion_tokens=answer.completion_tokens,
        cost=answer.cost,
        milliseconds=answer.milliseconds,
        cached=answer.cached,
        **said,
    )


def total(values: Sequence[Number | None]) -> Number | None:
    """The sum of what several calls took; None where one of them is unknown."""
    known = [value for value in values if value is not None]
    return sum(known) if len(known) == len(values) else None
