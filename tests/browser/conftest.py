"""A project, its review page in a process of its own, and Chromium."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from annoloop.hashing import input_hash
from annoloop.project import Project
from annoloop.types import Example, Suggestion

PHONE = {"width": 390, "height": 800}

SERVE = """
import sys
from pathlib import Path
from annoloop.review.server import serve
{before}
serve(Path(sys.argv[1]), port=int(sys.argv[2]), annotator="anna", on_ready=lambda at: print(at, flush=True))
"""


def chromium_path() -> str | None:
    names = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
    return next((found for name in names if (found := shutil.which(name))), None)


@pytest.fixture(scope="session")
def chromium() -> Iterator[object]:
    sync_api = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")
    path = chromium_path()
    # The first page of a server loads spaCy, and so does the first pattern that is tried.
    sync_api.expect.set_options(timeout=30_000)
    if path is None:
        pytest.skip("no Chromium here (chromium, chromium-browser, google-chrome)")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def people(chromium) -> Iterator[Callable[..., object]]:
    """Call it for one more browser with cookies and storage of its own: `people(locale="de-DE")`.

    It returns a page of 1280 by 800 whose `foreign` and `complaints` list what should never happen:
    requests to other hosts, and errors of scripts or against the content policy. What is passed goes to
    Playwright's `new_context`: `color_scheme="dark"`, `viewport=PHONE`, `extra_http_headers={...}`.
    """
    contexts = []

    def one_more(**options: object) -> object:
        known = {"viewport": {"width": 1280, "height": 800}, "locale": "en-GB"}
        contexts.append(chromium.new_context(**{**known, **options}))
        return watched(contexts[-1].new_page())

    yield one_more
    for context in contexts:
        context.close()


@pytest.fixture
def page(people) -> object:
    """One page, in English, light."""
    return people()


def watched(page: object) -> object:
    """The page, noting in `foreign` and `complaints` what should never happen."""
    page.set_default_timeout(30_000)
    page.foreign, page.complaints = [], []

    def note(address: str) -> None:
        if not address.startswith(("http://localhost", "ws://localhost", "data:", "blob:")):
            page.foreign.append(address)

    page.on("request", lambda request: note(request.url))
    page.on("websocket", lambda socket: note(socket.url))
    page.on("pageerror", lambda error: page.complaints.append(str(error)))
    page.on("console", lambda m: "Content Security" in m.text and page.complaints.append(m.text))
    return page


@pytest.fixture
def axe() -> Callable[..., list[str]]:
    """`axe(page)` lists what axe-core finds wrong there, shadow trees included: empty where nothing is."""
    playwright = pytest.importorskip("axe_playwright_python.sync_playwright")

    def violations(page: object, within: str | None = None) -> list[str]:
        # What Streamlit is about to draw anew is pale, and has too little contrast.
        if page.get_by_test_id("stApp").count():
            at_rest(page)
        found = playwright.Axe().run(page, context=within).response["violations"]
        return [
            f"{rule['id']} ({rule['impact']}): {node['target']} {node['html'][:120]}"
            for rule in found
            for node in rule["nodes"]
        ]

    return violations


@pytest.fixture
def screenshot(request) -> Callable[[object, str], None]:
    """`screenshot(page, "name")` keeps a picture where ANNOLOOP_SCREENSHOTS names a folder for it."""
    folder = os.environ.get("ANNOLOOP_SCREENSHOTS")

    def keep(page: object, name: str) -> None:
        if folder:
            page.screenshot(path=Path(folder) / f"{name}.png")

    return keep


class Server:
    """The review page's process, which can be killed and started again on the same port."""

    def __init__(self, folder: Path, *, port: int = 0, before: str = "") -> None:
        self.folder = folder
        self.port = port
        self.code = SERVE.format(before=before)
        self.process: subprocess.Popen[str] | None = None
        self.start()

    def start(self) -> None:
        command = [sys.executable, "-c", self.code, str(self.folder), str(self.port)]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        self.address = self.process.stdout.readline().strip()
        assert self.address.startswith("http"), "the server did not start"
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
def serve() -> Iterator[Callable[..., Server]]:
    """`serve(project)` starts its page; `before` is code that runs in that process first."""
    servers: list[Server] = []

    def start(project: Project | Path, **options: object) -> Server:
        folder = project if isinstance(project, Path) else project.folder
        servers.append(Server(folder, **options))
        return servers[-1]

    yield start
    for server in servers:
        server.stop()


def as_user(address: str, name: str, page: str = "") -> str:
    """The address of a page under a name, where nobody has to log in."""
    return f"{address}/{page}?session={name}"


def set_review(project: Project, lines: str) -> None:
    """Write a project's [review] settings, of which there were none: `login = "proxy"`, `[review.roles]`."""
    path = project.folder / "annoloop.cfg"
    before = path.read_text(encoding="utf8").split("[review]")[0].rstrip()
    path.write_text(f"{before}\n\n[review]\n{lines}\n", encoding="utf8")


def ask(
    project: Project, texts: list[str], suggestions: dict[str, Suggestion] | None = None, **splits
) -> None:
    """Put texts in and ask about each, in this order; `splits` maps a text's number to its split."""
    examples = [
        Example(input_hash(text), text, split=splits.get(f"_{number}", "pool"))
        for number, text in enumerate(texts)
    ]
    project.store.add_examples(examples)
    tasks = [project.task(eg, number=1, priority=-number) for number, eg in enumerate(examples)]
    # What is suggested is for the test to say, not for chance.
    shown = [(suggestions or {}).get(eg.text) if eg.split == "pool" else None for eg in examples]
    project.store.add_tasks(
        replace(task, suggestion=one, assisted=one is not None)
        for task, one in zip(tasks, shown, strict=True)
    )


def at_rest(page: object) -> None:
    """Wait until the page has been drawn."""
    page.get_by_test_id("stMainBlockContainer").wait_for()
    drawn = "!document.querySelector('[data-testid=stSpinner], [data-testid=stSkeleton], [data-stale=true]')"
    running = "document.querySelector('[data-testid=stApp]').dataset.testScriptState"
    until(lambda: page.evaluate(f"{drawn} && {running} === 'notRunning'"), "the page at rest")


def until(condition: Callable[[], object], what: str, seconds: float = 30) -> None:
    """Wait for a condition; fails with `what` when it does not come."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"waited in vain for: {what}"
        time.sleep(0.05)
