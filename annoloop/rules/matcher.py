"""Match patterns as annotators: rules made of the lines of `patterns.jsonl` (see `rules.patterns`)."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from annoloop.corpus.tokenizer import blank
from annoloop.errors import FormatError
from annoloop.rules.patterns import Pattern, read_pattern, read_patterns
from annoloop.types import Annotation, LabelScheme, Span

if TYPE_CHECKING:
    from spacy.language import Language
    from spacy.tokens import Doc

    from annoloop.rules.pattern_matcher import Found, PatternMatcher

__all__ = ["DEFAULT_NAME", "Match", "Pattern", "Rules", "load_rules", "read_pattern"]

DEFAULT_NAME = "patterns.jsonl"


@dataclass(frozen=True, slots=True, order=True)
class Match:
    """A place where a pattern matches: code-point offsets, `pattern` an index of `Rules.patterns`.

    `used` says whether the annotation that `Rules.predict` makes says so too. It does not where another
    match took the place (ner), where another label won (one category) or its own did not reach 1 (several),
    where a negative pattern bars it, and for negative patterns.
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
        # What is left at its default is not named: a file keeps its version when options are added.
        content = [[p.label, p.match, p.id, *_more(p)] for p in self.patterns]
        plain = json.dumps([scheme.kind, lang, content], sort_keys=True, ensure_ascii=True)
        self.version = hashlib.blake2b(plain.encode(), digest_size=6).hexdigest()
        self._made: tuple[Language, PatternMatcher] | None = None

    @property
    def empty(self) -> bool:
        """Whether there is not one pattern."""
        return not self.patterns

    @property
    def rows(self) -> list[dict[str, Any]]:
        """The patterns as lines of the file, each a dict that needs no file beside it."""
        return [pattern.row for pattern in self.patterns]

    @property
    def lines(self) -> str:
        """The rows as the text of a file, each on the line where it stood, so that messages name it."""
        lines: list[str] = []
        for pattern in self.patterns:
            lines += [""] * ((pattern.line or 0) - len(lines) - 1)
            lines.append(json.dumps(pattern.row))
        return "\n".join(lines)

    @property
    def proven(self) -> bool:
        """Whether no regular expression is among them that might take for ever on some text."""
        return all(pattern.proven for pattern in self.patterns)

    def predict(self, texts: Iterable[str]) -> Iterator[Annotation]:
        """One annotation a text, in order.

        ner: as spaCy's EntityRuler, the longest match first, of equals the leftmost, then the pattern that
        stands first in the file; no overlaps. spancat: as its SpanRuler, every match, of a repeating pattern
        the longest. Categories: each pattern that matches somewhere in the text adds its score (1 where none
        is set) to its label. Single choice: the highest sum wins; on a tie the label whose matching pattern
        stands first in the file. Several: every label whose sum reaches 1. No match means no category, which
        counts as wrong. A higher priority goes before all this, and a negative pattern bars its label: for
        spans where they overlap.
        """
        for text in texts:
            doc, found = self._matches(text)
            yield self._annotation(doc, found)

    def explain(self, text: str) -> tuple[Match, ...]:
        """Every match of every pattern, by place, then by pattern, with whether the annotation follows it."""
        doc, found = self._matches(text)
        annotation = self._annotation(doc, found)
        spans, labels = set(annotation.spans), set(annotation.labels)
        places = []
        # A pattern that repeats may match one place in several ways.
        for number, start, end in {(number, *_characters(doc, start, end)) for number, start, end in found}:
            pattern = self.patterns[number]
            said = Span(start, end, pattern.label) in spans or pattern.label in labels
            places.append(Match(start, end, number, pattern.label, said and not pattern.negative))
        return tuple(sorted(places))

    def annotation(self, matches: Iterable[Match]) -> Annotation:
        """What `predict` says of a text, from what `explain` says of it."""
        used = [match for match in matches if match.used]
        if self.scheme.has_spans:
            return Annotation(spans=tuple(Span(match.start, match.end, match.label) for match in used))
        return Annotation(labels=tuple(match.label for match in used))

    def _annotation(self, doc: Doc | None, found: Sequence[Found]) -> Annotation:
        if doc is None or self._made is None:
            return Annotation()
        matcher = self._made[1]
        if not self.scheme.has_spans:
            return Annotation(labels=matcher.labels(found))
        spans = (Span(*_characters(doc, start, end), label) for start, end, label in matcher.spans(found))
        return Annotation(spans=tuple(spans))

    def _matches(self, text: str) -> tuple[Doc | None, list[Found]]:
        """The text's tokens and every match in them; no tokens where there is nothing to match."""
        if self.empty:
            return None, []
        if self._made is None:
            self._made = self._build()
        nlp, matcher = self._made
        # The tokenizer itself, not `nlp`: that refuses texts of more than a million characters.
        doc = nlp.tokenizer(text)
        return doc, matcher(doc)

    def _build(self) -> tuple[Language, PatternMatcher]:
        from annoloop.rules.pattern_matcher import PatternMatcher

        nlp = blank(self.lang)
        return nlp, PatternMatcher(nlp.vocab, nlp.tokenizer, self.rows, self.scheme.kind)


def _more(pattern: Pattern) -> list[Any]:
    kind = {} if pattern.kind == "pattern" else {"kind": pattern.kind}
    return [more] if (more := {**kind, **pattern.options}) else []


def _characters(doc: Doc | None, start: int, end: int) -> tuple[int, int]:
    assert doc is not None  # There are matches only in tokens.
    last = doc[end - 1]
    return doc[start].idx, last.idx + len(last)


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
        lines = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise FormatError(
            f"{path}: not UTF-8 at byte {error.start}", hint="save the file as UTF-8"
        ) from error
    patterns = read_patterns(lines, scheme=scheme, lang=lang, folder=path.parent, name=f"{path}:")
    return Rules(patterns, scheme=scheme, lang=lang)
