"""Train a round's model on all gold there is, from scratch; the same gold and seed give the same model."""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from importlib.metadata import version
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from annoloop.corpus.tokenizer import RULES
from annoloop.errors import AnnoloopError, TrainingError
from annoloop.evaluation.scores import score
from annoloop.project import Project
from annoloop.steps.evidence.looks import keep_learned
from annoloop.steps.llm.source import llm_source
from annoloop.steps.progress import OnProgress, silent
from annoloop.steps.rules.joining import Joining
from annoloop.steps.sources import model_source, rules_source
from annoloop.steps.wheel import forget_wheel
from annoloop.training.recipe import (
    default_recipes,
    encoders_of,
    is_own,
    load_recipe,
    wants_vectors,
)
from annoloop.training.sentence_vectors import installed_version
from annoloop.training.starts import BesideGold, PoolTexts, start_of
from annoloop.training.transformer import bert_name, starts_from_transformer
from annoloop.training.vectors import words_of
from annoloop.types import DevGold, Gold, PoolGold, Round, Split

if TYPE_CHECKING:
    from annoloop.rules.of_gold import RuleMaker
    from annoloop.training.search import Found
    from annoloop.training.train import Finish, Said


SEARCHED_FACT = "searched_recipe"
"""The recipe that the last search found: used while the settings name none."""

_POOL_TEXTS = 20_000
"""Of the pool, the first, for recipes that learn from texts without gold: more take minutes."""


def fingerprint(project: Project, pool: PoolGold, dev: DevGold) -> str:
    """16 hex digits that name all that shapes a model: gold, recipes, what these ask, rules, seed, tokens."""
    settings, named, kind = project.settings.training, recipes_of(project), project.scheme.kind
    rules = rules_source(project)
    shaped = {
        "gold": [_gold_line(gold) for gold in _sorted(pool)],
        "dev": [_gold_line(gold) for gold in _sorted(dev)],
        "recipes": [settings.recipes, settings.seed],
        "scheme": [kind, project.scheme.labels, project.settings.project.lang],
        "patterns": [rules.rules.version if rules else "", project.settings.rules.join],
        "spacy": version("spacy"),
        "tokens": RULES,
        **_asked(project, named or default_recipes(kind, rules=kind == "ner")),
    }
    encoded = json.dumps(shaped, sort_keys=True, ensure_ascii=True).encode()
    return hashlib.blake2b(encoded, digest_size=8).hexdigest()


def _asked(project: Project, recipes: Sequence[str]) -> dict[str, object]:
    """What recipes say, and what they learn from beside gold and rules: encoders, texts, an LLM, a BERT."""
    try:
        configs = [load_recipe(recipe, project.scheme.kind) for recipe in recipes]
    except TrainingError:
        # Said where it is trained; names are also asked for where nothing is.
        return {"configs": list(recipes)}
    starts = {start_of(recipe) for recipe in recipes if is_own(recipe)}
    # A path may hold another config tomorrow, and a recipe's name other settings in the next version.
    own = [recipe for recipe in recipes if is_own(recipe)]
    asked: dict[str, object] = {"configs": [*own, *(config.to_str(interpolate=False) for config in configs)]}
    if encoders := sorted({name for config in configs for name in encoders_of(config)}):
        asked["encoders"] = [[name, installed_version(name)] for name in encoders]
    if any(map(wants_vectors, configs)):
        words = words_of(_pool_texts(project), project.settings.project.lang)
        asked["words"] = hashlib.blake2b("\n".join(sorted(words)).encode("utf8", "replace")).hexdigest()
    if "pretrained" in starts:
        asked["pool"] = _pool_names(project)
    if "silver" in starts:
        asked["silver"] = [_gold_line(said) for said in _silver(project)]
    if any(map(starts_from_transformer, configs)):
        asked["transformer"] = bert_name(project.transformer)
    return asked


def recipes_of(project: Project) -> tuple[str, ...] | None:
    """The recipes to choose from: as set, else what a search found, else None: the defaults.

    The path of a config is the project's, as all paths in its settings are, wherever the command is run.
    """
    named = project.settings.training.recipes
    if named != ("auto",):
        beside = (project.folder / name for name in named)
        pairs = zip(named, beside, strict=True)
        return tuple(str(path) if not is_own(name) and path.is_file() else name for name, path in pairs)
    found = project.store.fact(SEARCHED_FACT)
    return (found,) if found else None


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
    if record.fingerprint == name and record.model and _is_whole(project.folder / record.model):
        keep_learned(project, name, [*pool, *dev])
        return record
    rules = rules_source(project)
    joining = Joining(project, rules, dev) if rules else None
    trained = train_recipes(
        pool,
        dev,
        scheme=project.scheme,
        lang=project.settings.project.lang,
        seed=settings.seed,
        out=project.models / f"round-{number}",
        recipes=recipes_of(project),
        rules=rule_maker(project),
        transformer=project.transformer,
        with_dev=True,
        beside=beside_gold(project),
        finish=_unnamed_until_kept(project, record, joining),
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
        dev_seeds=(),
    )
    said = {name: prediction.annotation for name, prediction in trained.dev_said.items()}
    record = replace(record, dev=score(project.scheme, list(dev), said, seed=settings.seed))
    source = model_source(project, record)
    details = {name: source.detail(prediction) for name, prediction in trained.dev_said.items()}
    project.store.save_predictions(source.dev_key, said, details=details)
    project.store.save_round(record)
    keep_learned(project, name, [*pool, *dev])
    forget_wheel(project)
    return record


def _is_whole(model: Path) -> bool:
    """Whether a model is there and can be loaded."""
    from annoloop.training.predict import load_model

    try:
        load_model(model)
    except (AnnoloopError, ImportError, OSError, ValueError, KeyError):
        return False
    return True


