"""What the progress page shows, from a real store."""

from __future__ import annotations

import tempfile
from collections import Counter
from dataclasses import replace
from datetime import UTC, date, datetime
from itertools import count
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from small_project import expert, feedback, small_project

from annoloop.hashing import input_hash
from annoloop.project import Project
from annoloop.steps.ask import answer_with, ask_blind
from annoloop.steps.evaluate import evaluate
from annoloop.steps.evidence.gold_counts import gold_counts
from annoloop.steps.evidence.pace import FEW_ANSWERS, Cost, annotator_speed, pace, seconds_ahead
from annoloop.steps.evidence.savings import MEASURED
from annoloop.types import Annotation, Answer, Example, LLMCall, Round, Scores, Span, Suggestion

TODAY = date(2026, 3, 10)
NOON = int(datetime(2026, 3, 9, 12, tzinfo=UTC).timestamp()) * 1_000_000
HOUR = 3_600_000_000
ids = count()
TEXTS = [f"nine words and a number, as short as this {n}" for n in range(600)]


@pytest.fixture
def project(tmp_path) -> Project:
    return Project.create(tmp_path / "p", kind="ner", labels=["SHOP", "BRAND"])


def ask(
    project: Project, number: int, *, split="pool", assisted=False, drawn_only: bool | None = None, **fields
) -> list:
    """Ask about so many texts of ten words."""
    known = project.store.known_hashes(input_hash(text) for text in TEXTS)
    # Of the pool, chance decides which texts come without a suggestion.
    drawn = [
        text
        for text in TEXTS
        if input_hash(text) not in known
        and (split != "pool" or drawn_only is None or project.is_unassisted(input_hash(text)) == drawn_only)
    ]
    examples = [Example(input_hash(text), text, split=split) for text in drawn[:number]]
    assert len(examples) == number
    project.store.add_examples(examples)
    suggestion = Suggestion(Annotation(), None, "rules") if assisted else None
    tasks = [replace(project.task(eg, number=1, suggestion=suggestion), **fields) for eg in examples]
    project.store.add_tasks(tasks)
    return tasks


def answer(task, who="anna", *, at=NOON, ms=5_000, **fields) -> Answer:
    fields = {"blind": not task.assisted, "annotation": Annotation(), "verdict": "accept", **fields}
    n = next(ids)
    return Answer(
        f"a{n}", task.task_hash, task.example.input_hash, annotator=who, milliseconds=ms, seq=at + n, **fields
    )


def save(project: Project, *answers: Answer) -> None:
    project.store.save_answers(answers)


def test_texts_are_counted_by_day_and_by_person(project):
    tasks = ask(project, 6, wanted=2)
    save(
        project, *(answer(t) for t in tasks[:3]), *(answer(t, "ben", at=NOON - 24 * HOUR) for t in tasks[:2])
    )
    save(project, answer(tasks[3]))
    save(project, answer(tasks[3], retracted=True), answer(tasks[0], "rita", adjudicated=True))
    figures = pace(project, today=TODAY)
    assert [(d.day.day, d.annotator, d.texts) for d in figures.days] == [(8, "ben", 2), (9, "anna", 3)]
    assert {p.annotator: p.texts for p in figures.people} == {"anna": 3, "ben": 2}


def test_a_day_begins_where_the_reader_is(project):
    save(project, answer(ask(project, 1)[0], at=NOON + 11 * HOUR))
    assert [d.day.day for d in pace(project, today=TODAY).days] == [9]
    assert [d.day.day for d in pace(project, today=TODAY, utc_offset=7200).days] == [10]


def test_answers_of_a_clock_that_is_wrong_count_but_are_not_drawn(project):
    tasks = ask(project, 2)
    save(project, answer(tasks[0], at=NOON + 9_000 * 24 * HOUR), answer(tasks[1], at=1_000))
    figures = pace(project, today=TODAY)
    assert figures.days == ()
    assert [p.texts for p in figures.people] == [2]


def test_who_left_the_page_open_has_not_worked_meanwhile(project):
    tasks = ask(project, 21)
    save(project, *(answer(t) for t in tasks[:20]), answer(tasks[20], ms=7_200_000))
    (anna,) = pace(project, today=TODAY).people
    assert anna.median_seconds == 5
    assert anna.minutes == pytest.approx((20 * 5 + 60) / 60)
    assert anna.texts_per_hour == pytest.approx(21 / (anna.minutes / 60))


