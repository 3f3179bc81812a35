"""How long work tells what it is doing: `(what, done, total)`; total 0 means unknown."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from annoloop.errors import AnnoloopError, StoreError

if TYPE_CHECKING:
    from annoloop.project import Project

OnProgress = Callable[[str, int, int], None]

WORK_FACT = "work"
KEEP_SECONDS = 1.0


def silent(_what: str, _done: int, _total: int) -> None:
    """Tell nobody."""


class WorkRecord:
    """What runs and how far it has come, kept in the store as the fact `work` for whoever looks on.

    At most one write a second, and one for each message. A store that cannot be written just now stops
    no work: the next write says it all.
    """

    def __init__(self, project: Project, action: str, tell: OnProgress = silent) -> None:
        self._store, self._tell = project.store, tell
        self._kept = 0.0
        self._fact: dict[str, Any] = {
            "action": action,
            "what": "",
            "done": 0,
            "total": 0,
            "message": "",
            "error": "",
            "hint": "",
            "ended": False,
            "pid": os.getpid(),
            "host": platform.node(),
            "begun": time.time(),
        }

    def progress(self, what: str, done: int, total: int) -> None:
        """Tell on, and keep."""
        self._tell(what, done, total)
        changed = what.partition(":")[0] != str(self._fact["what"]).partition(":")[0]
        self._fact |= {"what": what, "done": done, "total": total}
        if changed or time.monotonic() - self._kept >= KEEP_SECONDS:
            self.keep()

    def say(self, message: str) -> None:
        """Keep what has just happened."""
        self.keep(message=message)

    def keep(self, **values: Any) -> None:
        """Write the fact with these values changed."""
        self._fact |= values
        self._kept = time.monotonic()
        with suppress(StoreError):
            self._store.set_fact(WORK_FACT, self._fact)


@contextmanager
def recorded(project: Project, action: str, tell: OnProgress = silent) -> Iterator[WorkRecord]:
    """Keep a record of long work from its begin to its end, with the line of the error that ended it."""
    record = WorkRecord(project, action, tell)
    record.keep()
    try:
        yield record
    except AnnoloopError as error:
        record.keep(ended=True, error=error.message, hint=error.hint)
        raise
    except KeyboardInterrupt:
        record.keep(ended=True, stopped=True)
        raise
    except BaseException as error:
        record.keep(ended=True, error=f"{type(error).__name__}: {error}")
        raise
    record.keep(ended=True)
