"""The page's protocol where calls are lost, doubled, late or out of order, and the server starts anew."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from sqlalchemy import select

from annoloop.errors import StoreError
from annoloop.hashing import input_hash, task_hash
from annoloop.review.queue import sync
from annoloop.store import engine
from annoloop.store.schema import leases
from annoloop.store.store import Store
from annoloop.types import Example, LabelScheme, Task

SCHEME = LabelScheme("ner", ("BRAND",))
WANTED = (1, 2, 1, 2, 1, 3)
LEASE = 600.0
MEMORY = Path("/dev/shm")
MARKS = ([], [[0, 4, "BRAND"]])


def questions(wanted: tuple[int, ...] = WANTED) -> list[Task]:
    made = []
    for number, people in enumerate(wanted):
        text = f"text {number}"
        example = Example(input_hash(text), text)
        name = task_hash(example.input_hash, SCHEME.kind, SCHEME.labels)
        made.append(Task(name, example, None, False, -number, 1, people))
    return made


@dataclass
class Tab:
    """What a browser tab keeps, as the page's own queue does."""

    who: str
    client: str
    mode: str = "label"
    ahead: int = 0
    tasks: list[dict[str, Any]] = field(default_factory=list)
    decided: list[tuple[dict[str, Any], dict[str, Any]]] = field(default_factory=list)
    unsaved: dict[str, dict[str, Any]] = field(default_factory=dict)
    last_seq: int = 0

    def answer(self, task: dict[str, Any], now: float, number: int, **more: Any) -> dict[str, Any]:
        self.last_seq = max(int((now + self.ahead) * 1_000_000), self.last_seq + 1)
        made = {
            "answer_id": f"id-{number}",
            "task_hash": task["task_hash"],
            "seq": self.last_seq,
            "labels": [],
            "milliseconds": 1,
            **more,
        }
        self.unsaved[made["answer_id"]] = made
        return made

    def request(self) -> dict[str, Any]:
        have = [task["task_hash"] for task in self.tasks]
        body = {"client": self.client, "mode": self.mode, "answers": list(self.unsaved.values())}
        return json.loads(json.dumps({**body, "have": have, "want": max(0, 3 - len(have))}))

    def receive(self, reply: dict[str, Any]) -> None:
        for name in reply["acked"]:
            self.unsaved.pop(name, None)
        self.last_seq = max(self.last_seq, reply["last_seq"])
        gone = set(reply["gone"])
        self.tasks = [task for n, task in enumerate(self.tasks) if n == 0 or task["task_hash"] not in gone]
        known = {task["task_hash"] for task in self.tasks}
        last = {answer["task_hash"]: answer for answer in self.unsaved.values()}
        for task in reply["tasks"]:
            pending = last.get(task["task_hash"])
            if task["task_hash"] not in known and (pending is None or pending.get("retracted")):
                self.tasks.append(task)


TABS = [("ada", "one", "label", 0), ("ada", "two", "label", -86_400), ("bob", "one", "label", 0)]
TABS += [("eva", "one", "label", 86_400), ("rita", "one", "adjudicate", 0)]


TAB = st.integers(0, len(TABS) - 1)
VERDICT = st.sampled_from(["accept", "accept", "reject", "ignore"])
FATE = st.sampled_from(["well", "well", "well", "no reply", "lost", "twice", "late"])


