"""The ledger: every request to an LLM with what it cost, and the answers that came of them."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    Connection,
    Integer,
    Select,
    bindparam,
    case,
    cast,
    delete,
    exists,
    func,
    insert,
    select,
)
from sqlalchemy.dialects import postgresql, sqlite

from annoloop.store.engine import Database
from annoloop.store.results import ResponseCache
from annoloop.store.rows import dump, example_from_row, text_from_cell, text_to_cell
from annoloop.store.schema import examples, llm_calls, llm_responses
from annoloop.store.texts import chunks
from annoloop.types import LLMCall

ANSWERED = ("ok", "refusal", "malformed")
"""Statuses of calls that brought an answer, which may have cost something."""

_FIELDS = tuple(LLMCall.__slots__)

# Made once: of a short statement, making it takes longer than running it.
_KEPT = select(llm_responses.c.key, llm_responses.c.response).where(
    llm_responses.c.key.in_(bindparam("keys", expanding=True))
)
_NEW_ANSWERS = {
    "sqlite": sqlite.insert(llm_responses).inline().on_conflict_do_nothing(),
    "postgresql": postgresql.insert(llm_responses).inline().on_conflict_do_nothing(),
}
_GONE = delete(llm_responses).where(llm_responses.c.key == bindparam("replaced"))
_NEW_CALLS = insert(llm_calls).inline()


@dataclass(frozen=True, slots=True)
class Spend:
    """What the calls of one purpose, round and model came to.

    `texts` are the different texts asked about, `answers` the calls that brought an answer. `cost` sums the
    known costs, None where none is known; `unpriced` answers have a cost that nobody knows.
    """

    purpose: str
    round: int | None
    model: str
    texts: int
    calls: int
    answers: int
    prompt_tokens: int
    cached_tokens: int
    completion_tokens: int
    cost: float | None
    unpriced: int
    milliseconds: int


@dataclass(frozen=True, slots=True)
class Ratios:
    """What is typical of a model's calls: characters of prompt a token, and tokens an answer."""

    characters_per_token: float
    completion_tokens: float


class LedgerCache(ResponseCache):
    """The kept answers, and beside them the calls of one run: what the LLM's engine reads and writes."""

    def __init__(
        self, database: Database, *, run: str, purpose: str, round: int | None, anew: Collection[str] = ()
    ) -> None:
        super().__init__(database)
        self._anew = frozenset(anew)
        self._passed_over: set[str] = set()
        self._whose: dict[str, Any] = {"run": run, "purpose": purpose, "round": round}

    def get_many(self, keys: Sequence[str]) -> dict[str, Mapping[str, Any]]:
        """The answers under these keys, as far as they are kept and not to be asked for anew."""
        found: dict[str, Mapping[str, Any]] = {}
        if not keys:
            return found
        with self._database.reading() as connection:
            for part in chunks(keys):
                rows = connection.execute(_KEPT, {"keys": part}).all()
                found.update((key, json.loads(cell)) for key, cell in rows)
        for key in [key for key, answer in found.items() if answer.get("status") in self._anew]:
            del found[key]
            self._passed_over.add(key)
        return found

    def put(self, key: str, response: Mapping[str, Any]) -> None:
        """Keep an answer and the calls behind it (its "calls", as `LLMCall`s) together, or neither."""
        answer = {name: value for name, value in response.items() if name != "calls"}
        self.put_many({key: answer}, response.get("calls") or ())

    def put_many(self, answers: Mapping[str, Mapping[str, Any]], calls: Sequence[LLMCall]) -> None:
        """Keep answers by key and calls together, or nothing: one transaction, however many.

        The first answer under a key stays, unless it was passed over to be asked for anew. The calls are kept
        whatever became of theirs.
        """
        replaced = [{"replaced": key} for key in answers if key in self._passed_over]
        kept = [{"key": key, "response": dump(dict(answer))} for key, answer in answers.items()]
        rows = [{**_row(call), **self._whose} for call in calls]
        with self._database.writing() as connection:
            if replaced:
                connection.execute(_GONE, replaced)
            if kept:
                connection.execute(_NEW_ANSWERS[connection.dialect.name], kept)
            if rows:
                connection.execute(_NEW_CALLS, rows)

    def note(self, calls: Sequence[LLMCall]) -> None:
        """Keep calls that brought no answer to keep."""
        if calls:
            self.put_many({}, calls)


