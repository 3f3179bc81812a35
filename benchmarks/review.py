"""The review page's figures, each beside a floor or a peer in the same run.

    python benchmarks/review.py keys            key to next text painted: a bare page, plain widgets, ours
    python benchmarks/review.py burst           10 keys a second: what is saved, and to which text
    python benchmarks/review.py load            25 annotators at one decision a second, few and 100,000 tasks
    python benchmarks/review.py start           from the command to the first text on screen
    python benchmarks/review.py long            a text of 20,000 words: drawn, marked, scrolled
    python benchmarks/review.py label-studio    next task and submit over HTTP, Label Studio beside ours
    python benchmarks/review.py all             all but the last, about ten minutes

Needs the `dev` extra and Chromium. Prints tables; `--json` prints one JSON object instead. Milliseconds
depend on the machine and on what else it does: compare rows, not runs. `--quick` takes a tenth of the
samples, to see that everything runs.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path

from review_ground import Rows, table

FIGURES = ("keys", "burst", "load", "start", "long")


def figure(name: str, arguments: argparse.Namespace) -> Rows:
    """The rows of one figure."""
    quick = 10 if arguments.quick else 1
    match name:
        case "keys":
            from review_keys import keys

            return keys(presses=160 // quick)
        case "burst":
            from review_keys import burst

            return burst(decisions=500 // quick)
        case "load":
            from review_load import load

            return load(annotators=25, seconds=60 / quick, tasks=100_000 // quick)
        case "start":
            from review_start import start

            return start(runs=max(1, 5 // quick))
        case "long":
            from review_long import long

            return long(words=20_000, edits=max(4, 40 // quick))
        case _:
            from review_label_studio import label_studio

            return label_studio(arguments.label_studio, texts=10_000 // quick, calls=max(10, 100 // quick))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("figure", choices=(*FIGURES, "label-studio", "all"))
    parser.add_argument("--json", action="store_true", help="one JSON object instead of tables")
    parser.add_argument("--quick", action="store_true", help="few samples, to see that everything runs")
    parser.add_argument(
        "--label-studio",
        type=Path,
        default=Path.home() / ".cache" / "annoloop-benchmarks" / "label-studio",
        help="the environment that Label Studio is, or is to be, installed in",
    )
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
