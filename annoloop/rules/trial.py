"""Patterns run where they can do no harm: in a process that ends itself when they take too long.

A regular expression such as `(a+)+$` takes years on a long token, and Python cannot be interrupted in it.
"""

from __future__ import annotations

import atexit
import faulthandler
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Any

from annoloop.errors import FormatError
from annoloop.rules.matcher import Match, Rules, load_rules
from annoloop.types import LabelScheme


@dataclass(frozen=True, slots=True)
class Trial:
    """What patterns match: the matches of each text, in order, and the seconds that it took."""

    matches: tuple[tuple[Match, ...], ...]
    seconds: float


class Bench:
    """A process that matches patterns, kept for the next call; safe to share between threads."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[str] | None = None
        self._lock = threading.Lock()

    def run(
        self, lines: str, texts: Sequence[str], *, scheme: LabelScheme, lang: str, seconds: float = 5.0
    ) -> Trial:
        """Match the patterns (`lines` as in patterns.jsonl) on every text.

        Raises:
            FormatError: a line is wrong, or matching took longer than `seconds`.
        """
        call = {
            "lines": lines,
            "texts": list(texts),
            "kind": scheme.kind,
            "labels": list(scheme.labels),
            "lang": lang,
            "seconds": seconds,
        }
        with self._lock:
            begun = time.monotonic()
            reply = self._call(json.dumps(call))
            if reply is None:
                self.close()
                if time.monotonic() - begun < seconds:
                    raise FormatError("the process that tries patterns ended", hint="try again")
                raise FormatError(
                    f"pattern: it takes longer than {seconds:g} s, so it was stopped",
                    hint="a repetition within a repetition, such as (a+)+, takes for ever: write it without",
                )
        if "message" in reply:
            raise FormatError(reply["message"], hint=reply["hint"])
        found = tuple(tuple(Match(*match) for match in text) for text in reply["matches"])
        return Trial(found, reply["seconds"])

    def _call(self, line: str) -> dict[str, Any] | None:
        """The reply; None where the process ended itself."""
        process = self._process
        if process is None or process.poll() is not None:
            process = self._process = self._begin()
        assert process.stdin is not None and process.stdout is not None
        try:
            process.stdin.write(line + "\n")
            process.stdin.flush()
            answer = process.stdout.readline()
        except OSError:
            return None
        return json.loads(answer) if answer else None

    def _begin(self) -> subprocess.Popen[str]:
        atexit.register(self.close)
        return subprocess.Popen(
            [sys.executable, "-m", "annoloop.rules.trial"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            encoding="utf8",
        )

    def close(self) -> None:
        """End the process; the next call begins another."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.communicate()
        atexit.unregister(self.close)


def answer(call: dict[str, Any]) -> dict[str, Any]:
    """What the process answers to one call of `Bench.run`."""
    scheme = LabelScheme(call["kind"], tuple(call["labels"]))
    try:
        rules = _rules(call["lines"], scheme, call["lang"])
    except FormatError as error:
        return {"message": error.message, "hint": error.hint}
    # The pipeline is made with the first text, which is no work of the patterns.
    rules.explain("")
    begun = time.perf_counter()
    found = [[astuple(match) for match in rules.explain(text)] for text in call["texts"]]
    return {"matches": found, "seconds": time.perf_counter() - begun}


def _rules(lines: str, scheme: LabelScheme, lang: str) -> Rules:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "patterns.jsonl"
        path.write_text(lines, encoding="utf8", errors="surrogatepass")
        try:
            rules = load_rules(path, scheme=scheme, lang=lang)
        except FormatError as error:
            message = error.message.replace(f"{path}:", "line ")
            raise FormatError(message, hint=error.hint) from None
    assert rules is not None
    return rules


def main() -> None:
    """Answer calls, a JSON object a line, until the other end closes."""
    import spacy

    spacy.blank("en")
    for line in sys.stdin:
        call = json.loads(line)
        # A thread of its own in C, which no regular expression can hold up.
        faulthandler.dump_traceback_later(call["seconds"] + 1, exit=True, file=_nowhere())
        reply = answer(call)
        faulthandler.cancel_dump_traceback_later()
        sys.stdout.write(json.dumps(reply) + "\n")
        sys.stdout.flush()


_open: list[Any] = []


def _nowhere() -> Any:
    if not _open:
        _open.append(Path(os.devnull).open("w"))  # noqa: SIM115
    return _open[0]


if __name__ == "__main__":
    main()
