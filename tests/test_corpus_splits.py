from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from annoloop.corpus.near_duplicates import group, normalise
from annoloop.corpus.splits import Collision, SplitPlan, assign_splits
from annoloop.hashing import input_hash

SHARES = {"held_out": 0.2, "dev": 0.1, "threshold": 0.8}
LONG = "The platform at the main station was crowded because three trains were late this morning"


def named(*texts: str) -> list[tuple[str, str]]:
    return [(input_hash(text), text) for text in texts]


def made_up(count: int, seed: int = 0) -> list[tuple[str, str]]:
    rng = random.Random(seed)
    return named(
        *(
            " ".join(f"w{rng.randrange(5000)}x{rng.choice('abcdefgh')}" for _ in range(9))
            for _ in range(count)
        )
    )


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (LONG, LONG.upper() + "!!"),
        (LONG, LONG.replace(" ", "\u00a0 \r\n")),
        (LONG, LONG + " again"),
        ("Gate 4 closed", "gate 17 closed."),
        (
            "这是一个关于火车晚点的很长的投诉文本没有空格" * 3,
            "这是一个关于火车晚点的很长的投诉文本没有空格" * 3 + "啊",
        ),
    ],
)
def test_near_duplicates_are_found(one: str, other: str) -> None:
    assert group(["something else entirely", one, other], threshold=0.8) == [0, 1, 1]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Zug war pünktlich", "Zug war unpünktlich"),
        ("good", "not good"),
        ("👍", "👎"),
        ("İ", "i"),
        ("कि", "का"),
        (f"{LONG} 👍👍", f"{LONG.replace('late', 'fine')} again 👎"),
        (LONG, "The toilet at the main station was closed because a pipe had burst this morning"),
    ],
)
def test_other_messages_are_not_near_duplicates(one: str, other: str) -> None:
    assert group([one, other], threshold=0.8) == [0, 1]


def test_messages_from_one_template_do_not_all_become_one_group() -> None:
    rng = random.Random(0)
    places = [f"Ort{chr(97 + i // 26)}{chr(97 + i % 26)}" for i in range(300)]
    texts = [
        f"Der Zug von {rng.choice(places)} nach Bonn hatte heute wieder 5 Minuten Verspätung wegen Störung"
        for _ in range(400)
    ]
    groups = group(texts, threshold=0.7)
    assert len(set(groups)) == len(set(texts))
    few = list(dict.fromkeys(texts))[:30]
    assert len(set(group(few, threshold=0.7))) == 1


def test_normalising_keeps_something_of_every_text() -> None:
    assert normalise("  A\r\n12,b ") == "a 0 b"
    assert normalise("?!  ?") == "?! ?"


def test_shares_are_kept_and_the_order_does_not_matter() -> None:
    texts = made_up(3000)
    plan = assign_splits(texts, (), **SHARES)
    shares = [list(plan.splits.values()).count(split) / 3000 for split in ("held_out", "dev", "pool")]
    assert shares == pytest.approx([0.2, 0.1, 0.7], abs=0.03)
    assert assign_splits(texts[::-1], (), **SHARES) == plan
    assert plan.collisions == ()


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("count", [10, 12, 30])
def test_small_projects_have_dev_and_held_out_texts(count: int, seed: int) -> None:
    splits = list(assign_splits(made_up(count, seed), (), **SHARES).splits.values())
    assert splits.count("held_out") >= max(1, count // 10)
    assert splits.count("dev") >= 1
    assert splits.count("pool") >= count / 3


def test_shares_of_zero_stay_empty() -> None:
    plan = assign_splits(made_up(50), (), held_out=0, dev=0, threshold=0.8)
    assert set(plan.splits.values()) == {"pool"}


def test_near_duplicates_stay_together_and_join_existing_texts() -> None:
    variants = named(*(f"{LONG} on track {number}" for number in range(40)))
    texts = made_up(60)
    plan = assign_splits([*texts, *variants], (), **SHARES)
    assert len({plan.splits[name] for name, _ in variants}) == 1
    for split in ("pool", "dev", "held_out"):
        existing = [(*variants[0], split)]
        later = assign_splits(variants[1:], existing, **SHARES)
        assert set(later.splits.values()) == {split} and later.collisions == ()


def test_a_new_text_between_two_splits_is_protected_and_the_collision_reported() -> None:
    left, right, new = named(LONG, LONG.upper(), LONG + "!")
    plan = assign_splits([new], [(*left, "pool"), (*right, "held_out")], **SHARES)
    assert plan.splits == {new[0]: "held_out"}
    [collision] = plan.collisions
    assert (collision.input_hash, collision.split, collision.other_split) == (left[0], "pool", "held_out")
    assert collision.other in (right[0], new[0])


def test_a_published_test_file_reports_what_it_collides_with() -> None:
    pool, dev, other = named(LONG, "Thank you!", "A text of its own that nobody repeats anywhere")
    test = named(LONG + "!", "thank you", "Yet another text")
    existing = [(*pool, "pool"), (*dev, "dev"), (*other, "pool")]
    plan = assign_splits(test, existing, forced="held_out", **SHARES)
    assert set(plan.splits.values()) == {"held_out"}
    assert set(plan.collisions) == {
        Collision(pool[0], "pool", test[0][0], "held_out"),
        Collision(dev[0], "dev", test[1][0], "held_out"),
    }
    back = assign_splits([pool], [(*test[0], "held_out")], forced="pool", **SHARES)
    assert back.collisions == (Collision(pool[0], "pool", test[0][0], "held_out"),)


def test_nothing_new_asks_nothing_of_the_existing() -> None:
    def existing():
        raise AssertionError("read")
        yield

    assert assign_splits([], existing(), **SHARES) == SplitPlan()


@pytest.mark.parametrize("shares", [{"held_out": 0.7, "dev": 0.4}, {"held_out": -0.1, "dev": 0.1}])
def test_impossible_shares_are_refused(shares: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="held_out"):
        assign_splits(named("a"), (), threshold=0.8, **shares)


@settings(max_examples=60)
@given(st.lists(st.text(min_size=1, max_size=60), unique=True, max_size=30), st.integers(0, 30))
def test_every_new_text_gets_a_split_and_no_old_one_moves(texts: list[str], cut: int) -> None:
    old, new = named(*texts[:cut]), named(*texts[cut:])
    first = assign_splits(old, (), **SHARES)
    plan = assign_splits(new, [(name, text, first.splits[name]) for name, text in old], **SHARES)
    assert set(plan.splits) == {name for name, _ in new}
    together = {**first.splits, **plan.splits}
    groups = group(texts, threshold=0.8)
    collided = {collision.input_hash for collision in plan.collisions}
    for index, text in enumerate(texts):
        name, first_name = input_hash(text), input_hash(texts[groups[index]])
        assert together[name] == together[first_name] or {name, first_name} & collided
