"""What machines said: LLM responses, predictions, rounds, and the facts frozen before the first of them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import delete, func, insert, select

from annoloop.store.engine import Database, insert_new
from annoloop.store.rows import (
    annotation_from_json,
    annotation_to_json,
    dump,
    round_from_json,
    round_to_json,
)
from annoloop.store.schema import facts, llm_responses, predictions, rounds
from annoloop.store.texts import chunks
from annoloop.types import Annotation, Round


class ResponseCache:
    """The LLM's responses by the hash of everything that shaped them; each is committed as it arrives."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def get(self, key: str) -> Mapping[str, Any] | None:
        """The response under this key, or None."""
        with self._database.reading() as connection:
            query = select(llm_responses.c.response).where(llm_responses.c.key == key)
            cell = connection.execute(query).scalar()
        return json.loads(cell) if cell is not None else None

    def put(self, key: str, response: Mapping[str, Any]) -> None:
        """Keep a response; the first one under a key stays."""
        with self._database.writing() as connection:
            insert_new(connection, llm_responses, [{"key": key, "response": dump(dict(response))}])

    def __len__(self) -> int:
        with self._database.reading() as connection:
            return int(connection.execute(select(func.count()).select_from(llm_responses)).scalar_one())


class ResultTables(Database):
    """Results can be made again from texts and answers; they are kept so that nobody has to wait twice."""

    @property
    def responses(self) -> ResponseCache:
        """The LLM's responses."""
        return ResponseCache(self)

    def save_predictions(
        self, source: str, made: Mapping[str, Annotation | None], *, details: Mapping[str, Any] | None = None
    ) -> None:
        """Keep what `source` said, by input hash; None stands for a text that failed."""
        extra = details or {}
        with self.writing() as connection:
            for part in chunks(made.items()):
                hashes = [item[0] for item in part]
                connection.execute(
                    delete(predictions).where(
                        predictions.c.source == source, predictions.c.input_hash.in_(hashes)
                    )
                )
                rows = [
                    {
                        "source": source,
                        "input_hash": input_hash,
                        "annotation": None if annotation is None else dump(annotation_to_json(annotation)),
                        "score": None,
                        "detail": dump(extra.get(input_hash, {})),
                    }
                    for input_hash, annotation in part
                ]
                connection.execute(insert(predictions), rows)

    def predictions(
        self, source: str, *, hashes: Iterable[str] | None = None
    ) -> dict[str, tuple[Annotation | None, dict[str, Any]]]:
        """What `source` said, by input hash, with its details."""
        query = select(predictions).where(predictions.c.source == source)
        wanted: Sequence[list[str] | None] = [None] if hashes is None else list(chunks(hashes))
        found: dict[str, tuple[Annotation | None, dict[str, Any]]] = {}
        with self.reading() as connection:
            for part in wanted:
                rows = query if part is None else query.where(predictions.c.input_hash.in_(part))
                for row in connection.execute(rows):
                    said = annotation_from_json(json.loads(row.annotation)) if row.annotation else None
                    found[row.input_hash] = (said, json.loads(row.detail))
        return found

    def save_round(self, record: Round) -> None:
        """Keep a round; the same number again replaces it (a round grows as its steps are done)."""
        with self.writing() as connection:
            connection.execute(delete(rounds).where(rounds.c.number == record.number))
            connection.execute(insert(rounds).values(number=record.number, record=round_to_json(record)))

    def rounds(self) -> tuple[Round, ...]:
        """All rounds, first to last."""
        with self.reading() as connection:
            cells = connection.execute(select(rounds.c.record).order_by(rounds.c.number)).scalars()
            return tuple(round_from_json(cell) for cell in cells)

    def set_fact(self, key: str, value: Any) -> None:
        """Keep a value under a name, replacing the earlier one."""
        with self.writing() as connection:
            connection.execute(delete(facts).where(facts.c.key == key))
            connection.execute(insert(facts).values(key=key, value=dump(value)))

    def fact(self, key: str, default: Any = None) -> Any:
        """The value under a name."""
        with self.reading() as connection:
            cell = connection.execute(select(facts.c.value).where(facts.c.key == key)).scalar()
        return default if cell is None else json.loads(cell)
