"""The loop end to end: what it does, and that stopping it anywhere changes nothing in the end."""

import json
import re
import shutil
from collections import Counter
from dataclasses import replace
from zlib import crc32

import pytest
from fake_llm import FakeLLM
from small_project import LABELS, PATTERNS, expert, feedback, small_project, write_rows

import annoloop.loop as loop_module
from annoloop.errors import AnnoloopError
from annoloop.loop import run_loop
from annoloop.project import Project
from annoloop.steps.add import add
from annoloop.steps.ask import answer_with, waiting
from annoloop.steps.evaluate import evaluate
from annoloop.steps.export import Exported
from annoloop.steps.sources import latest_model
from annoloop.steps.status import status

ROWS = feedback(300)
FEW = ROWS[:110]
"""For what does not need a hundred held-out texts."""
TRUTH = {row["text"]: row["label"] for row in ROWS}


def mostly_right(body):
    """An LLM that knows nine texts of ten and takes the others for something else."""
    text = max(
        (text for text in TRUTH if text in body["messages"][-1]["content"]), key=len, default=ROWS[0]["text"]
    )
    label = TRUTH[text] if len(text) % 10 else LABELS[(LABELS.index(TRUTH[text]) + 1) % 3]
    return json.dumps({"label": label})


def no_wheel(project, out_dir, *, on_progress=None):
    return Exported(out_dir / "small.whl", "de_small", 0, "no environment")


@pytest.fixture(autouse=True)
def _without_the_wheel(monkeypatch):
    monkeypatch.setattr(loop_module, "export", no_wheel)


def turn(project, rows=ROWS, *, batch=50, max_rounds=2, **options):
    return list(
        run_loop(project, oracle=expert(project, rows), batch=batch, max_rounds=max_rounds, **options)
    )


def happened(events):
    return [event.happened for event in events]


def outcome(project):
    """All that the loop leaves behind, apart from times: equal outcomes are equal runs."""
    store, model = project.store, latest_model(project)
    said = {name: said for name, (said, _) in store.predictions(model.key).items()}
    answers = Counter(replace(answer, seq=0) for answer in store.answer_history(limit=10_000))
    verdict = evaluate(project).verdict
    return store.rounds(), store.tasks(), answers, model.key, said, verdict


def paid(fake):
    return Counter(json.dumps(body["messages"]) for body in fake.history)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """An uninterrupted run of two rounds, with a copy of its folder at every event, as a kill leaves it."""
    folder = tmp_path_factory.mktemp("whole")
    with pytest.MonkeyPatch.context() as patch, FakeLLM(mostly_right) as fake:
        patch.setattr(loop_module, "export", no_wheel)
        project = small_project(folder / "run", ROWS, server=fake)
        events, copies = [], []
        for event in run_loop(project, oracle=expert(project, ROWS), batch=50, max_rounds=2):
            events.append(event)
            copies.append((shutil.copytree(project.folder, folder / f"stopped-{len(events)}"), paid(fake)))
        yield fake, project, events, copies, paid(fake)


def test_the_events_tell_the_story_and_the_last_one_the_result(whole):
    _, project, events, _, _ = whole
    a_round = ["suggestions", "asked", "trained", "judged"]
    assert happened(events) == ["asked", *a_round, *a_round, "exported", "done"]
    result = events[-1].result.to_json()
    assert result["held_out"]["texts"] == project.store.example_counts()["held_out"] >= 100
    assert result["held_out"]["simulated"] == result["held_out"]["texts"]
    assert [record["number"] for record in result["rounds"]] == [1, 2]
    assert [record["gold_texts"] for record in result["rounds"]] == [50, 100]
    assert {row["approach"] for row in result["leaderboard"]} == {"llm", "model"}
    assert result["verdict"]["decision"] in ("level", "llm_ahead", "beats_llm", "refused")
    assert result["verdict"]["alpha"] == pytest.approx(0.05 * 2 * 2 / (2 * 3))


