"""A model is held against the answer that needs no text; only much evidence calls a task hopeless."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from annoloop.evaluation.forecast import Point, rises
from annoloop.evaluation.scores import score
from annoloop.evaluation.trivial import beyond_chance, is_better, standing, trivial
from annoloop.hashing import input_hash
from annoloop.types import Annotation, Example, Gold, LabelScheme, Scores, Span

PAIR = LabelScheme("textcat", ("A", "B"))
SEVERAL = LabelScheme("textcat_multilabel", ("A", "B", "C"))
SPANS = LabelScheme("ner", ("X",))


def judged(scheme: LabelScheme, gold: list, said: list) -> Scores:
    texts = [f"text {number} İ" for number in range(len(gold))]
    golds = [
        Gold(Example(input_hash(text), text), one) for text, one in zip(texts, map(_as, gold), strict=True)
    ]
    answers = {input_hash(text): one for text, one in zip(texts, map(_as, said), strict=True)}
    return score(scheme, golds, answers, seed=0)


def _as(said: str | Span | None) -> Annotation:
    if isinstance(said, Span):
        return Annotation((), (said,))
    return Annotation(tuple(said or ""))


def stands(scheme: LabelScheme, gold: list, said: list, texts: int = 200, rises: bool = False) -> str:
    scores = judged(scheme, gold, said)
    learned = Counter(label for one in gold * (texts // len(gold)) for label in _labels(one))
    than = trivial(scheme, learned, texts, scores)
    return standing(scheme, scores, than, learned=learned, texts=texts, rises=rises)


def _labels(one: str | Span | None) -> tuple[str, ...]:
    return (one.label,) if isinstance(one, Span) else tuple(one or "")


def test_the_trivial_answer_is_the_most_frequent_label_of_the_training_gold() -> None:
    scores = judged(PAIR, list("AAAB"), list("ABAB"))
    than = trivial(PAIR, {"A": 3, "B": 20}, 23, scores)
    assert than.labels == ("B",) and than.score == 0.25
    assert str(than) == "always saying B (0.250)"
    assert str(trivial(SPANS, {"X": 5}, 9, judged(SPANS, [Span(0, 1, "X")], [None]))) == "finding nothing"


def test_of_several_categories_it_is_those_that_together_score_best() -> None:
    scores = judged(SEVERAL, ["AB", "AB", "A", "C"], ["A"] * 4)
    than = trivial(SEVERAL, {"A": 30, "B": 20, "C": 1}, 40, scores)
    assert than.labels == ("A", "B")
    # Eight labels said, five of six found.
    assert than.score == pytest.approx(2 * 5 / (8 + 6))


@given(st.lists(st.tuples(st.sampled_from("ABC"), st.sampled_from("ABC")), min_size=2, max_size=40))
def test_the_moments_of_chance_are_those_of_all_permutations(pairs: list[tuple[str, str]]) -> None:
    scheme = LabelScheme("textcat", ("A", "B", "C"))
    gold, said = [one for one, _ in pairs], [one for _, one in pairs]
    found = beyond_chance(scheme, judged(scheme, gold, said))
    same = np.array([[a == b for b in said] for a in gold], dtype=float)
    centred = same - same.mean(0) - same.mean(1)[:, None] + same.mean()
    variance = (centred**2).sum() / (len(gold) - 1)
    right = sum(a == b for a, b in pairs) - same.sum() / len(gold)
    assert found == pytest.approx(right / variance**0.5 if variance > 1e-9 else 0.0, abs=1e-6)


def test_coin_flips_are_called_hopeless_and_what_learns_is_not() -> None:
    rng = np.random.default_rng(0)
    gold = list(rng.choice(["A", "B"], 100))
    hopeless = 0
    for _ in range(40):
        flips = list(rng.choice(["A", "B"], 100))
        hopeless += stands(PAIR, gold, flips) == "no_better"
    assert hopeless >= 34
    mostly = [one if rng.random() < 0.6 else "AB"[one == "A"] for one in gold]
    assert stands(PAIR, gold, gold) == "better"
    assert stands(PAIR, gold, mostly) in ("better", "learning")
    assert stands(PAIR, gold, ["A"] * 100, rises=True) == "learning"


@pytest.mark.parametrize(
    ("dev", "texts", "rare"), [(40, 200, 20), (100, 40, 50), (100, 200, 10), (18, 40, 5)]
)
def test_little_evidence_calls_no_task_hopeless(dev: int, texts: int, rare: int) -> None:
    gold = ["B"] * rare + ["A"] * (dev - rare)
    scores = judged(PAIR, gold, ["A"] * dev)
    learned = {"A": texts - texts * rare // dev, "B": texts * rare // dev}
    than = trivial(PAIR, learned, texts, scores)
    assert not is_better(PAIR, scores, than)
    assert standing(PAIR, scores, than, learned=learned, texts=texts, rises=False) == "not_yet"


def test_a_rare_label_that_is_found_is_learned_though_accuracy_does_not_show_it() -> None:
    gold = ["A"] * 70 + ["B"] * 30
    said = ["A"] * 62 + ["B"] * 8 + ["A"] * 20 + ["B"] * 10
    assert sum(a == b for a, b in zip(gold, said, strict=True)) == 72
    assert stands(PAIR, gold, said) == "learning"


def test_spans_of_which_hardly_any_is_found_are_hopeless_with_many_and_open_with_few() -> None:
    many = [Span(0, 4, "X")] * 60
    assert stands(SPANS, many, [None] * 60, texts=180) == "no_better"
    assert stands(SPANS, many[:10] + [None] * 50, [None] * 60, texts=180) == "not_yet"
    assert stands(SPANS, many, many[:30] + [None] * 30, texts=180) == "better"


def test_a_curve_rises_where_chance_alone_would_seldom_make_it() -> None:
    sizes = [313, *(round(313 * 6 ** (-step / 6)) for step in range(1, 7) for _ in range(2))]
    rng = np.random.default_rng(1)
    flips = [rises([Point(n, rng.binomial(104, 0.5) / 104) for n in sizes]) for _ in range(100)]
    assert sum(flips) <= 12
    learns = [
        rises([Point(n, rng.binomial(104, 0.9 - 3 * n**-0.6) / 104) for n in sizes]) for _ in range(100)
    ]
    assert sum(learns) >= 80
    assert not rises([Point(n, 0.0) for n in sizes]) and not rises([Point(10, 0.1), Point(20, 0.9)])
