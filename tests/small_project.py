"""Small projects of real texts for the tests of the steps, the loop and the command line."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

from annoloop.oracle import Oracle
from annoloop.project import Project
from annoloop.steps.add import add

ASSETS = Path(__file__).parents[1] / "projects"
LABELS = ("Aufzug", "Rolltreppe", "irrelevant")
PATTERNS = [
    {"label": "Aufzug", "pattern": [{"LOWER": {"REGEX": "^(aufzug|aufzüge|fahrstuhl)$"}}]},
    {"label": "Rolltreppe", "pattern": [{"LOWER": {"REGEX": "^rolltreppen?$"}}]},
]


def feedback(count: int) -> list[dict]:
    """As many rows of the German feedback, the three labels in turn as far as they go."""
    path = ASSETS / "customer_feedback_de" / "assets" / "train.jsonl"
    rows = [json.loads(line) for line in path.read_text(encoding="utf8").splitlines()]
    seen: Counter[str] = Counter()
    kept = []
    for row in rows:
        if row["label"] in LABELS and seen[row["label"]] < count // 2 and len(kept) < count:
            seen[row["label"]] += 1
            kept.append(row)
    return kept


def write_rows(path: Path, rows: list[dict]) -> Path:
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf8")
    return path


def settings(folder: Path, *, labels=LABELS, kind="textcat", lang="de", llm="null", **sections) -> None:
    """Write annoloop.cfg; `sections` are lines of settings by section, `_` standing for a dot."""
    folder.mkdir(parents=True, exist_ok=True)
    recipe = '["textcat_linear"]' if kind == "textcat" else '["auto"]'
    given = {
        "project": f'name = "small"\nkind = "{kind}"\nlabels = {json.dumps(list(labels))}\nlang = "{lang}"',
        "corpus": "held_out = 0.4",
        "training": f"recipes = {recipe}",
        "llm.model": f"base_url = {llm}" + ('\nname = "fake"' if llm != "null" else ""),
        **{name.replace("_", "."): lines for name, lines in sections.items()},
    }
    cfg = "".join(f"[{name}]\n{lines}\n\n" for name, lines in given.items())
    (folder / "annoloop.cfg").write_text(cfg, encoding="utf8")


def small_project(folder: Path, rows: list[dict], *, server=None, llm="null", **options) -> Project:
    """A project with these texts; its LLM is the fake server, one at the address `llm`, or none."""
    llm = llm if server is None else json.dumps(server.base_url)
    settings(folder, llm=llm, **options)
    project = Project.open(folder)
    add(project, [write_rows(folder / "texts.jsonl", [{"text": row["text"]} for row in rows])])
    return project


def expert(project: Project, rows: list[dict]) -> Oracle:
    gold = write_rows(project.folder / "gold.jsonl", rows)
    return Oracle.load(gold, scheme=project.scheme, lang=project.settings.project.lang)
