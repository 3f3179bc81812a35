"""From held-out answers to a verdict: refusals told in full, looks counted, labels compared, words chosen."""

from __future__ import annotations

import json
import sys
from dataclasses import replace

import numpy as np
import pytest
from fake_llm import FakeLLM
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import cohen_kappa_score
from small_project import expert, feedback, settings, small_project, write_rows

from annoloop.cli.app import main
from annoloop.evaluation.gate import GatePlan
from annoloop.evaluation.label_deltas import holm, label_deltas, render_deltas
from annoloop.evaluation.scores import count
from annoloop.hashing import input_hash
from annoloop.project import Project
from annoloop.steps.add import add
from annoloop.steps.ask import answer_with, ask_blind
from annoloop.steps.evaluate import evaluate
from annoloop.steps.evidence.advice import label_needs, lacking
from annoloop.steps.evidence.looks import gate_seed, looks_of, next_share
from annoloop.steps.evidence.report import report
from annoloop.steps.evidence.stop_set import Agreed, agreement, agreements, compare_with_last, settled
from annoloop.steps.evidence.verdict import in_words
from annoloop.steps.llm.form import FIRST, TEXTS, choose_form, form_of
from annoloop.steps.llm.source import import_llm_answers, llm_source, pin_few_shot, shown_examples
from annoloop.steps.status import status
from annoloop.steps.suggest import best_source
from annoloop.steps.train import train_round
from annoloop.types import (
    Annotation,
    Counts,
    Example,
    Gold,
    HeldOutGold,
    LabelScheme,
    LeaderboardRow,
    Round,
    Scores,
    Span,
)

ROWS = feedback(260)
NER = LabelScheme("ner", ("X", "Y"))


def corpus(near=1.0):
    return f"held_out = 0.3\ndev = 0.2\nnear_duplicate = {near}"


@pytest.fixture
def annoloop(monkeypatch, capsys):
    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["annoloop", *map(str, arguments)])
        try:
            main()
        except SystemExit as ended:
            assert not ended.code, capsys.readouterr().err
        return capsys.readouterr().out

    return run


def with_llm(project):
    always = [{"text": eg.text, "label": "irrelevant"} for eg in project.store.examples()]
    import_llm_answers(project, write_rows(project.folder / "llm.jsonl", always), name="always")


def test_a_tiny_assisted_and_leaked_set_gets_a_line_for_each_and_no_verdict(tmp_path, annoloop):
    again = [{**row, "text": row["text"] + " bitte sehr"} for row in ROWS[:60]]
    rows = [*ROWS[:100], *again]
    project = small_project(tmp_path / "p", rows, corpus=corpus())
    add(project, [write_rows(tmp_path / "gold.jsonl", rows)], gold=True)
    with_llm(project)
    project.store.save_round(Round(1, "random", 0))
    train_round(project, 1)
    settings(project.folder, corpus=corpus(0.7))
    out = annoloop("evaluate", project.folder)
    held = len(project.held_out_gold())
    lines = [line.strip() for line in out.splitlines() if line.strip().startswith("No verdict")]
    few, assisted, leaked = lines
    assert f"0 blind, unseen ones of {held}" in few and "at least 100 more" in few
    assert f"{held} of {held} held-out texts were not annotated blind" in assisted
    quoted = leaked.rpartition('near "')[2].removesuffix('".').removesuffix("…")
    trained = [g.example.text for g in (*project.pool_gold(), *project.dev_gold())]
    assert quoted and any(" ".join(text.split()).startswith(quoted) for text in trained)
    assert "verdict: refused (no verdict)" in out
    assert looks_of(Project.open(project.folder)) == []


def test_the_report_of_a_leak_quotes_no_training_text(tmp_path):
    rows = [*ROWS[:60], *({**row, "text": row["text"] + " bitte sehr"} for row in ROWS[:60])]
    project = small_project(tmp_path / "p", rows, corpus=corpus())
    add(project, [write_rows(tmp_path / "gold.jsonl", rows)], gold=True, blind=True)
    with_llm(project)
    project.store.save_round(Round(1, "random", 0))
    train_round(project, 1)
    settings(project.folder, corpus=corpus(0.7), gate="min_texts = 20")
    project = Project.open(project.folder)
    reason = evaluate(project).verdict.reason
    quoted = reason.rpartition('near "')[2][:30]
    assert "near-duplicate" in reason and quoted
    report(project, tmp_path / "report.html")
    page = (tmp_path / "report.html").read_text(encoding="utf8")
    assert (
        "near-duplicate in the training gold, so the model has seen their answers: train once more if" in page
    )
    assert f"near &quot;{quoted[:10]}" not in page and f'near "{quoted[:10]}' not in page


