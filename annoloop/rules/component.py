"""Match patterns as spaCy components, in a file that travels.

It goes into exported packages with pattern_matcher.py beside it, so it imports nothing of annoloop: only
spaCy and what comes with Python. Rows are described there.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import srsly
from spacy import util
from spacy.language import Language
from spacy.pipeline.pipe import Pipe
from spacy.tokens import Doc, Span, SpanGroup

if __package__:
    from . import pattern_matcher
else:
    # Read by its path, as `spacy train --code` does, it belongs to no package.
    pattern_matcher = util.import_file("pattern_matcher", Path(__file__).with_name("pattern_matcher.py"))

FACTORY = "annoloop_rules"
TAGS_FACTORY = "annoloop_rule_tags"
FILE_NAME = "patterns.jsonl"
SPANS_KEY = "sc"
MODES = ("fill", "override")
SOURCES = (None, "rules", "names")


def joined_spans(
    rules: Sequence[pattern_matcher.Marked], model: Sequence[pattern_matcher.Marked], *, kind: str, mode: str
) -> list[pattern_matcher.Marked]:
    """The spans of both. Where they are rivals the model's stay ("fill") or the rules' ("override").

    ner: spans that overlap are rivals. spancat: those that overlap and have the same label.
    """
    first, second = (model, rules) if mode == "fill" else (rules, model)

    def rivals(one: pattern_matcher.Marked, other: pattern_matcher.Marked) -> bool:
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

    `patterns` are rows. A category that the rules decide gets 1.0 and those that it rules out 0.0.
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
        self._made: list[pattern_matcher.PatternMatcher] = []

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

    def _matchers(self) -> list[pattern_matcher.PatternMatcher]:
        if not self._made:
            # Late: when the component is read from disk, the tokenizer may not have been yet.
            tokenize = self.nlp.tokenizer
            self._made = [
                pattern_matcher.PatternMatcher(self.vocab, tokenize, rows, self.kind)
                for rows in self._sorts()
            ]
        return self._made

    def _joined(
        self, doc: Doc, rules: Sequence[pattern_matcher.Marked], model: Sequence[Span]
    ) -> dict[Span, None]:
        known = {(span.start, span.end, span.label_): span for span in model}
        joined = joined_spans(rules, list(known), kind=self.kind, mode=self.mode)
        return dict.fromkeys(
            known.get(one) or Span(doc, one[0], one[1], label=one[2]) for one in dict.fromkeys(joined)
        )

    def _set_group(self, doc: Doc, rules: Sequence[pattern_matcher.Marked]) -> None:
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

    A tag is "B-LABEL" for the first token of what is found and "I-LABEL" for others, or nothing: by the
    project's own rows, by those that were made of the training gold as rules ("made": "rules"), and by the
    names that have a label in it ("made": "names"), with bars between them.
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
        return [[row for row in self._rows if row.get("made") == made] for made in SOURCES]

    def __call__(self, doc: Doc) -> Doc:
        """Match the patterns and set the tags."""
        given, *made = self._matchers()
        seen = self._seen.get(doc.text) or _side_by_side(*(_tags(doc, matcher) for matcher in made))
        for token, tag in zip(doc, _side_by_side(_tags(doc, given), seen), strict=True):
            token.tag_ = tag
        return doc


def _tags(doc: Doc, matcher: pattern_matcher.PatternMatcher) -> list[str]:
    tags = [""] * len(doc)
    for start, end, label in matcher.spans(matcher(doc)):
        tags[start:end] = [f"B-{label}", *[f"I-{label}"] * (end - start - 1)]
    return tags


def _side_by_side(*tags: Sequence[str]) -> list[str]:
    return ["|".join(parts) if any(parts) else "" for parts in zip(*tags, strict=True)]


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
