"""A real project with all its training gold, judged on the whole published test part.

    python benchmarks/projects.py fashion_brands [--no-llm]
    python benchmarks/projects.py customer_feedback_de --no-llm
    python benchmarks/projects.py customer_feedback_de --no-llm --recipe textcat_linear

Copies the project to benchmarks/out/NAME, imports its published labels (the test labels as blind: they
were published, not suggested), and runs the loop: rules, the LLM of the project's settings (by default the
very small local stand-in, about a second a text on one core), one round on all gold, the gate, the wheel.
Run it again to go on where it was stopped. Prints the leaderboard.
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path

import annoloop
from annoloop.cli.console import narrating
from annoloop.cli.evaluate import show
from annoloop.settings.edit import edit_settings

HERE = Path(__file__).parent
PROJECTS = HERE.parent / "projects"


def make_project(name: str, *, llm: bool, recipe: str | None) -> annoloop.Project:
    """The project's copy, opened; made and filled where it is not there yet."""
    folder = HERE / "out" / "-".join([name, *([] if llm else ["no-llm"]), *([recipe] if recipe else [])])
    assets = PROJECTS / name / "assets"
    fresh = not folder.exists()
    if fresh:
        shutil.copytree(PROJECTS / name, folder, ignore=shutil.ignore_patterns("assets"))
        if not llm:
            with (folder / "annoloop.cfg").open("a", encoding="utf8") as settings:
                settings.write("\n[llm.model]\nbase_url = null\n")
        if recipe:
            edit_settings(folder, {"training": {"recipes": [recipe]}})
    project = annoloop.Project.open(folder)
    for file, split in (("test", "held_out"), ("dev", "dev"), ("train", "pool")):
        path = assets / f"{file}.jsonl"
        annoloop.add(project, [path], split=split if fresh else None, gold=True, blind=True)
    return project


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("name", choices=sorted(p.name for p in PROJECTS.iterdir() if p.is_dir()))
    parser.add_argument("--no-llm", action="store_true", help="rules and model only")
    parser.add_argument("--recipe", help="the only one that is tried, in place of those of the settings")
    arguments = parser.parse_args()
    project = make_project(arguments.name, llm=not arguments.no_llm, recipe=arguments.recipe)
    result = None
    with narrating() as narrator:
        for event in annoloop.run_loop(project, max_rounds=1, on_progress=narrator.progress):
            narrator.say(f"[{event.happened}] {event.message}")
            result = event.result or result
    if result is not None:
        show(project, result)


if __name__ == "__main__":
    main()
