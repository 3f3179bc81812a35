"""Label Studio beside ours, over HTTP, with the same texts: import, next task, submit.

Label Studio needs old versions of what this project uses too, so it gets an environment of its own, by
default in ~/.cache/annoloop-benchmarks/label-studio. Where there is none it is made, which takes minutes:

    python -m venv FOLDER && FOLDER/bin/pip install label-studio==1.23.2

It runs with SQLite as its command starts it, without analytics, with one user of its own; its data goes to
a temporary folder. Its "next task" and "submit" are the two calls that its own page makes for each text.
"""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
import tempfile
import time
import venv
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
from review_ground import (
    ANNOTATOR,
    LABEL,
    Rows,
    make_project,
    middle,
    p95,
    process,
    real_texts,
    review_server,
)
from review_peers import free_port, wait_for

from annoloop.review.server import ROUTE, open_review
from annoloop.types import Span

VERSION = "1.23.2"
WARM_UP = 5
_USER = {"email": "bench@example.com", "password": "only-for-the-benchmark"}
_CONFIG = f"""<View><Labels name="label" toName="text"><Label value="{LABEL}"/></Labels>
<Text name="text" value="$text"/></View>"""

Texts = Sequence[tuple[str, tuple[Span, ...]]]


def label_studio(environment: Path, texts: int, calls: int) -> Rows:
    """Both servers over `texts` texts; `calls` of each kind on each, in turns."""
    command = _installed(environment)
    chosen = real_texts(texts)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        project, our_rate = _our_import(folder, chosen)
        with (
            _label_studio(command, folder / "label-studio") as theirs,
            review_server(project) as (_, address),
            httpx.Client(base_url=address, timeout=120) as ours,
        ):
            number, their_rate = _their_import(theirs, chosen)
            sides = {
                f"Label Studio {VERSION}": lambda: _their_turn(theirs, number),
                "annoloop": _our_turn(ours, project),
            }
            taken: dict[str, list[tuple[float, float]]] = {title: [] for title in sides}
            for turn in range(WARM_UP + calls):
                for title, take in sides.items():
                    measured = take()
                    if turn >= WARM_UP:
                        taken[title].append(measured)
    return [
        {
            f"{texts:,} texts over HTTP": title,
            "import, texts a second": round(rate),
            "next task ms, median": middle([first for first, _ in values]),
            "p95": p95([first for first, _ in values]),
            "submit ms, median": middle([second for _, second in values]),
            "p95 ": p95([second for _, second in values]),
        }
        for (title, values), rate in zip(taken.items(), (their_rate, our_rate), strict=True)
    ]


def _installed(environment: Path) -> str:
    """The command, installed where it is not there yet."""
    command = environment / "bin" / "label-studio"
    if not command.exists():
        print(f"installing Label Studio {VERSION} in {environment}: takes minutes", file=sys.stderr)
        venv.create(environment, with_pip=True)
        pip = [str(environment / "bin" / "pip"), "install", "--quiet", f"label-studio=={VERSION}"]
        subprocess.run(pip, check=True)
    return str(command)


@contextmanager
def _label_studio(command: str, folder: Path) -> Iterator[httpx.Client]:
    """A running Label Studio and a client that may call it."""
    folder.mkdir()
    port, token = free_port(), secrets.token_hex(20)
    options = {
        "--data-dir": str(folder),
        "--username": _USER["email"],
        "--password": _USER["password"],
        "--user-token": token,
        "--port": str(port),
        "--internal-host": "127.0.0.1",
        "--log-level": "ERROR",
    }
    flags = [part for pair in options.items() for part in pair]
    settings = {
        "BASE_DATA_DIR": str(folder),
        "COLLECT_ANALYTICS": "False",
        "LATEST_VERSION_CHECK": "False",
        "SENTRY_DSN": "",
        "FRONTEND_SENTRY_DSN": "",
    }
    # It would take the benchmark's own packages for its own.
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"} | settings
    with (folder / "log").open("w") as log:
        quiet: dict[str, Any] = {"stdin": subprocess.DEVNULL, "stdout": log, "stderr": log}
        with process(command, "start", "--no-browser", *flags, env=environment, **quiet):
            address = f"http://127.0.0.1:{port}"
            wait_for(f"{address}/health", seconds=300)
            with httpx.Client(base_url=address, timeout=600) as client:
                _allow_token(client)
            headers = {"Authorization": f"Token {token}"}
            with httpx.Client(base_url=address, timeout=600, headers=headers) as client:
                yield client


