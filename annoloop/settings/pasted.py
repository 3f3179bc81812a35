"""A spacy-llm config pasted into annoloop.cfg: its one LLM component is the project's `[llm]` block."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from confection import Config

from annoloop.errors import SettingsError

_SECTIONS = ("paths", "system", "nlp", "components", "initialize")
_REFUSED = ("corpora", "pretraining")
# spaCy's names of LLM components, and the task that each has by itself.
_FACTORIES = {
    "llm": None,
    "llm_ner": "spacy.NER.v3",
    "llm_spancat": "spacy.SpanCat.v3",
    "llm_textcat": "spacy.TextCat.v3",
}
# Settings of [nlp] that change nothing here, where an LLM is asked alone.
_NLP_HARMLESS = ("lang", "pipeline", "disabled", "batch_size", "vectors")
_TOKENIZERS = (None, {"@tokenizers": "spacy.Tokenizer.v1"})
_TRAINING_OF_SPACY = ("dev_corpus", "train_corpus", "optimizer", "batcher", "max_steps", "max_epochs")


def with_llm_block(own: Mapping[str, Any], path: Path, *, lang: str) -> dict[str, Any]:
    """What annoloop.cfg says, with a pasted component as its `[llm]` block and variables filled in.

    `lang` is the project's language where the file does not say. A file without such sections is what it was.

    Raises:
        SettingsError: something in the pasted sections would be ignored, by its name.
    """
    for name in _REFUSED:
        if name in own:
            raise _unused(path, name)
    training = own.get("training")
    if isinstance(training, Mapping) and any(key in training for key in _TRAINING_OF_SPACY):
        raise _unused(path, "training")
    pasted = {name: own[name] for name in _SECTIONS if name in own}
    if not pasted:
        return dict(own)
    kept = {name: value for name, value in own.items() if name not in pasted}
    block = {name: kept[name] for name in ("llm",) if name in kept}
    filled = _filled({**pasted, **block}, path)
    project = own.get("project")
    _check_nlp(filled, path, lang=project.get("lang", lang) if isinstance(project, Mapping) else lang)
    _check_initialize(filled.get("initialize"), path)
    llm = dict(filled.get("llm") or {})
    if filled.get("components"):
        component = _component(filled["components"], path)
        both = [part for part in ("task", "model") if part in llm and part in component]
        if both:
            raise SettingsError(
                f"{path}: both [llm.{both[0]}] and the pasted component have a {both[0]}",
                hint="take one of them out",
            )
        llm.update(component)
    return {**kept, "llm": llm} if llm else kept


def _unused(path: Path, name: str) -> SettingsError:
    return SettingsError(
        f"{path}: [{name}] is a section of spaCy that annoloop would not use", hint="take it out"
    )


def _filled(pasted: Mapping[str, Any], path: Path) -> dict[str, Any]:
    """The sections with their variables, such as ${paths.examples}, filled in."""
    try:
        return dict(Config(dict(pasted)).interpolate())
    except Exception as error:
        reason = " ".join(str(error).split())
        raise SettingsError(
            f"{path}: a variable cannot be filled in: {reason}", hint="give its value in [paths] or [system]"
        ) from None


def _check_nlp(filled: Mapping[str, Any], path: Path, *, lang: str) -> None:
    nlp = filled.get("nlp") or {}
    if nlp.get("lang", lang) != lang:
        raise SettingsError(
            f"{path}: nlp -> lang is {nlp['lang']!r}, the project's lang is {lang!r}",
            hint="set [project] lang",
        )
    if nlp.get("tokenizer") not in _TOKENIZERS:
        raise SettingsError(
            f"{path}: nlp -> tokenizer: annoloop uses the tokenizer of {lang!r}", hint="take it out"
        )
    for key, value in nlp.items():
        if key not in (*_NLP_HARMLESS, "tokenizer") and value is not None:
            raise SettingsError(f"{path}: nlp -> {key} would not be used", hint="take it out")
    components = filled.get("components") or {}
    for name in nlp.get("pipeline") or ():
        if name not in components:
            raise SettingsError(f"{path}: nlp -> pipeline: there is no [components.{name}]")


def _check_initialize(block: Any, path: Path) -> None:
    """Refuse what the LLM would be initialised with; what spaCy writes there by itself is empty."""

    def said(value: Any, where: str) -> str | None:
        if isinstance(value, Mapping):
            return next(
                (found for key, one in value.items() if (found := said(one, f"{where} -> {key}"))), None
            )
        return where if value is not None else None

    where = said(block or {}, "initialize")
    if where is not None:
        raise SettingsError(
            f"{path}: {where} would not be used: annoloop initialises no pipeline", hint="take it out"
        )


def _component(components: Mapping[str, Any], path: Path) -> dict[str, Any]:
    """The one LLM component as an `[llm]` block."""
    for name, block in components.items():
        factory = block.get("factory") if isinstance(block, Mapping) else None
        if factory not in _FACTORIES:
            raise SettingsError(
                f"{path}: components -> {name}: annoloop asks an LLM alone, and has no use for {factory!r}",
                hint="take it out, also of [nlp] pipeline",
            )
    if len(components) > 1:
        raise SettingsError(
            f"{path}: {len(components)} LLM components, {', '.join(components)}: a project asks one question",
            hint="leave one of them",
        )
    block = dict(next(iter(components.values())))
    task = _FACTORIES[block.pop("factory")]
    if task is not None:
        block["task"] = {"@llm_tasks": task, **(block.get("task") or {})}
    return block


def check_task_labels(task: Mapping[str, Any], labels: tuple[str, ...], path: Path) -> None:
    """Refuse a task that names other labels than the project's.

    Raises:
        SettingsError: which labels are too many or too few.
    """
    given = task.get("labels")
    if isinstance(given, str):
        given = [name.strip() for name in given.split(",") if name.strip()]
    if not given or not isinstance(given, list | tuple):
        return
    strange = [str(name) for name in given if name not in labels]
    missing = [name for name in labels if name not in given]
    if strange or missing:
        which = f"{', '.join(strange)} not in the project" if strange else f"{', '.join(missing)} missing"
        raise SettingsError(
            f"{path}: llm -> task -> labels are not those of the project ({', '.join(labels)}): {which}",
            hint="make [project] labels and those of the task the same",
        )
