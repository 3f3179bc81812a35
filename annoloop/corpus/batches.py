"""Texts through a pipeline in batches that fit into memory, however long its spans may be."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from spacy.language import Language
    from spacy.tokens import Doc

MOST_ROWS = 500_000
"""Token vectors of all suggested spans in memory at once; of 64 numbers each some 130 MB an array."""

_TOKEN = 4
"""Characters of a token, rather few than many: what does not fit into memory is worse than what is slow."""


def span_rows(sizes: Iterable[int], tokens: float) -> float:
    """Token vectors that a span categorizer makes of a text: those of all its spans of these sizes."""
    return sum(size * max(tokens - size + 1, 0.0) for size in sizes)


def suggested_sizes(nlp: Language) -> tuple[int, ...]:
    """The lengths in tokens of the spans that a pipeline's span categorizer considers; none without one."""
    settings = nlp.config["components"].get("spancat", {}).get("suggester", {})
    return tuple(settings.get("sizes", ()))


def pipe(nlp: Language, texts: Iterable[str], *, batch_size: int, n_process: int = 1) -> Iterator[Doc]:
    """`nlp.pipe`, with fewer texts at once where a span categorizer has many spans to consider in them.

    On several processes each holds `batch_size` texts, at most 8 of a span categorizer.
    """
    sizes = suggested_sizes(nlp)
    if not sizes:
        yield from nlp.pipe(texts, batch_size=batch_size, n_process=n_process)
    elif n_process > 1:
        yield from nlp.pipe(texts, batch_size=min(batch_size, 8), n_process=n_process)
    else:
        for batch in batches(texts, sizes, batch_size=batch_size):
            yield from nlp.pipe(batch, batch_size=len(batch))


def batches(texts: Iterable[str], sizes: Sequence[int], *, batch_size: int) -> Iterator[list[str]]:
    """Batches of at most `batch_size` texts and about `MOST_ROWS` rows, of one text at least."""
    batch: list[str] = []
    rows = 0.0
    for text in texts:
        more = span_rows(sizes, len(text) / _TOKEN)
        if batch and (len(batch) == batch_size or rows + more > MOST_ROWS):
            yield batch
            batch, rows = [], 0.0
        batch.append(text)
        rows += more
    if batch:
        yield batch
