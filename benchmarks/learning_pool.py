"""A pool of 1,000,000 texts: features once, texts added later, a round's choice; seconds and memory.

Two minutes on 2 cores. The texts are recombined from the real ones in projects/*/assets (halves of
two texts, numbered, drawn by seed): real words in real proportions, no two alike. They go into the store by
its own interface, which is not what is measured. The expert's 500 answers are simulated by lot. Each step
runs in a process of its own, whose peak memory (with its children's) is told beside its time.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from annoloop.hashing import input_hash
from annoloop.oracle import Oracle
from annoloop.project import Project
from annoloop.steps.ask import answer_with, open_round
from annoloop.types import Annotation, Example

ROOT = Path(__file__).parents[1]
TEXTS = 1_000_000
LATER = 1_000
ANSWERS = 500
WANTED = {"features once": "<= 180 s", "a round by margin": "<= 5 s", "the cold start": "<= 5 s"}


def figure(*, seed: int, quick: bool) -> list[dict[str, Any]]:
    """Seconds and peak memory of each step."""
    texts = TEXTS // 100 if quick else TEXTS
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / "pool"
        make(place, texts, seed)
        for step in STEPS:
            asked = [sys.executable, __file__, step, str(place), str(texts), str(seed)]
            said = json.loads(subprocess.run(asked, check=True, capture_output=True, text=True).stdout)
            wanted = WANTED.get(step, "")
            rows.append({"step": step, "texts": texts, **said, "wanted": wanted and f"{wanted}, <= 2048 MiB"})
    return rows


def drawn(count: int, seed: int, first: int = 0) -> Iterator[Example]:
    """Texts that no other call with another `first` gives."""
    known = [
        json.loads(line)["text"]
        for path in sorted(ROOT.glob("projects/*/assets/train.jsonl"))
        for line in path.read_text(encoding="utf8").splitlines()
    ]
    rng = random.Random(f"{seed} {first}")
    for number in range(first, first + count):
        one, other = rng.choice(known).split(), rng.choice(known).split()
        text = " ".join([*one[: 1 + len(one) // 2], *other[len(other) // 2 :], f"#{number}"])[:2000]
        yield Example(input_hash(text), text, split="pool")


def make(place: Path, texts: int, seed: int) -> None:
    project = Project.create(place, kind="textcat", labels=[f"TOPIC{n}" for n in range(11)])
    project.store.add_examples(drawn(texts, seed))
    project.store.close()


def cold(project: Project, texts: int, seed: int) -> None:
    open_round(project, 1, batch=ANSWERS // 10, source=None)


def answers(project: Project, texts: int, seed: int) -> None:
    rng = random.Random(seed)
    tasks = project.store.tasks(round=1)
    more = [eg for eg in drawn(ANSWERS, seed) if eg.input_hash not in {t.example.input_hash for t in tasks}]
    project.store.add_tasks(project.task(eg, number=1) for eg in more)
    asked = project.store.tasks(round=1)
    gold = [(task.example.text, Annotation((rng.choice(project.scheme.labels),))) for task in asked]
    answer_with(project, Oracle(gold, scheme=project.scheme), 1)


def features(project: Project, texts: int, seed: int) -> None:
    from annoloop.steps.pool import pool_features

    pool_features(project)


def warm(project: Project, texts: int, seed: int) -> None:
    number = 2 + len([r for r in project.store.rounds() if r.number > 1])
    record = open_round(project, number, batch=50, source=None)
    if len(record.tasks) != 50 or record.strategy != "margin_kmeans":
        raise SystemExit(f"{len(record.tasks)} texts by {record.strategy}")


def later(project: Project, texts: int, seed: int) -> None:
    project.store.add_examples(drawn(LATER, seed, first=texts))
    features(project, texts, seed)


STEPS: dict[str, Callable[[Project, int, int], None]] = {
    "the cold start": cold,
    "answers (simulated)": answers,
    "features once": features,
    "a round by margin": warm,
    f"{LATER} texts added": later,
    "the round after": warm,
}


def _run(step: str, place: Path, texts: int, seed: int) -> None:
    project = Project.open(place)
    # Imports are no part of a round.
    import sklearn.cluster
    import sklearn.decomposition
    import sklearn.feature_extraction.text
    import sklearn.linear_model
    import sklearn.multiclass  # noqa: F401

    began = time.perf_counter()
    STEPS[step](project, texts, seed)
    seconds = time.perf_counter() - began
    print(json.dumps({"seconds": round(seconds, 1), "peak MiB": round(_peak())}))


def _peak() -> float:
    """MiB that this process and those it has at work took at most, each by itself; Linux alone tells."""
    found = 0.0
    for status in Path("/proc").glob("[0-9]*/status"):
        try:
            fields = dict(line.split(":", 1) for line in status.read_text().splitlines() if ":" in line)
        except OSError:
            continue
        if os.getpid() in (int(fields["Pid"]), int(fields["PPid"])):
            found += int(fields.get("VmHWM", "0 kB").split()[0]) / 1024
    return found


if __name__ == "__main__":
    _run(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]))
