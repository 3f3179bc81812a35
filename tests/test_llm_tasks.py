"""Our model and tasks in spaCy pipelines, spacy-llm's own in our loop, answers made elsewhere."""

import hashlib
import json
import subprocess
import sys
from itertools import product

import pytest
import spacy
from fake_llm import FakeLLM, Reply

from annoloop.errors import FormatError, LLMError
from annoloop.hashing import input_hash
from annoloop.llm.annotate import annotate, choose_few_shot, describe, identity
from annoloop.llm.answers import MemoryCache, NotAnsweredError, call_key
from annoloop.llm.asking import closed_quotes, make_question
from annoloop.llm.imported import import_answers
from annoloop.llm.prompting import PROMPTS, render, version_number
from annoloop.llm.questions import Shot
from annoloop.types import Annotation, Example, Gold, LabelScheme, PoolGold, Span

NER = LabelScheme("ner", ("ORG", "GPE"), {"ORG": "companies"})
CAT = LabelScheme("textcat", ("GOOD", "BAD"))


@pytest.fixture
def server():
    with FakeLLM() as fake:
        yield fake


def pipeline(server, task, **model):
    nlp = spacy.blank("en")
    settings = {"@llm_models": "annoloop.OpenAI.v1", "base_url": server.base_url, "name": "fake", **model}
    nlp.add_pipe("llm", config={"task": task, "model": settings})
    return nlp


def entities(*given):
    keys = ("quote", "label", "occurrence")
    return json.dumps({"entities": [dict(zip(keys, one, strict=False)) for one in given]})


def test_ner_in_a_pipeline_marks_the_occurrence_that_was_meant(server):
    nlp = pipeline(server, {"@llm_tasks": "annoloop.NER.v1", "labels": ["ORG", "GPE"]})
    server.answer = lambda body: entities(("Gap", "ORG", 2), ("Gucci", "ORG", 1))
    (doc,) = nlp.pipe(["Gap in the wall? No, Gap stores."])
    assert [(e.start_char, e.end_char, e.label_) for e in doc.ents] == [(21, 24, "ORG")]
    assert doc.user_data["llm_unaligned"] == ["Gucci"] and doc.user_data["llm_status"] == "ok"
    assert "- ORG" in server.history[0]["messages"][0]["content"]
    assert "llm_reason" not in doc.user_data


def test_spancat_marks_spans_that_overlap(server):
    # The entry point is read when the package is installed; the pipeline is the same without it.
    from annoloop.llm.tasks import make_spancat_task

    model = {"@llm_models": "annoloop.OpenAI.v1", "base_url": server.base_url, "name": "fake"}
    nlp = spacy.blank("en")
    pipe = nlp.add_pipe(
        "llm", config={"task": {"@llm_tasks": "annoloop.NER.v1", "labels": "X"}, "model": model}
    )
    pipe._task = make_spancat_task("ORG, GPE")
    server.answer = lambda body: entities(("Bank of York", "ORG", 1), ("York", "GPE", 1), ("Rome", "GPE", 1))
    (doc,) = nlp.pipe(["Die Bank of York 👍"])
    marked = sorted((span.text, span.label_) for span in doc.spans["sc"])
    assert marked == [("Bank of York", "ORG"), ("York", "GPE")] and not doc.ents
    assert doc.user_data["llm_unaligned"] == ["Rome"]


def test_the_entry_points_name_what_there_is():
    import tomllib
    from importlib import import_module
    from pathlib import Path

    project = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text(encoding="utf8"))[
        "project"
    ]
    for group in ("thinc_llm_models", "thinc_llm_tasks"):
        for name, place in project["entry-points"][group].items():
            module, function = place.split(":")
            assert callable(getattr(import_module(module), function)), name
    assert "annoloop.SpanCat.v1" in project["entry-points"]["thinc_llm_tasks"]


