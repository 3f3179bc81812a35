"""Simulations on finished gold: what they compare, what they keep, and what they never look at."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import time
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_project import PATTERNS, expert, feedback, settings, small_project, write_rows

import annoloop.steps.simulation.models as simulated_models
import annoloop.steps.simulation.runs as simulated_runs
import annoloop.training.train as training
from annoloop.cli import main
from annoloop.errors import AnnoloopError, TrainingError
from annoloop.evaluation.curves_page import Chart, Line, render_curves
from annoloop.evaluation.learning_curves import LearningPoint, area, compare, holm, mean_curve, sign_flip
from annoloop.hashing import input_hash
from annoloop.project import Project
from annoloop.steps.ask import answer_with, ask_blind
from annoloop.steps.llm.source import import_llm_answers
from annoloop.steps.simulation.run import Plan, by_strategy, run
from annoloop.steps.simulation.runs import Ground
from annoloop.steps.simulation.simulate import simulate
from annoloop.types import Annotation, Example, Gold, LabelScheme, Span

ROWS = feedback(160)
WORDS = ("Acme", "Zorn", "İstanbul", "東京", "café")


def curve(*scores, step=10):
    return tuple(
        LearningPoint(step * n, 3 * step * n, 5.0 * step * n, score, score)
        for n, score in enumerate(scores, start=1)
    )


# -- the figures -------------------------------------------------------------------------------


def test_an_area_is_the_mean_height_between_two_costs():
    found = curve(0.0, 1.0)
    assert area(found, "texts", 10, 20) == pytest.approx(0.5)
    assert area(found, "texts", 15, 20) == pytest.approx(0.75)
    assert area(found, "tokens", 30, 60) == pytest.approx(0.5)
    assert area(found, "texts", 0, 20) == pytest.approx(0.25)


def test_labels_to_the_baselines_last_score_and_the_share_saved():
    baseline = {seed: curve(0.2, 0.4, 0.6, 0.8) for seed in range(4)}
    twice_as_fast = {seed: curve(0.4, 0.8, 0.9, 0.9) for seed in range(4)}
    never = {seed: curve(0.1, 0.2, 0.3, 0.4) for seed in range(4)}
    rows = {
        row.name: row
        for row in compare({"lot": baseline, "fast": twice_as_fast, "slow": never}, baseline="lot")
    }
    assert rows["lot"].to_last == rows["lot"].cost == 40 and rows["lot"].saved == 0
    assert rows["fast"].to_last == pytest.approx(20, abs=0.2)
    assert rows["fast"].saved == pytest.approx(0.5, abs=0.01)
    assert rows["fast"].saved_interval == pytest.approx((0.5, 0.5), abs=0.01)
    assert rows["slow"].to_last is None and rows["slow"].saved is None
    assert rows["slow"].saved_interval == (None, None)
    assert rows["fast"].difference > 0 > rows["slow"].difference
    assert rows["lot"].p is None and rows["lot"].p_holm is None


def test_nothing_is_saved_where_the_baseline_was_up_there_as_soon():
    """A curve that is level from the first round on needs as few labels as any."""
    level, late = {seed: curve(1.0, 1.0, 1.0) for seed in (0, 1)}, {seed: curve(0.5, 1.0) for seed in (0, 1)}
    lot, same, slow = compare({"lot": level, "same": dict(level), "slow": late}, baseline="lot")
    assert (lot.to_last, lot.cost) == (10, 30)
    assert (same.to_last, same.saved, same.saved_interval) == (10, 0.0, (0.0, 0.0))
    assert slow.saved == pytest.approx(-1.0, abs=0.01)


def test_curves_of_unequal_length_are_compared_where_both_are():
    short, long = {0: curve(0.5, 0.5)}, {0: curve(0.5, 0.5, 0.9, 1.0)}
    assert compare({"a": short, "b": long}, baseline="a")[1].difference == pytest.approx(0)
    assert len(mean_curve([short[0], long[0]], "texts")) == 2


def test_ten_pairs_of_one_sign_cannot_be_more_than_one_in_512():
    assert sign_flip([0.1] * 10) == pytest.approx(2 / 1024)
    assert sign_flip([0.1, -0.1]) == 1.0
    assert sign_flip([0.1]) is None
    assert sign_flip([0.1] * 30) == pytest.approx(1e-4)
    assert sign_flip(list(np.random.default_rng(1).normal(size=40))) > 0.05


def test_holm_steps_down():
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])


@given(st.lists(st.floats(0, 1), max_size=12))
def test_holm_keeps_the_order_and_never_makes_a_p_smaller(p_values):
    found = holm(p_values)
    assert all(p <= corrected <= 1 for p, corrected in zip(p_values, found, strict=True))
    order = np.argsort(p_values, kind="stable")
    assert list(np.asarray(found)[order]) == sorted(found)


def test_a_page_names_every_strategy_and_loads_nothing():
    names = ["random", "<b>mine</b>", *(f"s{n}" for n in range(9))]
    curves = {name: {0: curve(0.1, 0.5), 1: curve(0.2, 0.5)} for name in names}
    lines = tuple(Line(name, tuple(mean_curve(list(of.values()), "texts"))) for name, of in curves.items())
    page = render_curves(
        "t", "about", [Chart("c", "texts", "F", lines, tuple(compare(curves, baseline="random")))]
    )
    assert "&lt;b&gt;mine" in page and "<b>" not in page and page.count("<polyline") == len(names)
    assert "<script" not in page and "://" not in page and "src=" not in page


# -- whole simulations -------------------------------------------------------------------------


@pytest.fixture
def project(tmp_path):
    """A project without answers, and a file of gold."""
    settings(tmp_path / "p")
    return Project.open(tmp_path / "p")


@pytest.fixture
def gold(tmp_path):
    return write_rows(tmp_path / "gold.jsonl", ROWS)


def small(project, gold, **more):
    return simulate(project, gold=[gold], **{"seeds": 2, "batch": 8, "rounds": 3, "workers": 1, **more})


def test_strategies_are_compared_and_kept_as_files(project, gold):
    heard = []
    found = small(project, gold, strategies=["auto", "margin"], on_progress=lambda *told: heard.append(told))
    rows = found.tables["quick"]
    assert [row.name for row in rows] == ["random", "auto", "margin"]
    assert all(row.seeds == 2 and 0 < row.last <= 1 for row in rows)
    assert heard[0][1:] == (0, 6) and heard[-1][1:] == (6, 6)
    points = found.curves["quick"]["auto"][0]
    assert [point.texts for point in points] == [8, 16, 24]
    assert all(a.tokens < b.tokens and a.seconds < b.seconds for a, b in pairwise(points))
    told = json.loads((found.folder / "results.json").read_text("utf8"))
    assert told == json.loads(json.dumps(found.to_json()))
    with (found.folder / "curves.csv").open(encoding="utf8", newline="") as file:
        lines = list(csv.DictReader(file))
    assert len(lines) == 3 * 2 * 3 and float(lines[0]["score"]) == told["curves"][0]["points"][0]["score"]
    assert "margin" in (found.folder / "curves.html").read_text("utf8")


def test_a_transformer_recipe_starts_from_the_projects_bert(tmp_path, gold, monkeypatch):
    settings(tmp_path / "t", training='transformer = "bert"')
    project, given = Project.open(tmp_path / "t"), []

    def spied(*_gold, transformer, **_others):
        given.append(transformer)
        raise TrainingError("enough")

    monkeypatch.setattr(training, "train", spied)
    with pytest.raises(TrainingError, match="enough"):
        small(project, gold, recipes=["textcat_transformer"])
    assert given == [tmp_path / "t" / "bert"]


def test_runs_from_another_bert_are_other_runs(tmp_path):
    named = []
    for weights in ("some", "others"):
        (tmp_path / "bert").mkdir(exist_ok=True)
        (tmp_path / "bert" / "model.safetensors").write_text(weights)
        ground = Ground((), LabelScheme("textcat", ("a", "b")), "en", 0.9, transformer=tmp_path / "bert")
        recipes = ("textcat_transformer", "textcat_linear", "quick")
        plans = [Plan("random", recipe, 0, 8, 3, "texts", 0.2) for recipe in recipes]
        named.append(list(simulated_runs.fingerprints(ground, plans, {}).values()))
    assert [before == after for before, after in zip(*named, strict=True)] == [False, True, True]


def test_a_batch_of_the_settings_in_tokens_is_not_taken_for_texts(project, gold, simulated):
    settings(project.folder, selection='unit = "tokens"\nbatch = 60')
    told = small(Project.open(project.folder), gold, batch=None, rounds=2)
    assert told.unit == "tokens" and 30 <= told.batch <= 120


def test_recipes_are_compared_under_random(project, gold):
    found = small(project, gold, recipes=["quick", "textcat_linear"], seeds=1, rounds=2)
    assert set(found.tables) == {"quick", "textcat_linear"}
    assert [row.name for row in found.recipes] == ["quick", "textcat_linear"]
    chosen = [found.curves[recipe]["random"][0][-1].tokens for recipe in found.tables]
    assert chosen[0] == chosen[1]


@pytest.fixture
def simulated(monkeypatch):
    """The plans that were simulated; `most` stops before the next one."""

    class Seen(list):
        most = 1000

    seen, real = Seen(), simulated_runs.run

    def spied(material, plan, **given):
        if len(seen) >= seen.most:
            raise KeyboardInterrupt
        seen.append(plan)
        return real(material, plan, **given)

    monkeypatch.setattr(simulated_runs, "run", spied)
    return seen


def test_twice_in_a_row_costs_nothing_and_a_stopped_one_goes_on(project, gold, tmp_path, simulated):
    whole = small(project, gold, folder=tmp_path / "whole").to_json()
    assert len(simulated) == 4
    assert small(project, gold, folder=tmp_path / "whole").to_json() == whole
    assert len(simulated) == 4
    simulated.most = 7
    with pytest.raises(KeyboardInterrupt):
        small(project, gold, folder=tmp_path / "stopped")
    simulated.most = 1000
    assert small(project, gold, folder=tmp_path / "stopped").to_json() == whole
    assert len(simulated) == 8
    assert not list((tmp_path / "stopped").rglob("*.partial"))


def test_what_shapes_a_run_makes_a_new_one(project, gold, tmp_path, simulated):
    small(project, gold)
    small(project, gold, seeds=3)
    assert len(simulated) == 6
    small(project, gold, batch=9)
    assert len(simulated) == 10
    write_rows(gold, ROWS[:-1])
    small(project, gold)
    assert len(simulated) == 14


def test_what_is_odd_in_the_gold_is_said(project, gold):
    with gold.open("a", encoding="utf8") as file:
        file.write(json.dumps({"text": "no label here"}) + "\n")
        file.write(json.dumps({"text": ROWS[0]["text"], "label": "Rolltreppe"}) + "\n")
    found = small(project, gold, seeds=1, rounds=1)
    assert [warning.partition(": ")[2][:18] for warning in found.warnings] == [
        "no complete, accep",
        "labelled different",
    ]
    assert found.pool + found.test <= len(ROWS)


def test_files_that_differ_are_named_and_kept_with_the_results(project, gold, tmp_path):
    other = write_rows(tmp_path / "other.jsonl", [{"text": ROWS[0]["text"], "label": "Rolltreppe"}])
    found = simulate(project, gold=[gold, other], seeds=1, batch=8, rounds=1, workers=1)
    (warning,) = found.warnings
    assert warning.startswith(f"{other}, line 1: labelled differently in {gold}, line 1")
    kept = json.loads((found.folder / "results.json").read_text(encoding="utf8"))
    assert kept["warnings"] == [warning]


def test_strategies_that_are_the_same_are_simulated_once(tmp_path, simulated):
    settings(tmp_path / "m", kind="textcat_multilabel")
    rows = [{"text": row["text"], "labels": [row["label"]]} for row in ROWS]
    gold = write_rows(tmp_path / "several.jsonl", rows)
    found = small(Project.open(tmp_path / "m"), gold, seeds=1, rounds=1, strategies=["auto", "margin"])
    assert [row.name for row in found.tables["quick"]] == ["random", "auto"] and len(simulated) == 2
    assert found.warnings == ("margin chooses the same texts as auto here, so it is simulated once",)


def test_the_order_of_the_gold_changes_nothing(project, gold, tmp_path):
    found = small(project, gold, seeds=1)
    turned = write_rows(tmp_path / "turned.jsonl", ROWS[::-1])
    again = small(project, turned, seeds=1, folder=tmp_path / "again")
    assert again.to_json() == found.to_json()


def test_a_kept_file_that_cannot_be_read_is_simulated_again(project, gold, simulated):
    found = small(project, gold)
    file = next((found.folder / "runs").glob("*.json"))
    for broken, runs in (('{"points": [', 5), ('{"points": []}', 6)):
        file.write_text(broken, encoding="utf8")
        assert small(project, gold).to_json() == found.to_json()
        assert len(simulated) == runs


def ground_of(rows, shares=(0.3, 0.1)):
    scheme = LabelScheme("textcat", tuple(sorted({row["label"] for row in rows})))
    items = (Gold(Example(input_hash(row["text"]), row["text"]), Annotation((row["label"],))) for row in rows)
    return Ground(tuple(items), scheme, "de", 0.85, shares)


def test_the_parts_of_a_seed_are_apart_and_near_duplicates_on_one_side():
    rows = [dict(row, text=f"{row['text']}{end}") for row in ROWS[:60] for end in ("", " !!")]
    ground = ground_of(rows)
    parts = []
    for seed in (0, 0, 1):
        material = ground.material(seed)
        pool = {g.example.text.removesuffix(" !!") for g in material.pool}
        judged = {text.removesuffix(" !!") for text in material.judged}
        dev = {g.example.text.removesuffix(" !!") for g in material.dev}
        assert not pool & judged and not dev & (pool | judged) and len(judged) > 10
        parts.append(judged)
    assert parts[0] == parts[1] != parts[2]


def test_who_chooses_sees_the_gold_of_asked_texts_only():
    material = ground_of(ROWS).material(0)
    asked: list[int] = []

    def choose(standing):
        assert standing.labelled == asked
        assert [g.example.input_hash for g in standing.gold] == [
            material.pool[row].example.input_hash for row in asked
        ]
        assert not set(standing.open.tolist()) & set(asked)
        chosen = by_strategy(standing)
        assert set(chosen) <= set(standing.open.tolist())
        asked.extend(chosen)
        return chosen

    curve = run(material, Plan("auto", "quick", 0, 10, 4, "texts", 0.2), choose=choose)
    assert len(asked) == len(set(asked)) == curve[-1].texts == 40


def test_a_pool_that_runs_out_ends_the_run():
    material = ground_of(ROWS[:60]).material(0)
    points = run(material, Plan("random", "quick", 0, 30, 9, "texts", 0.2))
    assert points[-1].texts == len(material.pool) and len(points) < 9


def test_gold_that_says_one_thing_only_still_has_a_score():
    rows = [dict(row, label="irrelevant") for row in ROWS[:58]] + [
        dict(row, label="x") for row in ROWS[58:60]
    ]
    points = run(ground_of(rows).material(0), Plan("margin", "quick", 0, 4, 2, "texts", 0.2))
    assert all(0 <= point.score <= 1 for point in points)


def test_the_projects_own_gold_keeps_its_splits(tmp_path, simulated):
    project = small_project(tmp_path / "p", ROWS)
    oracle = expert(project, ROWS)
    ask_blind(project, known=oracle)
    answer_with(project, oracle, 0)
    project.store.add_tasks([project.task(eg, number=1) for eg in project.store.examples(split="pool")])
    answer_with(project, oracle, 1)
    found = simulate(project, seeds=1, workers=1)
    assert (found.pool, found.test) == (len(project.pool_gold()), len(project.held_out_gold()))
    assert found.batch * found.rounds <= 0.6 * found.pool
    assert found.folder == project.folder / "simulations"


@pytest.mark.parametrize("labels", [("Aufzug", "Rolltreppe", "irrelevant"), ("Aufzug",)])
def test_texts_with_several_categories_or_none(labels):
    ground = ground_of(ROWS)
    kept = (
        g.annotation.labels if n % 5 and g.annotation.labels[0] in labels else ()
        for n, g in enumerate(ground.gold)
    )
    items = tuple(Gold(g.example, Annotation(k)) for g, k in zip(ground.gold, kept, strict=True))
    several = Ground(items, LabelScheme("textcat_multilabel", labels), "de", 0.85, (0.3, 0.1))
    points = run(several.material(0), Plan("auto", "quick", 0, 15, 5, "texts", 0.2))
    assert points[-1].texts == 75 and points[-1].score > 0.2


def test_spans_that_may_overlap(monkeypatch):
    monkeypatch.setattr(simulated_models, "QUICK_STEPS", 4)
    found = spans_ground()
    ground = Ground(found.gold, LabelScheme("spancat", ("NAME",)), "en", 0.85, (0.3, 0.1))
    assert len(run(ground.material(0), Plan("span_margin", "quick", 0, 60, 2, "tokens", 0.2))) == 2


def spans_ground():
    """Texts in which a made-up name stands somewhere, with what no text file would spare us."""
    rng, items = np.random.default_rng(0), []
    for number in range(90):
        word = WORDS[number % len(WORDS)]
        before = " ".join(
            rng.choice(["we", "saw", "the", "shop", "of", "👍🏽", "e\u0301t\u00e9"], 1 + number % 9)
        )
        text = f"{before} {word} {number}\r\n"
        span = Span(len(before) + 1, len(before) + 1 + len(word), "NAME")
        items.append(Gold(Example(input_hash(text), text), Annotation(spans=(span,) if number % 4 else ())))
    return Ground(tuple(items), LabelScheme("ner", ("NAME",)), "en", 0.85, (0.3, 0.1))


def test_entities_are_asked_by_tokens_and_by_what_the_model_doubts(monkeypatch):
    monkeypatch.setattr(simulated_models, "QUICK_STEPS", 6)
    material = spans_ground().material(0)
    ranked = []

    def choose(standing):
        ranked.append(isinstance(standing.model, simulated_models.Pipeline))
        return by_strategy(standing)

    points = run(material, Plan("auto", "quick", 0, 60, 2, "tokens", 0.2), choose=choose)
    assert ranked == [False, True]
    assert points[0].tokens <= 60 and points[1].tokens <= 120
    plan = Plan("shortest", "quick", 0, 60, 1, "tokens", 0.0)
    assert run(material, plan)[0].texts > points[0].texts


# -- rules and recorded answers of the LLM -----------------------------------------------------


def test_rules_vote_where_the_project_has_patterns(project, gold, simulated):
    write_rows(project.patterns, PATTERNS)
    found = small(project, gold, strategies=["rules_disagreement", "disagreement"], seeds=1)
    assert found.recorded == ("rules",) and "set against the rules as they are now" in found.about
    assert len(simulated) == 3
    write_rows(project.patterns, PATTERNS[:1])
    small(project, gold, strategies=["rules_disagreement"], seeds=1)
    assert [plan.strategy for plan in simulated[3:]] == ["rules_disagreement"]


def test_the_llm_votes_where_its_answers_are_recorded(tmp_path, gold):
    project = small_project(tmp_path / "q", ROWS)
    always = [{"text": row["text"], "label": "irrelevant"} for row in ROWS]
    import_llm_answers(project, write_rows(tmp_path / "some.jsonl", always[:100]), name="always")
    with pytest.raises(AnnoloopError, match="answers are kept for 100 of 160 texts"):
        small(project, gold, strategies=["llm_disagreement"])
    import_llm_answers(project, write_rows(tmp_path / "all.jsonl", always), name="always")
    found = small(project, gold, strategies=["llm_disagreement"], seeds=1)
    assert found.recorded == ("llm",) and "the LLM's recorded answers" in found.about
    assert small(project, gold, seeds=1).recorded == ()


def test_texts_are_chosen_on_which_recorded_votes_and_model_differ():
    words = [" ".join(input_hash(f"{n}")[at : at + 6] for at in range(0, 30, 6)) for n in range(60)]
    rows = [
        (f"lift {word}", "Aufzug") if n % 2 else (f"treppe {word}", "Rolltreppe")
        for n, word in enumerate(words)
    ]
    scheme = LabelScheme("textcat", ("Aufzug", "Rolltreppe"))
    gold = tuple(Gold(Example(input_hash(text), text), Annotation((label,))) for text, label in rows)
    llm = {g.example.input_hash: Annotation(("Aufzug",)) for g in gold}
    material = Ground(gold, scheme, "de", 1.0, (0.2, 0.1), {"llm": llm}).material(0)
    seen = []

    def choose(standing):
        chosen = by_strategy(standing)
        if isinstance(standing.model, simulated_models.Linear):
            left = standing.model.annotations(material.texts[standing.open].tolist())
            apart = {
                int(row) for row, own in zip(standing.open, left, strict=True) if own.labels != ("Aufzug",)
            }
            seen.append(len(apart.intersection(chosen)) == min(len(apart), len(chosen)))
        return chosen

    run(material, Plan("llm_disagreement", "quick", 0, 6, 3, "texts", 0.0), choose=choose)
    assert seen == [True, True]


# -- what is said where it does not work -------------------------------------------------------


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"strategies": ["no such"]}, "no strategy 'no such'"),
        ({"strategies": ["llm_disagreement"]}, "the LLM's answers are kept for 0 of 160 texts"),
        ({"strategies": ["rules_disagreement"]}, "the project has no rules"),
        ({"strategies": ["disagreement"]}, "the project has no rules and the LLM's answers"),
        ({"strategies": ["uncertainty"]}, "is for spans"),
        ({"recipes": ["ner"]}, "not for kind textcat"),
        ({"recipes": []}, "no recipe is named"),
        ({"strategies": []}, "no strategy is named"),
        ({"batch": 50, "rounds": 10}, "10 rounds of 50 texts are more than"),
    ],
)
def test_what_cannot_be_simulated_is_said_before_anything_runs(project, gold, simulated, more, said):
    with pytest.raises(AnnoloopError, match=said) as told:
        small(project, gold, **more)
    assert told.value.hint
    assert not simulated and not (project.folder / "simulations").exists()


def test_too_little_gold_is_said_with_what_is_there(project, gold):
    with pytest.raises(TrainingError, match="gold on 0 texts to choose from and 0 to judge by"):
        simulate(project)
    write_rows(gold, ROWS[:20])
    with pytest.raises(TrainingError, match="shows nothing"):
        small(project, gold)


def test_texts_of_one_template_leave_nothing_to_choose_or_judge_and_that_is_said(project, gold, simulated):
    rows = [{"text": f"Auftrag {n} ist geliefert", "label": ROWS[n % 2]["label"]} for n in range(200)]
    write_rows(gold, rows)
    with pytest.raises(TrainingError, match="0 texts to choose from and 200 to judge by in seed 0"):
        small(project, gold)
    assert not simulated


def test_gold_with_nothing_to_learn_is_no_comparison(project, gold, simulated):
    write_rows(gold, [{**row, "label": "Aufzug"} for row in ROWS])
    with pytest.raises(TrainingError, match="have the label Aufzug: nothing to tell apart") as told:
        small(project, gold)
    assert told.value.hint and not simulated


# -- as a command, in processes ----------------------------------------------------------------


def test_the_command_prints_a_table_or_json(project, gold, monkeypatch, capsys):
    arguments = ["--gold", str(gold), "--seeds", "2", "--batch", "8", "--rounds", "2", "--workers", "1"]

    def said(*more):
        monkeypatch.setattr(sys, "argv", ["annoloop", "simulate", str(project.folder), *arguments, *more])
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        return ended.value.code, *capsys.readouterr()

    code, out, err = said("--strategies", "margin")
    assert not code and "recipe quick, accuracy" in out and "simulating" in err
    assert [line.split()[0] for line in out.splitlines() if line.startswith(("random", "margin"))] == [
        "random",
        "margin",
    ]
    code, out, _ = said("--json", "-o", str(project.folder / "elsewhere"))
    assert not code and json.loads(out)["baseline"] == "random"
    assert (project.folder / "elsewhere" / "curves.html").is_file()
    code, _, err = said("--strategies", "nonsense")
    assert code == 1 and err.startswith("error: there is no strategy 'nonsense'")


def test_a_killed_comparison_repeats_only_what_was_under_way(project, gold):
    command = [sys.executable, "-m", "annoloop", "simulate", str(project.folder), "--gold", str(gold)]
    command += ["--seeds", "8", "--batch", "8", "--rounds", "6", "--workers", "2", "--json"]
    runs = project.folder / "simulations" / "runs"
    started = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 120
    while len(list(runs.glob("*.json"))) < 3 and time.monotonic() < deadline:
        time.sleep(0.01)
    children = [int(pid) for pid in _children(started.pid)]
    started.send_signal(signal.SIGKILL)
    started.wait()
    assert len(children) >= 2
    while any(map(_alive, children)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(map(_alive, children))
    kept = {file.name: file.stat().st_mtime_ns for file in runs.glob("*.json")}
    assert 3 <= len(kept) < 16
    done = subprocess.run(command, capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stderr
    after = {file.name: file.stat().st_mtime_ns for file in runs.glob("*.json")}
    assert len(after) == 16 and kept.items() <= after.items()
    alone = small(project, gold, seeds=8, rounds=6, folder=project.folder / "alone")
    assert json.loads(done.stdout)["curves"] == alone.to_json()["curves"]


def _children(pid):
    with open(f"/proc/{pid}/task/{pid}/children") as file:  # noqa: PTH123
        return file.read().split()


def _alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return open(f"/proc/{pid}/stat").read().rpartition(")")[2].split()[0] != "Z"  # noqa: PTH123
