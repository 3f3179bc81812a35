"""Match patterns: the one implementation, and two spaCy components around it, in one file that stands alone.

The file travels inside exported packages, so it imports nothing of annoloop: only spaCy and what comes
with Python. `PatternMatcher` is also what `annoloop.rules.matcher.Rules` matches by.

A row is a line of patterns.jsonl as a dict, with lists of phrases written out: "label", one of "pattern"
(token dicts, or a phrase), "phrases" (a list) and "regex", and the options "attr", "fuzzy", "flags",
"score", "negative", "priority". Rows are taken as they are: annoloop checks them when it reads the file.
"""

import math
import re
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import srsly
from spacy import util
from spacy.language import Language
from spacy.matcher import Matcher, PhraseMatcher
from spacy.pipeline.pipe import Pipe
from spacy.tokens import Doc, Span, SpanGroup

FACTORY = "annoloop_rules"
TAGS_FACTORY = "annoloop_rule_tags"
FILE_NAME = "patterns.jsonl"
SPANS_KEY = "sc"
MODES = ("fill", "override")

Found = tuple[int, int, int]
"""A match: number of the pattern, first token, end token (exclusive)."""
Marked = tuple[int, int, str]
"""A span: start, end (exclusive), label; in tokens or in characters."""


class PatternMatcher:
    """Finds all matches of the rows' patterns in a doc, and settles what they say together.

    `kind` is ner, spancat, textcat or textcat_multilabel. `tokenize` makes docs of phrases; it must be the
    tokenizer of the docs that are matched.
    """

    def __init__(
        self, vocab: Any, tokenize: Callable[[str], Doc], rows: Sequence[Mapping[str, Any]], kind: str
    ) -> None:
        self.kind = kind
        self._labels = [row["label"] for row in rows]
        self._scores = [float(row.get("score", 1.0)) for row in rows]
        self._negative = [bool(row.get("negative", False)) for row in rows]
        self._priorities = [int(row.get("priority", 0)) for row in rows]
        self._strings = vocab.strings
        self._matchers: dict[str, Any] = {
            "tokens": Matcher(vocab),
            "fuzzy": Matcher(vocab),
            "ORTH": PhraseMatcher(vocab, attr="ORTH"),
            "LOWER": PhraseMatcher(vocab, attr="LOWER"),
        }
        self._regexes: list[tuple[int, re.Pattern[str]]] = []
        for number, row in enumerate(rows):
            self._add(number, row, tokenize)

    def _add(self, number: int, row: Mapping[str, Any], tokenize: Callable[[str], Doc]) -> None:
        match = row.get("pattern", row.get("phrases"))
        if "regex" in row:
            self._regexes.append((number, re.compile(row["regex"], regex_flags(row.get("flags", "")))))
        elif "pattern" in row and not isinstance(match, str):
            greedy = "LONGEST" if self.kind == "spancat" else None
            self._matchers["tokens"].add(str(number), [[dict(token) for token in match]], greedy=greedy)
        else:
            docs = [tokenize(phrase) for phrase in ([match] if isinstance(match, str) else match)]
            if row.get("fuzzy"):
                self._matchers["fuzzy"].add(str(number), [_fuzzy(doc, row["fuzzy"]) for doc in docs])
            else:
                self._matchers[row.get("attr", "ORTH")].add(str(number), docs)

    def __call__(self, doc: Doc) -> list[Found]:
        """Every match in the doc, in no order; the same place may come up more than once."""
        # spaCy warns of a matcher without patterns, and most files hold one kind only.
        used = [matcher for matcher in self._matchers.values() if len(matcher)]
        matches = [match for matcher in used for match in matcher(doc)]
        found = [(int(self._strings[key]), start, end) for key, start, end in matches if start < end]
        return [*found, *self._by_regex(doc)] if self._regexes else found

    def _by_regex(self, doc: Doc) -> Iterator[Found]:
        """Matches of regexes in the text, widened to the tokens that they touch, without outer blanks."""
        text, starts = doc.text, [token.idx for token in doc]
        ends = [token.idx + len(token) for token in doc]
        for number, regex in self._regexes:
            for match in regex.finditer(text):
                first, last = bisect_right(ends, match.start()), bisect_left(starts, match.end())
                while first < last and doc[first].is_space:
                    first += 1
                while first < last and doc[last - 1].is_space:
                    last -= 1
                if match.start() < match.end() and first < last:
                    yield number, first, last

    def spans(self, found: Iterable[Found]) -> list[Marked]:
        """The spans (in tokens) that the matches amount to.

        No span overlaps a match of a negative pattern of its label. ner: of those that overlap, the one of
        the highest priority stays, of equals the one of the most tokens, then the leftmost, then that of the
        first row. spancat: all.
        """
        found = list(found)
        barred = self._barred_tokens(found)
        spans: dict[Marked, None] = {}
        taken: set[int] = set()
        for number, start, end in sorted(found, key=self._rank):
            label, tokens = self._labels[number], range(start, end)
            if self._negative[number] or not barred.get(label, _NOTHING).isdisjoint(tokens):
                continue
            if self.kind == "ner":
                if not taken.isdisjoint(tokens):
                    continue
                taken.update(tokens)
            spans[start, end, label] = None
        return list(spans)

    def _rank(self, found: Found) -> tuple[int, int, int, int]:
        number, start, end = found
        return -self._priorities[number], start - end, start, number

    def _barred_tokens(self, found: Iterable[Found]) -> dict[str, set[int]]:
        barred: dict[str, set[int]] = {}
        for number, start, end in found:
            if self._negative[number]:
                barred.setdefault(self._labels[number], set()).update(range(start, end))
        return barred

    def labels(self, found: Iterable[Found]) -> tuple[str, ...]:
        """The categories that the matches amount to.

        Each pattern that matches adds its score to its label once; a negative one bars its label. One
        category: of the labels with a pattern of the highest priority that matches, the one with the highest
        sum, of equals the one whose matching pattern comes first. Several: every label that reaches 1.
        """
        voters = sorted({number for number, *_ in found})
        barred = {self._labels[number] for number in voters if self._negative[number]}
        votes: dict[str, list[int]] = {}
        for number in voters:
            if self._labels[number] not in barred:
                votes.setdefault(self._labels[number], []).append(number)
        # Rounded, so that ten times .1 are 1.
        sums = {label: round(math.fsum(self._scores[n] for n in given), 9) for label, given in votes.items()}
        if self.kind != "textcat":
            return tuple(label for label, total in sums.items() if total >= 1)
        ranks = {label: (max(self._priorities[n] for n in votes[label]), sums[label]) for label in votes}
        # The first of equals: labels came up in the order of the rows.
        return (max(ranks, key=lambda label: ranks[label]),) if ranks else ()


