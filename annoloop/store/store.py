"""The store: everything a project knows beside its settings, in one database."""

from __future__ import annotations

from pathlib import Path
from typing import Self

from annoloop.errors import StoreError
from annoloop.store.answer_search import AnswerSearch
from annoloop.store.answers import AnswerTables
from annoloop.store.doubts import Doubts
from annoloop.store.drafts import DraftTables
from annoloop.store.duels import DuelTables
from annoloop.store.engine import open_engine
from annoloop.store.figures import FigureTables
from annoloop.store.leases import LeaseTables
from annoloop.store.ledger import LedgerTables
from annoloop.store.pattern_choices import PatternChoices
from annoloop.store.results import ResultTables
from annoloop.store.text_search import TextSearch
from annoloop.store.texts import TextTables


class Store(
    TextTables,
    AnswerTables,
    LeaseTables,
    DraftTables,
    AnswerSearch,
    ResultTables,
    LedgerTables,
    DuelTables,
    PatternChoices,
    FigureTables,
    Doubts,
    TextSearch,
):
    """One project's database. Methods take and return the vocabulary of `annoloop.types`, never rows.

    Every method is one transaction and may be called from any thread; several processes may hold the
    same store open.
    """

    @classmethod
    def open(cls, place: str | Path) -> Self:
        """Open a store, making it where it is not there: a path is a SQLite file, a text a database URL.

        Raises:
            StoreError: it cannot be opened, is damaged, or was written by a newer annoloop.
        """
        if isinstance(place, Path):
            if not place.parent.is_dir():
                raise StoreError(f"folder {place.parent} does not exist", hint="make it first: annoloop init")
            place = f"sqlite:///{place.resolve()}"
        return cls(open_engine(place))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