def _unnamed_until_kept(project: Project, record: Round, joining: Joining | None) -> Finish:
    """The last step of a training: the round has no model until the new one is kept.

    A training that is killed before the new one is kept leaves no model under the name of another.
    """

    def finish(folder: Path, said: Said, crossed: Callable[[], Said]) -> Said:
        kept = joining(folder, said, crossed) if joining else said
        if record.fingerprint is not None:
            project.store.save_round(replace(record, model=None, fingerprint=None))
        return kept

    return finish


def search(project: Project, *, minutes: float, on_progress: OnProgress = silent) -> Found:
    """Look for a better recipe for so many minutes; from then on `train` uses what was found.

    Where too little was compared to decide, `train` goes on with what it used before. What was tried is kept
    in the models' folder: a run that was stopped goes on from there.

    Raises:
        TrainingError: there is too little gold to learn from or to choose by, or the settings name recipes.
    """
    from annoloop.training.search import search as search_recipes

    settings = project.settings
    if settings.training.recipes != ("auto",):
        raise TrainingError(
            f"{project.folder}: the settings name the recipes: {', '.join(settings.training.recipes)}",
            hint='a search needs recipes = ["auto"] in [training]',
        )
    pool, dev = project.pool_gold(), project.dev_gold()
    require_gold(project, pool, dev)
    found = search_recipes(
        pool,
        dev,
        scheme=project.scheme,
        lang=settings.project.lang,
        seed=settings.training.seed,
        minutes=minutes,
        log=project.models / "search.jsonl",
        rules=rule_maker(project),
        on_progress=on_progress,
    )
    if found.decided:
        project.store.set_fact(SEARCHED_FACT, found.recipe)
    return found


def beside_gold(project: Project) -> BesideGold:
    """The project's texts without gold, as recipes may ask for them; nothing is read before."""
    return BesideGold(lambda: _pool_texts(project), lambda: _silver(project), project.models / "starts")


def _pool_texts(project: Project) -> PoolTexts:
    return PoolTexts(project.store.examples(hashes=_pool_names(project)))


def _pool_names(project: Project) -> list[str]:
    # Asked or not: which are asked changes from day to day, and would make another model of the same gold.
    return [name for _, name in islice(project.store.places("pool"), _POOL_TEXTS)]


def _silver(project: Project) -> PoolGold:
    """What the project's LLM said of texts of the pool that no person has answered; nobody is asked."""
    source = llm_source(project)
    if source is None:
        return PoolGold()
    answered = {example.input_hash for example in project.store.answered_examples("pool")}
    free = [name for _, name in project.store.places("pool") if name not in answered]
    said = project.predictions(source.key, hashes=free)
    found = {name: annotation for name, (annotation, _) in said.items() if annotation is not None}
    examples = project.store.examples(hashes=[name for name in free if name in found][:_POOL_TEXTS])
    return PoolGold(tuple(Gold(example, found[example.input_hash]) for example in examples))


def rule_maker(project: Project) -> RuleMaker | None:
    """The rules that a recogniser learns with: the project's and what makes others of the gold; for ner."""
    if project.scheme.kind != "ner":
        return None
    from annoloop.rules.of_gold import RuleMaker

    source, settings = rules_source(project), project.settings
    own, join = source.rules if source else None, settings.rules.join != "never"
    return RuleMaker(project.scheme, settings.project.lang, own, join)


def train_seeds(project: Project, record: Round, *, seeds: int, on_progress: OnProgress = silent) -> Round:
    """Train a trained round's recipe with so many seeds, and keep their scores on dev with the round.

    Nothing to do where so many are kept. Undefined scores are left out.

    Raises:
        TrainingError: there is too little gold to learn from or to choose by.
    """
    if record.recipe is None or len(record.dev_seeds) >= seeds:
        return record
    made = dev_scores(project, record.recipe, seeds=seeds, on_progress=on_progress)
    record = replace(record, dev_seeds=tuple(score for score in made if score is not None))
    project.store.save_round(record)
    return record


def dev_scores(
    project: Project, recipe: str, *, seeds: int, on_progress: OnProgress = silent
) -> list[float | None]:
    """The scores on dev of one recipe after the pool's gold with so many seeds, from the settings' seed on.

    Raises:
        TrainingError: there is too little gold to learn from or to choose by.
    """
    from annoloop.training.train import train as train_recipes

    pool, dev = project.pool_gold(), project.dev_gold()
    require_gold(project, pool, dev)
    rules = rule_maker(project)
    first, made = project.settings.training.seed, []
    for seed in range(first, first + seeds):
        with tempfile.TemporaryDirectory() as out:
            trained = train_recipes(
                pool,
                dev,
                scheme=project.scheme,
                lang=project.settings.project.lang,
                seed=seed,
                out=Path(out) / "model",
                recipes=[recipe],
                rules=rules,
                transformer=project.transformer,
                beside=beside_gold(project),
                on_progress=on_progress,
            )
        made.append(trained.dev_score)
    return made


def require_gold(project: Project, pool: PoolGold, dev: DevGold) -> None:
    """Raise `TrainingError` where there is nothing to learn from or to choose by."""
    sides: tuple[tuple[PoolGold | DevGold, Split], ...] = ((pool, "pool"), (dev, "dev"))
    for gold, split in sides:
        if len(gold):
            continue
        if not project.store.example_counts()[split]:
            raise TrainingError(
                f"{project.folder}: there are no texts in {split}",
                hint=f"add some: annoloop add PROJECT FILE{' --split dev' if split == 'dev' else ''}",
            )
        raise TrainingError(
            f"{project.folder}: no answered texts in {split}",
            hint="label some: annoloop review PROJECT, or let annoloop loop PROJECT prepare a batch",
        )
