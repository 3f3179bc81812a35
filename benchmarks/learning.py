"""What learning needs and what its verdicts are worth, beside peers in the same run.

    python benchmarks/learning.py categories   labels to a score: ours, random, small-text, scikit-activeml
    python benchmarks/learning.py entities     the same for entities, by texts, tokens and modelled seconds
    python benchmarks/learning.py gate         false claims and power of the verdict over simulated projects
    python benchmarks/learning.py forecast     the final score forecast from the first fifth of the labels
    python benchmarks/learning.py hopeless     how often a task is called hopeless that is, and that is not
    python benchmarks/learning.py similar      texts of the same label among the nearest, by vectors and words
    python benchmarks/learning.py pool         features of 1,000,000 texts, a round's selection, memory

Each figure says how long it takes in its module's first lines. Prints tables; `--json` prints one JSON object
instead. `--quick` takes a small part, to see that everything runs.
"""

from __future__ import annotations

import argparse
import json
from importlib import import_module

from review_ground import table

FIGURES = ("categories", "entities", "gate", "forecast", "hopeless", "similar", "pool")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("figure", choices=FIGURES)
    parser.add_argument("--json", action="store_true", help="one JSON object instead of tables")
    parser.add_argument("--quick", action="store_true", help="a small part, to see that everything runs")
    parser.add_argument("--seed", type=int, default=0, help="the first seed")
    arguments = parser.parse_args()
    rows = import_module(f"learning_{arguments.figure}").figure(seed=arguments.seed, quick=arguments.quick)
    if arguments.json:
        print(json.dumps({arguments.figure: rows}, indent=2))
    else:
        table(arguments.figure, rows)


if __name__ == "__main__":
    main()
