"""From the key to the next text painted, and what becomes of keys pressed faster than a page can draw."""

from __future__ import annotations

import random
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from review_ground import (
    ANNOTATOR,
    Rows,
    chromium,
    delayed,
    make_project,
    middle,
    open_page,
    p95,
    real_texts,
    review_server,
)
from review_peers import bare_page, widget_answers, widget_page

from annoloop.project import Project

BARE, WIDGETS, OURS = "bare page", "plain widgets", "annoloop"
BLOCK = 10


@contextmanager
def three_pages(folder: Path, count: int, *, delay: float = 0) -> Iterator[dict[str, str]]:
    """The addresses of the three pages over the same `count` texts."""
    texts = real_texts(count)
    plain = [text for text, _ in texts]
    make_project(folder / "project", texts).store.close()
    with ExitStack() as stack:
        addresses = {
            BARE: stack.enter_context(bare_page(folder / "bare", plain)),
            WIDGETS: stack.enter_context(widget_page(folder / "widgets", plain)),
            OURS: stack.enter_context(review_server(folder / "project"))[1],
        }
        if delay:
            addresses = {name: stack.enter_context(delayed(at, delay)) for name, at in addresses.items()}
        yield addresses


def press(page: Any, key: str) -> float | None:
    """Milliseconds from the key to the next text painted; None where none came."""
    page.evaluate("() => probe.armForText()")
    page.keyboard.press(key)
    took: float | None = page.evaluate("() => probe.settled")
    return took


def keys(presses: int, delays: Sequence[float] = (0, 0.1)) -> Rows:
    """Median and 95th percentile over `presses` of `a` on each page, in turns of ten."""
    rows: Rows = []
    for delay in delays:
        with (
            tempfile.TemporaryDirectory() as name,
            chromium() as browser,
            three_pages(Path(name), presses + 50, delay=delay) as addresses,
        ):
            taken = _in_turns(browser, addresses, presses)
        floor = taken[BARE]
        for page, values in taken.items():
            seen = [value for value in values if value is not None]
            rows.append(
                {
                    "key to next text painted, ms": page,
                    "network delay": round(1000 * delay),
                    "presses": len(seen),
                    "median": middle(seen),
                    "p95": p95(seen),
                    "median - floor": middle(seen) - middle(floor),
                    "p95 - floor": p95(seen) - p95(floor),
                }
            )
    return rows


def _in_turns(browser: Any, addresses: dict[str, str], presses: int) -> dict[str, list[Any]]:
    pages = {name: open_page(browser, address) for name, address in addresses.items()}
    taken: dict[str, list[Any]] = {name: [] for name in pages}
    rng = random.Random(0)
    for page in pages.values():
        for _ in range(5):
            press(page, "a")
    while len(taken[OURS]) < presses:
        for name, page in pages.items():
            page.bring_to_front()
            for _ in range(BLOCK):
                taken[name].append(press(page, "a"))
                # Uneven, so that no page is always met at the same moment of its frame.
                time.sleep(rng.uniform(0.03, 0.15))
    return taken


def burst(decisions: int, a_second: int = 10) -> Rows:
    """Keys at a fixed pace, accept or reject by chance: what was saved, and to which text."""
    rows: Rows = []
    with tempfile.TemporaryDirectory() as name, chromium() as browser:
        folder = Path(name)
        with three_pages(folder, decisions + 50) as addresses:
            for page_name in (WIDGETS, OURS):
                page = open_page(browser, addresses[page_name])
                late = _pound(page, decisions, 1 / a_second)
                pressed = [(shown, "accept" if key == "a" else "reject") for key, shown in _noted(page)]
                saved = _saved_at_last(folder, page_name)
                page.context.close()
                rows.append({"10 keys a second": page_name, **compare(pressed, saved), "late, ms": late})
    return rows


def compare(pressed: Sequence[tuple[str, str]], saved: Sequence[tuple[str, str]]) -> dict[str, int]:
    """Decisions that were made on a text on screen beside those that were saved."""
    right = (Counter(pressed) & Counter(saved)).total()
    return {
        "pressed": len(pressed),
        "saved": len(saved),
        "as on screen": right,
        "lost": len(pressed) - len(saved),
        "to another text": len(saved) - right,
        "no text shown": sum(1 for shown, _ in pressed if not shown),
    }


def _pound(page: Any, decisions: int, pause: float) -> float:
    """Press the keys; returns by how much the benchmark itself was late at most, in ms."""
    rng, late = random.Random(1), 0.0
    page.evaluate("() => probe.noteKeys()")
    begin = time.perf_counter()
    for number in range(decisions):
        ahead = begin + number * pause - time.perf_counter()
        if ahead > 0:
            time.sleep(ahead)
        late = max(late, -ahead)
        page.keyboard.press(rng.choice("ax"))
    return 1000 * late


def _noted(page: Any) -> list[tuple[str, str]]:
    return [(key, shown) for key, shown in page.evaluate("() => probe.keys")]


def _saved_at_last(folder: Path, page_name: str) -> list[tuple[str, str]]:
    """What is saved as soon as no more has come for some seconds."""
    saved: list[tuple[str, str]] = []
    while True:
        time.sleep(4)
        now = _saved(folder, page_name)
        if len(now) == len(saved):
            return now
        saved = now


def _saved(folder: Path, page_name: str) -> list[tuple[str, str]]:
    if page_name == WIDGETS:
        return [(text.split(" |")[0], verdict) for text, verdict in widget_answers(folder / "widgets")]
    project = Project.open(folder / "project")
    answers = project.store.answer_history(ANNOTATOR, 100_000)
    tasks = project.store.tasks_by_hash([answer.task_hash for answer in answers])
    project.store.close()
    return [(tasks[a.task_hash].example.text.split(" |")[0], a.verdict) for a in answers]