def test_evaluate_alone_shows_the_llm_examples_of_the_training_gold(tmp_path):
    with FakeLLM(json.dumps({"label": "irrelevant"})) as fake:
        rows = ROWS[:120]
        project = small_project(tmp_path / "p", rows, server=fake, gate="min_texts = 20")
        add(project, [write_rows(tmp_path / "gold.jsonl", rows)], gold=True, blind=True)
        train_round(project, 1)
        verdict = evaluate(project).verdict
        shown = shown_examples(project)
        assert shown and {row.text for row in shown} <= {g.example.text for g in project.pool_gold()}
        assert all(asked_of(fake, project, "held_out"))
        dev = first_dev(project)
        assert sorted(asked_of(fake, project, "dev")) == [False] * len(dev) + [True] * len(dev)
        assert all(shown[0].text in str(body) for body in fake.history if len(body["messages"]) > 2)
        right = f"{sum(g.annotation == Annotation(('irrelevant',)) for g in dev) / len(dev):.3f}"
        said = f"shown examples of the training gold: {right} on {len(dev)} dev texts, {right} without them."
        assert said in verdict.reason
        assert [look.share for look in looks_of(project)] == [1]


def first_dev(project):
    return sorted(project.dev_gold(), key=lambda gold: gold.example.input_hash)[:FIRST]


def asked_of(fake, project, split):
    """Each request about a text of the split: whether examples were shown."""
    texts = [eg.text for eg in project.store.examples(split=split)]
    return [
        len(body["messages"]) > 2
        for body in fake.history
        if any(text in body["messages"][-1]["content"] for text in texts)
    ]


def test_an_llm_that_examples_make_worse_on_dev_is_shown_none(tmp_path):
    rows = ROWS[:200]

    def answered(body):
        """Right without examples, always the same with them."""
        asked = body["messages"][-1]["content"]
        right = next(
            row["label"] for row in sorted(rows, key=lambda r: -len(r["text"])) if row["text"] in asked
        )
        return json.dumps({"label": right if len(body["messages"]) == 2 else "Rolltreppe"})

    with FakeLLM(answered) as fake:
        project = small_project(tmp_path / "p", rows, server=fake, corpus="dev = 0.3", gate="min_texts = 20")
        add(project, [write_rows(tmp_path / "gold.jsonl", rows)], gold=True, blind=True)
        train_round(project, 1)
        reason = evaluate(project).verdict.reason
        dev = sorted(project.dev_gold(), key=lambda gold: gold.example.input_hash)[:TEXTS]
        with_examples = sum(g.annotation.labels == ("Rolltreppe",) for g in dev) / len(dev)
        assert (
            f"better without: 1.000 on {len(dev)} dev texts, {with_examples:.3f} with the gold's." in reason
        )
        assert sorted(asked_of(fake, project, "dev")) == [False] * len(dev) + [True] * len(dev)
        assert asked_of(fake, project, "held_out") == [False] * len(project.held_out_gold())
        assert not llm_source(project).few_shot and shown_examples(project)
        source, why = best_source(project)
        assert source.approach == "llm" and "1.000" in why
        # Once it was compared on the held-out texts it stays as it is, whatever it says of dev texts later.
        asked = len(fake.history)
        assert evaluate(project).verdict.reason == reason
        assert len(fake.history) == asked


def test_an_llm_that_does_better_with_the_examples_of_the_file_is_shown_those(tmp_path):
    rows = ROWS[:120]

    def answered(body):
        asked = body["messages"][-1]["content"]
        longest_first = sorted(rows, key=lambda row: -len(row["text"]))
        right = next(row["label"] for row in longest_first if row["text"] in asked)
        return json.dumps({"label": right if "Der Aufzug fährt 👍" in str(body) else "Rolltreppe"})

    with FakeLLM(answered) as fake:
        project = small_project(tmp_path / "p", rows, server=fake, corpus="dev = 0.2", gate="min_texts = 20")
        own = [{"text": "Der Aufzug fährt 👍", "label": "Aufzug"}]
        write_rows(project.folder / "examples.jsonl", own)
        add(project, [write_rows(tmp_path / "gold.jsonl", rows)], gold=True, blind=True)
        train_round(project, 1)
        reason = evaluate(project).verdict.reason
        assert "shown examples.jsonl in place of examples of the training gold" in reason
        assert "as it does better with those: 1.000 on" in reason
        assert [row.text for row in llm_source(project).few_shot] == [own[0]["text"]]
        llm = next(row for row in evaluate(project).leaderboard if row.approach == "llm")
        assert llm.scores.score == 1


