"""The record of what left the machine: a line for each request, written before the request is."""

from __future__ import annotations

import json
import os
import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from annoloop.errors import LLMError

if TYPE_CHECKING:
    from annoloop.llm.endpoint import Sent


class AuditFile:
    """Appends a line of JSON for every request to another machine; what stays on this one leaves no line.

    A line holds {at, address, host, reach, model, key, input_hash, characters, masked, bytes, run} and never
    a word of the text: `key` leads to the prompt in the store. `at` is UTC, `characters` counts the prompt,
    `masked` those of its text that are. `address` is null for a model of others, which chooses its own.
    Lines are on the disk before the request is written to its connection.
    """

    def __init__(self, path: Path, *, run: str) -> None:
        self.path = path
        self.run = run
        self._lock = threading.Lock()

    def __call__(self, sent: Sent) -> None:
        """Record a request that is about to leave.

        Raises:
            LLMError: the line cannot be written; the request must not be sent then.
        """
        if sent.reach == "loopback":
            return
        line = {
            "at": datetime.fromtimestamp(sent.at, UTC).isoformat(),
            "address": sent.address,
            "host": sent.host,
            "reach": sent.reach,
            **{name: sent.about.get(name) for name in ("model", "key", "input_hash", "characters", "masked")},
            "bytes": sent.size,
            "run": self.run,
        }
        try:
            with self._lock:
                self._append(json.dumps(line, ensure_ascii=False) + "\n")
        except OSError as error:
            raise LLMError(
                f"{self.path}: what leaves this machine cannot be recorded ({error.strerror}): "
                "nothing was sent",
                hint="it is [privacy] audit; make room for it, or name another file",
            ) from error

    def _append(self, line: str) -> None:
        # One write in append mode: lines of several processes do not mix.
        descriptor = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            os.write(descriptor, line.encode("utf8", "surrogatepass"))
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
