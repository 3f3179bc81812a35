"""Changing what a project asks for: labels renamed, added, taken away, and all that taken back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from annoloop.errors import SchemeError
from annoloop.project import Project
from annoloop.settings.edit import edit_settings
from annoloop.types import LabelScheme

HISTORY_FACT = "labels.before"
KEPT_STEPS = 50

_LEADS = ("[", "#", ";", "@")
_INSIDE = ("=", ":", "\n", "\r", "\0", "${")


def label_problem(label: str) -> str | None:
    """What is wrong with a label's name: "blank", "long", or the character that it may not hold."""
    if not label.strip():
        return "blank"
    if len(label) > 100:
        return "long"
    found = next((lead for lead in _LEADS if label.startswith(lead)), None)
    # A definition stands in annoloop.cfg as `label = "..."`.
    return found or next((char for char in _INSIDE if char in label), None)


def change_labels(
    project: Project,
    labels: Sequence[str],
    *,
    renamed: Mapping[str, str] | None = None,
    definitions: Mapping[str, str] | None = None,
    section: Mapping[str, Any] | None = None,
) -> Project:
    """Give the project these labels; returns it opened anew.

    `renamed` maps present labels to new ones: their answers count for the new name from now on. A label
    that is left out keeps its answers, but they no longer count. `definitions` None keeps what there is.
    `section` holds other values of [project] that change in the same step.

    Raises:
        SchemeError: a name cannot be used, or stands there twice.
        SettingsError: the settings would no longer be right; they are as they were then.
    """
    labels = [label.strip() for label in labels]
    wrong = next((label for label in labels if label_problem(label)), None)
    if wrong is not None:
        raise SchemeError(f"label {wrong!r} cannot be used", hint="no = : ${, and no [ # ; @ at its start")
    if len(set(labels)) < len(labels):
        raise SchemeError("a label stands there twice", hint="take one of them out")
    others = dict(section or {})
    kind = others.get("kind", project.scheme.kind)
    least = 2 if kind == "textcat" else 1
    if len(labels) < least:
        raise SchemeError(f"kind {kind} needs at least {least} label(s)", hint="name them")
    before = project.scheme
    meant = {old: new.strip() for old, new in (renamed or {}).items() if old != new.strip()}
    kept = dict(before.definitions) if definitions is None else dict(definitions)
    if definitions is None:
        kept = {meant.get(label, label): text for label, text in kept.items()}
    _write(project, labels, _renamings(before, labels, meant), kept, others)
    changed = Project.open(project.folder)
    if changed.scheme != before:
        _remember(project, before)
    return changed


def undo_labels(project: Project) -> Project:
    """Take the newest change of the labels back; answers given since then still count where they can.

    Raises:
        SchemeError: there is nothing to take back.
    """
    steps = list(project.store.fact(HISTORY_FACT) or [])
    if not steps:
        raise SchemeError("the labels were never changed here")
    step = steps.pop()
    labels = list(step["labels"])
    # Answers given under the new name belong to the old one again.
    back = {
        new: old
        for old, new in project.scheme.renamed.items()
        if old in labels and new not in labels and old not in step["renamed"]
    }
    _write(project, labels, {**back, **step["renamed"]}, step["definitions"], {})
    project.store.set_fact(HISTORY_FACT, steps)
    return Project.open(project.folder)


def can_undo(project: Project) -> bool:
    """Whether there is a change of the labels that can be taken back."""
    return bool(project.store.fact(HISTORY_FACT))


def _renamings(before: LabelScheme, labels: Sequence[str], meant: Mapping[str, str]) -> dict[str, str]:
    """Old names to present ones, those of earlier renamings carried on."""
    carried = {old: meant.get(new, new) for old, new in before.renamed.items()}
    together = {**carried, **meant}
    # A name that is in use again stands for itself.
    return {old: new for old, new in together.items() if new in labels and old not in labels}


def _write(
    project: Project,
    labels: Sequence[str],
    renamed: Mapping[str, str],
    definitions: Mapping[str, str],
    others: Mapping[str, Any],
) -> None:
    known = {label: text.strip() for label, text in definitions.items() if label in labels and text.strip()}
    values: dict[str, dict[str, Any]] = {
        "project.definitions": {"*": None, **known},
        "project.renamed": {"*": None, **renamed},
        "project": {**others, "labels": list(labels)},
    }
    edit_settings(project.folder, values)


def _remember(project: Project, before: LabelScheme) -> None:
    step = {
        "labels": list(before.labels),
        "definitions": dict(before.definitions),
        "renamed": dict(before.renamed),
    }
    steps = list(project.store.fact(HISTORY_FACT) or [])
    project.store.set_fact(HISTORY_FACT, [*steps, step][-KEPT_STEPS:])
