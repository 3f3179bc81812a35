"""Run an installed pipeline on texts: the script that `verify_wheel` starts in the new environment.

It imports spaCy and nothing of annoloop, which is not there. Called with two paths: a JSON file
{"package", "texts", "kind", "labels"}, and where to write {"spacy", "annotations"}.
"""

import json
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any


def annotate(doc: Any, kind: str, labels: list[str]) -> dict[str, list[Any]]:
    """A doc's labels and its spans (start, end, label) in code points."""
    if kind in ("ner", "spancat"):
        found = doc.ents if kind == "ner" else doc.spans.get("sc", [])
        return {"labels": [], "spans": [[s.start_char, s.end_char, s.label_] for s in found]}
    scores = [doc.cats.get(label, 0.0) for label in labels]
    if kind == "textcat":
        best = max(scores, default=0.0)
        return {"labels": [labels[scores.index(best)]] if best > 0 else [], "spans": []}
    chosen = [label for label, score in zip(labels, scores, strict=True) if score >= 0.5]
    return {"labels": chosen, "spans": []}


def main(task: Path, said: Path) -> None:
    """Load the package by name, as a user would, and write what it says."""
    import spacy

    asked = json.loads(task.read_text(encoding="utf8"))
    nlp = spacy.load(asked["package"])
    nlp.max_length = max(nlp.max_length, 100_000_000)
    made = [annotate(doc, asked["kind"], asked["labels"]) for doc in nlp.pipe(asked["texts"])]
    said.write_text(json.dumps({"spacy": version("spacy"), "annotations": made}), encoding="utf8")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
