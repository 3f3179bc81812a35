"""What a score does not say of the gold behind it: labels that are missing, spans no model can return."""

from __future__ import annotations

from collections.abc import Iterable

from annoloop.corpus.spacy_io import off_token_borders
from annoloop.corpus.tokenizer import blank
from annoloop.project import Project
from annoloop.steps.evidence.gold_counts import gold_counts
from annoloop.steps.one_label import HINT, only_label
from annoloop.types import Gold


def training_notes(project: Project) -> tuple[str, ...]:
    """What a score on dev does not say of the gold it stands on; one line each."""
    pool, dev = project.pool_gold(), project.dev_gold()
    learned = (*pool, *dev)
    return (*_one_label(project), *off_border_notes(project, learned, "training and dev gold"))


def unjudged_notes(project: Project) -> list[str]:
    """That labels which were learned are in no text to judge by, in one line; none where all are."""
    counted = gold_counts(project).labels
    judged, learned = counted["held_out"], counted["pool"]
    missing = [label for label in project.scheme.labels if learned.get(label) and not judged.get(label)]
    if not missing or not judged:
        return []
    them = "them" if len(missing) > 1 else "it"
    return [f"no held-out text has {' or '.join(missing)}: no score here says anything of {them}"]


def off_border_notes(project: Project, gold: Iterable[Gold], what: str) -> list[str]:
    """That spans of this gold end inside a token, in one line with an example; none where no span does."""
    if not project.scheme.has_spans:
        return []
    nlp = blank(project.settings.project.lang)
    items = [item for item in gold if item.annotation.spans]
    found = [
        (item.example.text, off)
        for item in items
        for off in off_token_borders(nlp, item.example.text, item.annotation)
    ]
    if not found:
        return []
    spans = sum(len(item.annotation.spans) for item in items)
    text, off = found[0]
    marked = text[off.span.start : off.span.end]
    many = len(found) > 1
    return [
        f"{len(found)} of {spans} spans of the {what} {'do' if many else 'does'} not cover whole tokens "
        f"({marked!r:.60} {off.reason}): no spaCy model can return {'them' if many else 'it'}"
    ]


def _one_label(project: Project) -> tuple[str, ...]:
    """That gold holds one label only or none."""
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
