"""Gold that is likely wrong comes back to a reviewer: ranked, never changed, and only from the pool."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from small_project import LABELS, expert, feedback, settings, small_project, write_rows
from typer.testing import CliRunner

from annoloop.cli.app import app
from annoloop.errors import AnnoloopError, BlindnessError
from annoloop.evaluation.label_errors import category_suspects, span_suspects
from annoloop.hashing import input_hash
from annoloop.project import Project
from annoloop.review.queue import sync
from annoloop.steps.add import add
from annoloop.steps.ask import answer_with
from annoloop.steps.evidence.look_again import ProxyReader, look_again
from annoloop.steps.status import status
from annoloop.types import Annotation, Example, Gold, LabelScheme, PoolGold, Span

NER = LabelScheme("ner", ("BRAND", "SHOP"))
DATES = list(enumerate(("kam es", "war da", "ging er", "fiel das", "gab man", "sah sie"), start=1))


def spans_gold(text: str, *spans: tuple[int, int, str]) -> Gold:
    return Gold(Example(input_hash(text), text), Annotation(spans=tuple(Span(*span) for span in spans)))


@pytest.fixture
def project(tmp_path) -> Project:
    """German feedback, labelled, with eight labels of the pool set wrong."""
    rows = feedback(180)
    project = small_project(tmp_path / "p", rows, corpus="held_out = 0.1\ndev = 0.1")
    pool = project.store.examples(split="pool")
    project.store.add_tasks([project.task(example, number=1) for example in pool])
    answer_with(project, expert(project, rows), 1)
    return project


def flip(project: Project, number: int) -> set[str]:
    """Answer so many texts again, wrongly."""
    chosen = sorted(project.store.answers_in_force(), key=lambda a: a.input_hash)[:number]
    wrong = []
    for place, answer in enumerate(chosen):
        (label,) = answer.annotation.labels
        other = LABELS[(LABELS.index(label) + 1) % len(LABELS)]
        wrong.append(
            replace(answer, answer_id=f"w{place}", annotation=Annotation((other,)), seq=10_000 + place)
        )
    project.store.save_answers(wrong)
    return {answer.input_hash for answer in chosen}


def test_wrong_labels_come_first(project):
    wrong = flip(project, 8)
    scheme = project.scheme
    found = category_suspects(scheme, project.pool_gold(), ProxyReader(scheme, 0), seed=0)
    first = {one.gold.example.input_hash for one in found[:12]}
    # Eight of 141 are wrong: by chance there would be fewer than one among twelve.
    assert len(wrong & first) >= 4
    assert [one.confidence for one in found] == sorted(one.confidence for one in found)


def test_what_is_said_to_be_likelier_is_likelier():
    labels = ("A", "B", "C")
    rows = {f"{name}{n}": (name, n) for name in labels for n in range(12)}
    usual = {"A": (0.9, 0.05, 0.05), "B": (0.3, 0.3, 0.4), "C": (0.05, 0.05, 0.9)}
    odd = {"A0": (0.6, 0.35, 0.05), "A1": (0.1, 0.35, 0.55), "C0": (0.48, 0.05, 0.47)}

    def read(gold, texts):
        return np.array([odd.get(text, usual[rows[text][0]]) for text in texts])

    gold = [Gold(Example(input_hash(text), text), Annotation((label,))) for text, (label, _) in rows.items()]
    found = category_suspects(LabelScheme("textcat", labels), PoolGold(tuple(gold)), read, seed=0)
    said = {one.gold.example.text: one for one in found}
    for text, one in said.items():
        shown = dict(zip(labels, odd.get(text, usual[text[0]]), strict=True))
        assert one.likelier == (shown[one.expected] > shown[one.label])
    assert (said["A1"].expected, said["A1"].likelier) == ("C", True)
    assert (said["A0"].expected, said["A0"].likelier) == ("B", False)
    assert "B as likely here as where it is given, and A (60%) less so" in said["A0"].reason


def test_the_ranking_does_not_depend_on_the_order_of_the_gold(project):
    gold, scheme = project.pool_gold(), project.scheme
    turned = PoolGold(tuple(reversed(gold.items)))
    reader = ProxyReader(scheme, 0)
    assert category_suspects(scheme, gold, reader, seed=1) == category_suspects(
        scheme, turned, reader, seed=1
    )


def test_each_text_is_read_by_a_model_that_has_not_learned_from_it(project):
    seen = []

    def reader(gold, texts):
        learned = {item.example.text for item in gold}
        assert not learned & set(texts)
        seen.extend(texts)

    assert category_suspects(project.scheme, project.pool_gold(), reader, seed=0) == ()
    assert sorted(seen) == sorted(item.example.text for item in project.pool_gold())


def test_with_several_categories_the_least_likely_decision_counts():
    scheme = LabelScheme("textcat_multilabel", ("LIFT", "STAIRS"))
    gold = [
        Gold(Example(input_hash(f"{word} {n}"), f"{word} {n}"), Annotation((label,)))
        for n in range(20)
        for word, label in (("lift kaputt", "LIFT"), ("treppe kaputt", "STAIRS"))
    ]
    gold[0] = replace(gold[0], annotation=Annotation(()))
    first = category_suspects(scheme, PoolGold(tuple(gold)), ProxyReader(scheme, 0), seed=0)[0]
    assert first.gold == gold[0]
    assert (first.label, first.expected) == (None, "LIFT")


def test_with_several_categories_few_texts_of_clean_gold_are_doubted():
    rows = feedback(200)
    scheme = LabelScheme("textcat_multilabel", tuple(LABELS))
    gold = [Gold(Example(input_hash(r["text"]), r["text"]), Annotation((r["label"],))) for r in rows]
    assert len(category_suspects(scheme, PoolGold(tuple(gold)), ProxyReader(scheme, 0), seed=0)) < 10


def test_a_full_stop_is_no_border_to_doubt():
    # In every other place a full stop ends a date; here it ends the sentence.
    dates = [spans_gold(f"am {n}. Mai {word}", (3, 5 + len(str(n)) - 1, "SHOP")) for n, word in DATES]
    ends = [spans_gold(f"Wir fuhren zu Nike{n}.", (14, 18 + len(str(n)), "BRAND")) for n in range(3)]
    found = span_suspects(NER, PoolGold((*dates, *ends)))
    assert not [one for one in found if one.surface == "."]


def test_a_name_labelled_otherwise_elsewhere_is_doubted():
    texts = [spans_gold(f"İch mag NIKE 👟 {n}", (8, 12, "BRAND")) for n in range(6)]
    odd = spans_gold("Nike ist hier vergessen")
    wrong = spans_gold("bei Nike gekauft", (4, 8, "SHOP"))
    longer = spans_gold("Nike Store in Köln", (0, 10, "SHOP"))
    found = span_suspects(NER, PoolGold((*texts, odd, wrong, longer)))
    assert [one.gold for one in found if one.gold in (odd, wrong)] == [one.gold for one in found]
    assert len(found) == 2
    reasons = {one.gold.example.text: one.reason for one in found}
    assert reasons[odd.example.text] == "“Nike” is not marked here and BRAND in 6 of 7 other places"
    assert reasons[wrong.example.text] == "“Nike” is SHOP here and BRAND in 6 of 7 other places"


def test_a_border_beside_a_token_that_is_elsewhere_on_its_other_side_is_doubted():
    texts = [spans_gold(f"wir mögen Louis Vuitton 👜 sehr {n}", (10, 23, "BRAND")) for n in range(6)]
    long = spans_gold("auch Louis Vuitton sehr gern", (5, 23, "BRAND"))
    short = spans_gold("Louis Vuitton gern", (6, 13, "BRAND"))
    store = spans_gold("Louis Vuitton Store gern", (0, 19, "SHOP"))
    first = [spans_gold("sehr", (0, 4, "SHOP")), spans_gold("סהר")]
    found = span_suspects(NER, PoolGold((*texts, long, short, store, *first)))
    reasons = {one.gold.example.text: one.reason for one in found}
    assert reasons == {
        long.example.text: "“sehr” is BRAND here and not marked in 6 of 7 other places",
        short.example.text: "“Louis” is not marked here and BRAND in 7 of 8 other places",
        first[0].example.text: "“sehr” is SHOP here and not marked in 6 of 6 other places",
    }


def test_a_border_token_that_is_mostly_in_spans_of_several_labels_is_not_doubted_there():
    words = ["alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta", "iota", "kappa"]
    gold = [
        spans_gold(f"{words[n]} {kind} Bank {words[n + 4]}", (len(words[n]) + 1, len(words[n]) + 10, label))
        for n in range(4)
        for kind, label in (("rote", "BRAND"), ("gute", "SHOP"))
    ]
    free = [spans_gold(f"{words[n]} blaue Bank {words[n + 5]}") for n in range(5)]
    assert span_suspects(NER, PoolGold((*gold, *free))) == ()


def test_a_name_with_few_other_places_is_not_doubted():
    gold = PoolGold((spans_gold("Nike", (0, 4, "BRAND")), spans_gold("ein Nike")))
    assert span_suspects(NER, gold) == ()


def test_held_out_gold_cannot_be_doubted():
    held_out = Gold(Example("h", "text", split="held_out"), Annotation())
    with pytest.raises(BlindnessError):
        span_suspects(NER, PoolGold((held_out,)))


def reviewer(project: Project, seq: int = 0, **request) -> dict:
    call = {"client": "c", "mode": "adjudicate", "answers": [], "have": [], "want": 50, **request}
    return sync(project.store, project.scheme, "rita", call, mode_allowed=("adjudicate",), now=1e9)


def test_doubted_texts_wait_for_a_reviewer_with_the_answer_and_the_reason_and_undo_works(project):
    flip(project, 8)
    before = {item.example.input_hash: item.annotation for item in project.pool_gold()}
    found = look_again(project, top=5)
    assert len(found.sent) == 5
    assert {i.example.input_hash: i.annotation for i in project.pool_gold()} == before
    told = reviewer(project)["tasks"]
    assert {task["input_hash"] for task in told} == {one.gold.example.input_hash for one in found.sent}
    assert {task["split"] for task in told} == {"pool"}
    first = next(task for task in told if task["input_hash"] == found.sent[0].gold.example.input_hash)
    assert [version["labels"] for version in first["versions"]] == [[found.sent[0].label]]
    assert first["suggestion"] is None
    assert first["doubt"]["expected"] == found.sent[0].expected
    answer = {
        "answer_id": "1" * 32,
        "task_hash": first["task_hash"],
        "seq": 10**15,
        "verdict": "accept",
        "labels": [found.sent[0].expected],
        "spans": [],
        "milliseconds": 10,
    }
    assert reviewer(project, answers=[answer])["acked"] == ["1" * 32]
    gold = {item.example.input_hash: item.annotation for item in project.pool_gold()}
    assert gold[first["input_hash"]].labels == (found.sent[0].expected,)
    back = {**answer, "answer_id": "2" * 32, "seq": 10**15 + 1, "retracted": True}
    assert reviewer(project, answers=[back])["acked"] == ["2" * 32]
    assert {i.example.input_hash: i.annotation for i in project.pool_gold()} == before
    assert project.store.progress().differ == 5


def test_what_a_reviewer_decided_is_not_asked_again(project):
    flip(project, 8)
    sent = look_again(project, top=3).sent
    decided = sent[0].gold.example.input_hash
    (answer,) = project.store.answers_in_force(hashes=[decided])
    project.store.save_answers(
        [replace(answer, answer_id="d", annotator="rita", adjudicated=True, seq=20_000)]
    )
    assert decided not in {one.gold.example.input_hash for one in look_again(project, top=500).sent}


def test_few_labels_are_not_ranked(tmp_path):
    settings(tmp_path / "p")
    with pytest.raises(AnnoloopError, match="too few to say"):
        look_again(Project.open(tmp_path / "p"))


def test_the_command_says_what_was_sent(project):
    flip(project, 8)
    folder = str(project.folder)
    told = json.loads(CliRunner().invoke(app, ["look-again", folder, "--top", "4", "--json"]).stdout)
    assert len(told["sent"]) == 4 <= told["doubted"]
    printed = CliRunner().invoke(app, ["look-again", folder, "--top", "4"]).output
    assert "4 wait for a reviewer" in printed and "likelier here than" in printed


def test_imported_labels_that_wait_for_a_reviewer_are_not_called_questions(tmp_path):
    """Nobody was asked about them, least of all without suggestion."""
    rows = feedback(120)
    rows[0] = {**rows[0], "label": LABELS[(LABELS.index(rows[0]["label"]) + 1) % len(LABELS)]}
    project = small_project(tmp_path / "p", rows, corpus="held_out = 0.1\ndev = 0.1")
    add(project, [write_rows(tmp_path / "gold.jsonl", rows)], gold=True)
    sent = look_again(project, top=1).sent
    found = status(project)
    assert len(sent) == 1 == found.to_decide and found.questions == {}
    printed = CliRunner().invoke(app, ["status", str(project.folder)]).output
    assert "1 text waits for a reviewer" in printed and "asked" not in printed
    project.store.close()