@pytest.mark.parametrize("task", ["auto", "annoloop.SpanCat.v1", "annoloop.NER.v1"])
def test_a_project_of_overlapping_spans_takes_either_task(server, task):
    server.answer = lambda body: entities(("Bank of York", "ORG", 1), ("York", "GPE", 1))
    model = {"@llm_models": "annoloop.OpenAI.v1", "base_url": server.base_url, "name": "fake"}
    config = {"task": {"@llm_tasks": task}, "model": model}
    text = "Bank of York"
    (result,) = annotate(
        [Example(input_hash(text), text)], scheme=LabelScheme("spancat", ("ORG", "GPE")), config=config
    )
    assert result.annotation == Annotation(spans=(Span(0, 12, "ORG"), Span(8, 12, "GPE")))
    with pytest.raises(LLMError, match="does not fit"):
        next(annotate([], scheme=NER, config={**config, "task": {"@llm_tasks": "annoloop.SpanCat.v1"}}))


def test_a_pipeline_keeps_the_reason_on_the_doc(server):
    task = {"@llm_tasks": "annoloop.TextCat.v1", "labels": ["GOOD", "BAD"], "include_reason": True}
    server.answer = lambda body: '{"label": "BAD", "reason": "it complains"}'
    assert pipeline(server, task)("so so").user_data["llm_reason"] == "it complains"


def test_a_text_without_an_answer_is_not_a_text_without_entities(server):
    nlp = pipeline(server, {"@llm_tasks": "annoloop.NER.v1", "labels": "ORG, GPE"}, retries=0)
    server.answer = lambda body: (
        Reply(status=500) if "one" in body["messages"][-1]["content"] else entities(("Rome", "GPE", 1))
    )
    docs = list(nlp.pipe(["Rome two", "Rome one", "Rome three"]))
    assert [doc.user_data["llm_status"] for doc in docs] == ["ok", "failed", "ok"]
    assert [doc.has_annotation("ENT_IOB") for doc in docs] == [True, False, True]


def test_textcat_in_a_pipeline(server):
    examples = [{"text": "awful", "label": "BAD"}]
    task = {
        "@llm_tasks": "annoloop.TextCat.v1",
        "labels": ["GOOD", "BAD"],
        "examples": examples,
        "lang": "de",
    }
    server.answer = lambda body: '{"label": "BAD"}'
    doc = pipeline(server, task)("so so")
    assert doc.cats == {"GOOD": 0.0, "BAD": 1.0}
    turns = server.history[0]["messages"]
    assert turns[0]["content"].startswith("Du ordnest") and turns[2]["content"] == '{"label": "BAD"}'


def test_several_categories(server):
    task = {"@llm_tasks": "annoloop.TextCat.v1", "labels": ["GOOD", "BAD"], "exclusive_classes": False}
    server.answer = lambda body: '{"labels": ["BAD", "GOOD"]}'
    assert pipeline(server, task)("so so").cats == {"GOOD": 1.0, "BAD": 1.0}


def test_a_task_of_spacy_llm_with_our_model_raises_where_there_is_no_answer(server):
    nlp = pipeline(server, {"@llm_tasks": "spacy.TextCat.v3", "labels": ["GOOD", "BAD"]}, retries=0)
    server.queue.extend(["GOOD", Reply(status=500)])
    assert nlp("fine").cats["GOOD"] == 1.0
    with pytest.raises(NotAnsweredError):
        nlp("not fine")


def run(server, scheme, texts, *, task, model=None, cache=None, **options):
    block = {"@llm_models": "annoloop.OpenAI.v1", "base_url": server.base_url, "name": "fake", "retries": 0}
    asked = [Example(input_hash(text), text) for text in texts]
    config = {"model": {**block, **(model or {})}, "task": {"@llm_tasks": task}}
    results = {r.input_hash: r for r in annotate(asked, scheme=scheme, config=config, cache=cache, **options)}
    return [results[input_hash(text)] for text in texts]


