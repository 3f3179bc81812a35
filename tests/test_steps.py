"""The steps between corpus and wheel: what is added, asked, suggested, judged, exported."""

import json
import zipfile
from pathlib import Path

import pytest
from fake_llm import FakeLLM
from small_project import LABELS, PATTERNS, expert, feedback, small_project, write_rows

from annoloop.errors import PackagingError
from annoloop.project import Project
from annoloop.steps.add import add
from annoloop.steps.ask import BLIND_ROUND, answer_with, ask_blind, open_round, waiting
from annoloop.steps.evaluate import evaluate
from annoloop.steps.export import export
from annoloop.steps.llm.baseline import BASELINE_FACT
from annoloop.steps.llm.form import FIRST
from annoloop.steps.llm.source import pin_few_shot
from annoloop.steps.sources import rules_source
from annoloop.steps.suggest import best_source
from annoloop.steps.train import train_round
from annoloop.types import Annotation

ROWS = feedback(90)


@pytest.fixture
def project(tmp_path):
    return small_project(tmp_path / "p", ROWS)


def answered_blind(project, rows=ROWS):
    ask_blind(project)
    answer_with(project, expert(project, rows), BLIND_ROUND)


def test_a_sample_is_the_same_whatever_the_order_of_the_file(tmp_path):
    texts = []
    for name, rows in (("a", ROWS), ("b", ROWS[::-1])):
        project = small_project(tmp_path / name, ROWS[:1])
        file = write_rows(tmp_path / f"{name}.jsonl", rows)
        assert add(project, [file], sample=20).read == 20
        texts.append({example.text for example in project.store.examples()})
    assert texts[0] == texts[1]


def test_a_near_duplicate_of_a_held_out_text_is_kept_out_of_learning(project, tmp_path):
    held_out = max(project.store.examples(split="held_out"), key=lambda eg: len(eg.text))
    copy = write_rows(tmp_path / "copy.jsonl", [{"text": held_out.text.upper() + " !!"}])
    before = project.store.example_counts()
    added = add(project, [copy], split="pool")
    assert (added.new, added.near) == (1, 1)
    assert project.store.example_counts() == before


def test_a_published_test_file_moves_texts_that_are_there_already(project, tmp_path):
    pool = project.store.examples(split="pool")[:5]
    published = write_rows(tmp_path / "test.jsonl", [{"text": example.text} for example in pool])
    assert add(project, [published], split="held_out").moved == 5
    assert {eg.input_hash for eg in pool} <= {
        eg.input_hash for eg in project.store.examples(split="held_out")
    }


def test_blind_questions_carry_no_suggestion_and_held_out_comes_first(project):
    state = ask_blind(project, limit=5)
    tasks = project.store.tasks(round=BLIND_ROUND)
    assert state.open == len(tasks) == 10
    assert [task.example.split for task in tasks] == ["held_out"] * 5 + ["dev"] * 5
    assert all(task.suggestion is None and not task.assisted for task in tasks)
    assert ask_blind(project, limit=5) == state


def test_a_round_asks_pool_texts_once_each_and_is_the_same_when_opened_again(project):
    answered_blind(project)
    first = open_round(project, 1, batch=12, source=None)
    assert open_round(project, 1, batch=99, source=None) == first
    answer_with(project, expert(project, ROWS), 1)
    open_round(project, 2, batch=12, source=None)
    asked = [task.example for number in (1, 2) for task in project.store.tasks(round=number)]
    assert len({example.input_hash for example in asked}) == len(asked) == 24
    assert {example.split for example in asked} == {"pool"}
    assert waiting(project, 1).open == 0 and waiting(project, 2).open == 12


def test_suggestions_come_from_the_source_that_is_best_on_dev(project):
    answered_blind(project)
    assert best_source(project)[0] is None
    write_rows(project.patterns, PATTERNS)
    source, why = best_source(project)
    assert source.approach == "rules" and "best on" in why
    record = open_round(project, 1, batch=30, source=source)
    tasks = project.store.tasks(round=1)
    assert len(record.tasks) == 30
    assert all(task.assisted == (task.suggestion is not None) for task in tasks)
    said = {task.suggestion.annotation.labels for task in tasks if task.suggestion}
    assert ("Aufzug",) in said
    assert {task.suggestion.source for task in tasks if task.suggestion} == {rules_source(project).name}


