"""The sync call: idempotent, exact, never blocked by one bad answer; and texts in pieces."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from annoloop.errors import SchemeError, StoreError
from annoloop.hashing import input_hash, task_hash
from annoloop.review.pieces import pieces
from annoloop.review.queue import MAX_ANSWERS, sync
from annoloop.store.store import Store
from annoloop.types import Annotation, Example, LabelScheme, Span, Suggestion, Task

NER = LabelScheme("ner", ("BRAND", "SHOP"))
CHOICE = LabelScheme("textcat", ("yes", "no"))


def fill(store: Store, texts: list[str], scheme: LabelScheme = NER, **kwargs) -> list[Task]:
    tasks = []
    for number, text in enumerate(texts):
        example = Example(input_hash(text), text, split=kwargs.get("split", "pool"))
        suggestion = kwargs.get("suggestion")
        name = task_hash(example.input_hash, scheme.kind, scheme.labels)
        tasks.append(Task(name, example, suggestion, suggestion is not None, -number, 1))
    store.add_examples(task.example for task in tasks)
    store.add_tasks(tasks)
    return tasks


@pytest.fixture
def store(tmp_path):
    with Store.open(tmp_path / "p.sqlite") as store:
        yield store


def answer(task: Task, seq: int, verdict: str = "accept", **more) -> dict:
    return {
        "answer_id": f"id-{seq}",
        "task_hash": task.task_hash,
        "seq": seq,
        "verdict": verdict,
        "labels": [],
        "spans": [],
        "milliseconds": 900,
        **more,
    }


def call(store: Store, *answers, client="tab", have=(), want=0, who="anna", scheme=NER, now=1000.0, **more):
    request = {"client": client, "answers": list(answers), "have": list(have), "want": want, **more}
    # Through JSON, as it comes from the page.
    return json.loads(json.dumps(sync(store, scheme, who, json.loads(json.dumps(request)), now=now)))


def test_a_request_sent_twice_changes_nothing(store) -> None:
    tasks = fill(store, ["a Nike 🙂", "b", "c"])
    first = answer(tasks[0], 5, spans=[[2, 6, "BRAND"]])
    replies = [call(store, first, have=[tasks[1].task_hash]) for _ in range(2)]
    assert replies[0] == replies[1]
    assert replies[0]["acked"] == ["id-5"] and replies[0]["progress"]["done"] == 1
    (saved,) = store.answer_history()
    assert saved.annotation == Annotation((), (Span(2, 6, "BRAND"),))
    assert (saved.annotator, saved.blind, saved.milliseconds) == ("anna", True, 900)


def test_tasks_come_in_order_each_to_one_client_and_back_to_it_after_a_reload(store) -> None:
    tasks = fill(store, [f"text {n}" for n in range(6)])
    names = [task.task_hash for task in tasks]
    first = call(store, want=3)
    assert [task["task_hash"] for task in first["tasks"]] == names[:3]
    other = call(store, want=9, client="other tab")
    assert [task["task_hash"] for task in other["tasks"]] == names[3:]
    again = call(store, want=9, now=1300.0)
    assert [task["task_hash"] for task in again["tasks"]] == names[:3]
    assert call(store, want=9, client="late", now=1500.0)["tasks"] == []
    late = call(store, want=9, client="late", now=1700.0)
    assert [task["task_hash"] for task in late["tasks"]] == names[3:]


BAD = [
    ({"spans": [[2, 60, "BRAND"]]}, "outside"),
    ({"spans": [[2, 6, "NO"]]}, "not in the project"),
    ({"spans": [[2, 6, "BRAND"], [3, 7, "SHOP"]]}, "overlap"),
    ({"spans": [[True, 6, "BRAND"]]}, "not [start, end, label]"),
    ({"spans": [["2", 6, "BRAND"]]}, "not [start, end, label]"),
    ({"spans": "Nike"}, "not a list"),
    ({"labels": [7]}, "not a list of names"),
    ({"labels": ["BRAND"]}, "project of spans"),
    ({"verdict": "maybe"}, "none of accept"),
    ({"verdict": ["accept"]}, "none of accept"),
    ({"seq": -1}, "seq"),
    ({"seq": 10**30}, "seq"),
    ({"milliseconds": 2.5}, "milliseconds"),
    ({"task_hash": "unknown"}, "not, or no longer"),
    ({"task_hash": None}, "not, or no longer"),
]


@pytest.mark.parametrize(("wrong", "reason"), BAD)
def test_a_bad_answer_is_refused_by_id_and_blocks_no_other(store, wrong, reason) -> None:
    tasks = fill(store, ["a Nike shoe", "b"])
    reply = call(store, {**answer(tasks[0], 5), **wrong}, answer(tasks[1], 6), "no answer at all")
    assert reply["acked"] == ["id-6"]
    by_id = {refused["answer_id"]: refused["reason"] for refused in reply["refused"]}
    assert reason in by_id["id-5"] and "" in by_id
    assert [saved.answer_id for saved in store.answer_history()] == ["id-6"]


def test_a_choice_is_not_accepted_unchosen_but_may_be_skipped(store) -> None:
    tasks = fill(store, ["a", "b", "c"], CHOICE)
    reply = call(
        store,
        answer(tasks[0], 1),
        answer(tasks[1], 2, "ignore"),
        answer(tasks[2], 3, labels=["no"]),
        answer(tasks[0], 4, labels=["yes", "no"]),
        scheme=CHOICE,
    )
    assert reply["acked"] == ["id-2", "id-3"]
    assert [refused["answer_id"] for refused in reply["refused"]] == ["id-1", "id-4"]


@pytest.mark.parametrize(
    "request_", [[], {}, {"client": "x" * 65}, {"client": "c", "answers": [{}] * (MAX_ANSWERS + 1)},
                 {"client": "c", "have": [1]}, {"client": "c", "want": "all"}, {"client": "c", "before": -1}],
)  # fmt: skip
def test_a_malformed_request_is_refused_whole(store, request_) -> None:
    with pytest.raises(SchemeError):
        sync(store, NER, "anna", request_)


def test_undo_takes_the_answer_back_and_the_text_is_this_clients_again(store) -> None:
    tasks = fill(store, ["a", "b"])
    call(store, answer(tasks[0], 1))
    assert store.progress().done == 1
    reply = call(store, answer(tasks[0], 2, retracted=True), have=[tasks[0].task_hash], before=None)
    assert store.answers_in_force() == () and reply["history"] == []
    given = call(store, want=5, client="other")["tasks"]
    assert [task["task_hash"] for task in given] == [tasks[1].task_hash]
    call(store, answer(tasks[0], 3, "reject"))
    assert [saved.verdict for saved in store.answers_in_force()] == ["reject"]
    assert store.answer_count() == 3


def test_a_late_answer_with_a_lower_seq_does_not_replace_a_newer_one(store) -> None:
    tasks = fill(store, ["a"])
    call(store, answer(tasks[0], 9, "reject"))
    call(store, answer(tasks[0], 4, "accept"))
    assert [saved.verdict for saved in store.answers_in_force()] == ["reject"]


def test_history_pages_back_to_the_first_decision_and_shows_only_ones_own(store) -> None:
    tasks = fill(store, [f"text {n} Nike" for n in range(25)])
    for seq, task in enumerate(tasks):
        call(store, answer(task, seq + 1, spans=[[0, 4, "SHOP"]]), who="anna" if seq else "ben")
    call(store, answer(tasks[7], 100, retracted=True))
    found, before = [], None
    while page := call(store, before=before)["history"]:
        found += [entry["answer"]["seq"] for entry in page]
        assert all(entry["answer"]["spans"] == [[0, 4, "SHOP"]] for entry in page)
        before = found[-1]
    assert found == [seq for seq in range(25, 1, -1) if seq != 8]


def test_a_blind_task_is_shown_without_its_suggestion(store) -> None:
    suggestion = Suggestion(Annotation((), (Span(1, 3, "BRAND"),)), 0.9, "rules")
    blind = Task("t", Example(input_hash("Nike"), "Nike", split="held_out"), suggestion, False, 0, 0)
    store.add_examples([blind.example])
    store.add_tasks([blind])
    (task,) = call(store, want=1)["tasks"]
    assert task["suggestion"] is None and task["split"] == "held_out"
    assert [token[0] for token in task["tokens"]] == ["Nike"]


def test_where_saving_fails_nothing_is_acknowledged(store, monkeypatch) -> None:
    (task,) = fill(store, ["a"])

    def full(_):
        raise StoreError("the disk is full")

    monkeypatch.setattr(store, "save_answers", full)
    with pytest.raises(StoreError, match="disk is full"):
        call(store, answer(task, 1))
    monkeypatch.undo()
    assert call(store, answer(task, 1))["acked"] == ["id-1"]


@st.composite
def texts_with_spans(draw):
    alphabet = st.sampled_from(
        [*"ab .,\n\r\t'<>&İßé", "e\u0301", "👩‍👩‍👧", "👍🏽", "🇩🇪", "שלום", "語", "\x00", "\ud800"]
    )
    text = "".join(draw(st.lists(alphabet, min_size=1, max_size=40)))
    edges = st.integers(0, len(text))
    pairs = draw(st.lists(st.tuples(edges, edges), max_size=4))
    return text, [Span(min(p), max(p), "X") for p in pairs if p[0] != p[1]]


@settings(max_examples=200)
@given(texts_with_spans(), st.sampled_from(["en", "de", "zh", "ja"]))
def test_pieces_are_the_text_with_exact_offsets_and_every_span_edge(case, lang) -> None:
    text, spans = case
    found = pieces(text, spans=spans, lang=lang)
    assert "".join(piece + " " * blank for piece, blank, _, _ in found) == text
    assert all(text[start:end] == piece for piece, _, start, end in found)
    starts, ends = {piece[2] for piece in found}, {piece[3] for piece in found}
    assert all(span.start in starts and span.end in ends for span in spans)


def test_no_border_falls_inside_what_a_reader_sees_as_one_character() -> None:
    text = "ok👩‍👩‍👧 👍🏽👍🏽 🇩🇪 e\u0301\r\nİ"
    assert [piece[0] for piece in pieces(text)] == [
        "ok",
        "👩‍👩‍👧",
        "👍🏽",
        "👍🏽",
        "🇩🇪",
        "e\u0301",
        "\r\n",
        "İ",
    ]


def test_scripts_without_blanks_can_be_selected_without_their_tokenizer() -> None:
    assert len(pieces("日本語です", lang="ja")) == 5


@pytest.mark.parametrize(
    "text",
    [
        "x" * 1_000_000,
        "(" * 1_000_000,
        "a,1" * 300_000,
        "語" * 300_000,
        "🇩🇪" * 100_000,
        "👩‍👩‍👧" * 100_000,
        "\0" * 1_000_000,
    ],
    ids=["word", "brackets", "commas", "ideographs", "flags", "families", "nulls"],
)
def test_a_megabyte_without_a_blank_is_split_in_a_single_pass(text) -> None:
    # Where time grew with the square of the length, this would not end.
    found = pieces(f"one {text} two", spans=[Span(6, 8, "X")])
    assert "".join(piece + " " * blank for piece, blank, _, _ in found) == f"one {text} two"
    assert {6, 8} <= {piece[2] for piece in found} and found[0][0] == "one" and found[-1][0] == "two"


def test_a_long_run_is_split_into_words_and_signs_and_the_rest_as_ever() -> None:
    run = "/".join(["caf\u00e9", "e\u0301t\u00e9"] * 400)
    text = f"Don't stop: {run} (now)."
    found = [piece[0] for piece in pieces(text)]
    assert found[:6] == ["Do", "n't", "stop", ":", "caf\u00e9", "/"] and found[-4:] == ["(", "now", ")", "."]
    assert set(found[4:-4]) == {"caf\u00e9", "e\u0301t\u00e9", "/"}
