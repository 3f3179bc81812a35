"""How long work tells what it is doing: `(what, done, total)`; total 0 means unknown."""

from __future__ import annotations

from collections.abc import Callable

OnProgress = Callable[[str, int, int], None]


def silent(_what: str, _done: int, _total: int) -> None:
    """Tell nobody."""
