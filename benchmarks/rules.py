"""Rules alone, made by suggestion and choice from training gold, judged on the published test parts.

    python benchmarks/rules.py [--fashion FOLDER] [--feedback FOLDER]

A folder holds train.jsonl, dev.jsonl and test.jsonl, by default the assets of projects/. Fashion brands: F
of the 100 published patterns, and of the patterns that `from_gold` proposes and `choose` takes.
Customer feedback: the share of texts that the patterns of `settled` answer, with their precision. Training
gold alone makes and chooses patterns; "outer folds" makes and chooses them on four fifths of it and judges
on the rest, five times, and is what they were improved by. Dev is looked at, test is looked at last.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from annoloop.corpus.read import Row, read_rows
from annoloop.evaluation.scores import score
from annoloop.hashing import fraction, input_hash
from annoloop.rules.choose import SURE, MatchTable, choose, settled
from annoloop.rules.matcher import Rules, load_rules
from annoloop.rules.patterns import Pattern, read_patterns
from annoloop.rules.suggest import from_gold, measured
from annoloop.rules.workbench import wilson
from annoloop.settings.load import load_settings
from annoloop.types import DevGold, Example, Gold, HeldOutGold, LabelScheme, PoolGold

PROJECTS = Path(__file__).parent.parent / "projects"
OUTER = 5


@dataclass(frozen=True)
class Ground:
    """A project's question and its published gold."""

    scheme: LabelScheme
    lang: str
    patterns: Path
    train: PoolGold
    dev: DevGold
    test: HeldOutGold


def read_ground(name: str, folder: Path) -> Ground:
    """The project's scheme and the three parts of its data; a text that comes twice counts once."""
    settings = load_settings(PROJECTS / name)
    scheme, lang = settings.project.scheme(), settings.project.lang

    def gold(part: str, split: str) -> tuple[Gold, ...]:
        found = {}
        for row in read_rows(folder / f"{part}.jsonl", scheme=scheme, lang=lang):
            if isinstance(row, Row) and row.annotation is not None:
                example = Example(input_hash(row.text), row.text, split=split)  # type: ignore[arg-type]
                found.setdefault(example.input_hash, Gold(example, row.annotation))
        return tuple(found.values())

    train, dev, test = PoolGold(gold("train", "pool")), DevGold(gold("dev", "dev")), gold("test", "held_out")
    return Ground(scheme, lang, PROJECTS / name / settings.rules.patterns, train, dev, HeldOutGold(test))


def make_table(ground: Ground, gold: PoolGold) -> tuple[MatchTable, tuple[Pattern, ...]]:
    """Propose patterns from the gold and match them in it, all once."""
    begun = time.perf_counter()
    candidates = from_gold(gold, scheme=ground.scheme, lang=ground.lang)
    lines = "\n".join(one.line for one in candidates)
    patterns = read_patterns(lines, scheme=ground.scheme, lang=ground.lang)
    rules = Rules(patterns, scheme=ground.scheme, lang=ground.lang)
    found = [rules.explain(item.example.text) for item in gold]
    candidates = measured(candidates, gold, found, scheme=ground.scheme)
    table = MatchTable(patterns, found, gold, scheme=ground.scheme, lang=ground.lang, candidates=candidates)
    print(f"  {len(candidates)} candidates from {len(gold)} texts in {time.perf_counter() - begun:.0f} s")
    return table, patterns


def of(ground: Ground, patterns: Sequence[Pattern], numbers: Sequence[int]) -> Rules:
    """The rules of some of the patterns."""
    return Rules([patterns[number] for number in numbers], scheme=ground.scheme, lang=ground.lang)


def outer_folds(gold: PoolGold) -> list[tuple[PoolGold, tuple[Gold, ...]]]:
    """Gold to learn from and gold to judge by, five times."""
    fold = {item.example.input_hash: int(fraction(item.example.input_hash, "outer") * OUTER) for item in gold}
    return [
        (
            PoolGold(tuple(item for item in gold if fold[item.example.input_hash] != number)),
            tuple(item for item in gold if fold[item.example.input_hash] == number),
        )
        for number in range(OUTER)
    ]


def tell_score(ground: Ground, what: str, gold: DevGold | HeldOutGold, rules: Rules) -> None:
    """Print precision, recall and F with its interval."""
    texts = [item.example.text for item in gold]
    said = dict(zip((item.example.input_hash for item in gold), rules.predict(texts), strict=True))
    found = score(ground.scheme, gold, said, seed=0)
    low, high = found.interval or (0.0, 0.0)
    shown = f"P {found.precision or 0:.3f} R {found.recall or 0:.3f} F {found.score or 0:.3f}"
    print(f"{what}: {shown} ({low:.3f} to {high:.3f}) on {len(gold)} texts")


def brands(ground: Ground) -> None:
    """F of published and of proposed patterns."""
    right = said = total = 0
    for learned, judged in outer_folds(ground.train):
        table, patterns = make_table(ground, learned)
        rules = of(ground, patterns, choose(table, sure=SURE).patterns)
        for item, own in zip(judged, rules.predict([one.example.text for one in judged]), strict=True):
            right += len({*own.spans} & {*item.annotation.spans})
            said, total = said + len(own.spans), total + len(item.annotation.spans)
    shown = f"P {right / max(1, said):.3f} R {right / total:.3f} F {2 * right / (said + total):.3f}"
    print(f"outer folds of train: {shown}")
    table, patterns = make_table(ground, ground.train)
    begun = time.perf_counter()
    chosen = choose(table, sure=SURE).patterns
    print(f"{len(chosen)} patterns chosen in {time.perf_counter() - begun:.1f} s")
    rules = of(ground, patterns, chosen)
    published = load_rules(ground.patterns, scheme=ground.scheme, lang=ground.lang)
    assert published is not None
    for name, gold in (("dev", ground.dev), ("test", ground.test)):
        tell_score(ground, f"{name}, the {len(published.patterns)} published patterns", gold, published)
        tell_score(ground, f"{name}, the {len(chosen)} proposed and chosen", gold, rules)


def feedback(ground: Ground, precision: float) -> None:
    """The share of texts that rules settle."""
    table, patterns = make_table(ground, ground.train)
    begun = time.perf_counter()
    chosen = settled(table, precision=precision)
    print(f"{len(chosen)} patterns settle at {precision}, found in {time.perf_counter() - begun:.1f} s")
    rules = of(ground, patterns, chosen)
    for name, gold in (("dev", tuple(ground.dev)), ("test", tuple(ground.test))):
        answers = list(rules.predict([item.example.text for item in gold]))
        right = sum(
            bool(own.labels) and own == item.annotation for item, own in zip(gold, answers, strict=True)
        )
        said = sum(bool(own.labels) for own in answers)
        low, high = wilson(right, said) or (0.0, 1.0)
        share = right / max(1, said)
        print(
            f"{name}: {said} of {len(gold)} texts settled ({said / len(gold):.3f}), precision {share:.3f} "
            f"({low:.3f} to {high:.3f})"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--fashion", type=Path, default=PROJECTS / "fashion_brands" / "assets")
    parser.add_argument("--feedback", type=Path, default=PROJECTS / "customer_feedback_de" / "assets")
    parser.add_argument("--precision", type=float, default=0.95)
    arguments = parser.parse_args()
    print("fashion_brands")
    brands(read_ground("fashion_brands", arguments.fashion))
    print("customer_feedback_de")
    feedback(read_ground("customer_feedback_de", arguments.feedback), arguments.precision)


if __name__ == "__main__":
    main()