def test_few_answers_say_nothing_about_pace_and_simulated_ones_never_do(project):
    tasks = ask(project, FEW_ANSWERS + 20)
    save(project, *(answer(t) for t in tasks[: FEW_ANSWERS - 1]))
    save(project, *(answer(t, "oracle", simulated=True) for t in tasks[FEW_ANSWERS : FEW_ANSWERS + 15]))
    figures = pace(project, today=TODAY)
    assert [(p.annotator, p.median_seconds, p.texts_per_hour) for p in figures.people] == [
        ("oracle", None, None),
        ("anna", None, None),
    ]
    assert {d.annotator for d in figures.days} == {"anna"}
    assert figures.batch.answers == 6
    assert figures.batch.minutes is None and figures.batch.days is None


def test_the_estimate_is_the_open_answers_at_the_recent_pace(project):
    tasks = ask(project, 50)
    for day in range(3):
        part = tasks[day * 10 : day * 10 + 10]
        save(project, *(answer(t, at=NOON - day * 24 * HOUR) for t in part))
    save(project, answer(tasks[30], at=NOON + 24 * HOUR))
    batch = pace(project, today=TODAY).batch
    assert batch.answers == 19
    assert batch.minutes == pytest.approx((19 * 5 / 60, 19 * 5 / 60))
    # Today is not over: its single answer must not make one text a day of it.
    assert batch.days == pytest.approx((1.9, 1.9))


def test_the_estimate_is_wider_where_times_differ(project):
    tasks = ask(project, 40)
    save(project, *(answer(t, ms=ms) for t, ms in zip(tasks, [2_000, 20_000] * 10, strict=False)))
    low, high = pace(project, today=TODAY).batch.minutes
    assert low < 20 * 11 / 60 < high


def test_two_people_wanted_are_two_answers_and_rounds_come_one_by_one(project):
    tasks = ask(project, 4, wanted=2)
    ask(project, 3, round=2)
    save(project, answer(tasks[0]), answer(tasks[1]), answer(tasks[1], "ben"))
    figures = pace(project, today=TODAY)
    assert figures.batch.answers == 5
    assert figures.goal.answers == 100  # The verdict needs so many held-out texts, and none is answered.


def test_the_goal_counts_the_blind_held_out_texts_that_a_verdict_needs(project):
    tasks = ask(project, 30, split="held_out")
    save(project, *(answer(t) for t in tasks[:25]), answer(tasks[25], blind=False))
    figures = pace(project, today=TODAY)
    assert figures.held_out_missing == 75
    assert figures.goal.answers == 75
    assert figures.gold == {"pool": 0, "dev": 0, "held_out": 26}


@given(
    st.lists(
        st.lists(
            st.tuples(
                st.integers(0, 5),
                st.sampled_from("ab"),
                st.sampled_from(["SHOP", "BRAND", None]),
                st.booleans(),
            ),
            max_size=6,
        ),
        max_size=4,
    )
)
@settings(max_examples=25)
def test_label_counts_kept_up_to_date_are_those_counted_anew(batches):
    with tempfile.TemporaryDirectory() as folder:
        project = Project.create(Path(folder) / "p", kind="ner", labels=["SHOP", "BRAND"])
        tasks = [*ask(project, 3, wanted=2), *ask(project, 3, split="dev", wanted=2)]
        for batch in batches:
            save(
                project,
                *(
                    answer(
                        tasks[text],
                        who,
                        retracted=retracted,
                        annotation=Annotation(spans=(Span(0, 4, label),) if label else ()),
                    )
                    for text, who, label, retracted in batch
                ),
            )
            counted = gold_counts(project)
            gold = {"pool": project.pool_gold(), "dev": project.dev_gold()}
            for split, items in gold.items():
                assert counted.texts[split] == len(items)
                expected = Counter(span.label for item in items for span in item.annotation.spans)
                assert counted.labels[split] == {name: expected[name] for name in ("SHOP", "BRAND")}
        project.store.close()


def measured(project: Project, *, assisted_ms: int, who="anna") -> None:
    blind = ask(project, MEASURED, drawn_only=True)
    assisted = ask(project, MEASURED, assisted=True, drawn_only=False)
    save(project, *(answer(t, who, ms=10_000 + 10 * n) for n, t in enumerate(blind)))
    save(project, *(answer(t, who, ms=assisted_ms + 10 * n) for n, t in enumerate(assisted)))


def test_saved_time_is_the_difference_per_text_over_the_assisted_texts(project):
    measured(project, assisted_ms=5_000)
    saved = pace(project, today=TODAY).savings
    assert (saved.blind, saved.assisted) == (MEASURED, MEASURED)
    assert saved.blind_seconds == pytest.approx(10.1, abs=0.1)
    assert saved.assisted_seconds == pytest.approx(5.1, abs=0.1)
    assert saved.share == pytest.approx(0.495, abs=0.01)
    assert saved.minutes == pytest.approx(MEASURED * 5 / 60, rel=0.02)
    assert 0 < saved.interval[0] <= saved.minutes <= saved.interval[1]


