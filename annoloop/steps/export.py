"""The way out: a wheel with its evidence, installed afresh and tried before it is called done."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Literal

from annoloop.errors import PackagingError
from annoloop.hashing import input_hash
from annoloop.project import Project
from annoloop.steps.evaluate import Evaluation, evaluate
from annoloop.steps.llm.baseline import baseline_of_record
from annoloop.steps.progress import OnProgress, silent
from annoloop.steps.sources import ModelSource, Source, ask_source, latest_model, rules_source
from annoloop.steps.wheel import keep_wheel
from annoloop.types import SPLITS, Example

if TYPE_CHECKING:
    from annoloop.packaging.verify import VerifyReport

TRIED_TEXTS = 50


@dataclass(frozen=True, slots=True)
class Exported:
    """A wheel that was installed in a fresh environment and gave the project's own answers there."""

    wheel: Path
    package: str
    texts_tried: int
    environment: str


def export(
    project: Project,
    out_dir: Path,
    *,
    environment: Literal["auto", "fresh", "shared"] = "auto",
    on_progress: OnProgress = silent,
) -> Exported:
    """Build the newest model's wheel in `out_dir`, with the evidence in its meta.json, and try it.

    `environment` is where: "fresh" installs all that the wheel asks for, "shared" sees the packages of the
    running environment, "auto" is fresh wherever the package index can be reached.

    Raises:
        PackagingError: there is no model, the wheel could not be built, or the installed package does
            not load or answers otherwise than the project's model; no wheel is left behind then.
    """
    model = latest_model(project)
    if model is None:
        raise PackagingError(
            f"{project.folder} has no trained model", hint="train one: annoloop loop PROJECT"
        )
    found = evaluate(project, on_progress=on_progress)
    made = wheel_of(
        project,
        model,
        model.path,
        out_dir,
        examples=[gold.example for gold in project.held_out_gold()],
        name=project.settings.project.name,
        evidence=_evidence(project, model, found),
        environment=environment,
        on_progress=on_progress,
    )
    keep_wheel(project, made.wheel)
    return made


def wheel_of(
    project: Project,
    source: Source,
    pipeline: Path,
    out_dir: Path,
    *,
    examples: Sequence[Example],
    name: str,
    evidence: Mapping[str, Any],
    environment: Literal["auto", "fresh", "shared"],
    on_progress: OnProgress,
) -> Exported:
    """Build a wheel of the pipeline in a folder and try it: it must say what `source` says of the examples.

    Raises:
        PackagingError: it could not be built, does not load, or answers otherwise; nothing is left behind.
    """
    from annoloop.packaging.export import build_wheel

    on_progress("building the wheel", 0, 0)
    section = project.settings.project
    out_dir = out_dir.resolve()
    out_dir.mkdir(parents=True, exist_ok=True)
    # It is built aside: what lies in `out_dir` has been tried.
    with TemporaryDirectory(dir=out_dir, prefix=".untried-") as untried:
        built = build_wheel(
            pipeline,
            Path(untried),
            name=name,
            version=section.version,
            lang=section.lang,
            meta={"annoloop": evidence},
        )
        report = _try(project, source, built, examples[:TRIED_TEXTS], environment, on_progress)
        wheel = built.replace(out_dir / built.name)
    return Exported(wheel, report.package, report.texts, report.environment)


def _try(
    project: Project,
    source: Source,
    wheel: Path,
    examples: Sequence[Example],
    environment: Any,
    on_progress: OnProgress,
) -> VerifyReport:
    from annoloop.packaging.verify import verify_wheel

    said = ask_source(project, source, examples)
    report = verify_wheel(
        wheel,
        [eg.text for eg in examples],
        [said[eg.input_hash] for eg in examples],
        scheme=project.scheme,
        environment=environment,
        on_progress=on_progress,
    )
    if not report.ok:
        raise PackagingError(
            f"{wheel.name} was installed and answers {len(report.differing)} of {report.texts} texts "
            f"otherwise than the project's {source.approach}; it was not kept",
            hint="export again; if it happens again, report it with annoloop export --debug",
        )
    return report


def _evidence(project: Project, model: ModelSource, found: Evaluation) -> dict[str, Any]:
    rules = rules_source(project)
    plain = found.to_json()
    return {
        "annoloop_version": version("annoloop"),
        "round": model.number,
        "fingerprint": model.fingerprint,
        "kind": plain["kind"],
        "data": gold_hashes(project),
        "held_out": plain["held_out"],
        "leaderboard": plain["leaderboard"],
        "llm_baseline": baseline_of_record(project),
        "verdict": plain["verdict"],
        "rules_version": rules.rules.version if rules else None,
        "recipe": next((r["recipe"] for r in plain["rounds"] if r["number"] == model.number), None),
        "gold_rules": model.gold_rules,
        "joined": next((r.joined for r in found.rounds if r.number == model.number), None),
    }


def gold_hashes(project: Project) -> dict[str, dict[str, Any]]:
    """Which gold a project has, by split: how many texts, and one hash over all of them."""
    return {split: _hashes(getattr(project, f"{split}_gold")()) for split in SPLITS}


def _hashes(gold: Sequence[Any]) -> dict[str, Any]:
    names = sorted(item.example.input_hash for item in gold)
    return {"texts": len(names), "hash": input_hash("\n".join(names))}
