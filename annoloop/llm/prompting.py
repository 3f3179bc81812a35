"""Prompt templates: versioned files in `prompts/`, one block a part of the conversation.

A template's first line holds its version, a number that is raised whenever its words change.
"""

from __future__ import annotations

import re
from functools import lru_cache
from pathlib import Path
from typing import Any

from annoloop.errors import LLMError

PROMPTS = Path(__file__).parent / "prompts"
_VERSION = re.compile(r"\{# version (\d+) #\}\n")


@lru_cache(maxsize=32)
def _template(version: str) -> Any:
    from jinja2 import FileSystemLoader, StrictUndefined
    from jinja2.sandbox import SandboxedEnvironment

    path = PROMPTS / f"{version}.jinja"
    if not path.is_file():
        known = ", ".join(sorted(file.stem for file in PROMPTS.glob("*.jinja")))
        raise LLMError(f"there is no prompt template {version!r}", hint=f"known templates: {known}")
    environment = SandboxedEnvironment(
        loader=FileSystemLoader(PROMPTS),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        autoescape=False,
    )
    return environment.get_template(path.name)


def template_version(task: str, lang: str) -> str:
    """The template of a task ("ner.v1") in a language, e.g. "ner.v1.de"; English where there is none."""
    return f"{task}.{lang}" if (PROMPTS / f"{task}.{lang}.jinja").is_file() else f"{task}.en"


def version_number(template: str) -> int:
    """The version of the words of a template such as "ner.v1.de"; counts from 1."""
    found = _VERSION.match((PROMPTS / f"{template}.jinja").read_text(encoding="utf-8"))
    if found is None:
        raise LLMError(f"the prompt template {template!r} has no version", hint="{# version 1 #} comes first")
    return int(found[1])


def render(version: str, block: str, **values: Any) -> str:
    """One block of a template, filled in and stripped.

    Raises:
        LLMError: there is no such template.
    """
    template = _template(version)
    context = template.new_context(values)
    return "".join(template.blocks[block](context)).strip()