def sparse_project(folder, fake):
    """Every tenth text has a brand, half are dev texts, and all are answered."""
    rows = []
    for number, row in enumerate(ROWS):
        has = number % 10 == 0
        spans = [{"start": 0, "end": 4, "label": "BRAND"}] if has else []
        rows.append({"text": ("Acme " if has else "") + row["text"], "spans": spans})
    corpus = "dev = 0.4\nheld_out = 0.1"
    project = small_project(folder, rows, server=fake, kind="ner", labels=["BRAND"], corpus=corpus)
    add(project, [write_rows(folder / "gold.jsonl", rows)], gold=True, blind=True)
    pin_few_shot(project)
    choose_form(project)
    return project


def test_forms_of_the_prompt_are_compared_on_texts_with_something_to_find(tmp_path):
    def answered(body):
        """Right without examples, blind with them."""
        right = "Acme" in body["messages"][-1]["content"] and len(body["messages"]) == 2
        return json.dumps(
            {"entities": [{"quote": "Acme", "label": "BRAND", "occurrence": 1}] if right else []}
        )

    with FakeLLM(answered) as fake:
        project = sparse_project(tmp_path / "p", fake)
        form = form_of(project, llm_source(project, purpose="held_out"))
        holding = {g.example.text for g in project.dev_gold() if g.annotation.spans}
        asked = fake.asked()
        about = {
            eg.text for eg in project.store.examples(split="dev") if any(eg.text in one for one in asked)
        }
    assert (form.shown, form.score, form.other_score) == ("none", 0.0, 1.0)
    assert len(about) == form.texts and min(len(holding), FIRST) <= len(about & holding)
    assert about - holding, "texts without anything show what is found where nothing is"


def test_an_llm_that_is_never_right_is_said_to_be_so(tmp_path):
    with FakeLLM(json.dumps({"entities": []})) as fake:
        project = sparse_project(tmp_path / "p", fake)
        form = form_of(project, llm_source(project, purpose="held_out"))
    assert form.shown == "gold" and form.texts == TEXTS
    assert f"never right on {TEXTS} dev texts, with them or without them" in form.said
    assert "0.000" not in form.said


def test_answers_that_are_kept_need_no_server_to_choose_a_form(tmp_path):
    rows = ROWS[:60]
    with FakeLLM(json.dumps({"label": "irrelevant"})) as fake:
        project = small_project(tmp_path / "p", rows, server=fake, corpus="held_out = 0.4\ndev = 0.1")
        late = {eg.text for eg in project.store.examples(split="dev")[:2]}
        first, rest = ([row for row in rows if (row["text"] in late) == later] for later in (False, True))
        add(project, [write_rows(tmp_path / "gold.jsonl", first)], gold=True, blind=True)
        train_round(project, 1)
        before = evaluate(project)
        asked = len(fake.history)
    add(project, [write_rows(tmp_path / "rest.jsonl", rest)], gold=True, blind=True)
    after = evaluate(project)
    assert before.verdict.decision == after.verdict.decision == "refused"
    assert len(project.dev_gold()) == 2 + (asked - before.held_out_texts) // 2
    llm = [next(row for row in result.leaderboard if row.approach == "llm") for result in (before, after)]
    assert llm[0].scores == llm[1].scores


@pytest.fixture(scope="module")
def looked(tmp_path_factory):
    """Two rounds, the second judged, trained again on more gold, and judged again."""
    folder = tmp_path_factory.mktemp("looked") / "p"
    project = small_project(folder, ROWS, corpus=corpus(0.9), gate="rounds = 4\nmin_texts = 50")
    oracle = expert(project, ROWS)
    ask_blind(project, known=oracle)
    answer_with(project, oracle, 0)
    with_llm(project)
    pool, results = project.store.examples(split="pool"), []
    for number, part in ((1, pool[:30]), (2, pool[30:60]), (2, pool[60:])):
        project.store.add_tasks([project.task(example, number=number) for example in part])
        answer_with(project, oracle, number)
        if len(results) < 2:
            project.store.save_round(Round(number, "random", 0))
        record = train_round(project, number)
        compare_with_last(project, record)
        results.append(evaluate(project))
    return project, results


