"""The LLM's engine in figures, beside a floor or a peer in the same run.

    python benchmarks/llm.py speed     500 texts at 50 ms latency: ours, spacy-llm's REST model, a floor
    python benchmarks/llm.py faults    20 % of calls fail, two kills: what is answered, paid, lost
    python benchmarks/llm.py local     the small local model: readable answers, scores, tokens a second
    python benchmarks/llm.py all       all three, about five minutes

The server of the first two is tests/fake_llm.py in a process of its own. Prints tables; `--json` prints one
JSON object instead. Times depend on the machine and on what else it does: compare rows, not runs. `--quick`
takes a tenth of the texts, to see that everything runs.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable

from review_ground import Rows, table

FIGURES = ("speed", "faults", "local")


def figure(name: str, arguments: argparse.Namespace) -> Rows:
    """The rows of one figure."""
    quick = 10 if arguments.quick else 1
    match name:
        case "speed":
            from llm_speed import speed

            return speed(texts=500 // quick, workers=16, latency=0.05)
        case "faults":
            from llm_faults import faults

            return faults(texts=500 // quick, workers=16, share=0.2, seed=arguments.seed)
        case _:
            from llm_local import local

            return local(texts=40 // quick)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("figure", choices=(*FIGURES, "all"))
    parser.add_argument("--json", action="store_true", help="one JSON object instead of tables")
    parser.add_argument("--quick", action="store_true", help="few texts, to see that everything runs")
    parser.add_argument("--seed", type=int, default=0, help="draws the faults")
    arguments = parser.parse_args()
    names = FIGURES if arguments.figure == "all" else (arguments.figure,)
    show: Callable[[str, Rows], None] = (lambda *_: None) if arguments.json else table
    found: dict[str, Rows] = {}
    for name in names:
        found[name] = figure(name, arguments)
        show(name, found[name])
    if arguments.json:
        print(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