def test_no_llm_call_is_paid_twice(whole):
    assert max(whole[-1].values()) == 1


@pytest.mark.parametrize(
    "number", [n if n == 6 else pytest.param(n, marks=pytest.mark.slow) for n in range(11)]
)
def test_killed_at_an_event_and_started_again_it_ends_the_same(whole, number):
    fake, project, _, copies, all_paid = whole
    folder, before = copies[number]
    history, fake.history = fake.history, []
    try:
        again = Project.open(folder)
        turn(again)
        assert outcome(again) == outcome(project)
        assert before + paid(fake) == all_paid
    finally:
        fake.history = history


def test_closed_after_every_new_event_it_ends_the_same(whole, tmp_path):
    fake, project, _, _, all_paid = whole
    history, fake.history = fake.history, []
    try:
        again = small_project(tmp_path / "run", ROWS, server=fake)
        seen = set()
        for _ in range(30):
            events = run_loop(again, oracle=expert(again, ROWS), batch=50, max_rounds=2)
            new = next((e for e in events if (e.happened, e.round, e.message) not in seen), None)
            events.close()
            if new is None:
                break
            seen.add((new.happened, new.round, new.message))
        assert len(seen) == 11
        assert outcome(again) == outcome(project)
        assert paid(fake) == all_paid
    finally:
        fake.history = history


def test_a_finished_loop_run_again_changes_nothing(whole):
    fake, project, _, _, _ = whole
    before, asked = outcome(project), len(fake.history)
    events = turn(project)
    assert events[-1].happened == "done"
    assert outcome(project) == before
    assert len(fake.history) == asked


@pytest.mark.slow
def test_more_rounds_go_on_from_the_last_and_may_claim_nothing(whole, tmp_path):
    _, _, _, copies, _ = whole
    again = Project.open(shutil.copytree(copies[-1][0], tmp_path / "more"))
    result = turn(again, max_rounds=3)[-1].result
    assert [record.number for record in result.rounds] == [1, 2, 3]
    assert result.verdict.decision in ("refused", "level", "llm_ahead")


def test_without_an_llm_the_loop_says_so(tmp_path):
    project = small_project(tmp_path / "run", FEW)
    events = turn(project, FEW, max_rounds=1)
    assert any("base_url is null" in event.message for event in events if event.happened == "note")
    assert events[-1].result.verdict.decision == "no_llm"
    assert [row.approach for row in events[-1].result.leaderboard] == ["model"]
    assert any("no LLM" in note for note in events[-1].result.notes)


def matched():
    words = {"Aufzug": r"\b(aufzug|aufzüge|fahrstuhl)\b", "Rolltreppe": r"\brolltreppen?\b"}
    rows = [row for row in feedback(900) if row["label"] in words]
    clear = [
        row
        for row in rows
        if [n for n, w in words.items() if re.search(w, row["text"].lower())] == [row["label"]]
    ]
    return clear[:240]


def test_where_rules_suffice_the_loop_ends_unless_told_otherwise(tmp_path):
    rows = matched()
    project = small_project(tmp_path / "run", rows, labels=LABELS[:2], rules="target = 0.7")
    write_rows(project.patterns, PATTERNS)
    events = turn(project, rows)
    assert happened(events) == ["note", "asked", "rules", "exported", "done"]
    assert "no verdict is given on fewer than 100" in events[0].message
    assert re.search(r"score [01]\.\d+ on \d+ dev texts", events[-1].result.verdict.reason)
    assert events[-1].result.verdict.decision == "rules_suffice"
    assert not project.store.rounds()
    wheel = events[-1].wheel
    assert wheel.is_file() and "_rules-" in wheel.name
    assert events[-1].result.wheel == str(wheel)
    assert str(wheel) in status(project).next_step

    events = turn(project, rows, despite_rules=True, max_rounds=1)
    assert "judged" in happened(events)
    assert {row.approach for row in events[-1].result.leaderboard} == {"rules", "model"}


