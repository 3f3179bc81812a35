"""History: all of one's own answers, found by what is written in the text or the comment."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from annoloop.errors import SchemeError
from annoloop.hashing import input_hash, task_hash
from annoloop.review.history import search
from annoloop.store.store import Store
from annoloop.types import Annotation, Answer, Example, LabelScheme, Span, Task

NER = LabelScheme("ner", ("BRAND", "SHOP"))
TEXTS = ("Nike 100% cotton", "Über den Wolken", "x_y under score", "null \0 Nike", "plain", "gap")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(tmp_path / "p.sqlite") as store:
        store.add_examples(task(number).example for number in range(len(TEXTS)))
        store.add_tasks(task(number) for number in range(len(TEXTS)))
        yield store


def task(number: int) -> Task:
    example = Example(input_hash(TEXTS[number]), TEXTS[number])
    return Task(task_hash(example.input_hash, "ner", NER.labels), example, None, False, 0.0, 1, 2)


def say(store: Store, number: int, seq: int, who: str = "anna", **more: Any) -> None:
    asked = task(number)
    made = Answer(
        f"{who}-{seq}", asked.task_hash, asked.example.input_hash, "accept", Annotation(), who, 1, seq
    )
    store.save_answers([replace(made, **more)])


def found(store: Store, who: str = "anna", **request: Any) -> list[str]:
    reply = json.loads(json.dumps(search(store, NER, who, request)))
    return ["".join(t + " " * b for t, b, _, _ in entry["task"]["tokens"]) for entry in reply["answers"]]


def test_search_is_literal_without_case_and_in_texts_and_comments(store: Store) -> None:
    for number in range(len(TEXTS)):
        say(store, number, number + 1, comment="Sehr ÄHNLICH 50%" if number == 4 else "")
    say(store, 0, 50, who="ben", comment="plain")
    assert found(store, text="nike") == [TEXTS[3], TEXTS[0]]
    assert found(store, text="100%") == [TEXTS[0]]
    assert found(store, text="%") == [TEXTS[4], TEXTS[0]]
    assert found(store, text="_") == [TEXTS[2]]
    assert found(store, text="über") == [TEXTS[1]]
    assert found(store, text="ähnlich") == [TEXTS[4]]
    assert found(store, text="\\") == found(store, text="\ud83d") == found(store, text="nobody") == []
    assert found(store, who="ben") == [TEXTS[0]] and found(store, who="eve") == []


def test_pages_reach_every_answer_once_even_at_one_moment(store: Store) -> None:
    for number in range(len(TEXTS)):
        say(store, number, 7 if number < 4 else 9, answer_id=f"id-{number}")
    first = search(store, NER, "anna", {"limit": 3})
    assert first["more"] is False and len(first["answers"]) == 6
    for number in range(len(TEXTS)):
        say(store, number, 100 + number)
    seen, before, more = [], None, True
    while more:
        reply = search(store, NER, "anna", {"limit": 2, "before": before})
        seen += [entry["answer"]["seq"] for entry in reply["answers"]]
        before, more = seen[-1], reply["more"]
    assert seen == [105, 104, 103, 102, 101, 100]


def test_only_flagged_commented_skipped_or_changed(store: Store) -> None:
    say(store, 0, 1_700_000_000_000_001, flagged=True)
    say(store, 1, 2, comment="why")
    say(store, 2, 3, verdict="ignore")
    say(store, 3, 4)
    say(store, 3, 5, retracted=True)
    say(store, 4, 6, annotation=Annotation((), (Span(0, 5, "SHOP"),)))
    say(
        store,
        4,
        7,
        who="rita",
        adjudicated=True,
        comment="no",
        annotation=Annotation((), (Span(0, 2, "OLD"),)),
    )
    assert found(store, only="flagged") == [TEXTS[0]]
    assert found(store, only="commented") == [TEXTS[1]]
    assert found(store, only="skipped") == [TEXTS[2]]
    scheme = replace(NER, renamed={"OLD": "BRAND"})
    (entry,) = search(store, scheme, "anna", {"only": "changed"})["answers"]
    assert entry["changed"] == {
        "by": "rita", "verdict": "accept", "labels": [], "spans": [[0, 2, "BRAND"]], "comment": "no"
    }  # fmt: skip
    assert entry["answer"]["spans"] == [[0, 5, "SHOP"]] and entry["answer"]["when"] == 0
    assert len(found(store)) == 4 and found(store, who="rita") == []
    assert search(store, NER, "anna", {"limit": 1})["answers"][0]["answer"]["when"] == 1_700_000_000_000
    (decided,) = search(store, NER, "rita", {"mode": "adjudicate"})["answers"]
    assert [version["annotator"] for version in decided["task"]["versions"]] == ["anna"]


@pytest.mark.parametrize(
    "request_", [[], {"text": 7}, {"text": "x" * 501}, {"only": "all"}, {"only": []},
                 {"before": -1}, {"limit": 51}, {"limit": True}, {"mode": "developer"}],
)  # fmt: skip
def test_a_malformed_request_is_refused(store: Store, request_: Any) -> None:
    with pytest.raises(SchemeError):
        search(store, NER, "anna", request_)
