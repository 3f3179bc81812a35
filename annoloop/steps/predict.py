"""What rules, LLM and model say of texts, side by side: for looking, comparing, plotting."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Literal

from annoloop.errors import AnnoloopError
from annoloop.project import Project
from annoloop.steps.llm.source import llm_source
from annoloop.steps.progress import OnProgress, silent
from annoloop.steps.sources import Source, ask_source, latest_model, rules_source
from annoloop.types import Annotation, Example


def predict(
    project: Project,
    approach: Literal["rules", "llm", "model"],
    examples: Sequence[Example],
    *,
    on_progress: OnProgress = silent,
) -> Mapping[str, Annotation]:
    """What one approach says of texts of the project, by input hash; texts it failed on are absent.

    Raises:
        AnnoloopError: the project has no such approach (yet).
    """
    sources: dict[str, Callable[[Project], Source | None]] = {
        "rules": rules_source,
        "llm": partial(llm_source, purpose="annotate"),
        "model": latest_model,
    }
    if approach not in sources:
        raise AnnoloopError(f"no approach {approach!r}", hint=f"one of {', '.join(sources)}")
    source = sources[approach](project)
    if source is None:
        raise AnnoloopError(f"{project.folder} has no {approach} yet")
    return ask_source(project, source, examples, on_progress=on_progress)
