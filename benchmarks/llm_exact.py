"""Perfect answers of an LLM, read by us and by spacy-llm: how many spans end at their true place.

Texts are made from a seed: names stand in them several times; names have commas, dots, numbers, emoji, "İ" or
accents, stand inside other names, or go over a CRLF. Either some of their places are meant or all.
For each text the one right answer is written in our JSON, in the form of spacy-llm's v2 tasks ("BRAND: Gap,
Zara") and in that of its v3 tasks (a numbered table), and each is read by its own parser. No LLM is asked.

    python benchmarks/llm_exact.py
    python benchmarks/llm_exact.py --texts 200 --seeds 7 --json
"""

from __future__ import annotations

import argparse
import json
import random
import re
import time
from collections.abc import Callable, Sequence
from typing import Any

from annoloop.hashing import input_hash
from annoloop.llm.answers import Answer
from annoloop.llm.asking import make_question
from annoloop.llm.foreign import ForeignForm
from annoloop.llm.prepare import Form, OwnForm
from annoloop.types import Counts, Example, LabelScheme, Span

NAMES = {
    "Gap": "BRAND",
    "Zara": "BRAND",
    "İpekyol": "BRAND",
    "Marks, Spencer & Co": "BRAND",
    "Dr. Martens": "BRAND",
    "Cafe\u0301 Noir": "BRAND",
    "Sneaker 👟 Club": "BRAND",
    "Tom\r\nFord": "BRAND",
    "York": "PLACE",
    "Bank of York": "BRAND",
    "İzmir": "PLACE",
    "1. FC Köln": "BRAND",
    "Straße 7": "PLACE",
    "שלום": "BRAND",
}
FILLERS = [
    "there is a gap in my wardrobe",
    "İİ, 👩‍👩‍👧 and 👍🏽",
    "I like it",
    "zara, she said",
    "straße ohne Namen",
    "not the one in New Yorkshire",
    "\r\nand then",
    "martens are animals",
    "a cafe\u0301",
]
PUNCTUATION = [" ", " ", ", ", ". ", "\r\n", " – ", "! "]
NESTED = {"Bank of York": [("York", "PLACE")], "Marks, Spencer & Co": [("Marks", "PERSON")]}


def made(rng: random.Random, *, nested: bool, meant: float) -> tuple[str, tuple[Span, ...]]:
    """One text and the spans that are meant in it, a share of all; with `nested` also names inside names."""
    names = rng.sample(sorted(NAMES), rng.randint(1, 4))
    parts = [*rng.choices(names, k=rng.randint(2, 7)), *rng.sample(FILLERS, rng.randint(1, 4))]
    rng.shuffle(parts)
    text, spans = "", []
    for part in parts:
        start = len(text)
        text += part + rng.choice(PUNCTUATION)
        if part in NAMES and rng.random() < meant:
            spans.append(Span(start, start + len(part), NAMES[part]))
            for inner, label in NESTED.get(part, ()) if nested else ():
                at = start + part.index(inner)
                spans.append(Span(at, at + len(inner), label))
    return text, tuple(sorted(spans))


def in_json(text: str, spans: Sequence[Span]) -> str:
    """Our form: each quote with which of its places is meant, counted from the left."""
    entities = []
    for span in spans:
        quote = text[span.start : span.end]
        places = [found.start() for found in re.finditer(rf"(?<!\w){re.escape(quote)}(?!\w)", text)]
        entities.append({"quote": quote, "label": span.label, "occurrence": places.index(span.start) + 1})
    return json.dumps({"entities": entities}, ensure_ascii=False)


def in_lists(text: str, spans: Sequence[Span]) -> str:
    """The form of v2: a line a label, its names behind it. A name's line break becomes a blank."""
    lists: dict[str, list[str]] = {}
    for span in spans:
        lists.setdefault(span.label, []).append(" ".join(text[span.start : span.end].split()))
    return "\n".join(f"{label}: {', '.join(names)}" for label, names in lists.items())


def in_table(text: str, spans: Sequence[Span]) -> str:
    """The form of v3: a numbered line a name, in the order given."""
    names = [" ".join(text[span.start : span.end].split()) for span in spans]
    rows = zip(names, spans, strict=True)
    return "\n".join(
        f"{number}. {name} | True | {span.label} | is one" for number, (name, span) in enumerate(rows, 1)
    )


