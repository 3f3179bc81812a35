"""The text pane alone in Chromium, without a server: its modules, a text, and what it saves."""

from __future__ import annotations

import mimetypes
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from annoloop.review.pieces import pieces
from annoloop.types import Span

FRONTEND = Path(__file__).parents[2] / "annoloop/review/frontend"
ORIGIN = "http://localhost:1/"
HARNESS = """<!doctype html><html lang="en"><title>Text</title>
<meta name="viewport" content="width=device-width"><body style="margin:0"><div id="host"></div>
<script type="module">
import { TextPane } from "./text.js";
const tree = document.querySelector("#host").attachShadow({ mode: "open" });
window.start = async ({ labels, overlapping, tokens, spans, readonly, against, done, theme }) => {
  window.saved = null; window.said = []; window.active = labels[0];
  const pane = window.pane = new TextPane({
    labels, overlapping, change: readonly ? null : (spans) => { window.saved = spans; },
    label: () => window.active, say: (text) => window.said.push(text),
  });
  tree.innerHTML = '<link rel="stylesheet" href="main.css"><div class="page"><main class="scroll">' +
    '<div class="column"><section class="card spans"></section></div></main></div>';
  await new Promise((resolve) => { tree.querySelector("link").onload = resolve; });
  for (const [name, value] of Object.entries(theme ?? {})) tree.host.style.setProperty(name, value);
  tree.querySelector(".card").append(pane.root);
  const begin = performance.now();
  window.lost = pane.show(tokens, spans, { partsDone: done ?? 0, lang: "en" });
  if (against) pane.mark(spans, { against });
  window.drawn = performance.now() - begin;
};
addEventListener("keydown", (event) => {
  const index = "1234567890".indexOf(event.key);
  const used = window.pane?.key(event) || (index >= 0 && window.pane.useLabel(window.pane.labels[index]));
  if (used) event.preventDefault();
  else if (index >= 0) window.active = window.pane.labels[index];
}, { capture: true });
window.ready = true;
</script>"""


def serve_frontend(page: Any) -> None:
    def answer(route: Any) -> None:
        name = route.request.url.removeprefix(ORIGIN)
        if not name:
            route.fulfill(body=HARNESS, content_type="text/html")
            return
        path = FRONTEND / name
        if not path.is_file():
            route.fulfill(status=404, body="")
            return
        kind = "text/javascript" if path.suffix == ".js" else mimetypes.guess_type(name)[0]
        route.fulfill(body=path.read_bytes(), content_type=kind)

    page.route(f"{ORIGIN}**", answer)
    page.goto(ORIGIN)
    page.wait_for_function("window.ready")


class Pane:
    """A text on the screen; `saved` is what a person's edits made of its spans."""

    def __init__(
        self,
        page: Any,
        text: str,
        spans: Sequence[tuple[int, int, str]] = (),
        *,
        labels: Sequence[str] = ("ORG", "LOC", "PER"),
        lang: str = "en",
        at_borders: bool = True,
        **more: Any,
    ) -> None:
        self.page, self.text = page, text
        edges = [Span(*span) for span in spans] if at_borders else []
        self.tokens = pieces(text, spans=edges, lang=lang)
        more = {"overlapping": False, **more}
        if "window.ready" not in page.content():
            serve_frontend(page)
        options = {"labels": list(labels), "tokens": self.tokens, "spans": [list(s) for s in spans], **more}
        page.evaluate("(options) => window.start(options)", options)
        page.wait_for_function("pane.root.isConnected")

    @property
    def spans(self) -> list[tuple[str, str]]:
        """What is marked now, as (stretch of the text cut in Python, label)."""
        return [(self.text[start:end], label) for start, end, label in self.offsets]

    @property
    def offsets(self) -> list[tuple[int, int, str]]:
        shown = self.page.evaluate("pane.spans")
        saved = self.page.evaluate("saved")
        assert saved is None or saved == shown, "what was saved is not what is shown"
        return [tuple(span) for span in shown]

    def piece(self, start: int) -> Any:
        return self.page.locator(f".t[data-s='{start}']").first

    def click(self, start: int) -> None:
        self.piece(start).click(position={"x": 3, "y": 8})

    def point(self, start: int) -> tuple[float, float]:
        box = self.page.evaluate(
            "(s) => { const b = pane.root.querySelector(`.t[data-s='${s}']`).getClientRects()[0];"
            " return [b.left + b.width / 2, b.top + 8]; }",
            start,
        )
        return box[0], box[1]

    def drag(self, first: int, last: int) -> None:
        self.page.mouse.move(*self.point(first))
        self.page.mouse.down()
        self.page.mouse.move(*self.point(last), steps=5)
        self.page.mouse.up()

    def press(self, *keys: str) -> None:
        for key in keys:
            self.page.keyboard.press(key)
