"""The LLM to beat: the one of those compared that the project adopted, on record with how it was chosen."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from annoloop.errors import LLMError
from annoloop.project import Project
from annoloop.settings.edit import edit_settings
from annoloop.steps.llm.compare import OWN, PromptComparison, Variant
from annoloop.steps.llm.source import IMPORTED_FACT, llm_config, llm_source, source_of

BASELINE_FACT = "llm.baseline"


@dataclass(frozen=True)
class Baseline:
    """The LLM that was chosen to be beaten, and how it did where it was chosen.

    `settings` names its block without the examples shown, which may change; `at` is in seconds since 1970.
    """

    key: str
    name: str
    version: str
    score: float | None
    interval: tuple[float, float] | None
    texts: int
    tried: int
    settings: str
    at: float


def adopt(project: Project, variants: Sequence[Variant], found: PromptComparison, name: str) -> Baseline:
    """Make a compared variant the project's LLM: the baseline of record.

    Its lines go into annoloop.cfg, whose comments stay; what it scored on dev, and how many were tried, is
    kept as a fact. The name "project" puts the LLM that there is on record.

    Raises:
        LLMError: it was not compared, has no score, or answers made elsewhere stand for the project's LLM.
        SettingsError: annoloop.cfg cannot take its lines; the file is as it was then.
    """
    row = next((row for row in found.rows if row.name == name), None)
    if row is None:
        raise LLMError(f"{name!r} was not compared", hint=f"one of {', '.join(r.name for r in found.rows)}")
    if row.scores is None or row.scores.missing == row.scores.texts:
        raise LLMError(f"{name!r} has no score and was not adopted", hint=row.problem or "ask it again")
    if project.store.fact(IMPORTED_FACT) is not None and name != OWN:
        raise LLMError(
            f"the project's LLM is answers that were imported, so {name!r} was not adopted",
            hint="go back to a configured one first: annoloop llm import PROJECT --forget",
        )
    chosen = next((variant for variant in variants if variant.name == name), None)
    if chosen is not None and chosen.changes:
        edit_settings(project.folder, chosen.changes)
    config = llm_config(project) if chosen is None else chosen.config
    baseline = Baseline(
        key=row.key,
        name=name,
        version=row.version,
        score=row.scores.score,
        interval=row.scores.interval,
        texts=row.scores.texts,
        tried=found.tried,
        settings=_settings_key(project, config),
        at=time.time(),
    )
    project.store.set_fact(BASELINE_FACT, asdict(baseline))
    return baseline


def _settings_key(project: Project, config: Mapping[str, Any]) -> str:
    imported = project.store.fact(IMPORTED_FACT)
    return imported["key"] if imported else source_of(project, config, purpose="compare", few_shot=()).key


def baseline_of_record(project: Project) -> dict[str, Any] | None:
    """The adopted LLM as plain values, with `in_force`: whether the project still has it; None without one.

    Raises:
        LLMError: the project's LLM must not be asked.
    """
    kept = project.store.fact(BASELINE_FACT)
    if kept is None:
        return None
    now = _settings_key(project, llm_config(project)) if llm_source(project) else None
    return {**kept, "in_force": now == kept["settings"]}


def baseline_notes(project: Project) -> list[str]:
    """What to say beside a judgement about the LLM that was chosen to be beaten: at most one line."""
    kept = baseline_of_record(project)
    if kept is None:
        return []
    adopted = f"{kept['name']!r} ({kept['version']})"
    if not kept["in_force"]:
        return [f"the LLM is not the one adopted as {adopted}: its settings changed since"]
    scored = "" if kept["score"] is None else f", {kept['score']:.3f} on {kept['texts']} dev texts"
    return [f"the LLM to beat was adopted as {adopted}{scored}, of {kept['tried']} tried"]