Written = Callable[[str, Sequence[Span]], str]


def ways(kind: str) -> dict[str, tuple[Form, Written, bool]]:
    """How an answer is read and written in a kind of project, and whether in another order than the text."""
    nested = kind == "spancat"
    labels = ("BRAND", "PLACE", "PERSON") if nested else ("BRAND", "PLACE")
    scheme = LabelScheme("spancat" if nested else "ner", labels)
    ours = OwnForm(make_question({}, scheme=scheme, embedded=False), scheme, "en", lambda _: 10**9)

    def theirs(version: str) -> Form:
        task = {"@llm_tasks": f"spacy.{'SpanCat' if nested else 'NER'}.{version}"}
        return ForeignForm(task, scheme=scheme, lang="en", model=None)

    name = "SpanCat" if nested else "NER"
    return {
        "annoloop": (ours, in_json, False),
        "annoloop, any order": (ours, in_json, True),
        f"spacy.{name}.v2": (theirs("v2"), in_lists, False),
        f"spacy.{name}.v3": (theirs("v3"), in_table, False),
        f"spacy.{name}.v3, any order": (theirs("v3"), in_table, True),
    }


def measured(kind: str, *, meant: float, texts: int, seed: int) -> dict[str, dict[str, Any]]:
    """Every way over the same texts: spans at their true place, F, texts whose answer was not understood."""
    rng = random.Random(seed)
    rows = [made(rng, nested=kind == "spancat", meant=meant) for _ in range(texts)]
    found: dict[str, dict[str, Any]] = {}
    for name, (form, written, shuffled) in ways(kind).items():
        order = random.Random(seed)
        counts, lost, seconds = Counts(), 0, 0.0
        for text, spans in rows:
            given = order.sample(spans, len(spans)) if shuffled else spans
            asked = form.ask(Example(input_hash(text), text))
            answer = Answer(written(text, given), status="ok")
            if written is in_json:
                answer.parsed = json.loads(answer)
            start = time.perf_counter()
            result = asked.read([answer])
            seconds += time.perf_counter() - start
            said = set(result.annotation.spans) if result.annotation else set()
            lost += result.annotation is None
            right = len(said & set(spans))
            counts += Counts(right, len(said) - right, len(spans) - right)
        found[name] = {
            "spans": counts.tp + counts.fn,
            "placed": (counts.tp / (counts.tp + counts.fn)) if counts.tp + counts.fn else None,
            "f": counts.f,
            "not_understood": lost,
            "milliseconds_a_text": 1000 * seconds / texts,
        }
    return found


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--texts", type=int, default=500, help="texts a seed")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--json", action="store_true", help="one JSON object instead of tables")
    wanted = parser.parse_args()
    figures = {
        f"{kind}, {named} meant": {
            seed: measured(kind, meant=meant, texts=wanted.texts, seed=seed) for seed in wanted.seeds
        }
        for kind in ("ner", "spancat")
        for named, meant in (("some places", 0.6), ("all places", 1.0))
    }
    if wanted.json:
        print(json.dumps({"texts": wanted.texts, "seeds": wanted.seeds, "figures": figures}, indent=2))
        return
    for what, by_seed in figures.items():
        first = by_seed[wanted.seeds[0]]
        spans = sum(rows["annoloop"]["spans"] for rows in by_seed.values())
        print(f"\n{what}: {wanted.texts} texts a seed, seeds {wanted.seeds}, {spans} spans")
        print(f"{'answer read by':28}{'at true place':>20}{'F':>20}{'not understood':>16}{'ms a text':>11}")
        for name in first:
            rows = [by_seed[seed][name] for seed in wanted.seeds]
            print(
                f"{name:28}{_spread(rows, 'placed'):>20}{_spread(rows, 'f'):>20}"
                f"{sum(row['not_understood'] for row in rows):>16}"
                f"{sum(row['milliseconds_a_text'] for row in rows) / len(rows):>11.3f}"
            )


def _spread(rows: Sequence[dict[str, Any]], key: str) -> str:
    values = [row[key] for row in rows]
    return f"{min(values):.4f} to {max(values):.4f}"


if __name__ == "__main__":
    main()
