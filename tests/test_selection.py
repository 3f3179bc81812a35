"""Selection depends on the texts and the seed, asks what is uncertain, and keeps a share by lot."""

from __future__ import annotations

from dataclasses import replace
from importlib.metadata import EntryPoint

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_matrix

from annoloop.corpus.near_duplicates import group
from annoloop.errors import AnnoloopError
from annoloop.evaluation.speed import fit_speed
from annoloop.hashing import input_hash
from annoloop.selection import diversity, registry
from annoloop.selection.batch import select
from annoloop.selection.candidates import Candidates
from annoloop.selection.costs import SECONDS_PER_WORD, SECONDS_TO_START, seconds_needed, token_counts, typical
from annoloop.selection.proxy import Proxy
from annoloop.selection.registry import NEEDS, STRATEGIES, default_for, settle, strategy_named
from annoloop.selection.strategies import MissingSignalError, doubt, lowest, margin
from annoloop.settings import schema
from annoloop.types import Annotation, Example, Gold, LabelScheme, PoolGold

TOPICS = LabelScheme("textcat", ("sport", "food", "never"))
TAGS = LabelScheme("textcat_multilabel", ("sport", "food"))
MANY = LabelScheme("textcat", tuple(f"label {i}" for i in range(11)))
ENTITIES = LabelScheme("ner", ("X",))
HASHES = [input_hash(f"text {i}") for i in range(100)]


def rng(seed=0):
    return np.random.default_rng(seed)


def confidence(n=100):
    """(n, 2): row i is surer than row i - 1."""
    sure = 0.5 + np.arange(n) / (2 * n)
    return np.stack([sure, 1 - sure], axis=1)


def unit(rows):
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def everything(n=100, seed=5, *, exclusive=True, sparse=True):
    """Candidates of whom all is known, no two of them alike."""
    made = rng(seed)
    probabilities = made.random((n, 4))
    if exclusive:
        probabilities /= probabilities.sum(axis=1, keepdims=True)
    features = unit(np.abs(made.normal(size=(n, 30))))
    apart = np.where(made.random(n) < 0.2, np.nan, made.random(n))
    return Candidates(
        n,
        exclusive=exclusive,
        probabilities=probabilities,
        features=csr_matrix(features) if sparse else features,
        labelled=csr_matrix(features[:3]) if sparse else features[:3],
        tokens=made.integers(0, 60, n),
        spans=tuple(made.random(made.integers(0, 6)) for _ in range(n)),
        disagreement=apart,
        llm_disagreement=apart,
        rules_disagreement=1 - apart,
    )


def chosen(strategy, candidates, *, n=10, seed=0, hashes=None, **options):
    """A batch without a share by lot and without near-duplicates by cosine, unless asked for."""
    options = {"random_share": 0.0, "near_duplicate": 1.1, **options}
    hashes = hashes or [input_hash(f"text {i}") for i in range(candidates.count)]
    return select(strategy, hashes, candidates, budget=n, rng=rng(seed), **options)


def spans(*rows, tokens=None, apart=None):
    given = tuple(np.array(row, dtype=float) for row in rows)
    tokens = np.array(tokens or [1] * len(rows))
    return Candidates(len(rows), spans=given, tokens=tokens, llm_disagreement=apart)


# -- what each strategy goes by ----------------------------------------------------------------


def test_margin_asks_the_closest_calls_first():
    assert chosen("margin", Candidates(100, probabilities=confidence())) == list(range(10))


def test_of_several_categories_margin_looks_for_one_label_near_one_half():
    probabilities = np.array([[0.9, 0.1], [0.99, 0.52], [0.3, 0.02]])
    tags = Candidates(3, exclusive=False, probabilities=probabilities)
    assert chosen("margin", tags) == [1, 2, 0]
    assert doubt(tags) == pytest.approx([0.2, 0.96, 0.6])


