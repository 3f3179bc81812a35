"""Tokens found ahead, by another process, are those that this one finds."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from annoloop.review import ahead as ahead_module
from annoloop.review.ahead import Ahead
from annoloop.review.pieces import pieces, prepare, token_offsets, warm
from annoloop.types import Span

TEXTS = [
    "Nike\u2019s new ones",
    "na\u0131\u0308ve \U0001f468\u200d\U0001f469\u200d\U0001f467 ok",
    "lone \ud800 half",
    "a\r\nb\0c",
    "",
]


@pytest.fixture(autouse=True)
def nothing_left_prepared():
    yield
    prepare(None)


@pytest.fixture
def ahead(monkeypatch: pytest.MonkeyPatch):
    # What is asked here is what the process says, however busy the machine is.
    monkeypatch.setattr(ahead_module, "PATIENCE", 200.0)
    process = Ahead("en")
    yield process
    process.close()


@pytest.mark.parametrize("lang", ["en", "de", "ja"])
def test_equal_tokens(ahead: Ahead, lang: str) -> None:
    assert [ahead.offsets(text, lang) for text in TEXTS] == [token_offsets(text, lang) for text in TEXTS]


def test_the_page_takes_them() -> None:
    class Found:
        def offsets(self, text: str, lang: str) -> list[tuple[int, int]] | None:
            return [(0, 3), (3, 6)] if text == "foobar!" else None

        def close(self) -> None: ...

    prepare(Found())  # type: ignore[arg-type]
    assert [piece[0] for piece in pieces("foobar!", lang="en")] == ["foo", "bar", "!"]
    assert [piece[0] for piece in pieces("foo bar", spans=[Span(1, 2, "X")], lang="en")] == [
        "f",
        "o",
        "o",
        "bar",
    ]


def test_once_spacy_is_here_the_other_process_is_ended(ahead: Ahead) -> None:
    prepare(ahead)
    warm("en")
    assert ahead.offsets("a text", "en") is None
    assert token_offsets("a text", "en") == [(0, 1), (2, 6)]


def test_calls_from_several_threads_get_their_own_tokens(ahead: Ahead) -> None:
    texts = [" ".join("word" for _ in range(number)) for number in range(1, 40)]
    with ThreadPoolExecutor(8) as threads:
        found = list(threads.map(lambda text: ahead.offsets(text, "en"), texts))
    assert [len(tokens or ()) for tokens in found] == list(range(1, 40))


def test_a_process_that_fails_costs_nothing_but_time(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(ahead_module, "_CHILD", "raise SystemExit(3)")
    prepare(Ahead("en"))
    assert [piece[0] for piece in pieces("a text", lang="en")] == ["a", "text"]
    monkeypatch.setattr(ahead_module.sys, "executable", str(tmp_path / "gone"))
    assert Ahead("en").offsets("a text", "en") is None


def test_a_process_killed_between_two_texts_is_done_without(ahead: Ahead) -> None:
    assert ahead.offsets("a text", "en") == [(0, 1), (2, 6)]
    assert ahead._process is not None
    ahead._process.kill()
    prepare(ahead)
    assert token_offsets("two words", "en") == [(0, 3), (4, 9)]
    assert ahead.offsets("another", "en") is None


def test_a_page_that_needs_spacy_while_it_is_loaded_waits_for_it():
    # Without load_spacy both threads end with an error: spaCy is half there.
    program = (
        "import threading, time\n"
        "from annoloop.review.pieces import load_spacy, warm\n"
        "done = []\n"
        "def page():\n"
        "    time.sleep(.1)\n"
        "    load_spacy()\n"
        "    import spacy.util\n"
        "    done.append('page')\n"
        "def server():\n"
        "    warm('en')\n"
        "    done.append('server')\n"
        "threads = [threading.Thread(target=target) for target in (server, page)]\n"
        "for thread in threads: thread.start()\n"
        "for thread in threads: thread.join()\n"
        "print(*sorted(done))\n"
    )
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120)
    assert (ran.stdout.strip(), ran.stderr) == ("page server", "")
