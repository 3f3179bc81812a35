"""The embedded model: weights in the user's cache, served to this machine only by a process of our own."""

from __future__ import annotations

import atexit
import hashlib
import importlib.util
import json
import os
import secrets
import subprocess
import sys
import tempfile
import threading
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import IO

from annoloop.errors import LLMError
from annoloop.llm.weights import MODEL_FILE, MODEL_NAME, MODEL_SHA256, fetch_model, weights_path

EMBEDDED = "embedded"
"""The base_url that stands for the embedded server."""

CONTEXT = 4096
"""Tokens of prompt and answer together that the embedded server takes."""

_NO_EXTRA = 'pip install "annoloop[local-llm]"'
_FETCH = "annoloop llm fetch-model"


@dataclass(frozen=True, slots=True)
class LocalModelStatus:
    """Whether the embedded model can run; where not, why and what to do."""

    available: bool
    reason: str = ""
    hint: str = ""


def local_model_status(model_path: str | Path | None = None) -> LocalModelStatus:
    """Look whether the extra is installed and the weights are there; starts nothing."""
    if importlib.util.find_spec("xllamacpp") is None:
        return LocalModelStatus(False, "the extra local-llm is not installed", _NO_EXTRA)
    if model_path is not None:
        if Path(model_path).expanduser().is_file():
            return LocalModelStatus(True)
        return LocalModelStatus(False, f"{model_path} is not there", "llm -> model -> name takes a GGUF file")
    if not weights_path().is_file():
        return LocalModelStatus(False, f"the weights of {MODEL_NAME} are not fetched", _FETCH)
    return LocalModelStatus(True)


@lru_cache(maxsize=8)
def _sha256(path: str, size: int, changed: int) -> str:
    with Path(path).open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def weights_identity(model_path: Path) -> str:
    """What names the embedded model in cache keys, its port being random: sha256 of its weights."""
    stat = model_path.stat()
    return f"gguf:{_sha256(str(model_path), stat.st_size, stat.st_mtime_ns)}"


class EmbeddedServer:
    """One model behind an OpenAI-compatible address on the loopback, in a process of its own.

    A crash of llama.cpp ends that process and not this one; Ctrl-C reaches this process only.
    """

    def __init__(self, model_path: Path, *, context: int = CONTEXT) -> None:
        self.model_path = model_path
        self.context = context
        self.key = secrets.token_hex(16)
        self.process: subprocess.Popen[str] | None = None
        self.base_url = ""
        self._log: IO[bytes] | None = None

    @property
    def running(self) -> bool:
        """Whether the process is there."""
        return self.process is not None and self.process.poll() is None

    def start(self) -> str:
        """Start the process where it is not running, and return its base URL.

        Raises:
            LLMError: the model cannot be loaded.
        """
        if self.running:
            return self.base_url
        self.stop()
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the process
        self.process = subprocess.Popen(
            [sys.executable, "-P", str(Path(__file__).with_name("local_server.py"))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
            encoding="utf-8",
            start_new_session=True,
        )
        wanted = {
            "path": str(self.model_path),
            "name": self.model_path.stem,
            "key": self.key,
            "context": self.context,
        }
        assert self.process.stdin is not None and self.process.stdout is not None
        try:
            self.process.stdin.write(json.dumps(wanted) + "\n")
            self.process.stdin.flush()
            told = json.loads(self.process.stdout.readline() or "{}")
        except (OSError, ValueError):
            told = {}
        if "address" not in told:
            raise LLMError(self._failure(told.get("error", "")), hint="is it a whole GGUF file?")
        self.base_url = f"{told['address']}/v1"
        return self.base_url

    def stop(self) -> None:
        """End the process."""
        process, self.process = self.process, None
        if process is not None:
            assert process.stdin is not None and process.stdout is not None
            try:
                process.stdin.close()
            except OSError:
                process.kill()
            try:
                process.wait(timeout=2)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            process.stdout.close()
        if self._log is not None:
            self._log.close()
            self._log = None

    def _failure(self, error: str) -> str:
        last = ""
        if self._log is not None:
            self._log.seek(0)
            lines = self._log.read().decode(errors="replace").strip().splitlines()
            last = lines[-1] if lines else ""
        self.stop()
        return f"{self.model_path} cannot be loaded: {error or last or 'the server ended at once'}"


_servers: dict[Path, EmbeddedServer] = {}
_lock = threading.Lock()


def embedded_server(model_path: str | Path | None = None) -> EmbeddedServer:
    """The running server of this model, shared by the whole process; started where it is not.

    Raises:
        LLMError: the extra is not installed, the weights are not there, or they cannot be loaded.
    """
    path = embedded_weights(model_path)
    with _lock:
        server = _servers.setdefault(path, EmbeddedServer(path))
        server.start()
    return server


def embedded_weights(model_path: str | Path | None = None) -> Path:
    """The GGUF file that the embedded server takes.

    Raises:
        LLMError: it or the extra is missing.
    """
    status = local_model_status(model_path)
    if not status.available:
        raise LLMError(f"the local model cannot run: {status.reason}", hint=status.hint)
    return Path(model_path).expanduser().resolve() if model_path is not None else weights_path()


def stop_embedded_servers() -> None:
    """End all embedded servers of this process; the next question starts them again."""
    with _lock:
        for server in _servers.values():
            server.stop()
        _servers.clear()


def _forget() -> None:
    # A forked child must not end its parent's servers, nor keep their pipes open.
    _servers.clear()


atexit.register(stop_embedded_servers)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)

__all__ = [
    "EMBEDDED",
    "MODEL_FILE",
    "MODEL_NAME",
    "MODEL_SHA256",
    "EmbeddedServer",
    "LocalModelStatus",
    "embedded_server",
    "embedded_weights",
    "fetch_model",
    "local_model_status",
    "stop_embedded_servers",
    "weights_identity",
    "weights_path",
]
