"""The first texts' tokens, found by a process of their own while server and browser start.

Loading spaCy takes about a second, in which a single process could do nothing for the page.
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Sequence

Offsets = list[tuple[int, int]]

PATIENCE = 5.0
"""Seconds that a call waits for the process before it loads spaCy itself."""

_CHILD = """
import json, sys
from annoloop.review.pieces import token_offsets
asked = json.load(sys.stdin)
json.dump([token_offsets(text, asked["lang"]) for text in asked["texts"]], sys.stdout)
"""


class Ahead:
    """Tokenizes texts in another process; a failure there costs time and nothing else."""

    def __init__(self, texts: Sequence[str], lang: str) -> None:
        self.lang = lang
        self._texts = frozenset(texts)
        self._found: dict[str, Offsets] = {}
        self._done = threading.Event()
        threading.Thread(target=self._run, args=(list(self._texts),), daemon=True).start()

    def offsets(self, text: str, lang: str) -> Offsets | None:
        """Start and end of each token in code points; None where the text was not asked for or it failed."""
        if lang != self.lang or text not in self._texts:
            return None
        self._done.wait(PATIENCE)
        return self._found.get(text)

    def _run(self, texts: list[str]) -> None:
        try:
            told = subprocess.run(
                [sys.executable, "-c", _CHILD],
                input=json.dumps({"lang": self.lang, "texts": texts}),
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
                check=True,
            )
            found = json.loads(told.stdout)
            self._found = {
                text: [(start, end) for start, end in offsets]
                for text, offsets in zip(texts, found, strict=True)
            }
        except (OSError, ValueError, subprocess.CalledProcessError):
            # The server's own process finds the tokens then, only later.
            return
        finally:
            self._done.set()
