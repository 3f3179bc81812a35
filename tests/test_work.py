"""Long work started from the page: it tells how far it is, runs once, outlives its page, can be stopped."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from annoloop.errors import AnnoloopError, StoreError
from annoloop.project import Project
from annoloop.review import work
from annoloop.steps.progress import recorded
from tests.small_project import feedback, small_project

# The loop's command with a loop that waits to be stopped, as one does that asks a slow LLM.
SLOW = """
import sys, time
from pathlib import Path
from annoloop.project import Project
from annoloop.steps.progress import recorded
project = Project.open(Path(sys.argv[1]))
with project.exclusive("run the loop"), recorded(project, "loop") as record:
    for number in range(600):
        record.progress("the model reads", number, 600)
        time.sleep(0.1)
"""


def until(condition, what: str, seconds: float = 60):
    end = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < end, f"waited in vain for: {what}"
        time.sleep(0.05)
    return found


def ended(project: Project):
    return lambda: (now := work.state(project)) is not None and not now.running and now


def test_nothing_ever_ran(tmp_path):
    assert work.state(small_project(tmp_path, feedback(20))) is None


def test_the_loop_runs_beside_the_page_and_says_what_it_did(tmp_path):
    project = small_project(tmp_path, feedback(40))
    work.start(tmp_path)
    begun = work.state(project)
    assert begun.running
    assert begun.action == "loop"
    with pytest.raises(StoreError, match="already"):
        work.start(tmp_path)
    now = until(ended(project), "the end of the loop")
    assert not now.failed
    assert "wait for an expert" in now.message
    assert project.store.progress().open > 0
    assert "wait for an expert" in (tmp_path / work.LOG).read_text(encoding="utf8")


def test_what_ended_it_is_shown_in_one_line(tmp_path):
    project = small_project(tmp_path, feedback(40), corpus="held_out = 0.0")
    work.start(tmp_path)
    now = until(ended(project), "the end of the loop")
    assert "none of them to judge by" in now.failed
    assert "\n" not in now.failed
    assert "add more texts" in now.hint


def test_it_can_be_stopped_and_says_so(tmp_path, monkeypatch):
    project = small_project(tmp_path, feedback(20))
    monkeypatch.setattr(work, "_RUN", f"import sys; sys.argv.pop(1)\n{SLOW}")
    work.start(tmp_path)
    until(lambda: work.state(project).what == "the model reads", "its first word")
    assert work.state(project).total == 600
    assert work.stop(project)
    now = until(ended(project), "its end")
    assert now.stopped
    assert not now.failed
    assert not work.stop(project)


def test_another_page_stops_what_an_earlier_one_started(tmp_path):
    project = small_project(tmp_path, feedback(20))
    child = subprocess.Popen([sys.executable, "-c", SLOW, str(tmp_path)], stderr=subprocess.DEVNULL)
    try:
        until(lambda: (now := work.state(project)) and now.what, "its first word")
        assert work.state(project).running
        with pytest.raises(StoreError, match="already"):
            work.start(tmp_path)
        assert work.stop(project)
        assert until(ended(project), "its end").stopped
    finally:
        child.kill()
        child.wait()


def test_a_killed_one_does_not_look_as_if_it_ran(tmp_path):
    project = small_project(tmp_path, feedback(20))
    child = subprocess.Popen([sys.executable, "-c", SLOW, str(tmp_path)], stderr=subprocess.DEVNULL)
    until(lambda: (now := work.state(project)) and now.what, "its first word")
    child.kill()
    child.wait()
    now = work.state(project)
    assert not now.running
    assert now.failed


def test_another_command_at_work_is_seen(tmp_path):
    project = small_project(tmp_path, feedback(20))
    with recorded(project, "train") as record:
        record.progress("training", 1, 2)
    with project.exclusive("add texts"):
        now = work.state(project)
        assert now.running
        assert now.what == ""
    assert not work.state(project).running


def test_looking_on_never_stops_a_command_from_starting(tmp_path):
    project = small_project(tmp_path, feedback(20))
    look = f"from annoloop.review.work import is_held\nwhile True: is_held({str(tmp_path)!r})"
    looker = subprocess.Popen([sys.executable, "-c", look])
    try:
        for _ in range(20):
            with project.exclusive("run the loop"):
                pass
            time.sleep(0.02)
    finally:
        looker.kill()
        looker.wait()


def test_the_record_is_written_rarely_and_keeps_the_error(tmp_path, monkeypatch):
    project = small_project(tmp_path, feedback(20))
    written = []
    monkeypatch.setattr(project.store, "set_fact", lambda key, value: written.append(json.dumps(value)))
    told = []
    with (
        pytest.raises(AnnoloopError),
        recorded(project, "loop", lambda *what: told.append(what)) as record,
    ):
        for number in range(1_000):
            record.progress(f"training: score {number}", number, 1_000)
        raise AnnoloopError("no gold", hint="label some")
    assert len(told) == 1_000
    assert len(written) < 100
    last = json.loads(written[-1])
    assert (last["ended"], last["error"], last["hint"]) == (True, "no gold", "label some")


def test_a_store_that_is_full_stops_no_work(tmp_path, monkeypatch):
    project = small_project(tmp_path, feedback(20))

    def full(_key: str, _value: object) -> None:
        raise StoreError("the disk is full")

    monkeypatch.setattr(project.store, "set_fact", full)
    with recorded(project, "loop") as record:
        record.progress("training", 1, 2)


def test_the_log_is_not_for_git(tmp_path):
    project = Project.create(tmp_path / "new", kind="ner", labels=["NAME"])
    assert work.LOG in (Path(project.folder) / ".gitignore").read_text().splitlines()


def test_what_ends_while_it_is_looked_at_is_not_taken_for_dead(tmp_path, monkeypatch):
    project = small_project(tmp_path, feedback(20))
    run = project.exclusive("run the loop")
    run.__enter__()
    record = recorded(project, "loop")
    record.__enter__().progress("the model reads", 0, 600)
    fact = project.store.fact

    def ends_then(name):
        found = fact(name)
        record.__exit__(None, None, None)
        run.__exit__(None, None, None)
        monkeypatch.undo()
        return found

    monkeypatch.setattr(project.store, "fact", ends_then)
    assert not work.state(project).failed
    assert not work.state(project).running