def test_tasks_of_spacy_llm_run_in_our_loop(server):
    server.answer = lambda body: "1. Apple | True | ORG | a company\n2. Rome | True | GPE | a city"
    cache = MemoryCache()
    (result,) = run(server, NER, ["Apple moves to Rome"], task="spacy.NER.v3", cache=cache)
    assert result.annotation == Annotation(spans=(Span(0, 5, "ORG"), Span(15, 19, "GPE")))
    assert run(server, NER, ["Apple moves to Rome"], task="spacy.NER.v3", cache=cache)[0].cached
    assert len(server.history) == 1 and "companies" in server.asked()[0]
    server.answer = lambda body: Reply(status=400) if "bad" in body["messages"][-1]["content"] else "GOOD"
    good, bad = run(server, CAT, ["so nice", "bad luck"], task="spacy.TextCat.v3")
    assert good.annotation == Annotation(labels=("GOOD",))
    assert (bad.status, bad.annotation) == ("failed", None)


def test_a_model_of_spacy_llm_runs_in_our_loop_where_the_project_allows_it(server):
    from spacy_llm.registry import registry

    asked = []

    @registry.llm_models("test.Fixed.v1")
    def make(answer: str):
        def model(prompts):
            for document in prompts:
                asked.append(list(document))
                if "boom" in str(asked[-1]):
                    raise RuntimeError("boom")
                yield [answer]

        return model

    cache = MemoryCache()
    config = {"model": {"@llm_models": "test.Fixed.v1", "answer": '{"label": "BAD"}'}}
    for _run in range(2):
        texts = [Example(input_hash(text), text) for text in ("one", "boom")]
        good, bad = annotate(texts, scheme=CAT, config=config, cache=cache, allow_remote="public")
        assert good.annotation == Annotation(labels=("BAD",)) and bad.status == "failed"
    assert len(asked) == 3  # the answered one is not asked again


SPACYS = [
    ("spacy.NER.v3", "1. Apple | True | ORG | a company\n2. York | True | GPE | a city", [(0, 5), (15, 19)]),
    (
        "spacy.SpanCat.v3",
        "1. New York | True | ORG | a team\n2. York | True | GPE | a city",
        [(11, 19), (15, 19)],
    ),
    ("spacy.TextCat.v3", "ORG", "ORG"),
]


@pytest.mark.parametrize(("task", "answer", "expected"), SPACYS)
def test_spacy_llms_own_tasks_in_a_pipeline_and_in_our_loop(server, task, answer, expected):
    text = "Apple into New York"
    server.answer = lambda body: answer
    doc = pipeline(server, {"@llm_tasks": task, "labels": ["ORG", "GPE"]})(text)
    kind = {"NER": "ner", "SpanCat": "spancat", "TextCat": "textcat"}[task.split(".")[1]]
    (result,) = run(server, LabelScheme(kind, ("ORG", "GPE")), [text], task=task)
    if kind == "textcat":
        assert doc.cats == {"ORG": 1.0, "GPE": 0.0} and result.annotation.labels == (expected,)
        return
    found = doc.ents if kind == "ner" else doc.spans["sc"]
    assert [(span.start_char, span.end_char) for span in found] == expected
    assert [(span.start, span.end) for span in result.annotation.spans] == expected


def test_an_unknown_task_or_key_is_named(server):
    with pytest.raises(LLMError, match=r"spacy\.Nonsense"):
        run(server, NER, ["a"], task="spacy.Nonsense.v1")
    with pytest.raises(LLMError, match="does not fit"):
        run(server, NER, ["a"], task="annoloop.TextCat.v1")


def test_both_styles_of_answers_are_understood(server):
    text = "Apple in Rome, Apple in Oslo"
    server.queue.extend(
        [
            '{"ORG": ["Apple"], "GPE": ["Rome", "Oslo"]}',
            entities(("Apple", "org", 2), ("Rome", "GPE")),
        ]
    )
    (result,) = run(server, NER, [text], task="auto")
    assert [text[s.start : s.end] for s in result.annotation.spans] == ["Apple", "Rome", "Apple", "Oslo"]
    assert result.ambiguous
    (result,) = run(server, NER, [text], task="auto")
    assert [s.start for s in result.annotation.spans] == [9, 15] and not result.ambiguous


