"""What the page must survive: what it calls saved is in the store once; what is not saved is shown so.

Each test has texts and annotators of its own; they share a server, whose database gives up early.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import resource
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from itertools import count
from pathlib import Path

import pytest

from annoloop.hashing import input_hash
from annoloop.project import Project
from annoloop.types import Annotation, Answer, Example, Round, Span, Suggestion

from .conftest import Server, as_user, until, watched

pytestmark = pytest.mark.browser

KEYS = {"a": "accept", "x": "reject", " ": "ignore"}
LABELS = ["BRAND", "<b>x</b>", "SHOP"]
IMPATIENT = "import annoloop.store.engine as engine; engine.BUSY_SECONDS = 1"

# Before anything of the page runs: notes which text is on the screen at each key, and how many keys there
# were whenever the page said that all is saved. `skew` moves the clock, and no timer with it.
WATCH = """
(() => {
  const real = Date.now.bind(Date);
  window.skew = 0;
  Date.now = () => real() + window.skew;
  let host = null;
  const look = (selector) => {
    const is = (node) => node.shadowRoot?.querySelector(".page");
    if (!host?.isConnected) host = [...document.querySelectorAll("*")].find(is);
    return host ? host.shadowRoot.querySelector(selector) : null;
  };
  const name = (text) => (/No \\d+/.exec((text || "").slice(0, 40)) || [""])[0];
  let seen = [];
  try { seen = JSON.parse(sessionStorage.getItem("seen") || "[]"); } catch {}
  window.survey = {
    seen, claimed: 0,
    get state() { const chip = look(".state"); return chip && [chip.dataset.state, chip.textContent]; },
    get shown() { return name(look(".card .text")?.textContent); },
  };
  addEventListener("keydown", (event) => {
    seen.push([event.key, window.survey.shown]);
    try { sessionStorage.setItem("seen", JSON.stringify(seen)); } catch {}
  }, true);
  setInterval(() => {
    if (window.survey.state?.[0] === "saved") window.survey.claimed = seen.length;
  }, 25);
})();
"""


@dataclass
class Ground:
    """One project and its server, for one test after the other."""

    project: Project
    server: Server
    made: Iterator[int] = field(default_factory=lambda: count(1))
    texts: dict[str, str] = field(default_factory=dict)

    @property
    def store(self):
        return self.project.store

    def ask(
        self, number: int, *, wanted: int = 1, texts: list[str] | None = None, **suggested: Suggestion
    ) -> list[str]:
        """Ask about so many new texts, before all that were asked about so far; returns their names."""
        if self.server.process.poll() is not None:
            self.server.start()
        self.free()
        names = [f"No {next(self.made)}" for _ in texts or range(number)]
        said = texts or [f"{name} 🙂 wears Nike at Zalando." for name in names]
        examples = [Example(input_hash(text), text) for text in said]
        self.store.add_examples(examples)
        first = 1000.0 * next(self.made)
        asked = [
            replace(self.project.task(eg, number=1, priority=first - n), wanted=wanted)
            for n, eg in enumerate(examples)
        ]
        self.store.add_tasks(asked)
        self.texts.update({eg.input_hash: name for eg, name in zip(examples, names, strict=True)})
        return names

    def free(self) -> None:
        """End all leases, as time does."""
        with sqlite3.connect(self.project.folder / "project.sqlite", timeout=20) as database:
            database.execute('UPDATE leases SET "until" = 1')

    def offered(self, who: str) -> list[str]:
        """What somebody else would get now."""
        tasks = self.store.lease_tasks(who, "tab", want=20, now=time.time())
        return [self.texts[task.example.input_hash] for task in tasks]

    def said(self, who: str) -> dict[str, str]:
        """What is in force of this annotator: `{name of the text: verdict}`."""
        return {self.texts[a.input_hash]: a.verdict for a in self.store.answers_in_force(who)}

    def spans(self, who: str) -> dict[str, tuple[Span, ...]]:
        return {self.texts[a.input_hash]: a.annotation.spans for a in self.store.answers_in_force(who)}


@pytest.fixture(scope="module")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    folder = tmp_path_factory.mktemp("survival") / "p"
    project = Project.create(folder, kind="ner", labels=LABELS, lang="en")
    server = Server(folder, before=IMPATIENT)
    yield Ground(project, server)
    server.stop()
    project.store.close()


class Seat:
    """One annotator in front of one page."""

    def __init__(self, page, address: str, who: str, *, clock: bool = False, init: str = "") -> None:
        self.page, self.who, self.address = page, who, as_user(address, who)
        self.dialogs: list[str] = []
        page.on("dialog", lambda dialog: (self.dialogs.append(dialog.message), dialog.dismiss()))
        if clock:
            page.clock.install()
        page.add_init_script(WATCH)
        if init:
            page.add_init_script(init)
        self.visit()

    def visit(self) -> Seat:
        self.page.goto(self.address)
        self.ready()
        return self

    def ready(self) -> None:
        self.page.wait_for_selector(".card .t")

    def press(self, keys: str, every: float = 0.02) -> Seat:
        for key in keys:
            self.page.keyboard.press("Space" if key == " " else key)
            time.sleep(every)
        return self

    @property
    def seen(self) -> list[tuple[str, str]]:
        """(text on the screen, verdict) for each deciding key."""
        keys = self.page.evaluate("window.survey.seen")
        return [(name, KEYS[key]) for key, name in keys if key in KEYS]

    @property
    def claimed(self) -> list[tuple[str, str]]:
        """Those of `seen` that the page has called saved."""
        keys = self.page.evaluate("window.survey.seen.slice(0, window.survey.claimed)")
        return [(name, KEYS[key]) for key, name in keys if key in KEYS]

    @property
    def shown(self) -> str:
        return self.page.evaluate("window.survey.shown")

    @property
    def state(self) -> str:
        return self.page.locator(".state").get_attribute("data-state")

    @property
    def words(self) -> str:
        return self.page.locator(".state").text_content()

    def until_state(self, state: str, seconds: float = 30) -> Seat:
        until(lambda: self.state == state, f"{self.who}: {state}, not {self.words}", seconds)
        return self

    def saved(self) -> Seat:
        return self.until_state("saved")

    def mark(self, word: str) -> Seat:
        self.page.locator(".card .t", has_text=re.compile(f"^{word}$")).first.click()
        return self


@pytest.fixture
def sit(ground: Ground, people) -> Callable[..., Seat]:
    """`sit("ada")` opens a page under this name in a browser of its own."""
    return lambda who, **options: Seat(people(), ground.server.address, who, **options)


@pytest.fixture(scope="module")
def browser(chromium) -> Iterator[object]:
    context = chromium.new_context(locale="en-GB")
    yield context
    context.close()


@pytest.fixture
def tab(ground: Ground, browser) -> Iterator[Callable[..., Seat]]:
    """The same in a tab of a browser that knows the page's scripts by now, which is quicker."""
    pages = []

    def tab(who: str, **options) -> Seat:
        pages.append(watched(browser.new_page()))
        return Seat(pages[-1], ground.server.address, who, **options)

    yield tab
    for page in pages:
        page.close()


