"""Gold as files that spaCy's training reads."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from annoloop.corpus.spacy_io import to_doc
from annoloop.corpus.tokenizer import blank
from annoloop.types import Annotation, Gold, LabelScheme, Span

if TYPE_CHECKING:
    from spacy.language import Language
    from spacy.tokens import Doc

PIECE = 400
"""Tokens: longer texts are cut for the training of spans."""

BEGINNING = 256
"""Tokens: of longer texts a transformer learns the category from their beginning alone."""


def write_gold(
    items: Sequence[Gold],
    path: Path,
    scheme: LabelScheme,
    lang: str,
    *,
    piece: int | None,
    beginning: int | None = None,
    tags: Mapping[str, Sequence[Sequence[Span]]] | None = None,
) -> list[Doc]:
    """Write gold as reference docs; returns the docs.

    Texts with spans are cut into pieces of so many tokens, and of others is kept no more than the beginning.
    `tags` are spans by input hash, from several sources: their tokens get tags of "B-" (the first) or "I-"
    and the label, with bars between the sources.
    """
    from spacy.tokens import DocBin

    nlp = blank(lang)
    nlp.max_length = max(nlp.max_length, *(len(g.example.text) + 1 for g in items))
    docs = []
    for gold in items:
        whole = (gold.example.text, gold.annotation)
        if scheme.has_spans:
            parts = _pieces(nlp, *whole, size=piece) if piece else [whole]
        else:
            parts = [(nlp.make_doc(whole[0])[:beginning].text, whole[1])] if beginning else [whole]
        made = [to_doc(nlp, text, annotation, scheme) for text, annotation in parts]
        if tags:
            _set_tags(made, tags.get(gold.example.input_hash, ()))
        docs += made
    DocBin(docs=docs).to_disk(path)
    return docs


def _pieces(
    nlp: Language, text: str, annotation: Annotation, *, size: int
) -> Iterator[tuple[str, Annotation]]:
    """Cut a text before every `size`-th token, or earlier where a span would be cut.

    A batch takes whole texts: one of 20,000 words would make every step that meets it forty times as
    long. A span is found by the few words around it, so the rest of a long text is not missed.
    """
    doc = nlp.make_doc(text)
    start = 0
    while len(doc) - start > size:
        end = start + size
        while end > start and any(s.start < doc[end].idx < s.end for s in annotation.spans):
            end -= 1
        if end == start:
            break
        yield _piece(text, annotation, doc[start].idx, doc[end].idx)
        start = end
    if start < len(doc):
        yield _piece(text, annotation, doc[start].idx, len(text))


def _set_tags(pieces: Sequence[Doc], sources: Sequence[Sequence[Span]]) -> None:
    """Tag the tokens of the spans, which are of the text that the pieces make up."""
    if not any(sources):
        return
    begins = 0
    for doc in pieces:
        for token in doc:
            place = begins + token.idx, begins + token.idx + len(token)
            tags = [_tag(spans, *place) for spans in sources]
            token.tag_ = "|".join(tags) if any(tags) else ""
        begins += len(doc.text)


def _tag(spans: Sequence[Span], start: int, end: int) -> str:
    span = next((span for span in spans if span.start <= start and end <= span.end), None)
    return "" if span is None else f"{'B' if start == span.start else 'I'}-{span.label}"


def _piece(text: str, annotation: Annotation, start: int, end: int) -> tuple[str, Annotation]:
    inside = (span for span in annotation.spans if start <= span.start and span.end <= end)
    moved = (Span(span.start - start, span.end - start, span.label) for span in inside)
    return text[start:end], Annotation(spans=tuple(moved))
