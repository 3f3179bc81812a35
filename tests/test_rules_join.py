"""Rules and model in one pipeline: only where dev says so, everywhere alike; and rules alone as a wheel."""

from __future__ import annotations

import json
import zipfile

import pytest
import spacy
from small_project import PATTERNS, expert, feedback, small_project, write_rows

from annoloop.errors import PackagingError
from annoloop.evaluation.scores import score
from annoloop.hashing import input_hash
from annoloop.project import Project
from annoloop.rules.joining import HOWS, join
from annoloop.steps.add import add
from annoloop.steps.ask import BLIND_ROUND, answer_with, ask_blind, open_round
from annoloop.steps.export import export
from annoloop.steps.rules.export import export_rules
from annoloop.steps.rules.joining import best_join
from annoloop.steps.sources import ask_source, model_source, rules_source
from annoloop.steps.suggest import score_on_dev
from annoloop.steps.train import fingerprint, train_round
from annoloop.types import Annotation, DevGold, Example, Gold, LabelScheme

ROWS = feedback(120)
# What the code words stand for cannot be learned from other texts: there is one for each.
CODES = [input_hash(str(number))[:12] for number in range(36)]
LABELS = ("Rolltreppe", "Aufzug")
SENTENCES = {
    "dev": ("Der Aufzug ist kaputt.", "Rolltreppe steht seit Tagen."),
    "held_out": ("Wieder einmal komme ich zu spät an.", "Niemand weiß, was hier los ist!"),
}
SURE = {
    split: [
        {"text": f"{sentences[number % 2]} Kennwort {code}", "label": LABELS[number // 2 % 2]}
        for number, code in enumerate(codes)
    ]
    for (split, sentences), codes in zip(SENTENCES.items(), (CODES[:24], CODES[24:]), strict=True)
}
KNOWING = [
    {"label": "Rolltreppe", "phrases": [*CODES[::4], *CODES[1::4]]},
    {"label": "Aufzug", "regex": "Kennwort (" + "|".join([*CODES[2::4], *CODES[3::4]]) + ")"},
]


def project_of(folder, patterns) -> Project:
    project = small_project(folder, ROWS[:60])
    for split, part in SURE.items():
        add(
            project, [write_rows(folder / f"{split}.jsonl", [{"text": r["text"]} for r in part])], split=split
        )
    write_rows(project.patterns, patterns)
    oracle = expert(project, [*ROWS, *SURE["dev"], *SURE["held_out"]])
    ask_blind(project)
    answer_with(project, oracle, BLIND_ROUND)
    open_round(project, 1, batch=60, source=None)
    answer_with(project, oracle, 1)
    return project


@pytest.fixture(scope="module")
def joined(tmp_path_factory) -> Project:
    return project_of(tmp_path_factory.mktemp("joined") / "p", KNOWING)


def test_rules_that_make_the_model_better_on_dev_become_a_part_of_it(joined, tmp_path):
    record = train_round(joined, 1)
    assert record.joined == "override"
    model, rules = model_source(joined, record), rules_source(joined)
    pipeline = spacy.load(joined.folder / record.model)
    assert pipeline.pipe_names[-1] == "annoloop_rules"
    gold = list(joined.held_out_gold())
    examples = [item.example for item in gold]
    said, by_rules = (ask_source(joined, source, examples) for source in (model, rules))
    assert all(said[name] == found for name, found in by_rules.items() if found.labels)
    # The score on dev is that of the joined pipeline, as it was before it learned from dev.
    assert score_on_dev(joined, model, list(joined.dev_gold())) == record.dev
    made = export(joined, tmp_path / "out", environment="shared")
    with zipfile.ZipFile(made.wheel) as wheel:
        [meta] = [name for name in wheel.namelist() if name.endswith("-0.1.0/meta.json")]
        told = json.loads(wheel.read(meta))
    assert told["annoloop"]["joined"] == "override"
    assert "performance" not in told  # That of texts which the shipped pipeline has learned from.
    assert train_round(joined, 1) == joined.store.rounds()[-1]  # Nothing to do.


def test_never_means_never(joined, tmp_path):
    pool, dev = joined.pool_gold(), joined.dev_gold()
    before = fingerprint(joined, pool, dev)
    cfg = joined.folder / "annoloop.cfg"
    kept = cfg.read_text(encoding="utf8")
    cfg.write_text(kept + '\n[rules]\njoin = "never"\n', encoding="utf8")
    other = Project.open(joined.folder)
    assert fingerprint(other, pool, dev) != before
    record = train_round(other, 1)
    assert record.joined is None
    assert "annoloop_rules" not in spacy.load(other.folder / record.model).pipe_names
    other.store.close()
    cfg.write_text(kept, encoding="utf8")


def test_rules_that_may_take_for_ever_do_not_join(tmp_path):
    slow = {"label": "Aufzug", "regex": r"\w*\w*" + KNOWING[1]["regex"]}
    project = project_of(tmp_path / "p", [KNOWING[0], slow])
    assert train_round(project, 1).joined is None


def dev_of(*truths: str) -> DevGold:
    examples = [Example(input_hash(str(n)), str(n), split="dev") for n in range(len(truths))]
    return DevGold(tuple(Gold(eg, Annotation((truth,))) for eg, truth in zip(examples, truths, strict=True)))


def test_a_gain_that_may_be_chance_is_not_taken(tmp_path):
    project = small_project(tmp_path / "p", ROWS[:2], labels=("A", "B"))
    dev = dev_of(*"AB" * 10)
    names = [item.example.input_hash for item in dev]
    model = {name: Annotation(("A",)) for name in names}
    # Right ten times and wrong nine times where the model is right: better by one text.
    hit_and_miss = {name: Annotation(("B",)) for name in names[:-2]} | {names[-1]: Annotation(("B",))}
    how, said = best_join(project, dev, hit_and_miss, model)
    assert (how, said) == (None, model)
    better = {name: Annotation(("B",)) for name in names[1::2]}
    how, said = best_join(project, dev, better, model)
    assert how == "override"
    assert score(LabelScheme("textcat", ("A", "B")), list(dev), said, seed=0).score == 1.0
    assert all(said[n] == join(better.get(n, Annotation()), model[n], project.scheme, how) for n in names)
    assert best_join(project, dev, {}, model) == (None, model) and set(HOWS) == {"fill", "override"}


def test_what_the_finished_model_knows_itself_is_not_left_to_rules(tmp_path):
    """Here dev is most of the gold: a model without it knows little, the finished one all that matters."""
    rows = [
        {"text": f"Hier in Haus {code} {word}", "label": label}
        for code, (word, label) in zip(
            CODES, [("fehlt eine Bravo", "Aufzug"), ("steht eine Tango", "Rolltreppe")] * 18, strict=True
        )
    ]
    project = small_project(tmp_path / "p", ROWS[:60])
    add(project, [write_rows(tmp_path / "dev.jsonl", [{"text": row["text"]} for row in rows])], split="dev")
    write_rows(
        project.patterns,
        [{"label": "Aufzug", "pattern": "Bravo"}, {"label": "Rolltreppe", "pattern": "Tango"}],
    )
    oracle = expert(project, [*ROWS, *rows])
    ask_blind(project)
    answer_with(project, oracle, BLIND_ROUND)
    open_round(project, 1, batch=20, source=None)
    answer_with(project, oracle, 1)
    record = train_round(project, 1)
    dev = project.dev_gold()
    said = ask_source(project, rules_source(project), [item.example for item in dev])
    model = project.store.predictions(model_source(project, record).dev_key)
    alone = {name: found for name, (found, _) in model.items() if found is not None}
    assert best_join(project, dev, said, alone)[0] is not None  # By the model without dev they would join.
    assert record.joined is None


def test_rules_alone_become_a_wheel(tmp_path):
    project = small_project(tmp_path / "p", ROWS)
    out = tmp_path / "out"
    with pytest.raises(PackagingError, match="has no patterns"):
        export_rules(project, out, environment="shared")
    (project.folder / "words.txt").write_text("Stau\nUnfall\n", encoding="utf8")
    phrases = {"label": "irrelevant", "phrases": "words.txt", "attr": "LOWER"}
    write_rows(project.patterns, [*PATTERNS, phrases])
    made = export_rules(project, out, environment="shared")
    assert [file.name for file in out.iterdir()] == ["de_small_rules-0.1.0-py3-none-any.whl"]
    assert (made.package, made.environment) == ("de_small_rules", "shared") and made.texts_tried > 10
    evidence = evidence_of(made.wheel)
    assert evidence["patterns"] == 3 and evidence["held_out"] is None and evidence["verdict"] is None
    ask_blind(project)
    answer_with(project, expert(project, ROWS), BLIND_ROUND)
    evidence = evidence_of(export_rules(project, out, environment="shared").wheel)
    assert evidence["held_out"]["texts"] == len(project.held_out_gold())
    assert evidence["verdict"]["suffice"] is False and evidence["dev"]["score"] > 0


def evidence_of(path) -> dict:
    with zipfile.ZipFile(path) as wheel:
        [meta] = [name for name in wheel.namelist() if name.endswith("-0.1.0/meta.json")]
        return json.loads(wheel.read(meta))["annoloop"]
