import importlib.util
import json
import random
import unicodedata
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from annoloop.llm.align import Mention, align
from annoloop.types import Span


def placed(text, *mentions, **options):
    found = align(text, [Mention(*mention) for mention in mentions], **options)
    return [(span.start, span.end, span.label) for span in found.spans], found


def words(text, *mentions):
    return [text[start:end] for start, end, _ in placed(text, *mentions)[0]]


def test_the_occurrence_says_which_of_equal_words_is_meant():
    text = "A Gap in my list: Gap jeans, then Gap socks."
    spans, found = placed(text, ("Gap", "BRAND", 2))
    assert spans == [(18, 21, "BRAND")]
    assert not found.ambiguous


def test_case_tells_the_noun_from_the_brand():
    text = "There is a gap in my wardrobe for Gap jeans"
    assert placed(text, ("Gap", "BRAND", 1))[0] == [(34, 37, "BRAND")]


def test_without_an_occurrence_all_places_are_meant_and_that_is_a_guess():
    spans, found = placed("Nike, Nike", ("Nike", "B"))
    assert len(spans) == 2 and found.ambiguous
    spans, found = placed("Nike, Nike", ("Nike", "B"), ("Nike", "B"))
    assert len(spans) == 2 and not found.ambiguous


def test_an_occurrence_beyond_the_last_is_a_guess():
    spans, found = placed("Nike, Nike", ("Nike", "B", 7))
    assert spans == [(6, 10, "B")] and found.ambiguous


def test_mentions_come_in_any_order():
    text = "Nike sued Adidas, then Puma"
    assert words(text, ("Puma", "B", 1), ("Nike", "B", 1), ("Adidas", "B", 1)) == ["Nike", "Adidas", "Puma"]


@pytest.mark.parametrize(
    ("text", "quote", "at"),
    [
        ("I like İstanbul Moda best", "Istanbul Moda", "İstanbul Moda"),
        ("İİİ then Zara here", "Zara", "Zara"),
        ("👩‍👩‍👧 loves H&amp;M 👍🏽", "H&M", "H&amp;M"),
        ("Levi’s 501", "Levi's", "Levi’s"),
        ("a\r\nTom\r\nFord suit", "Tom Ford", "Tom\r\nFord"),
        ("the Cafe\u0301 Noir shop", "Café Noir", "Cafe\u0301 Noir"),
        ("the Café Noir shop", "Cafe\u0301 Noir", "Café Noir"),
        ("die Straße in STRASSE", "Straße", "Straße"),
        ("Brand: זארה is nice", "זארה", "זארה"),
        ("ＮＩＫＥ shoes", "NIKE", "ＮＩＫＥ"),
        ("co\u00adop jeans", "coop", "co\u00adop"),
        ("Abercrombie & Fitch", "Abercombie & Fitch", "Abercrombie & Fitch"),
        ("Dr. Martens boots", "Dr. Martens", "Dr. Martens"),
    ],
)
def test_small_differences_do_not_hide_the_place(text, quote, at):
    assert words(text, (quote, "B", 1)) == [at]


def test_a_letter_is_not_cut_from_its_accent():
    # "Zara" stands in "Zara\u0301" only as a part of another word.
    text = "Zara\u0301 and Zara"
    assert placed(text, ("Zara", "B", 1))[0] == [(10, 14, "B")]


def test_what_is_not_there_is_reported_not_dropped():
    spans, found = placed("Nothing here", ("Gucci", "B", 1))
    assert spans == [] and found.unaligned == ("Gucci",)


def test_of_overlapping_spans_the_longer_stays_and_the_other_is_reported():
    text = "Tom Ford suit"
    spans, found = placed(text, ("Ford", "B", 1), ("Tom Ford", "B", 1))
    assert spans == [(0, 8, "B")] and found.unaligned == ("Ford",)
    spans, found = placed(text, ("Ford", "B", 1), ("Tom Ford", "B", 1), allow_overlap=True)
    assert len(spans) == 2 and found.unaligned == ()


TOKENS = st.sampled_from(
    ["Gap", "gap", "İ", "naïve", "e\u0301te", "👩‍👧", "straße", "H&amp;M", "שלום", "x_1", "A-B"]
)
BLANKS = st.sampled_from([" ", "  ", "\r\n", ", ", "\t", "\u00a0"])


@given(st.lists(st.tuples(TOKENS, BLANKS), min_size=1, max_size=12), st.data())
def test_a_verbatim_quote_with_its_occurrence_comes_back_to_its_place(pieces, data):
    text = "".join(token + blank for token, blank in pieces)
    index = data.draw(st.integers(0, len(pieces) - 1))
    start = sum(len(token) + len(blank) for token, blank in pieces[:index])
    token = pieces[index][0]
    occurrence = sum(1 for other, _ in pieces[: index + 1] if other == token)
    found = align(text, [Mention(token, "B", occurrence)])
    assert found.spans == (Span(start, start + len(token), "B"),)
    assert not found.ambiguous and found.how == ("exact",)


@given(st.text(max_size=60), st.text(max_size=12))
def test_any_text_and_quote_give_a_span_inside_the_text_or_an_unaligned_quote(text, quote):
    found = align(text, [Mention(quote, "B")])
    assert all(0 <= span.start < span.end <= len(text) for span in found.spans)
    assert found.spans or found.unaligned or not quote.strip()


@example("가")
@example("각 হোক")
@given(st.text(min_size=1, max_size=30))
def test_normal_forms_of_a_text_find_each_other(text):
    quote = unicodedata.normalize("NFD", text)
    found = align(f"( {text} )", [Mention(quote, "B")])
    assert found.spans or not quote.strip()


def benchmark():
    path = Path(__file__).parents[1] / "benchmarks" / "llm_exact.py"
    spec = importlib.util.spec_from_file_location("llm_exact", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


EXACT = benchmark()


@given(st.integers(0, 10**9), st.booleans(), st.sampled_from([0.3, 0.6, 1.0]), st.randoms())
def test_the_right_answer_ends_at_the_right_places_in_whichever_order(seed, nested, meant, order):
    text, spans = EXACT.made(random.Random(seed), nested=nested, meant=meant)
    entities = json.loads(EXACT.in_json(text, spans))["entities"]
    order.shuffle(entities)
    found = align(text, [Mention(**entity) for entity in entities], allow_overlap=nested)
    assert found.spans == spans and not found.unaligned and not found.ambiguous
