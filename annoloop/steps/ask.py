"""Which texts the expert is asked about: first the blind ones to judge by, then a batch a round."""

from __future__ import annotations

from collections.abc import Container, Sequence
from dataclasses import dataclass
from typing import Any

from annoloop.errors import AnnoloopError
from annoloop.project import Project
from annoloop.steps.progress import OnProgress, silent
from annoloop.steps.sources import ModelSource, Source, latest_model
from annoloop.steps.suggest import doubtful, suggestions
from annoloop.steps.vote import disagreements, voters
from annoloop.types import Example, Round, Task

BLIND_ROUND = 0
RANKED_TEXTS = 2_000
"""Pool texts that a model of spans reads before it says which it doubts most, or that are voted on."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """How many questions of a round are answered and how many are not."""

    round: int
    done: int
    open: int


def waiting(project: Project, number: int) -> Waiting:
    """Where a round's questions stand."""
    done, still_open = project.store.progress().per_round.get(number, (0, 0))
    return Waiting(number, done, still_open)


def ask_blind(project: Project, *, limit: int | None = None, known: Container[str] | None = None) -> Waiting:
    """Ask, without suggestion, about the held-out and dev texts that have no answer yet.

    `limit` caps how many of each a person is asked for; they are drawn by hash, which no choice shapes.
    `known` holds the input hashes that the one who answers can answer; None means all.
    """
    store = project.store
    for split in ("held_out", "dev"):
        examples = _answerable(store.examples(split=split), known)  # type: ignore[arg-type]
        drawn = sorted(examples, key=lambda eg: eg.input_hash)[:limit]
        answered = {a.input_hash for a in store.answers_in_force(hashes=[eg.input_hash for eg in drawn])}
        # Held-out texts come first: nothing can be judged without them.
        priority = 1.0 if split == "held_out" else 0.0
        fresh = (eg for eg in drawn if eg.input_hash not in answered)
        store.add_tasks(project.task(eg, number=BLIND_ROUND, priority=priority) for eg in fresh)
    return waiting(project, BLIND_ROUND)


def _answerable(examples: Sequence[Example], known: Container[str] | None) -> list[Example]:
    return [eg for eg in examples if known is None or eg.input_hash in known]


def open_round(
    project: Project,
    number: int,
    *,
    batch: int,
    source: Source | None,
    known: Container[str] | None = None,
    on_progress: OnProgress = silent,
) -> Round:
    """Choose a round's texts and ask about them, with the suggestions of `source`; the same once begun.

    Returns the round as the store keeps it; its tasks are empty where the pool has no text left.
    """
    store = project.store
    begun = {record.number: record for record in store.rounds()}
    if number in begun:
        return begun[number]
    tasks = store.tasks(round=number)
    model = latest_model(project)
    strategy, seed = _strategy(project, model), project.settings.training.seed
    if not tasks:
        pool = _answerable(_unasked(project), known)
        on_progress(f"choosing the texts of round {number}", 0, 0)
        chosen = _choose(
            project, number, pool, batch=batch, model=model, strategy=strategy, on_progress=on_progress
        )
        tasks = _tasks(project, number, chosen, source, on_progress)
        store.add_tasks(tasks)
    record = Round(number, strategy, seed, tuple(task.task_hash for task in tasks))
    if tasks:
        store.save_round(record)
    return record


def _unasked(project: Project) -> list[Example]:
    store = project.store
    pool = store.examples(split="pool")
    answered = {answer.input_hash for answer in store.answers_in_force()}
    asked = {task.example.input_hash for task in store.tasks()}
    return [eg for eg in pool if eg.input_hash not in answered and eg.input_hash not in asked]


def _strategy(project: Project, model: ModelSource | None) -> str:
    from annoloop.selection.strategies import strategy_for

    wanted = strategy_for(project.scheme, project.settings.selection.strategy)
    if wanted == "disagreement":
        return wanted if len(voters(project)) > 1 else "random"
    # Spans are ranked by the model's own doubt; before the first model there is none.
    return "random" if project.scheme.has_spans and model is None else wanted


