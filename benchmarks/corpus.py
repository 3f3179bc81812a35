"""Time and memory of `annoloop add` with 100,000 short texts, new and again: `python benchmarks/corpus.py`.

Beside the command (start-up, reading, splitting, the store), reading and splitting alone.
"""

from __future__ import annotations

import argparse
import itertools
import json
import random
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from annoloop.corpus.read import Row, read_rows
from annoloop.corpus.splits import assign_splits
from annoloop.hashing import input_hash
from annoloop.types import LabelScheme

SCHEME = LabelScheme("ner", ("BRAND",))


def write_texts(path: Path, count: int, seed: int) -> None:
    """Write `count` short texts of 6 to 20 words; one in twenty is a near-duplicate of an earlier one."""
    rng = random.Random(seed)
    words = ["".join(rng.choices("abcdefghijklmnopqrstuvwxyz", k=rng.randint(2, 10))) for _ in range(20_000)]
    weights = list(itertools.accumulate(1 / rank for rank in range(1, len(words) + 1)))
    recent: list[str] = []
    with path.open("w", encoding="utf8") as file:
        for number in range(count):
            text = " ".join(rng.choices(words, cum_weights=weights, k=rng.randint(6, 20)))
            if recent and number % 20 == 0:
                text = f"{rng.choice(recent)} {number}"
            recent = [*recent[-500:], text]
            file.write(json.dumps({"text": text, "meta": {"row": number}}) + "\n")


def measure(path: Path) -> dict[str, float]:
    """Read, hash and split one file; seconds a step and the process's peak memory in MiB."""
    start, cpu = time.perf_counter(), time.process_time()
    rows = [
        (input_hash(row.text), row.text) for row in read_rows(path, scheme=SCHEME) if isinstance(row, Row)
    ]
    read = time.perf_counter()
    plan = assign_splits(rows, (), held_out=0.2, dev=0.1, threshold=0.8)
    split = time.perf_counter()
    shares = list(plan.splits.values())
    return {
        "texts": len(rows),
        "held_out": shares.count("held_out") / len(shares),
        "dev": shares.count("dev") / len(shares),
        "read_seconds": round(read - start, 2),
        "split_seconds": round(split - read, 2),
        "cpu_seconds": round(time.process_time() - cpu, 2),
        "peak_mib": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1),
    }


def command(project: Path, path: Path) -> dict[str, float]:
    """Run `annoloop add` on the file; wall and CPU seconds, and its peak memory in MiB."""
    annoloop = str(Path(sys.executable).with_name("annoloop"))
    if not project.exists():
        made = [annoloop, "init", str(project), "--kind", "ner", "--label", "BRAND"]
        subprocess.run(made, check=True, capture_output=True)
    start, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([annoloop, "add", str(project), str(path)], check=True, capture_output=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {
        "seconds": round(time.perf_counter() - start, 2),
        "cpu_seconds": round(cpu, 2),
        "peak_mib": round(after.ru_maxrss / 1024, 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--texts", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--file", type=Path, help="measure this file instead of made-up texts")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = arguments.file or Path(folder, "texts.jsonl")
        if not arguments.file:
            write_texts(path, arguments.texts, arguments.seed)
        project = Path(folder, "project")
        added, again = command(project, path), command(project, path)
        result = {"annoloop add": added, "the same again": again, "reading and splitting": measure(path)}
    json.dump(result, sys.stdout, indent=2)
    sys.stdout.write("\n")


if __name__ == "__main__":
    main()
