"""Many simulated projects side by side in processes of their own; each finished one is kept in a file."""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from importlib.metadata import entry_points, version
from inspect import getsourcefile
from pathlib import Path
from typing import Any

import numpy as np

from annoloop.corpus.near_duplicates import group
from annoloop.corpus.tokenizer import RULES
from annoloop.errors import TrainingError
from annoloop.evaluation.learning_curves import Curve, LearningPoint
from annoloop.steps.progress import OnProgress, silent
from annoloop.steps.simulation.run import Choose, Material, Plan, run
from annoloop.steps.simulation.voters import Recorded, voters_of
from annoloop.training.recipe import is_own, load_recipe
from annoloop.training.transformer import bert_name, starts_from_transformer
from annoloop.types import STRATEGY_GROUP, DevGold, Example, Gold, HeldOutGold, LabelScheme, PoolGold, Split

_PACKAGE = Path(__file__).parents[2]
_SHAPING = ("selection", "training", "rules", "steps/simulation")
"""The code that shapes a run: curves of another version of it are not taken for this one's."""


@dataclass(frozen=True)
class Ground:
    """The gold of a simulation. `shares` None: the splits are those of the gold.

    Else (held out, dev) are drawn anew for each seed, near-duplicates on one side: all strategies of a seed
    learn from the same pool and are judged on the same texts. `said` is what rules and LLM say of the texts
    that may be chosen; `transformer` the folder of the BERT that transformer recipes start from (None: an
    installed package's).
    """

    gold: tuple[Gold, ...]
    scheme: LabelScheme
    lang: str
    near_duplicate: float
    shares: tuple[float, float] | None = None
    said: Recorded = field(default_factory=dict)
    transformer: Path | None = None

    def material(self, seed: int) -> Material:
        """The parts of a seed."""
        splits = self._splits(seed)
        parts: dict[Split, list[Gold]] = {"pool": [], "dev": [], "held_out": []}
        for gold, split in zip(self.gold, splits, strict=True):
            example = Example(gold.example.input_hash, gold.example.text, split=split)
            parts[split].append(Gold(example, gold.annotation, simulated=True))
        return Material(
            PoolGold(tuple(parts["pool"])),
            DevGold(tuple(parts["dev"])),
            HeldOutGold(tuple(parts["held_out"])),
            scheme=self.scheme,
            lang=self.lang,
            near_duplicate=self.near_duplicate,
            said=self.said,
            transformer=self.transformer,
        )

    def choosable(self) -> list[Example]:
        """The texts that may be chosen in some seed, as texts of a pool."""
        kept = (g.example for g in self.gold if self.shares or g.example.split == "pool")
        return [Example(eg.input_hash, eg.text) for eg in kept]

    def sizes(self, seed: int) -> tuple[int, int]:
        """How many texts there are to choose from in a seed, and to judge by."""
        splits = self._splits(seed)
        return splits.count("pool"), splits.count("held_out")

    @cached_property
    def groups(self) -> list[int]:
        """Of each text the first one of its group of near-duplicates."""
        return group([g.example.text for g in self.gold], threshold=self.near_duplicate)

    def _splits(self, seed: int) -> list[Split]:
        return self._drawn(seed) if self.shares else [g.example.split for g in self.gold]

    def _drawn(self, seed: int) -> list[Split]:
        held_out, dev = self.shares or (0.0, 0.0)
        firsts = sorted(set(self.groups), key=lambda first: self.gold[first].example.input_hash)
        sizes = np.bincount(np.asarray(self.groups), minlength=len(self.gold))
        order = np.random.default_rng([seed, 7]).permutation(len(firsts))
        split: dict[int, Split] = {}
        passed = 0
        for place in order:
            first, share = firsts[place], passed / len(self.gold)
            split[first] = "held_out" if share < held_out else "dev" if share < held_out + dev else "pool"
            passed += int(sizes[first])
        return [split[first] for first in self.groups]


