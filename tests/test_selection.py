"""Selection depends on the texts and the seed, asks what is uncertain, and keeps a share by lot."""

from __future__ import annotations

import numpy as np
import pytest

from annoloop.hashing import input_hash
from annoloop.selection.proxy import Proxy
from annoloop.selection.strategies import STRATEGIES, select, strategy_for, uncertainty_per_cost
from annoloop.types import Annotation, Example, Gold, LabelScheme, PoolGold

TOPICS = LabelScheme("textcat", ("sport", "food", "never"))
TAGS = LabelScheme("textcat_multilabel", ("sport", "food"))
ONE_VALUE = ("uncertainty", "disagreement")
HASHES = [input_hash(f"text {i}") for i in range(100)]


def rng(seed=0):
    return np.random.default_rng(seed)


def confidence(n=100):
    """(n, 2): row i is surer than row i - 1."""
    sure = 0.5 + np.arange(n) / (2 * n)
    return np.stack([sure, 1 - sure], axis=1)


def test_margin_asks_the_closest_calls_first():
    assert select("margin", HASHES, n=10, rng=rng(), probabilities=confidence(), random_share=0.0) == list(
        range(10)
    )


def test_label_margin_looks_for_one_label_near_one_half():
    probabilities = np.array([[0.9, 0.1], [0.99, 0.52], [0.3, 0.02]])
    found = select("label_margin", HASHES[:3], n=3, rng=rng(), probabilities=probabilities, random_share=0.0)
    assert found == [1, 2, 0]


def test_uncertainty_per_cost_weighs_length():
    uncertain = np.array([1.0, 1.5, 0.0])
    assert select("uncertainty", HASHES[:3], n=1, rng=rng(), probabilities=uncertain, random_share=0) == [1]
    fair = uncertainty_per_cost(uncertain, np.array([4, 100, 0]))
    assert fair == pytest.approx([0.5, 0.15, 0.0])
    assert select("uncertainty", HASHES[:3], n=1, rng=rng(), probabilities=fair, random_share=0) == [0]


def test_where_voters_differ_most_comes_first_and_equals_are_drawn_by_lot():
    apart = np.repeat([0.0, 1.0, 0.5], [50, 30, 20])
    found = select("disagreement", HASHES, n=40, rng=rng(), probabilities=apart, random_share=0)
    assert set(found[:30]) == set(range(50, 80)) and set(found[30:]) <= set(range(80, 100))
    other = select("disagreement", HASHES, n=40, rng=rng(1), probabilities=apart, random_share=0)
    assert set(found[:30]) == set(other[:30]) and found[:30] != other[:30]


def test_a_fifth_of_a_margin_batch_is_by_lot():
    batch = select("margin", HASHES, n=20, rng=rng(), probabilities=confidence())
    assert batch[:16] == list(range(16))
    assert len(set(batch)) == 20 and max(batch[16:]) > 30
    assert batch[16:] != select("margin", HASHES, n=20, rng=rng(1), probabilities=confidence())[16:]


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_the_order_of_the_texts_does_not_matter(strategy):
    shuffled = rng(9).permutation(100)
    probabilities = rng(5).random(100) if strategy in ONE_VALUE else rng(5).random((100, 2))
    plain = select(strategy, HASHES, n=20, rng=rng(3), probabilities=probabilities)
    mixed = select(
        strategy, [HASHES[i] for i in shuffled], n=20, rng=rng(3), probabilities=probabilities[shuffled]
    )
    assert [HASHES[i] for i in plain] == [HASHES[shuffled[i]] for i in mixed]
    assert plain == select(strategy, HASHES, n=20, rng=rng(3), probabilities=probabilities)


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_cold_start_is_by_lot_and_never_repeats(strategy):
    found = select(strategy, HASHES, n=30, rng=rng(1))
    assert found == select("random", HASHES, n=30, rng=rng(1))
    assert len(set(found)) == 30
    assert found != select(strategy, HASHES, n=30, rng=rng(2))
    assert sorted(select(strategy, HASHES, n=500, rng=rng(1))) == list(range(100))
    assert select(strategy, [], n=5, rng=rng(1)) == []


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_strategies_share_one_signature(strategy):
    probabilities = confidence()[:, 0] if strategy in ONE_VALUE else confidence()
    found = STRATEGIES[strategy](probabilities, None, 7, rng())
    assert found.shape == (7,) and found.dtype.kind == "i"


