"""Agreement of people in a real store: pairs, rounds, the LLM beside them, what is confused."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, time, timedelta
from itertools import count

import pytest
from small_project import settings, write_rows
from typer.testing import CliRunner

from annoloop.cli.app import app
from annoloop.hashing import input_hash
from annoloop.project import Project
from annoloop.steps.evidence.people_agreement import USEFUL, people_agreement
from annoloop.steps.llm.source import import_llm_answers, llm_source, pin_few_shot
from annoloop.types import Annotation, Answer, Example, Span

seqs = count(1)


@pytest.fixture
def project(tmp_path) -> Project:
    settings(tmp_path / "p", labels=("A", "B", "C"), review="overlap = 1.0")
    return Project.open(tmp_path / "p")


def asked(project: Project, number: int, *, split="pool", round=1, word="Text") -> list:
    examples = [Example(input_hash(f"{word} {n}"), f"{word} {n}", split=split) for n in range(number)]
    project.store.add_examples(examples)
    tasks = [project.task(example, number=round) for example in examples]
    project.store.add_tasks(tasks)
    return tasks


def say(project: Project, task, who: str, label: str, **fields) -> None:
    n, seq = next(seqs), fields.pop("seq", None)
    annotation, verdict = fields.pop("annotation", Annotation((label,))), fields.pop("verdict", "accept")
    answer = Answer(
        f"a{n}", task.task_hash, task.example.input_hash, verdict, annotation, who, 5_000, seq or n, **fields
    )
    project.store.save_answers([answer])


def test_pairs_rounds_and_what_is_missing(project):
    first, second = asked(project, 4), asked(project, 2, round=2, word="Satz")
    for n, task in enumerate(first):
        say(project, task, "ada", "A")
        say(project, task, "bo", "A" if n else "B")
    for task in second:
        say(project, task, "ada", "C")
    say(project, second[0], "cy", "C")
    found = people_agreement(project)
    assert (found.people.texts, found.asked, found.waiting, found.missing) == (5, 6, 1, USEFUL - 5)
    assert {who: of.same.value for who, of in found.by_pair.items()} == {
        ("ada", "bo"): 0.75,
        ("ada", "cy"): 1,
    }
    assert {number: of.texts for number, of in found.by_round.items()} == {1: 4, 2: 1}
    assert [(one.labels, one.texts, one.of) for one in found.confused] == [(("A", "B"), 1, 4)]


def at(day: date) -> int:
    """Noon of a day, in microseconds since 1970."""
    return int(datetime.combine(day, time(12), UTC).timestamp() * 1e6)


def test_agreement_over_time_goes_by_days_and_later_by_weeks(project):
    first = date(2026, 12, 26)
    for n, task in enumerate(asked(project, 20)):
        say(project, task, "ada", "A", seq=at(first))
        # The day of a text is that of its last answer; a decision over it is none.
        say(project, task, "bo", "A" if n % 2 else "B", seq=at(first + timedelta(days=n // 2)))
    say(project, asked(project, 1, word="Satz")[0], "ada", "A", seq=at(date(2027, 6, 1)))
    (imported,) = asked(project, 1, word="Datei")
    for who in ("ada", "bo"):
        say(project, imported, who, "A")
    say(project, imported, "cy", "B", seq=at(date(2027, 6, 1)), adjudicated=True)
    days = people_agreement(project).by_time
    assert list(days) == [(first + timedelta(days=n)).isoformat() for n in range(10)]
    assert {(of.texts, of.same.value) for of in days.values()} == {(2, 0.5)}
    shown = CliRunner().invoke(app, ["agreement", str(project.folder)]).output
    assert "2026-12-26" in shown and "2027-01-04" in shown
    for n, task in enumerate(asked(project, 5, word="Wort")):
        for who in ("ada", "bo"):
            say(project, task, who, "A", seq=at(date(2027, 1, 5) + timedelta(days=n)))
    weeks = people_agreement(project).by_time
    assert {when: of.texts for when, of in weeks.items()} == {"2026-W52": 4, "2026-W53": 14, "2027-W01": 7}


def test_a_reviewers_correction_is_a_confusion_though_one_person_labelled(project):
    task, other = asked(project, 2)
    say(project, task, "ada", "A")
    say(project, task, "rita", "C", adjudicated=True)
    say(project, other, "ada", "A")
    found = people_agreement(project)
    assert found.people.texts == 0
    (one,) = found.confused
    assert one.labels == ("A", "C")
    assert [example.text for example in one.quoted] == ["Text 0"]
    assert "A and C are confused in 1 of 1 texts" in one.advice


def test_texts_to_judge_by_are_counted_and_never_quoted(project):
    for task in asked(project, 2, split="held_out", round=0) + asked(project, 2, split="dev", word="Satz"):
        say(project, task, "ada", "A")
        say(project, task, "bo", "B")
    (one,) = people_agreement(project).confused
    assert (one.texts, one.quoted) == (4, ())


def test_simulated_retracted_and_rejected_answers_are_no_opinion(project):
    task, other, third = asked(project, 3)
    for one in (task, other, third):
        say(project, one, "ada", "A")
    say(project, task, "oracle", "B", simulated=True)
    say(project, other, "bo", "B")
    say(project, other, "bo", "B", retracted=True)
    assert people_agreement(project).people.texts == 0


def test_a_text_accepted_by_one_and_rejected_by_another_is_told_of(project):
    first, second, third = asked(project, 3)
    for one in (first, second, third):
        say(project, one, "ada", "A")
    say(project, first, "bo", "A", verdict="reject")
    say(project, second, "bo", "A", verdict="ignore")
    say(project, third, "bo", "A", verdict="reject", simulated=True)
    found = people_agreement(project)
    assert (found.people.texts, found.rejected) == (0, 1)
    assert "1 more text was accepted by one and rejected by another" in " ".join(found.warnings)
    assert people_agreement(project).to_json()["rejected"] == 1


def test_other_borders_are_a_gap_of_their_label(tmp_path):
    settings(tmp_path / "s", labels=("A", "B"), kind="ner")
    project = Project.open(tmp_path / "s")
    for task in asked(project, 3, word="Text here"):
        say(project, task, "ada", "", annotation=Annotation(spans=(Span(0, 4, "A"),)))
        say(project, task, "bo", "", annotation=Annotation(spans=(Span(0, 9, "A"),)))
    (one,) = people_agreement(project).confused
    assert (one.labels, one.texts, one.of) == (("A", "A"), 3, 3)
    assert one.advice.startswith("spans of A have other borders in 3 of 3 texts")


def test_a_category_that_the_project_lost_still_differs(project, tmp_path):
    for n, task in enumerate(asked(project, 12)):
        say(project, task, "ada", "A")
        say(project, task, "bo", "C" if n < 3 else "B" if n == 3 else "A")
    people = people_agreement(project).people
    settings(project.folder, labels=("A", "B"), review="overlap = 1.0")
    fewer = people_agreement(Project.open(project.folder)).people
    assert fewer.same.value == people.same.value == pytest.approx(8 / 12)
    assert fewer.ac1.value == pytest.approx(people.ac1.value)


def test_it_warns_where_people_agree_less_than_the_llm_with_them(project):
    tasks = asked(project, 40, split="held_out", round=0)
    rows = [{"text": task.example.text, "label": "A"} for task in tasks]
    import_llm_answers(project, write_rows(project.folder / "llm.jsonl", rows), name="other")
    for n, task in enumerate(tasks):
        say(project, task, "ada", "A" if n % 4 else "B", blind=True)
        say(project, task, "bo", "A" if (n + 2) % 4 else "B", blind=True)
    found = people_agreement(project)
    assert found.below_llm == pytest.approx((0.5, 0.75))
    assert "people agree less with each other (0.500) than the LLM with them (0.750)" in found.warnings[0]
    # What people answered with its suggestions in view says nothing of the LLM.
    for n, task in enumerate(tasks):
        say(project, task, "ada", "A" if n % 4 else "B", blind=False)
    assert people_agreement(project).below_llm is None


def test_the_llm_is_measured_by_texts_however_many_people_read_them(project):
    tasks = asked(project, 40, split="held_out", round=0)
    rows = [{"text": task.example.text, "label": "A" if n % 5 else "B"} for n, task in enumerate(tasks)]
    import_llm_answers(project, write_rows(project.folder / "llm.jsonl", rows), name="other")
    for n, task in enumerate(tasks):
        for place, who in enumerate(("ada", "bo", "cy")):
            say(project, task, who, "A" if (n + place) % 8 else "B", blind=True)
    found = people_agreement(project)
    assert (found.llm.texts, found.llm.pairs, found.blind.texts) == (40, 120, 40)


def test_examples_that_the_llm_was_shown_say_nothing_of_it(tmp_path):
    settings(tmp_path / "q", labels=("A", "B", "C"), llm='"http://127.0.0.1:9/v1"', review="overlap = 1.0")
    project = Project.open(tmp_path / "q")
    tasks = asked(project, 24)
    for n, task in enumerate(tasks):
        for who in ("ada", "bo"):
            say(project, task, who, "ABC"[n % 3], blind=True)
    pin_few_shot(project)
    source = llm_source(project)
    shown = {input_hash(one.text) for one in source.few_shot}
    hashes = [task.example.input_hash for task in tasks]
    assert shown and shown < set(hashes)
    # It repeats what it was shown and is wrong elsewhere.
    said = {h: Annotation(("ABC"[(n if h in shown else n + 1) % 3],)) for n, h in enumerate(hashes)}
    project.store.save_predictions(source.key, said)
    found = people_agreement(project)
    assert found.llm.texts == len(tasks) - len(shown) and found.llm.f.value == 0


def test_spans_left_out_by_one_are_a_gap_of_their_label(tmp_path):
    settings(tmp_path / "s", labels=("A", "B"), kind="ner")
    project = Project.open(tmp_path / "s")
    for task in asked(project, 3):
        say(project, task, "ada", "", annotation=Annotation(spans=(Span(0, 4, "A"),)))
        say(project, task, "bo", "", annotation=Annotation())
    (one,) = people_agreement(project).confused
    assert (one.labels, one.texts, one.of) == (("A", None), 3, 3)


def test_the_command_prints_figures_and_json(project):
    result = CliRunner().invoke(app, ["agreement", str(project.folder)])
    assert result.output.count("answered by several") == 1
    assert "no text is answered by several people yet" in result.output
    for n, task in enumerate(asked(project, 8)):
        say(project, task, "ada", "A")
        say(project, task, "bo", "B" if n < 2 else "A")
    result = CliRunner().invoke(app, ["agreement", str(project.folder)])
    assert "gap: A and B are confused in 2 of 8 texts; write a rule into guidelines.md" in result.output
    assert "not measured yet: 0 answers without and 0 with one" in result.output
    told = json.loads(CliRunner().invoke(app, ["agreement", str(project.folder), "--json"]).stdout)
    assert told["people"]["same"]["value"] == 0.75
    assert told["confused"][0]["labels"] == ["A", "B"]
