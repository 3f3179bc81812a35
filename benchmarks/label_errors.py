"""How many planted label errors the look-again queue finds: gold made wrong by seed, then ranked.

    python benchmarks/label_errors.py FOLDER ...       five seeds
    python benchmarks/label_errors.py FOLDER --quick   one seed

A folder holds train.jsonl with `text` and `label` or `spans`, as those of projects/*/assets do. Of categories
5 % are flipped. Of texts with spans to find 10 % get one error each, of a kind drawn by seed: a border moved
by a token, another label, a span dropped, a span added on one or two tokens. Prints, as means over the seeds:
which share of the first 50 was made wrong, and of as many texts as were made wrong, against the share by
chance; and which share of all that were made wrong, of each kind of error, is among the doubted texts. Errors
that the data had before count as wrong finds. About ten seconds a seed of categories on one core, a second of
spans.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from review_ground import table

from annoloop.corpus.tokens import TOKEN
from annoloop.evaluation.label_errors import Suspect, category_suspects, span_suspects
from annoloop.hashing import input_hash
from annoloop.steps.evidence.look_again import ProxyReader
from annoloop.types import Annotation, Example, Gold, LabelScheme, PoolGold, Span

SHARE, SPAN_SHARE, TOP, SEEDS = 0.05, 0.1, 50, 5

Planted = tuple[list[Gold], Mapping[str, str]]
"""All gold, and by input hash the kind of error that was planted."""


def read(folder: Path) -> tuple[LabelScheme, list[Gold]]:
    """The scheme and the gold of a folder's training texts."""
    lines = (folder / "train.jsonl").read_text(encoding="utf8").split("\n")
    rows = {input_hash(row["text"]): row for row in (json.loads(line) for line in lines if line.strip())}
    gold = [Gold(Example(name, row["text"]), _annotation(row)) for name, row in rows.items()]
    labels = {name for item in gold for name in item.annotation.labels}
    names = {span.label for item in gold for span in item.annotation.spans}
    return LabelScheme("ner" if names else "textcat", tuple(sorted(labels | names))), gold


def _annotation(row: Mapping[str, Any]) -> Annotation:
    if "spans" not in row:
        return Annotation((row["label"],))
    return Annotation(spans=tuple(Span(one["start"], one["end"], one["label"]) for one in row["spans"]))


def flipped(scheme: LabelScheme, gold: Sequence[Gold], rng: np.random.Generator) -> Planted:
    """Gold of categories with 5 % of them wrong."""
    chosen = set(rng.choice(len(gold), round(SHARE * len(gold)), replace=False).tolist())
    planted = []
    for place, item in enumerate(gold):
        others = [name for name in scheme.labels if name not in item.annotation.labels]
        wrong = Annotation((str(rng.choice(others)),))
        planted.append(replace(item, annotation=wrong) if place in chosen else item)
    return planted, {gold[place].example.input_hash: "flipped" for place in chosen}


def spoiled(scheme: LabelScheme, gold: Sequence[Gold], rng: np.random.Generator) -> Planted:
    """Gold of spans with one error in 10 % of the texts."""
    kinds: dict[str, str] = {}
    planted = list(gold)
    for place in rng.permutation(len(gold)).tolist():
        if len(kinds) == round(SPAN_SHARE * len(gold)):
            break
        made = dict(_errors(scheme, gold[place], rng))
        if made:
            kind = str(rng.choice(sorted(made)))
            planted[place] = replace(gold[place], annotation=Annotation(spans=tuple(made[kind])))
            kinds[gold[place].example.input_hash] = kind
    return planted, kinds


def _errors(scheme: LabelScheme, item: Gold, rng: np.random.Generator) -> Iterator[tuple[str, list[Span]]]:
    """One error of each kind that this text can have, as all its spans."""
    spans, tokens = list(item.annotation.spans), [found.span() for found in TOKEN.finditer(item.example.text)]
    if spans:
        rest = [*spans]
        span = rest.pop(int(rng.integers(len(spans))))
        yield "dropped", rest
        if others := [name for name in scheme.labels if name != span.label]:
            yield "changed", [*rest, replace(span, label=str(rng.choice(others)))]
        moved = [Span(*border, span.label) for border in _borders(span, tokens)]
        if free := [one for one in moved if not _touches(one, rest)]:
            yield "moved", [*rest, free[int(rng.integers(len(free)))]]
    length = int(rng.integers(1, 3))
    places = [
        Span(start[0], end[1], str(rng.choice(scheme.labels)))
        for start, end in zip(tokens, tokens[length - 1 :], strict=False)
    ]
    if free := [one for one in places if not _touches(one, spans)]:
        yield "added", [*spans, free[int(rng.integers(len(free)))]]


def _borders(span: Span, tokens: Sequence[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """The borders of a span with one of them moved by a token."""
    inside = [token for token in tokens if span.start <= token[0] and token[1] <= span.end]
    before = [token for token in tokens if token[1] <= span.start]
    after = [token for token in tokens if token[0] >= span.end]
    if len(inside) > 1:
        yield inside[1][0], span.end
        yield span.start, inside[-2][1]
    if before:
        yield before[-1][0], span.end
    if after:
        yield span.start, after[0][1]


def _touches(span: Span, others: Sequence[Span]) -> bool:
    return any(other.start < span.end and span.start < other.end for other in others)


def ranked(scheme: LabelScheme, planted: Sequence[Gold], seed: int) -> tuple[Suspect, ...]:
    """What the queue would show, the most doubtful first."""
    gold = PoolGold(tuple(planted))
    if scheme.has_spans:
        return span_suspects(scheme, gold)
    return category_suspects(scheme, gold, ProxyReader(scheme, seed), seed=seed)


def found(scheme: LabelScheme, gold: Sequence[Gold], seed: int) -> dict[str, float]:
    """Shares found with one seed's errors."""
    planted, kinds = (spoiled if scheme.has_spans else flipped)(scheme, gold, np.random.default_rng(seed))
    begun = time.perf_counter()
    first = [one.gold.example.input_hash for one in ranked(scheme, planted, seed)]
    seconds = time.perf_counter() - begun
    hits = [name in kinds for name in first]
    part = len(kinds)
    by_kind = {
        f"{kind} found": sum(kinds.get(name) == kind for name in first) / list(kinds.values()).count(kind)
        for kind in sorted(set(kinds.values()))
    }
    return {
        "by chance": part / len(gold),
        "right in first 50": sum(hits[:TOP]) / TOP,
        "right in first part": sum(hits[:part]) / part,
        "doubted": len(first) / len(gold),
        **by_kind,
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
        shares = [{k: f"{v:.2f}" if isinstance(v, float) else v for k, v in row.items()} for row in rows]
        table("label errors", shares)


if __name__ == "__main__":
    main()