def test_entropy_prefers_what_is_spread_over_many_labels_and_margin_a_close_call():
    one_of_two, spread = [0.5, 0.5, 0.0, 0.0, 0.0], [0.36, 0.16, 0.16, 0.16, 0.16]
    both = Candidates(2, probabilities=np.array([one_of_two, spread]))
    assert chosen("entropy", both, n=1) == [1] and chosen("margin", both, n=1) == [0]
    tags = Candidates(2, exclusive=False, probabilities=np.array([[0.9, 0.9, 0.9], [0.5, 1.0, 0.0]]))
    assert chosen("entropy", tags, n=1) == [0]


def test_uncertainty_of_spans_weighs_length():
    short_and_long = spans([0.5, 0.5], [0.5, 0.6, 0.4, 0.2], [], tokens=[4, 100, 0])
    assert chosen("uncertainty", short_and_long) == [0, 1, 2]
    assert chosen("uncertainty", spans([0.5, 0.5], [0.5, 0.6, 0.4, 0.2], []), n=1) == [1]


def test_where_llm_and_model_differ_adds_to_the_models_doubt():
    apart = np.array([0.0, 0.8, np.nan])
    assert chosen("uncertainty_disagreement", spans([0.5], [0.9], [0.8], apart=apart)) == [1, 0, 2]


def test_span_margin_looks_at_the_closest_span_only():
    assert chosen("span_margin", spans([], [0.3, 0.3, 0.3, 0.3], [0.99, 0.51])) == [2, 1, 0]


@pytest.mark.parametrize("name", ["disagreement", "llm_disagreement", "rules_disagreement"])
def test_where_voters_differ_most_comes_first_and_equals_are_drawn_by_lot(name):
    apart = np.repeat([0.0, 1.0, 0.5, np.nan], [50, 30, 10, 10])
    voted = Candidates(100, **{name: apart})
    found, other = chosen(name, voted, n=40), chosen(name, voted, n=40, seed=1)
    assert set(found[:30]) == set(range(50, 80)) and set(found[30:]) == set(range(80, 90))
    assert set(found) == set(other) and found != other
    assert set(chosen(name, voted, n=100)[90:]) == set(range(90, 100))


def test_shortest_and_longest_go_by_tokens():
    lengths = Candidates(4, tokens=token_counts(["one two three", "eins", "", "a, b"]))
    assert chosen("shortest", lengths, n=2) == [2, 1]
    assert set(chosen("longest", lengths, n=2)) == {0, 3}


def clustered(sizes=(40, 20, 10), width=40, seed=3):
    """(candidates, cluster of each): tight clusters around orthogonal centres."""
    of = np.repeat(np.arange(len(sizes)), sizes)
    features = unit(np.eye(width)[of] + 0.02 * np.abs(rng(seed).normal(size=(len(of), width))))
    return features, of


def test_a_cold_start_takes_one_text_of_each_cluster_large_ones_first():
    features, of = clustered()
    for kept in (features, csr_matrix(features)):
        assert of[chosen("kmeans_start", Candidates(70, features=kept), n=3)].tolist() == [0, 1, 2]


def test_margin_kmeans_takes_doubtful_texts_of_every_cluster_where_margin_takes_one_kind():
    features, of = clustered((40, 40, 40))
    # All are unsure, those of the first cluster a little more so; of each cluster the second half is sure.
    sure = 0.52 + 0.02 * of + np.where(np.arange(120) % 40 < 20, 0, 0.4)
    both = Candidates(120, features=features, probabilities=np.stack([sure, 1 - sure], axis=1))
    assert set(of[chosen("margin", both, n=6)]) == {0}
    found = chosen("margin_kmeans", both, n=6)
    assert set(of[found]) == {0, 1, 2} and all(i % 40 < 20 for i in found)


def test_badge_asks_unsure_texts_that_differ():
    features, of = clustered((40, 40, 40))
    sure = np.where(np.arange(120) % 40 < 20, 0.55, 0.999)
    both = Candidates(120, features=features, probabilities=np.stack([sure, 1 - sure], axis=1))
    for kept in (features, csr_matrix(features)):
        pool = Candidates(120, features=kept, probabilities=both.probabilities)
        unsure = [i for i in chosen("badge", pool, n=6) if i % 40 < 20]
        # The sure ones have no gradient to speak of: they are one point, drawn once.
        assert len(unsure) >= 5 and set(of[unsure]) == {0, 1, 2}


