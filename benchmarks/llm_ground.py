"""What the LLM's benchmarks stand on: real texts in a project whose LLM is a fake server."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from review_ground import process

from annoloop.project import Project
from annoloop.steps.add import add

HERE = Path(__file__).parent
PROJECTS = HERE.parent / "projects"
FAKE = HERE.parent / "tests" / "fake_llm.py"
LABELS = ("Aufzug", "Rolltreppe", "Rampe", "irrelevant")
ANSWER = '{"label": "Aufzug"}'
SHOTS = 8

_CFG = """[project]
name = "bench"
kind = "textcat"
labels = {labels}
lang = "de"

[llm.model]
base_url = "{address}"
name = "fake"
workers = {workers}
{more}
"""


@contextmanager
def fake_server(*options: str) -> Iterator[str]:
    """The address of a fake server in a process of its own."""
    with process(sys.executable, str(FAKE), "--answer", ANSWER, *options) as (_, address):
        yield address


def make_project(
    folder: Path, *, address: str, texts: int, workers: int, more: str = "", skip: int = 0
) -> Project:
    """So many different real texts in the pool of a project, and eight examples for the prompt."""
    path = PROJECTS / "customer_feedback_de" / "assets" / "train.jsonl"
    rows = [json.loads(line) for line in path.read_text(encoding="utf8").splitlines()]
    usable = [row for row in rows if row["label"] in LABELS]
    folder.mkdir(parents=True)
    cfg = _CFG.format(labels=json.dumps(LABELS), address=address, workers=workers, more=more)
    (folder / "annoloop.cfg").write_text(cfg, encoding="utf8")
    _write(folder / "examples.jsonl", usable[:SHOTS])
    different = {row["text"]: {"text": row["text"]} for row in rows if row not in usable[:SHOTS]}
    _write(folder / "texts.jsonl", list(different.values())[:texts])
    project = Project.open(folder)
    add(project, [folder / "texts.jsonl"], split="pool")
    return project


def _write(path: Path, rows: list[dict[str, object]]) -> None:
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf8")
