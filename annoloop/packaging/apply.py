"""Run a trained pipeline, or an installed package, over many texts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from annoloop.corpus.spacy_io import from_doc
from annoloop.errors import PackagingError
from annoloop.packaging.export import MAKING
from annoloop.types import Annotation, LabelScheme

if TYPE_CHECKING:
    from spacy.language import Language


def apply(
    pipeline: Language | Path | str,
    texts: Iterable[str],
    *,
    scheme: LabelScheme,
    batch_size: int = 128,
    n_process: int = 1,
) -> Iterator[Annotation]:
    """Annotate texts in their order, on `n_process` cores, with a pipeline or an installed package's name.

    Raises:
        PackagingError: no such package is installed, and there is no such folder.
    """
    nlp = _load(pipeline) if isinstance(pipeline, str | Path) else pipeline
    nlp.max_length = max(nlp.max_length, 100_000_000)
    for doc in nlp.pipe(texts, batch_size=batch_size, n_process=n_process):
        yield from_doc(doc, scheme)


def _load(name: Path | str) -> Language:
    import spacy
    from spacy.util import import_file

    # A package brings the code of its components; a project's model has it beside its training config.
    for code in sorted((Path(name) / MAKING).glob("*.py")):
        import_file(code.stem, code)
    try:
        return spacy.load(name)
    except OSError as error:
        hint = "pip install the wheel that annoloop export made"
        raise PackagingError(f"no package or folder {str(name)!r}", hint=hint) from error
