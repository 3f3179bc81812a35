"""The examples shown to an LLM before the question: of training gold or a file, never what is judged by."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol

from annoloop.errors import BlindnessError
from annoloop.hashing import input_hash
from annoloop.llm.questions import Shot
from annoloop.types import Annotation, DevGold, Example, Gold, GoldSet, HeldOutGold, LabelScheme, PoolGold

FEW_SHOT_MOST = 8
"""Few-shot examples in a prompt by default."""
_LONGEST_SHOT = 300


class Labelled(Protocol):
    """A row with its right answer, such as one of examples.jsonl."""

    @property
    def text(self) -> str:
        """The text."""

    @property
    def annotation(self) -> Annotation | None:
        """Its labels; None where the row has none."""


FewShot = PoolGold | Sequence[Labelled]


def few_shot_size(config: Mapping[str, Any], scheme: LabelScheme) -> int:
    """How many examples a prompt shows: few to the very small stand-in, whom many only confuse."""
    embedded = (config.get("model") or {}).get("base_url") == "embedded"
    # Fashion brands, 40 dev texts, 2 / 4 / 8 shots: F .41 / .27 / .23.
    wanted = len(scheme.labels) + (not scheme.is_exclusive)
    return min(wanted, FEW_SHOT_MOST) if embedded else FEW_SHOT_MOST


def choose_few_shot(gold: PoolGold, scheme: LabelScheme, *, most: int = FEW_SHOT_MOST) -> tuple[Shot, ...]:
    """Short, complete examples that show every label, and where one may be without any, that too.

    The same gold gives the same examples, whatever its order; texts above 300 characters come last.
    """
    if not isinstance(gold, PoolGold):
        raise BlindnessError("few-shot examples come from pool gold only", hint="never from dev or held-out")
    usable = sorted(
        (one for one in gold if one.complete),
        key=lambda one: (len(one.example.text) > _LONGEST_SHOT, one.example.input_hash),
    )
    several = scheme.kind == "textcat_multilabel"
    groups = {label: [one for one in usable if label in _labels(one)] for label in scheme.labels}
    if not scheme.is_exclusive:
        without = {"": [one for one in usable if not _labels(one)]}
        # Where there are more categories than examples, the last of them are in none.
        groups = without | groups if several else groups | without
    chosen: dict[str, Gold] = {}
    for turn in range(most):
        for label, group in groups.items():
            if several and turn == 0 and any(label in _labels(one) for one in chosen.values()):
                continue
            if turn < len(group) and len(chosen) < most:
                chosen.setdefault(group[turn].example.input_hash, group[turn])
    return tuple(Shot(one.example.text, one.annotation) for one in chosen.values())


def _labels(gold: Gold) -> set[str]:
    return {*gold.annotation.labels, *(span.label for span in gold.annotation.spans)}


def shots_of(few_shot: FewShot, scheme: LabelScheme, *, most: int) -> tuple[Shot, ...]:
    """Few-shot examples as they are shown: chosen from pool gold, at most `most`, or all rows given.

    Raises:
        BlindnessError: they are gold of another split.
    """
    if isinstance(few_shot, DevGold | HeldOutGold) or (
        isinstance(few_shot, GoldSet) and not isinstance(few_shot, PoolGold)
    ):
        raise BlindnessError(
            f"few-shot examples cannot be {few_shot.split} gold",
            hint="they come from pool gold or examples.jsonl",
        )
    if isinstance(few_shot, PoolGold):
        return choose_few_shot(few_shot, scheme, most=most)
    if any(isinstance(row, Gold) for row in few_shot):
        raise BlindnessError("few-shot gold comes as PoolGold", hint="PoolGold(items) checks the split")
    return tuple(Shot(row.text, row.annotation) for row in few_shot if row.annotation is not None)


def refuse_blind(shots: Sequence[Shot], asked: Iterable[Example]) -> None:
    """Refuse to ask about a text to be judged by whose answer is shown beside it.

    Raises:
        BlindnessError: a dev or held-out text is among the examples.
    """
    shown = {input_hash(shot.text): shot for shot in shots}
    for example in asked:
        if example.split != "pool" and example.input_hash in shown:
            raise BlindnessError(
                f"a few-shot example is a text to be judged by: {shown[example.input_hash].text[:60]!r}",
                hint="take it out of examples.jsonl",
            )
