"""The loop as a process: killed at any moment, stopped with Ctrl+C, started twice, printing JSON."""

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path

import pytest
from fake_llm import FakeLLM, Reply
from small_project import expert, feedback, small_project, write_rows

from annoloop.project import Project

ROWS = feedback(300)
WORKERS = 2
# The command as it is, but for the wheel, whose own tests are elsewhere.
WITHOUT_WHEEL = """
import annoloop.loop
from annoloop.steps.export import Exported
annoloop.loop.export = lambda project, out, on_progress=None: Exported(out / "x.whl", "x", 0, "none")
from annoloop.cli import main
main()
"""
KEYS = {"kind", "held_out", "rounds", "leaderboard", "verdict", "wheel"}


def project_at(folder, fake):
    model = f'base_url = "{fake.base_url}"\nname = "fake"\nworkers = {WORKERS}'
    project = small_project(folder, ROWS, server=fake, llm_model=model)
    expert(project, ROWS)
    return project


def command(folder, *more):
    gold = str(folder / "gold.jsonl")
    arguments = ["loop", str(folder), "--oracle", gold, "--batch", "50", "--max-rounds", "2", "--json", *more]
    return [sys.executable, "-c", WITHOUT_WHEEL, *arguments]


def run(folder, *more, code=0):
    done = subprocess.run(command(folder, *more), capture_output=True, text=True, timeout=200)
    assert done.returncode == code, done.stderr
    return done


def comparable(stdout):
    """The result without what depends on the clock or the folder."""
    result = json.loads(stdout)
    for row in result["leaderboard"]:
        for name in ("texts_per_second", "words_per_second"):
            row.pop(name)
    return result


def state(folder):
    store = Project.open(folder).store
    answers = Counter((a.answer_id, a.annotation, a.annotator) for a in store.answer_history(limit=10_000))
    return store.rounds(), store.tasks(), answers


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    with FakeLLM('{"label": "Aufzug"}') as fake:
        folder = project_at(tmp_path_factory.mktemp("whole") / "p", fake).folder
        done = run(folder)
        asked = Counter(json.dumps(body["messages"]) for body in fake.history)
        yield done, state(folder), asked


def test_json_is_one_object_with_the_agreed_keys_and_nothing_else(whole):
    done, _, _ = whole
    result = json.loads(done.stdout)
    assert result.keys() >= KEYS
    assert result["held_out"].keys() >= {"texts", "assisted"}
    assert all(record.keys() >= {"number", "gold_texts", "score"} for record in result["rounds"])
    row_keys = {
        "approach",
        "score",
        "precision",
        "recall",
        "interval",
        "words_per_second",
        "megabytes",
        "cost",
    }
    assert [row["approach"] for row in result["leaderboard"]] == ["model", "llm"]
    assert all(row.keys() >= row_keys and len(row["interval"]) == 2 for row in result["leaderboard"])
    assert result["verdict"].keys() >= {"decision", "reason", "p_value", "alpha"}
    assert result["verdict"]["decision"] == "beats_llm"
    assert "[trained]" in done.stderr


def killed_when(process, moment):
    """Kill the process when `moment()` is true, unless it has ended by itself."""
    while process.poll() is None and not moment():
        time.sleep(0.005)
    process.kill()
    process.wait()