def _allow_token(client: httpx.Client) -> None:
    """Log in as the page does and turn on the fixed token, which a new installation refuses."""
    client.get("/user/login/").raise_for_status()
    form = {**_USER, "csrfmiddlewaretoken": client.cookies["csrftoken"]}
    client.post("/user/login/", data=form, headers={"Referer": str(client.base_url)})
    allowed = {"api_tokens_enabled": True, "legacy_api_tokens_enabled": True}
    crossing = {"X-CSRFToken": client.cookies["csrftoken"], "Referer": str(client.base_url)}
    client.post("/api/jwt/settings", json=allowed, headers=crossing).raise_for_status()


def _their_import(client: httpx.Client, texts: Texts) -> tuple[int, float]:
    """The project's number, and texts imported a second."""
    made = client.post("/api/projects", json={"title": "benchmark", "label_config": _CONFIG})
    number: int = made.raise_for_status().json()["id"]
    tasks = [{"data": {"text": text}} for text, _ in texts]
    begin = time.perf_counter()
    client.post(f"/api/projects/{number}/import", json=tasks).raise_for_status()
    while True:
        count = client.get(f"/api/projects/{number}").raise_for_status().json()["task_number"]
        if count == len(texts):
            return number, len(texts) / (time.perf_counter() - begin)
        time.sleep(0.2)


def _their_turn(client: httpx.Client, project: int) -> tuple[float, float]:
    begin = time.perf_counter()
    task = client.get(f"/api/projects/{project}/next").raise_for_status().json()
    got = time.perf_counter()
    span = {"start": 0, "end": 3, "text": task["data"]["text"][:3], "labels": [LABEL]}
    marked = {"from_name": "label", "to_name": "text", "type": "labels", "value": span}
    answer = {"result": [marked], "lead_time": 1.0}
    client.post(f"/api/tasks/{task['id']}/annotations/", json=answer).raise_for_status()
    return 1000 * (got - begin), 1000 * (time.perf_counter() - got)


def _our_import(folder: Path, texts: Texts) -> tuple[Path, float]:
    """A project that asks about the texts, and texts a second by `annoloop add` into one beside it."""
    make_project(folder / "project", texts).store.close()
    rows = folder / "texts.jsonl"
    rows.write_text("".join(json.dumps({"text": text}) + "\n" for text, _ in texts), encoding="utf8")
    annoloop = str(Path(sys.executable).with_name("annoloop"))
    beside = str(folder / "beside")
    made = [annoloop, "init", beside, "--kind", "ner", "--label", LABEL]
    subprocess.run(made, check=True, capture_output=True)
    begin = time.perf_counter()
    subprocess.run([annoloop, "add", beside, str(rows)], check=True, capture_output=True)
    return folder / "project", len(texts) / (time.perf_counter() - begin)


def _our_turn(client: httpx.Client, project: Path) -> Callable[[], tuple[float, float]]:
    review = open_review(project)
    headers = {"X-Annoloop-Token": review.token(ANNOTATOR)}
    review.project.store.close()

    def call(**body: Any) -> tuple[dict[str, Any], float]:
        begin = time.perf_counter()
        reply = client.post(ROUTE, json={"client": "benchmark", "have": [], **body}, headers=headers)
        reply.raise_for_status()
        return reply.json(), 1000 * (time.perf_counter() - begin)

    def turn() -> tuple[float, float]:
        leased, first = call(want=1)
        answer = {
            "answer_id": secrets.token_hex(12),
            "task_hash": leased["tasks"][0]["task_hash"],
            "verdict": "accept",
            "labels": [],
            "spans": [[0, 1, LABEL]],
            "milliseconds": 1000,
            "seq": int(time.time() * 1_000_000),
        }
        saved, second = call(answers=[answer], want=0)
        if saved["acked"] != [answer["answer_id"]]:
            raise SystemExit(f"an answer was not saved: {saved['refused']}")
        return first, second

    return turn
