"""Rules and names that training takes from its gold: what they say of a text, and would say without it."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from annoloop.corpus.tokenizer import shared_blank
from annoloop.hashing import fraction
from annoloop.rules.choose import SURE, MatchTable, choose
from annoloop.rules.joining import CODE
from annoloop.rules.matcher import Match, Rules
from annoloop.rules.pattern_matcher import PatternMatcher, unreadable
from annoloop.rules.patterns import Pattern, read_patterns
from annoloop.rules.suggest import FOLDS, Candidate, fold_of, from_gold, measured
from annoloop.types import Gold, LabelScheme, PoolGold, Span

if TYPE_CHECKING:
    from spacy.tokens import Doc

_EXPECTED = 0.65
"""The least precision expected of a sure rule. Three folds of fashion brands, filled in after a recogniser
of F .731 / .681 / .662 by all rules .745 / .723 / .707, by those from .5, .6, .7, .8 and .9 on
.747 / .723 / .707, .749 / .727 / .717, .759 / .727 / .717, .759 / .704 / .700 and .757 / .681 / .675."""

_FEWEST_RIGHT = 50
"""Spans that rules or names must find in texts that they do not come from, or a recogniser is not told of
them. With and without them, where they found under 30: fashion brands, 50, 100, 200 texts F .213 / .310,
.472 / .500, .569 / .589; with 60: maintenance orders, 50 texts .607 / .580."""

_LONGEST_NAME = 6
"""Tokens: longer names hardly come again."""

_MOST_TEXTS = 3_000
"""Texts that rules are made of: more would take minutes, and add rare names only."""

_ROWS = list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class GoldRules:
    """Rules made of gold, as rows that `rules.component` reads.

    `rows` are the smallest set of rules that keeps the score ("made": "rules"), and all names of the gold in
    any case ("made": "names"), each where they find something without the texts that they come from. `sure`
    are those of the rules and of the project's own that are expected to be right mostly, and those that say
    where a label is not. `crossed` has for every text of the gold, by its hash, the spans that such rules and
    names found in it when they came from the other four fifths alone. Phrases of the gold stand in the rows
    as keys, since they travel with the model.
    """

    rows: tuple[dict[str, Any], ...]
    sure: tuple[dict[str, Any], ...]
    crossed: Mapping[str, tuple[tuple[Span, ...], tuple[Span, ...]]]


@dataclass(frozen=True)
class RuleMaker:
    """What training needs to know of rules: the project's own, and how to make others of gold.

    `rules` are the project's; those of which it is not proven that they cannot take for ever are left out,
    since in a pipeline nothing stops them. `join` says whether they may fill in, too, where they are sure.
    What was made is kept for the next training on the same gold.
    """

    scheme: LabelScheme
    lang: str
    rules: Rules | None = None
    join: bool = True
    _kept: dict[object, GoldRules] = field(default_factory=dict, compare=False, repr=False)

    @property
    def given(self) -> _ROWS:
        """The rows of the project's own rules."""
        return [pattern.row for pattern in self._own]

    @property
    def _own(self) -> list[Pattern]:
        return [pattern for pattern in self.rules.patterns if pattern.proven] if self.rules else []

    @property
    def code(self) -> Mapping[str, Path]:
        """The components' code by the name under which it travels with a pipeline."""
        import annoloop.rules.component  # noqa: F401  (registers its factories)

        return CODE

    def __call__(self, gold: PoolGold) -> GoldRules:
        """Make rules of gold to learn from; equal gold gives equal rules.

        Raises:
            BlindnessError: the gold is not gold to learn from.
        """
        name = tuple((item.example.input_hash, item.annotation, item.complete) for item in gold)
        if name not in self._kept:
            own = self._own if self.join else ()
            self._kept[name] = rules_of_gold(gold, scheme=self.scheme, lang=self.lang, own=own)
        return self._kept[name]


def rules_of_gold(
    gold: PoolGold, *, scheme: LabelScheme, lang: str, own: Sequence[Pattern] = ()
) -> GoldRules:
    """Propose rules from complete gold and choose among them, once of all and once without each fifth.

    All are matched once: what a rule says of a text counts for the fifth of that text only where it would
    have been proposed without it (`MatchTable`), and the choice for a fifth looks at the others alone. `own`
    are the project's rules, of which the gold only says which are sure.

    Raises:
        BlindnessError: the gold is not gold to learn from.
    """
    complete = sorted(
        (item for item in gold if item.complete), key=lambda item: fraction(_name(item), "rules")
    )
    learn, rest = PoolGold(tuple(complete[:_MOST_TEXTS])), complete[_MOST_TEXTS:]
    sure = _sure(_ground(own, [_of_file(one) for one in own], learn, scheme, lang), range(len(own)))
    candidates = from_gold(learn, scheme=scheme, lang=lang) if learn.items else ()
    if not candidates:
        return GoldRules((), tuple(sure), {_name(item): ((), ()) for item in complete})
    patterns = read_patterns("\n".join(one.line for one in candidates), scheme=scheme, lang=lang)
    ground = _ground(patterns, candidates, learn, scheme, lang)
    chosen = ground.chosen(range(len(learn)))
    made = Rules([patterns[number] for number in chosen], scheme=scheme, lang=lang)
    by_rules = _heard(ground.crossed() | _said(made, rest), complete)
    by_name = _heard(_names_crossed(complete, lang), complete)
    crossed = {
        _name(item): (by_rules.get(_name(item), ()), by_name.get(_name(item), ())) for item in complete
    }
    tokenize = shared_blank(lang).tokenizer
    rows = [{**unreadable(row, tokenize), "made": "rules"} for row in made.rows if by_rules]
    rows += [{**row, "made": "names"} for row in _names(complete, tokenize) if by_name]
    sure += [{**unreadable(row, tokenize), "made": "rules"} for row in _sure(ground, chosen)]
    return GoldRules(tuple(rows), tuple(sure), crossed)


