"""Which texts a round asks about in a real project: by kind, by cost, by what is sought."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import spacy
from small_project import ASSETS, LABELS, expert, feedback, small_project, write_rows
from typer.testing import CliRunner

from annoloop.cli.app import app
from annoloop.errors import SchemeError, SettingsError
from annoloop.hashing import input_hash
from annoloop.project import Project
from annoloop.selection.costs import token_counts
from annoloop.steps import ask
from annoloop.steps.add import add
from annoloop.steps.ask import BLIND_ROUND, answer_with, ask_blind, open_round
from annoloop.steps.llm.source import llm_source
from annoloop.steps.signals import Signals
from annoloop.steps.sources import latest_model
from annoloop.types import Answer, Round

ROWS = feedback(90)
BRANDS = [
    json.loads(line)
    for line in (ASSETS / "fashion_brands" / "assets" / "train.jsonl")
    .read_text(encoding="utf8")
    .splitlines()[:120]
]


def texts_of(project, number):
    """As they are asked: the most wanted first."""
    tasks = sorted(project.store.tasks(round=number), key=lambda task: -task.priority)
    return [task.example.text for task in tasks]


def begun(folder, **selection):
    project = small_project(folder, ROWS, selection="\n".join(f"{k} = {v}" for k, v in selection.items()))
    ask_blind(project)
    answer_with(project, expert(project, ROWS), BLIND_ROUND)
    return project


def entities(folder, *, model=False, **sections):
    """A project of brands, after a first round with a model that has learned nothing."""
    project = small_project(folder, BRANDS, kind="ner", lang="en", labels=["FASHION_BRAND"], **sections)
    if model:
        nlp = spacy.blank("en")
        nlp.add_pipe("ner").add_label("FASHION_BRAND")
        nlp.initialize()
        project.models.mkdir()
        nlp.to_disk(project.models / "made")
        path = str((project.models / "made").relative_to(project.folder))
        project.store.save_round(Round(1, "random", 0, model=path, fingerprint="made"))
    return project


def test_categories_start_with_clusters_and_go_on_with_close_calls(tmp_path):
    project = begun(tmp_path / "p")
    assert open_round(project, 1, batch=12, source=None).strategy == "kmeans_start"
    answer_with(project, expert(project, ROWS), 1)
    assert open_round(project, 2, batch=12, source=None).strategy == "margin"
    assert len(set(texts_of(project, 1) + texts_of(project, 2))) == 24


@pytest.mark.parametrize("strategy", ["typicality", "badge", "entropy", "density", "shortest", "longest"])
def test_a_strategy_is_chosen_by_name(tmp_path, strategy):
    project = begun(tmp_path / "p", strategy=json.dumps(strategy), random_share=0.0)
    open_round(project, 1, batch=20, source=None)
    answer_with(project, expert(project, ROWS), 1)
    assert open_round(project, 2, batch=3, source=None).strategy == strategy
    pool = [eg.text for eg in project.store.examples(split="pool")]
    counts = sorted(token_counts([text for text in pool if text not in texts_of(project, 1)]).tolist())
    found = sorted(token_counts(texts_of(project, 2)).tolist())
    if strategy in ("shortest", "longest"):
        assert found == (counts[:3] if strategy == "shortest" else counts[-3:])


def test_a_run_that_stopped_before_the_round_was_kept_knows_the_strategy(tmp_path, monkeypatch):
    project = begun(tmp_path / "p")

    def down(*_):
        raise OSError("the disk is full")

    with monkeypatch.context() as patched, pytest.raises(OSError, match="full"):
        patched.setattr(type(project.store), "save_round", down)
        open_round(project, 1, batch=12, source=None)
    asked = texts_of(project, 1)
    assert len(asked) == 12 and not project.store.rounds()
    assert open_round(project, 1, batch=12, source=None).strategy == "kmeans_start"
    assert texts_of(project, 1) == asked


def test_near_duplicates_wait_while_there_are_others(tmp_path):
    rows = [{"text": f"Am {n}. ist der Aufzug am Bahnhof Altona leider wieder kaputt"} for n in range(8)]
    rows += [{"text": f"{word} 🙂"} for word in ("Danke", "Prima", "Schade", "Nein")]
    project = small_project(tmp_path / "p", rows, corpus="held_out = 0.0\ndev = 0.0")
    open_round(project, 1, batch=5, source=None)
    assert sum("Aufzug" in text for text in texts_of(project, 1)) == 1 and len(texts_of(project, 1)) == 5
    open_round(project, 2, batch=5, source=None)
    assert len(texts_of(project, 2)) == 5


# -- costs -------------------------------------------------------------------------------------


def test_entities_are_asked_by_tokens(tmp_path):
    project = entities(tmp_path / "p")
    assert open_round(project, 1, batch=20, source=None).strategy == "random"
    pool = token_counts([eg.text for eg in project.store.examples(split="pool")])
    asked = token_counts(texts_of(project, 1))
    assert 0.9 * 20 * pool.mean() < asked.sum() <= 20 * pool.mean()
    by_texts = entities(tmp_path / "q", selection='unit = "texts"')
    assert len(open_round(by_texts, 1, batch=20, source=None).tasks) == 20
    by_tokens = entities(tmp_path / "r", selection='unit = "tokens"')
    open_round(by_tokens, 1, batch=100, source=None)
    assert 80 < token_counts(texts_of(by_tokens, 1)).sum() <= 100


def test_seconds_are_those_that_were_measured(tmp_path):
    project = begun(tmp_path / "p", unit='"seconds"')
    assumed = len(open_round(project, 1, batch=120, source=None).tasks)
    assert 1 < assumed < 60

    def timed(task, n):
        return Answer(
            f"t{n}", task.task_hash, task.example.input_hash, "accept", task_gold(task), "anna", 30_000, n + 1
        )

    gold = {row["text"]: row["label"] for row in ROWS}

    def task_gold(task):
        return replace(blank, labels=(gold[task.example.text],))

    blank = project.store.answers_in_force()[0].annotation
    tasks = project.store.tasks(round=BLIND_ROUND)[:40]
    project.store.save_answers([timed(task, n) for n, task in enumerate(tasks)])
    answer_with(project, expert(project, ROWS), 1)
    # Anna takes half a minute for a text, however long it is: four fit into two minutes.
    assert len(open_round(project, 2, batch=121, source=None).tasks) == 4


# -- what the model doubts, what the LLM says --------------------------------------------------


def test_entities_are_ranked_by_the_models_beam(tmp_path):
    project = entities(tmp_path / "p", model=True, selection='random_share = 0.0\nunit = "texts"')
    assert open_round(project, 2, batch=5, source=None).strategy == "uncertainty"
    signals = Signals(project, project.store.examples(split="pool"), latest_model(project))
    known = signals.candidates(["uncertainty", "span_margin"])
    assert known.probabilities is None and known.llm_disagreement is None
    assert all(((p >= 0) & (p <= 1)).all() for p in known.spans)


def test_an_llm_that_has_read_the_pool_is_compared_with_the_model_and_never_asked(tmp_path):
    project = entities(tmp_path / "p", model=True, llm='"http://127.0.0.1:9/v1"', selection='unit = "texts"')
    pool = project.store.examples(split="pool")
    gold = expert(project, BRANDS)
    said = {eg.input_hash: gold.answer(project.task(eg, number=9), seq=1).annotation for eg in pool}
    project.store.save_predictions(llm_source(project).key, said)
    assert open_round(project, 2, batch=5, source=None).strategy == "uncertainty_disagreement"


# -- rare labels -------------------------------------------------------------------------------


def test_a_sought_label_is_found_by_its_name_by_rules_and_by_gold(tmp_path):
    label_of = {row["text"]: row["label"] for row in ROWS}

    def asked(project, number, label):
        record = open_round(project, number, batch=10, source=None, seek=[label])
        return record.strategy, [label_of[text] for text in texts_of(project, number)[:4]]

    # Up to four are sought; two texts of the pool are about escalators, and more name a lift.
    named = begun(tmp_path / "name")
    pool = [label_of[eg.text] for eg in named.store.examples(split="pool")]
    assert pool.count("Rolltreppe") == 2 < len(pool) / 10
    strategy, labels = asked(named, 1, "Rolltreppe")
    assert strategy == "kmeans_start, seeking Rolltreppe" and labels[:2] == ["Rolltreppe"] * 2
    ruled = begun(tmp_path / "rules")
    write_rows(ruled.patterns, [{"label": "irrelevant", "pattern": "Rolltreppe"}])
    assert asked(ruled, 1, "irrelevant")[1][:2] == ["Rolltreppe"] * 2
    learned = begun(tmp_path / "gold")
    open_round(learned, 1, batch=20, source=None)
    answer_with(learned, expert(learned, ROWS), 1)
    strategy, labels = asked(learned, 2, "Aufzug")
    assert strategy == "margin, seeking Aufzug" and labels[:3] == ["Aufzug"] * 3


def test_a_label_is_looked_for_in_more_texts_than_a_model_ranks(tmp_path, monkeypatch):
    project = entities(tmp_path / "p", model=True, selection='unit = "texts"')
    rare = sorted(project.store.examples(split="pool"), key=lambda eg: eg.input_hash)[40]
    pattern = max(rare.text.split(), key=len)
    write_rows(project.patterns, [{"label": "FASHION_BRAND", "pattern": [{"ORTH": pattern}]}])
    monkeypatch.setattr(ask, "RANKED_TEXTS", 2)
    open_round(project, 2, batch=4, source=None, seek=["FASHION_BRAND"])
    assert rare.text in texts_of(project, 2)


def test_an_unknown_label_cannot_be_sought(tmp_path):
    project = begun(tmp_path / "p")
    with pytest.raises(SchemeError, match="'Treppe' cannot be sought"):
        open_round(project, 1, batch=3, source=None, seek=["Treppe"])
    assert not project.store.tasks(round=1)
    (project.folder / "annoloop.cfg").write_text(
        f'[project]\nname = "x"\nkind = "textcat"\nlabels = {json.dumps(LABELS)}\n\n'
        '[selection]\nseek = ["Treppe"]\n',
        encoding="utf8",
    )
    with pytest.raises(SettingsError, match=r"cfg: selection -> seek: 'Treppe' is not among"):
        Project.open(project.folder)


def test_the_command_seeks(tmp_path):
    project = begun(tmp_path / "p")
    sought = ["--seek", "Aufzug", "--seek", "Rolltreppe"]
    run = CliRunner().invoke(app, ["loop", str(project.folder), "--no-wait", "--batch", "6", *sought])
    assert run.exit_code == 0, run.output
    first = Project.open(project.folder).store.rounds()[0]
    assert first.strategy == "kmeans_start, seeking Aufzug, Rolltreppe"


def test_only_texts_of_the_pool_are_ever_ranked(tmp_path):
    project = begun(tmp_path / "p", seek='["Aufzug"]')
    record = open_round(project, 1, batch=500, source=None)
    pool = {eg.input_hash for eg in project.store.examples(split="pool")}
    assert {input_hash(text) for text in texts_of(project, 1)} <= pool and record.strategy.endswith("Aufzug")


def test_texts_that_come_before_the_blind_round_ends_do_not_make_it_longer(tmp_path):
    project = small_project(tmp_path / "p", ROWS[:60])
    ask_blind(project, limit=5)
    before = {task.task_hash for task in project.store.tasks(round=BLIND_ROUND)}
    add(project, [write_rows(tmp_path / "more.jsonl", [{"text": row["text"]} for row in feedback(400)])])
    ask_blind(project, limit=5)
    assert {task.task_hash for task in project.store.tasks(round=BLIND_ROUND)} == before
    ask_blind(project, limit=8)
    held = [t for t in project.store.tasks(round=BLIND_ROUND) if t.example.split == "held_out"]
    assert len(held) == 8


def test_a_book_among_notes_does_not_make_a_batch_of_the_whole_pool(tmp_path):
    rows = [*({"text": row["text"]} for row in BRANDS), *({"text": f"{n} word " * 50_000} for n in range(3))]
    project = small_project(tmp_path / "p", rows, kind="ner", lang="en", labels=["FASHION_BRAND"])
    assert len(open_round(project, 1, batch=10, source=None).tasks) <= 30


def test_the_lot_of_a_narrowed_pool_is_not_of_the_texts_that_were_sought(tmp_path, monkeypatch):
    project = entities(tmp_path / "p", model=True, selection='unit = "texts"')
    monkeypatch.setattr(ask, "RANKED_TEXTS", 10)
    write_rows(project.patterns, [{"label": "FASHION_BRAND", "pattern": [{"IS_ALPHA": True}]}])
    hashes = [name for _, name in project.store.unasked("pool")]
    signals = Signals(project, (), latest_model(project))
    kept, lot = ask._narrowed(hashes, np.random.default_rng(0), signals, ("FASHION_BRAND",), 8)
    assert len(lot) == 10 < len(kept) and lot < set(kept)


def test_a_batch_in_tokens_is_as_many_texts_as_it_has(tmp_path):
    project = begun(tmp_path / "p", unit='"tokens"', batch=40)
    answer_all = expert(project, ROWS)
    open_round(project, 1, batch=40, source=None)
    answer_with(project, answer_all, 1)
    assert open_round(project, 2, batch=40, source=None).strategy == "margin_kmeans"
