"""The pages beside ours: a bare one, which is the floor, and one of Streamlit's plain widgets."""

from __future__ import annotations

import functools
import http.server
import json
import os
import socket
import sqlite3
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from review_ground import HERE, process

_BARE = """<!doctype html><meta charset="utf-8"><title>bare</title>
<style>
body { font: 20px/1.6 sans-serif; max-width: 44em; margin: 4em auto; }
#text { white-space: pre-wrap; }
</style>
<main id="text"></main>
<script type="module">
const texts = await (await fetch("texts.json")).json();
const text = document.getElementById("text");
let at = 0;
text.textContent = texts[at];
addEventListener("keydown", (event) => {
  if (event.key === "a" || event.key === "x") text.textContent = texts[++at];
});
</script>
"""


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@contextmanager
def bare_page(folder: Path, texts: Sequence[str]) -> Iterator[str]:
    """The address of a page that only swaps the text on a key: nothing is saved, nothing is asked."""
    folder.mkdir()
    (folder / "index.html").write_text(_BARE, encoding="utf8")
    (folder / "texts.json").write_text(json.dumps(texts), encoding="utf8")
    handler = functools.partial(_Quiet, directory=str(folder))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://localhost:{server.server_port}"
    finally:
        server.shutdown()


@contextmanager
def widget_page(folder: Path, texts: Sequence[str]) -> Iterator[str]:
    """The address of a page of Streamlit's buttons, as soon as it answers."""
    folder.mkdir(exist_ok=True)
    (folder / "texts.json").write_text(json.dumps(texts), encoding="utf8")
    port = free_port()
    options = {
        "server.port": port,
        "server.address": "127.0.0.1",
        "server.headless": "true",
        "server.fileWatcherType": "none",
        "browser.gatherUsageStats": "false",
        "global.developmentMode": "false",
        "logger.level": "error",
    }
    flags = [f"--{name}={value}" for name, value in options.items()]
    command = (sys.executable, "-m", "streamlit", "run", str(HERE / "review_widgets.py"), *flags)
    environment = {**os.environ, "ANNOLOOP_BENCHMARK": str(folder)}
    with process(*command, stdout=subprocess.DEVNULL, env=environment):
        wait_for(f"http://localhost:{port}/_stcore/health")
        yield f"http://localhost:{port}"


def widget_answers(folder: Path) -> list[tuple[str, str]]:
    """What the page of widgets saved: text and verdict, in order."""
    connection = sqlite3.connect(folder / "answers.sqlite")
    try:
        return list(connection.execute("SELECT text, verdict FROM answers ORDER BY rowid"))
    finally:
        connection.close()


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def wait_for(address: str, seconds: float = 60) -> None:
    """Until something answers there."""
    end = time.monotonic() + seconds
    while True:
        try:
            urllib.request.urlopen(address, timeout=5).close()
            return
        except (urllib.error.URLError, OSError):
            if time.monotonic() > end:
                raise SystemExit(f"{address} does not answer") from None
            time.sleep(0.02)
