"""Scores agree with independent implementations, and their intervals with plain resampling."""

from __future__ import annotations

import json
import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from annoloop.evaluation.leaderboard import headline, megabytes, ordered, render, throughput, to_json
from annoloop.evaluation.scores import count, score, scores_to_json
from annoloop.hashing import input_hash
from annoloop.types import Annotation, Counts, Example, Gold, LabelScheme, LeaderboardRow, Span

TOPICS = LabelScheme("textcat", ("a", "b", "c"))
TAGS = LabelScheme("textcat_multilabel", ("a", "b", "c"))
NER = LabelScheme("ner", ("X", "Y"))


def gold_of(annotations, *, complete=True, split="held_out", blind=True):
    texts = [f"text {i}" for i in range(len(annotations))]
    return [
        Gold(Example(input_hash(t), t, split=split), a, complete=complete, blind=blind)
        for t, a in zip(texts, annotations, strict=True)
    ]


def predicted(gold, annotations):
    return {g.example.input_hash: a for g, a in zip(gold, annotations, strict=True) if a is not None}


def cats(*names):
    return Annotation(labels=names)


def spans(*triples):
    return Annotation(spans=tuple(Span(*t) for t in triples))


@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from("abc")), min_size=1, max_size=40))
def test_single_choice_is_sklearns_accuracy_and_macro_f(pairs):
    from sklearn.metrics import accuracy_score, f1_score

    truth, guess = [p[0] for p in pairs], [p[1] for p in pairs]
    gold = gold_of([cats(t) for t in truth])
    found = score(TOPICS, gold, predicted(gold, [cats(g) for g in guess]), seed=0, samples=20)
    assert found.score == pytest.approx(accuracy_score(truth, guess))
    assert found.macro_f == pytest.approx(f1_score(truth, guess, labels=sorted(set(truth)), average="macro"))
    assert found.precision == found.recall == pytest.approx(found.score)


def test_several_categories_are_sklearns_micro_f():
    from sklearn.metrics import f1_score

    rng = random.Random(3)
    truth = [[int(rng.random() < 0.4) for _ in "abc"] for _ in range(60)]
    guess = [[int(rng.random() < 0.4) for _ in "abc"] for _ in range(60)]
    gold, guesses = (
        [cats(*(n for n, v in zip("abc", row, strict=True) if v)) for row in m] for m in (truth, guess)
    )
    found = score(TAGS, gold_of(gold), predicted(gold_of(gold), guesses), seed=0)
    assert found.score == pytest.approx(f1_score(truth, guess, average="micro"))


def test_spans_are_spacys_scorer():
    import spacy
    from spacy.scorer import Scorer
    from spacy.training import Example as Pair

    nlp = spacy.blank("en")
    truths = [[(0, 1, "X"), (4, 7, "Y")], [(2, 3, "X")], [], [(0, 3, "X")]]
    guesses = [[(0, 1, "X"), (4, 5, "Y")], [(2, 3, "Y")], [(0, 1, "X")], [(0, 3, "X")]]
    pairs = []
    for truth, guess in zip(truths, guesses, strict=True):
        docs = [nlp("a b c d") for _ in range(2)]
        for doc, entities in zip(docs, (guess, truth), strict=True):
            doc.ents = [doc.char_span(*e, alignment_mode="expand") for e in entities]
        pairs.append(Pair(*docs))
    wanted = Scorer().score(pairs)
    aligned = [
        [spans(*((e.start_char, e.end_char, e.label_) for e in doc.ents)) for doc in (p.y, p.x)]
        for p in pairs
    ]
    gold = gold_of([truth for truth, _ in aligned])
    found = score(NER, gold, predicted(gold, [guess for _, guess in aligned]), seed=0)
    assert found.score == pytest.approx(wanted["ents_f"])
    assert found.precision == pytest.approx(wanted["ents_p"])
    assert found.per_label["Y"].f == pytest.approx(wanted["ents_per_type"]["Y"]["f"])


def test_a_missing_prediction_counts_as_empty_and_is_told():
    gold = gold_of([spans((0, 1, "X")), spans((0, 1, "X"))])
    found = score(NER, gold, predicted(gold, [spans((0, 1, "X")), None]), seed=0)
    assert (found.recall, found.precision, found.missing) == (0.5, 1.0, 1)
    assert found.per_label["X"] == Counts(1, 0, 1)