def holds(ground: Ground, *seats: Seat) -> None:
    """All that these annotators decided is in the store, once, each to the text that was on the screen."""
    for seat in seats:
        seat.saved()
        assert ground.said(seat.who) == dict(seat.seen)
        assert len(ground.store.answer_history(seat.who, limit=10_000)) == len(seat.seen)
        assert (seat.page.foreign, seat.page.complaints, seat.dialogs) == ([], [], [])


def test_three_type_while_the_server_is_killed(ground: Ground, sit) -> None:
    shared = ground.ask(6, wanted=2)
    alone = ground.ask(70)
    seats = [sit(who) for who in ("kill-a", "kill-b", "kill-c")]
    for keys in ("ax", "aa", "xa", "aa"):
        for seat in seats:
            seat.press(keys)
    ground.server.kill()
    for seat in seats:
        claimed = dict(seat.claimed)
        assert claimed.items() <= ground.said(seat.who).items(), "what was called saved is saved"
        seat.press("aaxa")
    for seat in seats:
        seat.until_state("offline")
        assert "kept in this browser" in seat.words
    ground.server.start()
    for seat in seats:
        seat.press("xxa")
    holds(ground, *seats)
    assert sum(len(seat.seen) for seat in seats) == 45
    answered = Counter(name for seat in seats for name in ground.said(seat.who))
    assert all(answered[name] <= 1 for name in alone)
    assert all(answered[name] <= 2 for name in shared)


def test_a_locked_database_is_said_and_all_is_saved_after_it(ground: Ground, tab) -> None:
    ground.ask(20)
    seat = tab("lock").press("aa").saved()
    other = sqlite3.connect(ground.project.folder / "project.sqlite", isolation_level=None, timeout=20)
    other.execute("BEGIN EXCLUSIVE")
    seat.press("axx").until_state("failed")
    assert re.search(r"3 not saved: .*locked", seat.words)
    assert len(ground.said("lock")) == 2
    seat.press("a")
    assert seat.state != "saved"
    other.execute("ROLLBACK")
    other.close()
    holds(ground, seat)


