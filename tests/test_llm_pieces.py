"""Long texts are asked about in pieces; what is said of the pieces stands at its place in the text."""

import json
import re
import unicodedata

import pytest
from fake_llm import FakeLLM, Reply
from hypothesis import example, given
from hypothesis import strategies as st

from annoloop.errors import BlindnessError
from annoloop.hashing import input_hash
from annoloop.llm.answers import LLMResult, MemoryCache
from annoloop.llm.pieces import Piece, joined, joined_labels, pieces
from annoloop.llm.prepare import prepare
from annoloop.llm.questions import Shot
from annoloop.llm.redaction.redactor import Redactor
from annoloop.types import Annotation, Example, LabelScheme, Span

NER = LabelScheme("ner", ("ORG", "GPE"))
SPANCAT = LabelScheme("spancat", ("ORG", "GPE"))
CAT = LabelScheme("textcat", ("GOOD", "BAD"))
MULTI = LabelScheme("textcat_multilabel", ("GOOD", "BAD"))

WORDS = st.sampled_from(
    [
        "Gap",
        "İ",
        "e\u0301te",
        "👩‍👩‍👧",
        "👍🏽",
        "🇩🇪🇫🇷",
        "straße",
        "Dr. Martens",
        "שלום",
        "नमस्ते",
        "東京。",
        "각",
        "\ud800",
    ]
)
BLANKS = st.sampled_from([" ", ". ", "! ", "\r\n", "\n\n", ", ", "\u00a0", "", "\u2028"])
TEXTS = st.lists(st.tuples(WORDS, BLANKS), max_size=40).map(lambda parts: "".join(w + b for w, b in parts))


def cuts_a_grapheme(text, at):
    """Said without the library that the code asks."""
    before, after = text[at - 1], text[at]
    flags = re.search("[\U0001f1e6-\U0001f1ff]*$", text[:at])
    return (
        (before, after) == ("\r", "\n")
        or unicodedata.category(after) in ("Mn", "Me", "Mc")
        or "\u200d" in (before, after)
        or before == "\u094d"  # the virama binds the next consonant
        or "\U0001f3fb" <= after <= "\U0001f3ff"
        or ("\U0001f1e6" <= after <= "\U0001f1ff" and len(flags[0]) % 2 == 1)
    )


@example("a" * 50, 7, "en")
@example(" " * 50, 7, "en")
@example("e" + "\u0301" * 60, 9, "en")
@example("a\r\n" * 9, 2, "de")
@example("東京は大きい。" * 9, 10, "ja")
@given(TEXTS, st.integers(1, 60), st.sampled_from(["en", "de", "xx"]))
def test_joined_pieces_are_the_text_and_no_grapheme_is_cut(text, longest, lang):
    cut = pieces(text, longest=longest, lang=lang)
    assert "".join(piece.text for piece in cut) == text
    assert [piece.start for piece in cut] == [
        sum(len(one.text) for one in cut[:place]) for place in range(len(cut))
    ]
    for piece in cut:
        assert text[piece.start : piece.end] == piece.text
        assert piece.text or len(cut) == 1
        inside = range(piece.start + 1, piece.end)
        assert len(piece.text) <= longest or all(cuts_a_grapheme(text, at) for at in inside)
    assert not [piece.start for piece in cut[1:] if cuts_a_grapheme(text, piece.start)]
    assert len(text) > longest or len(cut) == 1


def test_cuts_are_at_the_ends_of_sentences():
    text = "I wear Dr. Martens. You wear Gap, e.g. jeans! Do we?\n\nA title\nwithout an end"
    assert [piece.text for piece in pieces(text, longest=28)] == [
        "I wear Dr. Martens. ",
        "You wear Gap, e.g. jeans! ",
        "Do we?\n\n",
        "A title\nwithout an end",
    ]
    assert [piece.text for piece in pieces("今天。明天。后天。", longest=7, lang="zh")] == [
        "今天。明天。",
        "后天。",
    ]
    assert [piece.text for piece in pieces("one two\nthree four five", longest=12)] == [
        "one two\n",
        "three four ",
        "five",
    ]


def test_a_book_without_a_blank_is_cut_in_no_time():
    text = "ab." * 40_000
    assert all(len(piece.text) <= 1000 for piece in pieces(text, longest=1000))


def said(text, *spans, status="ok", **more):
    annotation = Annotation(spans=tuple(Span(*span) for span in spans)) if status == "ok" else None
    return LLMResult(input_hash=text, status=status, annotation=annotation, **more)