@pytest.mark.parametrize("seed", [0, pytest.param(1, marks=pytest.mark.slow)])
def test_killed_at_random_it_loses_nothing_and_pays_nothing_twice(whole, tmp_path, seed):
    done, expected, all_asked = whole
    rng = random.Random(seed)
    with FakeLLM(lambda _: Reply('{"label": "Aufzug"}', after=0.01)) as fake:
        folder = project_at(tmp_path / "p", fake).folder
        answers = rng.sample(range(1, 120), 1)
        moments = [lambda n=n: len(fake.history) >= n for n in sorted(answers)]
        early = time.monotonic() + rng.uniform(1, 6)
        moments.insert(0, lambda: time.monotonic() > early)
        for moment in moments:
            process = subprocess.Popen(command(folder), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            killed_when(process, moment)
        again = run(folder)
        asked = Counter(json.dumps(body["messages"]) for body in fake.history)
    assert comparable(again.stdout) == comparable(done.stdout)
    assert state(folder) == expected
    assert asked.keys() == all_asked.keys()
    # A question under way when the process dies was never answered: it alone is asked again.
    assert asked.total() - len(asked) <= WORKERS * len(moments)


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_is_one_line_and_exit_code_130(how, whole, tmp_path):
    done, expected, all_asked = whole
    begun = threading.Event()

    def answer(_body):
        begun.set()
        return Reply('{"label": "Aufzug"}', after=0.02)

    with FakeLLM(answer) as fake:
        folder = project_at(tmp_path / "p", fake).folder
        process = subprocess.Popen(command(folder), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        assert begun.wait(100)
        process.send_signal(how)
        stdout, stderr = process.communicate(timeout=100)
        assert process.returncode == 130
        assert stdout == ""
        assert "Traceback" not in stderr
        assert stderr.splitlines()[-1].startswith("stopped; what was done so far is kept")
        assert 0 < len(fake.history) < all_asked.total()

        again = run(folder)
        asked = Counter(json.dumps(body["messages"]) for body in fake.history)
    assert comparable(again.stdout) == comparable(done.stdout)
    assert state(folder) == expected
    assert asked == all_asked


def test_a_second_process_is_told_about_the_first(tmp_path):
    go_on = threading.Event()

    def slow(_body):
        go_on.wait(60)
        return '{"label": "Aufzug"}'

    with FakeLLM(slow) as fake:
        folder = project_at(tmp_path / "p", fake).folder
        first = subprocess.Popen(command(folder), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            while not fake.history:
                assert first.poll() is None
                time.sleep(0.02)
            for arguments in (command(folder), [*command(folder)[:3], "train", str(folder)]):
                second = subprocess.run(arguments, capture_output=True, text=True, timeout=100)
                assert second.returncode == 1
                assert "another annoloop process is working on" in second.stderr
                assert "Traceback" not in second.stderr
                assert second.stdout == ""
            # Looking is allowed at any time, and so is answering on the review page.
            looking = [*command(folder)[:3], "status", str(folder), "--json"]
            assert json.loads(subprocess.run(looking, capture_output=True, timeout=100).stdout)["answers"]
        finally:
            go_on.set()
            first.kill()
            first.wait()


def test_waiting_for_people_prints_the_same_keys(tmp_path):
    project = small_project(tmp_path / "p", ROWS)
    arguments = [*command(project.folder)[:3], "loop", str(project.folder), "--json"]
    done = subprocess.run(arguments, capture_output=True, text=True, timeout=100, stdin=subprocess.DEVNULL)
    assert done.returncode == 0
    result = json.loads(done.stdout)
    assert result.keys() >= KEYS
    assert result["verdict"]["decision"] == "refused"
    assert "annoloop review" in result["waiting"]


NER = ("Shimano", "Canyon", "Rose Bikes")


def bike_texts(count):
    """German texts that no data set holds, with spans beside emoji, combining accents and line ends."""
    rng = random.Random(7)
    frames = [
        "Das neue Rad von {} 🚲 ist da.",
        "Wer kennt {}?\r\nIch nicht!",
        "Cafe\u0301 neben {}",
        "Kein Rad {}",
    ]
    seen, rows = set(), []
    while len(rows) < count:
        frame, brand = rng.choice(frames), rng.choice(NER)
        text = f"{frame.format(brand)} Nr. {rng.randrange(10_000)}"
        if text in seen:
            continue
        seen.add(text)
        start = text.index(brand)
        rows.append({"text": text, "spans": [{"start": start, "end": start + len(brand), "label": "MARKE"}]})
    return rows


@pytest.mark.slow
def test_init_add_loop_for_spans_to_a_wheel_that_was_tried(tmp_path):
    rows = bike_texts(140)
    raw = write_rows(tmp_path / "raw.jsonl", [{"text": row["text"]} for row in rows])
    gold = write_rows(tmp_path / "gold.jsonl", rows)
    annoloop = [sys.executable, "-c", "from annoloop.cli import main; main()"]
    cache = {**os.environ, "XDG_CACHE_HOME": str(tmp_path / "cache")}  # No weights: no LLM.

    def call(*arguments):
        done = subprocess.run(
            [*annoloop, *arguments], capture_output=True, text=True, cwd=tmp_path, timeout=280, env=cache
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    call("init", "raeder", "--kind", "ner", "--label", "MARKE", "--lang", "de")
    call("add", "raeder", str(raw))
    result = json.loads(
        call("loop", "raeder", "--oracle", str(gold), "--batch", "60", "--max-rounds", "1", "--json")
    )
    assert result["kind"] == "ner"
    assert result["verdict"]["decision"] == "no_llm"
    assert result["rounds"][0]["score"] > 0.5
    assert result["wheel"].endswith(".whl")
    assert (tmp_path / "raeder" / "dist" / Path(result["wheel"]).name).is_file()
