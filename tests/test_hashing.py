"""Prodigy's hashes against rows of real public exports, not against our own code."""

from __future__ import annotations

import unicodedata

import pytest

from annoloop.hashing import fraction, input_hash, prodigy_input_hash, prodigy_task_hash, task_hash

# Source of each row: the file of a public GitHub repository, word for word. `task` holds what the
# stream held when the hashes were made: tokens and later answers are not part of it.
TWEET = {
    "text": "I'm seeing Ed Sheeran on Wednesday in Miami so if you wanna meet up or say hi hmu!",
    "spans": [],
}  # explosion/projects, tutorials/ner_tweets/assets/demo/demo.jsonl
ACTOR = {
    "text": "I'd like to work as an actor or model if possible.",
    "spans": [
        {"text": "actor", "start": 23, "end": 28, "token_start": 7, "token_end": 7, "label": "JOB_ROLE"},
        {"text": "model", "start": 32, "end": 37, "token_start": 9, "token_end": 9, "label": "JOB_ROLE"},
    ],
}  # kabirkhan/recon, tests/test_corrections.py
SKILL = {"text": "Have you used the new version of my model?"}  # the same file
QUOTES = {
    "text": ". the email is the guy\u2019sname@adam\u2019soldcompany."
}  # quoted in a public notebook on annotator agreement


@pytest.mark.parametrize(
    ("task", "theirs"),
    [(TWEET, 885944384), (ACTOR, 895552771), (SKILL, 1798863398), (QUOTES, 176898049)],
)
def test_input_hash_is_prodigys(task: dict, theirs: int) -> None:
    assert prodigy_input_hash(task) == theirs


@pytest.mark.parametrize(("task", "theirs"), [(TWEET, -1665691389), (ACTOR, -936257555)])
def test_task_hash_is_prodigys(task: dict, theirs: int) -> None:
    assert prodigy_task_hash(task) == theirs


def test_task_hash_ignores_scores_and_answers_at_any_depth() -> None:
    spans = [{**span, "score": 0.4, "source": "model", "answer": "accept"} for span in ACTOR["spans"]]
    assert prodigy_task_hash({**ACTOR, "spans": spans, "answer": "reject", "meta": {"a": 1}}) == -936257555


def test_input_hash_tells_normal_forms_and_line_ends_apart() -> None:
    forms = ["é", unicodedata.normalize("NFD", "é"), "İ", "i̇", "a\r\nb", "a\nb", "👍🏽", "👍", "\ud83d"]
    assert len({input_hash(text) for text in forms}) == len(forms)
    assert all(len(input_hash(text)) == 32 for text in forms)


def test_task_hash_is_about_the_question_not_the_order_of_labels() -> None:
    one = input_hash("a")
    assert task_hash(one, "ner", ("A", "B")) == task_hash(one, "ner", ("B", "A"))
    assert (
        len({task_hash(one, "ner", ("A",)), task_hash(one, "spancat", ("A",)), task_hash(one, "ner", ("B",))})
        == 3
    )


def test_fraction_is_even_and_depends_on_the_salt() -> None:
    values = [fraction(input_hash(str(number)), "x") for number in range(5000)]
    for tenth in range(10):
        share = sum(tenth / 10 <= value < (tenth + 1) / 10 for value in values) / len(values)
        assert abs(share - 0.1) < 0.02
    assert fraction(input_hash("1"), "x") != fraction(input_hash("1"), "y")
