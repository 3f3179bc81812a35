"""The project's masks: what `[privacy]` says is hidden from an LLM."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from annoloop.project import Project

if TYPE_CHECKING:
    from annoloop.llm.redaction.redactor import Redactor


@dataclass(frozen=True, slots=True)
class Redaction:
    """A project's redactor, None where it masks nothing, and what it masks in words."""

    redactor: Redactor | None
    masked: tuple[str, ...]

    @property
    def version(self) -> str:
        """Changes whenever something may be masked otherwise; empty without masks."""
        return self.redactor.version if self.redactor is not None else ""


def redaction_of(project: Project) -> Redaction:
    """What is masked before a text of the project is sent anywhere.

    Raises:
        LLMError: the file of names cannot be read, a pattern is wrong, or presidio is not there.
    """
    privacy = project.settings.privacy
    if not (privacy.redact or privacy.names or privacy.patterns):
        return Redaction(None, ())
    from annoloop.llm.redaction.redactor import read_names

    names = read_names(project.folder / privacy.names) if privacy.names else ()
    patterns = tuple(sorted(privacy.patterns.items()))
    masked = (*privacy.redact, *([f"{len(names)} names"] if names else []), *(name for name, _ in patterns))
    return Redaction(_redactor(privacy.redact, names, patterns, project.settings.project.lang), masked)


@lru_cache(maxsize=4)
def _redactor(
    kinds: tuple[str, ...], names: tuple[str, ...], patterns: tuple[tuple[str, str], ...], lang: str
) -> Redactor:
    from annoloop.llm.redaction.redactor import Redactor

    return Redactor(kinds, names=names, patterns=dict(patterns), lang=lang)
