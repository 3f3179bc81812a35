"""How fast texts are annotated by a server that takes its time, and what that costs the client."""

from __future__ import annotations

import http.client
import json
import os
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import local
from urllib.parse import urlsplit

from llm_ground import fake_server, make_project
from review_ground import Rows

from annoloop.llm.answers import Prompt
from annoloop.project import Project
from annoloop.steps.llm.run import annotate_texts
from annoloop.steps.llm.source import llm_source

RUNS = 3


def speed(*, texts: int, workers: int, latency: float) -> Rows:
    """Our whole way (prompts with eight examples, ledger and results in SQLite), beside two others.

    spacy-llm's REST model is asked the same prompts and does nothing else; its own start, which asks
    api.openai.com for a list of models, is left out. The floor is a bare HTTP connection a thread that sends
    the same bodies and drops the answers. Ours is the best of three runs on fresh projects, all are listed.
    """
    with tempfile.TemporaryDirectory() as folder, fake_server("--latency", str(latency)) as address:
        place = Path(folder)
        # Imports and first uses are no part of a text's cost.
        annotate_texts(make_project(place / "warm", address=address, texts=32, workers=workers))
        ours, prompts = [], []
        for run in range(RUNS):
            project = make_project(place / f"run{run}", address=address, texts=texts, workers=workers)
            ours.append(_measured(lambda project=project: _annotated(project, texts)))
            prompts = prompts or _prompts(project)
        peer = _measured(lambda: _spacy_llm(address, prompts))
        floor = _measured(lambda: _bare(address, prompts, workers))
    ideal = latency * texts / workers
    rows = [
        _row("bare HTTP connections", workers, texts, floor, ideal, peer),
        *(_row(f"annoloop, run {n + 1}", workers, texts, one, ideal, peer) for n, one in enumerate(ours)),
        _row("spacy-llm REST model", 1, texts, peer, ideal, peer),
    ]
    best = min(ours)
    rows.append(
        {
            "way": "wanted of annoloop's best",
            "wall / ideal": f"<= 1.3: {'yes' if best[0] / ideal <= 1.3 else 'no'}",
            "CPU / peer": f"<= 1.5: {'yes' if best[1] / peer[1] <= 1.5 else 'no'}",
            "times peer": f">= 15: {'yes' if peer[0] / best[0] >= 15 else 'no'}",
        }
    )
    return rows


def _measured(work: Callable[[], None]) -> tuple[float, float]:
    """Wall and CPU seconds of this process."""
    cpu, wall = time.process_time(), time.perf_counter()
    work()
    return time.perf_counter() - wall, time.process_time() - cpu


def _row(
    way: str, workers: int, texts: int, taken: tuple[float, float], ideal: float, peer: tuple[float, float]
) -> dict[str, object]:
    wall, cpu = taken
    return {
        "way": way,
        "at once": workers,
        "wall s": f"{wall:.2f}",
        "ms a text": f"{1000 * wall / texts:.2f}",
        "CPU ms a text": f"{1000 * cpu / texts:.2f}",
        "wall / ideal": f"{wall / ideal:.2f}",
        "CPU / peer": f"{cpu / peer[1]:.2f}",
        "times peer": f"{peer[0] / wall:.1f}",
    }


def _annotated(project: Project, texts: int) -> None:
    asked = annotate_texts(project)
    if (asked.answered, asked.calls) != (texts, texts):
        raise SystemExit(f"{asked.answered} texts answered with {asked.calls} calls, not {texts}")


def _prompts(project: Project) -> list[Prompt]:
    """The prompts that were sent, from the ledger."""
    source = llm_source(project)
    calls = list(project.store.llm_calls())
    kept = project.store.answers_kept(run="", purpose="").get_many([call.key for call in calls])
    if source is None or not kept:
        raise SystemExit("nothing was asked")
    return [Prompt(({"role": "user", "content": str(answer["prompt"])},)) for answer in kept.values()]


def _spacy_llm(address: str, prompts: list[Prompt]) -> None:
    os.environ.setdefault("OPENAI_API_KEY", "none")
    from spacy_llm.models.rest.openai.model import OpenAI

    OpenAI._verify_auth = lambda self: None
    model = OpenAI(
        "fake",
        endpoint=f"{address}/chat/completions",
        config={"temperature": 0.0},
        strict=True,
        max_tries=5,
        interval=1.0,
        max_request_time=30,
        context_length=None,
    )
    said = list(model([str(prompt)] for prompt in prompts))
    if len(said) != len(prompts):
        raise SystemExit("spacy-llm lost answers")


def _bare(address: str, prompts: list[Prompt], workers: int) -> None:
    own, url = local(), urlsplit(address)

    def ask(prompt: Prompt) -> None:
        if not hasattr(own, "connection"):
            own.connection = http.client.HTTPConnection(url.hostname or "", url.port)
        body = json.dumps({"model": "fake", "messages": prompt.messages})
        own.connection.request("POST", f"{url.path}/chat/completions", body.encode())
        own.connection.getresponse().read()

    with ThreadPoolExecutor(workers) as pool:
        list(pool.map(ask, prompts))