def test_no_difference_is_reported_as_an_interval_around_nothing(project):
    measured(project, assisted_ms=10_000)
    low, high = pace(project, today=TODAY).savings.interval
    assert low <= 0 <= high


def test_time_saved_is_not_measured_across_different_people_nor_on_few_texts(project):
    blind = ask(project, MEASURED, drawn_only=True)
    assisted = ask(project, MEASURED, assisted=True, drawn_only=False)
    save(project, *(answer(t, "slow", ms=60_000) for t in blind))
    save(project, *(answer(t, "quick", ms=1_000) for t in assisted))
    assert pace(project, today=TODAY).savings is None


def test_blind_held_out_answers_are_no_measure_of_labelling_by_hand(project):
    blind, assisted = (
        ask(project, MEASURED, split="held_out"),
        ask(project, MEASURED, assisted=True, drawn_only=False),
    )
    save(project, *(answer(t, ms=10_000) for t in blind), *(answer(t, ms=1_000) for t in assisted))
    assert pace(project, today=TODAY).savings is None


def test_texts_that_chance_did_not_draw_are_no_measure_of_labelling_by_hand(project):
    # As where a source had nothing to say of a text.
    blind, assisted = (ask(project, MEASURED, assisted=a, drawn_only=False) for a in (False, True))
    save(project, *(answer(t, ms=10_000) for t in blind), *(answer(t, ms=1_000) for t in assisted))
    assert pace(project, today=TODAY).savings is None
    assert pace(project, today=TODAY).measured == (0, 0)


@pytest.mark.parametrize(("failed", "counted"), [(1, True), (5, False)])
def test_where_a_source_failed_on_more_than_a_few_texts_nothing_is_claimed(project, failed, counted):
    measured(project, assisted_ms=5_000)
    save(project, *(answer(t, ms=60_000) for t in ask(project, failed, drawn_only=False)))
    assert (pace(project, today=TODAY).savings is not None) == counted


def test_longer_texts_among_those_with_suggestions_are_no_loss(project):
    measured(project, assisted_ms=10_000)
    longer = [f"{text} {'and much more of the same ' * 10}" for text in TEXTS[:80]]
    longer = [text for text in longer if not project.is_unassisted(input_hash(text))][:40]
    examples = [Example(input_hash(text), text) for text in longer]
    project.store.add_examples(examples)
    tasks = [project.task(eg, number=1, suggestion=Suggestion(Annotation(), None, "r")) for eg in examples]
    project.store.add_tasks(tasks)
    save(project, *(answer(t, ms=70_000) for t in tasks))
    saved = pace(project, today=TODAY).savings
    assert saved.share_interval[0] <= 0.02 and abs(saved.share) < 0.05


def test_the_share_without_suggestions_is_drawn_by_text_and_said_on_the_task(project):
    texts = [Example(input_hash(text), text) for text in TEXTS]
    suggestion = Suggestion(Annotation(), None, "rules")
    tasks = [project.task(example, number=1, suggestion=suggestion) for example in texts]
    without = [task for task in tasks if not task.assisted]
    assert 30 < len(without) < 90
    assert all(task.suggestion is None for task in without)
    assert [project.task(task.example, number=3, suggestion=suggestion).assisted for task in without] == [
        False
    ] * len(without)


def test_the_speed_of_people_is_found_again_from_their_times_pauses_and_all(project):
    rng = np.random.default_rng(0)
    examples = []
    for n in range(200):
        text = " ".join([f"wort{n}", *["so"] * int(rng.integers(1, 60))])
        examples.append(Example(input_hash(text), text))
    project.store.add_examples(examples)
    tasks = [project.task(example, number=1) for example in examples]
    project.store.add_tasks(tasks)
    for place, task in enumerate(tasks):
        spans = tuple(Span(n, n + 1, "SHOP") for n in range(int(rng.integers(0, 4))))
        words = task.example.text.count(" ") + 1
        ms = 2_000 + 300 * words + 3_000 * len(spans) + int(rng.normal(0, 300))
        save(project, answer(task, ms=7_200_000 if place % 25 == 7 else ms, annotation=Annotation((), spans)))
    speed = annotator_speed(project, "anna")
    assert speed.answers == 200
    # Nothing was suggested: each span given is one change, and the two share its cost.
    assert speed.a_word == pytest.approx(0.3, rel=0.25)
    assert speed.an_entity + speed.an_edit == pytest.approx(3, rel=0.25)
    assert annotator_speed(project, "ben") is None


