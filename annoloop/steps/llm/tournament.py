"""A blind tournament of LLM versions on pool texts: somebody says which of two answers is better.

Its texts are never dev or held-out ones: who has seen what an LLM says of them is no longer blind to them.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import Any

from annoloop.errors import AnnoloopError, BlindnessError
from annoloop.evaluation.tournament import Outcome, Strength, bradley_terry
from annoloop.hashing import fraction, input_hash
from annoloop.project import Project
from annoloop.steps.llm.source import shown_examples
from annoloop.store.duels import Duel as Decided
from annoloop.store.duels import Winner
from annoloop.types import Annotation, Example

_CONTESTANTS_FACT = "llm.contestants"
ENOUGH = 20
"""Decisions before which nobody is told how it stands, or what they see next would sway them."""
_POINTS: Mapping[Winner, float] = {"left": 1.0, "right": 0.0, "both": 0.5, "neither": 0.5}


@dataclass(frozen=True, slots=True)
class Duel:
    """Two annotations of a pool text, to be judged without knowing whose they are.

    `duel_id` names this one showing of it, so that a decision sent twice counts once.
    """

    duel_id: str
    example: Example
    left: Annotation
    right: Annotation
    left_source: str
    right_source: str

    def __post_init__(self) -> None:
        if self.example.split != "pool":
            raise BlindnessError(
                f"text {self.example.input_hash} is in {self.example.split}, not in pool",
                hint="answers of LLMs are compared by eye on pool texts only",
            )


@dataclass(frozen=True, slots=True)
class Standing:
    """How far a tournament has come: what `annotator` decided and has left, what all decided together.

    `places` are the contestants by name, strongest first; empty until there are `wanted` decisions, or none
    is left to be made. `versions` tells what each name stands for.
    """

    decided: int
    left: int
    decisions: int
    wanted: int
    places: tuple[Strength, ...]
    versions: Mapping[str, str]


def contestable(project: Project) -> tuple[Example, ...]:
    """The pool texts that LLMs may be compared on, in an order drawn by hash: without those shown to them.

    Raises:
        FormatError: examples.jsonl has a bad row.
        BlindnessError: it holds a dev or held-out text.
    """
    return _in_order(project, project.store.examples(split="pool"))


def _in_order(project: Project, examples: Iterable[Example]) -> tuple[Example, ...]:
    shown = {input_hash(shot.text) for shot in shown_examples(project)}
    kept = (eg for eg in examples if eg.split == "pool" and eg.input_hash not in shown)
    return tuple(sorted(kept, key=lambda eg: fraction(eg.input_hash, "tournament")))


def set_contestants(project: Project, named: Mapping[str, tuple[str, str]]) -> None:
    """Say who takes part: a name and a version for each source's key."""
    project.store.set_fact(_CONTESTANTS_FACT, {key: list(names) for key, names in named.items()})


def contestants(project: Project) -> dict[str, tuple[str, str]]:
    """Who takes part, name and version by source key; empty before anybody was asked."""
    found: dict[str, Any] = project.store.fact(_CONTESTANTS_FACT, {})
    return {key: (names[0], names[1]) for key, names in found.items()}


def next_duel(project: Project, annotator: str) -> Duel | None:
    """The next two answers that differ and that this annotator has not judged; None where none is left.

    The pair of sources that met least often comes first. Which of the two stands left is drawn by hash from
    text, pair and annotator.
    """
    decided = project.store.duels_in_force(annotator=annotator)
    done = {(one.input_hash, frozenset((one.left_source, one.right_source))) for one in decided}
    met = Counter(pair for _, pair in done)
    waiting = [
        (met[frozenset(pair.sources)], place, pair)
        for place, pair in enumerate(_pairs(project))
        if pair.identity not in done
    ]
    if not waiting:
        return None
    _, _, pair = min(waiting, key=lambda one: one[:2])
    return _shown(project, pair, annotator)


@dataclass(frozen=True, slots=True)
class _Pair:
    """A pool text of which two sources say different things."""

    example: Example
    sources: tuple[str, str]
    said: tuple[Annotation, Annotation]

    @property
    def identity(self) -> tuple[str, frozenset[str]]:
        return self.example.input_hash, frozenset(self.sources)


