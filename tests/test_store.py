"""The store: nothing typed is lost, nothing is doubled, and the tables are what the migrations make."""

from __future__ import annotations

import json
import sqlite3
import threading
from dataclasses import replace
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from hypothesis import given, settings
from hypothesis import strategies as st

from annoloop.errors import StoreError
from annoloop.hashing import input_hash, task_hash
from annoloop.store.rows import round_from_json, round_to_json, suggestion_from_json, suggestion_to_json
from annoloop.store.schema import metadata
from annoloop.store.store import Store
from annoloop.types import Annotation, Answer, Example, Round, Scores, Span, Suggestion, Task

TEXTS = ("Levi's or Gap?", "naïve 👩‍👩‍👧 café", "שלום Adidas\r\nİstanbul", "null \0 byte", "lone \ud83d half")


def example(text: str, split: str = "pool") -> Example:
    return Example(input_hash(text), text, {"source": "test"}, split)  # type: ignore[arg-type]


def task(text: str, *, number: int = 0, priority: float = 0.0, assisted: bool = False) -> Task:
    eg = example(text)
    suggestion = Suggestion(Annotation(spans=(Span(0, 1, "A"),)), 0.5, "rules") if assisted else None
    return Task(task_hash(eg.input_hash, "ner", ("A",)), eg, suggestion, assisted, priority, number)


def answer(question: Task, answer_id: str, *, seq: int = 1, annotator: str = "ada", **more: object) -> Answer:
    made = Answer(
        answer_id,
        question.task_hash,
        question.example.input_hash,
        "accept",
        Annotation(),
        annotator,
        900,
        seq,
    )
    return replace(made, **more)  # type: ignore[arg-type]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store.open(tmp_path / "project.sqlite")


def filled(store: Store, *texts: str) -> list[Task]:
    questions = [task(text) for text in texts]
    store.add_examples(question.example for question in questions)
    store.add_tasks(questions)
    return questions


def test_texts_come_back_code_point_by_code_point(store: Store) -> None:
    made = [example(text) for text in TEXTS]
    assert store.add_examples(made) == len(TEXTS)
    assert list(store.examples()) == made
    assert store.add_examples(made) == 0


@settings(max_examples=30)
@given(st.lists(st.text(min_size=1), min_size=1, max_size=5, unique=True))
def test_any_text_survives(tmp_path_factory: pytest.TempPathFactory, texts: list[str]) -> None:
    with Store.open(tmp_path_factory.mktemp("any") / "project.sqlite") as store:
        store.add_examples(example(text) for text in texts)
        assert [eg.text for eg in store.examples()] == texts


def test_migrations_make_the_tables_of_the_schema(store: Store) -> None:
    with store.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": False})
        assert compare_metadata(context, metadata) == []


def test_answers_are_appended_once_and_never_changed(store: Store, tmp_path: Path) -> None:
    (question,) = filled(store, "one")
    first = answer(question, "id-1")
    assert store.save_answers([first, first]) == ("id-1",)
    assert store.save_answers([replace(first, verdict="reject")]) == ("id-1",)
    assert store.answer_history() == (first,)
    raw = sqlite3.connect(tmp_path / "project.sqlite")
    for statement in ("UPDATE answers SET verdict = 'reject'", "DELETE FROM answers"):
        with pytest.raises(sqlite3.IntegrityError, match="append-only"):
            raw.execute(statement)


def test_the_highest_seq_is_in_force_whatever_the_order_of_arrival(store: Store) -> None:
    (question,) = filled(store, "one")
    late = answer(question, "late", seq=20, annotation=Annotation(spans=(Span(0, 3, "A"),)))
    store.save_answers([late])
    store.save_answers([answer(question, "early", seq=10)])
    assert store.answers_in_force() == (late,)
    assert len(store.answer_history()) == 2


def test_undo_appends_and_opens_the_task_again(store: Store) -> None:
    question, other = filled(store, "one", "two")
    store.save_answers([answer(question, "a", seq=1), answer(other, "b", seq=2)])
    assert store.progress().open == 0
    store.save_answers([answer(question, "undo", seq=3, retracted=True)])
    assert [a.answer_id for a in store.answers_in_force()] == ["b"]
    assert store.progress().per_round == {0: (1, 1)}
    assert [t.task_hash for t in store.tasks(open_only=True)] == [question.task_hash]


def test_tasks_are_asked_by_round_and_priority(store: Store) -> None:
    questions = [
        task("late", number=2, priority=9),
        task("low", number=1, priority=0.1),
        task("high", number=1, priority=0.9, assisted=True),
    ]
    store.add_examples(question.example for question in questions)
    assert store.add_tasks(questions) == 3
    assert store.add_tasks(questions) == 0
    assert [t.example.text for t in store.tasks()] == ["high", "low", "late"]
    assert store.tasks()[0] == questions[2]


def test_a_text_answered_before_it_was_asked_is_done(store: Store) -> None:
    question = task("known")
    store.add_examples([question.example])
    store.save_answers([answer(question, "import")])
    store.add_tasks([question])
    assert store.progress().per_round == {0: (1, 0)}


def test_leases_keep_people_apart_and_end_by_themselves(store: Store) -> None:
    questions = filled(store, "one", "two", "three")
    first = store.lease_tasks("ada", "tab1", want=2, now=0)
    second = store.lease_tasks("bob", "tab2", want=5, now=1)
    assert len(first) == 2 and len(second) == 1
    assert {t.task_hash for t in first + second} == {q.task_hash for q in questions}
    again = store.lease_tasks("ada", "tab1", want=2, now=2)
    assert {t.task_hash for t in again} == {t.task_hash for t in first}
    renewed = [first[0].task_hash]
    store.lease_tasks("ada", "tab1", want=0, have=renewed, now=500)
    free = store.lease_tasks("bob", "tab2", want=5, have=[second[0].task_hash], now=700)
    assert {t.task_hash for t in free} == {first[1].task_hash}