def answered_by_people(project, rows, number):
    """Answers of a person, as the review page saves them."""
    oracle = expert(project, rows)
    tasks = project.store.tasks(round=number, open_only=True)
    answers = [oracle.answer(task, seq=place) for place, task in enumerate(tasks)]
    people = [replace(a, annotator="anna", simulated=False, answer_id=f"anna-{a.answer_id}") for a in answers]
    project.store.save_answers(people)
    return len(people)


def test_people_are_asked_and_the_loop_goes_on_when_they_answered(tmp_path):
    project = small_project(tmp_path / "run", FEW)

    def go_on():
        return list(run_loop(project, batch=20, max_rounds=1))

    first = go_on()
    assert happened(first) == ["note", "waiting"]
    assert f"annoloop review {project.folder}" in first[-1].message
    held_out = project.store.example_counts()["held_out"]
    assert first[-1].message.startswith(str(held_out + project.store.example_counts()["dev"]))
    assert all(not task.assisted for task in project.store.tasks(round=0))
    assert happened(go_on()) == ["note", "waiting"]
    assert "annoloop review" in status(project).next_step

    answered_by_people(project, FEW, 0)
    second = go_on()
    assert happened(second)[-1] == "waiting" and second[-1].round == 1
    assert waiting(project, 1).open == 20

    answered_by_people(project, FEW, 1)
    last = go_on()
    assert happened(last)[-1] == "done"
    assert last[-1].result.simulated == 0
    assert "simulated" not in last[-1].result.verdict.reason


def test_with_wait_it_goes_on_by_itself(tmp_path, monkeypatch):
    project = small_project(tmp_path / "run", FEW)
    rounds = iter((0, 1))
    monkeypatch.setattr(
        loop_module.time, "sleep", lambda seconds: answered_by_people(project, FEW, next(rounds))
    )
    events = list(run_loop(project, batch=20, max_rounds=1, wait=True))
    assert happened(events).count("waiting") == 2
    assert events[-1].happened == "done"


def test_an_exhausted_pool_ends_the_loop(tmp_path):
    project = small_project(tmp_path / "run", FEW)
    pool = project.store.example_counts()["pool"]
    events = turn(project, FEW, batch=1000, max_rounds=9)
    assert [record.gold_texts for record in events[-1].result.rounds] == [pool]
    assert "every text of the pool is answered" in [e.message for e in events if e.happened == "note"][-1]


def test_gold_that_is_there_already_is_learned_from_at_once(tmp_path):
    project = small_project(tmp_path / "run", FEW)
    gold = write_rows(tmp_path / "gold.jsonl", FEW)
    add(project, [gold], gold=True, blind=True)
    events = list(run_loop(project, max_rounds=3))
    assert "waiting" not in happened(events)
    assert events[-1].result.assisted == events[-1].result.simulated == 0
    assert events[-1].result.rounds[0].gold_texts == project.store.example_counts()["pool"]
    assert project.store.answer_count() == len({row["text"] for row in FEW})


def test_held_out_gold_made_with_suggestions_is_refused(tmp_path):
    with FakeLLM(mostly_right) as fake:
        project = small_project(tmp_path / "run", ROWS, server=fake)
        add(project, [write_rows(tmp_path / "gold.jsonl", ROWS)], gold=True)
        result = list(run_loop(project, max_rounds=1))[-1].result
    assert result.assisted == result.held_out_texts
    assert result.verdict.decision == "refused"
    assert "not annotated blind" in result.verdict.reason


def test_too_few_held_out_texts_are_refused_with_the_number_missing(tmp_path):
    rows = ROWS[:150]
    with FakeLLM(mostly_right) as fake:
        project = small_project(tmp_path / "run", rows, server=fake)
        result = turn(project, rows, max_rounds=1)[-1].result
    missing = 100 - result.held_out_texts
    assert missing > 0
    assert result.verdict.decision == "refused"
    assert f"at least {missing} more" in result.verdict.reason


