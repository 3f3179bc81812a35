"""The page's logic, tested by Node's own runner where Node is there."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest


def test_the_pages_modules_do_what_their_tests_say() -> None:
    node = shutil.which("node")
    if node is None:
        pytest.skip("no Node here: tests/frontend is not run")
    version = subprocess.run([node, "--version"], capture_output=True, text=True).stdout.strip().lstrip("v")
    if tuple(int(part) for part in version.split(".")[:2]) < (20, 19):
        pytest.skip(f"Node {version} is too old to tell modules from scripts by itself")
    tests = sorted(str(path) for path in (Path(__file__).parent / "frontend").glob("*.test.js"))
    assert tests
    ran = subprocess.run([node, "--test", *tests], capture_output=True, text=True)
    assert ran.returncode == 0, ran.stdout[-4000:] + ran.stderr[-1000:]