def test_no_near_duplicates_in_a_batch_while_there_are_others():
    texts = ["the same old story again"] * 5 + ["a goal in the last minute", "soup with noodles"]
    hashes = [input_hash(f"{i} {t}") for i, t in enumerate(texts)]
    features = Proxy(texts).features
    for strategy, probabilities in (("random", None), ("margin", confidence(7))):
        batch = select(strategy, hashes, n=3, rng=rng(), probabilities=probabilities, features=features)
        assert len({texts[i] for i in batch}) == 3
        batch = select(strategy, hashes, n=6, rng=rng(), probabilities=probabilities, features=features)
        assert len(set(batch)) == 6


def test_settings_name_the_strategy_by_kind():
    assert strategy_for(TOPICS, "auto") == strategy_for(TOPICS, "margin") == "margin"
    assert strategy_for(TAGS, "margin") == "label_margin"
    assert strategy_for(LabelScheme("ner", ("X",)), "auto") == "uncertainty"
    assert strategy_for(TOPICS, "random") == "random"
    assert strategy_for(TOPICS, "disagreement") == "disagreement"
    with pytest.raises(ValueError, match="entropy"):
        select("entropy", HASHES, n=1, rng=rng())


POOL = [
    "a late goal won the match",
    "the match had no goal",
    "soup and bread",
    "bread with goal cheese",
    "🙂",
]


def gold(*pairs, complete=True):
    return PoolGold(
        tuple(Gold(Example(input_hash(t), t), Annotation(labels=n), complete=complete) for t, n in pairs)
    )


def test_the_proxy_learns_from_gold():
    proxy = Proxy(POOL)
    known = gold(("goal goal match", ("sport",)), ("soup bread cheese", ("food",)), ("match", ("sport",)))
    found = proxy.probabilities(known, scheme=TOPICS, seed=0)
    assert found.shape == (5, 3)
    assert found.sum(axis=1) == pytest.approx(np.ones(5))
    assert found[:, 2] == pytest.approx(np.zeros(5))
    assert found[1, 0] > 0.5 > found[2, 0]
    # The words of the pool that no gold text has change nothing.
    wider = Proxy([*POOL, "quite other words"]).probabilities(known, scheme=TOPICS, seed=0)
    assert wider[4] == pytest.approx(wider[5])


def test_the_proxy_has_nothing_to_say_at_a_cold_start():
    proxy = Proxy(POOL)
    one = gold(("goal", ("sport",)), ("match", ("sport",)))
    unsure = gold(("goal", ("sport",)), ("soup", ("food",)), complete=False)
    for known in (gold(), one, unsure):
        assert proxy.probabilities(known, scheme=TOPICS, seed=0) is None
    assert proxy.probabilities(one, scheme=TAGS, seed=0) is None
    wordless = Proxy(["🙂", "…"])
    both = gold(("goal", ("sport",)), ("soup", ("food",)))
    assert wordless.features.shape[0] == 2
    assert wordless.probabilities(both, scheme=TOPICS, seed=0) is None


def test_several_categories_are_learned_one_by_one():
    known = gold(("goal match", ("sport",)), ("soup bread", ("food",)), ("goal soup", ("sport", "food")))
    found = Proxy(POOL).probabilities(known, scheme=TAGS, seed=0)
    assert found.shape == (5, 2) and found[0, 0] > found[2, 0] and found[2, 1] > found[0, 1]


def test_margin_with_the_proxy_labels_a_skewed_pool_better_than_by_lot():
    """Twelve of 400 texts are on the border of two topics: margin finds them, lot does not."""
    words = rng(0)
    sport, food = [f"sport{i}" for i in range(30)], [f"food{i}" for i in range(30)]
    texts = [" ".join(words.choice(sport if i % 2 else food, 8)) for i in range(388)]
    texts += [" ".join([*words.choice(sport, 4), *words.choice(food, 4)]) for _ in range(12)]
    known = gold(*((texts[i], ("sport",) if i % 2 else ("food",)) for i in range(40)))
    found = Proxy(texts).probabilities(known, scheme=TOPICS, seed=0)
    hashes = [input_hash(t + str(i)) for i, t in enumerate(texts)]
    by_margin = select("margin", hashes, n=20, rng=rng(), probabilities=found)
    by_lot = select("random", hashes, n=20, rng=rng())
    assert sum(i >= 388 for i in by_margin) >= 10
    assert sum(i >= 388 for i in by_lot) <= 3