def test_badge_draws_by_the_gradients_that_it_never_writes_out():
    known = everything(30, sparse=False)
    errors = known.probabilities - np.eye(4)[known.probabilities.argmax(axis=1)]
    gradients = (errors[:, :, None] * known.features[:, None, :]).reshape(30, -1)
    found, far = diversity.badge(known, 12, rng(1)), None
    expected, drawn = [], rng(1)
    while len(expected) < 12:
        longest = int((gradients**2).sum(axis=1).argmax())
        at = int(drawn.choice(30, p=far / far.sum())) if expected else longest
        expected.append(at)
        new = ((gradients - gradients[at]) ** 2).sum(axis=1)
        far = new if far is None else np.minimum(far, new)
        far[expected] = 0
    assert found.tolist() == expected


def test_typicality_asks_the_middle_of_large_clusters_that_nobody_has_labelled():
    features, of = clustered((40, 20, 10))
    labelled = features[[0]]
    found = chosen("typicality", Candidates(70, features=features, labelled=labelled), n=2)
    assert of[found].tolist() == [1, 2]
    assert of[chosen("typicality", Candidates(70, features=features), n=2)].tolist()[0] == 0
    inner = features[of == 1]
    distances = np.sort(np.linalg.norm(inner[:, None] - inner, axis=2), axis=1)[:, 1:].mean(axis=1)
    assert found[0] - 40 in np.argsort(distances)[:5]


def test_density_prefers_a_common_text_to_an_odd_one_of_equal_doubt():
    features, of = clustered((5, 60))
    even = Candidates(65, features=features, probabilities=np.full((65, 2), 0.5))
    assert set(of[chosen("density", even, n=20)]) == {1}


# -- what holds for all ------------------------------------------------------------------------