def gold(text, *spans):
    return Gold(Example(input_hash(text), text), Annotation(spans=spans))


def test_few_shot_examples_show_every_label_and_a_text_without():
    golds = [gold(f"nothing {n}") for n in range(20)]
    golds += [gold("Apple pie", Span(0, 5, "ORG")), gold("x" * 400 + " Rome", Span(401, 405, "GPE"))]
    golds += [gold("Rome wins", Span(0, 4, "GPE"))]
    shots = choose_few_shot(PoolGold(tuple(golds)), NER, most=3)
    assert {s.label for shot in shots for s in shot.annotation.spans} == {"ORG", "GPE"}
    assert len(shots) == 3 and all(len(shot.text) < 100 for shot in shots)
    assert shots == choose_few_shot(PoolGold(tuple(reversed(golds))), NER, most=3)


def test_shown_occurrences_are_counted_as_they_are_read(server):
    shot = PoolGold((gold("gaps Gap Gap", Span(9, 12, "ORG")),))
    server.answer = lambda body: entities()
    run(server, NER, ["some text"], task="auto", few_shot=shot)
    shown = json.loads(server.history[0]["messages"][2]["content"])
    assert shown["entities"] == [{"quote": "Gap", "label": "ORG", "occurrence": 2}]


def test_closed_quotes_stand_in_the_text_word_for_word():
    text = "The İstanbul Moda\r\nstore, 👍 and Levi's!"
    quotes = closed_quotes("en")(text)
    assert {"İstanbul", "İstanbul Moda", "Moda"} <= set(quotes) and all(quote in text for quote in quotes)
    assert closed_quotes("en")("long " * 100) is None


def test_the_source_of_a_suggestion_names_model_and_prompt():
    assert describe({"model": {"base_url": "embedded"}}, NER).endswith(
        "(very small stand-in), prompt annoloop.NER.v1/en-1"
    )
    config = {"model": {"base_url": "http://localhost:1/v1", "name": "qwen"}}
    assert describe(config, CAT, lang="de") == "qwen, prompt annoloop.TextCat.v1/de-1"
    assert describe(config, CAT, lang="fr") == "qwen, prompt annoloop.TextCat.v1/en-1"
    asked = {**config, "include_reason": True, "task": {"@llm_tasks": "auto", "lang": "de"}}
    assert describe(asked, CAT) == "qwen, prompt annoloop.TextCat.v1/de-1 with reasons"
    foreign = {**config, "task": {"@llm_tasks": "spacy.NER.v3"}}
    assert describe(foreign, NER) == "qwen, prompt spacy.NER.v3"


def test_what_kept_answers_are_found_by_outlives_the_name_shown():
    config = {"model": {"base_url": "http://localhost:1/v1", "name": "qwen"}}
    assert identity(config, CAT, lang="de") == "qwen, prompt textcat.v1.de"
    assert identity({**config, "task": {"@llm_tasks": "spacy.NER.v3"}}, NER) == "qwen, prompt spacy.NER.v3"


def wordings(template):
    """All that a template can say: its words, as the LLM gets them."""
    scheme = {"labels": ("A", "B"), "definitions": {"A": "first"}}
    for guidelines in (None, "Mark it."):
        for variant in ({"style": "entities", "exclusive": True}, {"style": "by_label", "exclusive": False}):
            for include_reason in (False, True):
                values = {**scheme, **variant, "guidelines": guidelines, "include_reason": include_reason}
                yield include_reason, render(template, "system", **values)
    yield False, render(template, "question", text="Gap") + render(template, "repair", reason="x")