@given(TEXTS.filter(bool), st.integers(3, 30), st.data())
def test_spans_of_pieces_stand_at_their_place_in_the_text(text, longest, data):
    cut = pieces(text, longest=longest)
    parts, quotes = [], []
    for piece in cut:
        start = data.draw(st.integers(0, len(piece.text) - 1))
        end = data.draw(st.integers(start + 1, len(piece.text)))
        parts.append((piece, said("x", (start, end, "ORG"))))
        quotes.append(piece.text[start:end])
    result = joined(parts, SPANCAT)
    assert [text[span.start : span.end] for span in result.annotation.spans] == quotes


def test_one_category_is_that_of_most_characters_and_of_equals_the_first():
    long, short, other = Piece(0, "aaaa"), Piece(4, "bb"), Piece(6, "cc")
    good, bad = Annotation(labels=("GOOD",)), Annotation(labels=("BAD",))
    assert joined_labels([(short, good), (long, bad)], exclusive=True) == ("BAD",)
    assert joined_labels([(short, bad), (long, good), (other, bad)], exclusive=True) == ("BAD",)
    assert joined_labels([(short, good), (other, bad)], exclusive=True) == ("GOOD",)
    assert set(joined_labels([(short, good), (other, bad)], exclusive=False)) == {"GOOD", "BAD"}
    assert joined_labels([(short, Annotation())], exclusive=False) == ()


def test_a_text_is_answered_where_each_piece_is():
    ok = said("x", (0, 1, "ORG"), prompt_tokens=3, cost=0.5, milliseconds=4, cached=True)
    wrong = said("x", status="malformed", reason="no JSON", prompt_tokens=2, milliseconds=1)
    failed = said("x", status="failed", reason="timeout")
    parts = [(Piece(0, "a"), ok), (Piece(1, "b"), wrong), (Piece(2, "c"), failed)]
    result = joined(parts, NER)
    assert (result.status, result.reason, result.annotation) == ("failed", "timeout", None)
    result = joined(parts[:2], NER)
    assert (result.status, result.reason) == ("malformed", "no JSON")
    assert (result.prompt_tokens, result.cost, result.milliseconds, result.cached) == (5, None, 5, False)


@pytest.fixture
def server():
    with FakeLLM() as fake:
        yield fake


def asked_about(body):
    return body["messages"][-1]["content"].removeprefix("Text: ")


def prepared(server, scheme, **options):
    block = {"@llm_models": "annoloop.OpenAI.v1", "base_url": server.base_url, "name": "fake", "retries": 0}
    task, more = options.pop("task", "auto"), options.pop("config", {})
    config = {"model": block, "task": {"@llm_tasks": task}, **more}
    return prepare(scheme=scheme, config=config, **options)


def eg(text, split="pool"):
    return Example(input_hash(text), text, split=split)


LONG = "Gap is in Rome. " * 20 + "Then İ went to a Gap with 👍🏽. " + "Rome is big. " * 20


@pytest.mark.parametrize("scheme", [NER, SPANCAT])
def test_a_long_text_is_asked_about_in_pieces_and_marked_exactly(server, scheme):
    def answer(body):
        text = asked_about(body)
        found = [
            {"quote": quote, "label": label, "occurrence": number + 1}
            for quote, label in (("Gap", "ORG"), ("Rome", "GPE"))
            for number in range(text.count(quote))
        ]
        return json.dumps({"entities": [*found, {"quote": "Gucci", "label": "ORG", "occurrence": 1}]})

    server.answer = answer
    cache = MemoryCache()
    ready = prepared(server, scheme, cache=cache, config={"max_characters": 200})
    (result,) = ready.results([eg(LONG)])
    places = {(m.start(), m.end()) for quote in ("Gap", "Rome") for m in re.finditer(quote, LONG)}
    assert {(span.start, span.end) for span in result.annotation.spans} == places
    assert result.unaligned == ("Gucci",) * len(server.history) and len(server.history) > 2
    assert sorted(map(asked_about, server.history)) == sorted(
        piece.text.strip() for piece in pieces(LONG, longest=200)
    )
    assert result.prompt_tokens == 10 * len(server.history)
    before = len(server.history)
    assert next(iter(ready.results([eg(LONG)]))).cached and len(server.history) == before
    # What an estimate counts is what was sent.
    assert {ready.model.key(prompt) for prompt in ready.prompts([eg(LONG)])} == set(cache)


