"""Run a trained pipeline: annotations, scores, and how much it doubts them."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from annoloop.corpus.batches import batches, pipe, suggested_sizes
from annoloop.corpus.spacy_io import SPANS_KEY, from_doc
from annoloop.errors import TrainingError
from annoloop.training.recipe import ENCODER_HINTS
from annoloop.training.transformer import EXTRA, TRANSFORMER_FACTORY, has_extra
from annoloop.types import Annotation, LabelScheme

if TYPE_CHECKING:
    from spacy.language import Language
    from spacy.tokens import Doc

MAKING = "training"
"""The folder inside a model's that holds what it was made from. It never goes into a package."""

_RULES_FACTORY = "annoloop_rules"
_BEAM_WIDTH = 8
_BEAM_DENSITY = 0.0


@dataclass(frozen=True, slots=True)
class Prediction:
    """What a pipeline says of one text.

    `score` (0 to 1) is that of the part of the annotation that the pipeline is least sure of, as the
    pipeline gives it; nothing calibrates it, so it orders texts better than it counts errors. Categories: the
    lowest probability of those chosen. spancat: the lowest score of the spans found. None where nothing was
    chosen or found, where rules that are part of the pipeline decided, which state none, and for ner: a
    greedy parser has no probability to offer, and the shares of a beam are those of a few parses among
    themselves (see `uncertainty`).
    `probabilities` follows the scheme's labels; empty for spans.
    """

    annotation: Annotation
    score: float | None
    probabilities: tuple[float, ...] = ()


def load_model(path: Path | str) -> Language:
    """Load a pipeline that `train` made, or an installed package by name.

    Raises:
        TrainingError: there is no pipeline of this name or in this folder, or what it needs is missing.
    """
    import spacy

    import annoloop.training.linear_textcat  # noqa: F401  (registers its factory)

    _register_code(Path(path) / MAKING)
    try:
        return spacy.load(path)
    except OSError as error:
        there = Path(path).is_dir()
        what = f"the pipeline at {path} is damaged" if there else f"no trained pipeline at {path}"
        again = "train it again" if there else "train one"
        raise TrainingError(what, hint=f"{again}: annoloop train PROJECT") from error
    except ImportError as error:
        if error.name not in ENCODER_HINTS:
            raise
        raise TrainingError(
            f"{path}: {error}", hint=f"{ENCODER_HINTS[error.name]}, or train again: annoloop train PROJECT"
        ) from error
    except ValueError as error:
        if "Unpack failed" in str(error):
            raise TrainingError(
                f"the pipeline at {path} is damaged", hint="train it again: annoloop train PROJECT"
            ) from error
        if TRANSFORMER_FACTORY not in str(error) or has_extra():
            raise
        raise TrainingError(f"the pipeline at {path} needs the extra transformers", hint=EXTRA) from error


def _register_code(folder: Path) -> None:
    """Import the components that a pipeline brings along, such as rules that joined it."""
    from spacy.util import import_file

    before, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    try:
        for code in sorted(folder.glob("*.py")):
            import_file(code.stem, code)
    finally:
        sys.dont_write_bytecode = before


def predict(
    pipeline: Language | Path | str, texts: Iterable[str], *, scheme: LabelScheme, batch_size: int = 128
) -> Iterator[Prediction]:
    """Annotate texts one after the other, as they come.

    Raises:
        TrainingError: there is no pipeline at the path.
    """
    nlp = _loaded(pipeline)
    by_rules = any(nlp.get_pipe_meta(name).factory == _RULES_FACTORY for name in nlp.pipe_names)
    for doc in pipe(nlp, texts, batch_size=batch_size):
        annotation = from_doc(doc, scheme)
        scores = _span_scores(doc, scheme) if scheme.has_spans else [doc.cats[la] for la in annotation.labels]
        # What rules decide has 1.0 in the pipeline, which says that it is decided and not how surely.
        known = bool(scores) and not (by_rules and max(scores) == 1.0)
        probabilities = () if scheme.has_spans else tuple(doc.cats.get(la, 0.0) for la in scheme.labels)
        yield Prediction(annotation, min(scores) if known else None, probabilities)


