"""What a command shows: progress with an estimate on standard error, results on standard output."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import typer

PLAIN_EVERY_SECONDS = 5.0


def print_json(value: Any) -> None:
    """One JSON object on standard output."""
    typer.echo(json.dumps(value, ensure_ascii=False, indent=2))


class Narrator:
    """Tells what happens: a live bar in a terminal, plain lines elsewhere; always on standard error."""

    def __init__(self, *, to_stderr: bool) -> None:
        self._to_stderr = to_stderr
        self._progress: Any = None
        self._task: Any = None
        self._what = ""
        self._started = self._told = 0.0
        self._first = self._done = 0

    def say(self, line: str) -> None:
        """A line that stays."""
        if self._progress is not None:
            self._end_bar()
        typer.echo(line, err=self._to_stderr)

    def progress(self, what: str, done: int, total: int) -> None:
        """How far something has come; total 0 is unknown."""
        # What follows a colon changes from call to call, such as the score so far: still the same work.
        work = what.partition(":")[0]
        # The same approach may read one set of texts after another, each with its own time.
        if work != self._what or done < self._done:
            self._what, self._started, self._told, self._first = work, time.monotonic(), 0.0, done
            self._end_bar()
        self._done = done
        if sys.stderr.isatty():
            self._draw(what, done, total)
        elif time.monotonic() - self._told >= PLAIN_EVERY_SECONDS:
            self._told = time.monotonic()
            typer.echo(self._plain(what, done, total), err=True)

    def _plain(self, what: str, done: int, total: int) -> str:
        if not total:
            return f"  {what} {done or ''}".rstrip() + " ..."
        seconds = time.monotonic() - self._started
        left = seconds / (done - self._first) * (total - done) if done > self._first else None
        estimate = f", about {left:.0f} s left" if left is not None else ""
        return f"  {what} ({done} of {total}{estimate})"

    def _draw(self, what: str, done: int, total: int) -> None:
        if self._progress is None:
            from rich.console import Console
            from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

            self._progress = Progress(
                TextColumn("  {task.description}"),
                BarColumn(bar_width=30),
                MofNCompleteColumn(),
                TimeRemainingColumn(),
                console=Console(stderr=True),
                transient=True,
            )
            self._progress.start()
            self._task = self._progress.add_task(what, total=total or None, completed=done)
        self._progress.update(self._task, description=what, completed=done, total=total or None)

    def _end_bar(self) -> None:
        if self._progress is not None:
            self._progress.stop()
            self._progress = None


@contextmanager
def narrating(*, to_stderr: bool = False) -> Iterator[Narrator]:
    """A narrator whose bar is gone at the end, also after an error."""
    narrator = Narrator(to_stderr=to_stderr)
    try:
        yield narrator
    finally:
        narrator._end_bar()