def test_a_model_trained_again_in_its_round_spends_another_share_of_alpha(looked):
    project, results = looked
    plan = GatePlan(rounds=4)
    assert [result.verdict.alpha for result in results] == pytest.approx(
        [plan.alpha_of(k) for k in (1, 2, 3)]
    )
    assert [look.share for look in looks_of(project)] == [1, 2, 3]
    assert [look.round for look in looks_of(project)] == [1, 2, 2]
    again = evaluate(project)
    assert again.verdict == results[-1].verdict and len(looks_of(project)) == 3


def test_what_was_fixed_at_the_first_look_stays(looked):
    project, results = looked
    settings(project.folder, corpus=corpus(0.9), gate="rounds = 4\nmin_texts = 50\nalpha = 0.5\nmargin = 0.3")
    result = evaluate(Project.open(project.folder))
    assert result.verdict == results[-1].verdict
    assert any("keeps alpha 0.05 and margin 0.02" in note for note in result.notes)
    page = report(project, project.folder / "fixed.html").path.read_text(encoding="utf8")
    assert "alpha 0.05, margin 0.02" in page


def test_another_seed_is_no_new_draw_of_the_same_p(looked):
    project, results = looked
    training = 'recipes = ["textcat_linear"]\nseed = 7'
    settings(project.folder, corpus=corpus(0.9), gate="rounds = 4\nmin_texts = 50", training=training)
    opened = Project.open(project.folder)
    assert opened.settings.training.seed == 7 and gate_seed(opened) == 0
    assert evaluate(opened).verdict == results[-1].verdict


def test_labels_are_compared_and_an_imported_llm_is_called_so(looked, annoloop):
    project, results = looked
    result = results[-1]
    llm = next(row for row in result.leaderboard if row.approach == "llm").scores.per_label
    model = next(row for row in result.leaderboard if row.approach == "model").scores.per_label
    assert len(result.deltas) == 3
    for delta in result.deltas:
        assert delta.delta == pytest.approx((model[delta.label].f or 0) - (llm[delta.label].f or 0))
    assert "imported" in result.verdict.reason
    told = result.to_json()
    assert json.loads(json.dumps(told))["deltas"][0]["label"] == result.deltas[0].label
    assert "model less LLM, F label by label" in annoloop("evaluate", project.folder)


def test_successive_models_read_the_same_texts_that_nobody_chose(looked, annoloop):
    project, _ = looked
    (found,) = agreements(project)
    assert found.round == 2 and found.texts == len(project.store.examples(split="pool"))
    assert found.value is not None and found.value < 1
    assert found.models.split()[1] == project.store.rounds()[-1].fingerprint
    needs = label_needs(project)
    assert {need.label for need in needs} <= set(project.scheme.labels)
    assert [need.mends for need in needs] == sorted((need.mends for need in needs), reverse=True)
    told = status(project).outlook
    assert told is None or "\n" not in told
    assert told is None or told in annoloop("status", project.folder)


def test_the_label_with_many_mistakes_and_few_examples_is_named(looked, monkeypatch):
    project, _ = looked
    record = project.store.rounds()[-1]
    per_label = {"Aufzug": Counts(1, 2, 14), "Rolltreppe": Counts(20, 1, 0), "irrelevant": Counts(20, 0, 1)}
    monkeypatch.setattr(
        type(project.store),
        "rounds",
        lambda _self: (replace(record, dev=replace(record.dev, per_label=per_label)),),
    )
    assert label_needs(project)[0].label == "Aufzug"
    need = lacking(project)
    assert need.label == "Aufzug" and need.errors == 16 and need.recall == pytest.approx(1 / 15)
    assert "recall 0.07" in str(need) and f"{need.examples} examples" in str(need)


def test_a_label_that_does_well_lacks_nothing_however_common_its_mistakes(looked, monkeypatch):
    project, _ = looked
    record = project.store.rounds()[-1]
    per_label = {"Aufzug": Counts(90, 6, 6), "Rolltreppe": Counts(1, 1, 1), "irrelevant": Counts(9, 1, 1)}
    dev = replace(record.dev, score=0.92, per_label=per_label)
    monkeypatch.setattr(type(project.store), "rounds", lambda _self: (replace(record, dev=dev),))
    assert lacking(project) is None


