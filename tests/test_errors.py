"""Kinds of mistakes add up to the scores' counts, the hardest texts come first, regressions are found."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_scores import NER, TAGS, TOPICS, cats, gold_of, predicted, spans

from annoloop.evaluation.errors import Mistake, analyse, mistakes, regressions, slices
from annoloop.evaluation.scores import count
from annoloop.types import Annotation, Counts, Example, Gold, LabelScheme, Span

LAPPING = LabelScheme("spancat", ("X", "Y", "Z"))
some_spans = st.builds(
    lambda start, length, label: Span(start, start + length, label),
    st.integers(0, 12),
    st.integers(1, 6),
    st.sampled_from("XYZ"),
)
annotations = st.lists(some_spans, max_size=6).map(lambda found: Annotation(spans=tuple(found)))
tags = st.sets(st.sampled_from("abc")).map(lambda names: Annotation(labels=tuple(names)))


def summed(analysis):
    return sum((m.counts for text in analysis.texts for m in text.mistakes), Counts())


@pytest.mark.parametrize("scheme", [LAPPING, TAGS], ids=["spans", "several categories"])
@given(st.data())
def test_mistakes_add_up_to_false_positives_and_negatives(scheme, data):
    some = annotations if scheme.has_spans else tags
    pairs = data.draw(st.lists(st.tuples(some, some), min_size=1, max_size=5))
    gold = gold_of([truth for truth, _ in pairs])
    said = predicted(gold, [guess for _, guess in pairs])
    analysis = analyse(scheme, gold, said)
    counted = count(scheme, gold, said)
    _, fp, fn = map(int, counted.counts.sum(axis=(0, 1)))
    assert (summed(analysis).fp, summed(analysis).fn) == (fp, fn)
    assert len(analysis.texts) == int((~counted.right).sum())
    kinds = analysis.kinds
    paired = kinds["type"] + kinds["boundary"] + kinds["partial"]
    assert (paired + kinds["spurious"], paired + kinds["missed"]) == (fp, fn)
    by_label = [sum(of.values()) for of in analysis.per_label.values()]
    assert sum(by_label) == sum(kinds.values())


@given(annotations, annotations)
def test_each_span_is_in_one_mistake_and_what_overlaps_is_paired(gold, said):
    made = mistakes(LAPPING, gold, said)
    truths = [m.gold for m in made if m.gold is not None]
    guesses = [m.said for m in made if m.said is not None]
    assert sorted(truths) == sorted(set(gold.spans) - set(said.spans))
    assert sorted(guesses) == sorted(set(said.spans) - set(gold.spans))
    for m in made:
        if m.gold and m.said:
            same_place = (m.gold.start, m.gold.end) == (m.said.start, m.said.end)
            same_label = m.gold.label == m.said.label
            assert (
                m.kind
                == {(True, False): "type", (False, True): "boundary", (False, False): "partial"}[
                    same_place, same_label
                ]
            )
            assert m.gold.start < m.said.end and m.said.start < m.gold.end
    missed = [m.gold for m in made if m.kind == "missed"]
    spurious = [m.said for m in made if m.kind == "spurious"]
    left = [(a, b) for a in missed for b in spurious if a.start < b.end and b.start < a.end]
    # Two labels, one inside the other: two things, that are both wrong.
    assert all(a.label != b.label and inside(a, b) != inside(b, a) for a, b in left)


def inside(one: Span, other: Span) -> bool:
    return other.start <= one.start and one.end <= other.end


def test_a_span_is_paired_with_what_fits_it_best():
    gold = spans((0, 9, "X"), (20, 24, "Y"))
    said = spans((0, 9, "Y"), (2, 9, "X"), (20, 22, "X"), (30, 31, "Y"))
    assert [(m.kind, m.gold, m.said) for m in mistakes(NER, gold, said)] == [
        ("type", Span(0, 9, "X"), Span(0, 9, "Y")),
        ("partial", Span(20, 24, "Y"), Span(20, 22, "X")),
        ("spurious", None, Span(2, 9, "X")),
        ("spurious", None, Span(30, 31, "Y")),
    ]


def test_confusion_of_single_choices():
    gold = gold_of([cats("a"), cats("a"), cats("b"), cats("c"), cats("c")])
    said = predicted(gold, [cats("b"), cats("b"), cats("b"), cats("a"), None])
    analysis = analyse(TOPICS, gold, said)
    assert analysis.confusion == {("a", "b"): 2, ("c", "a"): 1, ("c", None): 1}
    assert next(iter(analysis.confusion)) == ("a", "b")
    assert (analysis.read, analysis.kinds["type"], analysis.kinds["missed"]) == (5, 3, 1)


def test_confusion_of_several_categories_pairs_within_the_text():
    gold = gold_of([cats("a", "b"), cats("c"), cats()])
    said = predicted(gold, [cats("c"), cats(), cats("b")])
    expected = {("a", "c"): 1, ("b", "c"): 1, ("c", None): 1, (None, "b"): 1}
    assert analyse(TAGS, gold, said).confusion == expected


def test_the_hardest_texts_come_first():
    gold = gold_of([cats("a")] * 5)
    names = [item.example.input_hash for item in gold]
    said = dict(zip(names, [cats("b"), cats("b"), cats("b"), cats("a"), cats("b")], strict=True))
    confidence = dict(zip(names, [0.4, 0.9, None, 0.99, 0.1], strict=True))
    other = {names[4]: cats("c"), names[0]: cats("a")}
    found = analyse(TOPICS, gold, said, confidence=confidence, others=[other])
    assert [text.example.input_hash for text in found.texts] == [names[4], names[1], names[0], names[2]]
    assert found.texts[0].also_wrong == 1 and found.texts[1].also_wrong == 0
    assert analyse(TOPICS, reversed(gold), said, confidence=confidence, others=[other]) == found


def test_incomplete_gold_is_left_out():
    gold = gold_of([cats("a")], complete=False)
    assert analyse(TOPICS, gold, {}).read == 0
    assert slices(TOPICS, gold, {}, lang="en", seed=0) == ()
    assert regressions(TOPICS, gold, {}, {}).read == 0


def sliced_gold():
    """120 texts: the long ones, all from one source, are read wrong."""
    gold, said = [], {}
    for number in range(120):
        long = number % 3 == 0
        meta = {"source": "letters" if long else "mails", "lang": "de" if long else "en"}
        text = f"{number:03} " + ("İ😀 " * (40 if long else 4 + number % 2))
        example = Example(f"{number:032x}", text, meta, "dev")
        gold.append(Gold(example, cats("a"), blind=True))
        said[example.input_hash] = cats("b" if long else "a")
    return gold, said


def test_slices_find_the_weak_part():
    gold, said = sliced_gold()
    found = slices(TOPICS, gold, said, lang="en", seed=0)
    by = {(part.dimension, part.name): part for part in found}
    letters, mails = by["source", "letters"], by["source", "mails"]
    assert (letters.texts, letters.score, letters.behind) == (40, 0.0, True)
    assert (mails.texts, mails.score, mails.behind) == (80, 1.0, False)
    assert by["language", "de"].score == 0.0
    lengths = [part for part in found if part.dimension == "length"]
    assert sum(part.texts for part in lengths) == 120
    assert lengths[0].score == 0.0 and "over" in lengths[0].name
    assert by["label", "a"].score == pytest.approx(2 * 80 / (2 * 80 + 40))
    assert by["label", "b"].score == 0.0


def test_texts_that_are_alike_are_no_slice():
    gold = gold_of([cats("a"), cats("b")])
    found = slices(TOPICS, gold, predicted(gold, [cats("a"), cats("b")]), lang="en", seed=0)
    assert {part.dimension for part in found} == {"label"}


def test_regressions_are_the_texts_that_got_worse():
    gold = gold_of([spans((0, 3, "X")), spans((0, 3, "X")), spans((0, 3, "X")), spans(), spans()])
    before = predicted(gold, [spans((0, 3, "X")), spans(), spans((0, 2, "X")), spans(), spans()])
    after = predicted(
        gold, [spans(), spans((0, 3, "X")), spans((1, 3, "X")), spans((0, 1, "Y"), (2, 3, "Y")), None]
    )
    found = regressions(NER, gold, before, after)
    assert (found.read, found.better) == (4, 1)
    assert [one.example.text for one in found.worse] == ["text 3", "text 0"]
    assert found.worse[1].new == (Mistake("missed", Span(0, 3, "X"), None),)
    assert regressions(NER, gold, before, before).worse == ()