# Template and version -> its words without and with reasons. Where words change, raise the version in the
# template's first line and add a line here: kept answers are found by it, and people see it.
WORDED = {
    "ner.v1.de-1": ("3fc50df6b816", "b6ebe7593015"),
    "ner.v1.en-1": ("e926e0133793", "622367224e03"),
    "spancat.v1.de-1": ("2e1841c23394", "e7863128a602"),
    "spancat.v1.en-1": ("eb26913f9071", "7fc6fe50e462"),
    "textcat.v1.de-1": ("28b95fd8adff", "62deaa5fa904"),
    "textcat.v1.en-1": ("97874125ca84", "1c5bb7bdace7"),
}


# Those for terms are about no text: tests/test_llm_terms.py.
TEMPLATES = sorted(path.stem for path in PROMPTS.glob("*.jinja") if not path.stem.startswith("terms."))


@pytest.mark.parametrize("template", TEMPLATES)
def test_the_version_of_a_prompt_changes_with_its_words(template):
    said = list(wordings(template))
    digests = tuple(
        hashlib.sha256("\0".join(words for asked, words in said if asked == reasons).encode()).hexdigest()[
            :12
        ]
        for reasons in (False, True)
    )
    assert WORDED[f"{template}-{version_number(template)}"] == digests


# What an answer is kept under, of each kind and task: en and de, server and embedded, plain and with reasons
# and guidelines. A change here means that everything kept is asked and paid for again.
KEPT_UNDER = {
    ("ner", "auto"): "1e52ac138171 76c66381fd4e b864e76941d7 511369773fa8 "
    "f529ebd544b0 66d9985d6813 1b8810858fb4 5ea46b5d2ea2",
    ("spancat", "annoloop.NER.v1"): "1e52ac138171 76c66381fd4e b864e76941d7 511369773fa8 "
    "f529ebd544b0 66d9985d6813 1b8810858fb4 5ea46b5d2ea2",
    ("textcat", "auto"): "2c368c5ae98e e19dfeb59378 2c368c5ae98e 61abb20e28fc "
    "436e86e214e8 be9ff3b05bf7 436e86e214e8 2d9daa9cf484",
    ("textcat_multilabel", "auto"): "0459c03014a9 f0c877674f48 0459c03014a9 fe11b743ab5d "
    "5f14dfb458cc cf407ecf47ea 5f14dfb458cc 193fc08be2b0",
}


@pytest.mark.parametrize(("kind", "task"), KEPT_UNDER)
def test_answers_kept_today_are_found_tomorrow(kind, task):
    scheme = LabelScheme(kind, ("A", "B"), {"A": "first thing"})
    shots = (Shot("Gap", Annotation(labels=("B",))),)
    if scheme.has_spans:
        shots = (Shot("Gap, gaps, Gap", Annotation(spans=(Span(11, 14, "A"),))), Shot("none", Annotation()))
    keys = []
    for lang, embedded, told in product(("en", "de"), (False, True), (False, True)):
        question = make_question(
            {"@llm_tasks": task},
            scheme=scheme,
            embedded=embedded,
            few_shot=shots,
            guidelines="Mark it." if told else None,
            lang=lang,
            include_reason=told,
        )
        keys.append(call_key("e", "m", {}, question.prompt("İ 👍\r\nGap"))[:12])
    assert " ".join(keys) == KEPT_UNDER[kind, task]


@pytest.mark.parametrize(("lang", "words"), [("en", "may overlap"), ("de", "dürfen sich überschneiden")])
def test_where_spans_may_overlap_the_llm_is_told_so(server, lang, words):
    scheme = LabelScheme("spancat", ("ORG", "GPE"))
    server.answer = lambda body: entities(("Bank of York", "ORG", 1), ("York", "GPE", 1))
    (result,) = run(server, scheme, ["Bank of York"], task="auto", lang=lang)
    assert len(result.annotation.spans) == 2 and words in server.history[0]["messages"][0]["content"]
    (result,) = run(server, NER, ["Bank of York"], task="auto", lang=lang)
    assert words not in server.history[1]["messages"][0]["content"]
    config = {"model": {"base_url": "http://localhost:1/v1", "name": "m"}}
    assert describe(config, scheme, lang=lang) == f"m, prompt annoloop.SpanCat.v1/{lang}-1"
    assert identity(config, scheme, lang=lang) == f"m, prompt spancat.v1.{lang}"


