"""Agreement against published worked examples, and what must hold for any answers."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from annoloop.evaluation.agreement import (
    Opinions,
    agreement,
    gwet_ac1,
    krippendorff_alpha,
    masi_distance,
)
from annoloop.types import Annotation, LabelScheme, Span

KRIPPENDORFF_2011 = """
1 2 3 3 2 1 4 1 2 . . .
1 2 3 3 2 2 4 1 2 5 . 3
. 3 3 3 2 3 4 2 2 5 1 .
1 2 3 3 2 4 4 1 2 5 1 .
"""
"""Four observers, twelve units, values missing: the example C of the paper, also Gwet's with four raters."""


def counts_of(table: str) -> np.ndarray:
    rows = [line.split() for line in table.split("\n") if line]
    values = sorted({value for row in rows for value in row} - {"."})
    return np.array([[unit.count(value) for value in values] for unit in zip(*rows, strict=True)])


def test_the_papers_examples_come_out_as_published():
    table = counts_of(KRIPPENDORFF_2011)
    assert krippendorff_alpha(table) == pytest.approx(0.743, abs=0.0005)
    # The package irrCAC of Gwet's book gives .77544 for the same ratings.
    assert gwet_ac1(table) == pytest.approx(0.77544, abs=0.00001)


def test_interval_data_of_the_paper_come_out_as_published():
    values = np.arange(1, 6)
    assert krippendorff_alpha(
        counts_of(KRIPPENDORFF_2011), (values[:, None] - values[None, :]) ** 2.0
    ) == pytest.approx(0.849, abs=0.0005)


def test_ac1_stays_high_where_labels_are_skewed():
    # Gwet (2002, Kappa statistic is not satisfactory): 118 and 0 agreed, 5 and 2 not; kappa is -.023.
    table = np.array([[2, 0]] * 118 + [[1, 1]] * 7)
    assert gwet_ac1(table) == pytest.approx(0.9408, abs=0.0005)
    assert krippendorff_alpha(table) < 0


def test_masi_is_as_published():
    # Passonneau (2006): sets of which one holds the other, and sets that only overlap.
    assert masi_distance(frozenset("ab"), frozenset("abcd")) == pytest.approx(1 - 1 / 2 * 2 / 3)
    assert masi_distance(frozenset("ab"), frozenset("bc")) == pytest.approx(1 - 1 / 3 * 1 / 3)
    assert masi_distance(frozenset(), frozenset("a")) == 1
    assert masi_distance(frozenset(), frozenset()) == 0


@pytest.mark.parametrize("table", [np.zeros((0, 2)), np.array([[1, 0]]), np.zeros((3, 2), dtype=int)])
def test_without_two_opinions_nothing_is_defined(table):
    assert krippendorff_alpha(table.astype(int)) is None
    assert gwet_ac1(table.astype(int)) is None


def test_one_value_alone_leaves_alpha_undefined():
    assert krippendorff_alpha(np.array([[2, 0], [2, 0]])) is None
    assert gwet_ac1(np.array([[2, 0], [2, 0]])) == 1


SCHEMES = {
    "textcat": LabelScheme("textcat", ("A", "B", "C")),
    "textcat_multilabel": LabelScheme("textcat_multilabel", ("A", "B", "C")),
    "ner": LabelScheme("ner", ("A", "B")),
    "spancat": LabelScheme("spancat", ("A", "B")),
}
TEXT = "Zoë kauft 👩‍👩‍👧 in 東京, İzmir\r\nund e\u0301lan"


def spans(labels=("A", "B")):
    edge = st.integers(0, len(TEXT))
    one = st.tuples(edge, edge, st.sampled_from(labels)).filter(lambda t: t[0] < t[1])
    return st.lists(one.map(lambda t: Span(*t)), max_size=3)


def apart(found: list[Span]) -> tuple[Span, ...]:
    kept: list[Span] = []
    for span in sorted(found):
        if not kept or span.start >= kept[-1].end:
            kept.append(span)
    return tuple(kept)


ANNOTATIONS = {
    "textcat": st.sampled_from("ABC").map(lambda name: Annotation((name,))),
    "textcat_multilabel": st.sets(st.sampled_from("ABC")).map(lambda names: Annotation(tuple(names))),
    "ner": spans().map(lambda found: Annotation(spans=apart(found))),
    "spancat": spans().map(lambda found: Annotation(spans=tuple(found))),
}


