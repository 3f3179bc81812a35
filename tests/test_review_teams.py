"""The sync call for several people: drafts, comments, adjudication, renamed labels; and what it writes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from annoloop.errors import SchemeError
from annoloop.hashing import input_hash, task_hash
from annoloop.project import Project
from annoloop.review.queue import sync
from annoloop.store.store import Store
from annoloop.types import Annotation, Example, LabelScheme, Span, Suggestion, Task

NER = LabelScheme("ner", ("BRAND", "SHOP"))


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(tmp_path / "p.sqlite") as store:
        yield store


def fill(store: Store, count: int, *, wanted: int = 1, suggestion: Suggestion | None = None) -> list[Task]:
    tasks = []
    for number in range(count):
        example = Example(input_hash(f"Nike {number}"), f"Nike {number}")
        name = task_hash(example.input_hash, "ner", NER.labels)
        tasks.append(Task(name, example, suggestion, suggestion is not None, -number, 1, wanted))
    store.add_examples(task.example for task in tasks)
    store.add_tasks(tasks)
    return tasks


def answer(task: Task, seq: int, *spans: list[Any], verdict: str = "accept", **more: Any) -> dict[str, Any]:
    made = {"answer_id": f"id-{seq}", "task_hash": task.task_hash, "seq": seq, "verdict": verdict}
    return {**made, "labels": [], "spans": list(spans), "milliseconds": 900, **more}


def draft(task: Task, seq: int, *spans: list[Any], **more: Any) -> dict[str, Any]:
    content = {"labels": [], "spans": list(spans), "comment": "", "flagged": False, "part": None, **more}
    return {"task_hash": task.task_hash, "seq": seq, "draft": content}


def call(
    store: Store,
    *answers: Any,
    who: str = "anna",
    scheme: LabelScheme = NER,
    now: float = 1000.0,
    agreement_passes: bool = True,
    **more: Any,
) -> dict[str, Any]:
    request = {"client": f"{who}'s tab", "answers": list(answers), **more}
    reply = sync(
        store,
        scheme,
        who,
        json.loads(json.dumps(request)),
        now=now,
        mode_allowed=("label", "adjudicate"),
        agreement_passes=agreement_passes,
    )
    return json.loads(json.dumps(reply))  # type: ignore[no-any-return]


def file_of(store: Store) -> Path:
    return Path(str(store.engine.url.database))


def test_a_call_that_brings_nothing_new_writes_nothing(store: Store) -> None:
    fill(store, 5)
    have = [task["task_hash"] for task in call(store, want=5)["tasks"]]
    log = file_of(store).with_name("p.sqlite-wal")
    before = log.read_bytes()
    for now in (1001, 1100, 1199):
        assert call(store, want=7, have=have, now=now)["tasks"] == []
    assert log.read_bytes() == before
    call(store, want=7, have=have, now=1201)
    assert log.read_bytes() != before


def test_answers_drafts_and_leases_are_one_transaction(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second, _ = fill(store, 3)
    monkeypatch.setattr(store, "lease", lambda *_, **__: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        call(store, answer(first, 1), drafts=[draft(second, 2)])
    monkeypatch.undo()
    assert store.answer_count() == 0 and store.drafts_of("anna", [second.task_hash]) == {}
    assert store.progress("anna").answers == 0


def test_a_draft_survives_is_ones_own_and_ends_with_the_answer(store: Store) -> None:
    task, other = fill(store, 2)
    begun = draft(task, 7, [1, 3, "SHOP"], comment="hm \x00 \ud83d", flagged=True, part=2)
    stale = draft(other, 5)
    reply = call(store, drafts=[begun, draft(task, 6), stale, "nonsense", draft(task, 8, ["x"])])
    assert set(reply["drafted"]) == {task.task_hash, other.task_hash}
    shown = call(store, want=1)["tasks"][0]
    assert shown["draft"] == {**begun["draft"], "seq": 7}
    assert [token[0] for token in shown["tokens"]] == ["N", "ik", "e", "0"]
    assert all(task["draft"] is None for task in call(store, want=2, who="ben")["tasks"])
    # The answer was decided after this draft, though the draft arrives later.
    call(store, answer(task, 9))
    call(store, drafts=[draft(task, 8)])
    assert store.drafts_of("anna", [task.task_hash]) == {}
    # Opened again and begun anew before the answer was sent.
    call(store, answer(other, 11), drafts=[draft(task, 10), draft(other, 12)])
    assert store.drafts_of("anna", [other.task_hash])[other.task_hash].seq == 12
    assert store.drafts_of("anna", [task.task_hash])[task.task_hash].seq == 10


@pytest.mark.parametrize(
    "comment", ["", "naïve 👍", "null \0 byte", "half \ud83d", "\x01", '\x01"x"', "x" * 10_000]
)
def test_any_comment_comes_back(store: Store, comment: str) -> None:
    (task,) = fill(store, 1)
    call(store, answer(task, 1, comment=comment, flagged=True))
    (saved,) = store.answers_in_force()
    assert saved.comment == comment and saved.flagged
    (entry,) = call(store, before=None)["history"]
    assert entry["answer"]["comment"] == comment and entry["answer"]["flagged"]


def test_a_comment_too_long_is_refused_with_the_reason(store: Store) -> None:
    (task,) = fill(store, 1)
    reply = call(store, answer(task, 1, comment="x" * 10_001), answer(task, 2, comment=["x"]))
    assert [refused["reason"] for refused in reply["refused"]] == [
        "the comment has 10001 characters (10000 is the longest; shorten it)",
        "the comment is not a text",
    ]


def test_skipped_texts_come_again_at_the_end(store: Store) -> None:
    tasks = fill(store, 3)
    call(store, answer(tasks[0], 1, verdict="ignore"))
    shown = call(store, want=3)["tasks"]
    assert [(task["task_hash"], task["again"]) for task in shown] == [
        (tasks[1].task_hash, False),
        (tasks[2].task_hash, False),
        (tasks[0].task_hash, True),
    ]


def test_a_reviewer_sees_every_version_and_decides(store: Store) -> None:
    said = Suggestion(Annotation((), (Span(0, 2, "BRAND"),)), 0.5, "rules", "because")
    task, agreed = fill(store, 2, wanted=2, suggestion=said)
    call(store, answer(task, 1, [0, 4, "BRAND"], comment="sure"), answer(agreed, 2))
    call(store, answer(task, 3, [1, 4, "SHOP"]), answer(agreed, 4), who="ben")
    with pytest.raises(SchemeError, match="not allowed"):
        sync(store, NER, "rita", {"client": "t", "mode": "adjudicate"}, now=1000.0)
    reply = call(store, who="rita", mode="adjudicate", want=9)
    assert reply["progress"]["disputed"] == 1 and reply["progress"]["mine"] == 0
    (shown,) = reply["tasks"]
    assert [(v["annotator"], v["spans"], v["comment"]) for v in shown["versions"]] == [
        ("anna", [[0, 4, "BRAND"]], "sure"),
        ("ben", [[1, 4, "SHOP"]], ""),
    ]
    assert shown["suggestion"] is None and shown["assisted"] is False and shown["wanted"] == 2
    assert [token[0] for token in shown["tokens"]] == ["N", "ike", "0"]
    decided = call(store, answer(task, 5, [1, 4, "SHOP"]), who="rita", mode="adjudicate", want=9, before=None)
    assert decided["progress"]["disputed"] == 0 and decided["progress"]["mine"] == 1
    assert [entry["answer"]["seq"] for entry in decided["history"]] == [5]
    assert len(decided["history"][0]["task"]["versions"]) == 2
    assert "disputed" not in call(store)["progress"]
    assert (call(store)["progress"]["changed"], call(store, who="ben")["progress"]["changed"]) == (1, 0)
    everything = call(store, who="rita", mode="adjudicate", want=9, agreement_passes=False)
    assert [shown["task_hash"] for shown in everything["tasks"]] == [agreed.task_hash]
    undone = call(
        store, answer(task, 6, retracted=True), who="rita", mode="adjudicate", have=[task.task_hash]
    )
    assert undone["progress"]["disputed"] == 1 and undone["gone"] == []


def test_labels_renamed_or_gone_while_a_text_is_open(store: Store) -> None:
    said = Suggestion(Annotation((), (Span(0, 4, "SHOP"), Span(5, 6, "GONE"))), 0.5, "rules")
    first, second = fill(store, 2, suggestion=said)
    scheme = LabelScheme("ner", ("BRAND", "STORE"), renamed={"SHOP": "STORE"})
    call(store, answer(first, 1, [0, 4, "SHOP"]))
    call(store, drafts=[draft(second, 2, [0, 2, "SHOP"])])
    reply = call(store, scheme=scheme, want=1, before=None)
    (shown,), (entry,) = reply["tasks"], reply["history"]
    assert shown["suggestion"]["spans"] == [[0, 4, "STORE"]]
    assert shown["draft"]["spans"] == [[0, 2, "STORE"]]
    assert entry["answer"]["spans"] == [[0, 4, "STORE"]]
    after = call(store, answer(second, 3, [0, 4, "SHOP"]), answer(first, 4, [5, 6, "GONE"]), scheme=scheme)
    assert after["acked"] == ["id-3"] and "'GONE' is not in the project" in after["refused"][0]["reason"]
    assert store.answers_in_force()[-1].annotation.spans == (Span(0, 4, "STORE"),)


def test_undo_after_the_round_is_over_opens_the_text_again_to_its_annotator(store: Store) -> None:
    tasks = fill(store, 2)
    call(store, answer(tasks[0], 1), answer(tasks[1], 2))
    later = replace(tasks[0], task_hash="later", example=Example("0" * 32, "later"), round=2)
    store.add_examples([later.example])
    store.add_tasks([later])
    reply = call(store, answer(tasks[0], 3, retracted=True), have=[tasks[0].task_hash])
    assert reply["progress"]["rounds"] == {"1": [1, 1], "2": [0, 1]} and reply["gone"] == []
    assert [t["task_hash"] for t in call(store, want=5, who="ben")["tasks"]] == ["later"]
    call(store, answer(tasks[0], 4, [0, 4, "BRAND"]))
    assert store.progress().per_round == {1: (2, 0), 2: (0, 1)}


def test_ids_that_no_database_takes_are_refused_alone(store: Store) -> None:
    task, other = fill(store, 2)
    reply = call(
        store, answer(task, 1, answer_id="a\0b"), answer(task, 2, task_hash="\ud83d"), answer(other, 3)
    )
    assert reply["acked"] == ["id-3"] and len(reply["refused"]) == 2
    # An id names one answer for ever: the first that came with it.
    call(store, answer(task, 4, answer_id="id-3"))
    assert [saved.task_hash for saved in store.answer_history()] == [other.task_hash]


def test_a_share_of_the_texts_is_asked_of_several(tmp_path: Path) -> None:
    project = Project.create(tmp_path / "p", kind="ner", labels=["A"])
    text = "\n[review]\noverlap = 0.3\nannotators = 3\n"
    with (project.folder / "annoloop.cfg").open("a", encoding="utf8") as file:
        file.write(text)
    project = Project.open(project.folder)
    wanted = [
        project.task(Example(input_hash(str(number)), str(number)), number=1).wanted for number in range(400)
    ]
    assert set(wanted) == {1, 3} and 80 < wanted.count(3) < 160
