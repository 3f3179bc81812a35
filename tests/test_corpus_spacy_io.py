from __future__ import annotations

import json
from pathlib import Path

import pytest
import spacy
from hypothesis import given, settings
from hypothesis import strategies as st
from spacy.tokens import DocBin
from spacy.training import Example as SpacyExample

from annoloop.corpus.read import Row, read_rows
from annoloop.corpus.spacy_io import from_doc, off_token_borders, to_doc
from annoloop.corpus.write import write_docbin, write_jsonl
from annoloop.errors import FormatError
from annoloop.types import Annotation, Example, Gold, LabelScheme, Span

NER = LabelScheme("ner", ("A", "B"))
SPANCAT = LabelScheme("spancat", ("A", "B"))
ONE = LabelScheme("textcat", ("A", "B"))
SEVERAL = LabelScheme("textcat_multilabel", ("A", "B"))
NLP = spacy.blank("en")

texts = st.one_of(
    st.text(st.characters(blacklist_categories=("Cs",), blacklist_characters="\0"), min_size=1, max_size=60),
    st.lists(
        st.sampled_from(["Ann", "👩‍👩‍👧", "e\u0301", "\r\n", "İstanbul", "שלום", ",", "  ", "don't"]),
        min_size=1,
    ).map(" ".join),
).filter(str.strip)


@st.composite
def aligned(draw: st.DrawFn, overlapping: bool) -> tuple[str, Annotation]:
    """A text and spans whose ends are words of it."""
    text = draw(texts)
    words = [token for token in NLP.make_doc(text) if not token.is_space]
    spans, next_free = [], 0
    for _ in range(draw(st.integers(0, 3))):
        first = draw(st.integers(0 if overlapping else next_free, max(len(words), 1)))
        last = draw(st.integers(first, max(len(words), 1)))
        if last < len(words):
            end = words[last].idx + len(words[last])
            spans.append(Span(words[first].idx, end, draw(st.sampled_from("AB"))))
            next_free = last + 1
    return text, Annotation(spans=tuple(spans))


@settings(max_examples=150)
@given(aligned(overlapping=False))
def test_ner_round_trip(case: tuple[str, Annotation]) -> None:
    text, annotation = case
    assert off_token_borders(NLP, text, annotation) == []
    doc = to_doc(NLP, text, annotation, NER)
    assert doc.text == text and from_doc(doc, NER) == annotation
    assert all(token.ent_iob_ in "BIO" and token.ent_iob_ for token in doc)


@settings(max_examples=150)
@given(aligned(overlapping=True))
def test_spancat_round_trip(case: tuple[str, Annotation]) -> None:
    text, annotation = case
    assert from_doc(to_doc(NLP, text, annotation, SPANCAT), SPANCAT) == annotation


@settings(max_examples=150)
@given(texts, st.integers(-2, 70), st.integers(-2, 70))
def test_a_span_anywhere_is_exact_or_reported_and_never_moved(text: str, start: int, end: int) -> None:
    annotation = Annotation(spans=(Span(start, end, "A"),))
    problems = off_token_borders(NLP, text, annotation)
    found = from_doc(to_doc(NLP, text, annotation, NER), NER)
    assert found == (Annotation() if problems else annotation)
    for problem in problems:
        if problem.nearest:
            assert off_token_borders(NLP, text, Annotation(spans=(problem.nearest,))) == []


def test_tokens_of_a_span_off_borders_are_missing_and_the_rest_is_not() -> None:
    annotation = Annotation(spans=(Span(0, 6, "A"), Span(9, 13, "B")))
    doc = to_doc(NLP, "Annabel in Rome today", annotation, NER)
    assert [token.ent_iob_ for token in doc] == ["", "", "", "O"]
    example = SpacyExample(NLP.make_doc(doc.text), doc)
    assert example.get_aligned_ner() == [None, None, None, "O"]
    exact = to_doc(NLP, "Annabel in Rome today", Annotation(spans=(Span(0, 7, "A"), Span(6, 9, "B"))), NER)
    assert [token.ent_iob_ for token in exact] == ["B", "", "O", "O"]


def test_spans_off_borders_do_not_stop_training() -> None:
    nlp = spacy.blank("en")
    nlp.add_pipe("ner").add_label("A")
    cases = [
        ("Annabel in Rome", Span(0, 6, "A")),
        ("Ann \r\n in", Span(0, 6, "A")),
        ("Ann  in", Span(4, 5, "A")),
        ("Rome", Span(0, 4, "A")),
    ]
    docs = [to_doc(nlp, text, Annotation(spans=(span,)), NER) for text, span in cases]
    examples = [SpacyExample(nlp.make_doc(doc.text), doc) for doc in docs]
    nlp.initialize(lambda: examples)
    assert nlp.update(examples)["ner"] >= 0


