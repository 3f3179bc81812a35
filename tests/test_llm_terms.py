"""Terms for a label: what is asked, what comes back, and that no text goes along."""

from __future__ import annotations

import hashlib
import json

import pytest
from fake_llm import FakeLLM, Reply

from annoloop.errors import LLMError
from annoloop.llm.answers import MemoryCache
from annoloop.llm.prompting import PROMPTS, render, version_number
from annoloop.llm.terms import ask_terms, terms_prompt
from annoloop.types import LabelScheme

NER = LabelScheme("ner", ("BRAND", "CITY"), {"BRAND": "Names of shops"})


@pytest.fixture
def server():
    with FakeLLM() as fake:
        yield fake


def block(server):
    return {"model": {"base_url": server.base_url, "name": "fake", "retries": 0}}


# Template and version -> its words for spans and for categories; where they change, raise the version.
WORDED = {
    "terms.v1.de-1": ("34b777808703", "c920476f9327"),
    "terms.v1.en-1": ("b7cee6035c98", "d4e4c332df95"),
}


@pytest.mark.parametrize("template", sorted(path.stem for path in PROMPTS.glob("terms.*.jinja")))
def test_the_version_of_a_prompt_changes_with_its_words(template):
    digests = []
    for spans in (True, False):
        words = [render(template, "system", spans=spans, most=7), render(template, "repair", reason="x")]
        for definition, others in ((None, []), ("first", ["B", "C"])):
            values = {"label": "A", "definition": definition, "others": others, "spans": spans}
            words.append(render(template, "question", **values))
        digests.append(hashlib.sha256("\0".join(words).encode()).hexdigest()[:12])
    assert WORDED[f"{template}-{version_number(template)}"] == tuple(digests)


def test_terms_of_each_label_once_in_any_case_without_sentences(server):
    def answer(body):
        asked = body["messages"][-1]["content"]
        brands = [" Nike ", "NIKE", "Old\n Navy", "İpekyol", "👍", "", "so long a term that it is " * 4]
        return json.dumps({"terms": brands if "BRAND" in asked.splitlines()[0] else ["Köln", "Ulm"]})

    server.answer = answer
    found = ask_terms(NER, config=block(server))
    assert found.terms == {"BRAND": ("Nike", "Old Navy", "İpekyol"), "CITY": ("Köln", "Ulm")}
    assert not found.failed
    assert ask_terms(NER, config=block(server), most=1).terms["CITY"] == ("Köln",)


def test_what_was_answered_is_not_asked_again(server):
    server.answer = lambda body: '{"terms": ["Nike"]}'
    cache = MemoryCache()
    first = ask_terms(NER, config=block(server), cache=cache)
    asked = len(server.history)
    assert ask_terms(NER, config=block(server), cache=cache) == first
    assert len(server.history) == asked


def test_a_label_whose_answer_fails_fails_alone(server):
    def answer(body):
        brand = "BRAND" in body["messages"][1]["content"].splitlines()[0]
        return Reply(status=500, error="broken") if brand else '{"terms": ["Ulm"]}'

    server.answer = answer
    found = ask_terms(NER, config=block(server))
    assert found.terms == {"CITY": ("Ulm",)}
    assert set(found.failed) == {"BRAND"} and found.failed["BRAND"]


@pytest.mark.parametrize("wrong", ['{"terms": "Nike"}', '{"terms": [1]}', "Nike, Adidas"])
def test_an_answer_of_another_shape_is_no_list_of_terms(server, wrong):
    server.answer = lambda body: wrong
    found = ask_terms(NER, config=block(server))
    assert not found.terms and set(found.failed) == {"BRAND", "CITY"}


def test_the_question_names_label_definition_and_the_others_and_speaks_the_language():
    german = terms_prompt("BRAND", NER, lang="de")
    assert "BRAND (Names of shops)" in german and "Nicht: CITY" in german
    assert "Kategorie" in terms_prompt("A", LabelScheme("textcat", ("A", "B")), lang="de")
    assert "Category: A" in terms_prompt("A", LabelScheme("textcat", ("A", "B")), lang="fr")


def test_models_of_others_and_farther_servers_are_refused(server):
    with pytest.raises(LLMError, match=r"spacy\.GPT-4"):
        ask_terms(NER, config={"model": {"@llm_models": "spacy.GPT-4.v3"}})
    far = {"model": {"base_url": "http://192.0.2.1/v1", "name": "x", "allow_remote": "public"}}
    with pytest.raises(LLMError):
        ask_terms(NER, config=far, allow_remote="loopback")
