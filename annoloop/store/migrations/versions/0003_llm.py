"""The ledger of LLM calls, blind duels of annotations, proposed patterns and what people made of them."""

import json
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

_position = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_APPENDED = ("llm_calls", "llm_duels", "pattern_choices")
_CHUNK = 500


def _calls() -> sa.Table:
    table = op.create_table(
        "llm_calls",
        sa.Column("position", _position, primary_key=True, autoincrement=True),
        sa.Column("key", sa.String(64), nullable=False),
        sa.Column("input_hash", sa.String(32)),
        sa.Column("run", sa.String(32)),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("purpose", sa.String(16), nullable=False),
        sa.Column("round", sa.Integer()),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("endpoint", sa.Text(), nullable=False),
        sa.Column("reach", sa.String(8), nullable=False),
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("parameters", sa.Text(), nullable=False),
        sa.Column("template", sa.String(100), nullable=False),
        sa.Column("redaction", sa.String(32), nullable=False),
        sa.Column("status", sa.String(12), nullable=False),
        sa.Column("http", sa.Integer()),
        sa.Column("prompt_tokens", sa.Integer()),
        sa.Column("cached_tokens", sa.Integer()),
        sa.Column("completion_tokens", sa.Integer()),
        sa.Column("cost", sa.Float()),
        sa.Column("price", sa.Text()),
        sa.Column("milliseconds", sa.Integer(), nullable=False),
        sa.Column("characters", sa.Integer(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_index("llm_calls_key", "llm_calls", ["key"])
    op.create_index("llm_calls_text", "llm_calls", ["input_hash"])
    op.create_index("llm_calls_spend", "llm_calls", ["purpose", "round"])
    op.create_index("llm_calls_run", "llm_calls", ["run", "position"])
    return table


def _before(calls: sa.Table) -> None:
    """One call for each response that is there: when it was made, and about which text, nobody wrote down."""
    responses = sa.table("llm_responses", sa.column("key", sa.String), sa.column("response", sa.Text))
    bind, last = op.get_bind(), ""
    while True:
        query = sa.select(responses).where(responses.c.key > last).order_by(responses.c.key).limit(_CHUNK)
        rows = bind.execute(query).all()
        if not rows:
            return
        bind.execute(sa.insert(calls), [_call(key, json.loads(cell)) for key, cell in rows])
        last = rows[-1][0]


def _call(key: str, response: dict[str, Any]) -> dict[str, Any]:
    return {
        "key": key,
        "at": 0,
        "purpose": "before",
        "attempt": 1,
        "endpoint": "",
        "reach": "",
        # A response may hold characters that no database takes.
        "model": str(response.get("model") or "").encode("utf8", "replace").decode().replace("\0", ""),
        "parameters": "{}",
        "template": "",
        "redaction": "",
        "status": str(response.get("status") or "ok")[:12],
        "prompt_tokens": response.get("prompt_tokens"),
        "completion_tokens": response.get("completion_tokens"),
        "cost": response.get("cost"),
        "milliseconds": int(response.get("milliseconds") or 0),
        "characters": len(response.get("prompt") or ""),
        "reason": "",
    }


def _duels() -> None:
    op.create_table(
        "llm_duels",
        sa.Column("position", _position, primary_key=True, autoincrement=True),
        sa.Column("duel_id", sa.String(64), nullable=False, unique=True),
        sa.Column("input_hash", sa.String(32), nullable=False),
        sa.Column("left_source", sa.String(200), nullable=False),
        sa.Column("right_source", sa.String(200), nullable=False),
        sa.Column("winner", sa.String(8), nullable=False),
        sa.Column("annotator", sa.String(200), nullable=False),
        sa.Column("milliseconds", sa.Integer(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sqlite_autoincrement=True,
    )


def _patterns() -> None:
    op.create_table(
        "pattern_proposals",
        sa.Column("line_hash", sa.String(32), primary_key=True),
        sa.Column("line", sa.Text(), nullable=False),
        sa.Column("origin", sa.String(16), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
    )
    op.create_table(
        "pattern_choices",
        sa.Column("position", _position, primary_key=True, autoincrement=True),
        sa.Column("line_hash", sa.String(32), nullable=False),
        sa.Column("verdict", sa.String(8), nullable=False),
        sa.Column("annotator", sa.String(200), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_index("pattern_choices_line", "pattern_choices", ["line_hash", "position"])


def _append_only(table: str) -> None:
    dialect = op.get_bind().dialect.name
    if dialect == "sqlite":
        for verb in ("UPDATE", "DELETE"):
            op.execute(
                f"CREATE TRIGGER {table}_no_{verb.lower()} BEFORE {verb} ON {table} "
                f"BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END"
            )
    elif dialect == "postgresql":
        op.execute(
            f"CREATE FUNCTION {table}_append_only() RETURNS trigger AS "
            f"$$ BEGIN RAISE EXCEPTION '{table} is append-only'; END $$ LANGUAGE plpgsql"
        )
        op.execute(
            f"CREATE TRIGGER {table}_append_only BEFORE UPDATE OR DELETE ON {table} "
            f"FOR EACH ROW EXECUTE FUNCTION {table}_append_only()"
        )


def upgrade() -> None:
    calls = _calls()
    _duels()
    _patterns()
    _before(calls)
    for table in _APPENDED:
        _append_only(table)