@given(st.integers(1, 12), st.lists(st.integers(1, 20), max_size=40))
def test_no_order_of_looks_spends_more_than_alpha(rounds, numbers):
    plan, spent = GatePlan(rounds=rounds), set()
    for number in numbers:
        share = next_share(spent, number=number, rounds=rounds)
        assert share not in spent or share == rounds + 1
        if number not in spent and number <= rounds:
            assert share == number
        spent.add(share)
    assert sum(plan.alpha_of(share) for share in spent) <= plan.alpha + 1e-12
    assert len(numbers) < rounds or spent >= set(range(1, rounds + 1))


def spans(rows):
    return [Annotation(spans=tuple(Span(i, i + 1, "XY"[i % 2]) for i in np.flatnonzero(row))) for row in rows]


def test_a_label_far_better_is_marked_and_one_that_is_level_is_not():
    rng = np.random.default_rng(3)
    truth = np.ones((120, 4), dtype=bool)
    gold = HeldOutGold(
        tuple(
            Gold(Example(input_hash(str(i)), str(i), split="held_out"), a, blind=True)
            for i, a in enumerate(spans(truth))
        )
    )
    keys = [item.example.input_hash for item in gold]
    model, llm = rng.random((120, 4)) < 0.9, rng.random((120, 4)) < 0.9
    llm[:, 0] &= rng.random(120) < 0.4
    said = [dict(zip(keys, spans(rows), strict=True)) for rows in (model, llm)]
    ours, theirs = (count(NER, gold, one) for one in said)
    better, level = label_deltas(ours, theirs, seed=1)
    assert (better.label, better.marked, better.to_find) == ("X", True, 240)
    assert better.interval[0] > 0 and not level.marked
    worse, _ = label_deltas(theirs, ours, seed=1)
    assert worse.marked and worse.delta == pytest.approx(-better.delta)
    assert render_deltas((better, level)).count("*") == 2
    assert "*" not in render_deltas((level,))


def test_holm_is_the_published_step_down():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([]) == [] and holm([0.9, 0.8]) == [1.0, 1.0]


def row(approach, **more):
    return LeaderboardRow(approach, approach, Scores(1, 0.5, None, None, None, None), **more)


def test_level_says_what_is_saved():
    model = row("model", cost=0.0, texts_per_second=500.0)
    assert in_words("level", [model, row("llm", cost=1.25)]) == "level, and cheaper by 1.25 per 1,000 texts"
    assert in_words("level", [model, row("llm", cost=0.0, texts_per_second=2.0)]) == (
        "level, and 250.0 times as fast"
    )
    small = [model, row("llm", cost=0.003, texts_per_second=2.0)]
    assert in_words("level", small) == "level, and 250.0 times as fast"
    assert in_words("level", [model, row("llm")]) == "level with the LLM"
    assert in_words("beats_llm", [model]) == "model beats LLM"


def test_agreement_is_kappa_for_topics_and_f_for_spans():
    rng, topics = np.random.default_rng(2), LabelScheme("textcat", ("a", "b", "c"))
    left, right = (rng.choice(list("abc"), 200) for _ in range(2))
    right = np.where(rng.random(200) < 0.8, left, right)
    pairs = [(Annotation((a,)), Annotation((b,))) for a, b in zip(left, right, strict=True)]
    assert agreement(topics, pairs) == pytest.approx(cohen_kappa_score(left, right))
    one, two = spans([[1, 1, 0, 0]])[0], spans([[1, 0, 1, 0]])[0]
    assert agreement(NER, [(one, two), (Annotation(), Annotation())]) == pytest.approx(0.5)
    assert agreement(NER, [(Annotation(), Annotation())]) is None


def test_stopping_is_advised_after_three_rounds_that_agree():
    def found(*values):
        return [Agreed(k, "", 1000, value) for k, value in enumerate(values, start=2)]

    assert settled(found(0.9, 0.992, 0.993)) is None
    assert "so stop" in settled(found(0.8, 0.992, 0.991, 0.99))
    assert settled(found(0.995, 0.995)) is None
    assert settled(found(0.995, None, 0.995)) is None
