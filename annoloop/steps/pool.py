"""A pool too large to be read each round: ranked by kept features, and few texts are looked at closely."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from annoloop.project import Project
from annoloop.selection.candidates import Candidates, IntArray
from annoloop.selection.kept_rows import KeptRows, Texts, short_names
from annoloop.selection.pool import PoolFeatures
from annoloop.selection.registry import NEEDS
from annoloop.selection.strategies import doubt, lowest, surprise
from annoloop.selection.vectors import PoolVectors, load_encoder
from annoloop.steps.progress import OnProgress, silent

LOOKED_AT = 20_000
"""Texts of a pool up to which a round looks closely at all of them."""

SHORTLISTED = 40
"""Texts on the shortlist of a larger pool for each one to ask: those ranked highest."""

BY_LOT = 4_000
"""Texts of a larger pool that are looked at closely because the lot says so."""

PROCESSES = 2
_MIXED = np.uint64(0xBF58476D1CE4E5B9)

Place = tuple[int, str]
"""Position and input hash of a text of the pool."""


@dataclass(frozen=True)
class _Places:
    """The texts of a pool in columns: each is made once, since there may be a million."""

    hashes: list[str]
    positions: IntArray
    names: NDArray[np.uint64]

    @classmethod
    def of(cls, pool: Sequence[Place]) -> _Places:
        hashes = [name for _, name in pool]
        positions = np.asarray([at for at, _ in pool], dtype=np.int64)
        return cls(hashes, positions, short_names(hashes))


def pool_features(
    project: Project, pool: Sequence[Place] | None = None, *, on_progress: OnProgress = silent
) -> PoolFeatures:
    """The features of the pool's texts; those of texts that came since are computed first.

    `pool` has (position, input hash) of the texts that are needed; None: all that may be asked about. Stopped
    on the way, it goes on from there the next time; where the store is another than it was, it begins anew.
    """
    return _features(project, _places(project, pool), on_progress)


def _features(project: Project, places: _Places, on_progress: OnProgress) -> PoolFeatures:
    what = "learning the words of the pool"
    return _completed(PoolFeatures, project.pool_features, project, places, what, on_progress)


def pool_vectors(
    project: Project, pool: Sequence[Place] | None = None, *, on_progress: OnProgress = silent
) -> PoolVectors:
    """The sentence vectors of the pool's texts, as `pool_features`.

    Raises:
        AnnoloopError: the package that makes them is not installed.
    """
    load_encoder()
    folder, places = project.pool_features / "vectors", _places(project, pool)
    return _completed(PoolVectors, folder, project, places, "reading the pool for its vectors", on_progress)


def _places(project: Project, pool: Sequence[Place] | None) -> _Places:
    return _Places.of(project.store.unasked("pool") if pool is None else pool)


Kept = TypeVar("Kept", bound=KeptRows)


def _completed(
    kind: type[Kept],
    folder: Path,
    project: Project,
    places: _Places,
    what: str,
    on_progress: OnProgress,
) -> Kept:
    from filelock import FileLock

    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / "lock"):
        kept = kind(folder)
        rows = kept.rows_of(places.positions)
        if (kept.names[rows[rows >= 0]] != places.names[rows >= 0]).any():
            kept.forget()
            rows = kept.rows_of(places.positions)
        missing = places.positions[rows < 0]
        if len(missing):
            done = len(kept)
            total = done + len(missing)
            on_progress(what, done, total)
            kept.add(
                _portions(project, missing, kind.PORTION),
                workers=PROCESSES if len(missing) > kind.ALONE else 1,
                on_kept=lambda rows: on_progress(what, rows, total),
            )
    return kept


def _portions(project: Project, positions: IntArray, size: int) -> Iterator[Texts]:
    for first in range(0, len(positions), size):
        texts = project.store.texts_at(positions[first : first + size].tolist())
        yield sorted(texts.items())


def shortlist(
    project: Project,
    pool: Sequence[Place],
    *,
    wanted: Sequence[str],
    seek: Sequence[str],
    batch: int,
    seed: Sequence[int],
    on_progress: OnProgress = silent,
) -> tuple[list[str], frozenset[str]]:
    """Input hashes of the texts of a large pool to look at closely, and which of them the lot drew.

    Beside `BY_LOT` texts by lot those that the strategies want most, as far as these go by categories, and
    those likeliest to have a label that is sought. `pool` has (position, input hash) of each text.
    """
    places = _Places.of(pool)
    hashes = places.hashes
    drawn = _drawn(hashes, places.names, BY_LOT, seed)
    chosen = dict.fromkeys(hashes[row] for row in drawn)
    lot = frozenset(chosen)
    if seek or any("probabilities" in NEEDS.get(name, ()) for name in wanted):
        ranked = _ranked(project, places, "entropy" in wanted, seek, batch, on_progress)
        chosen.update(dict.fromkeys(hashes[row] for row in ranked))
    if unknown := _without_gold(project, seek):
        named = _by_name(project, places, unknown, batch, on_progress)
        chosen.update(dict.fromkeys(hashes[row] for row in named))
    return list(chosen), lot


def _ranked(
    project: Project,
    places: _Places,
    by_entropy: bool,
    seek: Sequence[str],
    batch: int,
    on_progress: OnProgress,
) -> list[int]:
    """Rows of the pool by category probabilities; none where gold cannot teach them yet."""
    scheme, gold = project.scheme, project.pool_gold()
    labels = {label for item in gold for label in item.annotation.labels}
    if scheme.has_spans or len(labels) < (2 if scheme.is_exclusive else 1):
        return []
    kept = _features(project, places, on_progress)
    found = kept.probabilities(gold, scheme=scheme, seed=project.settings.training.seed)
    if found is None:
        return []
    rows_kept = kept.rows_of(places.positions)
    candidates = Candidates(len(found), exclusive=scheme.is_exclusive, probabilities=found)
    wanted: list[NDArray[Any]] = [(surprise if by_entropy else doubt)(candidates)]
    wanted += [found[:, scheme.labels.index(label)] for label in seek]
    rows: list[int] = []
    for values in wanted:
        # One that was taken out before its words were learned waits.
        own = np.where(rows_kept < 0, -1.0, values[rows_kept])
        # Equal ones by their names, not by who came first.
        rows += lowest(-own, SHORTLISTED * batch, names=places.names).tolist()
    return list(dict.fromkeys(rows))


def _without_gold(project: Project, seek: Sequence[str]) -> list[str]:
    """The labels sought of which no probability can tell: no text of the pool has them yet."""
    if not seek:
        return []
    known = {label for item in project.pool_gold() for label in item.annotation.labels}
    return [label for label in seek if label not in known and not project.scheme.has_spans]


def _by_name(
    project: Project,
    places: _Places,
    labels: Sequence[str],
    batch: int,
    on_progress: OnProgress,
) -> list[int]:
    """Rows of the pool that are nearest to the labels' names and definitions."""
    kept = _features(project, places, on_progress)
    rows_kept = kept.rows_of(places.positions)
    rows: list[int] = []
    for label in labels:
        close = kept.closeness(f"{label} {project.scheme.definitions.get(label, '')}")
        near = np.where(rows_kept < 0, 0.0, close[rows_kept]) if len(close) else np.zeros(len(places.hashes))
        rows += [row for row in lowest(-near, SHORTLISTED * batch).tolist() if near[row] > 0]
    return list(dict.fromkeys(rows))


def by_lot(hashes: Sequence[str], count: int, seed: Sequence[int]) -> list[int]:
    """`count` rows drawn by seed, the same texts in whatever order they come."""
    return _drawn(hashes, short_names(hashes), count, seed)


def _drawn(hashes: Sequence[str], names: NDArray[np.uint64], count: int, seed: Sequence[int]) -> list[int]:
    if count >= len(hashes):
        return sorted(range(len(hashes)), key=lambda row: hashes[row])
    salt = np.random.default_rng(list(seed)).integers(2**63, dtype=np.uint64)
    mixed = (names ^ salt) * _MIXED
    mixed = (mixed ^ (mixed >> np.uint64(31))) * _MIXED
    return sorted(np.argpartition(mixed, count)[:count].tolist(), key=lambda row: hashes[row])
