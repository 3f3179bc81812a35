"""Install a wheel in an environment of its own, run it there, compare what it says."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import distributions
from pathlib import Path
from typing import Any, Literal

from annoloop.errors import PackagingError
from annoloop.types import Annotation, LabelScheme, Span

OnProgress = Callable[[str, int, int], None]
"""Called with what is going on, steps done, and the number of steps."""

Environment = Literal["auto", "fresh", "shared"]

_STEPS = 3
_PIP_SECONDS = 900
_RUN = Path(__file__).with_name("run_installed.py")


@dataclass(frozen=True, slots=True)
class VerifyReport:
    """What came of running the installed wheel.

    `environment` is "fresh" where pip fetched everything that the wheel asks for, "shared" where the
    wheel was put into an empty environment that sees the running one's packages; `note` says why.
    `differing` are indices of texts whose annotation is not the expected one; `ok` means that there are
    none.
    """

    package: str
    environment: Literal["fresh", "shared"]
    texts: int
    differing: tuple[int, ...] = ()
    spacy_version: str = ""
    note: str = ""

    @property
    def ok(self) -> bool:
        """Whether the installed package says what was expected of it, on every text."""
        return not self.differing


def verify_wheel(
    wheel: Path,
    texts: Sequence[str],
    expected: Sequence[Annotation],
    *,
    scheme: LabelScheme,
    environment: Environment = "auto",
    on_progress: OnProgress | None = None,
) -> VerifyReport:
    """Install the wheel into a new environment, load it by name in a process there, and compare.

    "fresh" takes the wheel's requirements from pip's registry, in the versions that run here; "shared"
    takes the running environment's packages; "auto" is fresh where that works and shared where it does
    not. The environment is removed afterwards.

    Raises:
        PackagingError: the wheel cannot be installed, or does not load or run.
    """
    if not Path(wheel).is_file():
        raise PackagingError(f"no wheel at {wheel}", hint="build it: annoloop export PROJECT OUT_DIR")
    if len(texts) != len(expected):
        raise PackagingError(f"{len(texts)} texts, {len(expected)} annotations", hint="one annotation a text")
    tell = on_progress or (lambda _what, _done, _total: None)
    with tempfile.TemporaryDirectory(prefix="annoloop-verify-") as folder:
        tell("making an environment", 0, _STEPS)
        python = _make_environment(Path(folder))
        tell(f"installing {Path(wheel).name}", 1, _STEPS)
        used, note = _install(python, Path(wheel).resolve(), environment)
        tell(f"running {Path(wheel).name}", 2, _STEPS)
        package = Path(wheel).name.split("-")[0]
        said = _run_installed(python, package, texts, scheme, Path(folder))
    made = [_annotation(row) for row in said["annotations"]]
    differing = tuple(i for i, (a, b) in enumerate(zip(made, expected, strict=True)) if a != b)
    tell("verified", _STEPS, _STEPS)
    return VerifyReport(package, used, len(texts), differing, said["spacy"], note)


def _make_environment(folder: Path) -> Path:
    """An empty environment; the running pip installs into it, so that it needs none of its own."""
    _call([sys.executable, "-m", "venv", "--without-pip", str(folder / "env")], "making an environment")
    inside = "Scripts/python.exe" if os.name == "nt" else "bin/python"
    return folder / "env" / inside


def _install(python: Path, wheel: Path, wanted: Environment) -> tuple[Literal["fresh", "shared"], str]:
    note = "as asked"
    if wanted != "shared":
        try:
            _pip(python, "--constraint", str(_constraints(python)), "--only-binary", ":all:", str(wheel))
            return "fresh", "requirements installed by pip, in the versions that run here"
        except PackagingError as error:
            if wanted == "fresh":
                raise
            note = f"pip could not install the requirements: {error.message[-200:]}"
    _see_running_packages(python)
    _pip(python, "--no-deps", "--no-index", "--force-reinstall", str(wheel))
    return "shared", f"with the running environment's packages; {note}"


def _pip(python: Path, *arguments: str) -> None:
    command = [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet"]
    command += ["--no-input", "--disable-pip-version-check", "--no-compile", "--retries", "1"]
    _call([*command, "--timeout", "10", *arguments], "pip install", seconds=_PIP_SECONDS)


def _constraints(python: Path) -> Path:
    """The versions that run here, as a file of pip constraints: the test is of the same spaCy."""
    path = python.parent.parent / "constraints.txt"
    pins = {}
    for found in distributions():
        name = found.metadata["Name"]
        is_local = "+" in found.version or (found.read_text("direct_url.json") is not None)
        if name and not is_local:
            pins[name.lower()] = found.version
    lines = (f"{name}=={version}\n" for name, version in sorted(pins.items()))
    path.write_text("".join(lines), encoding="utf8")
    return path


def _see_running_packages(python: Path) -> None:
    """Let the new environment import what runs here. A path in a .pth file runs no other .pth file."""
    where = [sysconfig.get_path("purelib"), sysconfig.get_path("platlib")]
    asked = "import sysconfig; print(sysconfig.get_path('purelib'))"
    site = _call([str(python), "-I", "-c", asked], "asking the environment").strip()
    (Path(site) / "running.pth").write_text("\n".join(dict.fromkeys(where)) + "\n", encoding="utf8")


def _run_installed(
    python: Path, package: str, texts: Sequence[str], scheme: LabelScheme, folder: Path
) -> dict[str, Any]:
    task, said = folder / "task.json", folder / "said.json"
    asked = {"package": package, "texts": list(texts), "kind": scheme.kind, "labels": list(scheme.labels)}
    task.write_text(json.dumps(asked), encoding="utf8")
    _call([str(python), "-I", str(_RUN), str(task), str(said)], f"running {package}")
    answer: dict[str, Any] = json.loads(said.read_text(encoding="utf8"))
    return answer


def _call(command: Sequence[str], what: str, *, seconds: float | None = None) -> str:
    environment = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "PYTHONHOME")}
    try:
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, encoding="utf8", timeout=seconds
        )
    except subprocess.TimeoutExpired as error:
        raise PackagingError(f"{what} took more than {seconds} s", hint="is the registry slow?") from error
    if done.returncode:
        said = " ".join((done.stderr or done.stdout).split())[-400:]
        raise PackagingError(f"{what} failed: {said}", hint="install the wheel by hand to see more")
    return done.stdout


def _annotation(row: Mapping[str, Any]) -> Annotation:
    return Annotation(tuple(row["labels"]), tuple(Span(*span) for span in row["spans"]))
