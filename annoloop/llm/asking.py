"""From a task block to a question, and from its answer to a result."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

from annoloop.errors import LLMError
from annoloop.llm.answers import Answer, LLMResult, Malformed
from annoloop.llm.questions import CLOSED_LONGEST, CategoryQuestion, Question, Shot, SpanQuestion
from annoloop.types import Example, LabelScheme

OWN_TASKS = ("auto", "annoloop.NER.v1", "annoloop.TextCat.v1", "annoloop.SpanCat.v1")
EMBEDDED_MOST = 8
"""Quotes a label that the embedded model may give: a small one left alone repeats itself to the end."""


def make_question(
    block: Mapping[str, Any],
    *,
    scheme: LabelScheme,
    embedded: bool,
    few_shot: tuple[Shot, ...] = (),
    guidelines: str | None = None,
    lang: str = "en",
    include_reason: bool = False,
) -> Question:
    """The question of a task block: labels, definitions and language are the scheme's unless the block says.

    Raises:
        LLMError: an unknown key, or a task that does not fit the project's kind.
    """
    options = {key: value for key, value in block.items() if key != "@llm_tasks"}
    wanted = block.get("@llm_tasks", "auto")
    fits = "annoloop.NER.v1" if scheme.has_spans else "annoloop.TextCat.v1"
    if scheme.kind == "spancat":
        # NER.v1 stood for both kinds of spans before there was SpanCat.v1.
        fits = wanted if wanted == fits else "annoloop.SpanCat.v1"
    if wanted not in ("auto", fits):
        raise LLMError(
            f"llm -> task: {wanted} does not fit a project of kind {scheme.kind}", hint=f"use {fits}"
        )
    known = {"lang", "template"} | ({"style", "closed_quotes"} if scheme.has_spans else set())
    unknown = sorted(set(options) - known)
    if unknown:
        raise LLMError(f"llm -> task -> {unknown[0]}: unknown", hint=f"known: {', '.join(sorted(known))}")
    lang = str(options.get("lang") or lang)
    most = EMBEDDED_MOST if embedded else None
    template = str(options.get("template") or ("ner.v1" if scheme.has_spans else "textcat.v1"))
    if not scheme.has_spans:
        return CategoryQuestion(scheme, lang, few_shot, guidelines, most, include_reason, template)
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
    )


def closed_quotes(
    lang: str, *, longest: int = CLOSED_LONGEST, most_characters: int = 300
) -> Callable[[str], list[str] | None]:
    """For a text, all quotes of 1 to `longest` tokens without punctuation or a stop word at either end.

    None for texts beyond `most_characters`: their list would be longer than the text is worth.
    """

    def quotes(text: str) -> list[str] | None:
        if len(text) > most_characters:
            return None
        doc = _blank(lang).make_doc(text)
        usable = [not (token.is_punct or token.is_space or token.is_stop) for token in doc]
        found = [
            doc[first : last + 1].text
            for first in range(len(doc))
            for last in range(first, min(first + longest, len(doc)))
            if usable[first] and usable[last]
        ]
        return list(dict.fromkeys(found))

    return quotes


@lru_cache(maxsize=8)
def _blank(lang: str) -> Any:
    import spacy

    return spacy.blank(lang)


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
