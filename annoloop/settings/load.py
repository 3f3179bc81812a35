"""Reading and writing settings: confection's syntax, pydantic's checks, errors with their path."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterator, Mapping
from configparser import ConfigParser, DuplicateOptionError, DuplicateSectionError, ParsingError
from pathlib import Path
from typing import Any

from confection import Config
from pydantic import ValidationError

from annoloop.errors import SettingsError
from annoloop.settings.pasted import check_task_labels, with_llm_block
from annoloop.settings.schema import Settings

FILE_NAME = "annoloop.cfg"
DEFAULTS = Path(__file__).with_name("default.cfg")

# Sections whose content replaces the default's as a whole when it names another registered function:
# an argument of annoloop's own model means nothing to another one.
_REGISTERED = (("llm", "task", "@llm_tasks"), ("llm", "model", "@llm_models"))


def load_settings(folder: Path, *, file: Path | None = None) -> Settings:
    """The settings of the project in `folder`: its annoloop.cfg, or `file` in its place, over the defaults.

    The component of a spacy-llm config pasted into the file is its `[llm]` block.

    Raises:
        SettingsError: no such project, a broken file, an unknown key, a wrong type, an unknown label.
    """
    path = file or folder / FILE_NAME
    if not path.is_file():
        raise SettingsError(
            f"{folder} is no annoloop project: it has no {FILE_NAME}",
            hint="make one: annoloop init PROJECT --kind ner --label NAME",
        )
    defaults = read_config(DEFAULTS)
    own = with_llm_block(read_config(path), folder / FILE_NAME, lang=defaults["project"]["lang"])
    settings = _checked(_merged(defaults, own), path)
    check_task_labels(settings.llm.task, settings.project.labels, path)
    return settings


def read_config(path: Path) -> Config:
    """What a file says, unchecked.

    Raises:
        SettingsError: it cannot be read, or is broken.
    """
    try:
        source = path.read_text(encoding="utf-8-sig")
        _check_lines(source, path)
        return Config().from_str(_parents_first(source), interpolate=False)
    except SettingsError:
        raise
    except UnicodeDecodeError as error:
        raise SettingsError(f"{path} is not UTF-8 text: {error.reason} at byte {error.start}") from None
    except OSError as error:
        raise SettingsError(f"{path} cannot be read: {error.strerror}") from None
    except Exception as error:
        reason = " ".join(str(error).split())
        raise SettingsError(
            f"{path} is broken: {reason}", hint="values are JSON: texts need double quotes, lists [ ]"
        ) from None


def _check_lines(source: str, path: Path) -> None:
    """Refuse what is no file of sections and values, by its line."""
    parser = ConfigParser(interpolation=None)
    parser.optionxform = str  # type: ignore[method-assign, assignment]
    try:
        parser.read_string(source)
    except DuplicateSectionError as error:
        raise SettingsError(
            f"{path}, line {error.lineno}, is broken: a second [{error.section}]",
            hint="put what both say into one of them",
        ) from None
    except DuplicateOptionError as error:
        raise SettingsError(
            f"{path}, line {error.lineno}, is broken: a second {error.option} in [{error.section}]",
            hint="take one of them out",
        ) from None
    except ParsingError as error:
        # A value before the first section comes with its line, other mistakes with all their lines.
        number: int = getattr(error, "lineno", 0) or error.errors[0][0]
        line = source.split("\n")[number - 1].strip()
        raise SettingsError(
            f"{path}, line {number}, is broken: {line}",
            hint="sections are [NAME], values below them are NAME = VALUE",
        ) from None


def _parents_first(source: str) -> str:
    """The sections in an order that confection takes: [llm], added where it is missing, above [llm.model]."""
    before, *sections = re.split(r"^(?=\[[^\]\n]+\])", "\n" + source + "\n", flags=re.MULTILINE)
    named = [section[1 : section.index("]")] for section in sections]
    parents = {name.rsplit(".", depth)[0] for name in named for depth in range(1, name.count(".") + 1)}
    sections += [f"[{name}]\n" for name in sorted(parents - set(named))]
    return before + "".join(sorted(sections, key=lambda section: section[: section.index("]")].count(".")))


def _merged(defaults: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    merged = _over(defaults, own)
    for section, block, function in _REGISTERED:
        chosen = own.get(section, {}).get(block, {}) if isinstance(own.get(section), Mapping) else {}
        if function in chosen and chosen[function] != defaults[section][block][function]:
            merged[section] = {**merged[section], block: dict(chosen)}
    return merged


def _over(defaults: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(defaults)
    for key, value in own.items():
        below = merged.get(key)
        merged[key] = (
            _over(below, value) if isinstance(below, Mapping) and isinstance(value, Mapping) else value
        )
    return merged


def _checked(values: Mapping[str, Any], path: Path) -> Settings:
    try:
        return Settings.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        where = " -> ".join(str(part) for part in first["loc"])
        if first["type"] == "extra_forbidden":
            raise SettingsError(f"{path}: unknown setting {where}", hint=_near(first["loc"])) from None
        reason = first["msg"].removeprefix("Value error, ")
        reason = reason[0].lower() + reason[1:]
        # A check of several sections together has no place of its own: its message names it.
        named = f"{where}: " if where else ""
        value = first["input"]
        shown = f", not {value!r}" if isinstance(value, str | int | float | bool) else ""
        hint = "every setting with its meaning: annoloop settings"
        raise SettingsError(f"{path}: {named}{reason}{shown}", hint=hint) from None


def _near(where: tuple[int | str, ...]) -> str:
    section: Any = read_config(DEFAULTS)
    for part in where[:-1]:
        section = section.get(part, {}) if isinstance(section, Mapping) else {}
    known = sorted(str(key) for key in section)
    close = difflib.get_close_matches(str(where[-1]), known, n=1)
    return f"did you mean {close[0]}?" if close else f"known here: {', '.join(known)}"


def write_settings(folder: Path, values: Mapping[str, Mapping[str, Any]]) -> Path:
    """Write a new project's annoloop.cfg, checked first; returns its path.

    Raises:
        SettingsError: the folder is a project already, or a value is wrong (nothing is written then).
    """
    path = folder / FILE_NAME
    if path.exists():
        raise SettingsError(f"{folder} is a project already", hint=f"edit {path}, or choose another folder")
    _checked(_merged(read_config(DEFAULTS), values), path)
    folder.mkdir(parents=True, exist_ok=True)
    note = "# Only what differs from the defaults; every setting with its meaning: annoloop settings\n\n"
    partial = path.with_suffix(".cfg.partial")
    partial.write_text(note + "\n".join(_written(values)), encoding="utf8")
    if read_config(partial) != values:
        partial.unlink()
        raise SettingsError(
            f"{path}: a name in it would not be read as it is",
            hint="names hold no =, : or ${, nor begin with # ; [",
        )
    partial.replace(path)
    return path


def _written(values: Mapping[str, Mapping[str, Any]], above: str = "") -> Iterator[str]:
    """The lines of sections as people read them; confection would escape each ß and double each $."""
    for section, keys in values.items():
        yield f"[{above}{section}]"
        for key, value in keys.items():
            if not isinstance(value, Mapping):
                yield f"{key} = {json.dumps(value, ensure_ascii=False)}"
        yield ""
        yield from _written({k: v for k, v in keys.items() if isinstance(v, Mapping)}, f"{above}{section}.")
