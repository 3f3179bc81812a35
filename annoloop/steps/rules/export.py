"""The way out without a model: the rules as a wheel, installed afresh and tried before it is called done."""

from __future__ import annotations

from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

from annoloop.errors import PackagingError
from annoloop.evaluation.scores import score, scores_to_json
from annoloop.project import Project
from annoloop.steps.export import TRIED_TEXTS, Exported, gold_hashes, wheel_of
from annoloop.steps.progress import OnProgress, silent
from annoloop.steps.sources import RulesSource, ask_source, rules_source
from annoloop.steps.suggest import judge_rules
from annoloop.steps.wheel import keep_wheel
from annoloop.types import Example


def export_rules(
    project: Project,
    out_dir: Path,
    *,
    environment: Literal["auto", "fresh", "shared"] = "auto",
    on_progress: OnProgress = silent,
) -> Exported:
    """Build a wheel of the rules alone in `out_dir`, named NAME_rules, and try it like a model's.

    Its meta.json says how the rules score on dev and on the held-out texts, where there is gold, and whether
    they suffice. `environment` is where it is tried, as for `export`.

    Raises:
        FormatError: the file of patterns has wrong lines.
        PackagingError: there are no rules, no text to try them on, or the wheel could not be built, does not
            load or answers otherwise than the rules; no wheel is left behind then.
    """
    examples = _examples(project)
    if not examples:
        raise PackagingError(
            f"{project.folder} has no text to try the wheel on", hint="add some: annoloop add PROJECT FILE"
        )
    source = rules_source(project)
    if source is None:
        raise PackagingError(
            f"{project.folder} has no patterns", hint=f"write some into {project.patterns.name}"
        )
    from annoloop.rules.joining import save_rules_pipeline

    with TemporaryDirectory(prefix="annoloop-rules-") as folder:
        pipeline = Path(folder) / "rules"
        save_rules_pipeline(source.rules, pipeline)
        made = wheel_of(
            project,
            source,
            pipeline,
            out_dir,
            examples=examples,
            name=f"{project.settings.project.name}_rules",
            evidence=_evidence(project, source),
            environment=environment,
            on_progress=on_progress,
        )
    keep_wheel(project, made.wheel)
    return made


def _examples(project: Project) -> list[Example]:
    """Texts that the wheel is tried on, at best those that the rules were not written for."""
    gold = [item.example for item in (*project.held_out_gold(), *project.dev_gold())]
    missing = TRIED_TEXTS - len(gold)
    return gold if missing <= 0 else [*gold, *project.store.unanswered_texts("pool", limit=missing)]


def _evidence(project: Project, source: RulesSource) -> dict[str, Any]:
    held_out = project.held_out_gold()
    scores = None
    if len(held_out):
        said = ask_source(project, source, [gold.example for gold in held_out])
        scores = score(project.scheme, held_out, said, seed=project.settings.training.seed)
    judged = judge_rules(project, source) if len(project.dev_gold()) else None
    return {
        "annoloop_version": version("annoloop"),
        "kind": project.scheme.kind,
        "data": gold_hashes(project),
        "rules_version": source.rules.version,
        "patterns": len(source.rules.patterns),
        "dev": scores_to_json(judged[0]) if judged else None,
        "verdict": asdict(judged[1]) if judged else None,
        "held_out": scores_to_json(scores) if scores else None,
    }
