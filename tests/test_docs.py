"""What the pages say is so: commands and options exist, targets exist, links lead somewhere."""

from __future__ import annotations

import ast
import re
import tomllib
from functools import cache
from pathlib import Path

import pytest
import typer

ROOT = Path(__file__).parent.parent
PAGES = sorted(
    page
    for page in (*ROOT.glob("*.md"), *ROOT.glob("projects/*/*.md"), *ROOT.glob("benchmarks/**/*.md"))
    if "out" not in page.relative_to(ROOT).parts
)
FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")


@cache
def commands() -> dict[str, object]:
    """Every command by its full name, groups resolved: "add", "llm import"."""
    from annoloop.cli.app import app

    found = {}

    def walk(command: object, name: str) -> None:
        children = getattr(command, "commands", None)
        if children is None:
            found[name] = command
        else:
            for child, inner in children.items():
                walk(inner, f"{name} {child}".strip())

    walk(typer.main.get_command(app), "")
    return found


def shell_lines(text: str) -> list[str]:
    """Lines of the page's shell blocks, joined and without comments, and code in the prose."""
    blocks = [body for lang, body in FENCE.findall(text) if lang in ("", "bash", "sh", "console")]
    lines = "\n".join(blocks).replace("\\\n", " ").splitlines()
    prose = FENCE.sub("", text)
    return [
        re.sub(r"\s#.*", "", line).strip().removeprefix("$ ")
        for line in [*lines, *re.findall(r"`([^`\n]+)`", prose)]
    ]


def used(text: str, program: str) -> list[list[str]]:
    """Arguments of each use of a program on the page."""
    words = [line.split() for line in shell_lines(text)]
    return [line[1:] for line in words if line and line[0] == program and len(line) > 1]


def ids(page: Path) -> str:
    return str(page.relative_to(ROOT))


@pytest.mark.parametrize("page", PAGES, ids=ids)
def test_links_lead_to_files(page):
    text = FENCE.sub("", page.read_text(encoding="utf8"))
    targets = [
        link.split("#")[0] for link in LINK.findall(text) if "://" not in link and "mailto:" not in link
    ]
    assert not [target for target in targets if target and not (page.parent / target).exists()]


@pytest.mark.parametrize("page", PAGES, ids=ids)
def test_commands_and_options_on_the_pages_exist(page):
    wrong = []
    for arguments in used(page.read_text(encoding="utf8"), "annoloop"):
        names = [word for word in arguments if re.fullmatch(r"[a-z][a-z-]*", word)]
        name = next((" ".join(names[:n]) for n in (2, 1) if " ".join(names[:n]) in commands()), None)
        groups = {known.split()[0] for known in commands()}
        if name is None:
            if arguments[0] not in groups and not arguments[0].startswith(("-", "[", "COMMAND")):
                wrong.append(" ".join(arguments))
            continue
        options = {
            flag
            for parameter in commands()[name].params
            for flag in (*parameter.opts, *parameter.secondary_opts)
        }
        said = {word.split("=")[0].strip("[]") for word in arguments if word.strip("[").startswith("--")}
        wrong += [f"{name} {option}" for option in said - options - {"--help", "--debug"}]
    assert not wrong


@pytest.mark.parametrize("page", PAGES, ids=ids)
def test_make_targets_on_the_pages_exist(page):
    targets = set(
        re.findall(r"^([a-z][a-z-]*):", (ROOT / "Makefile").read_text(encoding="utf8"), re.MULTILINE)
    )
    named = {arguments[0] for arguments in used(page.read_text(encoding="utf8"), "make")}
    assert not named - targets


def test_every_command_has_help_and_so_has_every_option():
    bare = []
    for name, command in commands().items():
        if not (command.help or "").strip():
            bare.append(name)
        for parameter in command.params:
            if not getattr(parameter, "help", None):
                bare.append(f"{name} {parameter.name}")
    assert not bare


def test_the_readme_names_every_command():
    text = (ROOT / "README.md").read_text(encoding="utf8")
    assert not [name for name in commands() if f"annoloop {name}" not in text]


def test_every_default_is_explained():
    """A comment stands above each setting, or above the group of settings that it is in."""
    bare, explained = [], False
    for line in (ROOT / "annoloop" / "settings" / "default.cfg").read_text(encoding="utf8").splitlines():
        if re.match(r"\w+ = ", line):
            bare += [] if explained else [line]
        else:
            explained = line.startswith("#") or (explained and line.startswith("@"))
    assert not bare


@pytest.mark.parametrize("page", PAGES, ids=ids)
def test_python_on_the_pages_imports_what_there_is(page):
    import annoloop

    blocks = [body for lang, body in FENCE.findall(page.read_text(encoding="utf8")) if lang == "python"]
    for node in (node for body in blocks for node in ast.walk(ast.parse(body))):
        if isinstance(node, ast.ImportFrom) and node.module == "annoloop":
            assert not [alias.name for alias in node.names if not hasattr(annoloop, alias.name)]


def test_the_changelog_names_the_version():
    version = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf8"))["project"]["version"]
    assert version in (ROOT / "CHANGELOG.md").read_text(encoding="utf8")


@pytest.mark.parametrize("project", sorted((ROOT / "projects").iterdir()), ids=lambda p: p.name)
def test_every_project_says_where_its_texts_come_from(project):
    from annoloop.settings.load import load_settings

    licence = (project / "assets" / "LICENSE").read_text(encoding="utf8")
    assert "https://" in licence and ("MIT License" in licence or "CC BY" in licence)
    readme = (project / "README.md").read_text(encoding="utf8")
    assert "## Licence" in readme and "## Measured" in readme
    scheme = load_settings(project).project.scheme()
    assert set(scheme.definitions) == set(scheme.labels)
    guidelines = (project / "guidelines.md").read_text(encoding="utf8")
    assert not [label for label in scheme.labels if f"**{label}**" not in guidelines]
