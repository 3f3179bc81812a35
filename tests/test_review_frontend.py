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
    tests = sorted(str(path) for path in (Path(__file__).parent / "frontend").glob("*.test.js"))
    assert tests
    ran = subprocess.run([node, "--test", *tests], capture_output=True, text=True)
    assert ran.returncode == 0, ran.stdout[-4000:] + ran.stderr[-1000:]
