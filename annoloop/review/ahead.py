"""spaCy's tokens from a process of their own, until this one has loaded spaCy itself.

Loading spaCy takes about a second, in which a single process could do nothing for the page.
"""

from __future__ import annotations

import json
import queue
import subprocess
import sys
import threading
from contextlib import nullcontext, suppress

Offsets = list[tuple[int, int]]

PATIENCE = 5.0
"""Seconds that a call waits for the process before it loads spaCy itself."""

_CHILD = """
import json, sys
from annoloop.review.pieces import token_offsets
for line in sys.stdin:
    text, lang = json.loads(line)
    print(json.dumps(token_offsets(text, lang)), flush=True)
"""


class Ahead:
    """Tokenizes texts in another process, one at a time; a failure there costs time and nothing else."""

    def __init__(self, lang: str) -> None:
        self._lock = threading.Lock()
        self._replies: queue.SimpleQueue[str] = queue.SimpleQueue()
        try:
            self._process: subprocess.Popen[str] | None = subprocess.Popen(
                [sys.executable, "-c", _CHILD],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
            )
        except OSError:
            # The server's own process finds the tokens then, only later.
            self._process = None
            return
        threading.Thread(target=self._listen, args=(self._process,), daemon=True).start()
        # So that it has loaded spaCy, and the language, before the first text is asked for.
        threading.Thread(target=self.offsets, args=("", lang), daemon=True).start()

    def offsets(self, text: str, lang: str) -> Offsets | None:
        """Start and end of each token in code points; None where the process does not say."""
        with self._lock:
            if self._process is None or self._process.stdin is None:
                return None
            try:
                self._process.stdin.write(json.dumps([text, lang]) + "\n")
                self._process.stdin.flush()
                return [(start, end) for start, end in json.loads(self._replies.get(timeout=PATIENCE))]
            except (OSError, ValueError, queue.Empty):
                self._end()
                return None

    def close(self) -> None:
        """End the process."""
        with self._lock:
            self._end()

    def _listen(self, process: subprocess.Popen[str]) -> None:
        with process.stdout or nullcontext() as lines:
            for line in lines or ():
                self._replies.put(line)
        # Whoever waits gives up at once.
        self._replies.put("")

    def _end(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait()
            with suppress(OSError):
                process.stdin.close()  # type: ignore[union-attr]
