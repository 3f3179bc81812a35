"""Rules and a trained pipeline together: what both say of a text, and one pipeline that says it."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from annoloop.corpus.tokenizer import blank
from annoloop.rules.matcher import Rules
from annoloop.types import Annotation, LabelScheme, Span

if TYPE_CHECKING:
    from spacy.language import Language

How = Literal["fill", "override"]
HOWS: tuple[How, ...] = ("fill", "override")
"""fill: the rules speak where the model is silent. override: the model speaks where the rules are silent."""

CODE = {
    "annoloop_rules.py": Path(__file__).with_name("component.py"),
    "pattern_matcher.py": Path(__file__).with_name("pattern_matcher.py"),
}
"""The components' code by the names of the files that travel with a pipeline."""


def join(rules: Annotation, model: Annotation, scheme: LabelScheme, how: How) -> Annotation:
    """What a pipeline says whose rules joined it so.

    Spans: those of both; of rivals the model's ("fill") or the rules' ("override"). Rivals are spans that
    overlap, for spancat with the same label. One category: the model's or else the rules', or the reverse.
    Several: those of either, or the rules' where they name any.
    """
    from annoloop.rules.component import joined_labels, joined_spans

    if not scheme.has_spans:
        return Annotation(labels=joined_labels(rules.labels, model.labels, kind=scheme.kind, mode=how))
    theirs = [[(span.start, span.end, span.label) for span in one.spans] for one in (rules, model)]
    spans = joined_spans(*theirs, kind=scheme.kind, mode=how)
    return Annotation(spans=tuple(Span(*span) for span in spans))


def rules_pipeline(rules: Rules) -> Language:
    """A pipeline without a model that says what the rules say."""
    nlp = blank(rules.lang)
    _add(nlp, rules, "override")
    return nlp


def save_rules_pipeline(rules: Rules, folder: Path) -> None:
    """Write `rules_pipeline` into a new folder, with its code in `training` as with a trained pipeline."""
    rules_pipeline(rules).to_disk(folder)
    _add_code(folder)


def add_to_pipeline(folder: Path, rules: Rules, how: How) -> None:
    """Add the rules to the saved pipeline in `folder`, as its last component.

    Not safe against interruption: call it on a folder that nobody looks at yet.
    """
    import spacy

    nlp = spacy.load(folder)
    _add(nlp, rules, how)
    nlp.to_disk(folder)
    _add_code(folder)


def _add(nlp: Language, rules: Rules, how: How) -> None:
    from annoloop.rules import component

    scheme = rules.scheme
    settings = {"kind": scheme.kind, "labels": list(scheme.labels), "mode": how}
    added: Any = nlp.add_pipe(component.FACTORY, config=settings)
    added.patterns = rules.rows


def _add_code(folder: Path) -> None:
    making = folder / "training"
    making.mkdir(exist_ok=True)
    for name, code in CODE.items():
        shutil.copyfile(code, making / name)
