"""The LLM's commands on a project: estimated, run, stopped, gone on with, once more, told of."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from fake_llm import FakeLLM, Reply
from reported import answer
from small_project import LABELS, expert, feedback, small_project, write_rows

from annoloop.cli import main
from annoloop.hashing import input_hash
from annoloop.project import Project
from annoloop.steps.ask import answer_with, ask_blind
from annoloop.steps.llm.run import annotate_texts, failures
from annoloop.steps.llm.source import llm_source
from annoloop.steps.llm.spending import remembered
from annoloop.types import Annotation

ROWS = feedback(60)
GOOD = '{"label": "Aufzug"}'
PRICES = 'price_input = 1000.0\nprice_output = 2000.0\nprice_date = "2026-01-31"\nmax_tokens = 10'


@pytest.fixture
def server():
    with FakeLLM(GOOD) as fake:
        yield fake


@pytest.fixture
def annoloop(monkeypatch, capsys):
    """Run the command line in this process; gives (exit code, standard output, standard error)."""

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["annoloop", *map(str, arguments)])
        capsys.readouterr()
        code = 0
        try:
            main()
        except SystemExit as ended:
            code = ended.code or 0
        return code, *capsys.readouterr()

    return run


def project_of(tmp_path, server, *, model="", llm="", rows=ROWS):
    project = small_project(tmp_path / "p", rows, server=server)
    cfg = project.folder / "annoloop.cfg"
    text = cfg.read_text(encoding="utf8").replace('name = "fake"', f'name = "fake"\nworkers = 4\n{model}')
    text = text.replace("[llm.model]", f"[llm]\n{llm}\n\n[llm.model]")
    cfg.write_text(text, encoding="utf8")
    return Project.open(project.folder)


def pool(project):
    return project.store.example_counts()["pool"]


def about(body):
    return body["messages"][-1]["content"]


def test_estimate_counts_and_sends_nothing_then_annotate_takes_that(annoloop, tmp_path, server):
    project = project_of(tmp_path, server, model=PRICES)
    code, out, _err = annoloop("llm", "estimate", project.folder, "--json")
    told = json.loads(out)
    assert code == 0 and server.history == [] and list(project.store.llm_calls()) == []
    assert (told["calls"], told["asked"], told["known"]) == (pool(project),) * 2 + (0,)
    assert (told["reach"], told["price_date"], told["learned"]) == ("loopback", "2026-01-31", False)
    code, out, _err = annoloop("llm", "estimate", project.folder)
    assert code == 0 and "2026-01-31" in out and "by general ratios" in out and server.base_url in out
    code, out, _err = annoloop("llm", "annotate", project.folder)
    assert code == 0 and f"{pool(project)} texts annotated" in out
    assert len(server.history) == told["calls"]
    spent = project.store.spend_in_all()
    assert spent.cost <= told["most"] and spent.texts == pool(project)
    told = json.loads(annoloop("llm", "estimate", project.folder, "--json")[1])
    assert (told["calls"], told["known"]) == (0, pool(project))
    dev = json.loads(annoloop("llm", "estimate", project.folder, "--json", "--split", "dev")[1])
    assert dev["learned"] and dev["texts"] == project.store.example_counts()["dev"]
    # What this model's calls have told: 10 tokens of prompt, whatever was read.
    assert dev["prompt_tokens"] == pytest.approx(10 * dev["calls"], rel=0.5)


def test_annotate_goes_on_from_where_it_was_and_never_asks_about_held_out_texts(annoloop, tmp_path, server):
    project = project_of(tmp_path, server)
    assert annoloop("llm", "annotate", project.folder, "--limit", "5")[0] == 0
    assert annoloop("llm", "annotate", project.folder, "--limit", "5")[0] == 0
    assert len(server.history) == 10
    assert annoloop("llm", "annotate", project.folder)[0] == 0
    assert annoloop("llm", "annotate", project.folder, "--split", "dev")[0] == 0
    code, out, err = annoloop("llm", "annotate", project.folder)
    assert code == 0 and "0 calls" in out
    counts = project.store.example_counts()
    asked = [about(body) for body in server.history]
    assert len(asked) == len(set(asked)) == counts["pool"] + counts["dev"]
    held_out = [eg.text for eg in project.store.examples(split="held_out")]
    assert not any(text in one for text in held_out for one in asked)
    code, out, err = annoloop("llm", "annotate", project.folder, "--split", "held_out")
    assert code == 2 and "held_out" in err


def test_labelled_texts_come_last_and_examples_are_not_asked_about(tmp_path, server):
    project = project_of(tmp_path, server)
    shown, *others = (eg.text for eg in project.store.examples(split="pool"))
    write_rows(project.folder / "examples.jsonl", [{"text": shown, "label": LABELS[0]}])
    asked = annotate_texts(project, limit=3)
    assert asked.answered == 3 and asked.cost is None
    firsts = sorted(input_hash(text) for text in others)[:3]
    said = project.store.predictions(llm_source(project).key)
    assert sorted(said) == firsts
    assert annotate_texts(project).answered == len(others)
    assert input_hash(shown) not in project.store.predictions(llm_source(project).key)


def test_max_cost_ends_the_run_in_one_line_and_leaves_no_failures(annoloop, tmp_path, server):
    # An answer may have 10 tokens, 1.0 in money, and has 5.
    dear = PRICES.replace("1000.0", "100.0").replace("2000.0", "100000.0")
    project = project_of(tmp_path, server, model=dear, llm="max_cost = 5.0")
    code, _out, err = annoloop("llm", "annotate", project.folder)
    assert code == 1 and "stopped: " in err and "max_cost = 5" in err and len(err.splitlines()) <= 2
    spent = project.store.spend_in_all().cost
    assert 0 < spent <= 5.0 and len(server.history) < pool(project)
    assert failures(project) == ()
    kept = project.store.predictions(llm_source(project).key)
    assert len(kept) == len(server.history) and all(said is not None for said, _ in kept.values())
    before = len(server.history)
    annoloop("llm", "annotate", project.folder)
    assert len(server.history) > before and len(set(map(about, server.history))) == len(server.history)


def test_max_cost_without_a_price_refuses_to_start(annoloop, tmp_path, server):
    project = project_of(tmp_path, server, llm="max_cost = 1.0")
    code, _out, err = annoloop("llm", "annotate", project.folder)
    assert code == 1 and "price_input" in err and server.history == [] and "Traceback" not in err


def test_failures_are_listed_and_asked_again(annoloop, tmp_path, server):
    project = project_of(tmp_path, server, model="retries = 0")
    down, odd, shy = sorted(project.store.examples(split="pool"), key=lambda eg: eg.input_hash)[:3]

    def faulty(body):
        text = about(body) if len(body["messages"]) == 2 else body["messages"][1]["content"]
        if down.text in text:
            return Reply(status=400, error=f"context too long: {down.text}")
        if odd.text in text:
            return "no JSON"
        return Reply(None, refusal="I will not") if shy.text in text else GOOD

    server.answer = faulty
    code, out, _err = annoloop("llm", "annotate", project.folder)
    assert code == 0 and "3 texts without an annotation" in out
    for status in ("failed: ", "malformed: ", "refusal: "):
        assert status in out
    # No word of a text is in the ledger.
    calls = list(project.store.llm_calls())
    assert {call.status for call in calls} == {"ok", "failed", "malformed", "refusal"}
    assert not any(down.text[:20] in call.reason for call in calls)
    server.answer = lambda body: GOOD
    before = len(server.history)
    code, out, _err = annoloop("llm", "retry", project.folder)
    assert code == 0 and "1 texts annotated" in out and "2 more texts were answered wrongly" in out
    assert len(server.history) == before + 1
    code, out, _err = annoloop("llm", "retry", project.folder, "--malformed")
    assert code == 0 and [one.status for one in failures(project)] == ["refusal"]
    code, out, _err = annoloop("llm", "retry", project.folder, "--refused", "--malformed")
    assert code == 0 and failures(project) == () and len(server.history) == before + 3
    assert "no text to ask again about" in annoloop("llm", "retry", project.folder)[1]
    # The answer that was asked for anew has taken the other's place.
    assert annotate_texts(project).calls == 0


def test_a_retry_that_fails_leaves_the_answer_that_was_there(annoloop, tmp_path, server):
    project = project_of(tmp_path, server, model="retries = 0", rows=ROWS[:20])
    server.answer = lambda body: "no JSON"
    code, _out, _err = annoloop("llm", "annotate", project.folder)
    assert code == 1
    kept = len(project.store.responses)
    server.answer = lambda body: Reply(status=400, error="no")
    assert annoloop("llm", "retry", project.folder, "--malformed")[0] == 1
    assert len(project.store.responses) == kept == pool(project)


def test_spend_is_told_by_purpose_beside_the_model(annoloop, tmp_path, server):
    project = project_of(tmp_path, server, model=PRICES)
    assert "no LLM was asked yet" in annoloop("llm", "spend", project.folder)[1]
    annoloop("llm", "annotate", project.folder)
    told = json.loads(annoloop("llm", "spend", project.folder, "--json")[1])
    (row,) = told["rows"]
    assert (row["purpose"], row["texts"], row["unpriced"]) == ("annotate", pool(project), 0)
    # 10 tokens at 1000 a million, 5 at 2000: 0.02 a text.
    assert row["cost_per_1000"] == pytest.approx(20) and told["model"] is None
    board = [{"approach": "model", "name": "model of round 1", "texts_per_second": 900, "human_minutes": 7}]
    project.store.set_fact("leaderboard", board)
    out = annoloop("llm", "spend", project.folder)[1]
    assert "20.0000" in out and "model of round 1, no money, 900 texts a second" in out


def test_peoples_time_is_of_people_and_without_breaks(annoloop, tmp_path, server):
    project = project_of(tmp_path, server)
    annoloop("llm", "annotate", project.folder)
    board = [{"approach": "model", "name": "model of round 1", "human_minutes": 372.0}]
    project.store.set_fact("leaderboard", board)
    ask_blind(project, known=expert(project, ROWS))
    answer_with(project, expert(project, ROWS), 0)
    pool = project.store.examples(split="pool")[:16]
    project.store.add_tasks([project.task(example, number=1) for example in pool])

    def told(*times):
        tasks = project.store.tasks(round=1)
        said = Annotation(("Aufzug",))
        given = [
            answer(task.example, task, said, "Ada", n + 1, ms)
            for n, (task, ms) in enumerate(zip(tasks, times, strict=False))
        ]
        project.store.save_answers(given)
        shown = annoloop("llm", "spend", project.folder)[1]
        minutes = json.loads(annoloop("llm", "spend", project.folder, "--json")[1])["model"]["human_minutes"]
        return minutes, shown

    minutes, shown = told()
    assert minutes is None and "people's time" not in shown  # All answers are the simulated expert's.
    minutes, shown = told(3000)
    assert minutes == pytest.approx(0.05) and "less than a minute of people's time" in shown
    # Whoever looked for three hours had left: it counts as a minute.
    minutes, shown = told(3000, 3 * 3_600_000)
    assert minutes == pytest.approx(1.05) and "1 minute of people's time" in shown
    minutes, shown = told(3000, 3 * 3_600_000, *[60_000] * 14)
    # By the pace of sixty seconds a text, ten minutes may still have been looking.
    assert minutes == pytest.approx(24.05) and "24 minutes of people's time" in shown


def test_the_way_back_from_imported_answers(annoloop, tmp_path, server):
    project = project_of(tmp_path, server)
    answers = write_rows(tmp_path / "a.jsonl", [{"text": row["text"], "label": row["label"]} for row in ROWS])
    own = llm_source(project).key
    assert annoloop("llm", "import", project.folder, answers, "--name", "Big")[0] == 0
    code, out, err = annoloop("llm", "annotate", project.folder)
    assert code == 1 and "--forget" in err
    code, out, err = annoloop("llm", "import", project.folder, "--forget")
    assert code == 0 and "Big" in out and llm_source(project).key == own
    assert "no answers were imported" in annoloop("llm", "import", project.folder, "--forget")[1]
    for wrong in ((answers, "--forget"), ()):
        code, out, err = annoloop("llm", "import", project.folder, *wrong)
        assert code == 2 and "either FILE or --forget" in err


def test_what_a_server_takes_is_remembered_from_command_to_command(tmp_path, server):
    def strict(body):
        form = (body.get("response_format") or {}).get("type")
        return Reply(status=400, error="response_format is not supported") if form else GOOD

    server.answer = strict
    project = project_of(tmp_path, server)
    run = [sys.executable, "-m", "annoloop", "llm", "annotate", str(project.folder), "--limit", "6"]
    subprocess.run(run, check=True, capture_output=True, timeout=120)
    # Found out by the first question alone, whatever the others wait for.
    assert ["response_format" in body for body in server.history] == [True] * 3 + [False] * 6
    subprocess.run(run, check=True, capture_output=True, timeout=120)
    assert len(server.history) == 15


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_stopped_in_order_it_keeps_what_was_under_way(tmp_path, server, how):
    server.answer = lambda body: Reply(GOOD, after=0.4)
    project = project_of(tmp_path, server)
    command = [sys.executable, "-m", "annoloop", "llm", "annotate", str(project.folder)]
    running = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=os.environ)
    deadline = time.monotonic() + 60
    while len(server.history) < 9 and time.monotonic() < deadline:
        time.sleep(0.02)
    running.send_signal(how)
    _, err = running.communicate(timeout=60)
    assert running.returncode == 130 and "stopped; what was done so far is kept" in err
    assert len(project.store.responses) == len(server.history) < pool(project)
    server.answer = lambda body: GOOD
    assert annotate_texts(project).answered == pool(project)
    asked = [about(body) for body in server.history]
    assert len(asked) == len(set(asked)) == pool(project)


def test_the_fake_server_as_a_process_draws_the_same_faults_and_logs_what_it_answered(tmp_path):
    log = tmp_path / "paid.jsonl"
    server = [sys.executable, str(Path(__file__).with_name("fake_llm.py")), "--answer", GOOD]
    command = [*server, "--faults", "0.5", "--log", str(log)]
    running = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        address = running.stdout.readline().strip()
        project = small_project(tmp_path / "p", ROWS[:30])
        cfg = project.folder / "annoloop.cfg"
        model = f'base_url = "{address}"\nname = "fake"\ntimeout = 0.3\nretries = 8\nworkers = 16'
        cfg.write_text(cfg.read_text(encoding="utf8").replace("base_url = null", model), encoding="utf8")
        project = Project.open(project.folder)
        asked = annotate_texts(project)
    finally:
        running.kill()
        running.wait()
    kinds = [json.loads(line)["kind"] for line in log.read_text().splitlines()]
    assert len(kinds) == asked.calls == len(list(project.store.llm_calls()))
    assert {"ok", "429", "500"} <= set(kinds)
    assert asked.answered + len(asked.failed) == pool(project)
    assert asked.answered == kinds.count("ok")


def test_what_a_server_took_a_month_ago_is_found_out_anew(tmp_path, server, monkeypatch):
    server.answer = lambda body: (
        Reply(status=400, error="response_format") if "response_format" in body else GOOD
    )
    project = project_of(tmp_path, server)
    with remembered(project):
        annotate_texts(project, limit=1)
    (name,) = (one for one in project.store.fact("llm.dialects") if server.base_url in one)
    assert project.store.fact("llm.dialects")[name]["state"]["form"] == "text"
    later = time.time() + 40 * 86_400
    monkeypatch.setattr("annoloop.steps.llm.spending.time.time", lambda: later)
    monkeypatch.setattr("annoloop.llm.dialect._known", {})
    monkeypatch.setattr("annoloop.llm.dialect._recalled", {})
    before = len(server.history)
    annotate_texts(project, limit=1)
    assert "response_format" in server.history[before]
