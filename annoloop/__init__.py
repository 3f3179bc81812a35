"""From raw texts to a small, private, fast spaCy model that provably beats the LLM it learned from.

The same words as on the command line: `Project.create` and `Project.open`, then `add`, `status`, `run_loop`,
`train`, `train_curve`, `simulate`, `similar`, `evaluate`, `compare`, `report`, `export`, each with the
project first.
Names load on first use, so that importing annoloop costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from annoloop.errors import AnnoloopError as AnnoloopError
    from annoloop.loop import Event as Event
    from annoloop.loop import run_loop as run_loop
    from annoloop.oracle import Oracle as Oracle
    from annoloop.project import Project as Project
    from annoloop.steps.add import add as add
    from annoloop.steps.compare import compare as compare
    from annoloop.steps.evaluate import evaluate as evaluate
    from annoloop.steps.evidence.report import report as report
    from annoloop.steps.evidence.train_curve import train_curve as train_curve
    from annoloop.steps.export import export as export
    from annoloop.steps.predict import predict as predict
    from annoloop.steps.similar import similar as similar
    from annoloop.steps.simulation.simulate import simulate as simulate
    from annoloop.steps.status import status as status
    from annoloop.steps.train import train as train
    from annoloop.types import Annotation as Annotation
    from annoloop.types import Example as Example
    from annoloop.types import LabelScheme as LabelScheme
    from annoloop.types import Span as Span

_HOMES = {
    "AnnoloopError": "annoloop.errors",
    "Event": "annoloop.loop",
    "run_loop": "annoloop.loop",
    "Oracle": "annoloop.oracle",
    "Project": "annoloop.project",
    "add": "annoloop.steps.add",
    "compare": "annoloop.steps.compare",
    "evaluate": "annoloop.steps.evaluate",
    "export": "annoloop.steps.export",
    "predict": "annoloop.steps.predict",
    "report": "annoloop.steps.evidence.report",
    "similar": "annoloop.steps.similar",
    "simulate": "annoloop.steps.simulation.simulate",
    "status": "annoloop.steps.status",
    "train": "annoloop.steps.train",
    "train_curve": "annoloop.steps.evidence.train_curve",
    "Annotation": "annoloop.types",
    "Example": "annoloop.types",
    "LabelScheme": "annoloop.types",
    "Span": "annoloop.types",
}

__all__ = [*_HOMES]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'annoloop' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
