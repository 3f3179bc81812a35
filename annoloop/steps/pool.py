"""A pool too large to be read each round: ranked by kept features, and few texts are looked at closely."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np

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


def pool_features(
    project: Project, pool: Sequence[tuple[int, str]] | None = None, *, on_progress: OnProgress = silent
) -> PoolFeatures:
    """The features of the pool's texts; those of texts that came since are computed first.

    `pool` has (position, input hash) of the texts that are needed; None: all that may be asked about. Stopped
    on the way, it goes on from there the next time; where the store is another than it was, it begins anew.
    """
    folder = project.pool_features
    return _completed(PoolFeatures, folder, project, pool, "learning the words of the pool", on_progress)


def pool_vectors(
    project: Project, pool: Sequence[tuple[int, str]] | None = None, *, on_progress: OnProgress = silent
) -> PoolVectors:
    """The sentence vectors of the pool's texts, as `pool_features`.

    Raises:
        AnnoloopError: the package that makes them is not installed.
    """
    load_encoder()
    folder = project.pool_features / "vectors"
    return _completed(PoolVectors, folder, project, pool, "reading the pool for its vectors", on_progress)


Kept = TypeVar("Kept", bound=KeptRows)


def _completed(
    kind: type[Kept],
    folder: Path,
    project: Project,
    pool: Sequence[tuple[int, str]] | None,
    what: str,
    on_progress: OnProgress,
) -> Kept:
    from filelock import FileLock

    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / "lock"):
        kept = kind(folder)
        pool = project.store.unasked("pool") if pool is None else pool
        positions = np.asarray([at for at, _ in pool], dtype=np.int64)
        rows = kept.rows_of(positions)
        names = short_names([name for _, name in pool])
        if (kept.names[rows[rows >= 0]] != names[rows >= 0]).any():
            kept.forget()
            rows = kept.rows_of(positions)
        missing = positions[rows < 0]
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
    pool: Sequence[tuple[int, str]],
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
    hashes = [name for _, name in pool]
    drawn = by_lot(hashes, BY_LOT, seed)
    chosen = dict.fromkeys(hashes[row] for row in drawn)
    lot = frozenset(chosen)
    if seek or any("probabilities" in NEEDS.get(name, ()) for name in wanted):
        ranked = _ranked(project, pool, "entropy" in wanted, seek, batch, on_progress)
        chosen.update(dict.fromkeys(hashes[row] for row in ranked))
    if unknown := _without_gold(project, seek):
        named = _by_name(project, pool, unknown, batch, on_progress)
        chosen.update(dict.fromkeys(hashes[row] for row in named))
    return list(chosen), lot


def _ranked(
    project: Project,
    pool: Sequence[tuple[int, str]],
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
    kept = pool_features(project, pool, on_progress=on_progress)
    found = kept.probabilities(gold, scheme=scheme, seed=project.settings.training.seed)
    if found is None:
        return []
    rows_kept = kept.rows_of(np.asarray([at for at, _ in pool], dtype=np.int64))
    candidates = Candidates(len(found), exclusive=scheme.is_exclusive, probabilities=found)
    wanted = [(surprise if by_entropy else doubt)(candidates)]
    wanted += [found[:, scheme.labels.index(label)] for label in seek]
    names = kept.names[rows_kept]
    rows: list[int] = []
    for values in wanted:
        # One that was taken out before its words were learned waits.
        own = np.where(rows_kept < 0, -1.0, values[rows_kept])
        # Equal ones by their names, not by who came first.
        rows += lowest(-own, SHORTLISTED * batch, names=names).tolist()
    return list(dict.fromkeys(rows))


def _without_gold(project: Project, seek: Sequence[str]) -> list[str]:
    """The labels sought of which no probability can tell: no text of the pool has them yet."""
    if not seek:
        return []
    known = {label for item in project.pool_gold() for label in item.annotation.labels}
    return [label for label in seek if label not in known and not project.scheme.has_spans]


def _by_name(
    project: Project,
    pool: Sequence[tuple[int, str]],
    labels: Sequence[str],
    batch: int,
    on_progress: OnProgress,
) -> list[int]:
    """Rows of the pool that are nearest to the labels' names and definitions."""
    kept = pool_features(project, pool, on_progress=on_progress)
    rows_kept = kept.rows_of(np.asarray([at for at, _ in pool], dtype=np.int64))
    rows: list[int] = []
    for label in labels:
        close = kept.closeness(f"{label} {project.scheme.definitions.get(label, '')}")
        near = np.where(rows_kept < 0, 0.0, close[rows_kept]) if len(close) else np.zeros(len(pool))
        rows += [row for row in lowest(-near, SHORTLISTED * batch).tolist() if near[row] > 0]
    return list(dict.fromkeys(rows))


def by_lot(hashes: Sequence[str], count: int, seed: Sequence[int]) -> list[int]:
    """`count` rows drawn by seed, the same texts in whatever order they come."""
    if count >= len(hashes):
        return sorted(range(len(hashes)), key=lambda row: hashes[row])
    salt = np.random.default_rng(list(seed)).integers(2**63, dtype=np.uint64)
    mixed = (short_names(hashes) ^ salt) * _MIXED
    mixed = (mixed ^ (mixed >> np.uint64(31))) * _MIXED
    return sorted(np.argpartition(mixed, count)[:count].tolist(), key=lambda row: hashes[row])
