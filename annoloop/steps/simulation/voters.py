"""What rules and LLM say of the texts of a simulation: recorded before it begins, so that nobody is asked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

from annoloop.errors import AnnoloopError, LLMError
from annoloop.hashing import input_hash
from annoloop.project import Project
from annoloop.selection.registry import NEEDS, default_for
from annoloop.steps.llm.source import LLMSource, llm_source
from annoloop.steps.sources import rules_source
from annoloop.types import Annotation, Example, LabelScheme

Voter = Literal["rules", "llm"]
Recorded = Mapping[Voter, Mapping[str, Annotation]]
"""Of each voter what it said, by input hash."""

VOTERS: Mapping[str, tuple[Voter, ...]] = {
    "disagreement": ("rules", "llm"),
    "llm_disagreement": ("llm",),
    "rules_disagreement": ("rules",),
}
"""Who votes beside the model, by signal."""

_READ = 0.9
"""The share of the texts that the LLM must have read, as in `steps.vote`."""


def voters_of(strategy: str, scheme: LabelScheme) -> tuple[Voter, ...]:
    """Who votes where this strategy chooses; `auto` for spans can do without."""
    signals = {field for name in default_for(scheme, strategy) for field in NEEDS.get(name, ())}
    return tuple(dict.fromkeys(one for signal in sorted(signals & VOTERS.keys()) for one in VOTERS[signal]))


def stands_for(strategy: str, scheme: LabelScheme, said: Recorded) -> tuple[str, ...]:
    """The strategies that it is, the preferred first, without those whose voters have said nothing."""
    named = default_for(scheme, strategy)
    heard = [
        name
        for name in named
        if not (voters := voters_of(name, scheme)) or any(voter in said for voter in voters)
    ]
    return tuple(heard) or named


def recorded(project: Project, examples: Sequence[Example], strategies: Sequence[str]) -> Recorded:
    """What the voters of these strategies say of texts that may be chosen; the LLM is not asked.

    Raises:
        AnnoloopError: a strategy goes by rules that there are not, or by an LLM that has not read the texts.
        FormatError: a pattern is wrong, or takes too long.
    """
    wanted = {voter for name in strategies for voter in voters_of(name, project.scheme)}
    said: dict[Voter, Mapping[str, Annotation]] = {}
    missing: dict[Voter, str] = {}
    if "rules" in wanted:
        if (rules := _of_rules(project, examples)) is None:
            missing["rules"] = "the project has no rules"
        else:
            said["rules"] = rules
    if "llm" in wanted:
        llm, shown = _of_llm(project, examples)
        if len(llm) < _READ * (len(examples) - shown) or not llm:
            missing["llm"] = f"the LLM's answers are kept for {len(llm):,} of {len(examples):,} texts"
        else:
            said["llm"] = llm
    for name in strategies:
        _require(name, project.scheme, said, missing)
    return said


def _require(name: str, scheme: LabelScheme, said: Recorded, missing: Mapping[Voter, str]) -> None:
    """Refuse a strategy of which no voter is there, unless it has another to give way to."""
    voters = voters_of(name, scheme)
    if len(default_for(scheme, name)) > 1 or not voters or any(voter in said for voter in voters):
        return
    hints = {
        "rules": "write some into patterns.jsonl, or take proposals: annoloop rules suggest PROJECT",
        "llm": "let it read them first: annoloop llm annotate PROJECT",
    }
    raise AnnoloopError(
        f"the strategy {name!r} cannot be simulated: {' and '.join(missing[voter] for voter in voters)}",
        hint="; ".join(hints[voter] for voter in voters),
    )


def _of_rules(project: Project, examples: Sequence[Example]) -> dict[str, Annotation] | None:
    source = rules_source(project)
    if source is None:
        return None
    found = ((example, annotation) for example, annotation, _ in source.predict(examples))
    return {example.input_hash: annotation or Annotation() for example, annotation in found}


def _of_llm(project: Project, examples: Sequence[Example]) -> tuple[dict[str, Annotation], int]:
    """The kept answers, and how many of the texts were shown to the LLM with theirs: it says those back."""
    try:
        source = llm_source(project)
    except LLMError:
        source = None
    if source is None:
        return {}, 0
    shown = {input_hash(row.text) for row in source.few_shot} if isinstance(source, LLMSource) else set()
    hashes = [eg.input_hash for eg in examples if eg.input_hash not in shown]
    kept = project.predictions(source.key, hashes=hashes)
    said = {name: annotation for name, (annotation, _) in kept.items() if annotation is not None}
    return said, len(examples) - len(hashes)