@pytest.mark.slow
def test_a_disk_that_takes_no_more_is_said_and_all_is_saved_after_it(ground: Ground, tab) -> None:
    ground.ask(20)
    seat = tab("disk").press("aa").saved()
    pid = ground.server.process.pid
    before = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (0, before[1]))
    try:
        seat.press("axx").until_state("failed")
        assert "3 not saved: " in seat.words
        assert len(ground.said("disk")) == 2
        seat.page.reload()
        seat.until_state("failed")
    finally:
        resource.prlimit(pid, resource.RLIMIT_FSIZE, before)
    seat.saved()
    seat.ready()
    seat.press("a")
    holds(ground, seat)


def test_ten_minutes_offline_while_others_get_the_texts(ground: Ground, sit) -> None:
    ground.ask(16)
    away = sit("away", clock=True).press("aa").saved()
    away.page.context.set_offline(True)
    away.press("axax").until_state("offline")
    away.page.clock.fast_forward("11:00")
    ground.free()
    here = sit("here")
    for _ in range(4):
        # Near the end a window holds few texts: no faster than they come.
        here.press("xx").saved()
    assert {name for name, _ in here.seen} & {name for name, _ in away.seen}
    away.press("a")
    assert "5 kept in this browser" in away.words
    away.page.context.set_offline(False)
    away.page.clock.fast_forward("00:30")
    away.saved()
    until(lambda: away.shown not in dict(here.seen), "a text that nobody else has answered")
    away.press("xa")
    away.page.clock.fast_forward("00:05")
    holds(ground, away, here)


def test_reloads_tabs_the_way_back_and_a_tab_closed_at_once(ground: Ground, tab) -> None:
    ground.ask(90)
    seat = tab("tabs")
    seat.mark("Nike").page.reload()
    seat.ready()
    assert seat.page.locator(".card mark").count() == 1
    seat.press("axaxa", 0).page.reload()
    seat.ready()
    seat.press("aa")
    second = tab("tabs")
    for one in (seat, second, seat, second):
        one.press("ax", 0)
    assert not {name for name, _ in seat.seen} & {name for name, _ in second.seen}
    seat.page.get_by_role("link", name="Progress").click()
    seat.page.locator("h1").wait_for()
    seat.page.go_back()
    seat.ready()
    seat.press("aa")
    seat.page.go_forward()
    seat.page.locator("h1").wait_for()
    seat.page.go_back()
    seat.ready()
    seat.press("xx")
    second.saved()
    decided = dict(second.seen)
    second.page.close()
    seat.press("axaxaxax", 0)
    decided.update(seat.seen)
    seat.page.close()
    again = tab("tabs").saved()
    again.press("a").saved()
    decided.update(again.seen)
    assert ground.said("tabs") == decided
    assert len(ground.store.answer_history("tabs", limit=1000)) == len(decided) == 5 + 2 + 8 + 4 + 8 + 1


def test_a_laptop_asleep_past_its_lease_goes_on_where_it_was(ground: Ground, tab) -> None:
    ground.ask(10)
    seat = tab("sleep").press("a").saved()
    mine = seat.shown
    seat.mark("Nike")
    until(lambda: ground.store.drafts_of("sleep", [t.task_hash for t in ground.store.tasks()]), "the draft")
    ground.free()
    seat.page.evaluate("window.skew = 8 * 3600 * 1000")
    seat.page.mouse.click(640, 5)
    seat.page.wait_for_timeout(500)
    assert seat.shown == mine and seat.page.locator(".card mark").count() == 1
    assert mine not in ground.offered("awake"), "it is on the first one's screen again"
    seat.press("ax")
    # Its timers slept too: nothing but the key can send it now.
    until(lambda: len(ground.said("sleep")) == 3, "saved without waiting for a timer from before", 10)
    holds(ground, seat)
    assert [span.label for span in ground.spans("sleep")[mine]] == ["BRAND"]


