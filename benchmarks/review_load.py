"""Many annotators at once: how long a call takes and what it costs, in a small and in a big project."""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import secrets
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import psutil
from review_ground import Rows, make_project, middle, p95, real_texts, review_server

from annoloop.review.server import ROUTE, open_review
from annoloop.types import Answer

SOON = 0.4
REFILL_BELOW = 12
KEEP = 24
PACE = 1.0
"""Seconds between two decisions of one annotator. The others are the page's own, see sync.js, queue.js."""


@dataclass
class Figures:
    """What was seen on one server."""

    waits: list[float] = field(default_factory=list)
    floor: list[float] = field(default_factory=list)
    decisions: int = 0
    refused: int = 0
    failed: list[str] = field(default_factory=list)
    cpu: float = 0.0
    seconds: float = 0.0


class Page:
    """One annotator's page without the browser: keeps texts at hand, sends decisions after a while."""

    def __init__(self, http: httpx.AsyncClient, token: str, figures: Figures) -> None:
        self.http = http
        self.headers = {"X-Annoloop-Token": token, "Content-Type": "application/json"}
        self.client = secrets.token_hex(12)
        self.tasks: list[dict[str, Any]] = []
        self.unsaved: list[dict[str, Any]] = []
        self.seq = int(time.time() * 1_000_000)
        self.figures = figures

    def decide(self) -> None:
        """Accept the text at hand as it is suggested."""
        if not self.tasks:
            return
        task = self.tasks.pop(0)
        suggestion = task["suggestion"] or {"labels": [], "spans": []}
        self.seq += 1
        self.unsaved.append(
            {
                "answer_id": secrets.token_hex(12),
                "task_hash": task["task_hash"],
                "verdict": "accept",
                "labels": suggestion["labels"],
                "spans": suggestion["spans"],
                "comment": "",
                "flagged": False,
                "milliseconds": 900,
                "seq": self.seq,
            }
        )
        self.figures.decisions += 1

    async def sync(self, **more: Any) -> float:
        """One call; returns how long it took, in ms."""
        have = [task["task_hash"] for task in self.tasks]
        body = {
            "client": self.client,
            "answers": self.unsaved,
            "drafts": [],
            "have": have,
            "want": KEEP - len(have) if len(have) < REFILL_BELOW else 0,
            **more,
        }
        begin = time.perf_counter()
        # As the page does: what is not acknowledged goes along with the next call.
        try:
            response = await self.http.post(ROUTE, content=json.dumps(body), headers=self.headers)
        except httpx.TransportError as error:
            self.figures.failed.append(type(error).__name__)
            return 1000 * (time.perf_counter() - begin)
        took = 1000 * (time.perf_counter() - begin)
        if response.status_code == httpx.codes.SERVICE_UNAVAILABLE:
            self.figures.failed.append(response.json()["message"])
            return took
        reply = response.raise_for_status().json()
        self.tasks += reply["tasks"]
        self.figures.refused += len(reply["refused"])
        done = {*reply["acked"], *(refusal["answer_id"] for refusal in reply["refused"])}
        self.unsaved = [answer for answer in self.unsaved if answer["answer_id"] not in done]
        return took

    async def work(self, until: float, offset: float) -> None:
        """Decide once a second until the clock says `until`."""
        due = time.perf_counter() + offset
        while due < until:
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            self.decide()
            await asyncio.sleep(SOON)
            self.figures.waits.append(await self.sync())
            due += PACE


def load(annotators: int, seconds: float, tasks: int, turns: int = 2) -> Rows:
    """A project of a size just enough and one of `tasks`, half of them answered, in turns."""
    few = round(annotators * (seconds / PACE + KEEP) * 1.2)
    with tempfile.TemporaryDirectory() as name:
        folders = {
            f"{few:,} tasks": make_big(Path(name, "small"), few, answered=0),
            f"{tasks:,} tasks": make_big(Path(name, "big"), tasks, answered=tasks // 2),
        }
        found = {title: Figures() for title in folders}
        for turn in range(turns):
            for title in sorted(folders, reverse=bool(turn % 2)):
                asyncio.run(_turn(folders[title], annotators, seconds / turns, found[title], turn))
    return _rows(found, annotators)


def make_big(folder: Path, count: int, *, answered: int) -> Path:
    """A project of `count` tasks of which others have answered some."""
    texts = real_texts(count)
    project = make_project(folder, texts)
    tasks = project.store.lease_tasks("before", "before", want=answered, now=0) if answered else ()
    done = [
        Answer(
            answer_id=f"before-{number}",
            task_hash=task.task_hash,
            input_hash=task.example.input_hash,
            verdict="accept",
            annotation=task.suggestion.annotation,
            annotator="before",
            milliseconds=1000,
            seq=number + 1,
        )
        for number, task in enumerate(tasks)
    ]
    for start in range(0, len(done), 2000):
        project.store.save_answers(done[start : start + 2000])
    project.store.close()
    return folder


async def _turn(folder: Path, annotators: int, seconds: float, figures: Figures, turn: int) -> None:
    review = open_review(folder)
    tokens = [review.token(f"annotator {number} {turn}") for number in range(annotators)]
    review.project.store.close()
    limits = httpx.Limits(max_connections=annotators + 1, max_keepalive_connections=annotators + 1)
    with review_server(folder) as (server, address):
        async with httpx.AsyncClient(base_url=address, limits=limits, timeout=30) as http:
            pages = [Page(http, token, figures) for token in tokens]
            for page in pages:
                await page.sync(before=None)
            rng = random.Random(turn)
            watched = psutil.Process(server.pid)
            before, begin = sum(watched.cpu_times()[:2]), time.perf_counter()
            working = [page.work(begin + seconds, rng.uniform(0, PACE)) for page in pages]
            await asyncio.gather(_floor(http, begin + seconds, figures), *working)
            figures.cpu += sum(watched.cpu_times()[:2]) - before
            figures.seconds += time.perf_counter() - begin


async def _floor(http: httpx.AsyncClient, until: float, figures: Figures) -> None:
    """The same server asked for nothing, twice a second: what client and machine take by themselves."""
    while time.perf_counter() < until:
        begin = time.perf_counter()
        with contextlib.suppress(httpx.TransportError):
            (await http.get("/_stcore/health")).raise_for_status()
            figures.floor.append(1000 * (time.perf_counter() - begin))
        await asyncio.sleep(0.5)


def _rows(found: dict[str, Figures], annotators: int) -> Rows:
    rows: Rows = []
    for title, figures in found.items():
        for why in sorted(set(figures.failed)):
            print(f"{title}: {why}", file=sys.stderr)
        rows.append(
            {
                f"{annotators} annotators, one decision a second each": title,
                "decisions": figures.decisions,
                "refused": figures.refused,
                "failed calls": len(figures.failed),
                "sync ms, median": middle(figures.waits),
                "p95": p95(figures.waits),
                "empty call, p95": p95(figures.floor),
                "server CPU ms a decision": 1000 * figures.cpu / max(1, figures.decisions),
                "% of a core": 100 * figures.cpu / figures.seconds,
            }
        )
    small, big = rows
    ratio = {key: round(big[key] / small[key], 2) for key in list(small)[4:] if key != "empty call, p95"}
    rows.append({next(iter(small)): "ratio", **{key: f"{value:.2f}" for key, value in ratio.items()}})
    return rows
