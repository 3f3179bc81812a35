"""Suggestions as the expert sees them: by whom, how sure, and why, in words that stay short."""

import json

import pytest
from fake_llm import FakeLLM
from hypothesis import given, settings
from hypothesis import strategies as st
from small_project import PATTERNS, expert, feedback, small_project, write_rows

from annoloop.project import Project
from annoloop.review.shown import show_task
from annoloop.rules.matcher import Pattern, Rules
from annoloop.steps.ask import BLIND_ROUND, answer_with, ask_blind, open_round
from annoloop.steps.llm.source import llm_source
from annoloop.steps.reasons import LONGEST, WORDS, honest_score, of_llm, of_model, of_rules
from annoloop.steps.sources import latest_model, model_source, rules_source
from annoloop.steps.suggest import suggestions
from annoloop.steps.train import train_round
from annoloop.training.predict import Prediction
from annoloop.types import Annotation, LabelScheme, Span

ROWS = feedback(90)
TOPICS = LabelScheme("textcat", ("lift", "light", "train"))


def begun(folder, review="unassisted_share = 0", **options) -> Project:
    project = small_project(folder, ROWS, review=review, **options)
    ask_blind(project)
    answer_with(project, expert(project, ROWS), BLIND_ROUND)
    return project


def test_a_task_names_the_patterns_behind_its_suggestion(tmp_path):
    project = begun(tmp_path / "p", review='language = "en"\nunassisted_share = 0')
    write_rows(project.patterns, PATTERNS)
    source = rules_source(project)
    assert source.name == f"2 rules ({source.rules.version[:6]})"
    open_round(project, 1, batch=30, source=source)
    suggested = [task.suggestion for task in project.store.tasks(round=1)]
    lifts = [one for one in suggested if one.annotation.labels == ("Aufzug",)]
    silent = [one for one in suggested if not one.annotation.labels]
    assert lifts and silent and len(suggested) == 30
    for one in lifts:
        assert one.score is None and one.source == source.name
        assert (
            "Aufzug: pattern 1: " in one.reason and PATTERNS[0]["pattern"][0]["LOWER"]["REGEX"] in one.reason
        )
    assert {one.reason for one in silent} == {WORDS["en"]["no_pattern"]}


def test_a_model_says_how_sure_it_is_and_what_comes_next(tmp_path):
    project = begun(tmp_path / "p")
    open_round(project, 1, batch=30, source=None)
    answer_with(project, expert(project, ROWS), 1)
    record = train_round(project, 1)
    source = latest_model(project)
    open_round(project, 2, batch=10, source=source)
    tasks = project.store.tasks(round=2)
    assert tasks
    for task in tasks:
        one = task.suggestion
        assert one.source == "model of round 1" and 1 / 3 <= one.score <= 1
        first, second = one.reason.splitlines()
        assert first == f"Runde 1, Rezept {record.recipe}"
        following = {
            f"danach: {name} " for name in project.scheme.labels if name not in one.annotation.labels
        }
        assert any(second.startswith(words) for words in following)
        assert float(second.rsplit(" ", 1)[1]) <= one.score + 0.005
    # What it said of dev before it learned from dev is kept with its scores too.
    kept = project.store.predictions(model_source(project, record).dev_key)
    assert kept and all(0 < detail["score"] <= 1 and detail["reason"] for _, detail in kept.values())


def test_the_llm_gives_its_reason_and_what_it_invented_is_told(tmp_path):
    def answer(body):
        assert '"reason"' in body["messages"][0]["content"]
        entity = {"quote": "Aufzug", "label": "LIFT", "occurrence": 1, "reason": "a lift"}
        return json.dumps({"entities": [entity, {**entity, "quote": "Zeppelin", "reason": ""}]})

    rows = [{"text": f"Der Aufzug {number} steht still."} for number in range(20)]
    with FakeLLM(answer) as fake:
        folder = tmp_path / "p"
        project = small_project(
            folder, rows, server=fake, kind="ner", labels=("LIFT",), review="unassisted_share = 0"
        )
        cfg = (folder / "annoloop.cfg").read_text(encoding="utf8")
        (folder / "annoloop.cfg").write_text("[llm]\ninclude_reason = true\n\n" + cfg, encoding="utf8")
        without = llm_source(project)
        project = Project.open(folder)
        source = llm_source(project)
        assert source.name == "fake, prompt annoloop.NER.v1/de-1 with reasons" and source.key != without.key
        pool = project.store.examples(split="pool")[:3]
        made = suggestions(project, source, pool)
        assert len(made) == 3 == len(fake.history)
        for example in pool:
            one = made[example.input_hash]
            assert one.annotation == Annotation(spans=(Span(4, 10, "LIFT"),)) and one.score is None
            assert one.reason == "Aufzug: a lift\nnicht im Text gefunden: „Zeppelin“"
            assert one.unplaced == ("Zeppelin",)
        assert suggestions(project, source, pool) == made and len(fake.history) == 3


