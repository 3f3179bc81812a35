"""Lines for patterns.jsonl that labelled categories suggest: the words that tell them apart."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations

from annoloop.corpus.tokenizer import shared_blank
from annoloop.rules.suggest_spans import Idea
from annoloop.types import Gold, LabelScheme

_LONGEST = 3
_PRIOR = 10.0
"""How many words the prior weighs, spread as the words of all texts are."""
_LEAST_Z = 1.64
_A_LABEL, _PAIRS_A_LABEL = 150, 60
_PAIRED = 60
_HARDLY = 0.03
"""In what share of the texts with a word a label may still occur that the word speaks against."""


def label_ideas(gold: Sequence[Gold], *, scheme: LabelScheme, lang: str, least: int) -> list[Idea]:
    """The n-grams and pairs of words that speak for each category, with the texts of it that hold them."""
    nlp = shared_blank(lang)
    held: dict[tuple[str, ...], set[int]] = {}
    words: list[list[str]] = []
    for number, item in enumerate(gold):
        words.append([token.lower_ for token in nlp.tokenizer(item.example.text) if not token.is_space])
        for gram in set(_grams(words[-1])):
            held.setdefault(gram, set()).add(number)
    held = {gram: texts for gram, texts in held.items() if len(texts) >= least}
    ideas: list[Idea] = []
    for label in scheme.labels:
        own = {number for number, item in enumerate(gold) if label in item.annotation.labels}
        scores = _log_odds(held, own, len(gold))
        told = [gram for gram in sorted(scores, key=lambda g: (-scores[g], g)) if scores[gram] > _LEAST_Z]
        told = [gram for gram in told if len(held[gram] & own) >= least]
        for gram in told[:_A_LABEL]:
            pattern = [{"LOWER": word} for word in gram]
            ideas.append(Idea("ngram", label, {"pattern": pattern}, held[gram] & own))
        pairs = sorted(_pairs(told, held, words, own, least), key=lambda pair: -pair[2])
        for (left, right), texts, _ in pairs[:_PAIRS_A_LABEL]:
            between = [{"LOWER": left}, {"OP": "*"}, {"LOWER": right}]
            ideas.append(Idea("pair", label, {"pattern": between}, texts))
        ideas += _exceptions(label, scores, held, own)
    return ideas


def _grams(words: Sequence[str]) -> Iterator[tuple[str, ...]]:
    for length in range(1, _LONGEST + 1):
        for start in range(len(words) - length + 1):
            gram = tuple(words[start : start + length])
            if any(any(c.isalnum() for c in word) for word in gram):
                yield gram


def _log_odds(
    held: dict[tuple[str, ...], set[int]], own: set[int], texts: int
) -> dict[tuple[str, ...], float]:
    """How far each n-gram tells texts of a category from the others, in standard deviations.

    Log-odds ratio with an informative Dirichlet prior (Monroe, Colaresi and Quinn 2008, "Fightin' Words",
    equations 16, 20, 22), counted in texts: the prior is the share of all texts that hold the n-gram.
    """
    others = texts - len(own)
    scores = {}
    for gram, numbers in held.items():
        if len(numbers) == texts:
            scores[gram] = 0.0
            continue
        inside = len(numbers & own)
        outside, prior = len(numbers) - inside, _PRIOR * len(numbers) / texts
        odds = math.log((inside + prior) / (len(own) + _PRIOR - inside - prior))
        odds -= math.log((outside + prior) / (others + _PRIOR - outside - prior))
        scores[gram] = odds / math.sqrt(1 / (inside + prior) + 1 / (outside + prior))
    return scores


def _exceptions(
    label: str,
    scores: Mapping[tuple[str, ...], float],
    held: Mapping[tuple[str, ...], set[int]],
    own: set[int],
) -> Iterator[Idea]:
    """Words that hardly occur in texts of a category though they do in others: one list."""
    members = {}
    for gram, numbers in held.items():
        if len(gram) == 1 and scores[gram] < -_LEAST_Z and len(numbers & own) <= _HARDLY * len(numbers):
            members[gram[0]] = numbers - own
    if members:
        phrases = {"phrases": sorted(members), "attr": "LOWER", "negative": True}
        yield Idea("exception", label, phrases, members=members)


def _pairs(
    told: Sequence[tuple[str, ...]],
    held: dict[tuple[str, ...], set[int]],
    words: Sequence[Sequence[str]],
    own: set[int],
    least: int,
) -> Iterator[tuple[tuple[str, str], set[int], float]]:
    """Two telling words in this order with anything between, where together they tell more than one.

    With the texts of the category that hold both, and a number by which the best pairs come first.
    """
    best = [gram[0] for gram in told if len(gram) == 1][:_PAIRED]
    texts: dict[tuple[str, str], set[int]] = {}
    for one, other in combinations(best, 2):
        for number in held[one,] & held[other,]:
            first = words[number].index(one) < words[number].index(other)
            pair = (one, other) if first else (other, one)
            texts.setdefault(pair, set()).add(number)
    for pair, numbers in texts.items():
        right = numbers & own
        alone = max(len(held[word,] & own) / len(held[word,]) for word in pair)
        if len(right) >= least and len(right) / len(numbers) > alone:
            yield pair, right, (len(right) + 1) / (len(numbers) + 3)
