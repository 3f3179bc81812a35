"""A judged project with all that a report tells of: rounds, LLM, rules, curve, people who agree and not."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from small_project import expert, feedback, small_project, write_rows

from annoloop.project import Project
from annoloop.steps.ask import answer_with, ask_blind
from annoloop.steps.compare import ask_missing
from annoloop.steps.evaluate import evaluate
from annoloop.steps.evidence.train_curve import train_curve
from annoloop.steps.llm.source import import_llm_answers
from annoloop.steps.train import train_round
from annoloop.types import Annotation, Answer, Round

RULES = '{"label": "Aufzug", "pattern": [{"LOWER": {"REGEX": "aufzug|aufzüge"}}]}\n'


def answer(example, task, annotation, who, seq, milliseconds=4000, blind=False):
    name = f"{who}-{example.input_hash}"
    return Answer(
        name, task.task_hash, example.input_hash, "accept", annotation, who, milliseconds, seq, blind
    )


def with_rounds(folder: Path, *, texts: int, dev: float, rounds: Sequence[slice]) -> Project:
    """German feedback, labelled by the simulated expert; each round asks a part of the pool and is judged."""
    rows = feedback(texts)
    project = small_project(folder, rows, corpus=f"held_out = 0.25\ndev = {dev}")
    project.patterns.write_text(RULES, encoding="utf8")
    oracle = expert(project, rows)
    ask_blind(project, known=oracle)
    answer_with(project, oracle, 0)
    always = [{"text": eg.text, "label": "irrelevant"} for eg in project.store.examples()]
    import_llm_answers(project, write_rows(folder / "llm.jsonl", always), name="always")
    pool = project.store.examples(split="pool")
    for number, part in enumerate(rounds, start=1):
        project.store.add_tasks([project.task(example, number=number) for example in pool[part]])
        answer_with(project, oracle, number)
        project.store.save_round(Round(number, "random", 0))
        train_round(project, number)
        evaluate(project)
    return project


def judged_project(folder: Path, *, texts: int = 200) -> Project:
    """Two rounds on German feedback, trained and judged; Ada and Bo both answered forty pool texts."""
    project = with_rounds(folder, texts=texts, dev=0.2, rounds=(slice(30), slice(30, None)))
    pool = project.store.examples(split="pool")
    said = []
    for number, example in enumerate(pool[:40]):
        for who, label in (("Ada", "Aufzug"), ("Bo", "Aufzug" if number % 4 else "Rolltreppe")):
            task = project.task(example, number=1)
            said.append(answer(example, task, Annotation((label,)), who, number + 1, 3000 + 90 * number))
    project.store.save_answers(said)
    ask_missing(project)
    train_curve(project)
    return project