class Desks(RuleBasedStateMachine):
    """Three annotators, one of them on two computers whose clocks differ, and a reviewer."""

    @initialize()
    def begin(self) -> None:
        self.folder = Path(tempfile.mkdtemp(dir=MEMORY if MEMORY.is_dir() else None))
        self.store = Store.open(self.folder / "p.sqlite")
        made = questions()
        self.tasks = {task.task_hash: task for task in made}
        self.store.add_examples(task.example for task in made)
        self.store.add_tasks(made)
        self.tabs = [Tab(who, client, mode, ahead) for who, client, mode, ahead in TABS]
        self.now = 1_800_000_000.0
        self.said: dict[str, tuple[Tab, dict[str, Any]]] = {}
        self.acked: set[str] = set()
        self.late: list[tuple[Tab, dict[str, Any]]] = []
        for tab in self.tabs:
            self.call(tab, "well")

    def stored(self) -> list[Any]:
        return list(reversed(self.store.answer_history(limit=100_000)))

    def newest(self) -> dict[tuple[str, str, bool], Any]:
        found: dict[tuple[str, str, bool], Any] = {}
        for answer in self.stored():
            place = (answer.input_hash, answer.annotator, answer.adjudicated)
            if place not in found or answer.seq >= found[place].seq:
                found[place] = answer
        return found

    def held(self, tab: Tab) -> set[str]:
        """The texts that this tab holds and has not answered."""
        query = select(leases.c.task_hash).where(
            leases.c.annotator == tab.who, leases.c.client == tab.client, leases.c.until > self.now
        )
        with self.store.reading() as connection:
            names = set(connection.execute(query).scalars())
        said = {
            answer.task_hash
            for (_, who, adjudicated), answer in self.newest().items()
            if who == tab.who and adjudicated == (tab.mode == "adjudicate") and not answer.retracted
        }
        return names - said

    def arrive(self, tab: Tab, request: dict[str, Any]) -> dict[str, Any]:
        before = self.newest()
        reply = sync(
            self.store, SCHEME, tab.who, request, now=self.now, lease_seconds=LEASE,
            mode_allowed=("label", "adjudicate"),
        )  # fmt: skip
        reply = json.loads(json.dumps(reply))
        assert reply["refused"] == []
        assert sorted(reply["acked"]) == sorted(answer["answer_id"] for answer in request["answers"])
        self.acked.update(reply["acked"])
        now = self.newest()
        for task in reply["tasks"]:
            place = (task["input_hash"], tab.who, tab.mode == "adjudicate")
            answer = now.get(place)
            answered = answer is not None and not answer.retracted
            assert not answered or (task["again"] and answer.verdict == "ignore"), (
                "a text twice to one person"
            )
        assert reply["last_seq"] >= max(
            (a.seq for (_, who, _), a in before.items() if who == tab.who), default=0
        )
        return reply

    @rule(tab=TAB, verdicts=st.lists(VERDICT, min_size=1, max_size=3), marks=st.integers(0, 1), fate=FATE)
    def decide(self, tab: int, verdicts: list[str], marks: int, fate: str) -> None:
        here = self.tabs[tab]
        for verdict in verdicts:
            if here.tasks:
                self.say(here, here.tasks.pop(0), verdict, marks)
        self.call(here, fate)

    @rule(tab=TAB, number=st.integers(0, 5), verdict=VERDICT, marks=st.integers(0, 1), fate=FATE)
    def reopen(self, tab: int, number: int, verdict: str, marks: int, fate: str) -> None:
        """Decide again on a text that the same person has answered, here or on the other computer."""
        here = self.tabs[tab]
        own = [
            answer
            for (_, who, adjudicated), answer in self.newest().items()
            if (who, adjudicated) == (here.who, here.mode == "adjudicate") and not answer.retracted
        ]
        if own:
            earlier = own[number % len(own)]
            here.last_seq = max(here.last_seq, earlier.seq)
            self.say(here, {"task_hash": earlier.task_hash}, verdict, marks)
        self.call(here, fate)

    def say(self, here: Tab, task: dict[str, Any], verdict: str, marks: int) -> None:
        answer = here.answer(task, self.now, len(self.said), verdict=verdict, spans=MARKS[marks])
        self.said[answer["answer_id"]] = (here, answer)
        here.tasks = [other for other in here.tasks if other["task_hash"] != task["task_hash"]]
        here.decided.append((task, answer))

    @rule(tab=TAB, fate=FATE)
    def undo(self, tab: int, fate: str) -> None:
        here = self.tabs[tab]
        if not here.decided:
            return
        task, answer = here.decided.pop()
        more = {"verdict": answer["verdict"], "spans": answer["spans"], "retracted": True}
        back = here.answer(task, self.now, len(self.said), **more)
        self.said[back["answer_id"]] = (here, back)
        here.tasks = [task, *(other for other in here.tasks if other["task_hash"] != task["task_hash"])]
        self.call(here, fate)

    def call(self, here: Tab, fate: str) -> None:
        request = here.request()
        if fate == "late":
            self.late.append((here, request))
        if fate in ("lost", "late"):
            return
        reply = self.arrive(here, request)
        if fate == "twice":
            reply = self.arrive(here, request)
        if fate == "no reply":
            return
        here.receive(reply)

    @rule(number=st.integers(0, 9), copies=st.integers(1, 2))
    def arrives_late(self, number: int, copies: int) -> None:
        if not self.late:
            return
        tab, request = self.late.pop(number % len(self.late))
        for _ in range(copies):
            # A call whose answers are all known takes no text from the screen that it came from.
            known = set(self.acked) >= {answer["answer_id"] for answer in request["answers"]}
            before = self.held(tab)
            self.arrive(tab, request)
            assert not known or self.held(tab) >= before

    @rule(tab=TAB)
    def reload(self, tab: int) -> None:
        # What is unsaved and the highest seq are in the browser's storage; all else is asked for anew.
        here = self.tabs[tab]
        here.tasks, here.decided = [], []
        self.call(here, "well")

    @rule()
    def restart(self) -> None:
        self.store.close()
        self.store = Store.open(self.folder / "p.sqlite")

    @rule(seconds=st.sampled_from([1.0, 250.0, LEASE + 1, 86_400.0, -86_400.0]))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds

    @invariant()
    def saved_once(self) -> None:
        if not hasattr(self, "store"):
            return
        stored = self.stored()
        ids = [answer.answer_id for answer in stored]
        assert len(ids) == len(set(ids))
        assert self.acked <= set(ids)
        for answer in stored:
            tab, said = self.said[answer.answer_id]
            spans = [[span.start, span.end, span.label] for span in answer.annotation.spans]
            assert (answer.annotator, answer.adjudicated) == (tab.who, tab.mode == "adjudicate")
            assert (answer.task_hash, answer.verdict, spans) == (
                said["task_hash"],
                said["verdict"],
                said["spans"],
            )

    @invariant()
    def the_newest_counts(self) -> None:
        if not hasattr(self, "store"):
            return
        newest = {place: answer for place, answer in self.newest().items() if not answer.retracted}
        in_force = {answer.answer_id for answer in self.store.answers_in_force()}
        assert in_force == {answer.answer_id for answer in newest.values()}
        done = 0
        for task in self.tasks.values():
            said = [key for key in newest if key[0] == task.example.input_hash]
            done += any(key[2] for key in said) or len(said) >= task.wanted
        for who in ("ada", "bob", "eva", "rita"):
            progress = self.store.progress(who)
            assert (progress.done, progress.open) == (done, len(self.tasks) - done)
            assert progress.answers == sum(key[1] == who and not key[2] for key in newest)
            assert progress.decisions == sum(key[1] == who and key[2] for key in newest)

    def teardown(self) -> None:
        if not hasattr(self, "store"):
            return
        for tab, request in self.late:
            self.arrive(tab, request)
        for tab in self.tabs:
            tab.receive(self.arrive(tab, tab.request()))
            assert not tab.unsaved
        assert {answer.answer_id for answer in self.stored()} == set(self.said)
        # What each tab said last about a text, once it knew what the other had said, is what counts.
        self.saved_once()
        self.the_newest_counts()
        self.store.close()
        shutil.rmtree(self.folder)


