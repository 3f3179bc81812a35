"""Texts are found by what they say in any script and case, and by where they stand."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from annoloop.hashing import input_hash
from annoloop.store.store import Store
from annoloop.store.text_search import Wanted
from annoloop.types import Annotation, Answer, Example, Span, Task

TEXTS = [
    "Der AUFZUG am Hauptbahnhof ist defekt.",
    "Änderung im Fahrplan: 100% Ausfall",
    "A\u0308NDERUNG zerlegt geschrieben",
    "Größe_XL 👩‍🔧 passt",
    "שלום עולם",
    "電車が遅れています",
    "null\0byte und Übel",
    'er sagte "so nicht" \\ ende',
    "<script>alert(1)</script>",
    "x" * 200_000 + "Ende",
]


@pytest.fixture
def store(tmp_path):
    with Store.open(tmp_path / "s.sqlite") as store:
        splits = ["pool", "dev", "held_out"]
        store.add_examples(
            (Example(input_hash(t), t, split=splits[i % 3]) for i, t in enumerate(TEXTS)),
            excluded={input_hash(TEXTS[9]): "nearly the same as another"},
        )
        yield store


def places(store: Store, **wanted) -> list[int]:
    return [TEXTS.index(found.example.text) for found in store.search_texts(Wanted(**wanted))]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("aufzug", [0]),
        ("änderung", [1, 2]),
        ("ÄNDERUNG", [1, 2]),
        ("A\u0308nderung", [1, 2]),
        ("100%", [1]),
        ("%", [1]),
        ("größe_x", [3]),
        ("👩‍🔧", [3]),
        ("שלום", [4]),
        ("遅れ", [5]),
        ("ÜBEL", [6]),
        ('"SO nicht" \\', [7]),
        ("<SCRIPT>", [8]),
        ("xende", [9]),
        ("nirgends", []),
        ("'; drop table examples; --", []),
        ("   ", list(range(10))),
    ],
)
def test_by_what_they_say(store, text, found):
    assert places(store, text=text) == found


@settings(max_examples=60)
@given(st.text(min_size=1, max_size=8))
def test_every_piece_of_a_text_finds_it(tmp_path_factory, piece):
    with Store.open(tmp_path_factory.mktemp("s") / "s.sqlite") as store:
        text = f"vor {piece} nach"
        store.add_examples([Example(input_hash(text), text)])
        clean = not piece.strip() or any(char == "\0" or "\ud800" <= char <= "\udfff" for char in piece)
        assert store.count_texts(Wanted(text=piece)) == 1 or clean


def answer(store: Store, place: int, annotation: Annotation, **said) -> None:
    example = store.examples(hashes=[input_hash(TEXTS[place])], excluded=True)[0]
    name = f"answer {place} {said.get('annotator', 'anna')}"
    fixed = {"verdict": "accept", "annotator": "anna", "milliseconds": 1, "seq": place + 1, **said}
    store.save_answers(
        [Answer(name, f"task {place}", example.input_hash, annotation=annotation, **fixed)]  # type: ignore[arg-type]
    )


def test_by_where_they_stand(store):
    examples = {eg.text: eg for eg in store.examples(excluded=True)}
    store.add_tasks(
        Task(f"task {place}", examples[TEXTS[place]], None, False, 0.0, number)
        for place, number in ((0, 1), (1, 0), (3, 2))
    )
    answer(store, 0, Annotation(("Ärger",)), flagged=True)
    answer(store, 1, Annotation(spans=(Span(0, 3, "ORT"),)))
    answer(store, 4, Annotation(("Ärger", "labels")), verdict="reject")
    assert places(store, split="dev") == [1, 4, 7]
    assert places(store, round=0) == [1]
    assert places(store, state="open") == [3]
    assert places(store, state="answered") == [0, 1, 4]
    assert places(store, state="flagged") == [0]
    assert places(store, state="excluded") == [9]
    assert places(store, state="unasked") == [2, 5, 6, 7, 8]
    assert places(store, labels=("Ärger",)) == [0]
    assert places(store, labels=("ORT",)) == [1]
    assert places(store, labels=("ORT", "Ärger")) == [0, 1]
    assert places(store, labels=("spans",)) == []
    assert places(store, text="a", split="pool", state="answered") == [0]
    assert store.asked_rounds() == (0, 1, 2)
    found = store.search_texts(Wanted(round=1))[0]
    assert (found.round, found.is_open, found.answered, found.excluded) == (1, False, 1, None)


def test_an_answer_taken_back_is_not_found(store):
    answer(store, 0, Annotation(("A",)), flagged=True)
    example = store.examples(hashes=[input_hash(TEXTS[0])])[0]
    store.save_answers(
        [Answer("undo", "task 0", example.input_hash, "ignore", Annotation(), "anna", 1, 99, retracted=True)]
    )
    assert places(store, labels=("A",)) == places(store, state="flagged") == []
    assert 0 not in places(store, state="answered")


def test_a_text_asked_twice_is_one_text(store):
    example = store.examples(hashes=[input_hash(TEXTS[0])])[0]
    store.add_tasks([Task("old", example, None, False, 0.0, 1), Task("new", example, None, False, 0.0, 2)])
    assert len(store.search_texts(Wanted())) == len(TEXTS)
    assert places(store, round=2) == [0]


def test_paging_shows_each_once(store):
    seen, after = [], 0
    while page := store.search_texts(Wanted(), after=after, limit=3):
        seen += [found.example.text for found in page]
        after = page[-1].position
    assert seen == TEXTS
    assert store.count_texts(Wanted(), at_most=4) == 4
    assert store.count_texts(Wanted()) == len(TEXTS)


def test_unanswered_texts_are_drawn_alike_each_time(store):
    answer(store, 0, Annotation(("A",)))
    drawn = store.unanswered_texts("pool", limit=2)
    assert drawn == store.unanswered_texts("pool", limit=2)
    everything = store.unanswered_texts("pool", limit=100)
    assert {TEXTS.index(eg.text) for eg in everything} == {3, 6}
