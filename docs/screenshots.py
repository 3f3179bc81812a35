"""The README's pictures of the review page, from a real project: `.venv/bin/python docs/screenshots.py`.

Texts and labels are those of projects/fashion_brands. The people are simulated from its gold, two of them
with mistakes, so that there is something to adjudicate (for this throw-away project the store is told that
they are real, or the page would show no pace); the LLM is the small stand-in, asked live. Takes
some minutes. `--project FOLDER` keeps the project there and uses it again.
"""

from __future__ import annotations

import argparse
import random
import shutil
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from annoloop.oracle import Oracle
from annoloop.project import Project
from annoloop.steps.ask import open_round
from annoloop.steps.suggest import best_source
from annoloop.types import Annotation, Answer, Task

ROOT = Path(__file__).parent.parent
FASHION = ROOT / "projects" / "fashion_brands"
GOLD = [FASHION / "assets" / f"{name}.jsonl" for name in ("train", "dev", "test")]
PEOPLE = ("anna@example.org", "ben@example.org", "chloé@example.org")
DAY = 86_400_000_000
PAGES = ("adjudicate", "progress", "compare", "rules", "texts", "tournament", "start")


def annoloop(*arguments: object) -> None:
    subprocess.run([sys.executable, "-m", "annoloop", *map(str, arguments)], check=True)


def make_project(folder: Path) -> None:
    """Two rounds of the loop, then a third that three people have begun."""
    shutil.copytree(FASHION, folder, dirs_exist_ok=True)
    for name, split, count in (("test", "held_out", 100), ("dev", "dev", 60), ("train", "pool", 400)):
        file = FASHION / "assets" / f"{name}.jsonl"
        annoloop("add", folder, file, "--split", split, "--sample", count)
    oracles = [part for file in GOLD for part in ("--oracle", file)]
    annoloop("loop", folder, "--batch", 60, "--max-rounds", 2, "--no-wait", *oracles)
    settings = folder / "annoloop.cfg"
    settings.write_text(settings.read_text(encoding="utf8") + "\n[review]\noverlap = 0.4\n", encoding="utf8")
    project = Project.open(folder)
    source, _ = best_source(project)
    open_round(project, 3, batch=120, source=source)
    oracle = Oracle.load(*GOLD, scheme=project.scheme, lang=project.settings.project.lang)
    answer_as_people(project, oracle)
    project.store.close()
    variant = folder / "quotes.cfg"
    variant.write_text("[llm.task]\nclosed_quotes = true\n", encoding="utf8")
    annoloop("llm", "compare", folder, variant, "--pool", 12)
    annoloop("rules", "suggest", folder)


def answer_as_people(project: Project, oracle: Oracle) -> None:
    """Answers of the last six days; the second and third person miss or cut short some marks."""
    rng = random.Random(0)
    now = time.time_ns() // 1000
    tasks = project.store.tasks(round=3)[:60]
    for place, task in enumerate(tasks):
        right = oracle.answer(task, seq=1)
        if right is None:
            continue
        for number in range(task.wanted):
            person = (place + number) % len(PEOPLE)
            said = right.annotation if person == 0 or rng.random() < 0.6 else sloppy(right.annotation)
            seq = now - (6 - 6 * place // len(tasks)) * DAY + place * 20_000_000
            project.store.save_answers([answer(task, said, PEOPLE[person], rng, seq)])


def sloppy(annotation: Annotation) -> Annotation:
    return Annotation(spans=annotation.spans[:-1])


def answer(task: Task, said: Annotation, who: str, rng: random.Random, seq: int) -> Answer:
    return Answer(
        answer_id=uuid.uuid4().hex,
        task_hash=task.task_hash,
        input_hash=task.example.input_hash,
        verdict="accept",
        annotation=said,
        annotator=who,
        milliseconds=round(rng.uniform(3_000, 9_000)),
        seq=seq,
        blind=not task.assisted,
    )


@contextmanager
def served(folder: Path) -> Iterator[str]:
    command = [sys.executable, "-m", "annoloop", "review", str(folder), "--port", "0", "--no-browser"]
    process = subprocess.Popen([*command, "--annotator", PEOPLE[0]], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield process.stdout.readline().split()[2]
    finally:
        process.terminate()
        process.wait()


def take(address: str, out: Path) -> None:
    from playwright.sync_api import sync_playwright

    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        for name, theme, width, height in (
            ("label", "light", 1280, 720),
            ("label_dark", "dark", 1280, 720),
            ("label_phone", "light", 390, 780),
        ):
            with browser.new_context(
                viewport={"width": width, "height": height}, color_scheme=theme, has_touch=width < 600
            ) as context:
                page = context.new_page()
                page.goto(address)
                fetch_and_find_marks(page)
                page.screenshot(path=str(out / f"{name}.png"))
        with browser.new_context(viewport={"width": 1280, "height": 800}) as context:
            page = context.new_page()
            for name in PAGES:
                page.goto(f"{address}/{name}")
                page.wait_for_timeout(9_000)
                page.screenshot(path=str(out / f"{name}.png"))
        browser.close()


def fetch_and_find_marks(page: object) -> None:
    """The first text with a suggestion; those before it are skipped, and taken back by nobody."""
    page.locator(".page .text:visible, .page .screen:visible").first.wait_for()
    if page.locator(".page .screen:visible button").count():
        page.locator(".page .screen:visible button").first.click()
        page.wait_for_selector(".page .text")
    for _ in range(12):
        page.wait_for_timeout(400)
        if page.locator(".page mark").count():
            break
        page.keyboard.press("Space")
    page.wait_for_timeout(1_500)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--project", type=Path, help="keep the project here, and use it again")
    parser.add_argument("--out", type=Path, default=ROOT / "docs")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = given.project or Path(temporary) / "fashion_brands"
        if not (folder / "project.sqlite").exists():
            make_project(folder)
        with served(folder) as address:
            take(address, given.out)


if __name__ == "__main__":
    main()
