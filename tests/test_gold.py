"""Gold: what answers add up to, and the types that keep held-out gold away from what learns."""

from __future__ import annotations

from dataclasses import replace

import pytest

from annoloop.errors import BlindnessError, SchemeError
from annoloop.hashing import input_hash
from annoloop.store.gold import gold_from_answers
from annoloop.types import (
    Annotation,
    Answer,
    DevGold,
    Example,
    Gold,
    HeldOutGold,
    LabelScheme,
    PoolGold,
    Span,
)

NER = LabelScheme("ner", ("A", "B"))
TOPIC = LabelScheme("textcat", ("x", "y"))
TEXT = Example(input_hash("Levi's at Gap"), "Levi's at Gap")
LEVIS, GAP = Annotation(spans=(Span(0, 6, "A"),)), Annotation(spans=(Span(10, 13, "A"),))


def said(annotation: Annotation, annotator: str, **more: object) -> Answer:
    answer = Answer(annotator, "t", TEXT.input_hash, "accept", annotation, annotator, 1, 1, blind=True)
    return replace(answer, **more)  # type: ignore[arg-type]


def derived(*answers: Answer, scheme: LabelScheme = NER) -> list[Gold]:
    return list(gold_from_answers([TEXT], answers, scheme))


def test_agreement_is_gold_with_all_its_annotators() -> None:
    (gold,) = derived(said(LEVIS, "bob"), said(LEVIS, "ada"))
    assert gold == Gold(TEXT, LEVIS, ("ada", "bob"), blind=True)


def test_a_clear_majority_counts_and_a_tie_waits() -> None:
    assert derived(said(LEVIS, "ada"), said(GAP, "bob"))[:1] == []
    (gold,) = derived(said(LEVIS, "ada"), said(GAP, "bob"), said(GAP, "eve"))
    assert gold.annotation == GAP


@pytest.mark.parametrize("verdict", ["reject", "ignore"])
def test_what_nobody_accepted_is_no_gold(verdict: str) -> None:
    assert derived(said(LEVIS, "ada", verdict=verdict)) == []


def test_one_assisted_answer_makes_gold_assisted_and_a_simulated_one_simulated() -> None:
    (gold,) = derived(said(LEVIS, "ada"), said(LEVIS, "bob", blind=False, simulated=True))
    assert not gold.blind and gold.simulated


def test_a_label_that_is_gone_is_left_out_of_gold() -> None:
    both = Annotation(spans=(Span(0, 6, "A"), Span(10, 13, "B")))
    (gold,) = derived(said(both, "ada"), scheme=LabelScheme("ner", ("A",)))
    assert gold.annotation == LEVIS
    assert derived(said(Annotation(labels=("gone",)), "ada"), scheme=TOPIC) == []


def test_a_reviewers_decision_counts_alone_and_the_last_of_several() -> None:
    both = [said(LEVIS, "ada"), said(LEVIS, "bob")]
    first = said(Annotation(), "rev", adjudicated=True, seq=20)
    last = said(GAP, "ron", adjudicated=True, seq=21, blind=False)
    assert derived(*both, last, first) == [Gold(TEXT, GAP, ("ron",), blind=False)]
    assert derived(*both, first, replace(last, retracted=True)) == [
        Gold(TEXT, Annotation(), ("rev",), blind=True)
    ]
    assert derived(*both, replace(first, verdict="ignore")) == []


def test_a_renamed_label_has_its_new_name_in_gold_and_taking_it_back_is_enough() -> None:
    renamed = LabelScheme("ner", ("NEW", "B"), renamed={"A": "NEW"})
    after = Annotation(spans=(Span(0, 6, "NEW"),))
    (gold,) = derived(said(LEVIS, "ada"), said(after, "bob"), scheme=renamed)
    assert gold.annotation == after and gold.annotators == ("ada", "bob")
    assert derived(said(LEVIS, "ada"))[0].annotation == LEVIS
    topics = LabelScheme("textcat", ("x", "y"), renamed={"old": "y"})
    assert derived(said(Annotation(("old",)), "ada"), scheme=topics)[0].annotation.labels == ("y",)


@pytest.mark.parametrize("kind", [PoolGold, DevGold])
def test_held_out_gold_cannot_be_learned_from(kind: type[PoolGold] | type[DevGold]) -> None:
    held_out = Gold(replace(TEXT, split="held_out"), LEVIS)
    assert len(HeldOutGold((held_out,))) == 1
    with pytest.raises(BlindnessError, match="is in held_out"):
        kind((held_out,))


@pytest.mark.parametrize(
    ("scheme", "annotation", "reason"),
    [
        (NER, Annotation(spans=(Span(0, 99, "A"),)), "outside the text"),
        (NER, Annotation(spans=(Span(3, 3, "A"),)), "outside the text"),
        (NER, Annotation(spans=(Span(0, 6, "A"), Span(5, 9, "B"))), "overlap"),
        (NER, Annotation(spans=(Span(0, 6, "C"),)), "'C' is not in the project"),
        (NER, Annotation(labels=("A",)), "categories in a project of spans"),
        (TOPIC, Annotation(labels=("x", "y")), "2 categories"),
        (TOPIC, Annotation(spans=(Span(0, 6, "x"),)), "spans in a project of categories"),
    ],
)
def test_an_annotation_that_does_not_fit_is_refused(
    scheme: LabelScheme, annotation: Annotation, reason: str
) -> None:
    with pytest.raises(SchemeError, match=reason):
        scheme.check(annotation, TEXT.text)


def test_overlap_is_fine_where_the_kind_allows_it() -> None:
    overlapping = Annotation(spans=(Span(0, 6, "A"), Span(5, 9, "B")))
    replace(NER, kind="spancat").check(overlapping, TEXT.text)