def test_what_the_llm_left_in_doubt_is_asked_about_first_and_shown(tmp_path):
    def answer(body):
        text = body["messages"][-1]["content"]
        entities = [{"quote": "Aufzug", "label": "LIFT", "occurrence": 1}]
        if "7" in text:  # said of one place of two, without saying which
            entities = [{"quote": "und", "label": "LIFT"}]
        if "8" in text:
            entities.append({"quote": "Zeppelin\n" + "x" * 600, "label": "LIFT", "occurrence": 1})
        return json.dumps({"entities": entities})

    rows = [{"text": f"Der Aufzug {number} steht und steht und ruht."} for number in range(40)]
    with FakeLLM(answer) as fake:
        project = small_project(
            tmp_path / "p", rows, server=fake, kind="ner", labels=("LIFT",), review="unassisted_share = 0"
        )
        open_round(project, 1, batch=40, source=llm_source(project))
    tasks = project.store.tasks(round=1)
    doubtful = [bool({"7", "8"} & set(task.example.text)) for task in tasks]
    assert sorted(doubtful, reverse=True) == doubtful and 0 < sum(doubtful) < len(tasks)
    for task in tasks:
        assert task.suggestion.unplaced == ("Zeppelin\n" + "x" * 600,) * ("8" in task.example.text)
        shown = show_task(task, project.scheme, lang="de")["suggestion"]
        assert shown["unplaced"] == list(task.suggestion.unplaced)


def test_a_quote_that_is_there_is_not_called_missing():
    detail = {"reason": "", "unaligned": ["New York", "Paris", "Paris"]}
    said = of_llm("New York Times", detail, "en")
    assert said == "not found in the text: “Paris”\nleft out because it overlaps another: “New York”"
    assert of_llm("anything", {"unaligned": []}, "en") == of_llm("anything", {}, "de") == ""


def test_what_cannot_be_placed_is_told_however_much_the_llm_talks():
    said = of_llm("text", {"reason": "\n".join(["because " * 30] * 9), "unaligned": ["Zeppelin"]}, "en")
    assert len(said) <= LONGEST and said.endswith("not found in the text: “Zeppelin”") and "… and " in said


ODD = st.text(max_size=400) | st.sampled_from(
    ["\r\n" * 300, "שלום " * 200, "👩‍👩‍👧" * 200, "<script>" * 99, "\0"]
)


@settings(max_examples=50)
@given(ODD, st.lists(ODD, max_size=20), ODD)
def test_no_reason_is_longer_than_the_page_takes(text, quotes, own):
    for language in WORDS:
        said = of_llm(text, {"reason": own, "unaligned": quotes}, language)
        assert len(said) <= LONGEST and "\r" not in said
    patterns = [Pattern("lift", word) for word in text.split()[:20]]
    for kind in ("ner", "spancat", "textcat", "textcat_multilabel"):
        rules = Rules(patterns, scheme=LabelScheme(kind, ("lift", "light")), lang="xx")
        said = of_rules(rules, text, rules.explain(text), "en")
        assert 0 < len(said) <= LONGEST


def test_only_categories_that_were_not_chosen_come_next():
    def told(labels, *probabilities):
        prediction = Prediction(Annotation(labels=labels), None, probabilities)
        return of_model(prediction, TOPICS, number=3, recipe="bow", language="en")

    assert told(("lift",), 0.5, 0.2, 0.3) == "round 3, recipe bow\nnext: train 0.30"
    assert told((), 0.1, 0.45, 0.3) == "round 3, recipe bow\nnext: light 0.45"
    assert (
        told(TOPICS.labels, 0.9, 0.8, 0.7)
        == told(
            (),
        )
        == "round 3, recipe bow"
    )


@pytest.mark.parametrize("value", [None, True, "0.5", float("nan"), float("inf"), -0.1, 1.1])
def test_what_is_no_share_is_no_score(value):
    assert honest_score(value) is None
    assert honest_score(1) == 1.0 and honest_score(0.25) == 0.25


def test_one_long_reason_is_cut_not_counted():
    invented = [f"Zeppelin {number} " + "x" * 50 for number in range(9)]
    said = of_llm("text", {"reason": "because " * 60, "unaligned": invented}, "en").splitlines()
    assert said[0].startswith("because") and said[0].endswith("…") and len(said) == 2


def test_both_languages_say_the_same():
    english, german = ({key: text.count("{") for key, text in words.items()} for words in WORDS.values())
    assert english == german