TestDesks = Desks.TestCase
TestDesks.settings = settings(max_examples=10, stateful_step_count=30)


@pytest.mark.slow
class TestManyDesks(Desks.TestCase):  # type: ignore[misc,name-defined]
    settings = settings(max_examples=200, stateful_step_count=60)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(tmp_path / "p.sqlite") as store:
        yield store


def call(
    store: Store, *answers: dict[str, Any], who: str = "anna", now: float = 1000.0, **more: Any
) -> dict[str, Any]:
    request = {"client": f"tab of {who}", "answers": list(answers), "have": [], "want": 0, **more}
    return sync(store, SCHEME, who, request, now=now)


def said(task: Task, seq: int, **more: Any) -> dict[str, Any]:
    made = {"answer_id": f"id-{seq}", "task_hash": task.task_hash, "seq": seq, "verdict": "accept"}
    return {**made, "labels": [], "spans": [], "milliseconds": 1, **more}


def test_a_late_copy_of_a_call_frees_no_text_that_was_taken_back(store: Store) -> None:
    task = questions((1,))[0]
    store.add_examples([task.example])
    store.add_tasks([task])
    first = said(task, 1)
    call(store, first, want=1)
    call(store, first, said(task, 2, retracted=True), have=[task.task_hash])
    call(store, first)
    assert call(store, who="ben", want=5)["tasks"] == []


