"""How long `annoloop --help` takes, beside a bare Python start, in one run.

    python benchmarks/startup.py

Prints the median of 15 starts of each, and their ratio.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from pathlib import Path

STARTS = 15


def median_seconds(*command: str) -> float:
    """The median wall time of a command."""
    taken = []
    for _ in range(STARTS):
        begin = time.perf_counter()
        subprocess.run(command, check=True, capture_output=True)
        taken.append(time.perf_counter() - begin)
    return statistics.median(taken)


def main() -> None:
    annoloop = str(Path(sys.executable).with_name("annoloop"))
    bare = median_seconds(sys.executable, "-c", "pass")
    helped = median_seconds(annoloop, "--help")
    print(f"bare python   {bare:.3f} s")
    print(f"annoloop --help {helped:.3f} s   ratio {helped / bare:.1f}")


if __name__ == "__main__":
    main()
