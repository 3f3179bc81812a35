"""The learning curve of a real small project: kept after each model, and blind to the held-out texts."""

from __future__ import annotations

import pytest
from small_project import expert, feedback, settings, small_project, write_rows

import annoloop.training.train as training
from annoloop.errors import TrainingError
from annoloop.evaluation.curve_laws import ERRORS, ODDS, WITH_RULES
from annoloop.hashing import input_hash
from annoloop.project import Project
from annoloop.steps.add import add
from annoloop.steps.ask import answer_with, ask_blind
from annoloop.steps.evidence.train_curve import CURVE_FACT, kept_curve, law_of, rounds_forecast, train_curve
from annoloop.steps.gold_notes import training_notes
from annoloop.types import Annotation, Example, Gold, LabelScheme, Round, Scores, Span

ROWS = feedback(120)


def answered(folder, count=1000):
    """A project with gold on dev and held-out texts, and on so many of the pool."""
    project = small_project(folder, ROWS, corpus="held_out = 0.15\ndev = 0.25")
    oracle = expert(project, ROWS)
    ask_blind(project, known=oracle)
    answer_with(project, oracle, 0)
    pool = project.store.examples(split="pool")[:count]
    project.store.add_tasks([project.task(example, number=1) for example in pool])
    answer_with(project, oracle, 1)
    return project


@pytest.fixture
def project(tmp_path):
    return answered(tmp_path / "p")


class Stopped(Exception):
    pass


@pytest.fixture
def trained(monkeypatch):
    """What was trained: (pool texts, dev texts) of each model; `trained.most` stops before the next one."""
    real = training.train

    class Trained(list):
        most = 1000

    seen = Trained()

    def spied(gold, dev, **given):
        if len(seen) >= seen.most:
            raise Stopped
        seen.append(({item.example.text for item in gold}, {item.example.text for item in dev}))
        return real(gold, dev, **given)

    monkeypatch.setattr(training, "train", spied)
    return seen


def test_a_curve_is_drawn_and_says_what_comes_next(project, trained):
    heard = []
    found = train_curve(project, on_progress=lambda *told: heard.append(told))
    pool = {item.example.text for item in project.pool_gold()}
    assert len({point.gold_texts for point in found.points}) >= 6
    assert found.points[-1].gold_texts == len(pool) == found.forecast.seen
    assert found.points[-1].score == found.scores.score
    assert found.recipe == "textcat_linear" and found.headline == "accuracy"
    assert found.advice.advised in ("reached", "go_on", "stop", "change_recipe")
    told = found.to_json()
    assert told["forecast"][0]["gold_texts"] == len(pool)
    assert heard[-1][1] == heard[-1][2] == len(trained)
    held_out = {example.text for example in project.store.examples(split="held_out")}
    dev = {item.example.text for item in project.dev_gold()}
    assert held_out
    for learned, judged in trained:
        assert learned <= pool and judged == dev
        assert not (learned | judged) & held_out


def test_a_stopped_run_goes_on_and_gives_the_same(project, tmp_path, trained):
    whole = train_curve(project)
    models = len(trained)
    project.store.set_fact(CURVE_FACT, None)
    trained.clear()
    trained.most = 4
    with pytest.raises(Stopped):
        train_curve(project)
    assert kept_curve(project) is None
    trained.most = 1000
    assert train_curve(Project.open(project.folder)).to_json() == whole.to_json()
    assert len(trained) == models
    assert kept_curve(project).to_json() == whole.to_json()
    train_curve(project)
    assert len(trained) == models


def test_new_gold_begins_anew_and_the_old_curve_is_called_old(tmp_path, trained):
    project = answered(tmp_path / "p", count=40)
    train_curve(project)
    models = len(trained)
    more = project.store.examples(split="pool")[40:]
    project.store.add_tasks([project.task(example, number=2) for example in more])
    answer_with(project, expert(project, ROWS), 2)
    assert kept_curve(project).current is False
    found = train_curve(project)
    assert found.current and len(trained) > models
    assert found.forecast.seen == len(project.pool_gold()) > 40


def test_a_given_target_is_the_one_that_counts(project):
    found = train_curve(project, target=0.05)
    assert found.advice.advised == "reached" and found.advice.reach.target == 0.05
    assert train_curve(project).advice.reach.target == project.settings.rules.target


def test_too_little_gold_is_said_with_what_is_missing(tmp_path):
    project = answered(tmp_path / "p", count=20)
    with pytest.raises(
        TrainingError, match=f"{len(project.pool_gold())} texts with gold are too few"
    ) as told:
        train_curve(project)
    assert str(30 - len(project.pool_gold())) in told.value.hint
    settings(tmp_path / "q")
    with pytest.raises(TrainingError, match="there are no texts in pool"):
        train_curve(Project.open(tmp_path / "q"))


def test_without_dev_texts_or_with_one_label_alone_it_says_what_to_add(tmp_path):
    rows = [row for row in ROWS if row["label"] == "irrelevant"][:50]
    for name, dev in (("no_dev", 0.0), ("one_label", 0.2)):
        project = small_project(tmp_path / name, rows, corpus=f"held_out = 0.1\ndev = {dev}")
        gold = write_rows(tmp_path / "gold.jsonl", rows)
        add(project, [gold], gold=True)
    [note] = training_notes(project)
    assert "have the label irrelevant" in note and "nothing was learned to tell apart" in note
    with pytest.raises(TrainingError, match="have the label irrelevant") as told:
        train_curve(project)
    assert "--seek" in told.value.hint
    with pytest.raises(TrainingError, match="there are no texts in dev") as told:
        train_curve(Project.open(tmp_path / "no_dev"))
    assert "--split dev" in told.value.hint


def test_the_law_of_a_curve_is_that_of_its_recipe_and_texts():
    spans, categories = LabelScheme("ner", ("X",)), LabelScheme("textcat", ("A", "B"))

    def gold(text, end):
        spans = (Span(0, end, "X"),) if end else ()
        return Gold(Example(input_hash(text), text), Annotation((), spans))

    running, names = [gold("Acme sells İ 👍", 4), gold("nobody", 0)], [gold("Acme Ltd", 8)]
    assert law_of(categories, "textcat_bow", running) is ERRORS
    assert law_of(spans, "ner", running) is law_of(spans, None, running) is law_of(spans, "ner", []) is ODDS
    assert law_of(spans, "ner", names) is ERRORS
    assert law_of(spans, "ner_rules", running) is law_of(spans, "ner_rules:dropout=.2", names) is WITH_RULES


def test_rounds_make_a_forecast_when_there_are_enough(tmp_path):
    settings(tmp_path / "p")
    project = Project.open(tmp_path / "p")
    assert rounds_forecast(project) is None
    for number in range(1, 8):
        value = 0.9 - (50 * number) ** -0.5
        record = Round(
            number, "margin", 0, gold_texts=50 * number, dev=Scores(40, value, None, None, None, None)
        )
        project.store.save_round(record)
        assert (rounds_forecast(project) is None) == (number < 6)
    assert rounds_forecast(project).at(700).value == pytest.approx(0.9 - 700**-0.5, abs=0.01)