def own_prompt(server, folder, words, scheme=NER, **task):
    (folder / "mine.jinja").write_text(words, encoding="utf8")
    model = {"base_url": server.base_url, "name": "fake"}
    config = {"model": model, "task": {"@llm_tasks": "auto", "template": "mine.jinja", **task}}
    list(annotate([Example("1", "so so")], scheme=scheme, config=config, folder=folder))
    name, key = (say(config, scheme, folder=folder) for say in (describe, identity))
    return server.history[-1]["messages"], name, key


@pytest.mark.parametrize("scheme", [NER, CAT])
def test_a_project_words_its_own_prompt_and_leaves_the_rest(server, tmp_path, scheme):
    words = "{% block system %}Find {{ labels | join(' and ') }} {{ secret }}!{% endblock %}"
    turns, name, key = own_prompt(server, tmp_path, words.replace(" {{ secret }}", ""), scheme)
    assert turns[0]["content"] == f"Find {' and '.join(scheme.labels)}!"
    assert turns[1]["content"] == "Text: so so"
    assert "mine.jinja-" in name and "mine.jinja-" in key
    question = "{% block question %}Q: {{ text }}{% endblock %}"
    turns, other, other_key = own_prompt(server, tmp_path, question, scheme)
    assert turns[1]["content"] == "Q: so so" and turns[0]["content"].startswith("You ")
    assert other != name and other_key != key
    asked = len(server.history)
    for wrong, said in (
        (words, "'secret' is undefined"),
        ("{% block system %}", "line 1"),
        ("no block", "it has no block"),
        (question.replace("text", "'text'"), "leaves the text out"),
        ("{% block sytem %}{% endblock %}", "block 'sytem' is unknown"),
        ("{% block system %}{{ labels.__class__.__mro__ }}{% endblock %}", "unsafe"),
    ):
        with pytest.raises(LLMError, match=said):
            own_prompt(server, tmp_path, wrong, scheme)
    with pytest.raises(LLMError, match="cannot be read"):
        own_prompt(server, tmp_path, "", scheme, template="none.jinja")
    assert len(server.history) == asked


REASONED = {
    "ner": (
        {"entities": [{"quote": "Apple", "label": "ORG", "occurrence": 1, "reason": " a\nfirm "}]},
        "Apple: a firm",
    ),
    "by_label": ({"ORG": ["Apple"], "GPE": [], "reason": "a firm"}, "a firm"),
    "textcat": ({"label": "BAD", "reason": "a firm"}, "a firm"),
    "textcat_multilabel": ({"labels": ["BAD"], "reason": "a firm"}, "a firm"),
}


def reasoning(server, name, answer, **options):
    scheme = NER if name in ("ner", "by_label") else LabelScheme(name, CAT.labels)
    block = {"@llm_models": "annoloop.OpenAI.v1", "base_url": server.base_url, "name": "fake", "retries": 0}
    task = {"@llm_tasks": "auto", **({"style": "by_label"} if name == "by_label" else {})}
    server.answer = lambda body: json.dumps(answer)
    config = {"model": block, "task": task, **options}
    [result] = annotate([Example(input_hash("Apple!"), "Apple!")], scheme=scheme, config=config)
    return result, server.history[-1]