@st.composite
def pools(draw):
    """Candidates of whom some have equal features, some none, in both kinds."""
    n = draw(st.integers(1, 40))
    made = everything(n, draw(st.integers(0, 99)), exclusive=draw(st.booleans()))
    features = made.features.toarray()
    for row in draw(st.lists(st.integers(0, n - 1), max_size=8)):
        features[row] = features[0]
    if draw(st.booleans()):
        features[n // 2] = 0
    groups = draw(st.none() | st.lists(st.integers(0, 5), min_size=n, max_size=n).map(np.array))
    return replace(made, features=csr_matrix(features), labelled=None), groups


@pytest.mark.parametrize("strategy", STRATEGIES)
@settings(max_examples=12)
@given(given_pool=pools(), n=st.integers(1, 50), seed=st.integers(0, 5), share=st.sampled_from([0, 0.2, 1]))
def test_a_batch_is_unique_in_range_repeatable_and_within_its_budget(strategy, given_pool, n, seed, share):
    pool, groups = given_pool
    hashes = [input_hash(f"{i}") for i in range(pool.count)]
    options = {"random_share": share, "near_duplicate": 0.99, "seed": seed, "n": n}
    found = chosen(strategy, pool, hashes=hashes, groups=groups, **options)
    assert len(set(found)) == len(found) <= n and all(0 <= i < pool.count for i in found)
    assert found == chosen(strategy, pool, hashes=hashes, groups=groups, **options)
    # The order of the texts does not matter.
    mixed = rng(9).permutation(pool.count)
    other = {**options, "groups": None if groups is None else groups[mixed]}
    again = chosen(strategy, pool.take(mixed), hashes=[hashes[i] for i in mixed], **other)
    assert [int(mixed[i]) for i in again] == found
    # Two that are nearly the same are asked only where nothing else is left.
    near = (pool.features @ pool.features.T).toarray() >= 0.99
    if groups is not None:
        near |= groups[:, None] == groups[None, :]
    np.fill_diagonal(near, False)
    if near[np.ix_(found, found)].any():
        assert all(near[row, found].any() for row in set(range(pool.count)) - set(found))
    assert len(found) == min(n, pool.count)
    # The costs are kept to, but for a single text that is dearer than the whole batch.
    costs = 1.0 + pool.tokens
    dear = chosen(strategy, pool, hashes=hashes, groups=groups, costs=costs, **options)
    assert dear and len(set(dear)) == len(dear)
    assert costs[dear].sum() <= n + 1e-6 or len(dear) == 1


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("exclusive", [True, False])
def test_strategies_share_one_signature(strategy, exclusive):
    known = everything(exclusive=exclusive)
    found = STRATEGIES[strategy](known, 7, rng())
    assert found.dtype.kind == "i" and len(set(found.tolist())) == len(found) == 7
    if NEEDS[strategy]:
        with pytest.raises(MissingSignalError):
            STRATEGIES[strategy](Candidates(5), 2, rng())


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_whole_pool_is_asked_where_the_batch_is_larger(strategy):
    assert sorted(chosen(strategy, everything(), n=500, random_share=0.2)) == list(range(100))
    assert chosen(strategy, Candidates(0), n=5) == []


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_what_cannot_be_ranked_is_drawn_by_lot(strategy):
    blind = Candidates(100)
    found = chosen(strategy, blind, n=30, seed=1)
    assert found == chosen("random", blind, n=30, seed=1) and len(set(found)) == 30
    assert found != chosen(strategy, blind, n=30, seed=2)


def test_a_fifth_of_a_batch_is_by_lot_whatever_the_strategy():
    pool = Candidates(100, probabilities=confidence(), tokens=np.arange(100))
    by_margin = chosen("margin", pool, n=20, random_share=0.2)
    assert by_margin[:16] == list(range(16)) and len(set(by_margin)) == 20 and max(by_margin[16:]) > 30
    assert by_margin[16:] != chosen("margin", pool, n=20, random_share=0.2, seed=1)[16:]
    # The lot falls on the same texts, as far as they are not taken already.
    by_length = chosen("longest", pool, n=20, random_share=0.2)
    assert set(by_margin[16:]) & set(by_length[16:])


def test_near_duplicates_are_asked_together_only_where_nothing_else_is_left():
    texts = ["the same old story again"] * 5 + ["a goal in the last minute", "soup with noodles"]
    hashes = [input_hash(f"{i} {t}") for i, t in enumerate(texts)]
    features = Proxy(texts).features
    for strategy in ("random", "margin", "kmeans_start"):
        pool = Candidates(7, features=features, probabilities=confidence(7))
        batch = chosen(strategy, pool, n=6, hashes=hashes, near_duplicate=0.9)
        assert len(batch) == 6 and len({texts[i] for i in batch[:3]}) == 3
    # Without words in common features say nothing: the groups of the corpus do.
    emoji = ["🙂 1", "🙂 2", "🎉"]
    groups = np.array(group(emoji, threshold=0.85))
    pool = Candidates(3, features=Proxy(["🙂", "🙂", "🎉"]).features)
    assert sorted(len(emoji[i]) for i in chosen("random", pool, n=2, groups=groups)) == [1, 3]


def test_a_batch_by_tokens_is_full_and_never_too_dear():
    costs = np.array([30.0, 5, 5, 40, 5, 5])
    pool = Candidates(6, probabilities=confidence(6))
    assert chosen("margin", pool, n=41, costs=costs) == [0, 1, 2]
    assert chosen("margin", pool, n=21, costs=costs) == [1, 2, 4, 5]
    # A text dearer than all that there is is asked alone.
    assert len(chosen("margin", pool, n=3, costs=costs)) == 1
    assert len(chosen("margin", Candidates(0), n=3, costs=np.zeros(0))) == 0


def test_what_is_left_of_a_budget_in_tokens_is_not_filled_with_near_duplicates():
    """Others are there, though none is short enough for the rest."""
    draw = np.random.default_rng(0)
    words = ["".join("abcdefghijklmnopqrst"[int(c)] for c in f"{n:04d}") for n in range(3000)]
    texts = [" ".join(draw.choice(words, 20, replace=False)) for _ in range(200)]
    texts += ["Thanks" + "!" * n for n in range(5)] + ["thanks", "THANKS.", "Thanks ."]
    tokens = np.maximum(token_counts(texts), 1).astype(float)
    near = {"features": Proxy(texts).features}
    for seed in range(4):
        batch = chosen(
            "random",
            Candidates(len(texts), **near),
            n=187,
            seed=seed,
            hashes=[input_hash(text) for text in texts],
            costs=tokens,
            groups=np.asarray(group(texts, threshold=0.85)),
        )
        assert sum(row >= 200 for row in batch) <= 1 and len(batch) >= 9


def test_one_huge_text_does_not_make_the_others_longer():
    assert typical(np.array([10.0, 12, 8, 10])) == 10
    assert typical(np.array([10.0] * 99 + [900_000])) == pytest.approx(10.9)


def test_sought_labels_take_half_in_turn_and_only_where_they_may_be():
    pool = Candidates(100, probabilities=confidence())
    sought = np.zeros((100, 2))
    sought[90:93, 0], sought[80:, 1] = (0.2, 0.9, 0.5), np.linspace(0.1, 0.6, 20)
    found = chosen("margin", pool, n=20, random_share=0.2, sought=sought)
    assert found[:8] == [91, 99, 92, 98, 90, 97, 96, 95]
    assert found[8:16] == list(range(8)) and len(set(found)) == 20
    rare = np.zeros((100, 1))
    rare[50] = 1
    assert chosen("margin", pool, n=6, sought=rare) == [50, 0, 1, 2, 3, 4]


# -- names, defaults, packages -----------------------------------------------------------------


def test_all_names_are_known_everywhere():
    assert set(STRATEGIES) == set(NEEDS) == set(schema.STRATEGY_NAMES)
    with pytest.raises(AnnoloopError, match=r"no strategy 'entropi'.*entropy"):
        strategy_named("entropi")


def test_defaults_by_kind_of_question_and_size_of_pool():
    warm = everything(600)
    assert settle(default_for(TOPICS, "auto"), warm, n=50) == "margin_kmeans"
    assert settle(default_for(TOPICS, "auto"), warm, n=61) == "margin"
    assert settle(default_for(TAGS, "auto"), warm, n=50) == "margin"
    assert settle(default_for(MANY, "auto"), warm, n=50) == "margin_kmeans"
    assert settle(default_for(MANY, "auto"), warm, n=61) == "margin"
    assert settle(default_for(MANY, "margin_kmeans"), warm, n=61) == "margin_kmeans"
    assert settle(default_for(ENTITIES, "auto"), warm, n=50) == "uncertainty_disagreement"
    assert settle(default_for(ENTITIES, "auto"), spans([0.5]), n=50) == "uncertainty"
    assert settle(default_for(ENTITIES, "margin"), warm, n=50) == "uncertainty"
    for wanted in STRATEGIES:
        assert settle(default_for(TOPICS, wanted), warm, n=50) == wanted


def test_a_cold_start_takes_clusters_for_categories_and_the_lot_for_spans():
    cold = Candidates(3, features=Proxy(["a b", "c d", "e f"]).features, tokens=np.ones(3))
    for wanted in ("auto", "margin", "badge", "entropy"):
        assert settle(default_for(TOPICS, wanted), cold, n=2) == "kmeans_start"
    assert settle(default_for(ENTITIES, "auto"), cold, n=2) == "random"
    assert settle(default_for(TOPICS, "disagreement"), cold, n=2) == "random"
    wordless = Candidates(2, features=Proxy(["🙂", "…"]).features)
    assert settle(default_for(TOPICS, "auto"), wordless, n=2) == "random"


def first_ones(candidates, n, rng):
    return np.arange(n)


def broken(candidates, n, rng):
    return {"twice": [0, 0], "outside": [candidates.count], "halves": [0.5], "many": list(range(n + 1))}[HOW]


def failing(candidates, n, rng):
    return candidates.nothing


def by_model(candidates, n, rng):
    return margin(candidates, n, rng)


HOW = "twice"


@pytest.fixture
def package(monkeypatch):
    """An installed package that brings strategies along."""
    names = ("first_ones", "broken", "failing", "by_model", "absent")
    points = [EntryPoint(name, f"{__name__}:{name}", "annoloop.strategies") for name in names]

    def installed(*, group):
        return [point for point in points if point.group == group]

    monkeypatch.setattr(registry, "entry_points", installed)
    monkeypatch.setattr(schema, "entry_points", installed)


def test_a_package_can_bring_a_strategy_along(package):
    assert settle(default_for(TOPICS, "first_ones"), Candidates(9), n=3) == "first_ones"
    found = chosen("first_ones", Candidates(9), n=3)
    hashes = [input_hash(f"text {i}") for i in range(9)]
    assert found == sorted(range(9), key=lambda i: hashes[i])[:3]
    section = {"random_share": 0.2, "batch": 5, "unit": "auto", "seek": (), "vectors": False}
    assert schema.SelectionSection(strategy="first_ones", **section).strategy == "first_ones"
    with pytest.raises(ValueError, match=r"one of auto, random.*first_ones"):
        schema.SelectionSection(strategy="last_ones", **section)


@pytest.mark.parametrize("how", ["twice", "outside", "halves", "many"])
def test_a_packages_strategy_that_returns_wrong_rows_is_named(package, monkeypatch, how):
    monkeypatch.setattr(f"{__name__}.HOW", how)
    with pytest.raises(AnnoloopError, match="'broken' must return at most 3 different rows"):
        chosen("broken", Candidates(9), n=3)


def test_a_packages_strategy_that_fails_is_named(package):
    with pytest.raises(AnnoloopError, match="'failing' failed: AttributeError"):
        chosen("failing", Candidates(9), n=3)
    with pytest.raises(AnnoloopError, match=r"'absent'.*cannot be loaded"):
        chosen("absent", Candidates(9), n=3)


def test_a_packages_strategy_without_a_model_gives_way_to_the_lot(package):
    assert sorted(chosen("by_model", Candidates(9), n=3)) == sorted(chosen("random", Candidates(9), n=3))
    assert chosen("by_model", Candidates(9, probabilities=confidence(9)), n=3) != []


# -- costs -------------------------------------------------------------------------------------


def test_tokens_are_counted_in_every_script():
    texts = ["Hello, world!", "", " \r\n", "東京タワー", "мир 🙂", "don't", "ไทย"]
    assert token_counts(texts).tolist() == [4, 0, 0, 5, 2, 3, 3]


def test_seconds_are_fitted_to_measured_answers_and_assumed_before():
    words = np.tile(np.arange(1, 41), 3)

    def fit_seconds(words, seconds):
        speed = fit_speed(np.stack([words, 0 * words, 0 * words], axis=1), seconds)
        return (SECONDS_TO_START, SECONDS_PER_WORD) if speed is None else (speed.start, speed.a_word)

    start, a_word = fit_seconds(words, 4 + 0.5 * words)
    assert (start, a_word) == pytest.approx((4, 0.5))
    assert seconds_needed(np.array([10, 20]), start, a_word) == pytest.approx([9, 14])
    assumed = fit_seconds(words[:29], 4 + 0.5 * words[:29])
    assert assumed == pytest.approx((2, 60 / 238))
    # One who left the page for a day changes little; longer texts never count as quicker.
    away = 4 + 0.5 * words
    away[0] = 86_400
    assert fit_seconds(words, away)[1] == pytest.approx(0.5, abs=0.2)
    assert fit_seconds(words, 50.0 - words)[1] == 0
    assert fit_seconds(words, np.zeros(120)) == assumed


def test_candidates_of_unequal_length_are_refused():
    with pytest.raises(ValueError, match="tokens has 2 rows, there are 3 texts"):
        Candidates(3, tokens=np.ones(2))


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
    pool = Candidates(400, probabilities=found)
    by_margin = chosen("margin", pool, n=20, random_share=0.2)
    by_lot = chosen("random", pool, n=20)
    assert sum(i >= 388 for i in by_margin) >= 10
    assert sum(i >= 388 for i in by_lot) <= 3


@given(st.lists(st.sampled_from([0.0, 0.5, 1.0, 2.0, np.nan]), max_size=80), st.integers(0, 90))
def test_the_lowest_are_those_of_a_stable_sort(values, n):
    expected = np.argsort(np.asarray(values), kind="stable")[:n]
    assert lowest(np.asarray(values), n).tolist() == expected.tolist()