def run_all(
    ground: Ground,
    plans: Sequence[Plan],
    folder: Path,
    *,
    choosers: Mapping[str, Choose] | None = None,
    workers: int | None = None,
    on_progress: OnProgress = silent,
) -> dict[Plan, Curve]:
    """The curve of every plan; those that `folder` has are not simulated again.

    `choosers` stand for strategies by name, as functions that can be pickled; others are annoloop's.
    `workers` None: one a core. A run is kept when it is finished, so that one that is stopped repeats only
    what was under way.

    Raises:
        AnnoloopError: a strategy or a recipe does not work.
    """
    choosers = choosers or {}
    folder.mkdir(parents=True, exist_ok=True)
    names = fingerprints(ground, plans, choosers)
    files = {plan: folder / f"{name}.json" for plan, name in names.items()}
    kept = {plan: curve for plan, file in files.items() if (curve := _read(file)) is not None}
    missing = [plan for plan in plans if plan not in kept]
    on_progress("simulating", len(kept), len(plans))
    for plan, curve in _simulated(ground, missing, files, choosers, workers or os.cpu_count() or 1):
        kept[plan] = curve
        on_progress(f"simulating: {plan.strategy}, seed {plan.seed} done", len(kept), len(plans))
    return {plan: kept[plan] for plan in plans}


def fingerprints(ground: Ground, plans: Sequence[Plan], choosers: Mapping[str, Choose]) -> dict[Plan, str]:
    """16 hex digits that name all that shapes each run: gold, plan, code and versions."""
    lines = sorted(_line(gold, with_split=ground.shares is None) for gold in ground.gold)
    shared = [
        lines,
        [ground.scheme.kind, ground.scheme.labels, ground.lang, ground.near_duplicate, ground.shares],
        [version(name) for name in ("annoloop", "spacy", "scikit-learn", "numpy")],
        RULES,
        _digest_of(sorted(file for part in _SHAPING for file in _files(part))),
    ]
    common = _digest(json.dumps(shared, ensure_ascii=True).encode())
    named = {name: _recipe(ground, name) for name in {plan.recipe for plan in plans}}
    return {
        plan: _digest(
            json.dumps(
                [common, plan, named[plan.recipe], _origin(plan.strategy, choosers), _votes(ground, plan)]
            ).encode()
        )
        for plan in plans
    }


def _votes(ground: Ground, plan: Plan) -> list[str]:
    """What of the recorded votes shapes a run."""
    said = (ground.said.get(voter, {}) for voter in voters_of(plan.strategy, ground.scheme))
    return [_digest(repr(sorted(votes.items())).encode()) for votes in said]


def _line(gold: Gold, *, with_split: bool) -> list[object]:
    spans = [[s.start, s.end, s.label] for s in gold.annotation.spans]
    split = gold.example.split if with_split else ""
    return [gold.example.input_hash, spans, list(gold.annotation.labels), split]


def _files(part: str) -> Iterator[Path]:
    yield from (file for file in (_PACKAGE / part).rglob("*") if file.suffix in (".py", ".cfg"))


def _digest_of(files: Sequence[Path]) -> str:
    return _digest(b"".join(file.read_bytes() for file in files))


def _digest(content: bytes) -> str:
    return hashlib.blake2b(content, digest_size=8).hexdigest()


def _recipe(ground: Ground, name: str) -> str:
    """What can change under a recipe's name: a user's own config, and the BERT that it starts from."""
    path = Path(name)
    if not is_own(name):
        return _digest_of([path]) if path.is_file() else ""
    on_bert = starts_from_transformer(load_recipe(name, ground.scheme.kind))
    return bert_name(ground.transformer) if on_bert else ""


