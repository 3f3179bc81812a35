"""Rules, a small model and, where it is at hand, an LLM: all together against the best of them.

    python benchmarks/voting.py fashion_brands [--train 100 --train 300] [--seed 0]
    python benchmarks/voting.py customer_feedback_de

For each number of training texts (drawn by hash) a model is trained; the voters' weights are learned on the
project's dev part, and everything is judged once on its published test part. The best single voter is the
one that is best on dev, as in the loop. The local LLM votes where its weights are fetched
(`annoloop llm fetch-model`; about a second a text), with examples from the same training texts.
Prints one JSON object a line: scores with 95 % intervals, the paired difference, whether dev would
have used the vote at all, and of the stated confidence how far it is from the share that is right
(expected calibration error in ten equally large bins).

The model votes on the test part after it has learned from the dev part too, as in the loop: it is then better
than its voter's weight says. `--without-dev` leaves that out.

Rules and model (no LLM), seed 0, test read once a row; score, less the voter that is best on dev [95 %]:

                                 rules   model   vote    difference              stated / right, error
customer_feedback_de 100 texts   .564    .783    .789    +.006 [-.002, .014]     .739 / .789  .078
customer_feedback_de 300         .564    .794    .810    +.016 [ .009, .022]     .752 / .810  .088
    --without-dev    100         .564    .643    .729    +.086 [ .075, .096]     .699 / .729
    --without-dev    300         .564    .732    .773    +.042 [ .034, .050]     .729 / .773
fashion_brands       100         .465    .525    .543    +.078 [ .027, .134]     .826 / .655  .173
fashion_brands       300         .465    .587    .587    +.000 [-.015, .015]     not used: no better on dev
    --without-dev    100         .465    .372    .492    +.027 [ .004, .054]     .940 / .897
    --without-dev    300         .465    .570    .571    +.002 [-.016, .020]     not used

With 100 texts the brands' rules were best on dev; less the model, best on test, the vote is +.018 only.
Tried on the feedback, without dev, 100 / 300 texts: Laplace's even counts instead of one accuracy a voter
.719 / .763; the test part's votes joined by expectation-maximisation .718 / .776: so the steps learn from
known texts alone. The confidence of brands rests on 74 entities of dev.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from training import LANGUAGES, read, scheme_of

from annoloop.evaluation.paired import difference
from annoloop.evaluation.scores import count, score
from annoloop.rules.matcher import load_rules
from annoloop.training.predict import load_model, predict
from annoloop.training.train import train
from annoloop.types import Annotation, DevGold, Gold, LabelScheme, PoolGold
from annoloop.voting.combine import Ballot, Combination, combine, cross_fitted, disagreement

PROJECTS = Path(__file__).parent.parent / "projects"
Said = Mapping[str, Annotation]


def run(name: str, texts: int, seed: int, *, with_dev: bool) -> None:
    folder, lang = PROJECTS / name, LANGUAGES.get(name, "en")
    parts = (("train", "pool"), ("dev", "dev"), ("test", "held_out"))
    learn, dev, test = (read(folder / "assets" / f"{part}.jsonl", split) for part, split in parts)
    scheme = scheme_of((*learn, *dev, *test))
    learn = tuple(sorted(learn, key=lambda g: g.example.input_hash)[:texts])
    voters: dict[str, Said] = {"rules": by_rules(folder / "patterns.jsonl", scheme, lang, (*dev, *test))}
    voters["model"] = by_model(learn, dev, test, scheme, lang, seed, folder / "patterns.jsonl", with_dev)
    llm = by_llm(learn, (*dev, *test), scheme, lang)
    if llm:
        voters["llm"] = llm
    ballots = {part: ballots_of(gold, voters) for part, gold in (("dev", dev), ("test", test))}
    truths = [g.annotation for g in dev]
    combination = combine(ballots["dev"], truths, scheme)
    voted = {b.example.input_hash: combination.vote(b).annotation or Annotation() for b in ballots["test"]}
    on_dev = {who: score(scheme, dev, said, seed=seed).score or 0.0 for who, said in voters.items()}
    together = score(scheme, dev, cross_fitted(ballots["dev"], truths, scheme), seed=seed).score or 0.0
    best = max(on_dev, key=lambda who: on_dev[who])
    delta, band = difference(count(scheme, test, voted), count(scheme, test, voters[best]), seed=seed)
    tell(
        project=name,
        training_texts=len(learn),
        model_learned_from_dev=with_dev,
        dev_texts=len(dev),
        test_texts=len(test),
        dev={**{who: round(value, 3) for who, value in on_dev.items()}, "vote": round(together, 3)},
        test={who: shown(scheme, test, said, seed) for who, said in {**voters, "vote": voted}.items()},
        best_on_dev=best,
        vote_less_best=[round(value, 3) for value in (delta, *band)],
        used=together > on_dev[best],
        confidence=calibration_error(combination, ballots["test"], test),
        right_where_voters=agreement(ballots["test"], test, voted, scheme),
    )


def ballots_of(gold: Sequence[Gold], voters: Mapping[str, Said]) -> list[Ballot]:
    return [
        Ballot(g.example, tuple(said.get(g.example.input_hash) for said in voters.values())) for g in gold
    ]


def by_rules(path: Path, scheme: LabelScheme, lang: str, gold: Sequence[Gold]) -> Said:
    rules = load_rules(path, scheme=scheme, lang=lang)
    assert rules is not None, path
    return {g.example.input_hash: rules.annotation(rules.explain(g.example.text)) for g in gold}


def by_model(
    learn: Sequence[Gold],
    dev: Sequence[Gold],
    test: Sequence[Gold],
    scheme: LabelScheme,
    lang: str,
    seed: int,
    patterns: Path,
    with_dev: bool,
) -> Said:
    """Of dev before it learned from dev; of test after, as the loop does it, if `with_dev`."""
    with tempfile.TemporaryDirectory() as out:
        made = train(
            PoolGold(tuple(learn)),
            DevGold(tuple(dev)),
            scheme=scheme,
            lang=lang,
            seed=seed,
            out=Path(out) / "model",
            recipes=None if scheme.has_spans else ["textcat_linear"],
            patterns=patterns,
            with_dev=with_dev,
            on_progress=lambda what, done, total: print(f"\r{what} {done}/{total}", end="", file=sys.stderr),
        )
        said = {name: prediction.annotation for name, prediction in made.dev_said.items()}
        found = predict(load_model(made.path), (g.example.text for g in test), scheme=scheme)
        return said | {g.example.input_hash: p.annotation for g, p in zip(test, found, strict=True)}


def by_llm(
    learn: Sequence[Gold], gold: Sequence[Gold], scheme: LabelScheme, lang: str, config: dict | None = None
) -> Said:
    """What the local LLM says; empty where its weights are not there."""
    from annoloop.corpus.read import Row
    from annoloop.llm.annotate import annotate, choose_few_shot, few_shot_size
    from annoloop.llm.local import local_model_status

    if config is None and not local_model_status().available:
        return {}
    model = {"@llm_models": "annoloop.OpenAI.v1", "base_url": "embedded", "name": None}
    config = config or {"task": {"@llm_tasks": "auto"}, "model": model}
    pool = PoolGold(tuple(learn))
    shots = choose_few_shot(pool, scheme, most=few_shot_size(config, scheme))
    rows = tuple(Row(0, shot.text, annotation=shot.annotation) for shot in shots)
    examples = [g.example for g in gold]
    found = annotate(examples, scheme=scheme, config=config, few_shot=rows, lang=lang)
    return {one.input_hash: one.annotation for one in found if one.annotation is not None}


def shown(scheme: LabelScheme, gold: Sequence[Gold], said: Said, seed: int) -> list[float]:
    found = score(scheme, gold, said, seed=seed)
    return [round(value, 3) for value in (found.score or 0.0, *(found.interval or (0.0, 0.0)))]


def calibration_error(
    combination: Combination, ballots: Sequence[Ballot], gold: Sequence[Gold]
) -> dict[str, float]:
    """Of annotations of one item, where the confidence is about nothing else: its mean beside the share
    that is right, and how far the two are apart on average over ten bins."""
    pairs = []
    for ballot, truth in zip(ballots, gold, strict=True):
        vote = combination.vote(ballot)
        said = () if vote.annotation is None else (*vote.annotation.labels, *vote.annotation.spans)
        if len(said) == 1:
            right = said[0] in (*truth.annotation.labels, *truth.annotation.spans)
            pairs.append((vote.confidence or 0.0, float(right)))
    bins = np.array_split(np.asarray(sorted(pairs, key=lambda pair: pair[0])), 10)
    apart = [abs(float((part[:, 0] - part[:, 1]).mean())) * len(part) for part in bins if len(part)]
    stated, right = np.asarray(pairs).mean(axis=0)
    shares = {"stated": stated, "right": right, "error": sum(apart) / len(pairs)}
    return {name: round(float(share), 3) for name, share in shares.items()}


def agreement(
    ballots: Sequence[Ballot], gold: Sequence[Gold], voted: Said, scheme: LabelScheme
) -> dict[str, list[float]]:
    """[texts, share of them that the vote gets wholly right], by whether the voters differ."""
    found: dict[str, list[bool]] = {}
    for ballot, truth in zip(ballots, gold, strict=True):
        apart = disagreement(ballot, scheme)
        which = "are one" if apart is None else "agree" if apart == 0 else "differ"
        found.setdefault(which, []).append(voted[ballot.example.input_hash] == truth.annotation)
    return {which: [len(right), round(sum(right) / len(right), 3)] for which, right in sorted(found.items())}


def tell(**what: object) -> None:
    print(json.dumps(what, ensure_ascii=False), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("name", choices=("fashion_brands", "customer_feedback_de"))
    parser.add_argument("--train", type=int, action="append", help="training texts; may be repeated")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--without-dev", action="store_true", help="the model does not learn from dev")
    arguments = parser.parse_args()
    for texts in arguments.train or (100, 300):
        run(arguments.name, texts, arguments.seed, with_dev=not arguments.without_dev)


if __name__ == "__main__":
    main()
