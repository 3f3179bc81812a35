"""Opening a store: the connection, its guarantees, its migrations; and errors a user can act on."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, Table, create_engine, event, func, inspect, select, text
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import DatabaseError, OperationalError

from annoloop.errors import StoreError
from annoloop.store.schema import HEAD

BUSY_SECONDS = 15
QUEUE_LOCK = 7_415_302_118
"""Names the lock that PostgreSQL's writers to the queue take in turn; any number would do."""

_MIGRATIONS = Path(__file__).parent / "migrations"


def open_engine(url: str) -> Engine:
    """An engine for a database URL, its tables brought up to date.

    SQLite runs in WAL mode with full synchronisation, so that a commit survives the machine's sudden end
    and readers never wait for a writer.

    Raises:
        StoreError: the database cannot be opened, or is newer than this annoloop.
    """
    try:
        engine = create_engine(url)
    except Exception as error:
        raise StoreError(f"[store] url {url!r} is not a database URL: {error}") from None
    if engine.dialect.name == "sqlite":
        _prepare_sqlite(engine)
    with translated(engine):
        _migrate(engine)
    return engine


def _prepare_sqlite(engine: Engine) -> None:
    @event.listens_for(engine, "connect")
    def _on_connect(connection: Any, _record: Any) -> None:
        # The driver's own transaction handling begins too late for BEGIN IMMEDIATE.
        connection.isolation_level = None
        cursor = connection.cursor()
        cursor.execute(f"PRAGMA busy_timeout = {BUSY_SECONDS * 1000}")
        cursor.execute("PRAGMA journal_mode = WAL")
        cursor.execute("PRAGMA synchronous = FULL")
        cursor.close()

    @event.listens_for(engine, "begin")
    def _on_begin(connection: Connection) -> None:
        # A transaction that will write takes its lock at once: two that read first and write later
        # would fail each other.
        writes = connection.get_execution_options().get("writes", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _migrate(engine: Engine) -> None:
    with engine.connect() as connection:
        if inspect(connection).has_table("alembic_version"):
            revision = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
        else:
            revision = None
    if revision == HEAD:
        return
    if revision is not None and revision > HEAD:
        raise StoreError(
            f"the project's store was written by a newer annoloop (revision {revision}, known {HEAD})",
            hint="upgrade annoloop: pip install -U annoloop",
        )
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    with engine.execution_options(writes=True).begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


@contextmanager
def translated(engine: Engine) -> Iterator[None]:
    """Turn the database's own errors into `StoreError` with what to do."""
    try:
        yield
    except OperationalError as error:
        reason = str(error.orig).strip()
        raise StoreError(
            f"the project's store ({engine.url.render_as_string(hide_password=True)}) failed: {reason}",
            hint=_hint(reason),
        ) from error
    except DatabaseError as error:
        reason = str(error.orig).strip()
        where = engine.url.render_as_string(hide_password=True)
        raise StoreError(f"the project's store ({where}) refused: {reason}", hint=_hint(reason)) from error


def _hint(reason: str) -> str:
    lowered = reason.lower()
    if "locked" in lowered or "busy" in lowered:
        return "another process holds it; wait or stop that process, then try again. Nothing was lost"
    if "full" in lowered or "disk i/o" in lowered:
        return "free some disk space, then try again. What was saved before is safe"
    if "readonly" in lowered or "unable to open" in lowered or "permission" in lowered:
        return "check that the folder exists and may be written"
    if "not a database" in lowered or "malformed" in lowered:
        return "the file is damaged or not annoloop's: restore it from a backup"
    return "what was saved before is safe"


class Database:
    """One open database: `reading()` and `writing()` give a connection inside a transaction.

    Methods called inside such a block, on the same thread, join its transaction: several of them are
    committed together, or not at all.
    """

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self._current = threading.local()

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A transaction that only reads: one consistent state of all tables."""
        with self._transaction(writes=False) as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """A transaction that writes: all of it is committed at the end, or nothing.

        Raises:
            RuntimeError: inside a block that only reads.
        """
        with self._transaction(writes=True) as connection:
            yield connection

    @contextmanager
    def queueing(self) -> Iterator[Connection]:
        """A transaction that changes tasks, answers or leases: one at a time, whatever the database.

        What is counted and compared in it is what all those before it left behind.
        """
        with self.writing() as connection:
            if connection.dialect.name == "postgresql":
                connection.execute(select(func.pg_advisory_xact_lock(QUEUE_LOCK)))
            yield connection

    @contextmanager
    def _transaction(self, *, writes: bool) -> Iterator[Connection]:
        outer: Connection | None = getattr(self._current, "connection", None)
        if outer is not None:
            if writes and not outer.get_execution_options().get("writes", False):
                raise RuntimeError("a transaction that only reads cannot be written in")
            yield outer
            return
        with translated(self.engine), self.engine.connect() as plain:
            connection = plain.execution_options(writes=writes)
            with connection.begin():
                self._current.connection = connection
                try:
                    yield connection
                finally:
                    self._current.connection = None

    def close(self) -> None:
        """Give all connections back; SQLite then folds its journal into the file."""
        self.engine.dispose()


def insert_new(connection: Connection, table: Table, rows: Sequence[Mapping[str, Any]]) -> int:
    """Insert rows, leaving out those whose unique values are there already; returns how many went in."""
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    added = 0
    for row in rows:
        statement = dialect.insert(table).inline().values(row).on_conflict_do_nothing()
        # Of an insert SQLAlchemy tells how many rows went in only when it is asked.
        added += connection.execute(statement, execution_options={"preserve_rowcount": True}).rowcount
    return added