def test_cost_is_the_sum_of_what_is_known_and_none_where_a_price_is_not(project):
    assert pace(project, today=TODAY).cost is None
    call = LLMCall("k", 1, prompt_tokens=90, completion_tokens=10, cost=0.25, input_hash="x")
    dev, suggest = (project.store.answers_kept(run="r", purpose=purpose) for purpose in ("dev", "suggest"))
    dev.note([call])
    assert pace(project, today=TODAY).cost == Cost(1, 100, 0.25)
    # The same text for another purpose is paid again, but is one text; a failed call costs nobody knows what.
    suggest.note([call, replace(call, status="failed", prompt_tokens=None, cost=None, input_hash="y")])
    cost = pace(project, today=TODAY).cost
    assert (cost.texts, cost.tokens, cost.money) == (2, 210, 0.5)
    suggest.note([replace(call, cost=None)])
    assert pace(project, today=TODAY).cost.money is None


def scores(value: float) -> Scores:
    return Scores(10, value, value, value, value, (value - 0.1, value + 0.1))


def test_the_curve_is_drawn_on_dev_until_somebody_judged(project):
    assert pace(project, today=TODAY).curve is None
    project.store.save_round(Round(1, "random", 0, gold_texts=50, model="m", dev=scores(0.5)))
    curve = pace(project, today=TODAY).curve
    assert (curve.split, curve.points[0].gold_texts, curve.points[0].score) == ("dev", 50, 0.5)
    project.store.save_round(Round(2, "random", 0, gold_texts=90, model="m", held_out=scores(0.6)))
    curve = pace(project, today=TODAY).curve
    assert curve.split == "held_out"
    assert [(p.round, p.interval) for p in curve.points] == [(2, (0.5, 0.7))]


def test_the_baselines_are_those_of_the_last_judgement(tmp_path):
    rows = feedback(60)
    project = small_project(tmp_path / "p", rows)
    (tmp_path / "p" / "patterns.jsonl").write_text(
        '{"label": "Aufzug", "pattern": "Aufzug"}\n', encoding="utf8"
    )
    oracle = expert(project, rows)
    ask_blind(project, known=oracle)
    answer_with(project, oracle, 0)
    judged = evaluate(project)
    project.store.save_round(Round(1, "random", 0, gold_texts=9, model="m", held_out=scores(0.6)))
    (baseline,) = pace(project, today=TODAY).curve.baselines
    assert baseline.approach == "rules"
    assert baseline.score == judged.leaderboard[0].scores.score
    assert baseline.interval == judged.leaderboard[0].scores.interval


def test_looking_changes_nothing(project):
    save(project, answer(ask(project, 1)[0]))
    pace(project, today=TODAY)
    assert project.store.fact("gate.rounds") is None


def read(project: Project, words: int, number: int) -> list:
    """So many texts of so many words, with a name in every fifth word."""
    texts = [" ".join(["Wort"] * (words - 1) + [f"{words}-{n}"]) for n in range(number)]
    examples = [Example(input_hash(text), text) for text in texts]
    project.store.add_examples(examples)
    tasks = [project.task(example, number=1) for example in examples]
    project.store.add_tasks(tasks)
    return tasks


def test_imported_labels_say_nothing_of_time(project):
    save(project, *(answer(task, ms=7_000) for task in read(project, 7, 40)))
    before = annotator_speed(project), seconds_ahead(project)
    save(project, *(answer(task, "import", ms=0) for task in read(project, 9, 300)))
    assert (annotator_speed(project), seconds_ahead(project)) == before


def test_hours_to_come_go_by_the_fitted_speed_and_the_texts_that_wait(project):
    """2 s a text, .3 s a word, 1 s a name: short texts were asked first, long ones wait."""
    save(project, *(answer(task, ms=7_000) for task in read(project, 7, 12)))
    assert seconds_ahead(project) == pytest.approx(7, rel=0.05)
    for words in (5, 10, 15):
        spans = tuple(Span(5 * n, 5 * n + 4, "SHOP") for n in range(words // 5))
        said = Annotation(spans=spans)
        for task in read(project, words, 40):
            ms = 2_000 + 300 * words + 1_000 * len(spans)
            save(project, answer(task, ms=ms, annotation=said, verdict="accept"))
    measured = pace(project, today=TODAY).people[0]
    assert seconds_ahead(project) == pytest.approx(60 * measured.minutes / measured.texts)
    long = [f"{n} " + " ".join(["Wort"] * 49) for n in range(20)]
    project.store.add_examples([Example(input_hash(text), text) for text in long])
    assert project.store.words_ahead(limit=10) == 50
    # A name in every fifth word of the texts that were read, but in none of the twelve first.
    names = 240 / (12 * 7 + 40 * 30) * 50
    assert seconds_ahead(project) == pytest.approx(2 + 0.3 * 50 + names, rel=0.1)