def test_a_late_copy_of_an_undo_holds_no_text_that_was_decided_again(store: Store) -> None:
    task = questions((2,))[0]
    store.add_examples([task.example])
    store.add_tasks([task])
    back = said(task, 2, retracted=True)
    call(store, said(task, 1), back, said(task, 3))
    call(store, back)
    assert len(call(store, who="ben", want=5)["tasks"]) == 1


def test_an_answer_on_another_computer_counts_though_its_clock_is_behind(store: Store) -> None:
    task = questions((1,))[0]
    store.add_examples([task.example])
    store.add_tasks([task])
    ahead = 10**15
    call(store, said(task, ahead, verdict="ignore"))
    reply = call(store, want=5, client="at home")
    assert reply["tasks"][0]["again"] and reply["last_seq"] == ahead
    call(store, said(task, reply["last_seq"] + 1, verdict="reject"), client="at home")
    assert [answer.verdict for answer in store.answers_in_force("anna")] == ["reject"]
    assert call(store, who="ben")["last_seq"] == 0


def test_a_locked_database_is_said_so_and_nothing_is_half_saved(tmp_path: Path, monkeypatch) -> None:
    import sqlite3

    monkeypatch.setattr(engine, "BUSY_SECONDS", 0)
    path = tmp_path / "p.sqlite"
    tasks = questions((1, 1))
    with Store.open(path) as store:
        store.add_examples(task.example for task in tasks)
        store.add_tasks(tasks)
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(StoreError, match="locked"):
            call(store, said(tasks[0], 1), said(tasks[1], 2))
        assert store.answer_count() == 0
        other.execute("ROLLBACK")
        other.close()
        assert len(call(store, said(tasks[0], 1), said(tasks[1], 2))["acked"]) == 2
        assert store.answer_count() == 2


@pytest.mark.parametrize("limit", range(0, 12, 3))
def test_a_full_database_saves_a_call_whole_or_not_at_all(tmp_path: Path, limit: int) -> None:
    tasks = questions((1,) * 30)
    with Store.open(tmp_path / "p.sqlite") as store:
        store.add_examples(task.example for task in tasks)
        store.add_tasks(tasks)
        with store.reading() as connection:
            pages = connection.exec_driver_sql("PRAGMA page_count").scalar()
            connection.exec_driver_sql(f"PRAGMA max_page_count = {pages + limit}")
        saved: set[str] = set()
        refused = 0
        for number, task in enumerate(tasks):
            # A comment of 4,000 characters takes a page.
            answer = said(task, number + 1, comment="ö" * 4000)
            try:
                saved.update(call(store, answer)["acked"])
            except StoreError as error:
                refused += 1
                assert "full" in str(error)
        assert refused > 0
        assert {answer.answer_id for answer in store.answers_in_force()} == saved
        with store.reading() as connection:
            connection.exec_driver_sql("PRAGMA max_page_count = 1000000")
        assert len(call(store, *(said(task, n + 1) for n, task in enumerate(tasks)))["acked"]) == 30
        assert store.progress("anna").answers == store.answer_count() == 30
