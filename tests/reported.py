"""A judged project with all that a report tells of: rounds, LLM, rules, curve, people who agree and not."""

from __future__ import annotations

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


def judged_project(folder: Path, *, texts: int = 200) -> Project:
    """Two rounds on German feedback, trained and judged; Ada and Bo both answered forty pool texts."""
    rows = feedback(texts)
    project = small_project(folder, rows, corpus="held_out = 0.25\ndev = 0.2")
    project.patterns.write_text(RULES, encoding="utf8")
    oracle = expert(project, rows)
    ask_blind(project, known=oracle)
    answer_with(project, oracle, 0)
    always = [{"text": eg.text, "label": "irrelevant"} for eg in project.store.examples()]
    import_llm_answers(project, write_rows(folder / "llm.jsonl", always), name="always")
    pool = project.store.examples(split="pool")
    for number, part in ((1, pool[:30]), (2, pool[30:])):
        project.store.add_tasks([project.task(example, number=number) for example in part])
        answer_with(project, oracle, number)
        project.store.save_round(Round(number, "random", 0))
        train_round(project, number)
        evaluate(project)
    said = []
    for number, example in enumerate(pool[:40]):
        for who, label in (("Ada", "Aufzug"), ("Bo", "Aufzug" if number % 4 else "Rolltreppe")):
            task = project.task(example, number=1)
            said.append(answer(example, task, Annotation((label,)), who, number + 1, 3000 + 90 * number))
    project.store.save_answers(said)
    ask_missing(project)
    train_curve(project)
    return project
