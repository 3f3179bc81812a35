"""Whether the last evaluation is still one of the project as it is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from annoloop.project import Project
from annoloop.steps.evidence.looks import gold_basis


def changed_since(project: Project, judged: Mapping[str, Any]) -> str | None:
    """What has changed since this evaluation, so that it must be made again; None where nothing has.

    A newer model is none of it: until that is judged, the verdict is on the one before.
    """
    kind, basis = judged.get("kind"), judged.get("basis") or {}
    if kind is not None and kind != project.scheme.kind:
        return f"the project's kind was {kind} then and is {project.scheme.kind} now"
    # Evaluations kept before this was looked at have no hash of their labels.
    if basis.get("gold") not in (None, gold_basis(project.held_out_gold())):
        return "the held-out labels are others now"
    return None
