"""Prompt templates: versioned files in `prompts/`, one block a part of the conversation.

A template's first line holds its version, a number that is raised whenever its words change.
"""

from __future__ import annotations

import hashlib
import re
from functools import lru_cache
from pathlib import Path
from typing import Any

from annoloop.errors import LLMError

PROMPTS = Path(__file__).parent / "prompts"
BLOCKS = ("system", "question", "repair")
"""The parts of a template: the instruction, a text, and what asks again after a wrong answer."""
_PROBE = "~text~"
_VERSION = re.compile(r"\{# version (\d+) #\}\n")


@lru_cache(maxsize=32)
def _template(version: str) -> Any:
    path = PROMPTS / f"{version}.jinja"
    if not path.is_file():
        known = ", ".join(sorted(file.stem for file in PROMPTS.glob("*.jinja")))
        raise LLMError(f"there is no prompt template {version!r}", hint=f"known templates: {known}")
    return _compiled(path.read_text(encoding="utf-8"))


@lru_cache(maxsize=32)
def _compiled(source: str) -> Any:
    from jinja2 import StrictUndefined
    from jinja2.sandbox import SandboxedEnvironment

    environment = SandboxedEnvironment(
        undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, autoescape=False
    )
    return environment.from_string(source)


def own_template(path: Path) -> str:
    """A template file of a project: its words. It needs only those of `BLOCKS` that it words otherwise.

    Raises:
        LLMError: it cannot be read, is broken, or has no such block or others.
    """
    from jinja2 import TemplateError

    try:
        source = path.read_text(encoding="utf-8-sig")
        blocks = _compiled(source).blocks
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8"
        raise LLMError(f"llm -> task -> template: {path} cannot be read: {reason}") from None
    except TemplateError as error:
        line = f", line {error.lineno}" if hasattr(error, "lineno") else ""
        raise LLMError(f"llm -> task -> template: {path}{line}: {error.message}") from None
    wrong = sorted(set(blocks) - set(BLOCKS))
    if wrong or not blocks:
        which = f"block {wrong[0]!r} is unknown" if wrong else "it has no block"
        hint = f"{{% block NAME %}}; known: {', '.join(BLOCKS)}"
        raise LLMError(f"llm -> task -> template: {path}: {which}", hint=hint)
    try:
        is_shown = "question" not in blocks or _PROBE in render("ner.v1.en", "question", source, text=_PROBE)
    except LLMError as error:
        named = error.message.replace("template:", f"template: {path}:", 1)
        raise LLMError(named, hint=error.hint) from None
    if not is_shown:
        raise LLMError(
            f"llm -> task -> template: {path}: block 'question' leaves the text out", hint="{{ text }}"
        )
    return source


def words_version(words: str) -> str:
    """6 hex digits that change with the words of a project's own template."""
    return hashlib.sha256(words.encode()).hexdigest()[:6]


@lru_cache(maxsize=32)
def template_version(task: str, lang: str) -> str:
    """The template of a task ("ner.v1") in a language, e.g. "ner.v1.de"; English where there is none."""
    return f"{task}.{lang}" if (PROMPTS / f"{task}.{lang}.jinja").is_file() else f"{task}.en"


def version_number(template: str) -> int:
    """The version of the words of a template such as "ner.v1.de"; counts from 1."""
    found = _VERSION.match((PROMPTS / f"{template}.jinja").read_text(encoding="utf-8"))
    if found is None:
        raise LLMError(f"the prompt template {template!r} has no version", hint="{# version 1 #} comes first")
    return int(found[1])


def render(version: str, block: str, own: str = "", **values: Any) -> str:
    """One block of a template, filled in and stripped; of the words in `own` where they have it.

    Raises:
        LLMError: there is no such template, or a project's own template names a value that there is not.
    """
    template = _template(version)
    if own and block in _compiled(own).blocks:
        template = _compiled(own)
    context = template.new_context(values)
    try:
        return "".join(template.blocks[block](context)).strip()
    except Exception as error:  # whatever the words of a project's own template do
        known = ", ".join(sorted(values))
        raise LLMError(
            f"llm -> task -> template: block {block!r}: {error}", hint=f"known values: {known}"
        ) from error
