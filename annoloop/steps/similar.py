"""Texts of the pool that mean nearly what a given one means: to find more of a rare label."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from annoloop.errors import AnnoloopError, BlindnessError
from annoloop.hashing import input_hash
from annoloop.project import Project
from annoloop.selection.strategies import lowest
from annoloop.selection.vectors import has_encoder
from annoloop.steps.pool import pool_features, pool_vectors
from annoloop.steps.progress import OnProgress, silent
from annoloop.store.gold import gold_from_answers
from annoloop.types import Annotation, Example

By = Literal["vectors", "words"]

_NAME = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True, slots=True)
class SimilarText:
    """A text of the pool. `closeness` is a cosine, 1 at most; `gold` what people say of it, if anything."""

    example: Example
    closeness: float
    gold: Annotation | None


@dataclass(frozen=True, slots=True)
class Similar:
    """The texts found, the nearest first, among `looked_at`; `by` says how they were compared.

    `asked_in` is the round in which people are now asked about them first, None where they are not.
    """

    text: str
    by: By
    found: tuple[SimilarText, ...]
    looked_at: int
    asked_in: int | None

    def to_json(self) -> dict[str, Any]:
        """Plain values, as `--json` prints them."""
        return {
            "text": self.text,
            "by": self.by,
            "looked_at": self.looked_at,
            "asked_in": self.asked_in,
            "found": [
                {
                    "input_hash": one.example.input_hash,
                    "closeness": round(one.closeness, 4),
                    "text": one.example.text,
                    "labels": _labels(one.gold),
                }
                for one in self.found
            ],
        }


def similar(
    project: Project,
    text: str,
    *,
    top: int = 20,
    labelled: bool = False,
    by_words: bool = False,
    ask: bool = False,
    on_progress: OnProgress = silent,
) -> Similar:
    """The `top` texts of the pool that are nearest to a text, or to one of the pool by its input hash.

    They are compared by sentence vectors, which are computed once and kept; by their words where the package
    that makes vectors is not installed, or `by_words` is set. Texts without a question or an answer, with
    `labelled` all of the pool. Held-out and dev texts are never shown, nor may one be what is looked for.
    `ask` puts the found texts first in the round that is under way.

    Raises:
        AnnoloopError: the text is blank, there is none to compare it with, or no round is under way in
            which to ask.
        BlindnessError: the text is one to judge or to choose by.
    """
    store = project.store
    wanted = _wanted(project, text)
    number = _under_way(project) if ask else None
    pool = store.places("pool") if labelled else store.unasked("pool")
    own = input_hash(wanted)
    pool = [place for place in pool if place[1] != own]
    if not pool:
        raise _nothing_to_look_at(project, labelled=labelled)
    by: By = "words" if by_words or not has_encoder() else "vectors"
    kept = (pool_features if by == "words" else pool_vectors)(project, pool, on_progress=on_progress)
    rows = kept.rows_of(np.asarray([at for at, _ in pool], dtype=np.int64))
    closeness = np.where(rows < 0, -np.inf, kept.closeness(wanted)[rows] if len(kept) else -np.inf)
    nearest = [place for place in lowest(-closeness, top).tolist() if closeness[place] > 0]
    hashes = [pool[place][1] for place in nearest]
    found = _found(project, hashes, closeness[nearest].tolist())
    if number is not None:
        new = _ask(project, [one.example for one in found if one.gold is None], number)
        number = number if new else None
    return Similar(wanted, by, found, len(pool), number)


def _wanted(project: Project, text: str) -> str:
    """The text that is looked for.

    Raises:
        AnnoloopError: it is blank, or the input hash of no text.
        BlindnessError: it is a held-out or a dev text: what is near to it must not shape what is learned.
    """
    named = _NAME.fullmatch(text.strip())
    known = project.store.examples(hashes=[named.group() if named else input_hash(text)], excluded=True)
    if named and not known:
        raise AnnoloopError(f"{project.folder} has no text of the input hash {named.group()}")
    if known and known[0].split != "pool":
        raise BlindnessError(
            f"this text is one of the {known[0].split} texts, to which nothing that is learned may be fitted",
            hint="look for one of the pool, or describe in words of your own what you look for",
        )
    found = known[0].text if known else text
    if not found.strip():
        raise AnnoloopError("nothing to look for: the text is blank", hint="give a text, or an input hash")
    return found


def _nothing_to_look_at(project: Project, *, labelled: bool) -> AnnoloopError:
    if not labelled and project.store.places("pool"):
        return AnnoloopError(
            f"{project.folder}: all other texts of the pool have a question or an answer",
            hint="look at those too: annoloop similar --labelled",
        )
    return AnnoloopError(
        f"{project.folder} has no other texts in its pool", hint="add some: annoloop add PROJECT FILE"
    )


def _under_way(project: Project) -> int:
    rounds = project.store.rounds()
    if not rounds or rounds[-1].model is not None:
        raise AnnoloopError(
            "no round is under way in which these texts could be asked about",
            hint=f"annoloop loop {project.folder} begins one; repeat this then",
        )
    return rounds[-1].number


def _found(project: Project, hashes: Sequence[str], closeness: Sequence[float]) -> tuple[SimilarText, ...]:
    examples = {eg.input_hash: eg for eg in project.store.examples(hashes=hashes)}
    answers = project.store.answers_in_force(hashes=list(hashes))
    gold = {
        item.example.input_hash: item.annotation
        for item in gold_from_answers(examples.values(), answers, project.scheme)
    }
    return tuple(
        SimilarText(examples[name], near, gold.get(name))
        for name, near in zip(hashes, closeness, strict=True)
    )


def _ask(project: Project, found: Sequence[Example], number: int) -> int:
    """Ask about these before the round's other questions, without suggestion; how many were not asked yet."""
    # A batch's own priorities end at 2.
    places = enumerate(found)
    return project.store.add_tasks(
        project.task(example, number=number, priority=3.0 - place / max(len(found), 1))
        for place, example in places
    )


def _labels(gold: Annotation | None) -> list[str] | None:
    if gold is None:
        return None
    return list(dict.fromkeys([*gold.labels, *(span.label for span in gold.spans)]))
