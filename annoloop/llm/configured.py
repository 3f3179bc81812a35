"""What an `[llm]` block says: which model and which prompt, and whether texts may go there."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from annoloop.errors import LLMError
from annoloop.llm.answers import AnswerCache
from annoloop.llm.asking import OWN_TASKS, TEMPLATES, task_name, template_words
from annoloop.llm.budget import Budget, Rehearsal
from annoloop.llm.endpoint import REACHES, OnOpen, OnSend, check_answers
from annoloop.llm.model import ModelSettings, OpenAIModel, model_settings
from annoloop.llm.prompting import template_version, version_number, words_version
from annoloop.types import LabelScheme

OWN_MODEL = "annoloop.OpenAI.v1"


def describe(
    config: Mapping[str, Any], scheme: LabelScheme, *, lang: str = "en", folder: Path | None = None
) -> str:
    """Model and prompt version for people: "qwen3-8b, prompt annoloop.NER.v1/en-1".

    A prompt template of the project's own, found from `folder`, is named with a hash of its words.

    Raises:
        LLMError: the task does not fit the project's kind, or its template is not there.
    """
    template = _template(config, scheme, lang)
    if template is None:
        return f"{_model_name(config)}, prompt {config['task']['@llm_tasks']}"
    task = task_name(config.get("task") or {}, scheme)
    own = _own_words(config, folder)
    prompt = own or f"{task}/{template.rsplit('.', 1)[1]}-{version_number(template)}"
    return f"{_model_name(config)}, prompt {prompt}{' with reasons' * bool(config.get('include_reason'))}"


def _own_words(config: Mapping[str, Any], folder: Path | None) -> str:
    """E.g. "prompts/mine.jinja-3fa9c2"; "" where the task names no template."""
    task = config.get("task") or {}
    words = template_words(task, folder)
    return f"{task['template']}-{words_version(words)}" if words else ""


def identity(
    config: Mapping[str, Any], scheme: LabelScheme, *, lang: str = "en", folder: Path | None = None
) -> str:
    """Model and prompt version as they count in the key of kept answers: stays when `describe` changes."""
    template = _template(config, scheme, lang)
    if template is None:
        return describe(config, scheme, lang=lang)
    own = _own_words(config, folder)
    if own:
        # Blocks that the project does not word itself are those of the task's template.
        return f"{_model_name(config)}, prompt {own}, {template}-{version_number(template)}"
    number = version_number(template)
    return f"{_model_name(config)}, prompt {template}{f'-{number}' if number > 1 else ''}"


def _model_name(config: Mapping[str, Any]) -> str:
    model = config.get("model") or {}
    own = is_own_model(config)
    return model_settings(model).label if own else str(model.get("name") or model["@llm_models"])


def _template(config: Mapping[str, Any], scheme: LabelScheme, lang: str) -> str | None:
    """The prompt template that is used; None with a task of others."""
    task = config.get("task") or {}
    if not is_own_task(task):
        return None
    return template_version(TEMPLATES[task_name(task, scheme)], str(task.get("lang") or lang))


def is_configured(config: Mapping[str, Any]) -> bool:
    """Whether the block names an LLM at all: `base_url = null` says that there is none."""
    model = config.get("model") or {}
    return bool(model) and not ("base_url" in model and model["base_url"] is None)


def is_own_model(config: Mapping[str, Any]) -> bool:
    """Whether the block's model is ours."""
    return bool((config.get("model") or {}).get("@llm_models", OWN_MODEL) == OWN_MODEL)


def is_own_task(task: Mapping[str, Any]) -> bool:
    """Whether a task block names one of ours."""
    return task.get("@llm_tasks", "auto") in OWN_TASKS


def model_of(
    config: Mapping[str, Any],
    *,
    allow_remote: str,
    cache: AnswerCache | None,
    budget: Budget | Rehearsal | None = None,
    on_open: OnOpen | None = None,
    on_send: OnSend | None = None,
) -> Any:
    """The block's model, ready to be asked; nothing is opened yet.

    Raises:
        LLMError: no LLM is configured, or texts may not go where it is.
    """
    if is_own_model(config):
        settings = _settings(config, allow_remote)
        return OpenAIModel(settings, cache=cache, budget=budget, on_open=on_open, on_send=on_send)
    _refuse_foreign(config, allow_remote)
    from annoloop.llm.foreign import ForeignModel

    return ForeignModel(config["model"], cache=cache, budget=budget, on_open=on_open, on_send=on_send)


def check_llm(config: Mapping[str, Any], *, allow_remote: str = "loopback", connect: bool = False) -> None:
    """Look, without asking anything, whether the block's model could be asked.

    With `connect` also whether its server takes a connection, through which nothing is sent.

    Raises:
        LLMError: no LLM is configured, texts may not go there, or something is missing, with what to do.
    """
    task = config.get("task") or {}
    if not is_own_task(task):
        from annoloop.llm.foreign import refuse_nested

        refuse_nested(task, allow_remote)
    if not is_own_model(config):
        _refuse_foreign(config, allow_remote)
        return
    endpoint = OpenAIModel(_settings(config, allow_remote)).check()
    if connect and endpoint is not None:
        check_answers(endpoint)


def _settings(config: Mapping[str, Any], allow_remote: str) -> ModelSettings:
    if not is_configured(config):
        raise LLMError("no LLM is configured", hint='llm -> model -> base_url: an address, or "embedded"')
    block = dict(config.get("model") or {})
    own = block.get("allow_remote", allow_remote)
    both = [reach for reach in REACHES if reach in (own, allow_remote)]
    # The project's word is the widest; a block may only narrow it.
    return model_settings({**block, "allow_remote": both[0] if both else allow_remote})


def _refuse_foreign(config: Mapping[str, Any], allow_remote: str) -> None:
    """Models of others choose their own addresses: only `public` covers that.

    Raises:
        LLMError: the project allows less.
    """
    name = (config.get("model") or {}).get("@llm_models")
    if allow_remote != "public":
        raise LLMError(
            f"{name} may send texts anywhere, and the project allows {allow_remote} only: nothing was sent",
            hint=f'use {OWN_MODEL} with a base_url, or set allow_remote = "public"',
        )