def test_two_on_one_text_are_both_kept_and_come_to_the_reviewer(ground: Ground, tab) -> None:
    (name,) = ground.ask(1)
    ground.ask(0)
    first = tab("pair-a")
    assert first.shown == name
    ground.free()
    second = tab("pair-b")
    assert second.shown == name
    second.mark("Nike").press("a")
    first.mark("Zalando").press("a")
    for seat in (first, second):
        seat.saved()
    assert [len(ground.spans(who)[name]) for who in ("pair-a", "pair-b")] == [1, 1]
    first.page.goto(as_user(ground.server.address, "pair-r", "adjudicate"))
    first.page.wait_for_selector(".version")
    texts = first.page.locator(".version").all_text_contents()
    assert len(texts) == 2 and all(any(who in text for text in texts) for who in ("pair-a", "pair-b"))
    assert (first.page.complaints, second.page.complaints) == ([], [])


@pytest.mark.slow
def test_undo_after_a_model_was_trained_on_the_answer(ground: Ground, tab) -> None:
    ground.ask(5)
    seat = tab("undo")
    name = seat.shown
    seat.mark("Nike").press("a").saved()

    def gold() -> list[str]:
        return [
            ground.texts[g.example.input_hash] for g in ground.project.pool_gold() if "undo" in g.annotators
        ]

    assert gold() == [name]
    ground.store.save_round(Round(1, "random", 0, gold_texts=1, model="models/round-1", fingerprint="f" * 16))
    seat.page.reload()
    seat.ready()
    seat.page.keyboard.press("Backspace")
    until(lambda: seat.shown == name, "the text is back")
    assert seat.page.locator(".card mark").count() == 1
    seat.saved()
    assert gold() == [] and ground.said("undo") == {}
    assert name not in ground.offered("undo-other")
    seat.press("x").saved()
    assert ground.said("undo") == {name: "reject"} and gold() == []


def test_labels_renamed_and_removed_under_an_open_text(ground: Ground, tab) -> None:
    ground.ask(20)
    seat = tab("label")
    config = ground.project.folder / "annoloop.cfg"
    before = config.read_text(encoding="utf8")
    first = seat.shown
    seat.press("3").mark("Zalando")
    try:
        labels = 'labels = ["BRAND", "<b>x</b>", "STORE"]'
        renamed = re.sub(r"labels = .*", labels, before) + '\n[project.renamed]\nSHOP = "STORE"\n'
        config.write_text(renamed, encoding="utf8")
        seat.press("a").saved()
        assert [span.label for span in ground.spans("label")[first]] == ["STORE"]
        changed = Project.open(ground.project.folder)
        gold = {ground.texts[g.example.input_hash]: g.annotation.spans for g in changed.pool_gold()}
        changed.store.close()
        assert [span.label for span in gold[first]] == ["STORE"]
        # The page may still have the old names; what comes back by undo has the new one.
        seat.page.keyboard.press("Backspace")
        until(
            lambda: seat.shown == first and seat.page.locator(".card mark").count() == 1, "marked as it was"
        )
        seat.press("a").saved()
        assert [span.label for span in ground.spans("label")[first]] == ["STORE"]
        second = seat.shown
        seat.mark("Zalando")
        config.write_text(re.sub(r"labels = .*", 'labels = ["BRAND", "<b>x</b>"]', before), encoding="utf8")
        seat.press("a").until_state("refused")
        assert "SHOP" in seat.words or "STORE" in seat.words
        until(lambda: "<b>x</b>" in seat.page.locator(".chips").text_content(), "labels as text")
        seat.press("a")
        assert seat.shown == second and seat.page.locator(".card mark").count() == 1
        assert "was not taken" in seat.page.locator(".notices").text_content()
        assert second not in ground.said("label")
        seat.page.locator(".card mark").click()
        seat.press("2a").saved()
        assert [span.label for span in ground.spans("label")[second]] == ["<b>x</b>"]
    finally:
        config.write_text(before, encoding="utf8")
    assert (seat.page.complaints, seat.dialogs) == ([], [])


@pytest.mark.slow
def test_the_later_answer_counts_though_the_clock_was_set_back(ground: Ground, tab) -> None:
    ground.ask(40)
    # On another computer, whose clock is behind and whose page is open all the time.
    home = tab("clock", init="window.skew = -2 * 86_400_000")
    seat = tab("clock")
    name = seat.shown
    seat.mark("Nike").press("a").saved()
    seat.page.evaluate("window.skew = -86_400_000")
    seat.press("y")
    seat.page.locator(".entry", has_text=name).click()
    until(lambda: seat.shown == name, "reopened")
    seat.press("x").saved()
    assert ground.said("clock") == {name: "reject"}
    home.press("y")
    home.page.locator(".entry", has_text=name).click()
    until(lambda: home.shown == name, "reopened")
    home.press(" ").saved()
    assert ground.said("clock") == {name: "ignore"}
    assert ground.store.answer_count() == len(ground.store.answer_history(limit=10_000))