class LedgerTables(Database):
    """Calls are only ever added; answers can be forgotten, which leaves their calls and what they cost."""

    def answers_kept(
        self, *, run: str, purpose: str, round: int | None = None, anew: Collection[str] = ()
    ) -> LedgerCache:
        """The kept answers, for a run that adds to them; its calls are noted under this purpose and round.

        Answers with a status of `anew` are passed over, and replaced by what is put in their place.
        """
        return LedgerCache(self, run=run, purpose=purpose, round=round, anew=anew)

    def llm_call_count(self) -> int:
        """How many calls there are, about: grows with each."""
        with self.reading() as connection:
            return int(connection.execute(select(func.max(llm_calls.c.position))).scalar() or 0)

    def llm_calls(self, *, key: str | None = None, run: str | None = None) -> Iterator[LLMCall]:
        """The calls, oldest first; only those of one answer or one run if asked."""
        query = select(llm_calls).order_by(llm_calls.c.position)
        if key is not None:
            query = query.where(llm_calls.c.key == key)
        if run is not None:
            query = query.where(llm_calls.c.run == run)
        with self.reading() as connection:
            rows = connection.execute(query).all()
        return (_call(row) for row in rows)

    def spend(self) -> tuple[Spend, ...]:
        """What all calls came to, by purpose, round and model, in this order."""
        calls = llm_calls.c
        by = (calls.purpose, calls.round, calls.model)
        with self.reading() as connection:
            rows = connection.execute(select(*by, *_sums()).group_by(*by)).all()
        found = (_spend(*row) for row in rows)
        return tuple(sorted(found, key=lambda one: (one.purpose, one.round or 0, one.model)))

    def spend_in_all(self, *, run: str | None = None) -> Spend:
        """What all calls came to together, or those of one run; a text asked about twice counts once."""
        query = select(*_sums())
        if run is not None:
            query = query.where(llm_calls.c.run == run)
        with self.reading() as connection:
            row = connection.execute(query).one()
        return _spend("", None, "", *row)

    def ratios(self, model: str) -> Ratios | None:
        """What is typical of this model's answered calls; None before there are any with their tokens."""
        calls = llm_calls.c
        known = (calls.model == text_to_cell(model)) & (calls.status == "ok")
        known &= (calls.prompt_tokens > 0) & calls.completion_tokens.is_not(None) & (calls.characters > 0)
        sums = (func.sum(calls.characters), func.sum(calls.prompt_tokens), func.sum(calls.completion_tokens))
        with self.reading() as connection:
            row = connection.execute(select(func.count(), *sums).where(known)).one()
        if not row[0]:
            return None
        return Ratios(float(row[1]) / float(row[2]), float(row[3]) / row[0])

    def forget_answer(self, key: str) -> bool:
        """Let this be asked anew: the answer goes, its calls stay. False where there is no such answer."""
        with self.writing() as connection:
            gone = connection.execute(delete(llm_responses).where(llm_responses.c.key == key))
        return gone.rowcount > 0

    def purge_responses(self, hashes: Iterable[str]) -> int:
        """Erase the answers about these texts, by input hash; returns how many. Calls hold no words and stay.

        Of answers kept before their text was noted, those go whose prompt contains one of the texts; the
        store must still know the texts for that.
        """
        wanted, gone = list(hashes), set[str]()
        with self.writing() as connection:
            for part in chunks(wanted):
                asked = select(llm_calls.c.key).where(llm_calls.c.input_hash.in_(part))
                gone.update(connection.execute(asked).scalars())
            gone.update(_nameless(connection, _texts(connection, wanted)))
            erased = 0
            for part in chunks(sorted(gone)):
                erased += connection.execute(
                    delete(llm_responses).where(llm_responses.c.key.in_(part))
                ).rowcount
        return erased


def _sums() -> tuple[Any, ...]:
    calls = llm_calls.c
    answered = calls.status.in_(ANSWERED)
    counted = (calls.prompt_tokens, calls.cached_tokens, calls.completion_tokens)
    return (
        # Of calls from before texts were noted, each answer is of a text of its own.
        func.count(func.coalesce(calls.input_hash, calls.key).distinct()),
        func.count(),
        _count(answered),
        *(func.coalesce(func.sum(column), 0) for column in counted),
        func.sum(calls.cost),
        _count(answered & calls.cost.is_(None)),
        func.coalesce(func.sum(calls.milliseconds), 0),
    )


def _count(condition: Any) -> Any:
    return func.coalesce(func.sum(cast(case((condition, 1), else_=0), Integer)), 0)


def _spend(purpose: str, number: int | None, model: str, *sums: Any) -> Spend:
    # PostgreSQL sums whole numbers to decimals: int() undoes that.
    texts, calls, answers, prompt, cached, completion, cost, unpriced, milliseconds = sums
    return Spend(
        purpose=purpose,
        round=number,
        model=text_from_cell(model),
        texts=texts,
        calls=calls,
        answers=answers,
        prompt_tokens=int(prompt),
        cached_tokens=int(cached),
        completion_tokens=int(completion),
        cost=None if cost is None else float(cost),
        unpriced=unpriced,
        milliseconds=int(milliseconds),
    )


def _texts(connection: Connection, hashes: Sequence[str]) -> list[str]:
    found: list[str] = []
    for part in chunks(hashes):
        rows = connection.execute(select(examples).where(examples.c.input_hash.in_(part)))
        found += [example_from_row(row).text for row in rows]
    return [text for text in found if text]


def _nameless(connection: Connection, texts: Sequence[str]) -> Iterator[str]:
    """Keys of answers with one of the texts in their prompt, of which no call says what they are about."""
    if not texts:
        return
    named = exists().where(llm_calls.c.key == llm_responses.c.key, llm_calls.c.input_hash.is_not(None))
    query: Select[Any] = select(llm_responses).where(~named)
    for key, cell in connection.execute(query).all():
        prompt = str(json.loads(cell).get("prompt") or "")
        if any(text in prompt for text in texts):
            yield key


def _row(call: LLMCall) -> dict[str, Any]:
    row = {name: getattr(call, name) for name in _FIELDS}
    for name in ("endpoint", "model", "reason"):
        row[name] = text_to_cell(row[name])
    price = None if call.price is None else dump(dict(call.price))
    return {**row, "parameters": dump(dict(call.parameters)), "price": price}


def _call(row: Any) -> LLMCall:
    values = {name: getattr(row, name) for name in _FIELDS}
    for name in ("endpoint", "model", "reason"):
        values[name] = text_from_cell(values[name])
    values["parameters"] = json.loads(row.parameters)
    values["price"] = None if row.price is None else json.loads(row.price)
    return LLMCall(**values)
