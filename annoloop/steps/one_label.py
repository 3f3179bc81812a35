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


def training_notes(project: Project) -> tuple[str, ...]:
    """What a score on dev does not say where gold holds one label only or none; one line each."""
    pool, dev = project.pool_gold(), project.dev_gold()
    thing = "span" if project.scheme.has_spans else "label"
    for part, gold, what in (("training", pool, "nothing was learned"), ("dev", dev, "nothing is judged")):
        if not any(item.annotation.labels or item.annotation.spans for item in gold):
            return (f"none of the {len(gold)} {part} texts has a {thing}, so {what}; label more texts",)
    if (label := only_label(project.scheme, pool)) is not None:
        return (
            f"all {len(pool)} training texts have the label {label}: nothing was learned to tell apart, and "
            f"the score only says how many dev texts have it; {HINT}",
        )
    if (label := only_label(project.scheme, dev)) is not None:
        return (
            f"all {len(dev)} dev texts have the label {label}: a model that always says so is right there; "
            "label more of them",
        )
    return ()
