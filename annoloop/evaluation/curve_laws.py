"""How scores usually grow with gold: what learning curves of other texts say of the next one."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from annoloop.evaluation.scores import FloatArray

AHEAD = 5
"""Times the gold at which forecasts were judged."""

_LEAST = 0.005
"""Scores nearer than this to 1, or of odds to 0, count as this near."""


@dataclass(frozen=True, slots=True)
class Law:
    """How scores usually grow with gold: on its scale by `exponent` times ln n.

    The scale is that of errors, -ln(1 - score), or of odds, ln(score / (1 - score)). `spread` is the standard
    deviation of the exponent over data sets, `shrinkage` how far a fitted one moves to the usual one.
    `holds_noise`: the spread has the error of the texts in it that the scores are measured on.
    """

    odds: bool
    exponent: float
    spread: float
    shrinkage: float
    holds_noise: bool = False

    def scaled(self, scores: FloatArray) -> FloatArray:
        """Scores on the scale of the law."""
        inside = np.clip(scores, _LEAST, 1 - _LEAST) if self.odds else np.minimum(scores, 1 - _LEAST)
        return np.asarray((np.log(inside) if self.odds else 0.0) - np.log1p(-inside))

    def score(self, scaled: FloatArray) -> FloatArray:
        """The inverse of `scaled`."""
        with np.errstate(over="ignore"):
            return np.asarray(1 / (1 + np.exp(-scaled)) if self.odds else 1 - np.exp(-scaled))

    def rise(self, score: float) -> float:
        """How much a score grows where its value on the scale grows by one."""
        return max((1 - score) * (score if self.odds else 1.0), _LEAST)

    def share_to(self, target: float, level: FloatArray, exponent: FloatArray) -> FloatArray:
        """Times the gold at which the score is `level`, on the scale, that reach the target."""
        if target >= 1 or (self.odds and target <= 0):
            return np.full(len(level), np.inf if target >= 1 else 0.0)
        aim = (np.log(target) if self.odds else 0.0) - np.log1p(-target)
        with np.errstate(over="ignore"):
            return np.asarray(np.exp((aim - level) / exponent))


ERRORS = Law(odds=False, exponent=0.27, spread=0.07, shrinkage=0.7, holds_noise=True)
"""Errors fall by a power of the gold: categories, and names and addresses learned from gold alone.

From a fifth of the gold to all of it the exponents of linear classifiers and taggers, 9 pairs of recipe and
texts from four data sets, were .23 to .36 whatever the first fifth showed; of naive Bayes, which levels off,
.03 to .14.
"""

WITH_RULES = Law(odds=False, exponent=0.32, spread=0.12, shrinkage=0.7)
"""Errors fall faster where rules of the gold are a part of the model, and less alike.

From a fifth of the gold to all of it the exponents of the recipe ner_rules, dev and test, were .27 and .40
on fashion_brands, .35 and .34 on maintenance_orders, .26 and .35 on Japanese running text, .53 and .38 on
names of companies, .32 and .21 on those of people, .00 and .10 on tweets, of which it learns little; with the
patterns of fashion_brands .23. The usual one is the median over these six sets.
"""

ODDS = Law(odds=True, exponent=0.7, spread=0.15, shrinkage=0.7)
"""Odds rise by a power of the gold, the Morgan-Mercer-Flodin curve (LCDB's mmf4, Mohr and others 2022) from 0
to 1: entities learned from gold alone.

From a fifth of the gold to all of it the exponents of the recipe ner, on dev and on test, were .68 and .69 on
fashion_brands, .65 and .59 on maintenance_orders, .73 and .70 on Japanese running text, 1.07 and .83 on
tweets: the usual one is their median. Those of errors were .14 to .51, less alike. Where nearly all words of
a short text are labelled they were .26 and .44 on names of companies, .29 and .35 on those of people; there
the law of errors missed by .03 in the mean. benchmarks/learning_forecast.txt tells more.
"""