def test_a_source_that_is_never_right_suggests_nothing(project):
    answered_blind(project)
    write_rows(project.patterns, [{"label": "Aufzug", "pattern": "gibt es hier nicht"}])
    source, why = best_source(project)
    assert source is None and "no suggestions" in why


def test_the_llm_suggests_once_it_has_examples_and_they_stay_the_same(tmp_path):
    with FakeLLM('{"label": "irrelevant"}') as fake:
        project = small_project(tmp_path / "p", ROWS, server=fake)
        answered_blind(project)
        assert best_source(project)[0] is None and not fake.history
        open_round(project, 1, batch=20, source=None)
        answer_with(project, expert(project, ROWS), 1)
        pin_few_shot(project)
        source, _ = best_source(project)
        assert source.approach == "llm"
        shown = {row.text for row in source.few_shot}
        assert shown <= {gold.example.text for gold in project.pool_gold()}
        asked = len(fake.history)
        open_round(project, 2, batch=20, source=None)
        answer_with(project, expert(project, ROWS), 2)
        pin_few_shot(project)
        assert best_source(project)[0].key == source.key
        assert len(fake.history) == asked


def trained(project):
    answered_blind(project)
    open_round(project, 1, batch=40, source=None)
    answer_with(project, expert(project, ROWS), 1)
    return train_round(project, 1)


def test_all_approaches_are_judged_on_the_same_texts(tmp_path):
    with FakeLLM('{"label": "irrelevant"}') as fake:
        project = small_project(tmp_path / "p", ROWS, server=fake)
        write_rows(project.patterns, PATTERNS)
        trained(project)
        result = evaluate(project)
        asked = len(fake.history)
        again = evaluate(project)
    # Beside the held-out texts the first dev texts, with examples and without.
    assert len(fake.history) == asked == result.held_out_texts + 2 * min(len(project.dev_gold()), FIRST)
    assert {row.approach: row.scores.texts for row in result.leaderboard} == dict.fromkeys(
        ("rules", "llm", "model"), result.held_out_texts
    )
    gold = project.held_out_gold()
    right = sum(item.annotation == Annotation(labels=("irrelevant",)) for item in gold)
    llm = next(row for row in result.leaderboard if row.approach == "llm")
    assert llm.scores.score == pytest.approx(right / len(gold))
    assert llm.tokens == 15 * result.held_out_texts
    assert again.to_json() == result.to_json()
    assert json.loads(json.dumps(result.to_json()))["rounds"][0]["score"] == result.rounds[0].held_out.score


def test_a_wheel_is_built_from_a_relative_path_with_its_evidence(project, tmp_path, monkeypatch):
    trained(project)
    project.store.set_fact(BASELINE_FACT, {"name": "mine", "tried": 7, "settings": "llm:gone"})
    monkeypatch.chdir(tmp_path)
    made = export(Project.open("p"), Path("out"), environment="shared")
    assert made.wheel.parent == tmp_path / "out"
    with zipfile.ZipFile(made.wheel) as wheel:
        meta = json.loads(wheel.read("de_small/meta.json"))
        assert not [name for name in wheel.namelist() if name.endswith(("train.spacy", "dev.spacy"))]
    evidence = meta["annoloop"]
    assert evidence["data"]["pool"]["texts"] == 40
    assert evidence["held_out"]["simulated"] == evidence["held_out"]["texts"] > 0
    assert evidence["verdict"]["decision"] == "no_llm"
    adopted = evidence["llm_baseline"]
    assert (adopted["name"], adopted["tried"], adopted["in_force"]) == ("mine", 7, False)
    row = next(row for row in evidence["leaderboard"] if row["approach"] == "model")
    assert len(row["interval"]) == 2
    assert set(LABELS) <= set(row["per_label"])


def test_without_a_model_there_is_no_wheel(project, tmp_path):
    with pytest.raises(PackagingError, match="no trained model"):
        export(project, tmp_path / "out")
    assert not (tmp_path / "out").exists()
