"""Terms for a label, written by the LLM from the label and its definition alone: no text is sent."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from annoloop.errors import LLMError
from annoloop.llm.answers import AnswerCache, Malformed, Prompt
from annoloop.llm.budget import Budget
from annoloop.llm.configured import is_own_model, model_of
from annoloop.llm.endpoint import OnOpen, OnSend
from annoloop.llm.prompting import render, template_version
from annoloop.types import LabelScheme

MOST_TERMS = 30
_MOST_EMBEDDED = 12
"""Terms that the embedded model is asked for: its answers end after 256 tokens."""
_LONGEST = 60


@dataclass(frozen=True, slots=True)
class Terms:
    """What the LLM wrote: terms by label, and by label why there are none."""

    terms: Mapping[str, tuple[str, ...]]
    failed: Mapping[str, str]


def terms_prompt(
    label: str, scheme: LabelScheme, *, lang: str, most: int = MOST_TERMS, bounded: bool = False
) -> Prompt:
    """The question for the terms of one label. With `bounded` the schema itself ends the list.

    Servers elsewhere may refuse a schema with bounds; the embedded one takes it, and its model needs it.
    """
    template = template_version("terms.v1", lang)
    question = render(
        template,
        "question",
        label=label,
        definition=scheme.definitions.get(label),
        others=[other for other in scheme.labels if other != label],
        spans=scheme.has_spans,
    )
    return Prompt(
        (
            {"role": "system", "content": render(template, "system", spans=scheme.has_spans, most=most)},
            {"role": "user", "content": question},
        ),
        schema=_schema(most if bounded else None),
        check=_check,
        repair=lambda reason: render(template, "repair", reason=reason),
    )


def _schema(most: int | None) -> dict[str, Any]:
    item: dict[str, Any] = {"type": "string"}
    terms: dict[str, Any] = {"type": "array", "items": item}
    if most is not None:
        item["maxLength"], terms["maxItems"] = 30, most
    return {
        "type": "object",
        "properties": {"terms": terms},
        "required": ["terms"],
        "additionalProperties": False,
    }


def _check(parsed: Any) -> None:
    terms = parsed.get("terms") if isinstance(parsed, dict) else None
    if not isinstance(terms, list) or not all(isinstance(term, str) for term in terms):
        raise Malformed('"terms" is not a list of strings')


def ask_terms(
    scheme: LabelScheme,
    *,
    config: Mapping[str, Any],
    allow_remote: str = "loopback",
    cache: AnswerCache | None = None,
    lang: str = "en",
    most: int = MOST_TERMS,
    budget: Budget | None = None,
    on_open: OnOpen | None = None,
    on_send: OnSend | None = None,
) -> Terms:
    """Ask the model of the `[llm]` block for up to `most` terms for each label.

    Answers are kept in `cache`: asked again, nothing is sent. A label whose answer fails has no terms and
    stands under `failed`. `budget`, `on_open` and `on_send` are those of `annotate`.

    Raises:
        LLMError: no model of ours is configured, it may not be asked where it is, or its server is down.
    """
    if not is_own_model(config):
        name = (config.get("model") or {}).get("@llm_models")
        raise LLMError(f"{name} cannot be asked for terms", hint="use annoloop.OpenAI.v1, or --no-llm")
    model = model_of(
        config, allow_remote=allow_remote, cache=cache, budget=budget, on_open=on_open, on_send=on_send
    )
    embedded = model.settings.embedded
    most = min(most, _MOST_EMBEDDED) if embedded else most
    ask = partial(terms_prompt, scheme=scheme, lang=lang, most=most, bounded=embedded)
    terms, failed = {}, {}
    asked = ((label, ask(label)) for label in scheme.labels)
    for label, answer in model.ask_all(asked):
        if answer.status == "ok":
            terms[label] = _terms(answer.parsed["terms"], most)
        else:
            failed[label] = answer.reason
    return Terms(terms, failed)


def _terms(written: list[str], most: int) -> tuple[str, ...]:
    """What was written without blanks around, each once in any case; no sentences."""
    kept: dict[str, str] = {}
    for term in written:
        plain = " ".join(term.split())
        if any(character.isalnum() for character in plain) and len(plain) <= _LONGEST:
            kept.setdefault(plain.casefold(), plain)
    return tuple(kept.values())[:most]
