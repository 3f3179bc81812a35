"""Train on all the gold of a published data set, and score once on its published test part.

    python benchmarks/training.py fashion_brands FOLDER
    python benchmarks/training.py customer_feedback_de FOLDER --peer --with-dev
    python benchmarks/training.py fashion_brands FOLDER --seeds 5
    python benchmarks/training.py fashion_brands FOLDER --curve --seeds 3 --llm .261

FOLDER holds train.jsonl, dev.jsonl and test.jsonl (and patterns.jsonl where there are any). Recipes are
chosen on dev; `--recipe` asks for one by name, `--seed` for another seed. `--seeds` repeats it with as many
seeds and tells mean and standard deviation (the linear recipe draws nothing by chance: 0). `--with-dev`
trains the chosen recipe once more on train and dev together. `--peer` also scores TF-IDF with logistic
regression (fitted on train and dev) for categories, spaCy's default config for entities. `--curve` scores
growing nested parts of train on test and, with `--llm`, tells from how many texts on a recipe passes that
score. Macro-F is the mean over the labels that the gold has.
Prints one JSON object a line on standard output.

What was measured and tried is in training.txt beside this file.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, pstdev
from typing import Any

from annoloop.errors import TrainingError
from annoloop.hashing import input_hash
from annoloop.rules.matcher import load_rules
from annoloop.rules.of_gold import RuleMaker
from annoloop.training.predict import MAKING, load_model, predict
from annoloop.training.recipe import default_recipes
from annoloop.training.train import Trained, train
from annoloop.types import Annotation, Counts, DevGold, Example, Gold, LabelScheme, PoolGold, Span, Split

LANGUAGES = {"customer_feedback_de": "de"}


def read(path: Path, split: Split) -> tuple[Gold, ...]:
    found = {}
    for line in path.read_text(encoding="utf8").splitlines():
        row = json.loads(line)
        spans = tuple(Span(**span) for span in row.get("spans", ()))
        labels = (row["label"],) if "label" in row else ()
        example = Example(input_hash(row["text"]), row["text"], split=split)
        found.setdefault(example.input_hash, Gold(example, Annotation(labels, spans), blind=True))
    return tuple(found.values())


def scheme_of(gold: Sequence[Gold]) -> LabelScheme:
    labels = {label for g in gold for label in g.annotation.labels}
    names = {span.label for g in gold for span in g.annotation.spans}
    return (
        LabelScheme("textcat", tuple(sorted(labels))) if labels else LabelScheme("ner", tuple(sorted(names)))
    )


def scores(gold: Sequence[Gold], said: Sequence[Annotation], scheme: LabelScheme) -> dict[str, float]:
    """Exact micro F of spans, or accuracy; macro-F over the labels of the gold beside it."""
    per_label = counts_by_label(gold, said, scheme)
    total = sum(per_label.values(), Counts())
    every = [counts.f or 0.0 for counts in per_label.values() if counts.tp + counts.fn]
    named = {"score": total.f, "precision": total.precision, "recall": total.recall}
    rounded = {name: round(value or 0.0, 4) for name, value in named.items()}
    return {**rounded, "macro_f": round(sum(every) / len(every), 4)}


def label_scores(
    gold: Sequence[Gold], said: Sequence[Annotation], scheme: LabelScheme
) -> dict[str, float | None]:
    """F of each label; None where neither the gold nor the answers have it."""
    found = counts_by_label(gold, said, scheme)
    return {label: counts.f and round(counts.f, 4) for label, counts in found.items()}


def counts_by_label(
    gold: Sequence[Gold], said: Sequence[Annotation], scheme: LabelScheme
) -> dict[str, Counts]:
    per_label = dict.fromkeys(scheme.labels, Counts())
    for truth, made in zip(gold, said, strict=True):
        for label in scheme.labels:
            right = {x for x in (*truth.annotation.spans, *truth.annotation.labels) if label in (x, _name(x))}
            found = {x for x in (*made.spans, *made.labels) if label in (x, _name(x))}
            counts = Counts(len(right & found), len(found - right), len(right - found))
            per_label[label] = per_label[label] + counts
    return per_label


def _name(item: Span | str) -> str:
    return item.label if isinstance(item, Span) else item


@dataclass(frozen=True)
class Data:
    """A published data set: its three parts, its labels and its rules."""

    learn: tuple[Gold, ...]
    judge: tuple[Gold, ...]
    test: tuple[Gold, ...]
    scheme: LabelScheme
    lang: str
    rules: RuleMaker | None

    @classmethod
    def of(cls, folder: Path, lang: str) -> Data:
        """Read train.jsonl, dev.jsonl and test.jsonl, and patterns.jsonl where there are any."""
        learn, judge, test = (
            read(folder / f"{part}.jsonl", split)
            for part, split in (("train", "pool"), ("dev", "dev"), ("test", "held_out"))
        )
        scheme = scheme_of((*learn, *judge, *test))
        places = (place / "patterns.jsonl" for place in (folder, folder.parent))
        found = (load_rules(place, scheme=scheme, lang=lang) for place in places if place.is_file())
        maker = RuleMaker(scheme, lang, next(found, None)) if scheme.kind == "ner" else None
        return cls(learn, judge, test, scheme, lang, maker)

    def train(self, learn: Sequence[Gold], out: Path, *, seed: int, **settings: Any) -> Trained:
        """Train on `learn`, choosing on the whole of dev."""
        return train(
            PoolGold(tuple(learn)),
            DevGold(self.judge),
            scheme=self.scheme,
            lang=self.lang,
            seed=seed,
            out=out,
            rules=self.rules,
            on_progress=lambda what, done, total: print(
                f"\r{what} {done}/{total}" if total else f"\r{what} ...", end="", file=sys.stderr
            ),
            **settings,
        )


def run(data: Data, seed: int, arguments: argparse.Namespace) -> dict[str, float]:
    """Train on everything with one seed, print what came out, and return the scores on test."""
    test, scheme = data.test, data.scheme
    with tempfile.TemporaryDirectory() as out:
        made = data.train(
            data.learn,
            Path(out) / "model",
            seed=seed,
            recipes=arguments.recipe,
            with_dev=arguments.with_dev,
        )
        nlp = load_model(made.path)
        started = time.perf_counter()
        said = [p.annotation for p in predict(nlp, (g.example.text for g in test), scheme=scheme)]
        seconds = time.perf_counter() - started
        files = [file for file in made.path.rglob("*") if file.is_file() and MAKING not in file.parts]
        scored = scores(test, said, scheme)
        tell(
            approach=made.recipe,
            seed=seed,
            dev=round(made.dev_score or 0.0, 4),
            test=scored,
            per_label=label_scores(test, said, scheme),
            seconds={name: round(took) for name, _, took in made.tried},
            words_per_second=round(sum(len(g.example.text.split()) for g in test) / seconds),
            megabytes=round(sum(file.stat().st_size for file in files) / 1e6, 2),
            tried={name: round(score or 0.0, 4) for name, score, _ in made.tried},
        )
    return scored


def run_peer(data: Data) -> None:
    peer = peer_entities if data.scheme.has_spans else peer_categories
    said = peer(data.learn, data.judge, data.test, data.lang, data.scheme)
    tell(
        approach=peer.__name__,
        test=scores(data.test, said, data.scheme),
        per_label=label_scores(data.test, said, data.scheme),
    )


def run_curve(data: Data, seeds: int, recipes: Sequence[str], llm: float | None) -> None:
    """Test scores by number of training texts, nested subsets drawn by the seed; dev stays whole.

    Where `llm` is given: from how many texts on the mean over seeds stays at or above it.
    """
    sizes = [n for n in (25, 50, 100, 200, 400, 800, 1600, 3200) if n < len(data.learn)] + [len(data.learn)]
    for recipe in recipes:
        points: dict[int, list[float]] = {size: [] for size in sizes}
        for seed in range(seeds):
            order = random.Random(seed).sample(data.learn, len(data.learn))
            for size in sizes:
                points[size].append(_at(data, order[:size], recipe, seed))
        means = {size: round(fmean(found), 4) for size, found in points.items()}
        passed = None
        for size in reversed(sizes):
            if llm is None or means[size] < llm:
                break
            passed = size
        spread = {size: round(pstdev(found), 4) for size, found in points.items()}
        tell(curve=recipe, seeds=seeds, test=means, spread=spread, llm=llm, texts_to_pass_llm=passed)


def _at(data: Data, learn: Sequence[Gold], recipe: str, seed: int) -> float:
    """The score on test of one recipe after so much gold; 0 where there is nothing in it to learn from."""
    with tempfile.TemporaryDirectory() as out:
        try:
            made = data.train(learn, Path(out) / "model", seed=seed, recipes=[recipe])
        except TrainingError:
            return 0.0
        texts = (g.example.text for g in data.test)
        said = [p.annotation for p in predict(made.path, texts, scheme=data.scheme)]
    return scores(data.test, said, data.scheme)["score"]


def peer_categories(
    learn: Sequence[Gold], judge: Sequence[Gold], test: Sequence[Gold], lang: str, scheme: LabelScheme
) -> list[Annotation]:
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline, make_union

    model = make_pipeline(
        make_union(
            TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True),
            TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 5), sublinear_tf=True),
        ),
        LogisticRegression(C=10, class_weight="balanced", max_iter=200),
    )
    every = (*learn, *judge)
    model.fit([g.example.text for g in every], [g.annotation.labels[0] for g in every])
    return [Annotation((str(label),)) for label in model.predict([g.example.text for g in test])]


def peer_entities(
    learn: Sequence[Gold], judge: Sequence[Gold], test: Sequence[Gold], lang: str, scheme: LabelScheme
) -> list[Annotation]:
    """`spacy init config --pipeline ner --optimize efficiency`, 3,000 steps."""
    from spacy.cli.init_config import init_config

    config: Any = init_config(lang=lang, pipeline=["ner"], optimize="efficiency", silent=True)
    config["training"]["max_steps"] = 3000
    with tempfile.TemporaryDirectory() as out:
        path = Path(out) / "config.cfg"
        config.to_disk(path)
        made = train(
            PoolGold(tuple(learn)),
            DevGold(tuple(judge)),
            scheme=scheme,
            lang=lang,
            seed=0,
            out=Path(out) / "model",
            recipes=[str(path)],
        )
        return [p.annotation for p in predict(made.path, (g.example.text for g in test), scheme=scheme)]


def tell(**what: object) -> None:
    print(json.dumps(what, ensure_ascii=False), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("name")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--recipe", action="append")
    parser.add_argument("--seed", type=int, default=0, help="the first seed")
    parser.add_argument("--seeds", type=int, default=1, help="how many seeds, from --seed on")
    parser.add_argument("--curve", action="store_true", help="scores by number of training texts")
    parser.add_argument("--llm", type=float, help="with --curve: the LLM's score, to be passed")
    parser.add_argument("--lang")
    parser.add_argument("--with-dev", action="store_true")
    parser.add_argument("--peer", action="store_true")
    arguments = parser.parse_args()
    data = Data.of(arguments.folder, arguments.lang or LANGUAGES.get(arguments.name, "en"))
    if arguments.curve:
        defaults = default_recipes(data.scheme.kind, rules=data.rules is not None)
        run_curve(data, arguments.seeds, arguments.recipe or defaults, arguments.llm)
        return
    seeds = range(arguments.seed, arguments.seed + arguments.seeds)
    made = [run(data, seed, arguments) for seed in seeds]
    if len(made) > 1:
        every = {name: [one[name] for one in made] for name in made[0]}
        means = {name: round(fmean(values), 4) for name, values in every.items()}
        spread = {name: round(pstdev(values), 4) for name, values in every.items()}
        tell(seeds=len(made), mean=means, standard_deviation=spread)
    if arguments.peer:
        run_peer(data)


if __name__ == "__main__":
    main()
