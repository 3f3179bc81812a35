"""Errors that a user can act on: what is wrong and where, then what to do."""

from __future__ import annotations


class AnnoloopError(Exception):
    """Something the user can mend. `message` says what is wrong and where, `hint` what to do about it."""

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} ({self.hint})" if self.hint else self.message


class SettingsError(AnnoloopError):
    """A project's annoloop.cfg is wrong; the message carries the path `section -> key`."""


class FormatError(AnnoloopError):
    """A file of texts cannot be read; the message carries the file and the line."""


class SchemeError(AnnoloopError):
    """An annotation does not fit the project's labels or its text."""


class StoreError(AnnoloopError):
    """The project's store cannot be opened, read or written."""


class BlindnessError(AnnoloopError):
    """Held-out gold was about to reach something that learns."""


class LLMError(AnnoloopError):
    """The LLM cannot be asked: not configured, not reachable, not allowed."""


class TrainingError(AnnoloopError):
    """There is not enough gold to train on, or training failed."""


class PackagingError(AnnoloopError):
    """The wheel could not be built, or what was built does not run."""
