"""From the command to the first text on screen."""

from __future__ import annotations

import os
import statistics
import sys
import sysconfig
import tempfile
import time
from pathlib import Path
from typing import Any

from review_ground import Rows, chromium, first_text, make_project, new_page, process, real_texts
from review_peers import widget_page


def start(runs: int) -> Rows:
    """`annoloop review` beside `streamlit run` of a page of widgets, in turns, each a new process."""
    texts = real_texts(1000)
    taken: dict[tuple[str, str], list[tuple[float, float]]] = {}
    with tempfile.TemporaryDirectory() as name, chromium() as browser:
        folder = Path(name)
        make_project(folder / "project", texts).store.close()
        warm = {title: browser.new_context() for title in ("annoloop review", "plain widgets")}
        for run in range(runs + 1):
            for state in ("cold", "warm"):
                for title, context in warm.items():
                    if state == "cold":
                        forget_files()
                        context = browser.new_context()
                    seconds = _once(title, folder, [text for text, _ in texts], context)
                    # The first run fills the caches that the warm ones find full.
                    if run:
                        taken.setdefault((title, state), []).append(seconds)
    return [
        {
            "first text on screen, s": title,
            "caches": state,
            "runs": len(values),
            "address printed": f"{statistics.median(ready for ready, _ in values):.2f}",
            "median": f"{statistics.median(shown for _, shown in values):.2f}",
            "slowest": f"{max(shown for _, shown in values):.2f}",
        }
        for (title, state), values in taken.items()
    ]


def forget_files() -> None:
    """Ask the system to drop what it keeps of the installed packages' files; Linux only, else nothing."""
    if not hasattr(os, "posix_fadvise"):
        return
    for path in Path(sysconfig.get_paths()["purelib"]).rglob("*"):
        if path.suffix in {".py", ".pyc", ".so", ".js", ".css", ".json"} and path.is_file():
            with path.open("rb") as file:
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def _once(title: str, folder: Path, texts: list[str], context: Any) -> tuple[float, float]:
    """Seconds until the address is known and until the first text is on screen."""
    page = new_page(context)
    page.goto("about:blank")
    begin = time.perf_counter()
    if title == "plain widgets":
        running: Any = widget_page(folder / "widgets", texts)
    else:
        annoloop = str(Path(sys.executable).with_name("annoloop"))
        project = str(folder / "project")
        running = process(annoloop, "review", project, "--port", "0", "--no-browser")
    with running as came:
        ready = time.perf_counter() - begin
        address = came if isinstance(came, str) else came[1].split("page:")[1].split()[0]
        page.goto(address)
        first_text(page)
        shown = time.perf_counter() - begin
        page.close()
    return ready, shown
