"""How many planted label errors the look-again queue finds: labels flipped by seed, then ranked.

    python benchmarks/label_errors.py FOLDER ...       5 % flipped, five seeds
    python benchmarks/label_errors.py FOLDER --quick   one seed

A folder holds train.jsonl with `text` and `label`, as projects/customer_feedback_de/assets does. Prints, as
means over the seeds: which share of the first 50, and of the first 5 % of all texts, was flipped, and which
share of all flipped ones is among the doubted texts. By chance 5 % of the first ones would be. Errors that
the data had before count as wrong finds. About ten seconds a seed on one core.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from review_ground import table

from annoloop.evaluation.label_errors import category_suspects
from annoloop.hashing import input_hash
from annoloop.steps.look_again import ProxyReader
from annoloop.types import Annotation, Example, Gold, LabelScheme, PoolGold

SHARE, TOP, SEEDS = 0.05, 50, 5


def read(folder: Path) -> tuple[LabelScheme, list[Gold]]:
    """The scheme and the gold of a folder's training texts."""
    lines = (folder / "train.jsonl").read_text(encoding="utf8").split("\n")
    rows = [json.loads(line) for line in lines if line.strip()]
    labels = {input_hash(row["text"]): row for row in rows}
    gold = [Gold(Example(name, row["text"]), Annotation((row["label"],))) for name, row in labels.items()]
    return LabelScheme("textcat", tuple(sorted({row["label"] for row in rows}))), gold


def found(scheme: LabelScheme, gold: list[Gold], seed: int) -> dict[str, float]:
    """Shares found with one seed's flipped labels."""
    rng = np.random.default_rng(seed)
    flipped = set(rng.choice(len(gold), round(SHARE * len(gold)), replace=False).tolist())
    planted = []
    for place, item in enumerate(gold):
        others = [name for name in scheme.labels if name not in item.annotation.labels]
        wrong = Annotation((str(rng.choice(others)),))
        planted.append(replace(item, annotation=wrong) if place in flipped else item)
    names = {gold[place].example.input_hash for place in flipped}
    begun = time.perf_counter()
    ranked = category_suspects(scheme, PoolGold(tuple(planted)), ProxyReader(scheme, seed), seed=seed)
    seconds = time.perf_counter() - begun
    hits = [one.gold.example.input_hash in names for one in ranked]
    part = len(names)
    return {
        "right in first 50": sum(hits[:TOP]) / TOP,
        "right in first 5 %": sum(hits[:part]) / part,
        "found in doubted": sum(hits) / part,
        "doubted": len(ranked) / len(gold),
        "seconds": seconds,
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folders", nargs="+", type=Path, help="folders with train.jsonl")
    parser.add_argument("--quick", action="store_true", help="one seed")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of a table")
    arguments = parser.parse_args()
    rows: list[dict[str, Any]] = []
    for folder in arguments.folders:
        scheme, gold = read(folder)
        seeds = [found(scheme, gold, seed) for seed in range(1 if arguments.quick else SEEDS)]
        means = {name: round(float(np.mean([one[name] for one in seeds])), 3) for name in seeds[0]}
        rows.append({"data": folder.resolve().name, "texts": len(gold), "seeds": len(seeds), **means})
    if arguments.json:
        print(json.dumps({"label_errors": rows}, indent=2))
    else:
        table("label errors", rows)


if __name__ == "__main__":
    main()