def _span_scores(doc: Doc, scheme: LabelScheme) -> list[float]:
    found = None if scheme.kind == "ner" else doc.spans.get(SPANS_KEY)
    scores = found.attrs.get("scores") if found else None
    return [] if scores is None else [float(one) for one in scores]


def span_probabilities(
    pipeline: Language | Path | str, texts: Iterable[str], *, scheme: LabelScheme, batch_size: int = 128
) -> list[list[float]]:
    """For every text the probabilities, 0 to 1, of all the spans that a pipeline considers, in any order.

    ner: of the entities of a beam of parses, each the share of the beam's weight that has the entity.
    spancat: of every suggested span with every label.

    Raises:
        TrainingError: there is no pipeline at the path, or it finds no spans.
    """
    nlp = _loaded(pipeline)
    name = next((name for name in nlp.pipe_names if name == scheme.kind), None)
    if name is None:
        raise TrainingError(
            f"the pipeline has no component {scheme.kind}", hint="select with strategy random"
        )
    component = nlp.get_pipe(name)
    before = nlp.pipe_names[: nlp.pipe_names.index(name)]
    measure = _of_beams if scheme.kind == "ner" else _of_suggested
    found: list[list[float]] = []
    sizes = suggested_sizes(nlp)
    with nlp.select_pipes(enable=before):
        for batch in batches(texts, sizes, batch_size=batch_size):
            found.extend(measure(component, list(nlp.pipe(batch, batch_size=batch_size))))
    return found


def uncertainty(
    pipeline: Language | Path | str, texts: Iterable[str], *, scheme: LabelScheme, batch_size: int = 128
) -> list[float]:
    """How much a pipeline doubts its answer to each text; 0 is none. Only the order of texts means much.

    ner: the sum of min(p, 1 - p) over the entities of a beam of parses, p the share of the beam's weight
    that has the entity. spancat: the same sum over all suggested spans. One category: 1 - (the highest
    probability - the second). Several: the sum of min(p, 1 - p) over labels.
    """
    nlp = _loaded(pipeline)
    if scheme.has_spans:
        spans = span_probabilities(nlp, texts, scheme=scheme, batch_size=batch_size)
        return [math.fsum(min(p, 1 - p) for p in found) for found in spans]
    doubts = []
    for prediction in predict(nlp, texts, scheme=scheme, batch_size=batch_size):
        if scheme.is_exclusive:
            first, second, *_ = sorted((*prediction.probabilities, 0.0, 0.0), reverse=True)
            doubts.append(1 - (first - second))
        else:
            doubts.append(sum(min(p, 1 - p) for p in prediction.probabilities))
    return doubts


def _loaded(pipeline: Language | Path | str) -> Language:
    nlp = load_model(pipeline) if isinstance(pipeline, str | Path) else pipeline
    # Our pipelines keep a few floats a token: spaCy's limit is meant for parsers that keep much more.
    nlp.max_length = max(nlp.max_length, 100_000_000)
    return nlp


def _of_beams(ner: Any, docs: Sequence[Doc]) -> list[list[float]]:
    beams = ner.beam_parse(list(docs), beam_width=_BEAM_WIDTH, beam_density=_BEAM_DENSITY)
    # Shares are sums of floats: one may pass 1 by a last digit.
    return [[min(p, 1.0) for p in found.values()] for found in ner.scored_ents(beams)]


def _of_suggested(spancat: Any, docs: Sequence[Doc]) -> list[list[float]]:
    indices, scores = spancat.predict(list(docs))
    found, start = [], 0
    for length in indices.lengths:
        found.append([float(p) for p in scores[start : start + int(length)].ravel()])
        start += int(length)
    return found