def _heard(said: Mapping[str, tuple[Span, ...]], gold: Sequence[Gold]) -> Mapping[str, tuple[Span, ...]]:
    """What was said of texts by what was made without them; nothing where too little of it is right.

    With a few names in the gold the rules of the one half find little of the other but by chance.
    """
    right = sum(len({*said[_name(item)]} & {*item.annotation.spans}) for item in gold)
    found = sum(map(len, said.values()))
    return said if right >= _FEWEST_RIGHT and right >= found / 2 else {}


def _said(rules: Rules, gold: Sequence[Gold]) -> dict[str, tuple[Span, ...]]:
    made = rules.predict(item.example.text for item in gold)
    return {_name(item): one.spans for item, one in zip(gold, made, strict=True)}


def _names(gold: Iterable[Gold], tokenize: Callable[[str], Doc]) -> list[dict[str, Any]]:
    """A row for each label: the names that have it in the gold, in any case, mostly or alone."""
    labels: dict[str, Counter[str]] = {}
    for item in gold:
        for span in item.annotation.spans:
            name = item.example.text[span.start : span.end].lower()
            if len(tokenize(name)) <= _LONGEST_NAME:
                labels.setdefault(name, Counter())[span.label] += 1
    names: dict[str, list[str]] = {}
    for name, counts in sorted(labels.items()):
        names.setdefault(max(sorted(counts), key=lambda label: counts[label]), []).append(name)
    rows = ({"label": label, "phrases": found, "attr": "LOWER"} for label, found in sorted(names.items()))
    return [unreadable(row, tokenize) for row in rows]


def _names_crossed(gold: Sequence[Gold], lang: str) -> dict[str, tuple[Span, ...]]:
    """Where names stand in each text that other fifths of the gold have."""
    nlp = shared_blank(lang)
    made: dict[str, tuple[Span, ...]] = {}
    for fold in range(FOLDS):
        rows = _names((item for item in gold if fold_of(item) != fold), nlp.tokenizer)
        matcher = PatternMatcher(nlp.vocab, nlp.tokenizer, rows, "ner")
        for item in (item for item in gold if fold_of(item) == fold):
            doc = nlp.tokenizer(item.example.text)
            spans = ((doc[start:end], label) for start, end, label in matcher.spans(matcher(doc)))
            made[_name(item)] = tuple(Span(s.start_char, s.end_char, label) for s, label in spans)
    return made


def _of_file(pattern: Pattern) -> Candidate:
    return Candidate(json.dumps(pattern.row), "gold", "file", 0)


def _ground(
    patterns: Sequence[Pattern],
    candidates: Sequence[Candidate],
    gold: PoolGold,
    scheme: LabelScheme,
    lang: str,
) -> _Ground:
    rules = Rules(patterns, scheme=scheme, lang=lang)
    found = [rules.explain(item.example.text) for item in gold]
    candidates = measured(candidates, gold, found, scheme=scheme)
    return _Ground(patterns, candidates, gold, found, scheme, lang)


def _sure(ground: _Ground, numbers: Iterable[int]) -> list[dict[str, Any]]:
    """The rows of those that are expected to be right mostly, and of negative ones."""
    ones = ((ground.patterns[number], ground.candidates[number]) for number in numbers)
    return [pattern.row for pattern, one in ones if one.negative or (one.expected or 0.0) >= _EXPECTED]


@dataclass(frozen=True)
class _Ground:
    """Candidates with all their matches in the gold."""

    patterns: Sequence[Pattern]
    candidates: Sequence[Candidate]
    gold: PoolGold
    found: Sequence[Sequence[Match]]
    scheme: LabelScheme
    lang: str

    def _table(self, texts: Collection[int]) -> MatchTable:
        return MatchTable(
            self.patterns,
            [self.found[number] for number in texts],
            PoolGold(tuple(self.gold.items[number] for number in texts)),
            scheme=self.scheme,
            lang=self.lang,
            candidates=self.candidates,
        )

    def chosen(self, texts: Collection[int]) -> tuple[int, ...]:
        """Which candidates are chosen on these texts."""
        return choose(self._table(texts), sure=SURE).patterns

    def crossed(self) -> dict[str, tuple[Span, ...]]:
        """What those that are chosen on the other folds say of each text."""
        table = self._table(range(len(self.gold)))
        made: dict[str, tuple[Span, ...]] = {}
        for fold in range(FOLDS):
            own = [number for number, other in enumerate(table.folds) if other == fold]
            others = [number for number, other in enumerate(table.folds) if other != fold]
            chosen = set(self.chosen(others)) if own and others else set()
            made |= {_name(self.gold.items[number]): table.says(number, chosen) for number in own}
        return made


def _name(gold: Gold) -> str:
    return gold.example.input_hash