def _origin(strategy: str, choosers: Mapping[str, Choose]) -> str:
    """The version of what chooses, where it is not annoloop's own."""
    if strategy in choosers:
        file = getsourcefile(choosers[strategy])
        return _digest_of([Path(file)]) if file else ""
    points = [point for point in entry_points(group=STRATEGY_GROUP) if point.name == strategy]
    return ", ".join(f"{p.dist.name} {p.dist.version}" for p in points if p.dist is not None)


# -- processes ---------------------------------------------------------------------------------


class _Worker:
    """What a process simulates on: the parts of the seed that it had last are kept."""

    def __init__(self, ground: Ground, choosers: Mapping[str, Choose]) -> None:
        self.ground, self.choosers = ground, choosers
        self._seed: int | None = None
        self._material: Material | None = None

    def simulate(self, plan: Plan, file: Path) -> Curve:
        """Run a plan and keep its curve."""
        if self._material is None or (self.ground.shares and plan.seed != self._seed):
            self._material, self._seed = self.ground.material(plan.seed), plan.seed
        curve = run(self._material, plan, choose=self.choosers.get(plan.strategy))
        _write(file, plan, curve)
        return curve


_worker: _Worker | None = None


def _begin(ground: Ground, choosers: Mapping[str, Choose]) -> None:
    """Set a process up: one thread each, Ctrl+C is the parent's, and no process outlives its parent."""
    global _worker
    from threadpoolctl import threadpool_limits

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threadpool_limits(limits=1)
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
    _worker = _Worker(ground, choosers)


def _end_with(parent: Any) -> None:
    parent.join()
    os.kill(os.getpid(), signal.SIGTERM)


def _work(plan: Plan, file: Path) -> Curve:
    assert _worker is not None
    return _worker.simulate(plan, file)


def _simulated(
    ground: Ground,
    plans: Sequence[Plan],
    files: Mapping[Plan, Path],
    choosers: Mapping[str, Choose],
    workers: int,
) -> Iterator[tuple[Plan, Curve]]:
    if not plans:
        return
    if ground.shares:
        _ = ground.groups  # found once, and sent along
    workers = min(workers, len(plans))
    if workers == 1:
        alone = _Worker(ground, choosers)
        yield from ((plan, alone.simulate(plan, files[plan])) for plan in plans)
        return
    with _processes(workers, ground, choosers) as pool:
        waiting = {pool.submit(_work, plan, files[plan]): plan for plan in plans}
        try:
            while waiting:
                for future in wait(waiting, return_when=FIRST_COMPLETED).done:
                    yield waiting.pop(future), future.result()
        except BrokenProcessPool:
            raise TrainingError(
                "a process of the simulation was ended from outside, perhaps for lack of memory",
                hint="run it again: finished runs are kept; --workers 1 takes the least memory",
            ) from None


@contextmanager
def _processes(workers: int, ground: Ground, choosers: Mapping[str, Choose]) -> Iterator[ProcessPoolExecutor]:
    """Processes that are gone at the end, also after an error or Ctrl+C."""
    before = set(multiprocessing.active_children())
    pool = ProcessPoolExecutor(
        workers,
        mp_context=multiprocessing.get_context("spawn"),
        initializer=_begin,
        initargs=(ground, choosers),
    )
    try:
        yield pool
        pool.shutdown()
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
        for process in set(multiprocessing.active_children()) - before:
            process.terminate()


# -- files -------------------------------------------------------------------------------------


def _write(file: Path, plan: Plan, curve: Curve) -> None:
    partial = file.with_suffix(f".{os.getpid()}.partial")
    kept = {"plan": plan._asdict(), "points": [point._asdict() for point in curve]}
    partial.write_text(json.dumps(kept, ensure_ascii=False, indent=1), encoding="utf8")
    partial.replace(file)


def _read(file: Path) -> Curve | None:
    """The kept curve; None where there is none, or what is there cannot be read."""
    try:
        kept = json.loads(file.read_text(encoding="utf8"))
        return tuple(LearningPoint(**point) for point in kept["points"]) or None
    except (OSError, ValueError, KeyError, TypeError):
        return None
