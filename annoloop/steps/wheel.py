"""Where the wheel is that was exported last."""

from __future__ import annotations

from pathlib import Path

from annoloop.project import Project

WHEEL_FACT = "wheel"


def keep_wheel(project: Project, wheel: Path) -> None:
    """Remember it; inside the project by where it is there, so that the project may be moved."""
    folder, wheel = project.folder.resolve(), wheel.resolve()
    kept = wheel.relative_to(folder).as_posix() if wheel.is_relative_to(folder) else str(wheel)
    project.store.set_fact(WHEEL_FACT, kept)


def forget_wheel(project: Project) -> None:
    """It is of a model that is no longer the newest."""
    project.store.set_fact(WHEEL_FACT, None)


def kept_wheel(project: Project) -> str | None:
    """The path of the wheel of the newest model; None where there is none, or it is gone."""
    kept = project.store.fact(WHEEL_FACT)
    if not kept:
        return None
    path = project.folder.resolve() / kept
    return str(path) if path.is_file() else None
