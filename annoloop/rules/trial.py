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
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Any

from annoloop.corpus.tokenizer import shared_blank
from annoloop.errors import FormatError
from annoloop.rules.matcher import Match, Rules
from annoloop.rules.patterns import Pattern, read_patterns
from annoloop.types import LabelScheme


@dataclass(frozen=True, slots=True)
class Trial:
    """What patterns match: the matches of each text, in order, and the seconds that it took.

    `each` is microseconds a text for each pattern, matched alone on the texts' tokens; empty where it was
    not asked for.
    """

    matches: tuple[tuple[Match, ...], ...]
    seconds: float
    each: tuple[float, ...] = ()


class Bench:
    """A process that matches patterns, kept for the next call; safe to share between threads."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[str] | None = None
        self._lock = threading.Lock()

    def run(
        self,
        lines: str,
        texts: Sequence[str],
        *,
        scheme: LabelScheme,
        lang: str,
        seconds: float = 5.0,
        each: bool = False,
        folder: Path | None = None,
    ) -> Trial:
        """Match the patterns (`lines` as in patterns.jsonl) on every text.

        `each` measures every pattern alone too, in as many seconds again at most. `folder` is where the
        names of lists of phrases lead from.

        Raises:
            FormatError: a line is wrong, or matching took longer than `seconds`; the message names the line
                that is too slow where one is on its own.
        """
        call = {
            "lines": lines,
            "texts": list(texts),
            "kind": scheme.kind,
            "labels": list(scheme.labels),
            "lang": lang,
            "seconds": seconds,
            "folder": None if folder is None else str(folder),
        }
        with self._lock:
            alone = self._call({**call, "each": True}) if each else {}
            reply = self._call({**call, "each": False})
            if "slow" in reply and not each:
                alone = self._blamed(call, lines)
        reply = alone if "slow" in alone and alone["slow"] is not None else reply
        _raise_for(reply, seconds)
        found = tuple(tuple(Match(*match) for match in text) for text in reply["matches"])
        return Trial(found, reply["seconds"], tuple(alone.get("each", ())))

    def _blamed(self, call: dict[str, Any], lines: str) -> dict[str, Any]:
        """What comes of matching each pattern alone: one that is too slow by itself is named."""
        numbers = [number for number, line in enumerate(lines.split("\n"), start=1) if line.strip()]
        return {"slow": numbers[0]} if len(numbers) == 1 else self._call({**call, "each": True})

    def _call(self, call: dict[str, Any]) -> dict[str, Any]:
        """The reply; {"slow": line that was matched or None} where the process ended itself for it."""
        process = self._process
        if process is None or process.poll() is not None:
            process = self._process = self._begin()
        assert process.stdin is not None and process.stdout is not None
        begun, line = time.monotonic(), None
        try:
            process.stdin.write(json.dumps(call) + "\n")
            process.stdin.flush()
            for said in process.stdout:
                reply: dict[str, Any] = json.loads(said)
                if "trying" not in reply:
                    return reply
                line = reply["trying"]
        except OSError:
            pass
        self.close()
        return {"slow": line} if time.monotonic() - begun >= call["seconds"] else {"ended": True}

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


def _raise_for(reply: dict[str, Any], seconds: float) -> None:
    if "message" in reply:
        raise FormatError(reply["message"], hint=reply["hint"])
    if "ended" in reply:
        raise FormatError("the process that tries patterns ended", hint="try again")
    if "slow" in reply:
        where = "" if reply["slow"] is None else f"line {reply['slow']}: "
        raise FormatError(
            f"{where}pattern: it takes longer than {seconds:g} s, so it was stopped",
            hint="repetitions that can share the same characters, such as a*a*, take for ever on long words: "
            "write it with one",
        )


def answer(call: dict[str, Any], say: Callable[[dict[str, Any]], None]) -> dict[str, Any]:
    """What the process answers to one call of `Bench.run`; `say` is told what is being matched."""
    scheme = LabelScheme(call["kind"], tuple(call["labels"]))
    folder = None if call["folder"] is None else Path(call["folder"])
    try:
        patterns = read_patterns(call["lines"], scheme=scheme, lang=call["lang"], folder=folder)
    except FormatError as error:
        return {"message": error.message, "hint": error.hint}
    if call["each"]:
        return {"each": _each(patterns, call["texts"], scheme, call["lang"], say)}
    rules = Rules(patterns, scheme=scheme, lang=call["lang"])
    # The pipeline is made with the first text, which is no work of the patterns.
    rules.explain("")
    begun = time.perf_counter()
    found = [[astuple(match) for match in rules.explain(text)] for text in call["texts"]]
    return {"matches": found, "seconds": time.perf_counter() - begun}


def _each(
    patterns: Sequence[Pattern],
    texts: Sequence[str],
    scheme: LabelScheme,
    lang: str,
    say: Callable[[dict[str, Any]], None],
) -> list[float]:
    from annoloop.rules.pattern_matcher import PatternMatcher

    nlp = shared_blank(lang)
    docs = [nlp.tokenizer(text) for text in texts]
    taken = []
    for pattern in patterns:
        matcher = PatternMatcher(nlp.vocab, nlp.tokenizer, [pattern.row], scheme.kind)
        say({"trying": pattern.line})
        begun = time.perf_counter()
        for doc in docs:
            matcher(doc)
        taken.append(1e6 * (time.perf_counter() - begun) / max(1, len(docs)))
    return taken


def main() -> None:
    """Answer calls, a JSON object a line, until the other end closes."""
    shared_blank("en")
    for line in sys.stdin:
        call = json.loads(line)
        # A thread of its own in C, which no regular expression can hold up.
        faulthandler.dump_traceback_later(call["seconds"] + 1, exit=True, file=_nowhere())
        reply = answer(call, _say)
        faulthandler.cancel_dump_traceback_later()
        _say(reply)


def _say(said: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(said) + "\n")
    sys.stdout.flush()


_open: list[Any] = []


def _nowhere() -> Any:
    if not _open:
        _open.append(Path(os.devnull).open("w"))  # noqa: SIM115
    return _open[0]


if __name__ == "__main__":
    main()
