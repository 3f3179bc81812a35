"""Progress as a command shows it: each piece of work has an estimate of its own."""

from __future__ import annotations

import re

from annoloop.cli import console


def test_the_estimate_of_a_second_reading_does_not_count_the_time_of_the_first(monkeypatch, capsys):
    now = [0.0]
    monkeypatch.setattr(console.time, "monotonic", lambda: now[0])
    with console.narrating() as narrator:
        for second in range(0, 301, 10):
            now[0] = float(second)
            narrator.progress("the model reads", second // 10, 30)
        now[0] = 310.0
        narrator.progress("the model reads", 0, 10)
        now[0] = 320.0
        narrator.progress("the model reads", 1, 10)
    lines = capsys.readouterr().err.splitlines()
    assert re.search(r"\(1 of 10, about 90 s left\)", lines[-1]), lines[-1]


def test_what_follows_a_colon_is_the_same_work(monkeypatch, capsys):
    now = [0.0]
    monkeypatch.setattr(console.time, "monotonic", lambda: now[0])
    with console.narrating() as narrator:
        for step, score in enumerate((0.1, 0.2, 0.3)):
            now[0] = 10.0 * step
            narrator.progress(f"training ner: {score}", step, 10)
    assert capsys.readouterr().err.splitlines()[-1].endswith("training ner: 0.3 (2 of 10, about 80 s left)")
