"""How much gold there is of which label: counted once, then only where something new was answered."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from weakref import WeakKeyDictionary

from annoloop.project import Project
from annoloop.store.gold import gold_from_answers
from annoloop.store.store import Store
from annoloop.types import SPLITS, Example, Gold, LabelScheme, Split

EVERYTHING = 5_000
"""More new texts than this are read in one go instead of by their hashes."""


@dataclass(frozen=True, slots=True)
class GoldCounts:
    """Texts with gold and their labels, by split; `blind` counts the held-out texts answered blind."""

    texts: Mapping[Split, int]
    labels: Mapping[Split, Mapping[str, int]]
    blind: int


@dataclass
class _Tally:
    """What each text adds to the counts, and up to which answer that holds."""

    scheme: LabelScheme
    position: int = 0
    gold: dict[str, tuple[Split, tuple[str, ...], bool]] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)


_tallies: WeakKeyDictionary[Store, _Tally] = WeakKeyDictionary()
_guard = threading.Lock()


def gold_counts(project: Project) -> GoldCounts:
    """The counts as they stand; after the first call in a process only newly answered texts are read."""
    with _guard:
        tally = _tallies.get(project.store)
        if tally is None or tally.scheme != project.scheme:
            tally = _tallies[project.store] = _Tally(project.scheme)
    with tally.lock:
        _bring_up_to_date(project, tally)
        return _summed(tally)


def _bring_up_to_date(project: Project, tally: _Tally) -> None:
    store = project.store
    newest = store.newest_answer()
    if newest == tally.position:
        return
    hashes = store.answered_after(tally.position)
    answers = store.answers_in_force(hashes=None if len(hashes) > EVERYTHING else sorted(hashes))
    splits = store.splits(hashes)
    for input_hash in hashes:
        tally.gold.pop(input_hash, None)
    # Gold needs of a text only its name and its split: the texts themselves stay where they are.
    examples = [Example(name, "", split=split) for name, split in splits.items()]
    for gold in gold_from_answers(examples, answers, project.scheme):
        tally.gold[gold.example.input_hash] = (gold.example.split, _labels(gold), gold.blind)
    tally.position = newest


def _labels(gold: Gold) -> tuple[str, ...]:
    return (*gold.annotation.labels, *(span.label for span in gold.annotation.spans))


def _summed(tally: _Tally) -> GoldCounts:
    texts: Counter[Split] = Counter()
    labels: dict[Split, Counter[str]] = {split: Counter() for split in SPLITS}
    for split, names, _ in tally.gold.values():
        texts[split] += 1
        labels[split].update(names)
    ordered = {split: {name: labels[split][name] for name in tally.scheme.labels} for split in SPLITS}
    blind = sum(blind for split, _, blind in tally.gold.values() if split == "held_out")
    return GoldCounts({split: texts[split] for split in SPLITS}, ordered, blind)
