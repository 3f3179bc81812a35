"""Match patterns as annotators: `patterns.jsonl`, in the format of spaCy's EntityRuler and of Prodigy.

A line is `{"label": "BRAND", "pattern": [{"lower": "ann"}, {"lower": "taylor"}]}` (token pattern) or
`{"label": "BRAND", "pattern": "Ann Taylor"}` (exact phrase), with an optional "id".
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from annoloop.errors import FormatError
from annoloop.types import Annotation, LabelScheme, Span

if TYPE_CHECKING:
    from spacy.language import Language
    from spacy.tokens import Doc

DEFAULT_NAME = "patterns.jsonl"

_SHOWN = 20
# A blank pipeline sets none of these: such a pattern would raise, or never match without a word.
_NEEDS_MODEL = {"POS", "TAG", "MORPH", "LEMMA", "DEP", "SENT_START", "_"}
_NEEDS_MODEL |= {"ENT_TYPE", "ENT_IOB", "ENT_ID", "ENT_KB_ID"}


@dataclass(frozen=True, slots=True)
class Pattern:
    """One line of the file: what to match and what it stands for. `match` is token dicts or a phrase.

    `line` counts from 1; None where the pattern comes from no file.
    """

    label: str
    match: tuple[Mapping[str, Any], ...] | str
    id: str | None = None
    line: int | None = field(default=None, compare=False)

    @property
    def shown(self) -> str:
        """What is matched, on one line: `"Ann Taylor"` or `{"lower": "ann"} {"lower": "taylor"}`."""
        parts = [self.match] if isinstance(self.match, str) else self.match
        return " ".join(json.dumps(part, ensure_ascii=False) for part in parts)


@dataclass(frozen=True, slots=True, order=True)
class Match:
    """A place where a pattern matches: code-point offsets, `pattern` an index of `Rules.patterns`.

    `used` says whether the annotation that `Rules.predict` makes says so too. It does not where another
    match took the place (ner), or another label won (one category).
    """

    start: int
    end: int
    pattern: int
    label: str
    used: bool


class Rules:
    """Checked patterns that annotate texts; made by `load_rules`.

    `version` names the patterns, the language and the kind of question: equal versions annotate equally.
    """

    def __init__(self, patterns: Sequence[Pattern], *, scheme: LabelScheme, lang: str) -> None:
        self.patterns = tuple(patterns)
        self.scheme = scheme
        self.lang = lang
        content = [[p.label, p.match, p.id] for p in self.patterns]
        plain = json.dumps([scheme.kind, lang, content], sort_keys=True, ensure_ascii=True)
        self.version = hashlib.blake2b(plain.encode(), digest_size=6).hexdigest()
        self._matchers: tuple[Language, Any, Any] | None = None

    @property
    def empty(self) -> bool:
        """Whether there is not one pattern."""
        return not self.patterns

    def predict(self, texts: Iterable[str]) -> Iterator[Annotation]:
        """One annotation a text, in order.

        ner: as spaCy's EntityRuler, the longest match first, of equals the leftmost, then the pattern that
        stands first in the file; no overlaps. spancat: as its SpanRuler, every match, of a repeating pattern
        the longest. Categories: each pattern that matches somewhere in the text votes once for its label.
        Single choice: most votes win; on a tie the label whose matching pattern stands first in the file.
        Several: every label with a vote. No match means no category, which counts as wrong.
        """
        for text in texts:
            yield self._annotation(self._matches(text))

    def explain(self, text: str) -> tuple[Match, ...]:
        """Every match of every pattern, by place, then by pattern, with whether the annotation follows it."""
        found = self._matches(text)
        annotation = self._annotation(found)
        spans, labels = set(annotation.spans), set(annotation.labels)
        places = []
        # A pattern that repeats may match one place in several ways.
        for number, start, end in {(number, start, end) for number, _, start, end in found}:
            label = self.patterns[number].label
            used = Span(start, end, label) in spans or label in labels
            places.append(Match(start, end, number, label, used))
        return tuple(sorted(places))

    def annotation(self, matches: Iterable[Match]) -> Annotation:
        """What `predict` says of a text, from what `explain` says of it."""
        used = [match for match in matches if match.used]
        if self.scheme.has_spans:
            return Annotation(spans=tuple(Span(match.start, match.end, match.label) for match in used))
        return Annotation(labels=tuple(match.label for match in used))

    def _annotation(self, found: list[tuple[int, int, int, int]]) -> Annotation:
        if self.scheme.has_spans:
            return Annotation(spans=tuple(self._spans(found)))
        return Annotation(labels=self._labels(found))

    def _matches(self, text: str) -> list[tuple[int, int, int, int]]:
        """(pattern number, tokens matched, first character, end character) of every match in the text."""
        if self.empty:
            return []
        if self._matchers is None:
            self._matchers = self._build()
        nlp, tokens, phrases = self._matchers
        # The tokenizer itself, not `nlp`: that refuses texts of more than a million characters.
        doc: Doc = nlp.tokenizer(text)
        found = []
        # spaCy warns of a matcher without patterns, and most files hold one kind only.
        matches = [match for matcher in (tokens, phrases) if len(matcher) for match in matcher(doc)]
        for key, start, end in matches:
            if start < end:
                last = doc[end - 1]
                number = int(nlp.vocab.strings[key])
                found.append((number, end - start, doc[start].idx, last.idx + len(last)))
        return found

    def _build(self) -> tuple[Language, Any, Any]:
        import spacy
        from spacy.matcher import Matcher, PhraseMatcher

        nlp = spacy.blank(self.lang)
        tokens, phrases = Matcher(nlp.vocab), PhraseMatcher(nlp.vocab)
        greedy = "LONGEST" if self.scheme.kind == "spancat" else None
        for number, pattern in enumerate(self.patterns):
            if isinstance(pattern.match, str):
                phrases.add(str(number), [nlp.tokenizer(pattern.match)])
            else:
                tokens.add(str(number), [[dict(token) for token in pattern.match]], greedy=greedy)
        return nlp, tokens, phrases

    def _spans(self, found: list[tuple[int, int, int, int]]) -> Iterator[Span]:
        taken: list[tuple[int, int]] = []
        for number, _, start, end in sorted(found, key=lambda m: (-m[1], m[2], m[0])):
            if self.scheme.kind == "ner":
                if any(start < other_end and other_start < end for other_start, other_end in taken):
                    continue
                taken.append((start, end))
            yield Span(start, end, self.patterns[number].label)

    def _labels(self, found: list[tuple[int, int, int, int]]) -> tuple[str, ...]:
        voters = sorted({number for number, *_ in found})
        votes = Counter(self.patterns[number].label for number in voters)
        if not votes or not self.scheme.is_exclusive:
            return tuple(votes)
        # A Counter keeps the order in which labels came up, so the first of equals is the earliest pattern's.
        return (votes.most_common(1)[0][0],)


def load_rules(path: Path, *, scheme: LabelScheme, lang: str) -> Rules | None:
    """Read and check a file of patterns. None where a file of the default name does not exist.

    Raises:
        FormatError: the file is missing or not UTF-8, or lines are wrong; the message names every wrong
            line with its number, the field, and what is wrong with it.
    """
    if not path.exists():
        if path.name == DEFAULT_NAME:
            return None
        raise FormatError(
            f"{path}: there is no such file of patterns", hint="create it or mend rules -> patterns"
        )
    try:
        lines = path.read_text(encoding="utf-8-sig").split("\n")
    except UnicodeDecodeError as error:
        raise FormatError(
            f"{path}: not UTF-8 at byte {error.start}", hint="save the file as UTF-8"
        ) from error
    import spacy

    nlp = spacy.blank(lang)
    patterns: list[Pattern] = []
    wrong: list[str] = []
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        pattern = _parse(line, scheme, nlp)
        if isinstance(pattern, str):
            wrong.append(f"{path}:{number}: {pattern}")
        else:
            patterns.append(replace(pattern, line=number))
    if wrong:
        more = [f"… and {len(wrong) - _SHOWN} more"] if len(wrong) > _SHOWN else []
        shown = "\n".join([*wrong[:_SHOWN], *more])
        raise FormatError(
            shown, hint="mend or remove these lines; the format is spaCy's EntityRuler patterns"
        )
    return Rules(patterns, scheme=scheme, lang=lang)


def read_pattern(line: str, *, scheme: LabelScheme, lang: str) -> Pattern:
    """Check one line of a file of patterns, such as one that somebody tries out.

    Raises:
        FormatError: it is no pattern of this scheme; the message names the field and what is wrong with it.
    """
    pattern = _parse(line, scheme, _blank(lang))
    if isinstance(pattern, str):
        raise FormatError(pattern, hint="the format is that of spaCy's EntityRuler patterns")
    return pattern


@cache
def _blank(lang: str) -> Language:
    """A pipeline to check patterns by: making one takes longer than checking a hundred."""
    import spacy

    return spacy.blank(lang)


def _parse(line: str, scheme: LabelScheme, nlp: Language) -> Pattern | str:
    """The pattern on this line, or what is wrong with it: "field: what, what to do"."""
    try:
        row = json.loads(line)
    except json.JSONDecodeError as error:
        return f"not JSON at column {error.colno} ({error.msg}); one object a line"
    if not isinstance(row, dict):
        return "not a JSON object; a line needs label and pattern"
    label, match, name = row.get("label"), row.get("pattern"), row.get("id")
    if not isinstance(label, str):
        return "label: missing or not a string"
    if label not in scheme.labels:
        return f"label: {label!r} is not in the project; known labels: {', '.join(scheme.labels)}"
    if name is not None and not isinstance(name, str):
        return "id: not a string"
    if isinstance(match, str):
        return Pattern(label, match, name) if match.strip() else "pattern: the phrase is empty"
    if not isinstance(match, list):
        return "pattern: missing, or neither a phrase nor a list of tokens"
    problem = _token_problem(match, nlp)
    return f"pattern: {problem}" if problem else Pattern(label, tuple(match), name)


def _token_problem(match: list[Any], nlp: Language) -> str:
    """What spaCy's Matcher would say against this token pattern; empty where it is fine."""
    from spacy.matcher import Matcher
    from spacy.schemas import validate_token_pattern

    if not match:
        return "the list of tokens is empty"
    found = validate_token_pattern(match)
    if found:
        return "; ".join(dict.fromkeys(found))
    for token in match:
        needed = sorted(_NEEDS_MODEL & {str(key).upper() for key in token})
        if needed:
            return f"{needed[0]} needs a trained pipeline; rules run on a blank one: use LOWER, TEXT, SHAPE …"
    try:
        # A wrong regular expression, for example, passes the schema and shows only in use.
        trial = Matcher(nlp.vocab)
        trial.add("0", [match])
        trial(nlp.tokenizer("a b c"))
    except Exception as error:
        return str(error).strip().replace("\n", " ")
    return ""