def test_categories() -> None:
    assert to_doc(NLP, "x", Annotation(labels=("B",)), ONE).cats == {"A": 0.0, "B": 1.0}
    for scheme, labels in ((ONE, ("A",)), (SEVERAL, ("A", "B")), (SEVERAL, ())):
        annotation = Annotation(labels=labels)
        assert from_doc(to_doc(NLP, "x", annotation, scheme), scheme) == annotation
    doc = NLP.make_doc("x")
    doc.cats = {"A": 0.3, "B": 0.4}
    assert from_doc(doc, ONE).labels == ("B",) and from_doc(doc, SEVERAL).labels == ()


@pytest.mark.parametrize("text", ["a" * 200_000, "a.b/" * 20_000, "ab" * 20_000 + " end", "👍" * 1_000])
def test_long_texts_without_blanks_come_back_whole(text: str) -> None:
    annotation = Annotation(spans=(Span(0, 1, "A"),))
    assert to_doc(NLP, text, annotation, NER).text == text


def gold(text: str, annotation: Annotation, **settings: object) -> Gold:
    return Gold(Example(str(hash(text)), text, {"n": 1}), annotation, **settings)


@settings(max_examples=15)
@given(st.lists(aligned(overlapping=False), min_size=1, max_size=5))
def test_jsonl_round_trip(
    tmp_path_factory: pytest.TempPathFactory, cases: list[tuple[str, Annotation]]
) -> None:
    path = tmp_path_factory.mktemp("out") / "gold.jsonl"
    assert write_jsonl(path, [gold(text, annotation) for text, annotation in cases], NER) == len(cases)
    rows = list(read_rows(path, scheme=NER))
    assert [(row.text, row.annotation, row.complete) for row in rows if isinstance(row, Row)] == [
        (*case, True) for case in cases
    ]


@pytest.mark.parametrize(("scheme", "labels"), [(ONE, ("B",)), (SEVERAL, ("A", "B")), (SEVERAL, ())])
def test_categories_are_written_as_a_choice(
    tmp_path: Path, scheme: LabelScheme, labels: tuple[str, ...]
) -> None:
    path = tmp_path / "gold.jsonl"
    write_jsonl(path, [gold("x 👍", Annotation(labels=labels))], scheme)
    [row] = read_rows(path, scheme=scheme)
    assert isinstance(row, Row) and row.annotation == Annotation(labels=labels) and row.meta == {"n": 1}


def test_what_prodigy_needs_is_written(tmp_path: Path) -> None:
    path = tmp_path / "gold.jsonl"
    items = [
        gold("Ann Bell, Rome", Annotation(spans=(Span(0, 8, "A"),))),
        gold("no", Annotation(), complete=False),
        Example("h", "plain", {}),
    ]
    assert write_jsonl(path, items, NER) == 2
    task, plain = [json.loads(line) for line in path.read_text(encoding="utf8").splitlines()]
    assert task["spans"] == [{"start": 0, "end": 8, "label": "A", "token_start": 0, "token_end": 1}]
    assert task["tokens"][1] == {"text": "Bell", "start": 4, "end": 8, "id": 1, "ws": False}
    assert (task["answer"], task["_view_id"]) == ("accept", "ner_manual")
    assert set(plain) == {"text", "_input_hash", "_task_hash"}


def test_docbin_is_what_spacy_train_reads(tmp_path: Path) -> None:
    annotation = Annotation(spans=(Span(0, 3, "A"),))
    assert write_docbin(tmp_path / "a.spacy", [gold("Ann works", annotation)], NER) == 1
    [doc] = DocBin().from_disk(tmp_path / "a.spacy").get_docs(NLP.vocab)
    assert from_doc(doc, NER) == annotation


def test_a_file_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "gold.jsonl"
    path.write_text("old")

    def failing():
        yield Example("h", "new")
        raise RuntimeError("stopped")

    with pytest.raises(RuntimeError):
        write_jsonl(path, failing(), NER)
    assert path.read_text() == "old" and [one.name for one in tmp_path.iterdir()] == ["gold.jsonl"]
    with pytest.raises(FormatError, match="cannot be written"):
        write_jsonl(tmp_path / "none" / "a.jsonl", [], NER)
