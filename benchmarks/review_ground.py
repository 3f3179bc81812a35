"""What the benchmarks of the review page stand on: real texts, projects, processes, Chromium, tables."""

from __future__ import annotations

import json
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from annoloop.hashing import input_hash
from annoloop.project import Project
from annoloop.types import Annotation, Example, Span, Suggestion

HERE = Path(__file__).parent
ASSETS = HERE.parent / "projects" / "fashion_brands" / "assets"
LABEL = "FASHION_BRAND"
ANNOTATOR = "anna"

_SERVE = """
import sys
from pathlib import Path
from annoloop.review.server import serve
serve(Path(sys.argv[1]), port=0, annotator=sys.argv[2], on_ready=lambda at: print(at, flush=True))
"""

Rows = list[dict[str, Any]]


def real_texts(count: int) -> list[tuple[str, tuple[Span, ...]]]:
    """`count` real texts with their published spans, each begun by its number; repeated to fill."""
    rows = [
        json.loads(line)
        for part in ("train", "dev", "test")
        for line in (ASSETS / f"{part}.jsonl").read_text(encoding="utf8").splitlines()
    ]
    numbered = []
    for number in range(count):
        row, sign = rows[number % len(rows)], f"{number + 1} | "
        spans = (Span(s["start"] + len(sign), s["end"] + len(sign), LABEL) for s in row["spans"])
        numbered.append((sign + row["text"], tuple(spans)))
    return numbered


def make_project(folder: Path, texts: Iterable[tuple[str, tuple[Span, ...]]]) -> Project:
    """A project that asks about each text, in this order, with its spans as the suggestion."""
    project = Project.create(folder, kind="ner", labels=[LABEL])
    examples, suggested = [], []
    for text, spans in texts:
        examples.append(Example(input_hash(text), text, split="pool"))
        suggested.append(Suggestion(Annotation((), spans), score=0.9, source="rules"))
    project.store.add_examples(examples)
    project.store.add_tasks(
        replace(project.task(eg, number=1, priority=-number), suggestion=suggestion, assisted=True)
        for number, (eg, suggestion) in enumerate(zip(examples, suggested, strict=True))
    )
    return project


@contextmanager
def process(*command: str, **options: Any) -> Iterator[tuple[Any, str]]:
    """A running process and the first line it prints, unless that goes elsewhere; ended in order."""
    running = subprocess.Popen(command, text=True, **{"stdout": subprocess.PIPE, **options})
    try:
        line = running.stdout.readline().strip() if running.stdout else ""
        if running.stdout and not line:
            raise SystemExit(f"{command[0]} did not start")
        yield running, line
    finally:
        running.terminate()
        try:
            running.wait(10)
        except subprocess.TimeoutExpired:
            running.kill()
            running.wait()


@contextmanager
def review_server(folder: Path) -> Iterator[tuple[Any, str]]:
    """The review page's process and its address."""
    with process(sys.executable, "-c", _SERVE, str(folder), ANNOTATOR) as served:
        yield served


@contextmanager
def delayed(address: str, seconds: float) -> Iterator[str]:
    """The same server behind a network whose round trip takes `seconds`."""
    port = address.rsplit(":", 1)[1]
    command = (sys.executable, str(HERE / "review_proxy.py"), port, str(seconds / 2))
    with process(*command) as (_, line):
        yield f"http://localhost:{line}"


@contextmanager
def chromium() -> Iterator[Any]:
    """A running browser."""
    from playwright.sync_api import sync_playwright

    names = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
    path = next((found for name in names if (found := shutil.which(name))), None)
    if path is None:
        raise SystemExit("needs Chromium (chromium, chromium-browser or google-chrome)")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        try:
            yield browser
        finally:
            browser.close()


def new_page(context: Any) -> Any:
    """An empty page with the probe in it."""
    page = context.new_page()
    page.set_default_timeout(60_000)
    page.add_init_script(path=HERE / "review_probe.js")
    return page


def open_page(browser: Any, address: str) -> Any:
    """The page at `address` in a context of its own, when its first text is on screen."""
    page = new_page(browser.new_context(viewport={"width": 1280, "height": 800}, locale="en-GB"))
    page.goto(address)
    first_text(page)
    time.sleep(1)
    return page


def first_text(page: Any) -> None:
    """Wait until the first text is painted."""
    # Asked of the probe: the page's content policy forbids Playwright's own way of waiting.
    if page.evaluate("() => probe.first()") is None:
        raise SystemExit(f"no text came on {page.url}")


def p95(values: Sequence[float]) -> float:
    """The value that 95 of 100 do not exceed."""
    return sorted(values)[max(0, -(-95 * len(values) // 100) - 1)] if values else float("nan")


def middle(values: Sequence[float]) -> float:
    """The median; not a number where there is none."""
    return statistics.median(values) if values else float("nan")


def table(title: str, rows: Rows) -> None:
    """Print rows of equal keys under a title."""
    columns = list(dict.fromkeys(key for row in rows for key in row))
    cells = [columns, *([_cell(row.get(key, "")) for key in columns] for row in rows)]
    widths = [max(len(line[at]) for line in cells) for at in range(len(columns))]
    print(f"\n{title}")
    for line in cells:
        first, *others = (
            cell.ljust(width) if at == 0 else cell.rjust(width)
            for at, (cell, width) in enumerate(zip(line, widths, strict=True))
        )
        print("  ".join([first, *others]).rstrip(), flush=True)


def _cell(value: Any) -> str:
    return f"{value:.1f}" if isinstance(value, float) else str(value)
