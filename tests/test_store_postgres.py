"""The store on a real PostgreSQL server, started here in a folder of its own."""

from __future__ import annotations

import getpass
import os
import shutil
import subprocess
import threading
import uuid
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
import test_store_leases
import test_store_ledger
import test_store_migrations
import test_store_standing
from sqlalchemy import create_engine

from annoloop.errors import StoreError
from annoloop.hashing import input_hash, task_hash
from annoloop.review.queue import sync
from annoloop.store.drafts import Draft
from annoloop.store.store import Store
from annoloop.types import Annotation, Answer, Example, LabelScheme, Span, Task

FOUND = sorted(Path("/usr/lib/postgresql").glob("*/bin/pg_ctl"))
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not FOUND, reason="no PostgreSQL server here: apt-get install postgresql"),
]


def run(*command: str) -> None:
    # The server refuses to run as root.
    prefix = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
    subprocess.run([*prefix, *command], check=True, capture_output=True, cwd="/")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = Path("/tmp") / f"annoloop-postgres-{os.getpid()}"
    folder.mkdir()
    user = "postgres" if os.geteuid() == 0 else getpass.getuser()
    if os.geteuid() == 0:
        shutil.chown(folder, "postgres")
    binaries, cluster = FOUND[-1].parent, folder / "cluster"
    run(str(binaries / "initdb"), "-D", str(cluster), "-E", "UTF8", "--locale", "C.UTF-8")
    options = f"-k {folder} -c listen_addresses=''"
    run(str(binaries / "pg_ctl"), "-D", str(cluster), "-o", options, "-l", str(folder / "log"), "-w", "start")
    try:
        yield f"postgresql+psycopg://{user}@/postgres?host={folder}"
    finally:
        run(str(binaries / "pg_ctl"), "-D", str(cluster), "-m", "immediate", "stop")
        shutil.rmtree(folder)


@pytest.fixture
def empty(server: str) -> Iterator[str]:
    """The URL of a database of its own."""
    name = f"test_{uuid.uuid4().hex}"
    engine = create_engine(server, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.exec_driver_sql(f"CREATE DATABASE {name}")
    yield server.replace("/postgres?", f"/{name}?")
    engine.dispose()


def test_a_project_lives_on_postgresql(server: str) -> None:
    texts = ["Levi's 👩‍👩‍👧", "null \0 byte", "half \ud83d surrogate", "İstanbul\r\n"]
    examples = [Example(input_hash(text), text, {"row": i}) for i, text in enumerate(texts)]
    tasks = [
        Task(task_hash(eg.input_hash, "ner", ("A",)), eg, None, False, float(i), 1)
        for i, eg in enumerate(examples)
    ]
    with Store.open(server) as store:
        assert store.add_examples(examples) == 4
        assert list(store.examples()) == examples
        store.add_tasks(tasks)
        leased = store.lease_tasks("ada", "tab", want=2, now=0)
        assert [task.example.text for task in leased] == [texts[3], texts[2]]
        said = Annotation(spans=(Span(0, 4, "A"),))
        answer = Answer(
            "id", tasks[0].task_hash, examples[0].input_hash, "accept", said, "ada", 5, 1_900_000_000_000_000
        )
        store.save_answers([answer, answer])
    with Store.open(server) as again:
        assert again.answers_in_force() == (answer,)
        assert again.progress().per_round == {1: (1, 3)}
        again.responses.put("key", {"content": "İ"})
        assert again.responses.get("key") == {"content": "İ"}


def test_answers_are_append_only_there_too(server: str) -> None:
    with Store.open(server) as store, pytest.raises(StoreError, match="append-only"), store.writing() as db:
        db.exec_driver_sql("DELETE FROM answers")


def test_calls_duels_and_choices_are_kept_there_too(empty: str) -> None:
    with Store.open(empty) as store:
        test_store_ledger.check_everything(store)


def test_an_earlier_store_is_brought_up_to_date(empty: str) -> None:
    test_store_migrations.first_store(empty)
    with Store.open(empty) as store:
        test_store_migrations.check(store)


def test_counts_and_leases_stand_under_concurrent_writers(empty: str) -> None:
    with Store.open(empty) as store:
        tasks = test_store_leases.ask(store, 20, wanted=2)
    people = ("ada", "bob", "eve", "ron")
    leased: dict[str, list[Task]] = {}

    def work(who: str) -> None:
        with Store.open(empty) as own:
            leased[who] = [
                task for _ in range(10) for task in own.lease_tasks(who, uuid.uuid4().hex, want=1, now=0)
            ]
            for seq, task in enumerate(tasks[:10], 1):
                test_store_leases.say(own, task, who, seq, said=int(who == "eve"))

    threads = [threading.Thread(target=work, args=(who,)) for who in people]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    handed = Counter(task.task_hash for given in leased.values() for task in given)
    assert handed and max(handed.values()) <= 2
    with Store.open(empty) as store:
        for who in people:
            assert store.progress(who) == test_store_standing.recounted(store, who)
        assert store.progress().differ == 10 and store.answer_count() == 40


def test_what_no_database_holds_survives_in_comments_and_drafts(empty: str) -> None:
    comments = ["null \0 byte", "half \ud83d", "\x01", "Über 100%"]
    with Store.open(empty) as store:
        tasks = test_store_leases.ask(store, 4)
        for seq, (task, comment) in enumerate(zip(tasks, comments, strict=True)):
            store.save_drafts("ada", [Draft(task.task_hash, seq, {"comment": comment})])
            test_store_leases.say(store, task, "ada", seq, comment=comment)
        assert [answer.comment for answer in store.answers_in_force()] == comments
        kept = store.drafts_of("ada", [task.task_hash for task in tasks])
        assert [kept[task.task_hash].content["comment"] for task in tasks] == comments
        for text, found in (("über", 1), ("100%", 1), ("TEXT", 4), ("\0", 4), ("_", 0)):
            assert len(store.search_answers("ada", text=text)) == found


def test_a_call_of_the_page_works_there(empty: str) -> None:
    with Store.open(empty) as store:
        tasks = test_store_leases.ask(store, 3, wanted=2)
        scheme = LabelScheme("ner", ("A",))
        said = {"task_hash": tasks[0].task_hash, "labels": [], "milliseconds": 5, "verdict": "accept"}
        for seq, (who, spans) in enumerate([("ada", [[0, 1, "A"]]), ("bob", [])], 1):
            answer = {**said, "answer_id": f"id-{seq}", "seq": seq, "spans": spans}
            reply = sync(store, scheme, who, {"client": who, "answers": [answer], "want": 9, "before": None})
            assert reply["acked"] == [f"id-{seq}"] and len(reply["tasks"]) == 2
        request = {"client": "rev", "mode": "adjudicate", "want": 9}
        (disputed,) = sync(store, scheme, "rev", request, mode_allowed=("adjudicate",))["tasks"]
        assert [version["annotator"] for version in disputed["versions"]] == ["ada", "bob"]


def test_a_server_that_is_down_is_one_clear_error() -> None:
    with pytest.raises(StoreError, match="nowhere"):
        Store.open("postgresql+psycopg://ada@/nowhere?host=/nonexistent")
