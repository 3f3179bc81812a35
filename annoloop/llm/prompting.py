"""Prompt templates: versioned files in `prompts/`, one block a part of the conversation, or people's own.

A template's first line holds its version, a number that is raised whenever its words change. People forget
that, so the version of their own files has a hash of the words too. An own file is named by its path.
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
_SUFFIX = ".jinja"
_VERSION = re.compile(r"\{# version (\d+) #\}\n")


def is_own_template(version: str) -> bool:
    """Whether this is the path of somebody's own file, not the name of one of ours."""
    return version.endswith(_SUFFIX)


@lru_cache(maxsize=32)
def _template(version: str, _changed: int) -> Any:
    from jinja2 import FileSystemLoader, StrictUndefined, TemplateSyntaxError
    from jinja2.sandbox import SandboxedEnvironment

    environment = SandboxedEnvironment(
        loader=FileSystemLoader(PROMPTS),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        autoescape=False,
    )
    try:
        template = environment.from_string(_words(version))
    except TemplateSyntaxError as error:
        raise LLMError(f"{version}, line {error.lineno}: {error.message}", hint="it is Jinja") from None
    missing = [block for block in BLOCKS if block not in template.blocks]
    if missing:
        raise LLMError(f"{version} has no block {missing[0]!r}", hint=f"a prompt has {', '.join(BLOCKS)}")
    return template


def _words(version: str) -> str:
    path = Path(version) if is_own_template(version) else PROMPTS / f"{version}{_SUFFIX}"
    try:
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeError) as error:
        if is_own_template(version):
            reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
            raise LLMError(f"the prompt template {version} cannot be read: {reason}") from None
        known = ", ".join(sorted(file.stem for file in PROMPTS.glob(f"*{_SUFFIX}")))
        raise LLMError(f"there is no prompt template {version!r}", hint=f"known templates: {known}") from None


def template_version(task: str, lang: str) -> str:
    """The template of a task ("ner.v1") in a language, e.g. "ner.v1.de"; English where there is none.

    The path of an own file stands for itself.
    """
    if is_own_template(task):
        return task
    return f"{task}.{lang}" if (PROMPTS / f"{task}.{lang}{_SUFFIX}").is_file() else f"{task}.en"


def version_number(template: str) -> int:
    """The version of the words of a template such as "ner.v1.de"; counts from 1."""
    found = _VERSION.match(_words(template))
    if found is None:
        raise LLMError(f"the prompt template {template!r} has no version", hint="{# version 1 #} comes first")
    return int(found[1])


def own_version(template: str) -> str:
    """The version of an own file: its name, its number, a hash of its words, "mine-2-0f3a9c".

    Raises:
        LLMError: it cannot be read, has no version, or is no prompt.
    """
    words = _words(template).encode("utf8")
    number = version_number(template)
    _template(template, _changed(template))
    return f"{Path(template).stem}-{number}-{hashlib.blake2b(words, digest_size=3).hexdigest()}"


def _changed(version: str) -> int:
    """When an own file changed, in nanoseconds; ours do not."""
    try:
        return Path(version).stat().st_mtime_ns if is_own_template(version) else 0
    except OSError:
        return 0


def render(version: str, block: str, **values: Any) -> str:
    """One block of a template, filled in and stripped.

    Raises:
        LLMError: there is no such template, or it asks for a value that there is not.
    """
    from jinja2 import TemplateError

    template = _template(version, _changed(version))
    try:
        return "".join(template.blocks[block](template.new_context(values))).strip()
    except TemplateError as error:
        known = ", ".join(sorted(values))
        raise LLMError(f"{version}, block {block}: {error.message}", hint=f"known there: {known}") from None
