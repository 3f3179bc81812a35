"""Several categories a text or none: in tables, in examples for the LLM, in scores and in mistakes."""

from __future__ import annotations

import csv

import pytest
from small_project import settings, write_rows
from typer.testing import CliRunner

from annoloop.cli.app import app
from annoloop.corpus.read import read_rows
from annoloop.evaluation.scores import score
from annoloop.hashing import input_hash
from annoloop.llm.annotate import choose_few_shot
from annoloop.llm.imported import import_answers
from annoloop.project import Project
from annoloop.steps.add import add
from annoloop.steps.evaluate import evaluate
from annoloop.steps.evidence.people_agreement import people_agreement
from annoloop.steps.llm.source import import_llm_answers
from annoloop.steps.status import status
from annoloop.steps.take_out import gold_file
from annoloop.steps.train import train_round
from annoloop.types import SPLITS, Annotation, Example, Gold, LabelScheme, PoolGold, Round

SCHEME = LabelScheme("textcat_multilabel", ("Wagen", "Gleis", "Preis"))


def cats(*names):
    return Annotation(labels=names)


def gold_of(*pairs):
    return [Gold(Example(input_hash(text), text), annotation) for text, annotation in pairs]


def table(path, *rows, column="label"):
    with path.open("w", encoding="utf8", newline="") as file:
        csv.writer(file).writerows([("text", column), *rows])
    return path


@pytest.fixture
def project(tmp_path) -> Project:
    settings(tmp_path / "p", labels=SCHEME.labels, kind="textcat_multilabel")
    return Project.open(tmp_path / "p")


@pytest.mark.parametrize("column", ["label", "labels", "Labels"])
def test_a_cell_holds_several_labels_or_none(tmp_path, column):
    cells = ["Wagen|Gleis", "Wagen, Preis", "Gleis; Preis", "Preis", ""]
    path = table(tmp_path / "a.csv", *((f"Text {i}", cell) for i, cell in enumerate(cells)), column=column)
    found = [(row.annotation, row.complete) for row in read_rows(path, scheme=SCHEME)]
    assert [set(said.labels) for said, _ in found] == [
        {"Wagen", "Gleis"},
        {"Wagen", "Preis"},
        {"Gleis", "Preis"},
        {"Preis"},
        set(),
    ]
    assert all(complete for _, complete in found)


def test_a_label_may_hold_the_mark_that_is_between_others(tmp_path):
    scheme = LabelScheme("textcat_multilabel", ("Wagen, Zug", "Gleis"))
    [row] = read_rows(table(tmp_path / "a.csv", ("Text", "Wagen, Zug")), scheme=scheme)
    assert row.annotation == cats("Wagen, Zug")


def test_gold_without_a_category_is_taken_from_a_table_and_written_back(project, tmp_path):
    path = table(tmp_path / "a.csv", ("Das Gleis ist alt", "Gleis"), ("Guten Tag", ""))
    said = CliRunner().invoke(app, ["add", str(project.folder), str(path), "--gold"]).output
    assert "2 labelled texts taken as gold of the annotator import, 1 of them as texts with nothing" in said
    again = tmp_path / "again.csv"
    again.write_bytes(gold_file(Project.open(project.folder), "csv", SPLITS))
    found = {row.text: row.annotation for row in read_rows(again, scheme=SCHEME)}
    assert found == {"Das Gleis ist alt": cats("Gleis"), "Guten Tag": cats()}


def test_an_llms_table_may_say_none(tmp_path):
    path = table(tmp_path / "llm.csv", ("Guten Tag", ""))
    [result] = import_answers(path, [Example(input_hash("Guten Tag"), "Guten Tag")], scheme=SCHEME)
    assert result.annotation == cats()


def test_examples_for_the_llm_show_a_text_without_any_and_no_label_twice_before_all_are_shown():
    pairs = [(f"Wagen und Gleis {i}", cats("Wagen", "Gleis")) for i in range(5)]
    pairs += [("Was kostet das", cats("Preis")), ("Guten Tag", cats())]
    shots = choose_few_shot(PoolGold(tuple(gold_of(*pairs))), SCHEME, most=3)
    assert {shot.annotation for shot in shots} == {cats("Wagen", "Gleis"), cats("Preis"), cats()}


