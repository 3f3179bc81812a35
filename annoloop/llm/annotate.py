"""The loop's way to the LLM: examples in, one result a text out as answers arrive."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from annoloop.llm.answers import AnswerCache, LLMResult
from annoloop.llm.budget import Budget, Rehearsal
from annoloop.llm.configured import (
    OWN_MODEL,
    check_llm,
    describe,
    identity,
    is_configured,
    is_own_model,
)
from annoloop.llm.endpoint import OnOpen, OnSend
from annoloop.llm.few_shot import FEW_SHOT_MOST, FewShot, Labelled, choose_few_shot, few_shot_size
from annoloop.llm.prepare import prepare
from annoloop.llm.redaction.redactor import Redactor
from annoloop.types import Example, LabelScheme


def annotate(
    examples: Iterable[Example],
    *,
    scheme: LabelScheme,
    config: Mapping[str, Any],
    few_shot: FewShot = (),
    allow_remote: str = "loopback",
    cache: AnswerCache | None = None,
    guidelines: str | None = None,
    lang: str = "en",
    redactor: Redactor | None = None,
    budget: Budget | Rehearsal | None = None,
    on_open: OnOpen | None = None,
    on_send: OnSend | None = None,
    folder: Path | None = None,
) -> Iterator[LLMResult]:
    """Ask the LLM of the `[llm]` block about each text; results in the order in which answers arrive.

    Answers are kept in `cache` before they are yielded: whoever stops and asks again pays nothing twice.
    A text that gets no answer has status failed and no annotation; it is asked again in the next run.
    The arguments are those of `prepare`. Held-out texts may be asked about, but not be shown as examples.

    Raises:
        LLMError: no model is configured, texts may not go there, or the server is down.
        BlindnessError: a few-shot example is held out, or dev.
    """
    prepared = prepare(
        scheme=scheme,
        config=config,
        few_shot=few_shot,
        allow_remote=allow_remote,
        cache=cache,
        guidelines=guidelines,
        lang=lang,
        redactor=redactor,
        budget=budget,
        on_open=on_open,
        on_send=on_send,
        folder=folder,
    )
    yield from prepared.results(examples)


__all__ = [
    "FEW_SHOT_MOST",
    "OWN_MODEL",
    "FewShot",
    "Labelled",
    "annotate",
    "check_llm",
    "choose_few_shot",
    "describe",
    "few_shot_size",
    "identity",
    "is_configured",
    "is_own_model",
]
