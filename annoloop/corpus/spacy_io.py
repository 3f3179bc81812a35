"""Where offsets meet tokens: the only module that turns an annotation into a Doc, and back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from annoloop.types import Annotation, LabelScheme, Span

if TYPE_CHECKING:
    from spacy.language import Language
    from spacy.tokens import Doc
    from spacy.tokens import Span as DocSpan

SPANS_KEY = "sc"
LONGEST_TEXT = 1_000_000
"""Characters: spaCy's own default of `nlp.max_length`."""


@dataclass(frozen=True, slots=True)
class OffBorder:
    """A span whose ends are not token borders (or are blanks), and the nearest span whose ends are."""

    span: Span
    nearest: Span | None
    reason: str


def off_token_borders(nlp: Language, text: str, annotation: Annotation) -> list[OffBorder]:
    """Find the spans that no sequence of this pipeline's tokens covers exactly.

    A span that begins or ends with a blank counts too: spaCy's entity recogniser cannot learn it.
    """
    if not annotation.spans:
        return []
    doc = nlp.make_doc(text)
    return [_problem(doc, span) for span in annotation.spans if _tokens(doc, span) is None]


def to_doc(nlp: Language, text: str, annotation: Annotation, scheme: LabelScheme) -> Doc:
    """Make a reference Doc of this pipeline's tokens.

    ner: `doc.ents`, every other token 'O'. spancat: `doc.spans["sc"]`. textcat: `doc.cats` with 1.0 and
    0.0 for every label of the scheme. A span off token borders is never moved: for ner the tokens it
    touches are marked as missing ('-'), so that nothing is learned from them; for spancat, which has no
    such mark, it is left out. `off_token_borders` names these spans.
    """
    doc = nlp.make_doc(text)
    if not scheme.has_spans:
        doc.cats = {label: float(label in annotation.labels) for label in scheme.labels}
        return doc
    spans = [(span, _tokens(doc, span)) for span in annotation.spans]
    aligned = [tokens for _, tokens in spans if tokens is not None]
    if scheme.kind == "spancat":
        doc.spans[SPANS_KEY] = aligned
        return doc
    covered = {token.i for tokens in aligned for token in tokens}
    touched = {i for span, tokens in spans if tokens is None for i in _touched(doc, span)}
    missing = [doc[i : i + 1] for i in sorted(touched - covered)]
    doc.set_ents(aligned, missing=missing, default="outside")
    return doc


def from_doc(doc: Doc, scheme: LabelScheme) -> Annotation:
    """Read a Doc's annotation: `doc.ents`, `doc.spans["sc"]`, or the categories.

    One category: the highest score (the first of the scheme on a tie), none where all are 0. Several:
    those with a score of at least 0.5.
    """
    if scheme.kind == "ner":
        return Annotation(spans=tuple(_span(tokens) for tokens in doc.ents))
    if scheme.kind == "spancat":
        found = doc.spans.get(SPANS_KEY, ())
        return Annotation(spans=tuple(_span(tokens) for tokens in found))
    scores = {label: doc.cats.get(label, 0.0) for label in scheme.labels}
    if scheme.is_exclusive:
        best = max(scores, key=lambda label: scores[label])
        return Annotation(labels=(best,) if scores[best] > 0 else ())
    return Annotation(labels=tuple(label for label, score in scores.items() if score >= 0.5))


def _span(tokens: DocSpan) -> Span:
    return Span(tokens.start_char, tokens.end_char, tokens.label_)


def _tokens(doc: Doc, span: Span) -> DocSpan | None:
    """The tokens of a span, or None where they do not cover it exactly or begin or end with a blank."""
    if not 0 <= span.start < span.end <= len(doc.text):
        return None
    tokens = doc.char_span(span.start, span.end, label=span.label)
    if tokens is None or len(tokens) == 0 or tokens[0].is_space or tokens[-1].is_space:
        return None
    return tokens


def _touched(doc: Doc, span: Span) -> range:
    """Indices of the tokens that share a character with a span; empty where it lies outside the text."""
    if not 0 <= span.start < span.end <= len(doc.text):
        return range(0)
    return range(
        next((t.i for t in doc if t.idx + len(t) > span.start), len(doc)),
        next((t.i for t in doc if t.idx >= span.end), len(doc)),
    )


def _problem(doc: Doc, span: Span) -> OffBorder:
    words = [doc[i] for i in _touched(doc, span) if not doc[i].is_space]
    if not words:
        return OffBorder(span, None, "covers no word")
    nearest = Span(words[0].idx, words[-1].idx + len(words[-1]), span.label)
    ends = []
    if nearest.start != span.start:
        ends.append(f"begins {_where(nearest.start < span.start, words[0].text)}")
    if nearest.end != span.end:
        ends.append(f"ends {_where(nearest.end > span.end, words[-1].text)}")
    return OffBorder(span, nearest, " and ".join(ends) or "does not cover whole tokens")


def _where(inside: bool, token: str) -> str:
    return f"inside the token {token!r:.40}" if inside else "with a blank"
