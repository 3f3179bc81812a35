"""A text of 20,000 words: drawn, marked by pointer and by key, scrolled; beside a bare page of the same."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Any

from review_ground import (
    LABEL,
    Rows,
    chromium,
    make_project,
    middle,
    open_page,
    p95,
    real_texts,
    review_server,
)
from review_keys import press
from review_peers import bare_page

from annoloop.types import Span

_WORDS = """
(at) => {
  // Two neighbouring words of one line, at a share `at` of the window's height: where their middles are.
  const text = probe.text();
  const walker = document.createTreeWalker(text, NodeFilter.SHOW_TEXT);
  const seen = [];
  const range = document.createRange();
  while (walker.nextNode()) {
    const node = walker.currentNode;
    if (node.parentElement.closest("mark, .tag, [aria-hidden=true]")) continue;
    range.selectNodeContents(node);
    const whole = range.getBoundingClientRect();
    if (whole.bottom < at * innerHeight || whole.top > innerHeight - 120) continue;
    for (const found of node.data.matchAll(/[A-Za-z]{3,}/g)) {
      range.setStart(node, found.index);
      range.setEnd(node, found.index + found[0].length);
      const box = range.getBoundingClientRect();
      const last = seen.at(-1);
      const here = { x: box.x + box.width / 2, y: box.y + box.height / 2, height: box.height };
      if (here.y < at * innerHeight || here.y > innerHeight - 120) continue;
      if (last && Math.abs(last.y - here.y) < 4 && here.x > last.x) return [last, here];
      seen.push(here);
      if (seen.length > 400) return null;
    }
  }
  return null;
}
"""
_ARM = """
(type) => probe.arm(type, () => probe.marks(), (was) => probe.marks() !== was)
"""
_MARKS = """
() => {
  // Marks are <mark>, or what the page says is one; counted by what they hold, so that any change is seen.
  probe.marks = () => {
    const text = probe.text();
    return [...text.querySelectorAll("mark")].map((mark) => mark.textContent).join("|") + "/" +
      text.querySelectorAll(".tag").length;
  };
}
"""


def long(words: int, edits: int) -> Rows:
    """Drawing from the key before it, marking two words by pointer and by key, frames while scrolling."""
    text, spans = long_text(words)
    texts = [*real_texts(3), (text, spans)]
    with tempfile.TemporaryDirectory() as name, chromium() as browser:
        folder = Path(name)
        make_project(folder / "project", texts).store.close()
        with (
            bare_page(folder / "bare", [text for text, _ in texts]) as bare,
            review_server(folder / "project") as (_, ours),
        ):
            pages = {"bare page": open_page(browser, bare), "annoloop": open_page(browser, ours)}
            rows: Rows = []
            for title, page in pages.items():
                page.bring_to_front()
                for _ in range(2):
                    press(page, "a")
                    time.sleep(0.3)
                drawn = press(page, "a")
                row = {f"{words:,} words, {len(spans)} marks": title, "drawn, ms": drawn}
                time.sleep(2)
                if title == "annoloop":
                    row |= _edited(page, edits)
                rows.append(row | _scrolled(page))
    return rows


def long_text(words: int) -> tuple[str, tuple[Span, ...]]:
    """Real texts joined to one of about so many words, numbered as the others, with their spans."""
    joined, spans, count, number = "4 | ", [], 0, 0
    source = real_texts(10_000)
    while count < words:
        text, marked = source[number]
        sign = text.index("| ") + 2
        spans += [Span(s.start - sign + len(joined), s.end - sign + len(joined), LABEL) for s in marked]
        joined += text[sign:] + "\n\n"
        count += len(text.split()) - 2
        number += 1
    return joined.rstrip(), tuple(spans)


def _edited(page: Any, edits: int) -> dict[str, Any]:
    page.evaluate(_MARKS)
    dragged, keyed = [], []
    for number in range(edits):
        _wheel(page, 400)
        time.sleep(0.4)
        took = _drag(page)
        if took is not None:
            dragged.append(took)
        took = _by_key(page) if number % 2 else None
        if took is not None:
            keyed.append(took)
    return {
        "marked by pointer": len(dragged),
        "median, ms": middle(dragged),
        "p95": p95(dragged),
        "by key": len(keyed),
        "median, ms ": middle(keyed),
        "p95 ": p95(keyed),
    }


def _drag(page: Any) -> float | None:
    """Milliseconds from letting go of the pointer until the mark is painted."""
    found = page.evaluate(_WORDS, 0.35)
    if not found:
        return None
    one, two = found
    page.mouse.move(one["x"], one["y"])
    page.mouse.down()
    page.mouse.move((one["x"] + two["x"]) / 2, two["y"])
    page.mouse.move(two["x"], two["y"])
    page.evaluate(_ARM, "pointerup")
    page.mouse.up()
    took: float | None = page.evaluate("() => probe.settled")
    page.keyboard.press("Escape")
    return took


def _by_key(page: Any) -> float | None:
    """Milliseconds from Delete, with the mark just clicked chosen, until it is painted as gone."""
    where = page.evaluate(
        """() => {
          for (const mark of probe.text().querySelectorAll("mark")) {
            const box = mark.getClientRects()[0];
            if (!box || box.top < 150 || box.bottom > innerHeight - 120) continue;
            return [box.x + 4, box.y + box.height / 2];
          }
          return null;
        }"""
    )
    if not where:
        return None
    page.mouse.click(*where)
    time.sleep(0.1)
    page.evaluate(_ARM, "keydown")
    page.keyboard.press("Delete")
    took: float | None = page.evaluate("() => probe.settled")
    return took


def _wheel(page: Any, by: int) -> None:
    page.mouse.move(640, 450)
    page.mouse.wheel(0, by)


def _scrolled(page: Any) -> dict[str, Any]:
    """Frames while the wheel turns through the text for some seconds."""
    page.evaluate("() => { probe.rolling = probe.frameTimes(4000); }")
    for _ in range(60):
        _wheel(page, 600)
        time.sleep(0.05)
    frames = page.evaluate("() => probe.rolling")
    return {
        "scrolling, frame ms, median": middle(frames),
        "p95  ": p95(frames),
        "longest": max(frames),
    }