_NOTHING: frozenset[int] = frozenset()


def regex_flags(letters: str) -> int:
    """The flags of `re` that letters such as "im" stand for."""
    flags = 0
    for letter in letters:
        flags |= re.RegexFlag[letter.upper()]
    return int(flags)


def _fuzzy(doc: Doc, edits: int) -> list[dict[str, Any]]:
    """Token dicts for a phrase: each word with at most `edits` edits, and one for every four characters.

    Three letters with one of them changed are mostly another word.
    """
    allowed = [min(edits, len(token.lower_) // 4) for token in doc]
    return [
        {"LOWER": {f"FUZZY{most}": token.lower_} if most else token.lower_}
        for token, most in zip(doc, allowed, strict=True)
    ]


def joined_spans(rules: Sequence[Marked], model: Sequence[Marked], *, kind: str, mode: str) -> list[Marked]:
    """The spans of both. Where they are rivals the model's stay ("fill") or the rules' ("override").

    ner: spans that overlap are rivals. spancat: those that overlap and have the same label.
    """
    first, second = (model, rules) if mode == "fill" else (rules, model)

    def rivals(one: Marked, other: Marked) -> bool:
        return one[0] < other[1] and other[0] < one[1] and (kind == "ner" or one[2] == other[2])

    return [*first, *(span for span in second if not any(rivals(span, other) for other in first))]


def joined_labels(rules: Iterable[str], model: Iterable[str], *, kind: str, mode: str) -> tuple[str, ...]:
    """The categories of both. "override": the rules' where they name any, else the model's.

    "fill": for one category the model's where it names one, else the rules'; for several those of either.
    """
    rules, model = tuple(rules), tuple(model)
    if mode == "override":
        return rules or model
    return model or rules if kind == "textcat" else tuple(dict.fromkeys((*model, *rules)))


class RulesComponent(Pipe):  # type: ignore[misc]
    """Adds what patterns say to `doc.ents`, `doc.spans["sc"]` or `doc.cats`, beside what is there.

    `patterns` are rows as above. A category that the rules decide gets 1.0 and those that it rules out 0.0.
    """

    def __init__(self, nlp: Language, name: str, *, kind: str, labels: Sequence[str], mode: str) -> None:
        if mode not in MODES:
            raise ValueError(f"mode {mode!r} of {FACTORY} is none of {', '.join(MODES)}")
        self.nlp = nlp
        self.vocab = nlp.vocab
        self.name = name
        self.kind = kind
        self.mode = mode
        self._names = list(labels)
        self.patterns = []

    @property
    def labels(self) -> tuple[str, ...]:
        """All labels that may be set, in the order of the project."""
        return tuple(self._names)

    @property
    def patterns(self) -> list[dict[str, Any]]:
        """The rows that are matched."""
        return list(self._rows)

    @patterns.setter
    def patterns(self, rows: Iterable[Mapping[str, Any]]) -> None:
        self._rows = [dict(row) for row in rows]
        self._made: list[PatternMatcher] = []

    def initialize(
        self,
        get_examples: Callable[[], Iterable[Any]],
        *,
        nlp: Language | None = None,
        patterns: list[dict[str, Any]] | None = None,
    ) -> None:
        """Take the rows where a config names some."""
        if patterns is not None:
            self.patterns = patterns

    def __call__(self, doc: Doc) -> Doc:
        """Match the patterns and set what they say."""
        [matcher] = self._matchers()
        found = matcher(doc)
        if self.kind == "ner":
            doc.ents = list(self._joined(doc, matcher.spans(found), list(doc.ents)))
        elif self.kind == "spancat":
            self._set_group(doc, matcher.spans(found))
        else:
            self._set_categories(doc, matcher.labels(found))
        return doc

    def _sorts(self) -> list[Sequence[Mapping[str, Any]]]:
        """The rows by what is told apart: each sort has a matcher of its own."""
        return [self._rows]

    def _matchers(self) -> list[PatternMatcher]:
        if not self._made:
            # Late: when the component is read from disk, the tokenizer may not have been yet.
            tokenize = self.nlp.tokenizer
            self._made = [PatternMatcher(self.vocab, tokenize, rows, self.kind) for rows in self._sorts()]
        return self._made

    def _joined(self, doc: Doc, rules: Sequence[Marked], model: Sequence[Span]) -> dict[Span, None]:
        known = {(span.start, span.end, span.label_): span for span in model}
        joined = joined_spans(rules, list(known), kind=self.kind, mode=self.mode)
        return dict.fromkeys(
            known.get(one) or Span(doc, one[0], one[1], label=one[2]) for one in dict.fromkeys(joined)
        )

    def _set_group(self, doc: Doc, rules: Sequence[Marked]) -> None:
        group = doc.spans.get(SPANS_KEY)
        model = list(group) if group is not None else []
        given = group.attrs.get("scores") if group is not None else None
        scores = {}
        if given is not None:
            scores = {(s.start, s.end, s.label_): float(value) for s, value in zip(model, given, strict=True)}
        spans = list(self._joined(doc, rules, model))
        sure = np.array([scores.get((s.start, s.end, s.label_), 1.0) for s in spans], dtype="f")
        doc.spans[SPANS_KEY] = SpanGroup(doc, name=SPANS_KEY, spans=spans, attrs={"scores": sure})

    def _set_categories(self, doc: Doc, rules: Sequence[str]) -> None:
        model = self._said(doc)
        joined = joined_labels(rules, model, kind=self.kind, mode=self.mode)
        if set(joined) == set(model):
            rules = ()
        for label in self._names:
            doc.cats.setdefault(label, 0.0)
            if not rules:
                continue
            if label in joined and label not in model:
                doc.cats[label] = 1.0
            elif label not in joined and (label in model or self.kind == "textcat"):
                doc.cats[label] = 0.0

    def _said(self, doc: Doc) -> tuple[str, ...]:
        """The categories that the doc has already: the highest above 0, or all from .5 on."""
        scores = {label: doc.cats.get(label, 0.0) for label in self._names}
        if self.kind != "textcat":
            return tuple(label for label, score in scores.items() if score >= 0.5)
        best = max(scores, key=lambda label: scores[label], default="")
        return (best,) if scores.get(best, 0.0) > 0 else ()

    def to_bytes(self, *, exclude: Iterable[str] = ()) -> bytes:
        """The rows as JSON; settings live in the pipeline's config."""
        return bytes(srsly.json_dumps(self._rows).encode("utf8"))

    def from_bytes(self, packed: bytes, *, exclude: Iterable[str] = ()) -> "RulesComponent":
        """Take back what `to_bytes` wrote."""
        self.patterns = srsly.json_loads(packed)
        return self

    def to_disk(self, path: str | Path, *, exclude: Iterable[str] = ()) -> None:
        """Write the rows into the component's folder, one a line."""
        folder = util.ensure_path(path)
        folder.mkdir(parents=True, exist_ok=True)
        srsly.write_jsonl(folder / FILE_NAME, self._rows)

    def from_disk(self, path: str | Path, *, exclude: Iterable[str] = ()) -> "RulesComponent":
        """Read the component's folder."""
        self.patterns = srsly.read_jsonl(util.ensure_path(path) / FILE_NAME)
        return self


class RuleTagger(RulesComponent):
    """Sets what rules say of entities as the tokens' tags, which a recogniser after it can look at.

    A tag is "B-LABEL" for the first token of what a rule finds and "I-LABEL" for others. Rows with "made"
    were made of the training gold. Where both sorts say something of a token, a bar stands between.
    """

    def __init__(self, nlp: Language, name: str) -> None:
        super().__init__(nlp, name, kind="ner", labels=(), mode="fill")
        self._seen: dict[str, list[str]] = {}

    def initialize(
        self,
        get_examples: Callable[[], Iterable[Any]],
        *,
        nlp: Language | None = None,
        patterns: list[dict[str, Any]] | None = None,
    ) -> None:
        """Take the rows, and what is to be said of the training texts.

        Made rows know those by heart, and a recogniser would learn to trust them blindly. So while the
        training lasts the tags count that the reference docs have: of rows that were made without the text.
        """
        super().initialize(get_examples, patterns=patterns)
        self._seen = {eg.reference.text: [token.tag_ for token in eg.reference] for eg in get_examples()}

    def _sorts(self) -> list[Sequence[Mapping[str, Any]]]:
        return [[row for row in self._rows if bool(row.get("made")) == made] for made in (False, True)]

    def __call__(self, doc: Doc) -> Doc:
        """Match the patterns and set the tags."""
        given, made = self._matchers()
        seen = self._seen.get(doc.text) or _tags(doc, made)
        for token, *tags in zip(doc, _tags(doc, given), seen, strict=True):
            token.tag_ = "|".join(tags) if any(tags) else ""
        return doc


def _tags(doc: Doc, matcher: PatternMatcher) -> list[str]:
    tags = [""] * len(doc)
    for start, end, label in matcher.spans(matcher(doc)):
        tags[start:end] = [f"B-{label}", *[f"I-{label}"] * (end - start - 1)]
    return tags


def make_rules(nlp: Language, name: str, kind: str, labels: list[str], mode: str) -> "RulesComponent":
    """Make the component from a config block."""
    return RulesComponent(nlp, name, kind=kind, labels=labels, mode=mode)


# Several exported packages may be loaded in one process, each with its own copy of this file;
# spaCy refuses to register one name twice.
if not Language.has_factory(FACTORY):
    Language.factory(
        FACTORY,
        default_config={"kind": "ner", "labels": [], "mode": "override"},
        func=make_rules,
    )
if not Language.has_factory(TAGS_FACTORY):
    Language.factory(TAGS_FACTORY, func=RuleTagger)