def test_incomplete_gold_is_left_out_and_undefined_is_none():
    gold = gold_of([spans((0, 1, "X"))], complete=False)
    found = score(NER, gold, {}, seed=0)
    assert (found.texts, found.score, found.interval, found.macro_f) == (0, None, None, None)
    nothing_to_find = gold_of([spans(), spans()])
    found = score(NER, nothing_to_find, {}, seed=0)
    assert (found.texts, found.score, found.interval) == (2, None, None)


def test_a_label_outside_the_scheme_is_a_false_positive():
    gold = gold_of([cats("a")])
    found = score(TAGS, gold, predicted(gold, [cats("a", "zebra")]), seed=0)
    assert found.per_label["zebra"] == Counts(0, 1, 0)
    assert found.precision == 0.5


def test_interval_agrees_with_resampling_documents_one_by_one():
    rng = random.Random(1)
    gold = gold_of([spans(*((j, j + 1, "X") for j in range(rng.randint(0, 4)))) for _ in range(150)])
    guesses = [Annotation(spans=tuple(s for s in g.annotation.spans if rng.random() < 0.7)) for g in gold]
    counted = count(NER, gold, predicted(gold, guesses))
    units, draw = counted.units, np.random.default_rng(0)
    naive = []
    for _ in range(4000):
        tp, fp, fn = units[draw.integers(0, len(units), len(units))].sum(axis=0)
        naive.append(2 * tp / (2 * tp + fp + fn))
    found = score(NER, gold, predicted(gold, guesses), seed=5, samples=4000)
    assert found.interval == pytest.approx(np.percentile(naive, (2.5, 97.5)), abs=0.006)
    assert found.interval[0] < found.score < found.interval[1]


def test_scores_do_not_depend_on_the_order_and_repeat_with_the_seed():
    rng = random.Random(2)
    gold = gold_of([cats(rng.choice("abc")) for _ in range(80)])
    guesses = predicted(gold, [cats(rng.choice("abc")) for _ in gold])
    first = score(TOPICS, gold, guesses, seed=1)
    assert first == score(TOPICS, gold[::-1], guesses, seed=1)
    assert first.interval != score(TOPICS, gold, guesses, seed=2).interval


def test_scores_are_plain_values_for_json():
    gold = gold_of([cats("a"), cats("b")])
    plain = json.loads(json.dumps(scores_to_json(score(TOPICS, gold, {}, seed=0))))
    assert plain["score"] == 0 and plain["missing"] == 2 and plain["precision"] is None
    assert plain["per_label"]["a"]["fn"] == 1


def row(approach, guesses, **more):
    gold = gold_of([cats("a"), cats("b"), cats("c")])
    return LeaderboardRow(approach, approach, score(TOPICS, gold, predicted(gold, guesses), seed=0), **more)


def test_the_leaderboard_orders_and_renders():
    rules = row("rules", [cats("a"), None, None])
    llm = row("llm", [cats("a"), cats("b"), None], cost=1.25, note="a very small | stand-in")
    model = row("model", [cats("a"), cats("b"), cats("b")], words_per_second=12345.6, megabytes=3.21)
    assert [r.approach for r in ordered([rules, llm, model])] == ["model", "llm", "rules"]
    table = render([rules, llm, model], scheme=TOPICS)
    lines = table.splitlines()
    assert headline(TOPICS) in lines[0]
    assert "12,346" in lines[2] and "3.2" in lines[2] and "1.25" in lines[3]
    assert len({line.count("|") for line in lines[:5]}) == 1
    assert "llm: a very small" in lines[-1]
    plain = to_json(model)
    wanted = {"approach", "score", "precision", "recall", "interval", "words_per_second", "megabytes", "cost"}
    assert wanted <= set(json.loads(json.dumps(plain)))
    assert plain["interval"] == list(model.scores.interval)


def test_throughput_counts_texts_and_words_and_consumes_generators():
    seen = []
    speed = throughput(lambda texts: (seen.append(t) for t in texts), ["one two", "three four"])
    assert seen == ["one two", "one two", "three four"]
    assert speed.words_per_second == pytest.approx(2 * speed.texts_per_second)
    assert throughput(lambda texts: texts, []) is None


def test_megabytes_of_a_folder(tmp_path):
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "a").write_bytes(b"x" * 1_500_000)
    (tmp_path / "b").write_bytes(b"x" * 500_000)
    assert megabytes(tmp_path) == 2.0