NO_STORAGE = {
    "full": "Storage.prototype.setItem = () => { throw new DOMException('full', 'QuotaExceededError') }",
    "forbidden": "Object.defineProperty(window, 'localStorage', "
    "{ get() { throw new DOMException('no', 'SecurityError') } })",
}


@pytest.mark.parametrize("how", [pytest.param("full", marks=pytest.mark.slow), "forbidden"])
def test_without_storage_the_page_warns_and_saves(ground: Ground, sit, how: str) -> None:
    ground.ask(12)
    seat = sit(f"storage-{how}", init=NO_STORAGE[how]).press("axa")
    holds(ground, seat)
    assert "keeps nothing" in seat.page.locator(".state").get_attribute("title")
    seat.page.context.set_offline(True)
    seat.press("ax").until_state("offline")
    assert "leave this page open, 2 are nowhere else" in seat.words
    seat.page.context.set_offline(False)
    holds(ground, seat)


@pytest.mark.slow
def test_storage_that_fills_up_loses_nothing_that_it_holds(ground: Ground, sit) -> None:
    ground.ask(20)
    seat = sit("quota").press("a").saved()
    seat.page.context.set_offline(True)
    seat.press("axa")
    seat.page.evaluate(
        "for (let size = 1 << 20; size; size >>= 1) {"
        " try { for (let n = 0; ; n += 1) localStorage.setItem(`${size}.${n}`, 'x'.repeat(size)) } catch {} }"
    )
    seat.page.route("**/annoloop/sync", lambda route: route.abort())
    seat.page.context.set_offline(False)
    seat.page.reload()
    until(lambda: "3 not saved" in seat.words or "3 are nowhere" in seat.words, "three are shown as unsaved")
    seat.page.unroute("**/annoloop/sync")
    holds(ground, seat)


HOSTILE = [
    "<script>alert(1)</script> Nike",
    "<img src=x onerror=alert(2)> Nike </div></style><svg onload=alert(3)>",
    "null \0 bytes\0\0 Nike \x1b[31m \x08",
    "a lone \ud83d half and \udc00 another, Nike",
    "أحذية Nike שלום \u202eesrever\u202c 👩‍👩‍👧‍👦🙂 e\u0301 靴\r\nnext\u2028line",
    "**bold** [a](javascript:alert(4)) $x^2$ :red[x] `code` Nike {{7*7}} ${alert(5)}",
]


def nike(text: str, label: str = "<b>x</b>") -> Span:
    return Span(text.index("Nike"), text.index("Nike") + 4, label)


@pytest.mark.parametrize(
    "texts",
    [
        pytest.param(HOSTILE, id="small"),
        pytest.param(["Nike " + "x" * 1_000_000], id="megabyte", marks=pytest.mark.slow),
    ],
)
def test_texts_of_any_kind_are_shown_as_text_and_labelled_exactly(
    ground: Ground, tab, texts: list[str]
) -> None:
    who = f"hostile-{len(texts)}"
    ground.ask(0, texts=texts)
    ground.free()
    seat = tab(who)
    for number, text in enumerate(texts):
        shown = seat.page.locator(".card .text").text_content()
        assert len(shown) > 0 and "Nike" in shown
        seat.press("2").mark("Nike")
        seat.press("m")
        seat.page.keyboard.insert_text(f"{text[:40]} <b>{number}</b>")
        seat.page.keyboard.press("Escape")
        seat.page.keyboard.press("Shift+A")
    seat.saved()
    said = {a.input_hash: a for a in ground.store.answers_in_force(who)}
    for text in texts:
        answer = said[input_hash(text)]
        assert answer.annotation.spans == (nike(text),), text[:60]
        assert "<b>" in answer.comment
    assert (seat.page.foreign, seat.page.complaints, seat.dialogs) == ([], [], [])