def test_categories_of_a_long_text(server):
    server.answer = lambda body: '{"label": "%s"}' % ("BAD" if "Rome is" in asked_about(body) else "GOOD")
    (result,) = prepared(server, CAT, config={"max_characters": 200}).results([eg("x. " * 80 + LONG[350:])])
    assert result.annotation == Annotation(labels=("BAD",))
    server.answer = lambda body: '{"labels": ["%s"]}' % ("BAD" if "Rome is" in asked_about(body) else "GOOD")
    (result,) = prepared(server, MULTI, config={"max_characters": 200}).results([eg(LONG)])
    assert result.annotation == Annotation(labels=("GOOD", "BAD"))


def test_a_piece_that_fails_costs_its_text_only_and_is_asked_again_alone(server):
    server.answer = lambda body: (
        Reply(status=400) if "İ" in asked_about(body) else json.dumps({"entities": []})
    )
    ready = prepared(server, NER, config={"max_characters": 200})
    long, short = sorted(ready.results([eg(LONG), eg("Rome")]), key=lambda result: result.status)
    assert (long.status, long.annotation, short.status) == ("failed", None, "ok")
    first = len(server.history)
    server.answer = lambda body: json.dumps({"entities": []})
    (again,) = ready.results([eg(LONG)])
    assert again.status == "ok" and len(server.history) - first == 1


def test_a_text_below_the_limit_is_asked_about_as_ever(server):
    plain, cut = prepared(server, NER), prepared(server, NER, config={"max_characters": 500})
    text = "Rome. \r\n" * 60
    (one,), (same,) = plain.prompts([eg(text)]), cut.prompts([eg(text)])
    assert (one.messages, one.schema) == (same.messages, same.schema)
    assert not server.history


def test_the_small_model_gets_no_more_than_it_can_take(tmp_path):
    config = {"model": {"base_url": "embedded", "name": str(tmp_path / "m.gguf")}}
    shots = [Shot("word " * 300, Annotation())]
    ready = prepare(scheme=NER, config=config, few_shot=shots)
    prompts = list(ready.prompts([eg("Rome is big. " * 2000)]))
    assert len(prompts) > 3 and max(map(len, prompts)) <= (4096 - 256) * 2.5
    (emoji,) = prepare(scheme=NER, config=config).prompts([eg("👍" * 400)])
    assert len(list(prepare(scheme=NER, config=config).prompts([eg("👍" * 2000)]))) > 1 and emoji


@pytest.mark.parametrize("task", ["auto", "spacy.NER.v3"])
def test_a_text_to_be_judged_by_is_never_asked_about_beside_its_answer(server, task):
    if task == "auto":
        ready = prepared(server, NER, few_shot=[Shot("Rome", Annotation(spans=(Span(0, 4, "GPE"),)))])
    else:
        row = {"text": "Rome", "spans": [{"text": "Rome", "is_entity": True, "label": "GPE", "reason": "a"}]}
        config = {"task": {"@llm_tasks": task, "examples": [row]}}
        ready = prepared(server, NER, config=config)
    for way in (ready.prompts, ready.results):
        with pytest.raises(BlindnessError, match="to be judged by"):
            list(way([eg("Oslo"), eg("Rome", "held_out")]))
    assert not server.history


def test_what_is_masked_never_leaves_and_comes_back_restored(server):
    server.answer = lambda body: json.dumps(
        {
            "entities": [
                {"quote": "Xxxx", "label": "ORG", "occurrence": 2, "reason": "Xxxx sells"},
                {"quote": "Mrs. Xxxx", "label": "ORG", "occurrence": 1, "reason": ""},
            ]
        }
    )
    shots = [Shot("Anna here", Annotation(spans=(Span(0, 4, "ORG"),)))]
    ready = prepared(
        server,
        NER,
        few_shot=shots,
        guidelines="Never Anna.",
        redactor=Redactor(names=["Anna"]),
        config={"include_reason": True},
    )
    (result,) = ready.results([eg("Anna, Anna")])
    assert result.annotation.spans == (Span(6, 10, "ORG"),)
    assert result.unaligned == ("Mrs. Anna",) and result.reason == "Anna: Anna sells"
    assert "Anna" not in json.dumps(server.history) and "Xxxx here" in json.dumps(server.history)
    assert "Anna" not in "".join(ready.prompts([eg("Anna, Anna")]))
    server.answer = lambda body: "1. Xxxx | True | ORG | a person"
    foreign = prepared(server, NER, redactor=Redactor(names=["Anna"]), task="spacy.NER.v3")
    (result,) = foreign.results([eg("Oh Anna")])
    assert result.annotation.spans == (Span(3, 7, "ORG"),)
    assert "Anna" not in json.dumps(server.history)