def test_an_expert_that_knows_part_of_the_texts_answers_that_part(tmp_path):
    project = small_project(tmp_path / "run", FEW)
    known = FEW[::2]
    result = turn(project, known, batch=40, max_rounds=9)[-1].result
    gold = status(project).gold
    assert sum(gold.values()) == len({row["text"] for row in known})
    assert result.held_out_texts == gold["held_out"]


def test_an_expert_that_knows_no_held_out_text_is_refused_before_anything_is_done(tmp_path):
    project = small_project(tmp_path / "run", FEW)
    held_out = {example.text for example in project.store.examples(split="held_out")}
    with pytest.raises(AnnoloopError, match=r"none of the \d+ texts to judge by"):
        turn(project, [row for row in FEW if row["text"] not in held_out])
    assert not project.store.rounds()
    assert not project.store.answer_count()


def test_an_expert_that_knows_no_pool_text_is_named(tmp_path):
    project = small_project(tmp_path / "run", FEW)
    pool = {example.text for example in project.store.examples(split="pool")}
    with pytest.raises(AnnoloopError, match=r"none of the \d+ texts to learn from"):
        turn(project, [row for row in FEW if row["text"] not in pool])


def test_a_label_that_never_occurs_does_no_harm(tmp_path):
    project = small_project(tmp_path / "run", FEW, labels=(*LABELS, "Rampe", "Übersee 🚢"))
    result = turn(project, FEW, max_rounds=1)[-1].result
    model = next(row for row in result.leaderboard if row.approach == "model")
    assert model.scores.score > 0.5
    assert latest_model(project) is not None


def test_a_dead_server_is_named_before_anybody_labels_a_batch(tmp_path):
    with FakeLLM(mostly_right) as fake:
        project = small_project(tmp_path / "run", ROWS, server=fake)
    with pytest.raises(AnnoloopError, match=r"127\.0\.0\.1"):
        turn(project)
    assert not project.store.rounds()


def test_answers_that_nobody_understands_are_the_llms_mistakes(tmp_path):
    def at_times_chatty(body):
        said = crc32(body["messages"][-1]["content"].encode())
        return "I would say: an elevator!" if said % 3 == 0 else json.dumps({"label": "irrelevant"})

    with FakeLLM(at_times_chatty) as fake:
        project = small_project(tmp_path / "run", ROWS, server=fake)
        result = turn(project, max_rounds=1)[-1].result
        asked = len(fake.history)
        assert result.verdict.decision == "beats_llm"
        turn(project, max_rounds=1)
        assert len(fake.history) == asked


def test_an_llm_that_nobody_understands_is_not_beaten(tmp_path):
    with FakeLLM("I would say: an elevator!") as fake:
        project = small_project(tmp_path / "run", ROWS, server=fake)
        result = turn(project, max_rounds=1)[-1].result
        texts = result.held_out_texts
        llm = next(row for row in result.leaderboard if row.approach == "llm")
        assert (result.verdict.decision, result.verdict.p_value, llm.scores.score) == ("refused", None, 0.0)
        assert f"{texts} of {texts} answers of the LLM are not what was asked for" in result.verdict.reason


def test_a_text_learned_from_is_never_a_text_judged_by(whole):
    _, project, _, _, _ = whole
    learned = {gold.example.text for gold in (*project.pool_gold(), *project.dev_gold())}
    assert learned.isdisjoint(gold.example.text for gold in project.held_out_gold())
    assert all(not task.assisted for task in project.store.tasks() if task.example.split != "pool")


def test_the_simulated_expert_answers_each_question_once(tmp_path):
    # Also where several are wanted: it is one, and nobody else comes.
    project = small_project(tmp_path / "run", FEW, review="overlap = 1.0")
    oracle = expert(project, FEW)
    turn(project, FEW, max_rounds=1)
    before = project.store.answer_count()
    assert answer_with(project, oracle, 1) == (0, 0)
    assert project.store.answer_count() == before == len(project.store.tasks())
    assert all(task.wanted == 2 for task in project.store.tasks(open_only=True))
