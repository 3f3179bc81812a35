"""Tokens found ahead, by another process, are those that this one finds."""

from __future__ import annotations

from pathlib import Path

import pytest

from annoloop.review import ahead as ahead_module
from annoloop.review.ahead import Ahead
from annoloop.review.pieces import pieces, prepare, token_offsets
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


@pytest.mark.parametrize("lang", ["en", "de", "ja"])
def test_equal_tokens(lang: str) -> None:
    ahead = Ahead(TEXTS, lang)
    assert [ahead.offsets(text, lang) for text in TEXTS] == [token_offsets(text, lang) for text in TEXTS]


def test_only_what_was_asked_for_is_known() -> None:
    ahead = Ahead(["one text"], "en")
    assert ahead.offsets("another", "en") is None
    assert ahead.offsets("one text", "de") is None


def test_the_page_takes_them(monkeypatch: pytest.MonkeyPatch) -> None:
    class Found:
        def offsets(self, text: str, lang: str) -> list[tuple[int, int]] | None:
            return [(0, 3), (3, 6)] if text == "foobar!" else None

    prepare(Found())  # type: ignore[arg-type]
    assert [piece[0] for piece in pieces("foobar!", lang="en")] == ["foo", "bar", "!"]
    assert [piece[0] for piece in pieces("foo bar", spans=[Span(1, 2, "X")], lang="en")] == [
        "f",
        "o",
        "o",
        "bar",
    ]


def test_a_process_that_fails_costs_nothing_but_time(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(ahead_module, "_CHILD", "raise SystemExit(3)")
    prepare(Ahead(["a text"], "en"))
    assert [piece[0] for piece in pieces("a text", lang="en")] == ["a", "text"]
    monkeypatch.setattr(ahead_module.sys, "executable", str(tmp_path / "gone"))
    assert Ahead(["a text"], "en").offsets("a text", "en") is None