@pytest.mark.parametrize("name", REASONED)
def test_the_llm_says_why_where_it_is_asked(server, name):
    answer, why = REASONED[name]
    result, asked = reasoning(server, name, answer, include_reason=True)
    assert (result.status, result.reason) == ("ok", why)
    schema = json.dumps(asked["response_format"]["json_schema"]["schema"])
    assert '"reason"' in asked["messages"][0]["content"] and '"reason"' in schema
    plain, quiet = reasoning(server, name, answer)
    assert plain.annotation == result.annotation and plain.reason == ""
    assert '"reason"' not in json.dumps(quiet)


@pytest.mark.parametrize("name", REASONED)
@pytest.mark.parametrize("reason", [None, 7, ["a"], {"a": 1}, "", "\n"])
def test_a_missing_or_odd_reason_changes_nothing(server, name, reason):
    answer = json.loads(json.dumps(REASONED[name][0]))
    holder = answer["entities"][0] if "entities" in answer else answer
    expected = reasoning(server, name, answer)[0].annotation
    holder["reason"] = reason
    odd, _ = reasoning(server, name, answer, include_reason=True)
    del holder["reason"]
    missing, _ = reasoning(server, name, answer, include_reason=True)
    for result in (odd, missing):
        assert (result.status, result.annotation, result.reason) == ("ok", expected, "")


def test_a_label_called_reason_is_a_label(server):
    scheme = LabelScheme("ner", ("reason", "ORG"))
    task = {"@llm_tasks": "annoloop.NER.v1", "style": "by_label"}
    block = {"@llm_models": "annoloop.OpenAI.v1", "base_url": server.base_url, "name": "fake"}
    server.answer = lambda body: '{"reason": ["Apple"], "ORG": []}'
    config = {"model": block, "task": task, "include_reason": True}
    [result] = annotate([Example(input_hash("Apple!"), "Apple!")], scheme=scheme, config=config)
    assert result.annotation.spans == (Span(0, 5, "reason"),) and result.reason == ""


def test_reasons_are_refused_where_the_task_gives_none(server):
    block = {"@llm_models": "annoloop.OpenAI.v1", "base_url": server.base_url, "name": "fake"}
    config = {"model": block, "task": {"@llm_tasks": "spacy.NER.v3"}, "include_reason": True}
    with pytest.raises(LLMError, match="include_reason") as caught:
        list(annotate([Example("1", "Apple")], scheme=NER, config=config))
    assert caught.value.hint and not server.history


def test_every_language_of_a_prompt_has_the_same_blocks():
    blocks = {path.name: path.read_text("utf8").count("{% block ") for path in PROMPTS.glob("*.jinja")}
    assert set(blocks.values()) == {3} and len(blocks) == len(TEMPLATES) + 2
    assert {name.rsplit(".", 2)[1] for name in blocks} == {"en", "de"}


def test_answers_made_elsewhere_are_results(tmp_path):
    path = tmp_path / "answers.jsonl"
    rows = [
        {
            "text": "Apple!",
            "spans": [{"start": 0, "end": 5, "label": "ORG"}],
            "meta": {"cost": 0.5, "prompt_tokens": 9},
        },
        {"text": "nobody asked", "spans": []},
        {"text": "none", "spans": []},
    ]
    path.write_text("\n".join(map(json.dumps, rows)), "utf8")
    asked = [Example(input_hash(text), text) for text in ("Apple!", "none", "unanswered")]
    first, second = import_answers(path, asked, scheme=NER)
    assert first.annotation == Annotation(spans=(Span(0, 5, "ORG"),)) and first.cost == 0.5
    assert first.prompt_tokens == 9 and second.annotation == Annotation() and second.cost is None
    path.write_text('{"text": "none"}\n', "utf8")
    with pytest.raises(FormatError, match="line 1"):
        list(import_answers(path, asked, scheme=NER))


def test_importing_the_layer_loads_nothing_heavy():
    code = (
        "import sys, annoloop.llm.annotate, annoloop.llm.local\n"
        "print([m for m in ('spacy', 'spacy_llm', 'openai', 'jinja2') if m in sys.modules])"
    )
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "[]"
