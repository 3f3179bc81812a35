"""Gold that holds one label only or none, from which nothing is learned and by which nothing is judged."""

from __future__ import annotations

from collections.abc import Iterable

from annoloop.errors import TrainingError
from annoloop.project import Project
from annoloop.types import Gold, LabelScheme

HINT = "label texts of other labels too; annoloop loop PROJECT --seek LABEL looks for them"


def only_label(scheme: LabelScheme, gold: Iterable[Gold]) -> str | None:
    """The label that all texts have where each has one; None where there are two, or none."""
    if not scheme.is_exclusive:
        return None
    said = {gold.annotation.labels[0] for gold in gold if gold.complete and gold.annotation.labels}
    return said.pop() if len(said) == 1 else None


def require_two_labels(project: Project, gold: Iterable[Gold]) -> None:
    """Raise `TrainingError` where all gold has the same label."""
    items = list(gold)
    if (label := only_label(project.scheme, items)) is not None:
        raise TrainingError(
            f"{project.folder}: all {len(items)} texts with gold have the label {label}: nothing "
            "to tell apart",
            hint=HINT,
        )
