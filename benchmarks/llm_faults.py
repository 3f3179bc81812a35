"""A run of the command line against a server that fails, killed twice: what is answered, paid and lost."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from llm_ground import PROJECTS, fake_server, make_project
from review_ground import Rows

from annoloop.project import Project
from annoloop.steps.llm.run import failures
from annoloop.steps.llm.source import llm_source

sys.path.insert(0, str(PROJECTS.parent / "tests"))
from fake_llm import FAULTS, PAID, digest

MOST_RUNS = 20


@dataclass(frozen=True)
class Log:
    """The server's log: what it would charge for."""

    path: Path

    def lines(self) -> list[dict[str, Any]]:
        """Every request that was decided on, oldest first."""
        if not self.path.exists():
            return []
        whole = self.path.read_text(encoding="utf8").splitlines()
        return [json.loads(line) for line in whole if line.endswith("}")]

    def paid(self) -> Counter[str]:
        """How often each prompt was answered."""
        return Counter(line["prompt"] for line in self.lines() if line["kind"] in PAID)


def faults(*, texts: int, workers: int, share: float, seed: int) -> Rows:
    """`llm annotate`, ended by SIGTERM after a third of the texts and by SIGKILL after two thirds.

    It is gone on with, then `llm retry` until no text fails. A call is lost where the server answered and
    no answer was kept: at SIGKILL those under way. A prompt is paid twice where it was answered twice
    before anybody asked for that.
    """
    with tempfile.TemporaryDirectory() as folder:
        log = Log(Path(folder) / "paid.jsonl")
        options = ("--faults", str(share), "--latency", "0.05", "--seed", str(seed), "--log", str(log.path))
        with fake_server(*options) as address:
            project = make_project(
                Path(folder) / "p", address=address, texts=texts, workers=workers, more="timeout = 1.0"
            )
            return _rows(project, log, texts)


def _rows(project: Project, log: Log, texts: int) -> Rows:
    rows: Rows = [
        _ended(project, log, texts // 3, signal.SIGTERM),
        _ended(project, log, 2 * texts // 3, signal.SIGKILL),
    ]
    lost_at_kill = _lost(project, log)
    runs = 0
    while _without(project, texts) - len(failures(project)) or _failed(project):
        runs += 1
        _command(project, "annotate")
        if runs == MOST_RUNS:
            break
    listed = Counter(failure.status for failure in failures(project))
    twice = {prompt for prompt, times in log.paid().items() if times > 1}
    rows.append(
        {
            "after": "gone on with",
            "runs": runs,
            "answered": texts - _without(project, texts),
            "failures listed": sum(listed.values()),
            "requests": len(log.lines()),
            "answers paid": sum(log.paid().values()),
            "paid twice": len(twice),
            "of these under way at SIGKILL": len(twice & lost_at_kill),
            "lost": 0,
        }
    )
    told = ", ".join(f"{count} {status}" for status, count in sorted(listed.items())) or "none"
    before, retries = sum(log.paid().values()), 0
    while failures(project) and retries < MOST_RUNS:
        retries += 1
        _command(project, "retry", "--malformed", "--refused")
    rows.append(
        {
            "after": f"retry of {told}",
            "runs": retries,
            "answered": texts - _without(project, texts),
            "failures listed": len(failures(project)),
            "requests": len(log.lines()),
            "answers paid": sum(log.paid().values()) - before,
        }
    )
    kinds = Counter(line["kind"] for line in log.lines())
    rows.append({"after": ", ".join(f"{kind} {kinds[kind]}" for kind in ("ok", *FAULTS))})
    return rows


def _ended(project: Project, log: Log, paid: int, how: signal.Signals) -> dict[str, object]:
    """A run ended when the server has answered so often."""
    running = subprocess.Popen(
        [sys.executable, "-m", "annoloop", "llm", "annotate", str(project.folder)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    while sum(log.paid().values()) < paid and running.poll() is None:
        time.sleep(0.01)
    began = time.monotonic()
    running.send_signal(how)
    running.wait()
    seconds = time.monotonic() - began
    time.sleep(0.2)  # what the server still decides on
    return {
        "after": f"{how.name}, ended in {seconds:.1f} s with code {running.returncode}",
        "runs": 1,
        "answered": len(project.store.responses),
        "requests": len(log.lines()),
        "answers paid": sum(log.paid().values()),
        "lost": len(_lost(project, log)),
    }


def _lost(project: Project, log: Log) -> set[str]:
    """Prompts that were answered although no answer to their question is kept."""
    calls = {call.key for call in project.store.llm_calls()}
    kept = project.store.answers_kept(run="", purpose="").get_many(sorted(calls))
    questions = {digest(str(answer["prompt"])) for answer in kept.values()}
    return {
        line["prompt"] for line in log.lines() if line["kind"] in PAID and line["question"] not in questions
    }


def _without(project: Project, texts: int) -> int:
    source = llm_source(project)
    said = project.store.predictions(source.key) if source is not None else {}
    return texts - sum(annotation is not None for annotation, _ in said.values())


def _failed(project: Project) -> int:
    return sum(failure.status == "failed" for failure in failures(project))


def _command(project: Project, *arguments: str) -> None:
    name, *options = arguments
    subprocess.run(
        [sys.executable, "-m", "annoloop", "llm", name, str(project.folder), *options],
        capture_output=True,
        check=False,
    )
