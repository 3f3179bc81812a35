"""Matches own patterns in a process that can be stopped: regular expressions may take for ever.

Standard input: a line of JSON with the patterns by name, then a line a text. Standard output: for each text
and pattern, in order, a line with the ranges of its matches. Imports nothing of the package.
"""

import json
import re
import sys


def main() -> None:
    """Serve until standard input ends."""
    patterns = {name: re.compile(pattern) for name, pattern in json.loads(sys.stdin.readline()).items()}
    for line in sys.stdin:
        text = json.loads(line)
        for pattern in patterns.values():
            found = [match.span() for match in pattern.finditer(text) if match.end() > match.start()]
            sys.stdout.write(json.dumps(found) + "\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main()
