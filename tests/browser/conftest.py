"""A project, its review page in a process of its own, and Chromium."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from annoloop.hashing import input_hash
from annoloop.project import Project
from annoloop.types import Example, Suggestion

SERVE = """
import sys
from pathlib import Path
from annoloop.review.server import serve
serve(Path(sys.argv[1]), port=int(sys.argv[2]), annotator="anna", on_ready=lambda at: print(at, flush=True))
"""


def chromium_path() -> str | None:
    names = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
    return next((found for name in names if (found := shutil.which(name))), None)


@pytest.fixture(scope="session")
def chromium() -> Iterator[object]:
    sync_api = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")
    path = chromium_path()
    if path is None:
        pytest.skip("no Chromium here (chromium, chromium-browser, google-chrome)")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def page(chromium) -> Iterator[object]:
    """A page of 1280 by 800 whose `foreign` and `complaints` list what should never happen."""
    context = chromium.new_context(viewport={"width": 1280, "height": 800}, locale="en-GB")
    page = context.new_page()
    page.set_default_timeout(30_000)
    page.foreign, page.complaints = [], []

    def note(request: object) -> None:
        if not request.url.startswith(("http://localhost", "ws://localhost", "data:", "blob:")):
            page.foreign.append(request.url)

    page.on("request", note)
    page.on("pageerror", lambda error: page.complaints.append(str(error)))
    page.on("console", lambda m: "Content Security" in m.text and page.complaints.append(m.text))
    yield page
    context.close()


class Server:
    """The review page's process, which can be killed and started again on the same port."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = 0
        self.process: subprocess.Popen[str] | None = None
        self.start()

    def start(self) -> None:
        command = [sys.executable, "-c", SERVE, str(self.folder), str(self.port)]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        self.address = self.process.stdout.readline().strip()
        assert self.address.startswith("http://localhost:"), "the server did not start"
        self.port = int(self.address.rsplit(":", 1)[1])

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def stop(self) -> None:
        self.process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(10)
        self.process.kill()
        self.process.stdout.close()


@pytest.fixture
def serve() -> Iterator[Callable[[Project], Server]]:
    servers: list[Server] = []

    def start(project: Project) -> Server:
        servers.append(Server(project.folder))
        return servers[-1]

    yield start
    for server in servers:
        server.stop()


def ask(
    project: Project, texts: list[str], suggestions: dict[str, Suggestion] | None = None, **splits
) -> None:
    """Put texts in and ask about each, in this order; `splits` maps a text's number to its split."""
    examples = [
        Example(input_hash(text), text, split=splits.get(f"_{number}", "pool"))
        for number, text in enumerate(texts)
    ]
    project.store.add_examples(examples)
    project.store.add_tasks(
        project.task(eg, number=1, priority=-number, suggestion=(suggestions or {}).get(eg.text))
        for number, eg in enumerate(examples)
    )


def until(condition: Callable[[], object], what: str, seconds: float = 30) -> None:
    """Wait for a condition; fails with `what` when it does not come."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"waited in vain for: {what}"
        time.sleep(0.05)
