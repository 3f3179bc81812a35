"""The project's guidelines.md: read, and saved without overwriting what somebody else wrote meanwhile."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from annoloop.errors import AnnoloopError, FormatError
from annoloop.project import Project

NAME = "guidelines.md"
LONGEST = 200_000


class ChangedMeanwhileError(AnnoloopError):
    """The file is no longer what the edit began with; `theirs` is what it says now."""

    def __init__(self, theirs: str) -> None:
        super().__init__(f"{NAME} was changed by somebody else meanwhile", hint="compare the two")
        self.theirs = theirs


def read_guidelines(project: Project) -> str:
    """What the file says; empty where there is none.

    Raises:
        FormatError: it is not UTF-8, or cannot be read.
    """
    path = project.folder / NAME
    try:
        return path.read_bytes().decode("utf-8-sig").replace("\r\n", "\n")
    except FileNotFoundError:
        return ""
    except UnicodeDecodeError as error:
        raise FormatError(f"{path}: not UTF-8 at byte {error.start}", hint="save it as UTF-8") from None
    except OSError as error:
        raise FormatError(f"{path} cannot be read: {error.strerror}") from error


def save_guidelines(project: Project, text: str, *, before: str) -> None:
    """Put `text` in place of `before`, whole or not at all.

    Raises:
        ChangedMeanwhileError: the file no longer says `before`; it is as it was.
        FormatError: the text is too long, or the file cannot be written.
    """
    if len(text) > LONGEST:
        raise FormatError(f"the guidelines have more than {LONGEST:,} characters", hint="shorten them")
    now = read_guidelines(project)
    if now != before:
        raise ChangedMeanwhileError(now)
    path = project.folder / NAME
    mode = path.stat().st_mode & 0o777 if path.exists() else 0o644
    try:
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{NAME}.")
        with os.fdopen(handle, "w", encoding="utf8", newline="\n") as file:
            file.write(text.replace("\r\n", "\n").replace("\0", ""))
            file.flush()
            os.fsync(file.fileno())
        Path(name).chmod(mode)
        Path(name).replace(path)
    except OSError as error:
        raise FormatError(f"{path} cannot be written: {error.strerror}", hint="check the folder") from error
