"""A store of an earlier annoloop, with answers in it, opened by this one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from sqlalchemy import create_engine, text

from annoloop.hashing import input_hash
from annoloop.store import engine as engine_module
from annoloop.store.ledger import Ratios
from annoloop.store.schema import metadata
from annoloop.store.store import Store

A = '{"labels":[],"spans":[[0,1,"A"]]}'
NONE = '{"labels":[],"spans":[]}'
TEXTS = ("open", "done", "skipped", "same", "differ", "undone")
# Text, annotator, verdict, annotation, seq, retracted.
SAID = [
    ("done", "ada", "accept", A, 1, False),
    ("skipped", "ada", "ignore", NONE, 2, False),
    ("same", "ada", "accept", A, 3, False),
    ("same", "bob", "accept", A, 4, False),
    ("differ", "ada", "accept", A, 5, False),
    ("differ", "bob", "reject", A, 6, False),
    ("undone", "ada", "accept", A, 7, False),
    ("undone", "ada", "accept", A, 8, True),
]
# More than one portion of the migration, and one that says nothing of itself.
RESPONSES = [
    {"key": "bare", "response": "{}"},
    *(
        {
            "key": f"k{number:063}",
            "response": json.dumps(
                {
                    "status": "malformed" if number == 0 else "ok",
                    "model": "Größe 👍\0",
                    "prompt": "İ" * 7,
                    "content": "[]",
                    "prompt_tokens": 3,
                    "completion_tokens": 2,
                    "cost": None if number == 0 else 0.5,
                    "milliseconds": 9,
                }
            ),
        }
        for number in range(1001)
    ),
]


def first_store(url: str) -> None:
    """A store at revision 0001, as that annoloop left it."""
    engine = create_engine(url)
    config = Config()
    config.set_main_option("script_location", str(Path(engine_module.__file__).parent / "migrations"))
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "0001")
        for table in ("examples", "tasks", "answers", "in_force"):
            for row in rows(table):
                names = ", ".join(row)
                values = ", ".join(f":{name}" for name in row)
                connection.execute(text(f"INSERT INTO {table} ({names}) VALUES ({values})"), row)
        connection.execute(text("INSERT INTO leases VALUES ('t-open', 'ada', 'tab', 600.0)"))
        connection.execute(text("INSERT INTO llm_responses VALUES (:key, :response)"), RESPONSES)
    engine.dispose()


def rows(table: str) -> list[dict[str, Any]]:
    hashes = {name: input_hash(name) for name in TEXTS}
    answered = {name: len({s[1] for s in SAID if s[0] == name} if name != "undone" else ()) for name in TEXTS}
    match table:
        case "examples":
            return [{"input_hash": hashes[n], "text": n, "meta": "{}", "split": "pool"} for n in TEXTS]
        case "tasks":
            asked = {"assisted": False, "rank": 0.0}
            return [
                {
                    "task_hash": f"t-{n}",
                    "input_hash": hashes[n],
                    "round": i % 2,
                    "answered": answered[n],
                    **asked,
                }
                for i, n in enumerate(TEXTS)
            ]
        case "answers":
            fixed = {"milliseconds": 5, "blind": True, "simulated": False}
            return [
                {"answer_id": f"id-{seq}", "task_hash": f"t-{name}", "input_hash": hashes[name],
                 "annotator": who, "verdict": verdict, "annotation": said, "seq": seq, "retracted": retracted,
                 **fixed}
                for name, who, verdict, said, seq, retracted in SAID
            ]  # fmt: skip
    newest = {(name, who): (seq, retracted) for name, who, _, _, seq, retracted in SAID}
    return [
        {"input_hash": hashes[name], "annotator": who, "answer_id": f"id-{seq}", "task_hash": f"t-{name}",
         "seq": seq, "retracted": retracted}
        for (name, who), (seq, retracted) in newest.items()
    ]  # fmt: skip


def check(store: Store) -> None:
    """All is there, and what was derived is as if this annoloop had saved the answers itself."""
    with store.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": False})
        assert compare_metadata(context, metadata) == []
    progress = store.progress("ada")
    assert progress.per_round == {0: (2, 1), 1: (2, 1)}
    assert (progress.same, progress.differ, progress.answers, progress.changed) == (1, 1, 4, 0)
    assert {a.answer_id for a in store.answers_in_force()} == {f"id-{n}" for n in range(1, 7)}
    assert all((a.comment, a.flagged, a.adjudicated) == ("", False, False) for a in store.answer_history())
    leased = store.lease_tasks("ada", "tab", want=9, now=0)
    assert [task.example.text for task in leased] == ["open", "undone", "skipped"]
    assert [task.example.text for task in store.lease_disputed("rev", "r", want=9, now=0)] == ["differ"]
    check_ledger(store)


def check_ledger(store: Store) -> None:
    """Each response that was there has one call, which says only what is known of it."""
    calls = list(store.llm_calls())
    assert sorted(call.key for call in calls) == sorted(row["key"] for row in RESPONSES)
    assert {(call.purpose, call.at, call.run, call.input_hash) for call in calls} == {
        ("before", 0, None, None)
    }
    (last,) = store.llm_calls(key=RESPONSES[-1]["key"])
    assert (last.model, last.characters, last.cost, last.milliseconds) == ("Größe 👍", 7, 0.5, 9)
    bare, known = store.spend()
    assert (bare.model, bare.calls, bare.cost, bare.unpriced) == ("", 1, None, 1)
    assert (known.calls, known.answers, known.prompt_tokens, known.completion_tokens) == (
        1001,
        1001,
        3003,
        2002,
    )
    assert (known.cost, known.unpriced, known.texts) == (500.0, 1, 1001)
    assert store.ratios("Größe 👍") == Ratios(7 / 3, 2.0)
    assert store.responses.get(RESPONSES[-1]["key"]) == json.loads(RESPONSES[-1]["response"])


def test_an_earlier_store_is_brought_up_to_date_with_all_its_answers(tmp_path: Path) -> None:
    path = tmp_path / "project.sqlite"
    first_store(f"sqlite:///{path}")
    with Store.open(path) as store:
        check(store)
    with Store.open(path) as again, pytest.raises(Exception, match="append-only"), again.writing() as db:
        db.exec_driver_sql("DELETE FROM answers")
