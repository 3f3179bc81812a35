"""Own patterns under a time limit: they run in a process of their own, which is ended when it is over."""

from __future__ import annotations

import json
import os
import queue
import re
import subprocess
import sys
import threading
import weakref
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path

from annoloop.errors import LLMError

SECONDS = 5.0
"""Time that one pattern may take on one text, the start of the process included."""


class PatternFinder:
    """Ranges of what the patterns match; empty matches are none. Safe to call from several threads.

    Raises:
        LLMError: a pattern is no regular expression; when called, that one takes longer than `seconds`.
    """

    def __init__(self, patterns: Mapping[str, str], *, seconds: float = SECONDS) -> None:
        for name, pattern in patterns.items():
            try:
                re.compile(pattern)
            except re.error as error:
                raise LLMError(
                    f"privacy -> patterns -> {name}: {pattern!r} is not regular: {error}"
                ) from None
        self._patterns = dict(patterns)
        self._seconds = seconds
        self._lock = threading.Lock()
        self._worker: _Worker | None = None

    def __call__(self, text: str) -> Iterator[tuple[int, int]]:
        """Ranges of matches."""
        with self._lock:
            yield from self._find(text)

    def _find(self, text: str) -> list[tuple[int, int]]:
        if self._worker is None or not self._worker.is_ours:
            self._worker = _Worker(self._patterns)
        worker, found = self._worker, []
        worker.ask(text)
        for name, pattern in self._patterns.items():
            said = worker.next_line(self._seconds)
            if said is None:
                worker.end()
                self._worker = None
                raise LLMError(
                    f"privacy -> patterns -> {name}: {pattern!r} took longer than {self._seconds:g} seconds "
                    f"on a text of {len(text)} characters: nothing of it was sent",
                    hint="write it without repeats inside repeats, such as (a+)+",
                )
            found += [(start, end) for start, end in json.loads(said)]
        return found


class _Worker:
    """The process, with a thread that reads what it says: a pipe has no time limit of its own."""

    def __init__(self, patterns: Mapping[str, str]) -> None:
        self._owner = os.getpid()
        process = subprocess.Popen(
            [sys.executable, "-I", "-S", str(Path(__file__).with_name("worker.py"))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            encoding="ascii",
            start_new_session=True,
        )
        self._process = process
        self._lines: queue.SimpleQueue[str] = queue.SimpleQueue()
        lines = self._lines

        def read() -> None:
            assert process.stdout is not None
            for line in process.stdout:
                lines.put(line)

        threading.Thread(target=read, name="annoloop-redact", daemon=True).start()
        self.end = weakref.finalize(self, _end, process)
        self._write(patterns)

    @property
    def is_ours(self) -> bool:
        """Whether it runs and this process started it, not one that this was forked from."""
        return self._owner == os.getpid() and self._process.poll() is None

    def ask(self, text: str) -> None:
        """Hand a text over."""
        self._write(text)

    def _write(self, value: object) -> None:
        assert self._process.stdin is not None
        with suppress(OSError):  # where it has ended no line will come, which the caller sees
            self._process.stdin.write(json.dumps(value) + "\n")
            self._process.stdin.flush()

    def next_line(self, seconds: float) -> str | None:
        """What it says next; None where it says nothing in time."""
        try:
            return self._lines.get(timeout=seconds)
        except queue.Empty:
            return None


def _end(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.wait()
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            with suppress(OSError):
                pipe.close()
