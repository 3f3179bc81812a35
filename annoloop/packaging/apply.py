"""Run a trained pipeline, or an installed package, over many texts."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from annoloop.corpus.batches import pipe
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
        PackagingError: no such package is installed and there is no such folder, or what it needs is missing.
    """
    nlp = _load(pipeline) if isinstance(pipeline, str | Path) else pipeline
    nlp.max_length = max(nlp.max_length, 100_000_000)
    for doc in pipe(nlp, texts, batch_size=batch_size, n_process=n_process):
        yield from_doc(doc, scheme)


def apply_with_ray(
    pipeline: Path | str, texts: Sequence[str], *, scheme: LabelScheme, batch_size: int = 1_000
) -> Iterator[Annotation]:
    """Annotate texts in their order on the workers of a Ray cluster, each with a pipeline of its own.

    Without a cluster to join, Ray starts on this machine's cores. The pipeline must be readable under the
    same path, or installed, on every worker.

    Raises:
        PackagingError: the extra ray is not installed.
    """
    try:
        import ray
        from ray.util import ActorPool
    except ImportError:
        hint = 'pip install "annoloop[ray]"'
        raise PackagingError("Ray is not installed", hint=hint) from None
    if not ray.is_initialized():
        ray.init(log_to_driver=False, logging_level=logging.ERROR, include_dashboard=False)
    resources: dict[str, float] = ray.cluster_resources()  # type: ignore[no-untyped-call]
    cores = max(1, int(resources.get("CPU", 1)))
    worker = ray.remote(_Worker)
    workers = [worker.remote(str(pipeline), scheme) for _ in range(cores)]
    batches = [list(texts[start : start + batch_size]) for start in range(0, len(texts), batch_size)]
    for made in ActorPool(workers).map(lambda one, batch: one.annotate.remote(batch), batches):
        yield from made


class _Worker:
    """What runs on each of Ray's workers: a pipeline loaded once."""

    def __init__(self, pipeline: str, scheme: LabelScheme) -> None:
        folder = Path(pipeline)
        self.nlp, self.scheme = _load(folder if folder.is_dir() else pipeline), scheme

    def annotate(self, texts: list[str]) -> list[Annotation]:
        """Annotations in the order of the texts."""
        return list(apply(self.nlp, texts, scheme=self.scheme))


def _load(name: Path | str) -> Language:
    import spacy
    from spacy.util import import_file

    # A package brings the code of its components; a project's model has it beside its training config.
    for code in sorted((Path(name) / MAKING).glob("*.py")):
        with _no_bytecode():
            import_file(code.stem, code)
    try:
        return spacy.load(name)
    except OSError as error:
        if Path(name).is_dir():
            hint = "train it again: annoloop train PROJECT"
            raise PackagingError(f"the pipeline at {name} is damaged", hint=hint) from error
        hint = "pip install the wheel that annoloop export made"
        raise PackagingError(f"no package or folder {str(name)!r}", hint=hint) from error
    except (ImportError, ValueError) as error:
        # The second: a component that no package brought, told of in one sentence and ten of advice.
        why = str(error).split(". ")[0]
        raise PackagingError(f"{name}: {why}", hint="install what the pipeline requires") from error


@contextmanager
def _no_bytecode() -> Iterator[None]:
    """What is imported meanwhile leaves no file beside it: a model's folder stays as it was made."""
    before, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    try:
        yield
    finally:
        sys.dont_write_bytecode = before
