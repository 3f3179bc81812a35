"""Spans that may overlap: what pairs with what, what is missing, and models that came out broken."""

from __future__ import annotations

from pathlib import Path

import pytest
import spacy
from confection import Config
from hypothesis import given
from hypothesis import strategies as st
from spacy.tokens import Doc, DocBin
from test_training import SPAN_PAIRS, SPANCAT, dev, pool

import annoloop.training.train as train_module
from annoloop.corpus.batches import MOST_ROWS, batches, span_rows
from annoloop.evaluation.agreement import Opinions, agreement
from annoloop.evaluation.curve_laws import ODDS
from annoloop.evaluation.errors import mistakes
from annoloop.evaluation.label_errors import span_suspects
from annoloop.hashing import input_hash
from annoloop.rules.joining import rules_pipeline
from annoloop.rules.matcher import Rules
from annoloop.rules.patterns import read_patterns
from annoloop.steps.evidence.report_errors import within
from annoloop.steps.evidence.train_curve import law_of
from annoloop.training.predict import predict
from annoloop.training.recipe import FOLDER
from annoloop.training.train import train
from annoloop.types import Annotation, Example, Gold, LabelScheme, PoolGold, Span

NESTED = LabelScheme("spancat", ("PROBLEM", "ITEM"))


def spans(*given):
    return Annotation(spans=tuple(Span(*one) for one in given))


def kinds(gold, said):
    return sorted(m.kind for m in mistakes(NESTED, gold, said))


def test_a_span_inside_another_of_a_different_label_is_not_taken_for_it():
    assert kinds(spans((0, 30, "PROBLEM")), spans((5, 9, "ITEM"))) == ["missed", "spurious"]
    assert kinds(spans((5, 9, "ITEM")), spans((0, 30, "PROBLEM"))) == ["missed", "spurious"]
    assert kinds(spans((5, 9, "ITEM")), spans((5, 9, "PROBLEM"))) == ["type"]
    assert kinds(spans((5, 9, "ITEM")), spans((7, 12, "PROBLEM"))) == ["partial"]


def test_the_same_label_pairs_before_the_same_place():
    gold, said = spans((0, 9, "ITEM"), (0, 4, "PROBLEM")), spans((0, 4, "ITEM"))
    assert kinds(gold, said) == ["boundary", "missed"]


def test_partly_right_counts_spans_of_the_same_label_that_overlap():
    # "bent shaft" is both; the other person took the problem one word shorter and left the item out.
    one, other = spans((0, 10, "PROBLEM"), (5, 10, "ITEM")), spans((5, 10, "PROBLEM"))
    found = agreement(NESTED, [Opinions("text", {"Ada": one, "Bo": other})], seed=0, samples=20)
    assert (found.f.value, found.partial_f.value) == (0.0, pytest.approx(2 / 3))


def test_characters_in_two_spans_are_labelled_once():
    text = "The shaft is bent " * 2
    gold = [Gold(Example(input_hash(text), text), spans((0, 24, "PROBLEM"), (4, 9, "ITEM"), (0, 17, "ITEM")))]
    assert law_of(NESTED, "spancat", gold) is ODDS  # 24 of 36 characters; summed it would be 46.


def nested_gold(number, *, item=True):
    text = f"Order {number}: the pump is leaking again since {number} days"
    start = text.index("pump")
    inner = [(start, start + 4, "ITEM")] if item else []
    return Gold(Example(input_hash(text), text), spans((start - 4, text.index(" since"), "PROBLEM"), *inner))


def test_a_name_left_out_of_a_phrase_is_found_and_the_reason_is_of_its_label_alone():
    gold = [nested_gold(number, item=number != 7) for number in range(12)]
    first, *_ = span_suspects(NESTED, PoolGold(tuple(gold)))
    assert first.gold is gold[7]
    assert (first.label, first.expected, first.surface) == (None, "ITEM", "pump")
    assert first.reason == "“pump” is not ITEM here and ITEM in 11 of 11 other places"


def test_a_span_that_reaches_beyond_the_part_shown_is_cut_to_it():
    long, inner = (0, 450, "PROBLEM"), (100, 104, "ITEM")
    shown = within(spans(long, inner, (440, 450, "ITEM")), 50, 400)
    assert set(shown) == {Span(0, 350, "PROBLEM"), Span(50, 54, "ITEM")}


@given(
    st.lists(st.integers(0, 3000).map(lambda size: "x" * size), max_size=40),
    st.sets(st.integers(1, 60), max_size=8),
    st.integers(1, 9),
)
def test_batches_keep_the_texts_and_fit(texts, sizes, batch_size):
    found = list(batches(texts, sorted(sizes), batch_size=batch_size))
    assert [text for batch in found for text in batch] == texts
    for batch in found:
        assert 0 < len(batch) <= batch_size
        rows = sum(span_rows(sizes, len(text) / 4) for text in batch)
        assert len(batch) == 1 or rows <= MOST_ROWS


@pytest.mark.parametrize("kind", ["spancat", "textcat", "textcat_multilabel"])
def test_what_rules_decide_in_a_pipeline_has_no_certainty(kind):
    scheme = LabelScheme(kind, ("ITEM", "OTHER"))
    patterns = read_patterns('{"label": "ITEM", "pattern": "pump"}', scheme=scheme, lang="en")
    nlp = rules_pipeline(Rules(patterns, scheme=scheme, lang="en"))
    [said] = predict(nlp, ["The pump leaks"], scheme=scheme)
    assert said.annotation.labels == ("ITEM",) or said.annotation.spans == (Span(4, 8, "ITEM"),)
    assert said.score is None


@pytest.mark.parametrize(
    ("known", "seed", "texts"),
    [([0.9, 0.9], 5, 30), ([0.9, 0.5, 0.89], 6, 30), ([0.9, 0.5, 0.5, 0.5], 5, 20)],
    ids=["as good", "broken once", "always broken"],
)
def test_a_model_that_lost_what_it_knew_is_trained_with_another_seed(
    known, seed, texts, tmp_path: Path, monkeypatch
):
    """`known`: what the models, first the one without dev, are said to know of what they learned from."""
    left = iter(known)
    monkeypatch.setattr(train_module, "span_f", lambda folder, learn, scheme: next(left))
    told: list[str] = []
    learn, judge = pool(SPAN_PAIRS[:20]), dev(SPAN_PAIRS[20:])
    made = train(
        learn,
        judge,
        scheme=SPANCAT,
        lang="en",
        seed=5,
        out=tmp_path / "m",
        with_dev=True,
        recipes=[str(quick(tmp_path))],
        on_progress=lambda what, done, of: told.append(what),
    )
    config = Config().from_disk(made.path / "training" / "config.cfg", interpolate=False)
    assert config["system"]["seed"] == seed
    assert len(docs(made.path / "training" / "train.spacy")) == texts
    assert sum("forgot" in line for line in told) == sum(value < 0.88 for value in known)


def quick(folder: Path) -> Path:
    """The recipe of spans, with three steps."""
    config = spacy.util.load_config(FOLDER / "spancat.cfg", interpolate=False)
    config["training"].update(max_steps=3, eval_frequency=3, patience=0)
    config.to_disk(folder / "quick.cfg")
    return folder / "quick.cfg"


def docs(path: Path) -> list[Doc]:
    return list(DocBin().from_disk(path).get_docs(spacy.blank("en").vocab))