@pytest.mark.slow
def test_texts_of_any_kind_run_nothing_on_any_page(tmp_path, serve, people) -> None:
    project = Project.create(tmp_path / "p", kind="ner", labels=LABELS, lang="en", name="<i>p</i>")
    texts = [*HOSTILE, "Nike " + "x" * 1_000_000]
    (project.folder / "guidelines.md").write_text("<script>alert(6)</script> <img src=x onerror=alert(7)>")
    pattern = {"label": "<b>x</b>", "pattern": "Nike"}
    project.patterns.write_text(json.dumps(pattern) + "\n", encoding="utf8")
    examples = [Example(input_hash(text), text, split="dev") for text in texts]
    project.store.add_examples(examples)
    tasks = [replace(project.task(eg, number=0), wanted=2) for eg in examples]
    project.store.add_tasks(tasks)
    project.store.save_answers(
        Answer(
            f"{who}{n}", task.task_hash, task.example.input_hash, "accept",
            Annotation((), (nike(task.example.text, label),)), who, 9, 10**15 + n, blind=True,
            comment=task.example.text[:100],
        )
        for who, label in (("<u>ben</u>", "<b>x</b>"), ("eva", "SHOP"))
        for n, task in enumerate(tasks)
    )  # fmt: skip
    record = Round(1, "random", 0, model="models/round-1", fingerprint="f" * 16)
    project.store.save_round(record)
    said = {eg.input_hash: Annotation((), (nike(eg.text),)) for eg in examples}
    project.store.save_predictions(f"model:round-1:{record.fingerprint}:dev", said)
    server, page = serve(project), people()
    dialogs: list[str] = []
    page.on("dialog", lambda dialog: (dialogs.append(dialog.message), dialog.dismiss()))
    page.goto(as_user(server.address, "rita", "adjudicate"))
    for _ in texts:
        page.wait_for_selector(".version mark")
        page.keyboard.press("1")
    page.wait_for_selector("text=Nothing to settle")
    until(lambda: page.locator(".state").get_attribute("data-state") == "saved", "decisions saved")
    decided = [a for a in project.store.answers_in_force("rita") if a.adjudicated]
    assert sorted(a.input_hash for a in decided) == sorted(eg.input_hash for eg in examples)
    assert {g.example.text for g in project.dev_gold()} == set(texts)
    waits = {
        "progress": "h1",
        "compare": ".shown .text:has-text('<script>alert(1)</script> Nike')",
        "rules": "h1",
        "texts": "text=<script>alert(1)</script> Nike",
        "start": "h1",
    }
    for name, selector in waits.items():
        page.goto(as_user(server.address, "rita", name))
        page.locator(selector).first.wait_for()
        page.locator("[data-testid=stStatusWidget]").wait_for(state="detached")
        page.wait_for_timeout(500)
        assert page.locator("[data-testid=stException]").count() == 0, name
        assert page.locator("img[src=x]").count() == 0, name
        assert "Traceback" not in page.locator("body").inner_text(), name
        assert dialogs == [], name
        assert (page.foreign, page.complaints) == ([], []), name


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A folder on a disk of two megabytes."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(folder)]
    if sys.platform != "linux" or os.geteuid() or subprocess.run(command, capture_output=True).returncode:
        pytest.skip("no small disk can be mounted here")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.mark.slow
def test_a_disk_that_is_really_full(small_disk: Path, people) -> None:
    project = Project.create(small_disk / "p", kind="ner", labels=LABELS, lang="en")
    ground = Ground(project, Server(project.folder, before=IMPATIENT))
    try:
        ground.ask(20)
        seat = Seat(people(), ground.server.address, "full").press("aa").saved()
        block = small_disk / "block"
        with contextlib.suppress(OSError), block.open("wb", buffering=0) as file:
            while True:
                file.write(b"x" * 512)
        # What fits into pages that are allocated is still saved, until nothing does.
        for _ in range(12):
            seat.press("a")
            seat.page.wait_for_timeout(300)
            if seat.state == "failed":
                break
        seat.until_state("failed")
        assert "not saved: " in seat.words
        assert dict(seat.claimed).items() <= ground.said("full").items()
        block.unlink()
        holds(ground, seat)
    finally:
        ground.server.stop()
        project.store.close()


@pytest.mark.slow
def test_a_database_locked_for_longer_than_the_server_waits(tmp_path, serve, people) -> None:
    project = Project.create(tmp_path / "p", kind="ner", labels=LABELS, lang="en")
    ground = Ground(project, serve(project))
    ground.ask(20)
    seat = Seat(people(), ground.server.address, "patient").press("aa").saved()
    other = sqlite3.connect(project.folder / "project.sqlite", isolation_level=None, timeout=20)
    other.execute("BEGIN EXCLUSIVE")
    seat.press("ax")
    seat.until_state("failed", 40)
    assert re.search(r"2 not saved: .*locked", seat.words)
    other.execute("ROLLBACK")
    other.close()
    holds(ground, seat)
