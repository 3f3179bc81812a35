"""What is known of the texts that may be asked about: gathered as far as the strategy goes by it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from annoloop.corpus.near_duplicates import group
from annoloop.evaluation.speed import fit_speed
from annoloop.project import Project
from annoloop.selection.candidates import Candidates, FloatArray, IntArray
from annoloop.selection.costs import (
    SECONDS_PER_WORD,
    SECONDS_TO_START,
    seconds_needed,
    token_counts,
    typical,
    word_counts,
)
from annoloop.selection.proxy import Proxy
from annoloop.selection.registry import NEEDS
from annoloop.selection.vectors import load_encoder
from annoloop.steps.llm.source import llm_source
from annoloop.steps.pool import pool_vectors
from annoloop.steps.progress import OnProgress, silent
from annoloop.steps.sources import ModelSource, RulesSource, Source, ask_source, rules_source
from annoloop.steps.vote import disagreements, voters
from annoloop.types import Annotation, Example

SAMPLED = 500
"""Texts of the pool whose words say how many of it a batch has."""

TIMES = 500
"""Newest measured answers that the model of time is fitted to."""

READ_BY_MODELS = ("spans", "disagreement", "llm_disagreement", "rules_disagreement")
"""Signals for which a model or the rules read the texts."""


@dataclass
class Signals:
    """Gathers the signals about one list of texts. `model` is the newest, None before the first."""

    project: Project
    examples: Sequence[Example]
    model: ModelSource | None
    on_progress: OnProgress = silent
    proxy: Proxy = field(init=False)

    def __post_init__(self) -> None:
        self.proxy = Proxy([eg.text for eg in self.examples])

    def candidates(self, wanted: Sequence[str]) -> Candidates:
        """What these strategies go by, as far as it can be known; for one of a package, all of it."""
        known = [set(NEEDS.get(name, _ALL)) for name in wanted]
        fields = set().union(*known)
        found: dict[str, Any] = {
            name: getattr(self, f"_{name}")()
            for name in fields - {"features", "tokens"}
            if name != "labelled"
        }
        gold: tuple[Example, ...] = ()
        if "typicality" in wanted or fields == set(_ALL):
            gold = tuple(g.example for g in self.project.pool_gold())
        # Where categories cannot be ranked yet, texts are told apart by their features.
        by_meaning = self.project.settings.selection.vectors and fields & {"features", "probabilities"}
        features, labelled = self._vectors(gold) if by_meaning else self._words(gold)
        return Candidates(
            len(self.examples),
            exclusive=self.project.scheme.is_exclusive,
            features=features,
            labelled=labelled if gold else None,
            tokens=token_counts([eg.text for eg in self.examples]) if "tokens" in fields else None,
            **found,
        )

    def _words(self, labelled: Sequence[Example]) -> tuple[Any, Any]:
        """Features of the texts and of labelled ones: weighted words."""
        others = self.proxy.transform([eg.text for eg in labelled]) if labelled else None
        return self.proxy.features, others

    def _vectors(self, labelled: Sequence[Example]) -> tuple[FloatArray, FloatArray]:
        """Features of the texts and of labelled ones: sentence vectors, kept for the next round."""
        hashes = [eg.input_hash for eg in (*self.examples, *labelled)]
        positions = {name: at for at, name in self.project.store.positions(hashes)}
        kept = pool_vectors(
            self.project, [(at, name) for name, at in positions.items()], on_progress=self.on_progress
        )
        found = kept.at(kept.rows_of(np.asarray([positions[name] for name in hashes], dtype=np.int64)))
        return found[: len(self.examples)], found[len(self.examples) :]

    def _probabilities(self) -> FloatArray | None:
        seed = self.project.settings.training.seed
        return self.proxy.probabilities(self.project.pool_gold(), scheme=self.project.scheme, seed=seed)

    def _spans(self) -> tuple[FloatArray, ...] | None:
        if self.model is None or not self.project.scheme.has_spans:
            return None
        from annoloop.training.predict import span_probabilities

        texts = [eg.text for eg in self.examples]
        found = span_probabilities(self.model.path, texts, scheme=self.project.scheme)
        return tuple(np.asarray(p, dtype=np.float64) for p in found)

    def _disagreement(self) -> FloatArray | None:
        return self._apart(voters(self.project))

    def _llm_disagreement(self) -> FloatArray | None:
        return self._apart([v for v in voters(self.project) if v.approach in ("llm", "model")])

    def _rules_disagreement(self) -> FloatArray | None:
        return self._apart([v for v in voters(self.project) if v.approach in ("rules", "model")])

    def _apart(self, panel: Sequence[Source]) -> FloatArray | None:
        if len(panel) < 2:
            return None
        apart = disagreements(self.project, self.examples, panel=panel, on_progress=self.on_progress)
        return np.asarray([np.nan if value is None else value for value in apart], dtype=np.float64)

    def sought(self, labels: Sequence[str]) -> FloatArray | None:
        """(texts, labels): how likely each text has the label; the mean of what there is to go by.

        Category probabilities by the gold so far, rules, kept answers of the LLM, and for spans the model:
        1 where one finds the label. The LLM is not asked anew. Where none of them finds a label anywhere:
        how near the text is to its name and definition. None where no label is sought.
        """
        if not labels:
            return None
        scheme = self.project.scheme
        parts = [
            found
            for found in (self._found(source, labels) for source in self._finders())
            if found is not None
        ]
        probabilities = self._probabilities()
        if probabilities is not None:
            parts.append(probabilities[:, [scheme.labels.index(label) for label in labels]])
        size = len(self.examples), len(labels)
        means: FloatArray = np.mean(parts, axis=0, dtype=np.float64) if parts else np.zeros(size)
        nowhere = np.flatnonzero(~means.any(axis=0))
        if len(nowhere):
            means[:, nowhere] = self._alike([labels[column] for column in nowhere.tolist()])
        return means

    def _alike(self, labels: Sequence[str]) -> FloatArray:
        """(texts, labels), 0 to 1: the cosine of each text with the label's name and definition.

        With `[selection] vectors` by sentence vectors: of the first ten texts for each of ten labels of
        German feedback .39 had the label then, by words .20 (`benchmarks/learning.py similar`).
        """
        names = [f"{label} {self.project.scheme.definitions.get(label, '')}" for label in labels]
        if self.project.settings.selection.vectors:
            features, _ = self._vectors(())
            return np.clip(features @ load_encoder().encode(names).T, 0.0, 1.0)
        return np.asarray((self.proxy.features @ self.proxy.transform(names).T).toarray(), dtype=np.float64)

    def _finders(self) -> list[Source]:
        model = self.model if self.project.scheme.has_spans else None
        found: list[Source | None] = [rules_source(self.project), llm_source(self.project), model]
        return [source for source in found if source is not None]

    def _found(self, source: Source, labels: Sequence[str]) -> FloatArray | None:
        if isinstance(source, RulesSource | ModelSource):
            said = ask_source(self.project, source, self.examples, on_progress=self.on_progress)
        else:
            hashes = [eg.input_hash for eg in self.examples]
            kept = self.project.predictions(source.key, hashes=hashes)
            said = {name: found for name, (found, _) in kept.items() if found is not None}
        if not said:
            return None
        rows = [_labels(said.get(eg.input_hash)) for eg in self.examples]
        return np.asarray([[float(label in row) for label in labels] for row in rows], dtype=np.float64)

    def groups(self) -> IntArray:
        """(texts,): equal numbers for near-duplicates, as the splits know them."""
        threshold = self.project.settings.corpus.near_duplicate
        return np.asarray(group([eg.text for eg in self.examples], threshold=threshold), dtype=np.int64)

    def costs(self, batch: int) -> tuple[float, FloatArray | None]:
        """The budget of a round and what each text takes of it, by `[selection] unit`; None: 1 a text."""
        texts = [eg.text for eg in self.examples]
        unit = self.project.settings.selection.unit
        if unit == "seconds":
            return float(batch), self._seconds(word_counts(texts))
        if unit == "texts" or not (unit == "tokens" or self.project.scheme.has_spans):
            return float(batch), None
        tokens = np.maximum(token_counts(texts), 1).astype(np.float64)
        return (float(batch) if unit == "tokens" else batch * typical(tokens)), tokens

    def texts_of(self, batch: int) -> int:
        """About how many texts a batch of the pool has; `costs` knows it where the texts are read."""
        unit = self.project.settings.selection.unit
        words = self.project.store.words_ahead(limit=SAMPLED) if unit in ("tokens", "seconds") else None
        if words is None:
            return batch
        each = words if unit == "tokens" else float(self._seconds(np.asarray([round(words)]))[0])
        return max(1, round(batch / max(each, 0.1)))

    def _seconds(self, words: IntArray) -> FloatArray:
        times = self.project.store.newest_times(limit=TIMES, pool_only=False)
        # What will be found in a text, and mended, is not known before it is asked about: words alone.
        lengths = np.asarray([[t.words, 0, 0] for t in times]).reshape(-1, 3)
        speed = fit_speed(lengths, np.asarray([t.milliseconds / 1000 for t in times]))
        if speed is None:
            return seconds_needed(words, SECONDS_TO_START, SECONDS_PER_WORD)
        return seconds_needed(words, speed.start, speed.a_word)


_ALL = ("probabilities", "features", "spans", "tokens", "labelled", *READ_BY_MODELS[1:])


def read_by_models(wanted: Sequence[str]) -> bool:
    """Whether a model or the rules have to read every text before one of these strategies can choose."""
    return any(name in READ_BY_MODELS for strategy in wanted for name in NEEDS.get(strategy, _ALL))


def _labels(annotation: Annotation | None) -> Collection[str]:
    return {*annotation.labels, *(span.label for span in annotation.spans)} if annotation else ()
