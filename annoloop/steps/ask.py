"""Which texts the expert is asked about: first the blind ones to judge by, then a batch a round."""

from __future__ import annotations

from collections.abc import Container, Sequence
from dataclasses import dataclass, replace
from typing import Any

from annoloop.errors import AnnoloopError, SchemeError
from annoloop.project import Project
from annoloop.steps.pool import LOOKED_AT, by_lot, shortlist
from annoloop.steps.progress import OnProgress, silent
from annoloop.steps.signals import Signals, read_by_models
from annoloop.steps.sources import Source, latest_model
from annoloop.steps.suggest import doubtful, suggestions
from annoloop.types import Example, Round, Task

BLIND_ROUND = 0
CHOSEN_FACT = "chosen"
RANKED_TEXTS = 2_000
"""Pool texts that a model of spans reads before it says which it doubts most, that are voted on."""

LOOKED_THROUGH = 20_000
"""Pool texts in which rules and model look for a label that is sought."""


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
    begun = {task.example.input_hash for task in store.tasks(round=BLIND_ROUND)} if limit else set()
    for split in ("held_out", "dev"):
        examples = _answerable(store.examples(split=split), known)  # type: ignore[arg-type]
        # Those that were asked before more texts came count.
        drawn = sorted(examples, key=lambda eg: (eg.input_hash not in begun, eg.input_hash))[:limit]
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
    seek: Sequence[str] | None = None,
    known: Container[str] | None = None,
    on_progress: OnProgress = silent,
) -> Round:
    """Choose a round's texts and ask about them, with the suggestions of `source`; the same once begun.

    `batch` counts in `[selection] unit`s. `seek` names labels to be sought on purpose; None means the
    settings'. Returns the round as the store keeps it; its tasks are empty where the pool has no text left.

    Raises:
        SchemeError: a label to be sought is not in the project.
    """
    store = project.store
    begun = {record.number: record for record in store.rounds()}
    if number in begun:
        return begun[number]
    tasks = store.tasks(round=number)
    if not tasks:
        sought = sought_labels(project, seek)
        on_progress(f"choosing the texts of round {number}", 0, 0)
        pool = store.unasked("pool")
        if known is not None:
            pool = [text for text in pool if text[1] in known]
        strategy, chosen = _choose(project, number, pool, batch=batch, seek=sought, on_progress=on_progress)
        tasks = _tasks(project, number, chosen, source, on_progress)
        # Kept first: a run that is stopped between the two still knows how its tasks were chosen.
        store.set_fact(CHOSEN_FACT, {"round": number, "strategy": strategy})
        store.add_tasks(tasks)
    chosen_by = store.fact(CHOSEN_FACT) or {}
    strategy = chosen_by["strategy"] if chosen_by.get("round") == number else "random"
    seed = project.settings.training.seed
    record = Round(number, strategy, seed, tuple(task.task_hash for task in tasks))
    if tasks:
        store.save_round(record)
    return record


def sought_labels(project: Project, seek: Sequence[str] | None) -> tuple[str, ...]:
    """The labels to be sought: those given, or the settings'.

    Raises:
        SchemeError: the project has no such label.
    """
    labels = project.settings.selection.seek if seek is None else tuple(dict.fromkeys(seek))
    unknown = [label for label in labels if label not in project.scheme.labels]
    if unknown:
        raise SchemeError(
            f"label {unknown[0]!r} cannot be sought: it is not in the project",
            hint=f"known labels: {', '.join(project.scheme.labels)}",
        )
    return labels


def _choose(
    project: Project,
    number: int,
    pool: Sequence[tuple[int, str]],
    *,
    batch: int,
    seek: tuple[str, ...],
    on_progress: OnProgress,
) -> tuple[str, list[Example]]:
    """The strategy as it is recorded, and the texts, the most wanted first.

    `pool` has (position, input hash) of each text that may be asked about.
    """
    import numpy as np

    from annoloop.selection.batch import select
    from annoloop.selection.registry import default_for, settle

    settings = project.settings
    wanted = default_for(project.scheme, settings.selection.strategy)
    if not pool:
        return wanted[-1], []
    seed = (settings.training.seed, number)
    rng = np.random.default_rng(seed)
    model = latest_model(project)
    hashes, lot = _looked_at(pool, wanted, rng, Signals(project, (), model, on_progress), seek, batch, seed)
    texts = project.store.examples(hashes=hashes)
    signals = Signals(project, texts, model, on_progress)
    candidates = signals.candidates(wanted)
    budget, costs = signals.costs(batch)
    asked = batch if costs is None else max(1, round(budget / float(costs.mean())))
    strategy = settle(wanted, candidates, n=asked)
    rows = select(
        strategy,
        [eg.input_hash for eg in texts],
        candidates,
        budget=budget,
        rng=rng,
        costs=costs,
        random_share=settings.selection.random_share,
        groups=signals.groups(),
        sought=signals.sought(seek),
        by_lot=None if lot is None else np.asarray([eg.input_hash in lot for eg in texts]),
    )
    seeking = f", seeking {', '.join(seek)}" if seek else ""
    return strategy + seeking, [texts[row] for row in rows]


def _looked_at(
    pool: Sequence[tuple[int, str]],
    wanted: Sequence[str],
    rng: Any,
    signals: Signals,
    seek: tuple[str, ...],
    batch: int,
    seed: tuple[int, int],
) -> tuple[list[str], frozenset[str] | None]:
    """Input hashes of the texts that the strategies see: all where that takes no more than seconds.

    Also which of them the lot drew; None where these are all.
    """
    hashes = [name for _, name in pool]
    if read_by_models(wanted):
        return _narrowed(hashes, rng, signals, seek, signals.texts_of(batch))
    if len(pool) <= LOOKED_AT:
        return hashes, None
    return shortlist(
        signals.project,
        pool,
        wanted=wanted,
        seek=seek,
        batch=signals.texts_of(batch),
        seed=seed,
        on_progress=signals.on_progress,
    )


def _narrowed(
    hashes: list[str], rng: Any, signals: Signals, seek: tuple[str, ...], batch: int
) -> tuple[list[str], frozenset[str] | None]:
    """As many texts as a model may read in a round: a sample by lot, and the likeliest ones of a label.

    Also which of them the lot drew; None where these are all.
    """
    if len(hashes) <= RANKED_TEXTS:
        return hashes, None
    kept = [hashes[row] for row in by_lot(hashes, RANKED_TEXTS, rng.integers(2**32, size=2).tolist())]
    drawn = frozenset(kept)
    if seek:
        looked_at = by_lot(hashes, LOOKED_THROUGH, rng.integers(2**32, size=2).tolist())
        texts = signals.project.store.examples(hashes=[hashes[row] for row in looked_at])
        found = replace(signals, examples=texts).sought(seek)
        for column in () if found is None else found.T:
            best = column.argsort(kind="stable")[::-1][:batch]
            kept += [texts[i].input_hash for i in best if column[i] > 0]
    return list(dict.fromkeys(kept)), drawn


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
