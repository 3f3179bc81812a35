"""The small local model on real texts: how many answers can be read, how good and fast they are."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from llm_ground import PROJECTS
from review_ground import Rows

from annoloop.evaluation.scores import score
from annoloop.llm.local import local_model_status
from annoloop.project import Project
from annoloop.steps.add import add
from annoloop.steps.llm.run import annotate_texts
from annoloop.steps.llm.source import llm_source

WAYS = (
    ("fashion_brands", "JSON schema", ""),
    ("fashion_brands", "schema of closed quotes", "closed_quotes = true"),
    ("customer_feedback_de", "JSON schema", ""),
)


def local(*, texts: int) -> Rows:
    """Published dev texts, the examples of the project's examples.jsonl in the prompt.

    Tokens a second are tokens written over the time of whole calls, reading the prompt included.
    """
    status = local_model_status()
    if not status.available:
        raise SystemExit(f"{status.reason}: {status.hint}")
    with tempfile.TemporaryDirectory() as folder:
        return [_row(Path(folder) / str(n), texts, *way) for n, way in enumerate(WAYS)]


def _row(folder: Path, texts: int, name: str, form: str, task: str) -> dict[str, object]:
    shutil.copytree(PROJECTS / name, folder, ignore=shutil.ignore_patterns("assets"))
    with (folder / "annoloop.cfg").open("a", encoding="utf8") as settings:
        settings.write(f"\n[llm.task]\n{task}\n")
    project = Project.open(folder)
    dev = PROJECTS / name / "assets" / "dev.jsonl"
    add(project, [dev], split="dev", sample=texts, gold=True, blind=True)
    asked = annotate_texts(project, split="dev")
    source = llm_source(project)
    kept = project.store.predictions(source.key) if source is not None else {}
    said = {name: annotation for name, (annotation, _) in kept.items() if annotation is not None}
    found = score(project.scheme, project.dev_gold(), said, seed=0)
    calls = list(project.store.llm_calls())
    first = {call.key: call for call in reversed(calls)}.values()
    written = [call for call in calls if call.completion_tokens and call.milliseconds]
    low, high = found.interval or (float("nan"), float("nan"))
    return {
        "project": name,
        "form": form,
        "texts": len(kept),
        "parseable at once %": f"{100 * sum(call.status == 'ok' for call in first) / len(first):.1f}",
        "parseable in the end %": f"{100 * asked.answered / len(kept):.1f}",
        "score": f"{found.score or 0:.3f}",
        "95 %": f"{low:.3f} to {high:.3f}",
        "tokens written a second": f"{_rate(written):.1f}",
        "s a text": f"{sum(call.milliseconds for call in calls) / 1000 / len(kept):.2f}",
    }


def _rate(calls: list) -> float:  # type: ignore[type-arg]
    milliseconds = sum(call.milliseconds for call in calls)
    return 1000 * sum(call.completion_tokens for call in calls) / milliseconds if milliseconds else 0.0
