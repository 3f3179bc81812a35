"""The command `annoloop`, and the same as `python -m annoloop`."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command line. Loading it takes a moment in which Ctrl-C shows no traceback either."""
    try:
        from annoloop.cli import main as run
    except KeyboardInterrupt:
        print("stopped before anything was done", file=sys.stderr)
        raise SystemExit(130) from None
    run()


if __name__ == "__main__":
    main()