def _choose(
    project: Project,
    number: int,
    pool: list[Example],
    *,
    batch: int,
    model: ModelSource | None,
    strategy: str,
    on_progress: OnProgress,
) -> list[Example]:
    import numpy as np

    from annoloop.selection.proxy import Proxy
    from annoloop.selection.strategies import select

    if not pool:
        return []
    rng = np.random.default_rng([project.settings.training.seed, number])
    if (project.scheme.has_spans or strategy == "disagreement") and len(pool) > RANKED_TEXTS:
        # A model reads its whole candidate list each round; a sample by lot keeps the choice fair.
        pool = sorted(pool, key=lambda eg: eg.input_hash)
        pool = [pool[i] for i in rng.choice(len(pool), RANKED_TEXTS, replace=False)]
    proxy = Proxy([eg.text for eg in pool])
    probabilities: Any = None
    if strategy == "disagreement":
        apart = disagreements(project, pool, on_progress=on_progress)
        # Where only one votes nobody differs.
        probabilities = np.asarray([value or 0.0 for value in apart], dtype=np.float64)
    elif strategy != "random":
        probabilities = _probabilities(project, pool, proxy, model)
    chosen = select(
        strategy,
        [eg.input_hash for eg in pool],
        n=batch,
        rng=rng,
        probabilities=probabilities,
        features=proxy.features,
        random_share=project.settings.selection.random_share,
    )
    return [pool[index] for index in chosen]


def _probabilities(project: Project, pool: Sequence[Example], proxy: Any, model: ModelSource | None) -> Any:
    if not project.scheme.has_spans:
        seed = project.settings.training.seed
        return proxy.probabilities(project.pool_gold(), scheme=project.scheme, seed=seed)
    if model is None:
        return None
    import numpy as np

    from annoloop.selection.strategies import uncertainty_per_cost
    from annoloop.training.predict import uncertainty

    doubts = uncertainty(model.path, [eg.text for eg in pool], scheme=project.scheme)
    tokens = np.asarray([len(eg.text.split()) for eg in pool], dtype=np.int64)
    return uncertainty_per_cost(np.asarray(doubts, dtype=np.float64), tokens)


def _tasks(
    project: Project,
    number: int,
    chosen: Sequence[Example],
    source: Source | None,
    on_progress: OnProgress,
) -> tuple[Task, ...]:
    suggested = suggestions(project, source, chosen, on_progress=on_progress) if source else {}
    unsure = doubtful(project, source, chosen) if source else set()
    tasks = []
    for place, example in enumerate(chosen):
        suggestion = suggested.get(example.input_hash)
        # What needs the expert's eye most comes first.
        priority = (example.input_hash in unsure) + 1.0 - place / max(len(chosen), 1)
        tasks.append(project.task(example, number=number, priority=priority, suggestion=suggestion))
    return tuple(tasks)


def answer_with(project: Project, oracle: Any, number: int) -> tuple[int, int]:
    """Let the simulated expert answer a round's open questions; returns (answered, not in its gold)."""
    store = project.store
    tasks = store.tasks(round=number, open_only=True)
    # A text that several are asked about stays open after its one answer.
    hashes = [task.example.input_hash for task in tasks]
    said = {answer.input_hash for answer in store.answers_in_force(oracle.annotator, hashes=hashes)}
    asked = [task for task in tasks if task.example.input_hash not in said]
    answers = [oracle.answer(task, seq=place + 1) for place, task in enumerate(asked)]
    known = [answer for answer in answers if answer is not None]
    store.save_answers(known)
    return len(known), len(answers) - len(known)


def require_texts(project: Project, *, known: Container[str] | None = None) -> None:
    """Raise where the project has no texts to learn from, to choose by, or to judge by.

    `known` holds the input hashes that a simulated expert can answer: it must know some of each, unless
    they have answers already.
    """
    counts = project.store.example_counts()
    missing = [_SPLIT_NAMES[split] for split, count in counts.items() if not count]
    if missing:
        raise AnnoloopError(
            f"{project.folder} has {sum(counts.values())} texts, none of them {' and none '.join(missing)}",
            hint="add more texts, or choose where they go with --split: annoloop add PROJECT FILE "
            "(texts that are nearly the same stay on one side)",
        )
    if known is None:
        return
    for split, count in counts.items():
        examples = project.store.examples(split=split)
        if _answerable(examples, known):
            continue
        if not project.store.answers_in_force(hashes=[eg.input_hash for eg in examples]):
            raise AnnoloopError(
                f"the simulated expert knows none of the {count} texts {_SPLIT_NAMES[split]}",
                hint="give it gold of these very texts, character by character; --oracle may be repeated",
            )


_SPLIT_NAMES = {"pool": "to learn from", "dev": "to choose by (dev)", "held_out": "to judge by (held out)"}
