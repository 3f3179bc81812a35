"""Match patterns: the one implementation, in one file that stands alone.

The file travels inside exported packages beside component.py, so it imports nothing of annoloop: only spaCy
and what comes with Python. `PatternMatcher` is also what `annoloop.rules.matcher.Rules` matches by.

A row is a line of patterns.jsonl as a dict, with lists of phrases written out: "label", one of "pattern"
(token dicts, or a phrase), "phrases" (a list) and "regex", and the options "attr", "fuzzy", "flags",
"score", "negative", "priority". Rows are taken as they are: annoloop checks them when it reads the file.
In the place of phrases a row may have "keys" (see `unreadable`).
"""

import hashlib
import math
import re
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from spacy.matcher import Matcher, PhraseMatcher
from spacy.tokens import Doc

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
        self._keys: dict[str, dict[str, list[int]]] = {}
        self._firsts: dict[str, set[str]] = {}
        self._longest = 0
        for number, row in enumerate(rows):
            self._add(number, row, tokenize)

    def _add(self, number: int, row: Mapping[str, Any], tokenize: Callable[[str], Doc]) -> None:
        match = row.get("pattern", row.get("phrases"))
        if "regex" in row:
            self._regexes.append((number, re.compile(row["regex"], regex_flags(row.get("flags", "")))))
        elif "keys" in row:
            attr = row.get("attr", "ORTH")
            for key in row["keys"]:
                self._keys.setdefault(attr, {}).setdefault(key, []).append(number)
            self._firsts.setdefault(attr, set()).update(row["firsts"])
            self._longest = max(self._longest, row["longest"])
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
        return [*found, *self._by_key(doc), *(self._by_regex(doc) if self._regexes else ())]

    def _by_key(self, doc: Doc) -> Iterator[Found]:
        texts = [token.text for token in doc] if self._keys else []
        for attr, known in self._keys.items():
            words, firsts = _words(texts, attr), self._firsts[attr]
            for start, word in enumerate(words):
                if _key([word]) in firsts:
                    for end in range(start + 1, min(start + self._longest, len(words)) + 1):
                        for number in known.get(_key(words[start:end]), ()):
                            yield number, start, end

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


def unreadable(row: Mapping[str, Any], tokenize: Callable[[str], Doc]) -> dict[str, Any]:
    """The row with keys in the place of its phrases, which match the same and do not tell the words.

    A key is a hash of 64 bits of the phrase's tokens, and of its first: who guesses a phrase can tell whether
    it is one of them. Other rows stay as they are.
    """
    match = row.get("pattern", row.get("phrases"))
    if "regex" in row or row.get("fuzzy") or ("pattern" in row and not isinstance(match, str)):
        return dict(row)
    phrases = [match] if isinstance(match, str) else list(match or ())
    attr = row.get("attr", "ORTH")
    words = [_words([token.text for token in tokenize(phrase)], attr) for phrase in phrases]
    rest = {name: value for name, value in row.items() if name not in ("pattern", "phrases")}
    keys, firsts = ({_key(one[:end]) for one in words if one} for end in (None, 1))
    longest = max(map(len, words), default=0)
    return {**rest, "keys": sorted(keys), "firsts": sorted(firsts), "longest": longest}


def _words(texts: list[str], attr: str) -> list[str]:
    return [text.lower() for text in texts] if attr == "LOWER" else texts


def _key(words: Sequence[str]) -> str:
    return hashlib.blake2b("\0".join(words).encode(), digest_size=8).hexdigest()
