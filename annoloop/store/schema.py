"""The tables. Changing one means a new migration beside this file; `tests/test_store.py` compares the two."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Float,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
)

metadata = MetaData()

HEAD = "0003"
"""The newest migration: a store at this revision needs no upgrade."""

# SQLite counts rows only in a column typed INTEGER; PostgreSQL wants 64 bits.
_Position = BigInteger().with_variant(Integer, "sqlite")

examples = Table(
    "examples",
    metadata,
    Column("position", _Position, primary_key=True, autoincrement=True),
    Column("input_hash", String(32), nullable=False, unique=True),
    Column("text", Text, nullable=False),
    Column("meta", Text, nullable=False),
    Column("split", String(8), nullable=False),
    Column("excluded", Text),
    sqlite_autoincrement=True,
)

tasks = Table(
    "tasks",
    metadata,
    Column("position", _Position, primary_key=True, autoincrement=True),
    Column("task_hash", String(32), nullable=False, unique=True),
    Column("input_hash", String(32), nullable=False),
    Column("suggestion", Text),
    Column("assisted", Boolean, nullable=False),
    # The negative priority: an index in the order of asking runs one way only.
    Column("rank", Float, nullable=False),
    Column("round", Integer, nullable=False),
    # How many annotators' answers are in force: kept with each answer, so that the next open task is
    # found by index at the hundred-thousandth label as at the first.
    Column("answered", Integer, nullable=False, default=0),
    Column("wanted", Integer, nullable=False, default=1),
    # Whether further answers are wanted: fewer than `wanted` are in force, and nobody has adjudicated.
    Column("is_open", Boolean, nullable=False, default=True),
    # "differ" or "same" where several have answered and no reviewer has decided, else "none".
    Column("agreement", String(8), nullable=False, default="none"),
    # Somebody wants a reviewer to decide: an answered task then counts as "differ".
    Column("doubted", Boolean, nullable=False, default=False),
    Index("tasks_open", "is_open", "round", "rank", "position"),
    Index("tasks_agreement", "agreement", "round", "rank", "position"),
    Index("tasks_input", "input_hash"),
    sqlite_autoincrement=True,
)

answers = Table(
    "answers",
    metadata,
    Column("position", _Position, primary_key=True, autoincrement=True),
    Column("answer_id", String(64), nullable=False, unique=True),
    Column("task_hash", String(32), nullable=False),
    Column("input_hash", String(32), nullable=False),
    Column("verdict", String(8), nullable=False),
    Column("annotation", Text, nullable=False),
    Column("annotator", String(200), nullable=False),
    Column("milliseconds", Integer, nullable=False),
    Column("seq", BigInteger, nullable=False),
    Column("blind", Boolean, nullable=False),
    Column("simulated", Boolean, nullable=False),
    Column("retracted", Boolean, nullable=False),
    Column("comment", Text, nullable=False, default=""),
    Column("flagged", Boolean, nullable=False, default=False),
    Column("adjudicated", Boolean, nullable=False, default=False),
    Index("answers_annotator", "annotator", "position"),
    Index("answers_text", "input_hash", "annotator"),
    sqlite_autoincrement=True,
)

# Derived from `answers` in the transaction that appends to it: the newest answer of each annotator to
# each text, and beside it what that person decided as a reviewer. It can be rebuilt at any time;
# `answers` alone is the truth.
in_force = Table(
    "in_force",
    metadata,
    Column("input_hash", String(32), primary_key=True),
    Column("annotator", String(200), primary_key=True),
    Column("adjudicated", Boolean, primary_key=True),
    Column("answer_id", String(64), nullable=False),
    Column("task_hash", String(32), nullable=False),
    Column("seq", BigInteger, nullable=False),
    Column("retracted", Boolean, nullable=False),
    Column("verdict", String(8), nullable=False),
    # Skipped for the first time: to be shown once more, after all others.
    Column("again", Boolean, nullable=False),
    # A reviewer has decided otherwise.
    Column("changed", Boolean, nullable=False),
    Index("in_force_task", "task_hash"),
    Index("in_force_newest", "annotator", "seq"),
    Index("in_force_again", "annotator", "again", "seq"),
)

# Derived from `tasks` and `in_force`, in the transactions that change them: counting a hundred thousand
# tasks at every call of the page would take longer than the call.
task_counts = Table(
    "task_counts",
    metadata,
    Column("round", Integer, primary_key=True, autoincrement=False),
    Column("done", Integer, nullable=False),
    Column("open", Integer, nullable=False),
    Column("same", Integer, nullable=False),
    Column("differ", Integer, nullable=False),
)

annotator_counts = Table(
    "annotator_counts",
    metadata,
    Column("annotator", String(200), primary_key=True),
    Column("answers", Integer, nullable=False),
    Column("decisions", Integer, nullable=False),
    Column("changed", Integer, nullable=False),
)

# What an annotator has begun and not yet answered: the newest wins, an answer ends it.
drafts = Table(
    "drafts",
    metadata,
    Column("task_hash", String(32), primary_key=True),
    Column("annotator", String(200), primary_key=True),
    Column("seq", BigInteger, nullable=False),
    Column("draft", Text, nullable=False),
)

leases = Table(
    "leases",
    metadata,
    Column("task_hash", String(32), primary_key=True),
    Column("annotator", String(200), primary_key=True),
    Column("client", String(64), primary_key=True),
    Column("until", Float, nullable=False),
    # Held by a reviewer to decide: keeps other reviewers away, no annotator.
    Column("adjudicating", Boolean, nullable=False, default=False),
    Index("leases_until", "until"),
    Index("leases_holder", "annotator", "client"),
)

llm_responses = Table(
    "llm_responses",
    metadata,
    Column("key", String(64), primary_key=True),
    Column("response", Text, nullable=False),
)

# One row a request, answered or not; the words themselves are in `llm_responses` alone.
llm_calls = Table(
    "llm_calls",
    metadata,
    Column("position", _Position, primary_key=True, autoincrement=True),
    Column("key", String(64), nullable=False),
    Column("input_hash", String(32)),
    Column("run", String(32)),
    # Microseconds since 1970; 0 for those made before there was this table.
    Column("at", BigInteger, nullable=False),
    Column("purpose", String(16), nullable=False),
    Column("round", Integer),
    Column("attempt", Integer, nullable=False),
    Column("endpoint", Text, nullable=False),
    Column("reach", String(8), nullable=False),
    Column("model", Text, nullable=False),
    Column("parameters", Text, nullable=False),
    Column("template", String(100), nullable=False),
    Column("redaction", String(32), nullable=False),
    Column("status", String(12), nullable=False),
    Column("http", Integer),
    Column("prompt_tokens", Integer),
    Column("cached_tokens", Integer),
    Column("completion_tokens", Integer),
    Column("cost", Float),
    Column("price", Text),
    Column("milliseconds", Integer, nullable=False),
    Column("characters", Integer, nullable=False),
    Column("reason", Text, nullable=False),
    Index("llm_calls_key", "key"),
    Index("llm_calls_text", "input_hash"),
    Index("llm_calls_spend", "purpose", "round"),
    Index("llm_calls_run", "run", "position"),
    sqlite_autoincrement=True,
)

# Two sources' annotations of one text, and which of them somebody found better, not knowing whose they are.
llm_duels = Table(
    "llm_duels",
    metadata,
    Column("position", _Position, primary_key=True, autoincrement=True),
    Column("duel_id", String(64), nullable=False, unique=True),
    Column("input_hash", String(32), nullable=False),
    Column("left_source", String(200), nullable=False),
    Column("right_source", String(200), nullable=False),
    Column("winner", String(8), nullable=False),
    Column("annotator", String(200), nullable=False),
    Column("milliseconds", Integer, nullable=False),
    Column("seq", BigInteger, nullable=False),
    sqlite_autoincrement=True,
)

pattern_proposals = Table(
    "pattern_proposals",
    metadata,
    Column("line_hash", String(32), primary_key=True),
    Column("line", Text, nullable=False),
    Column("origin", String(16), nullable=False),
    Column("detail", Text, nullable=False),
)

pattern_choices = Table(
    "pattern_choices",
    metadata,
    Column("position", _Position, primary_key=True, autoincrement=True),
    Column("line_hash", String(32), nullable=False),
    Column("verdict", String(8), nullable=False),
    Column("annotator", String(200), nullable=False),
    Column("seq", BigInteger, nullable=False),
    Index("pattern_choices_line", "line_hash", "position"),
    sqlite_autoincrement=True,
)

predictions = Table(
    "predictions",
    metadata,
    Column("source", String(200), primary_key=True),
    Column("input_hash", String(32), primary_key=True),
    Column("annotation", Text),
    Column("score", Float),
    Column("detail", Text, nullable=False),
)

rounds = Table(
    "rounds",
    metadata,
    Column("number", Integer, primary_key=True),
    Column("record", Text, nullable=False),
)

facts = Table(
    "facts",
    metadata,
    Column("key", String(100), primary_key=True),
    Column("value", Text, nullable=False),
)
