"""Train a round's model on all gold there is, from scratch; the same gold and seed give the same model."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import replace
from importlib.metadata import version

from annoloop.errors import TrainingError
from annoloop.evaluation.scores import score
from annoloop.project import Project
from annoloop.steps.evaluate import WHEEL_FACT
from annoloop.steps.join_rules import Joining
from annoloop.steps.progress import OnProgress, silent
from annoloop.steps.sources import model_source, rules_source
from annoloop.types import DevGold, Gold, PoolGold, Round


def fingerprint(project: Project, pool: PoolGold, dev: DevGold) -> str:
    """16 hex digits that name all that shapes a model: gold, recipes, rules, seed, spaCy's version."""
    settings = project.settings.training
    rules = rules_source(project)
    shaped = {
        "gold": [_gold_line(gold) for gold in _sorted(pool)],
        "dev": [_gold_line(gold) for gold in _sorted(dev)],
        "recipes": [settings.recipes, settings.seed],
        "scheme": [project.scheme.kind, project.scheme.labels],
        "patterns": [rules.rules.version, project.settings.rules.join] if rules else "",
        "spacy": version("spacy"),
    }
    encoded = json.dumps(shaped, sort_keys=True, ensure_ascii=True).encode()
    return hashlib.blake2b(encoded, digest_size=8).hexdigest()


def _sorted(gold: Iterable[Gold]) -> list[Gold]:
    return sorted(gold, key=lambda item: item.example.input_hash)


def _gold_line(gold: Gold) -> list[object]:
    spans = [[s.start, s.end, s.label] for s in gold.annotation.spans]
    return [gold.example.input_hash, spans, list(gold.annotation.labels)]


def train(project: Project, *, on_progress: OnProgress = silent) -> Round:
    """Train the newest round's model on all gold there is; nothing to do where just that is trained.

    Raises:
        TrainingError: there is too little gold to learn from or to choose by.
    """
    number = max((record.number for record in project.store.rounds()), default=1)
    return train_round(project, number, on_progress=on_progress)


def train_round(project: Project, number: int, *, on_progress: OnProgress = silent) -> Round:
    """Train round `number`'s model, unless just this one is there already; returns the round.

    Dev chooses the recipe and when to stop; the model that is judged and shipped then learns once more
    from pool and dev gold together, since both were paid for. Its score on dev is from before that. Where
    dev says that the rules make it better, they become a part of it.

    Raises:
        TrainingError: there is too little gold to learn from or to choose by.
    """
    from annoloop.training.train import train as train_recipes

    records = {record.number: record for record in project.store.rounds()}
    settings = project.settings.training
    record = records.get(number) or Round(number, "all gold", settings.seed)
    pool, dev = project.pool_gold(), project.dev_gold()
    require_gold(project, pool, dev)
    name = fingerprint(project, pool, dev)
    if record.fingerprint == name and record.model and (project.folder / record.model).is_dir():
        return record
    recipes = None if settings.recipes == ("auto",) else settings.recipes
    rules = rules_source(project)
    joining = Joining(project, rules, dev) if rules else None
    trained = train_recipes(
        pool,
        dev,
        scheme=project.scheme,
        lang=project.settings.project.lang,
        seed=settings.seed,
        out=project.models / f"round-{number}",
        recipes=recipes,
        patterns=(rules.rules.token_patterns() or None) if rules else None,
        with_dev=True,
        finish=joining,
        on_progress=on_progress,
    )
    record = replace(
        record,
        gold_texts=len(pool),
        model=trained.path.relative_to(project.folder).as_posix(),
        recipe=trained.recipe,
        fingerprint=name,
        joined=joining.how if joining else None,
        held_out=None,
    )
    said = {name: prediction.annotation for name, prediction in trained.dev_said.items()}
    record = replace(record, dev=score(project.scheme, list(dev), said, seed=settings.seed))
    source = model_source(project, record)
    details = {name: source.detail(prediction) for name, prediction in trained.dev_said.items()}
    project.store.save_predictions(source.dev_key, said, details=details)
    project.store.save_round(record)
    project.store.set_fact(WHEEL_FACT, None)
    return record


def require_gold(project: Project, pool: PoolGold, dev: DevGold) -> None:
    """Raise `TrainingError` where there is nothing to learn from or to choose by."""
    for gold, split in ((pool, "pool"), (dev, "dev")):
        if not len(gold):
            raise TrainingError(
                f"{project.folder}: no answered texts in {split}",
                hint="label some: annoloop review PROJECT, or let annoloop loop PROJECT prepare a batch",
            )
