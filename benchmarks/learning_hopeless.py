"""Tasks of which nothing can be learned: how often they are called so, and how often others are.

Takes about three minutes. Curves as `annoloop train-curve` draws them, two shuffles of seven sizes, of texts
drawn by seed with their labels and with the same labels shuffled, which leaves nothing to learn; docs_issues
and customer_feedback_de (also its commonest labels, one against the rest) shaped the thresholds of
`evaluation.trivial.standing`, by other draws; Reuters R8 and the election tweets did not. TF-IDF with
logistic regression stands for the recipes, so that a curve takes a tenth of a second. "no_better" is what is
called hopeless: rightly of shuffled labels, wrongly of the others.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import numpy as np
from learning_categories import SETS

from annoloop.evaluation.forecast import Point, rises
from annoloop.evaluation.scores import wilson_interval
from annoloop.evaluation.trivial import Standing, standing, trivial
from annoloop.types import Counts, LabelScheme, Scores

GOLD, JUDGED, SEEDS = (100, 200, 300), (50, 100, 200), 10
AGAINST_THE_REST = 4
NAMES = ("docs_issues", "customer_feedback_de", "Reuters R8", "election tweets")
STANDINGS: tuple[Standing, ...] = ("better", "learning", "not_yet", "no_better")


def figure(*, seed: int, quick: bool) -> list[dict[str, Any]]:
    """Of each data set, with its labels and with shuffled ones, how the curves' last models stand."""
    rows = []
    for name, texts, labels in _tasks(NAMES[:1] if quick else NAMES):
        features = _features(texts)
        for part in ("its labels", "shuffled"):
            found: Counter[Standing] = Counter()
            for number in range(seed, seed + (2 if quick else SEEDS)):
                for gold in GOLD:
                    found.update(_standings(features, labels, gold, number, shuffled=part == "shuffled"))
            shown = {one: found[one] for one in STANDINGS}
            rows.append({"data set": name, "labels": part, "curves": found.total(), **shown})
    return rows


def _tasks(names: tuple[str, ...]) -> Iterator[tuple[str, list[str], np.ndarray]]:
    for name in names:
        ground = SETS[name][0]()
        if ground is None:
            continue
        gold = [g for g in ground.gold if g.annotation.labels]
        texts = [g.example.text for g in gold]
        labels = np.asarray([g.annotation.labels[0] for g in gold])
        yield name, texts, labels
        if name == "customer_feedback_de":
            for label, _ in Counter(labels.tolist()).most_common(AGAINST_THE_REST):
                yield f"{name}, {label}", texts, np.where(labels == label, label, "other")


def _features(texts: list[str]) -> Any:
    from sklearn.feature_extraction.text import TfidfVectorizer

    return TfidfVectorizer(sublinear_tf=True, max_features=3000).fit_transform(texts)


def _standings(
    features: Any, labels: np.ndarray, gold: int, seed: int, *, shuffled: bool
) -> Iterator[Standing]:
    """The standing by the first 50, 100 and 200 judged texts of one draw."""
    from sklearn.linear_model import LogisticRegression

    rng = np.random.default_rng([seed, gold])
    drawn = rng.permutation(len(labels))[: JUDGED[-1] + gold]
    own, rows = labels[drawn].copy(), features[drawn]
    if shuffled:
        own = rng.permutation(own)
    judged, learned = own[: JUDGED[-1]], Counter(own[JUDGED[-1] :].tolist())
    said: list[tuple[int, np.ndarray]] = []
    for order in (rng.permutation(gold), rng.permutation(gold)):
        for size in (round(gold * 6 ** (-step / 6)) for step in range(7)):
            taken = JUDGED[-1] + order[:size]
            if len(set(own[taken])) > 1:
                model = LogisticRegression(C=10, max_iter=200).fit(rows[taken], own[taken])
                said.append((size, model.predict(rows[: JUDGED[-1]])))
    for texts in JUDGED:
        right = judged[:texts]
        points = [Point(size, float((answers[:texts] == right).mean())) for size, answers in said]
        yield _standing(right, said[0][1][:texts], learned, gold, rises=rises(points))


def _standing(
    right: np.ndarray, answers: np.ndarray, learned: Counter[str], gold: int, *, rises: bool
) -> Standing:
    names = tuple(sorted({*right.tolist(), *learned}))
    counts = {
        name: Counts(
            tp=int(((answers == name) & (right == name)).sum()),
            fp=int(((answers == name) & (right != name)).sum()),
            fn=int(((answers != name) & (right == name)).sum()),
        )
        for name in names
    }
    hits, texts = int((answers == right).sum()), len(right)
    scores = Scores(texts, hits / texts, None, None, None, wilson_interval(hits, texts), counts)
    scheme = LabelScheme("textcat", names)
    than = trivial(scheme, learned, gold, scores)
    return standing(scheme, scores, than, learned=learned, texts=gold, rises=rises)
