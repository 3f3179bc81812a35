"""A project: one folder that holds its settings, its store and what was made of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Self

from annoloop.errors import SchemeError, StoreError
from annoloop.hashing import fraction, task_hash
from annoloop.settings.load import load_settings, write_settings
from annoloop.settings.schema import Settings
from annoloop.store.gold import gold_from_answers
from annoloop.store.store import Store
from annoloop.types import (
    Annotation,
    DevGold,
    Example,
    Gold,
    HeldOutGold,
    LabelScheme,
    PoolGold,
    Suggestion,
    Task,
)

_NOT_FOR_GIT = """# What annoloop keeps or makes here; back the store up, but not with git.
project.sqlite*
models/
features/
simulations/
dist/
llm_audit.jsonl
.annoloop.lock
.*.jsonl.lock
.annoloop.work.log
.review.key
.streamlit/secrets.toml
"""


@dataclass(frozen=True)
class Project:
    """A project folder, opened. Texts enter and wait in `store`; models go to `models/`."""

    folder: Path
    settings: Settings
    scheme: LabelScheme

    @classmethod
    def create(
        cls,
        folder: Path,
        *,
        kind: str,
        labels: Sequence[str],
        lang: str = "en",
        name: str | None = None,
        definitions: Mapping[str, str] | None = None,
    ) -> Self:
        """Make a project in `folder` and open it.

        Raises:
            SettingsError: the folder is a project already, or a value is wrong; nothing is written then.
            SchemeError: there are too few labels; nothing is written then.
        """
        folder = Path(folder)
        _require_labels(folder, kind, labels, "name them, one --label each")
        section: dict[str, Any] = {
            "name": name or folder.resolve().name,
            "kind": kind,
            "labels": list(labels),
            "lang": lang,
        }
        values: dict[str, dict[str, Any]] = {"project": section}
        if definitions:
            section["definitions"] = dict(definitions)
        write_settings(folder, values)
        ignore = folder / ".gitignore"
        if not ignore.exists():
            ignore.write_text(_NOT_FOR_GIT, encoding="utf8")
        return cls.open(folder)

    @classmethod
    def open(cls, folder: Path | str) -> Self:
        """Open the project in `folder`.

        Raises:
            SettingsError: it is none, or its annoloop.cfg is wrong.
            SchemeError: it has no labels, or a single one where a text needs a choice.
        """
        folder = Path(folder)
        settings = load_settings(folder)
        scheme = settings.project.scheme()
        _require_labels(folder, scheme.kind, scheme.labels, "add them to [project] labels in annoloop.cfg")
        return cls(folder, settings, scheme)

    @cached_property
    def store(self) -> Store:
        """The project's store, opened at the first use; it stays open."""
        url = self.settings.store.url
        return Store.open(url if url else self.folder / "project.sqlite")

    @property
    def models(self) -> Path:
        """The folder of the trained models, one a round."""
        return self.folder / "models"

    @property
    def pool_features(self) -> Path:
        """The folder of what is kept about a large pool, to rank its texts by; it need not exist."""
        return self.folder / "features"

    @property
    def transformer(self) -> Path | None:
        """The folder of the BERT that transformer recipes start from; None: an installed package has it."""
        named = self.settings.training.transformer
        return self.folder / named if named else None

    @property
    def patterns(self) -> Path:
        """The file of the rules; it need not exist."""
        return self.folder / self.settings.rules.patterns

    @contextmanager
    def exclusive(self, action: str) -> Iterator[None]:
        """Hold the project for one long action, so that two processes do not do the same work twice.

        Raises:
            StoreError: another process is at it.
        """
        from filelock import FileLock, Timeout

        # Whoever looks whether somebody is at work holds the lock for an instant: no reason to give up.
        lock = FileLock(self.folder / ".annoloop.lock", timeout=1)
        try:
            lock.acquire()
        except Timeout:
            raise StoreError(
                f"another annoloop process is working on {self.folder}: cannot {action} now",
                hint="wait for it or stop it; reviewing goes on meanwhile",
            ) from None
        try:
            yield
        finally:
            lock.release()

    def task(
        self, example: Example, *, number: int, priority: float = 0.0, suggestion: Suggestion | None = None
    ) -> Task:
        """The question about a text; only pool texts may carry a suggestion.

        A share of the texts, drawn by hash, is asked of several annotators; another share of the pool is
        asked without a suggestion.
        """
        if example.split != "pool" or self.is_unassisted(example.input_hash):
            suggestion = None
        identity = task_hash(example.input_hash, self.scheme.kind, self.scheme.labels)
        review = self.settings.review
        shared = fraction(example.input_hash, "overlap") < review.overlap
        wanted = review.annotators if shared else 1
        return Task(identity, example, suggestion, suggestion is not None, priority, number, wanted)

    def is_unassisted(self, input_hash: str) -> bool:
        """Whether a pool text is drawn, by hash and seed, to be asked without a suggestion.

        What suggestions save can be measured only where chance, and nothing else, decides who gets one.
        """
        salt = f"unassisted:{self.settings.training.seed}"
        return fraction(input_hash, salt) < self.settings.review.unassisted_share

    def pool_gold(self) -> PoolGold:
        """Gold to learn from."""
        return PoolGold(tuple(self._gold("pool")))

    def dev_gold(self) -> DevGold:
        """Gold to choose by."""
        return DevGold(tuple(self._gold("dev")))

    def held_out_gold(self) -> HeldOutGold:
        """Gold to judge by."""
        return HeldOutGold(tuple(self._gold("held_out")))

    def predictions(
        self, source: str, *, hashes: Iterable[str] | None = None
    ) -> dict[str, tuple[Annotation | None, dict[str, Any]]]:
        """What `source` said, by input hash, with its details; as gold is, in the labels of now."""
        kept = self.store.predictions(source, hashes=hashes)
        return {
            name: (None if said is None else self.scheme.current(said), detail)
            for name, (said, detail) in kept.items()
        }

    def _gold(self, split: Any) -> Iterator[Gold]:
        # By the answers: a pool may hold a million texts without one.
        examples = self.store.answered_examples(split)
        answers = self.store.answers_in_force(hashes=[eg.input_hash for eg in examples])
        return gold_from_answers(examples, answers, self.scheme)


def _require_labels(folder: Path, kind: str, labels: Sequence[str], hint: str) -> None:
    least = 2 if kind == "textcat" else 1
    if len(labels) < least:
        raise SchemeError(f"{folder}: a project of kind {kind} needs at least {least} label(s)", hint=hint)