@pytest.mark.parametrize("kind", SCHEMES)
@given(data=st.data())
@settings(max_examples=25)
def test_figures_stay_in_their_range_and_do_not_depend_on_who_comes_first(kind, data):
    texts = data.draw(
        st.lists(st.dictionaries(st.sampled_from("xyz"), ANNOTATIONS[kind], max_size=3), max_size=5)
    )
    # A blank more makes another text of the same tokens.
    given = [Opinions(TEXT + n * " ", said) for n, said in enumerate(texts)]
    found = agreement(SCHEMES[kind], given, seed=1, samples=20)
    turned = [Opinions(one.text, dict(reversed(one.said.items()))) for one in given]
    other = agreement(SCHEMES[kind], turned, seed=1, samples=20)
    assert found.texts == sum(len(said) > 1 for said in texts)
    figures = [found.same, found.f, found.partial_f, found.alpha, found.ac1]
    figures += [one for of in found.per_label.values() for one in (of.f, of.alpha, of.ac1)]
    again = [other.same, other.f, other.partial_f, other.alpha, other.ac1]
    for one in figures:
        assert one.value is None or one.value <= 1 + 1e-9
        assert one.value is not None or one.interval is None
    for one, turn in zip(figures, again, strict=False):
        assert one.value == pytest.approx(turn.value) if one.value is not None else turn.value is None
    if found.partial_f.value is not None:
        assert found.partial_f.value >= found.f.value - 1e-9


@pytest.mark.parametrize("kind", SCHEMES)
@given(data=st.data())
@settings(max_examples=15)
def test_who_says_the_same_agrees_fully(kind, data):
    said = data.draw(st.lists(ANNOTATIONS[kind], min_size=1, max_size=5))
    texts = [Opinions(TEXT, {"x": one, "y": one, "z": one}) for one in said]
    found = agreement(SCHEMES[kind], texts, seed=1, samples=20)
    assert found.pairs == 3 * len(said)
    assert found.same.value == 1
    for one in (found.f, found.alpha, found.ac1):
        assert one.value is None or one.value == pytest.approx(1)


def test_a_single_choice_is_measured_as_accuracy_and_by_label():
    said = [("A", "A"), ("A", "B"), ("B", "B"), ("C", "C")]
    texts = [
        Opinions(f"x{n}", {"x": Annotation((one,)), "y": Annotation((two,))})
        for n, (one, two) in enumerate(said)
    ]
    found = agreement(SCHEMES["textcat"], texts, seed=0)
    assert found.same.value == found.f.value == 0.75
    assert found.per_label["C"].f.value == 1
    assert found.per_label["A"].f.value == pytest.approx(2 / 3)
    assert found.per_label["A"].given == 3
    assert found.same.interval[0] < 0.75 < found.same.interval[1]


def test_spans_at_other_borders_count_in_part():
    left, right = Annotation(spans=(Span(0, 3, "A"),)), Annotation(spans=(Span(0, 9, "A"),))
    found = agreement(SCHEMES["ner"], [Opinions(TEXT, {"x": left, "y": right})], seed=0)
    assert (found.f.value, found.partial_f.value, found.same.value) == (0, 1, 0)
    assert found.per_label["B"].f.value is None


def test_chance_agreement_is_none():
    rng = np.random.default_rng(3)
    texts = [
        Opinions(f"x{n}", {"x": Annotation((a,)), "y": Annotation((b,))})
        for n, (a, b) in enumerate(rng.choice(["A", "B", "C"], (2000, 2)))
    ]
    found = agreement(SCHEMES["textcat"], texts, seed=0, samples=200)
    assert abs(found.alpha.value) < 0.05 and abs(found.ac1.value) < 0.05


def test_opinions_on_one_text_are_drawn_together_and_count_as_one_text():
    said = [("A", "A") if n % 4 else ("A", "B") for n in range(40)]
    once = [Opinions(f"x{n}", dict(zip("xy", map(one_label, of), strict=True))) for n, of in enumerate(said)]
    found, thrice = (agreement(SCHEMES["textcat"], times * once, seed=0) for times in (1, 3))
    assert (thrice.texts, thrice.pairs) == (40, 120)
    assert thrice.same == found.same and thrice.f == found.f


def one_label(name: str) -> Annotation:
    return Annotation((name,))
