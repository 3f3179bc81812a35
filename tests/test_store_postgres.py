"""The store on a real PostgreSQL server, started here in a folder of its own."""

from __future__ import annotations

import getpass
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from annoloop.errors import StoreError
from annoloop.hashing import input_hash, task_hash
from annoloop.store.store import Store
from annoloop.types import Annotation, Answer, Example, Span, Task

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


def test_a_server_that_is_down_is_one_clear_error() -> None:
    with pytest.raises(StoreError, match="nowhere"):
        Store.open("postgresql+psycopg://ada@/nowhere?host=/nonexistent")
