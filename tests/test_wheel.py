"""Where the wheel is, and whether to use it: never the old place, never against the verdict."""

from __future__ import annotations

from pathlib import Path

import pytest
from small_project import feedback, small_project, write_rows

from annoloop.project import Project
from annoloop.steps.add import add
from annoloop.steps.evaluate import EVALUATION_FACT
from annoloop.steps.status import status
from annoloop.steps.wheel import forget_wheel, keep_wheel, kept_wheel


@pytest.fixture
def project(tmp_path: Path) -> Project:
    rows = feedback(40)
    project = small_project(tmp_path / "p", rows)
    add(project, [write_rows(tmp_path / "gold.jsonl", rows)], gold=True)
    wheel = project.folder / "dist" / "x.whl"
    wheel.parent.mkdir()
    wheel.touch()
    keep_wheel(project, wheel)
    return project


def test_a_project_that_was_moved_names_the_wheel_where_it_is_now(project: Project, tmp_path: Path) -> None:
    assert kept_wheel(project) == str(project.folder / "dist" / "x.whl")
    project.store.close()
    project.folder.rename(tmp_path / "moved")
    moved = Project.open(tmp_path / "moved")
    assert kept_wheel(moved) == str(tmp_path / "moved" / "dist" / "x.whl")
    assert f"pip install {tmp_path / 'moved'}" in status(moved).next_step
    elsewhere = tmp_path / "y.whl"
    keep_wheel(moved, elsewhere)
    assert kept_wheel(moved) is None
    elsewhere.touch()
    assert kept_wheel(moved) == str(elsewhere)
    forget_wheel(moved)
    assert kept_wheel(moved) is None and "package" not in status(moved).next_step
    moved.store.close()


@pytest.mark.parametrize(
    ("decision", "used"), [("beats_llm", True), ("no_llm", True), ("refused", False), ("llm_ahead", False)]
)
def test_a_wheel_is_advised_where_the_verdict_does_not_speak_against_it(
    project: Project, decision: str, used: bool
) -> None:
    right = {"tp": 45, "fp": 5, "fn": 5, "precision": 0.9, "recall": 0.9, "f": 0.9}
    scores = {"texts": 100, "precision": 0.9, "recall": 0.9, "macro_f": 0.9, "interval": [0.84, 0.95]}
    labels = dict.fromkeys(("Aufzug", "Rolltreppe"), right)
    rows = [
        {"approach": "model", "score": 0.9, **scores, "per_label": labels},
        {"approach": "llm", "score": 0.95},
    ]
    project.store.set_fact(EVALUATION_FACT, {"verdict": {"decision": decision}, "leaderboard": rows})
    said = status(project).next_step
    assert ("use the package" in said) == used
    assert "PROJECT" not in said and str(project.folder) in said
    project.store.close()
