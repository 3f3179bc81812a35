"""What is computed once of every text of a pool: on the disk, added to as texts come, mapped from there."""

from __future__ import annotations

import json
import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from annoloop.hashing import input_hash
from annoloop.selection.candidates import IntArray

Texts = Sequence[tuple[int, str]]
"""Texts with the numbers that name them."""

_NAMED = {"rows": np.dtype("<i8"), "names": np.dtype("<u8")}


class KeptRows(ABC):
    """Rows in a folder, one a text. Whoever adds to them must be the only one who does.

    A row is named by a number that its text never gives up. Each portion is there as a whole or not at all: a
    process that is killed leaves what was there, and the next goes on from it.
    """

    VERSION: ClassVar[int]
    """Of what is computed: rows of another version are computed anew."""

    PORTION: ClassVar[int]
    """Texts that are computed and kept at a time."""

    ALONE: ClassVar[int]
    """Texts up to which one process is done before others have begun."""

    PER_TEXT: ClassVar[dict[str, np.dtype[Any]]] = {}
    PER_VALUE: ClassVar[dict[str, np.dtype[Any]]]
    """Files with one number a text, and with any numbers a text, `values` among them; by what they hold."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._files = {**_NAMED, **self.PER_TEXT, **self.PER_VALUE}
        self._kept = self._state()

    def __len__(self) -> int:
        return int(self._kept["rows"])

    @property
    def numbers(self) -> IntArray:
        """(rows,): the numbers of the texts whose rows are there."""
        return np.asarray(self._read("rows"), dtype=np.int64)

    @property
    def names(self) -> NDArray[np.uint64]:
        """(rows,): their texts' `short_names`, by which another store's texts are found out."""
        return np.asarray(self._read("names"), dtype=np.uint64)

    def rows_of(self, numbers: IntArray) -> IntArray:
        """(texts,): the row of each number, -1 where it has none."""
        known = self.numbers
        if not len(known):
            return np.full(len(numbers), -1, dtype=np.int64)
        order = np.argsort(known, kind="stable")  # mostly sorted already, which takes no time
        rows = order[np.minimum(np.searchsorted(known[order], numbers), len(order) - 1)]
        return np.where(known[rows] == numbers, rows, -1)

    def add(self, portions: Iterable[Texts], *, workers: int, on_kept: Callable[[int], None]) -> None:
        """Compute and keep the rows of further texts, in as many processes; tells how many are there."""
        from joblib import Parallel, delayed

        self._folder.mkdir(parents=True, exist_ok=True)
        jobs = (delayed(_named)(type(self), portion) for portion in portions)
        for made in Parallel(n_jobs=workers, return_as="generator")(jobs):
            self._keep(made)
            on_kept(len(self))

    def forget(self) -> None:
        """Begin anew: the texts are not those that the rows were computed of."""
        (self._folder / "state.json").unlink(missing_ok=True)
        self._kept = self._state()

    @staticmethod
    @abstractmethod
    def computed(texts: Sequence[str]) -> dict[str, NDArray[Any]]:
        """The arrays of `PER_TEXT` and `PER_VALUE` for these texts; runs in a process of its own."""

    def _keep(self, made: dict[str, NDArray[Any]]) -> None:
        """Write behind what counts, and then let it count."""
        for name, dtype in self._files.items():
            path = self._folder / name
            with path.open("r+b" if path.exists() else "w+b") as file:
                # What a killed process left behind what counts is written over.
                file.seek(self._length(name) * dtype.itemsize)
                file.write(np.ascontiguousarray(made[name], dtype=dtype).tobytes())
                file.truncate()
                file.flush()
                os.fsync(file.fileno())
        self._kept = {
            "version": self.VERSION,
            "rows": len(self) + len(made["rows"]),
            "values": self._kept["values"] + len(made["values"]),
        }
        new = self._folder / "state.json.new"
        new.write_text(json.dumps(self._kept), encoding="utf8")
        new.replace(self._folder / "state.json")

    def _read(self, name: str) -> NDArray[Any]:
        length = self._length(name)
        if not length:
            return np.zeros(0, dtype=self._files[name])
        return np.memmap(self._folder / name, dtype=self._files[name], mode="r", shape=(length,))

    def _length(self, name: str) -> int:
        return self._kept["values" if name in self.PER_VALUE else "rows"]

    def _state(self) -> dict[str, int]:
        none = {"version": self.VERSION, "rows": 0, "values": 0}
        try:
            kept = json.loads((self._folder / "state.json").read_text(encoding="utf8"))
            kept = {name: int(kept[name]) for name in none}
        except (OSError, ValueError, KeyError, TypeError):
            return none
        self._kept = kept
        whole = kept["version"] == self.VERSION and all(
            (self._folder / name).is_file()
            and (self._folder / name).stat().st_size >= self._length(name) * dtype.itemsize
            for name, dtype in self._files.items()
        )
        return kept if whole else none


def short_names(hashes: Sequence[str]) -> NDArray[np.uint64]:
    """(texts,): the first half of each input hash, as a number."""
    whole = np.frombuffer(bytes.fromhex("".join(hashes)), dtype=">u8")
    return np.asarray(whole.reshape(len(hashes), -1)[:, 0] if hashes else whole, dtype=np.uint64)


def _named(kind: type[KeptRows], portion: Texts) -> dict[str, NDArray[Any]]:
    texts = [text for _, text in portion]
    return {
        "rows": np.asarray([number for number, _ in portion], dtype=np.int64),
        "names": short_names([input_hash(text) for text in texts]),
        **kind.computed(texts),
    }