def _pairs(project: Project) -> list[_Pair]:
    said = {key: _kept(project, key) for key in sorted(contestants(project))}
    differing = [
        (text, sources)
        for sources in combinations(said, 2)
        for text in said[sources[0]].keys() & said[sources[1]].keys()
        if said[sources[0]][text] != said[sources[1]][text]
    ]
    # Answers on dev and held-out texts are kept under the same keys: those texts are not read here.
    texts = project.store.examples(split="pool", hashes=sorted({text for text, _ in differing}))
    order = {eg.input_hash: (place, eg) for place, eg in enumerate(_in_order(project, texts))}
    there = sorted((order[text][0], sources, text) for text, sources in differing if text in order)
    return [
        _Pair(order[text][1], sources, (said[sources[0]][text], said[sources[1]][text]))
        for _, sources, text in there
    ]


def _kept(project: Project, key: str) -> dict[str, Annotation]:
    found = project.predictions(key)
    return {text: said for text, (said, _) in found.items() if said is not None}


def _shown(project: Project, pair: _Pair, annotator: str) -> Duel:
    identity = "\x1f".join((pair.example.input_hash, *pair.sources, annotator))
    left = int(fraction(input_hash(identity), "sides") < 0.5)
    # Undone, a duel comes again as another one.
    times = sum(
        (one.input_hash, frozenset((one.left_source, one.right_source))) == pair.identity
        for one in project.store.duels(annotator=annotator)
    )
    return Duel(
        input_hash(f"{identity}\x1f{times}"),
        pair.example,
        pair.said[left],
        pair.said[1 - left],
        pair.sources[left],
        pair.sources[1 - left],
    )


def decide(project: Project, duel: Duel, winner: Winner, *, annotator: str, milliseconds: int = 0) -> bool:
    """Keep who won; False where this showing of the duel is decided already.

    Raises:
        BlindnessError: the text is no longer a pool text; nothing is kept then.
    """
    if project.store.splits([duel.example.input_hash]).get(duel.example.input_hash) != "pool":
        raise BlindnessError(
            "this text is not a pool text any more, so nothing was kept", hint="go on with the next"
        )
    return project.store.save_duel(
        Decided(
            duel_id=duel.duel_id,
            input_hash=duel.example.input_hash,
            left_source=duel.left_source,
            right_source=duel.right_source,
            winner=winner,
            annotator=annotator,
            milliseconds=milliseconds,
            seq=_now(project, annotator),
        )
    )


def undo(project: Project, annotator: str) -> bool:
    """Take the annotator's last decision back, so that its duel comes again; False where there is none."""
    decided = project.store.duels_in_force(annotator=annotator)
    playing = set(contestants(project))
    mine = [one for one in decided if {one.left_source, one.right_source} <= playing]
    if not mine:
        return False
    last = mine[-1]
    return project.store.save_duel(
        Decided(
            duel_id=input_hash(f"undone\x1f{last.duel_id}"),
            input_hash=last.input_hash,
            left_source=last.left_source,
            right_source=last.right_source,
            winner="undone",
            annotator=annotator,
            milliseconds=0,
            seq=_now(project, annotator),
        )
    )


def _now(project: Project, annotator: str) -> int:
    """Microseconds since 1970, after all that this annotator decided, whatever the clock says."""
    last = max((one.seq for one in project.store.duels(annotator=annotator)), default=0)
    return max(time.time_ns() // 1000, last + 1)


def standing(project: Project, annotator: str) -> Standing:
    """How far the tournament has come, and once there are enough decisions, who is ahead.

    Raises:
        AnnoloopError: nobody takes part.
    """
    playing = contestants(project)
    if len(playing) < 2:
        raise AnnoloopError("no LLMs are compared yet", hint="annoloop llm compare PROJECT --pool 50")
    pairs = {pair.identity for pair in _pairs(project)}
    # Only what could be seen today counts: contestants change, and texts move.
    counted = [
        one
        for one in project.store.duels_in_force()
        if (one.input_hash, frozenset((one.left_source, one.right_source))) in pairs
    ]
    mine = sum(one.annotator == annotator for one in counted)
    wanted = max(ENOUGH, 10 * len(playing))
    outcomes = [
        Outcome(
            one.input_hash, playing[one.left_source][0], playing[one.right_source][0], _POINTS[one.winner]
        )
        for one in counted
    ]
    told = bool(outcomes) and (len(counted) >= wanted or mine == len(pairs))
    names = [name for name, _ in playing.values()]
    places = bradley_terry(outcomes, names, seed=project.settings.training.seed) if told else ()
    return Standing(mine, len(pairs) - mine, len(counted), wanted, places, dict(playing.values()))
