"""Which texts are for learning, choosing and judging: by hash, near-duplicates on one side."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from annoloop.corpus.near_duplicates import group
from annoloop.hashing import fraction
from annoloop.types import Split

SALT = "annoloop split"
FEWEST_TEXTS = 10
"""From here on dev and held-out are not left empty by chance."""

_PROTECTION: Mapping[Split, int] = {"pool": 0, "dev": 1, "held_out": 2}


@dataclass(frozen=True, slots=True)
class Collision:
    """A text that is nearly the same as one of a split it must not be learned or chosen from.

    `input_hash` is in `split` (pool or dev); `other`, its near-duplicate, is in the more protected
    `other_split`. Whoever trains leaves `input_hash` out.
    """

    input_hash: str
    split: Split
    other: str
    other_split: Split


@dataclass(frozen=True, slots=True)
class SplitPlan:
    """The split of every new text, and where near-duplicates could not be kept on one side."""

    splits: Mapping[str, Split] = field(default_factory=dict)
    collisions: tuple[Collision, ...] = ()


def assign_splits(
    new: Sequence[tuple[str, str]],
    existing: Iterable[tuple[str, str, Split]],
    *,
    held_out: float,
    dev: float,
    threshold: float,
    forced: Split | None = None,
) -> SplitPlan:
    """Give every new text a split; the order of `new` does not matter.

    A group of near-duplicates goes where its smallest hash says, or joins the split of an existing text
    in it (the most protected, where it meets several). With `FEWEST_TEXTS` or more texts in all, dev and
    held-out get at least half of their share and at least one text, as long as there are enough groups.

    Args:
        new: (input hash, text) of texts that are not in `existing`.
        existing: (input hash, text, split) of the corpus; never moved. Not looked at where `new` is empty.
        held_out, dev: shares in [0, 1], together at most 1.
        threshold: Jaccard index from which on two texts are near-duplicates.
        forced: put all new texts here; existing texts that collide with them are reported.
    """
    if not 0 <= held_out <= 1 or not 0 <= dev <= 1 or held_out + dev > 1:
        raise ValueError(f"shares held_out={held_out} and dev={dev} are not within 0 and 1 together")
    if not new:
        return SplitPlan()
    new = sorted(dict(new).items())
    old = list(existing)
    groups = _groups(new, old, threshold)
    fixed: dict[str, Split] = {text_hash: split for text_hash, _, split in old}
    if forced is not None:
        splits: dict[str, Split] = {text_hash: forced for text_hash, _ in new}
    else:
        splits = _by_hash(groups, fixed, held_out, dev)
        _top_up(splits, groups, fixed, held_out, dev)
    return SplitPlan(splits, _collisions(groups, splits, fixed))


def _groups(
    new: Sequence[tuple[str, str]], old: Sequence[tuple[str, str, Split]], threshold: float
) -> list[list[str]]:
    """The groups with a new text in them, as hashes: existing texts first, then new ones sorted."""
    hashes = [*(text_hash for text_hash, _, _ in old), *(text_hash for text_hash, _ in new)]
    firsts = group([*(text for _, text, _ in old), *(text for _, text in new)], threshold=threshold)
    members: defaultdict[int, list[str]] = defaultdict(list)
    for text_hash, first in zip(hashes, firsts, strict=True):
        members[first].append(text_hash)
    touched = set(firsts[len(old) :])
    return [texts for first, texts in members.items() if first in touched]


def _by_hash(
    groups: Sequence[Sequence[str]], fixed: Mapping[str, Split], held_out: float, dev: float
) -> dict[str, Split]:
    splits: dict[str, Split] = {}
    for texts in groups:
        known = [fixed[text_hash] for text_hash in texts if text_hash in fixed]
        if known:
            split = max(known, key=lambda one: _PROTECTION[one])
        else:
            place = fraction(texts[0], SALT)
            split = "held_out" if place < held_out else "dev" if place < held_out + dev else "pool"
        splits.update((text_hash, split) for text_hash in texts if text_hash not in fixed)
    return splits


def _top_up(
    splits: dict[str, Split],
    groups: Sequence[Sequence[str]],
    fixed: Mapping[str, Split],
    held_out: float,
    dev: float,
) -> None:
    """Move the pool's groups next in the order of the hash where chance left dev or held-out too small."""
    total = len(splits) + len(fixed)
    if total < FEWEST_TEXTS:
        return
    free = sorted(
        (texts for texts in groups if not any(t in fixed for t in texts) and splits[texts[0]] == "pool"),
        key=lambda texts: (len(texts), fraction(texts[0], SALT)),
    )
    wanted: tuple[tuple[Split, float], ...] = (("held_out", held_out), ("dev", dev))
    for split, share in wanted:
        least = max(1, int(total * share / 2)) if share else 0
        have = sum(one == split for one in (*splits.values(), *fixed.values()))
        while have < least and len(free) > 1:
            texts = free.pop(0)
            splits.update((text_hash, split) for text_hash in texts)
            have += len(texts)


def _collisions(
    groups: Sequence[Sequence[str]], splits: Mapping[str, Split], fixed: Mapping[str, Split]
) -> tuple[Collision, ...]:
    found = []
    for texts in groups:
        placed = [(text_hash, splits.get(text_hash) or fixed[text_hash]) for text_hash in texts]
        other, other_split = max(placed, key=lambda one: _PROTECTION[one[1]])
        found += [
            Collision(text_hash, split, other, other_split)
            for text_hash, split in placed
            if _PROTECTION[split] < _PROTECTION[other_split]
        ]
    return tuple(found)