def test_the_mean_f_of_labels_is_of_the_same_labels_whoever_predicted():
    gold = gold_of(("a", cats("Wagen")), ("b", cats("Gleis")))
    careful = {g.example.input_hash: g.annotation for g in gold}
    bold = {name: cats(*said.labels, "Preis") for name, said in careful.items()}
    found = [score(SCHEME, gold, said, seed=0, samples=20) for said in (careful, bold)]
    assert [one.macro_f for one in found] == [1.0, 1.0]
    assert found[1].score < found[0].score


def two_people(tmp_path, *labels):
    rows = [
        {"text": "Das Gleis ist alt", "labels": list(said), "_annotator_id": who, "answer": "accept"}
        for who, said in zip(("anna", "bert"), labels, strict=True)
    ]
    return write_rows(tmp_path / "two.jsonl", rows)


def test_two_peoples_labels_in_one_file_are_two_answers(project, tmp_path):
    added = add(project, [two_people(tmp_path, ["Gleis"], ["Wagen"])], gold=True, split="pool")
    assert (added.gold, added.annotators, added.replaced) == (2, ("anna", "bert"), 0)
    said = {answer.annotator: answer.annotation for answer in project.store.answers_in_force()}
    assert said == {"anna": cats("Gleis"), "bert": cats("Wagen")}
    assert len(project.pool_gold()) == 0  # They differ, and nobody has decided.
    assert (status(project).to_decide, status(project).answered_by_several) == (1, 1)
    assert [one.labels for one in people_agreement(project).confused] == [("Gleis", "Wagen")]
    assert add(project, [two_people(tmp_path, ["Gleis"], ["Wagen"])], gold=True).gold == 0


def test_labels_that_replace_others_are_counted_and_the_first_may_come_back(project, tmp_path):
    def given(*labels):
        return write_rows(tmp_path / "a.jsonl", [{"text": "Das Gleis ist alt", "labels": list(labels)}])

    taken = [add(project, [given(label)], gold=True, split="pool") for label in ("Gleis", "Wagen", "Gleis")]
    assert [(one.gold, one.replaced) for one in taken] == [(1, 0), (1, 1), (1, 1)]
    assert [item.annotation for item in project.pool_gold()] == [cats("Gleis")]


def test_a_label_that_no_held_out_text_has_is_named_and_mistakes_show_all_labels(project, tmp_path):
    words = {"Wagen": "Der Wagen ist kalt", "Gleis": "Das Gleis ist falsch", "Preis": "Der Preis ist hoch"}
    for split, size in (("pool", 30), ("dev", 12), ("held_out", 12)):
        rows = [
            {"text": f"{words[one]}, {words[other]} {split} {i}", "labels": [one, other]}
            for i in range(size)
            for one, other in [("Wagen", "Gleis") if i % 3 or split != "pool" else ("Preis", "Gleis")]
        ]
        add(project, [write_rows(tmp_path / f"{split}.jsonl", rows)], gold=True, blind=True, split=split)
    some = [{"text": eg.text, "labels": ["Wagen"]} for eg in project.store.examples(split="held_out")]
    import_llm_answers(project, write_rows(tmp_path / "llm.jsonl", some), name="half")
    project.store.save_round(Round(1, "random", 0))
    train_round(project, 1)
    notes = evaluate(project).notes
    assert "no held-out text has Preis: no score here says anything of it" in notes


def test_the_report_tells_what_was_right_beside_a_label_that_was_missed(tmp_path):
    from annoloop.evaluation.errors import WrongText, mistakes
    from annoloop.steps.evidence.report_errors import of_several

    truth, said = cats("Wagen", "Gleis"), cats("Wagen", "Preis")
    made = mistakes(SCHEME, truth, said)
    lines = of_several(WrongText(Example("x", "Text"), truth, said, made))
    assert [name for name, _ in lines] == ["missed", "too much", "all"]
    assert [part.count("Wagen") for part in lines[-1][1].split("said")] == [1, 1]


def test_a_bar_with_nothing_beside_it_is_no_label(tmp_path):
    [row] = read_rows(table(tmp_path / "a.csv", ("Text", "Wagen|")), scheme=SCHEME)
    assert "''" in row.reason
