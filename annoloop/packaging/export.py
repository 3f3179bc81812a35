"""Make an installable wheel of a trained pipeline, through `spacy package`."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from annoloop.corpus.tokenizer import blank
from annoloop.errors import PackagingError

MAKING = "training"
"""The folder of gold and config inside a model's folder, which stays at home."""

EVIDENCE = "evidence"
"""The folder inside the package's model folder that holds the evidence files."""

_UMLAUTS = str.maketrans(
    {"ä": "ae", "ö": "oe", "ü": "ue", "ß": "ss", "ø": "oe", "æ": "ae", "ł": "l", "đ": "d"}
)


def package_name(name: str, lang: str) -> str:
    """The package's name with its language in front, made of a-z, 0-9 and single underscores.

    >>> package_name("Kunden-Rückmeldung 2", "de")
    'de_kunden_rueckmeldung_2'
    """
    plain = unicodedata.normalize("NFKC", name).lower().translate(_UMLAUTS)
    plain = unicodedata.normalize("NFKD", plain).encode("ascii", "ignore").decode()
    plain = re.sub(r"[^a-z0-9]+", "_", plain).strip("_")
    prefix = f"{lang.lower()}_"
    plain = plain.removeprefix(prefix) or "model"
    # spaCy wants an identifier before it puts the language in front.
    return prefix + (plain if plain[0].isalpha() else f"p{plain}")


def build_wheel(
    model_dir: Path,
    out_dir: Path,
    *,
    name: str,
    version: str,
    lang: str,
    meta: Mapping[str, Any] | None = None,
    evidence: Iterable[Path] = (),
) -> Path:
    """Build a wheel of the pipeline in `model_dir` and put it into `out_dir`; returns its path.

    `name` is any project's name (see `package_name`); `meta` is merged into the package's meta.json;
    `evidence` files are copied into the package's folder `evidence`, a README.md or LICENSE among them
    to the front. `model_dir` is only read, and what the model was trained from stays out.

    Raises:
        PackagingError: there is no pipeline, the version is not valid, or the build failed.
    """
    # The build runs in a folder of its own, where a path relative to this one leads nowhere.
    model_dir, out_dir = Path(model_dir).resolve(), Path(out_dir).resolve()
    _check(model_dir, version)
    full_name = package_name(name, lang)
    out_dir.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="annoloop-wheel-") as folder:
        staged = Path(folder) / "model"
        code = _stage(model_dir, staged, evidence)
        _forget_words(staged, lang)
        _merge_meta(staged / "meta.json", full_name, version, lang, meta or {})
        source = _spacy_package(staged, Path(folder), code, f"{full_name}-{version}")
        return _build(source, out_dir)


def _check(model_dir: Path, version: str) -> None:
    from packaging.version import InvalidVersion, Version

    if not (Path(model_dir) / "meta.json").is_file():
        raise PackagingError(f"no trained pipeline at {model_dir}", hint="train one: annoloop train PROJECT")
    try:
        normal = str(Version(version))
    except InvalidVersion as error:
        raise PackagingError(f"{version!r} is no version of a package", hint="write it like 1.0.0") from error
    if normal != version:
        raise PackagingError(f"version {version!r} is not in its normal form", hint=f"write it {normal}")


def _stage(model_dir: Path, staged: Path, evidence: Iterable[Path]) -> list[Path]:
    """Copy the pipeline without what it was trained from; returns the code files that it needs."""
    shutil.copytree(model_dir, staged, ignore=lambda at, _: [MAKING] if Path(at) == model_dir else [])
    for file in evidence:
        front = file.name in ("README.md", "LICENSE", "LICENSES_SOURCES")
        target = staged if front else staged / EVIDENCE
        target.mkdir(exist_ok=True)
        shutil.copy(file, target / file.name)
    # Whoever imports code leaves its bytecode beside it: not in the model's own folder.
    return [Path(shutil.copy(file, staged.parent)) for file in sorted((model_dir / MAKING).glob("*.py"))]


def _forget_words(staged: Path, lang: str) -> None:
    """Leave the words of the training texts out of the package.

    spaCy keeps every word that it met in vocab/strings.json. The pipeline knows words by their hashes and
    meets new ones in use, so what it needs are the language's own strings and the labels; that it still
    answers alike is tried on the built wheel.
    """
    path = staged / "vocab" / "strings.json"
    labels = json.loads((staged / "meta.json").read_text(encoding="utf8")).get("labels", {})
    kept = {*blank(lang).vocab.strings, *(label for named in labels.values() for label in named)}
    strings = json.loads(path.read_text(encoding="utf8"))
    path.write_text(json.dumps([one for one in strings if one in kept], ensure_ascii=False), encoding="utf8")


def _merge_meta(path: Path, full_name: str, version: str, lang: str, extra: Mapping[str, Any]) -> None:
    meta = json.loads(path.read_text(encoding="utf8"))
    # spaCy's own figures are of texts that the shipped pipeline may have learned from.
    meta.pop("performance", None)
    meta.update(extra)
    meta.update(name=full_name.removeprefix(f"{lang}_"), version=version, lang=lang)
    path.write_text(json.dumps(meta, indent=2, ensure_ascii=False), encoding="utf8")


def _spacy_package(staged: Path, folder: Path, code: Sequence[Path], name: str) -> Path:
    """Let spaCy write the source of the package; returns its folder.

    A process of its own: there the code files are modules by themselves, so that the package does not
    come to depend on whatever else has imported them, and nothing reaches our output.
    """
    command = [sys.executable, "-m", "spacy", "package", str(staged), str(folder)]
    command += ["--build", "none", "--require-parent", "--force"]
    if code:
        command += ["--code", ",".join(map(str, code))]
    _run(command, cwd=folder, what="spacy package")
    source = folder / name
    if not (source / "setup.py").is_file():
        raise PackagingError(f"spacy package made no {name}", hint="is the version of spaCy 3.8?")
    return source


def _build(source: Path, out_dir: Path) -> Path:
    """Build with the installed setuptools: without isolation nothing is fetched from a registry."""
    made = source / "dist"
    command = [sys.executable, "-m", "build", ".", "--wheel", "--no-isolation", "--outdir", str(made)]
    _run(command, cwd=source, what="python -m build")
    wheel = next(made.glob("*.whl"))
    # Copied beside the target first: who looks for the wheel never finds half of it.
    half = out_dir / f".{wheel.name}.part"
    shutil.copy(wheel, half)
    return half.replace(out_dir / wheel.name)


def _run(command: Sequence[str], *, cwd: Path, what: str) -> None:
    set_here = {"PYTHONSAFEPATH": "1", "PYTHONDONTWRITEBYTECODE": "1", "PYTHONIOENCODING": "utf8"}
    environment = {**os.environ, **set_here}
    done = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, encoding="utf8")
    if done.returncode:
        said = " ".join((done.stderr + done.stdout).split())[-400:]
        raise PackagingError(f"{what} failed: {said}", hint="are build, setuptools and wheel installed?")
