"""The simulated expert answers by text, exactly, and says that it is simulated."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from annoloop.errors import FormatError
from annoloop.hashing import input_hash, task_hash
from annoloop.oracle import Oracle, seconds
from annoloop.types import Annotation, Example, LabelScheme, Span, Suggestion, Task

NER = LabelScheme("ner", ("X", "Y"))
TOPICS = LabelScheme("textcat", ("a", "b"))
TEXT = "🙂 İ: Vans\r\nin cafe\u0301 שלום"


def task(text, *, suggestion=None, scheme=NER):
    name = input_hash(text)
    shown = Suggestion(suggestion, 0.5, "rules:1") if suggestion else None
    key = task_hash(name, scheme.kind, scheme.labels)
    return Task(key, Example(name, text), shown, assisted=bool(shown), priority=0.0, round=1)


def oracle(tmp_path, *rows, scheme=NER):
    path = tmp_path / "gold.jsonl"
    path.write_text("\n".join(json.dumps(row) for row in rows), encoding="utf8")
    return Oracle.load(path, scheme=scheme, lang="en")


def span(start, end, label="X"):
    return {"start": start, "end": end, "label": label}


def test_it_answers_by_text_and_says_what_it_is(tmp_path):
    expert = oracle(tmp_path, {"text": TEXT, "spans": [span(5, 9)]}, {"text": "empty one", "spans": []})
    answer = expert.answer(task(TEXT), seq=7)
    assert answer.annotation == Annotation(spans=(Span(5, 9, "X"),)) and TEXT[5:9] == "Vans"
    assert (answer.annotator, answer.simulated, answer.blind, answer.verdict, answer.seq) == (
        "oracle", True, True, "accept", 7,
    )  # fmt: skip
    assert answer.input_hash == input_hash(TEXT)
    assert expert.answer(task("empty one"), seq=8).annotation == Annotation()
    assert expert.answer(task("never seen"), seq=9) is None
    assert len(expert) == 2 and input_hash(TEXT) in expert and expert.warnings == ()


def test_an_assisted_answer_is_not_blind_and_a_repeated_one_is_the_same(tmp_path):
    expert = oracle(tmp_path, {"text": "Vans", "spans": [span(0, 4)]})
    assisted = task("Vans", suggestion=Annotation(spans=(Span(0, 4, "Y"),)))
    answer = expert.answer(assisted, seq=1)
    assert not answer.blind and answer.annotation.spans[0].label == "X"
    again = expert.answer(assisted, seq=2)
    assert again.answer_id == answer.answer_id
    assert replace(again, seq=1) == answer
    other = replace(assisted, task_hash="f" * 32)
    assert expert.answer(other, seq=1).answer_id != answer.answer_id


def test_categories(tmp_path):
    expert = oracle(tmp_path, {"text": "t", "label": "b"}, scheme=TOPICS)
    assert expert.answer(task("t", scheme=TOPICS), seq=1).annotation == Annotation(labels=("b",))


def test_a_text_labelled_in_two_ways_keeps_the_first_and_warns(tmp_path):
    rows = [{"text": "t", "label": "a"}, {"text": "u", "label": "b"}, {"text": "t", "label": "b"}]
    expert = oracle(tmp_path, *rows, {"text": "u", "label": "b"}, scheme=TOPICS)
    assert expert.answer(task("t", scheme=TOPICS), seq=1).annotation.labels == ("a",)
    both = Oracle([("t", Annotation(labels=("b",))), ("t", Annotation(labels=("a",)))], scheme=TOPICS)
    assert both.answer(task("t", scheme=TOPICS), seq=1).annotation.labels == ("b",)
    [warning] = expert.warnings
    assert "line 3" in warning and "line 1" in warning


def test_a_text_labelled_in_two_ways_in_two_files_warns_too(tmp_path):
    for name, label in (("a", "X"), ("b", "Y")):
        row = {"text": "Der Aufzug steht", "label": label}
        (tmp_path / f"{name}.jsonl").write_text(json.dumps(row) + "\n", encoding="utf8")
    scheme = LabelScheme("textcat", ("X", "Y"))
    found = Oracle.load(tmp_path / "a.jsonl", tmp_path / "b.jsonl", scheme=scheme, lang="de")
    [warning] = found.warnings
    assert (
        "b.jsonl, line 1: labelled differently in" in warning and "a.jsonl, line 1, which counts" in warning
    )
    assert len(found) == 1


def test_spans_off_token_borders_stay_exact_and_warn(tmp_path):
    expert = oracle(tmp_path, {"text": "ok", "spans": []}, {"text": "Vansen go", "spans": [span(0, 4)]})
    assert expert.answer(task("Vansen go"), seq=1).annotation.spans == (Span(0, 4, "X"),)
    [warning] = expert.warnings
    assert "line 2" in warning and "0-4" in warning


def test_rows_without_accepted_labels_are_not_answered(tmp_path):
    rejected = {"text": "no", "spans": [span(0, 2)], "answer": "reject"}
    expert = oracle(tmp_path, {"text": "yes", "spans": []}, rejected, {"text": "bare"})
    assert expert.answer(task("no"), seq=1) is None
    assert expert.answer(task("bare"), seq=1) is None
    assert len(expert.warnings) == 2


def test_a_broken_or_bare_gold_file_is_refused(tmp_path):
    with pytest.raises(FormatError, match="line 2"):
        oracle(tmp_path, {"text": "t", "spans": []}, {"text": "t", "spans": [span(0, 99)]})
    with pytest.raises(FormatError, match="not one labelled text"):
        oracle(tmp_path, {"text": "t"})


def test_time_is_modelled_from_words_and_edits(tmp_path):
    gold = Annotation(spans=(Span(0, 1, "X"), Span(2, 3, "Y")))
    short, long = seconds("a b", gold, gold), seconds("a b" + " c" * 100, gold, gold)
    assert long > short
    assert seconds("a b", gold, None) > seconds("a b", gold, Annotation(spans=gold.spans[:1])) > short
    # Changing one label is one edit, not two.
    relabelled = Annotation(spans=(Span(0, 1, "Y"), Span(2, 3, "Y")))
    assert seconds("a b", gold, relabelled) == seconds("a b", gold, Annotation(spans=gold.spans[:1]))
    expert = oracle(tmp_path, {"text": "a b", "spans": [span(0, 1), span(2, 3, "Y")]})
    assert expert.answer(task("a b"), seq=1).milliseconds == round(1000 * seconds("a b", gold, None))
