"""A project whose approaches can be compared: rules, an LLM's imported answers, a model's predictions."""

from __future__ import annotations

from pathlib import Path

from small_project import expert, feedback, small_project, write_rows

from annoloop.project import Project
from annoloop.steps.ask import answer_with, ask_blind
from annoloop.steps.llm.source import import_llm_answers
from annoloop.steps.sources import ModelSource
from annoloop.types import Annotation, Round

RULES = '{"label": "Aufzug", "pattern": [{"LOWER": {"REGEX": "aufzug|aufzüge"}}]}\n'


def compared_project(folder: Path) -> Project:
    """German feedback with gold on held-out and dev texts. The model is wrong on every second dev text."""
    rows = feedback(90)
    project = small_project(folder, rows, corpus="held_out = 0.4\ndev = 0.3")
    project.patterns.write_text(RULES, encoding="utf8")
    oracle = expert(project, rows)
    ask_blind(project, known=oracle)
    answer_with(project, oracle, 0)
    truth = {item.example.input_hash: item.annotation for item in project.dev_gold()}
    always = [{"text": eg.text, "label": "irrelevant"} for eg in project.store.examples()][:-3]
    import_llm_answers(project, write_rows(folder / "llm.jsonl", always), name="always")
    record = Round(1, "random", 0, model="models/round-1", fingerprint="f" * 16)
    project.store.save_round(record)
    model = ModelSource(folder / record.model, 1, record.fingerprint, project.scheme)
    names = sorted(truth)
    said = {name: truth[name] if n % 2 else Annotation(("Rolltreppe",)) for n, name in enumerate(names)}
    details = {name: {"score": n / len(said)} for n, name in enumerate(names)}
    project.store.save_predictions(model.dev_key, said, details=details)
    return project