def test_undo_takes_a_task_back_from_whoever_holds_it(store: Store) -> None:
    (question,) = filled(store, "one")
    store.lease_tasks("bob", "tab", want=1, now=0)
    assert store.take_lease(question.task_hash, "ada", "tab", now=1) == question
    assert store.take_lease("f" * 32, "ada", "tab", now=1) is None


def test_threads_and_processes_share_one_store(tmp_path: Path) -> None:
    path = tmp_path / "project.sqlite"
    with Store.open(path) as store:
        questions = filled(store, *(f"text {i}" for i in range(40)))

    def work(name: str) -> None:
        with Store.open(path) as own:
            for question in questions:
                own.save_answers([answer(question, f"{name}-{question.task_hash}", annotator=name)])

    threads = [threading.Thread(target=work, args=(f"annotator-{i}",)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with Store.open(path) as store:
        assert store.answer_count() == 160
        assert len(store.answers_in_force()) == 160
        assert store.progress().open == 0


def test_a_locked_store_saves_nothing_and_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("annoloop.store.engine.BUSY_SECONDS", 0.05)
    store = Store.open(tmp_path / "project.sqlite")
    (question,) = filled(store, "one")
    holder = sqlite3.connect(tmp_path / "project.sqlite", isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreError, match="another process holds it"):
        store.save_answers([answer(question, "a")])
    holder.execute("ROLLBACK")
    assert store.answer_count() == 0
    assert store.save_answers([answer(question, "a")]) == ("a",)


def test_a_full_disk_saves_all_or_nothing(store: Store) -> None:
    questions = filled(store, *(f"text {i}" for i in range(50)))
    store.save_answers([answer(questions[0], "before")])
    with store.engine.connect() as connection:
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar()
        connection.exec_driver_sql(f"PRAGMA max_page_count = {pages}")
    big = Annotation(spans=tuple(Span(i, i + 1, "A" * 50) for i in range(500)))
    with pytest.raises(StoreError, match="disk space"):
        store.save_answers([answer(q, f"big-{i}", annotation=big) for i, q in enumerate(questions)])
    assert [a.answer_id for a in store.answer_history()] == ["before"]


def test_what_is_not_a_store_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "project.sqlite"
    path.write_bytes(b"this is no database" * 100)
    with pytest.raises(StoreError, match="restore it from a backup"):
        Store.open(path)
    with pytest.raises(StoreError, match="does not exist"):
        Store.open(tmp_path / "nowhere" / "project.sqlite")
    with pytest.raises(StoreError, match="not a database URL"):
        Store.open("nonsense")


def test_a_newer_store_is_refused(tmp_path: Path) -> None:
    Store.open(tmp_path / "project.sqlite").close()
    raw = sqlite3.connect(tmp_path / "project.sqlite")
    raw.execute("UPDATE alembic_version SET version_num = '9999'")
    raw.commit()
    with pytest.raises(StoreError, match="newer annoloop"):
        Store.open(tmp_path / "project.sqlite")


def test_results_read_back_equal(store: Store) -> None:
    scores = Scores(10, 0.5, None, 0.25, None, (0.1, 0.9), {})
    record = Round(1, "random", 7, ("t1", "t2"), 50, "models/round-1", "ner", "f00d", scores, None)
    store.save_round(replace(record, model=None))
    store.save_round(record)
    assert store.rounds() == (record,)
    said = Annotation(spans=(Span(1, 2, "A"),))
    store.save_predictions("llm", {"a": said, "b": None}, details={"b": {"status": "failed"}})
    assert store.predictions("llm") == {"a": (said, {}), "b": (None, {"status": "failed"})}
    assert store.predictions("llm", hashes=["a"]) == {"a": (said, {})}
    store.set_fact("seed", {"value": 1})
    assert store.fact("seed") == {"value": 1} and store.fact("none", 3) == 3


def test_the_first_response_under_a_key_stays(store: Store) -> None:
    store.responses.put("k", {"text": "İ 👍"})
    store.responses.put("k", {"text": "other"})
    assert store.responses.get("k") == {"text": "İ 👍"}
    assert store.responses.get("none") is None and len(store.responses) == 1


def test_excluded_texts_stay_out(store: Store) -> None:
    store.add_examples([example("a"), example("b")], excluded={input_hash("b"): "near a held-out text"})
    store.exclude_examples({input_hash("a"): "why not"})
    assert store.examples() == () and store.excluded_count() == 2
    assert len(store.examples(excluded=True)) == 2
    assert store.example_counts() == {"pool": 0, "dev": 0, "held_out": 0}


def test_suggestions_and_rounds_of_earlier_stores_are_read() -> None:
    said = Suggestion(Annotation(spans=(Span(0, 1, "A"),)), None, "llm", "why", ("İ 👍", "half \ud83d"))
    assert suggestion_from_json(suggestion_to_json(said)) == said
    # As they were written before there was `unplaced`, and they still are where there is none.
    cell = '{"annotation":{"labels":[],"spans":[[0,1,"A"]]},"score":null,"source":"llm","reason":"why"}'
    assert suggestion_from_json(cell) == replace(said, unplaced=())
    assert suggestion_to_json(replace(said, unplaced=())) == cell
    record = Round(1, "random", 0, joined="fill", dev_seeds=(0.5, 0.6))
    assert round_from_json(round_to_json(record)) == record
    value = json.loads(round_to_json(record))
    del value["joined"], value["dev_seeds"]
    assert round_from_json(json.dumps(value)) == replace(record, joined=None, dev_seeds=())
