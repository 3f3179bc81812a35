"""Long work from the page: the loop as a process of its own, which outlives the page and can be stopped."""

from __future__ import annotations

import os
import platform
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from annoloop.errors import StoreError
from annoloop.project import Project
from annoloop.steps.progress import WORK_FACT

LOG = ".annoloop.work.log"
STARTING_SECONDS = 60.0
"""How long a process may take to open the project before it counts as lost."""

_LAST_LINES = 20
# A shell that put the server in the background had it ignore interrupts, and its children inherit that.
_RUN = (
    "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
    "from annoloop.cli import main; main()"
)
_children: dict[Path, subprocess.Popen[bytes]] = {}
_starting = threading.Lock()


@dataclass(frozen=True, slots=True)
class Work:
    """The newest long work on a project. `total` 0 means unknown; `what` is empty between two steps.

    `message` is what happened last, `failed` the line of the error that ended it, `hint` what to do about
    it, `stopped` that somebody stopped it.
    """

    action: str
    what: str
    done: int
    total: int
    running: bool
    message: str = ""
    failed: str = ""
    hint: str = ""
    stopped: bool = False


def start(folder: Path, *options: str) -> None:
    """Run `annoloop loop FOLDER --no-wait OPTIONS` in a session of its own, its output in the log.

    Raises:
        StoreError: something is at work on the project already, or the process cannot be started.
    """
    folder = Path(folder).resolve()
    with _starting:
        if is_held(folder) or _is_alive(folder):
            raise StoreError(f"{folder} is being worked on already", hint="wait for it, or stop it")
        command = [sys.executable, "-c", _RUN, "loop", str(folder), "--no-wait", *options]
        with Project.open(folder).store as store:
            store.set_fact(WORK_FACT, {"action": "loop", "begun": time.time(), "starting": True})
        try:
            with (folder / LOG).open("wb") as log:
                _children[folder] = subprocess.Popen(
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    env={**os.environ, "PYTHONUNBUFFERED": "1"},
                    **_own_session(),
                )
        except OSError as error:
            raise StoreError(f"cannot start the loop: {error.strerror}") from error


def _own_session() -> dict[str, Any]:
    if sys.platform == "win32":
        return {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP}
    return {"start_new_session": True}


def _interrupt() -> int:
    if sys.platform == "win32":
        return signal.CTRL_BREAK_EVENT
    return signal.SIGINT


def stop(project: Project) -> bool:
    """Interrupt what runs; it goes on from there when it is started again. False where nothing runs here.

    Work on another machine cannot be reached, nor can a command that tells nothing of itself.
    """
    fact = project.store.fact(WORK_FACT) or {}
    if fact.get("ended"):
        return False
    child = _children.get(project.folder.resolve())
    if child is not None and child.poll() is None:
        child.send_signal(_interrupt())
        return True
    if fact.get("host") != platform.node() or not is_held(project.folder):
        return False
    with suppress(OSError):
        os.kill(int(fact["pid"]), _interrupt())
        return True
    return False


def state(project: Project) -> Work | None:
    """What runs on this project now, or what ran last; None where nothing ever did."""
    # The lock first: work writes how it ended before it lets go, so what ended in between looks like running.
    held = is_held(project.folder)
    fact: dict[str, Any] = project.store.fact(WORK_FACT) or {}
    if held and fact.get("ended"):
        held = is_held(project.folder)
    begins = bool(fact.get("starting")) and _is_new(fact) and not _has_died(project.folder)
    if not fact:
        return Work("", "", 0, 0, running=True) if held else None
    if held and fact.get("ended"):
        # A command that keeps no record, such as `annoloop add`.
        return Work("", "", 0, 0, running=True)
    running = held or begins
    failed, hint = str(fact.get("error", "")), str(fact.get("hint", ""))
    if not running and not fact.get("ended"):
        failed = (
            _last_error(project.folder) or "it ended without a word, as when the machine was switched off"
        )
    return Work(
        action=str(fact.get("action", "")),
        what=str(fact.get("what", "")),
        done=int(fact.get("done", 0)),
        total=int(fact.get("total", 0)),
        running=running,
        message=str(fact.get("message", "")),
        failed=failed,
        hint=hint,
        stopped=bool(fact.get("stopped")),
    )


def is_held(folder: Path) -> bool:
    """Whether a process holds the project for long work (`Project.exclusive`)."""
    from filelock import FileLock, Timeout

    lock = FileLock(Path(folder) / ".annoloop.lock", timeout=0)
    try:
        with lock:
            return False
    except Timeout:
        return True
    except OSError:
        return False


def _is_alive(folder: Path) -> bool:
    child = _children.get(folder)
    return child is not None and child.poll() is None


def _is_new(fact: dict[str, Any]) -> bool:
    return abs(time.time() - float(fact.get("begun", 0))) < STARTING_SECONDS


def _has_died(folder: Path) -> bool:
    child = _children.get(folder.resolve())
    return child is not None and child.poll() is not None


def _last_error(folder: Path) -> str:
    """The last line of the log that says what went wrong; empty where there is none."""
    try:
        lines = (folder / LOG).read_text(encoding="utf8", errors="replace").splitlines()[-_LAST_LINES:]
    except OSError:
        return ""
    errors = [line.removeprefix("error: ") for line in lines if line.startswith("error: ")]
    return errors[-1] if errors else next((line.strip() for line in reversed(lines) if line.strip()), "")
