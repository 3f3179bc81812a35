"""The first tables, and the guard that keeps answers append-only."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

_position = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def _texts() -> None:
    op.create_table(
        "examples",
        sa.Column("position", _position, primary_key=True, autoincrement=True),
        sa.Column("input_hash", sa.String(32), nullable=False, unique=True),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("meta", sa.Text(), nullable=False),
        sa.Column("split", sa.String(8), nullable=False),
        sa.Column("excluded", sa.Text()),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "tasks",
        sa.Column("position", _position, primary_key=True, autoincrement=True),
        sa.Column("task_hash", sa.String(32), nullable=False, unique=True),
        sa.Column("input_hash", sa.String(32), nullable=False),
        sa.Column("suggestion", sa.Text()),
        sa.Column("assisted", sa.Boolean(), nullable=False),
        sa.Column("rank", sa.Float(), nullable=False),
        sa.Column("round", sa.Integer(), nullable=False),
        sa.Column("answered", sa.Integer(), nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_index("tasks_open", "tasks", ["answered", "round", "rank", "position"])
    op.create_index("tasks_input", "tasks", ["input_hash"])


def _answers() -> None:
    op.create_table(
        "answers",
        sa.Column("position", _position, primary_key=True, autoincrement=True),
        sa.Column("answer_id", sa.String(64), nullable=False, unique=True),
        sa.Column("task_hash", sa.String(32), nullable=False),
        sa.Column("input_hash", sa.String(32), nullable=False),
        sa.Column("verdict", sa.String(8), nullable=False),
        sa.Column("annotation", sa.Text(), nullable=False),
        sa.Column("annotator", sa.String(200), nullable=False),
        sa.Column("milliseconds", sa.Integer(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("blind", sa.Boolean(), nullable=False),
        sa.Column("simulated", sa.Boolean(), nullable=False),
        sa.Column("retracted", sa.Boolean(), nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_index("answers_annotator", "answers", ["annotator", "position"])
    op.create_table(
        "in_force",
        sa.Column("input_hash", sa.String(32), primary_key=True),
        sa.Column("annotator", sa.String(200), primary_key=True),
        sa.Column("answer_id", sa.String(64), nullable=False),
        sa.Column("task_hash", sa.String(32), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("retracted", sa.Boolean(), nullable=False),
    )
    op.create_index("in_force_task", "in_force", ["task_hash"])
    op.create_table(
        "leases",
        sa.Column("task_hash", sa.String(32), primary_key=True),
        sa.Column("annotator", sa.String(200), primary_key=True),
        sa.Column("client", sa.String(64), primary_key=True),
        sa.Column("until", sa.Float(), nullable=False),
    )
    op.create_index("leases_until", "leases", ["until"])


def _results() -> None:
    op.create_table(
        "llm_responses",
        sa.Column("key", sa.String(64), primary_key=True),
        sa.Column("response", sa.Text(), nullable=False),
    )
    op.create_table(
        "predictions",
        sa.Column("source", sa.String(200), primary_key=True),
        sa.Column("input_hash", sa.String(32), primary_key=True),
        sa.Column("annotation", sa.Text()),
        sa.Column("score", sa.Float()),
        sa.Column("detail", sa.Text(), nullable=False),
    )
    op.create_table(
        "rounds",
        sa.Column("number", sa.Integer(), primary_key=True),
        sa.Column("record", sa.Text(), nullable=False),
    )
    op.create_table(
        "facts",
        sa.Column("key", sa.String(100), primary_key=True),
        sa.Column("value", sa.Text(), nullable=False),
    )


def _append_only() -> None:
    dialect = op.get_bind().dialect.name
    if dialect == "sqlite":
        for verb in ("UPDATE", "DELETE"):
            op.execute(
                f"CREATE TRIGGER answers_no_{verb.lower()} BEFORE {verb} ON answers "
                "BEGIN SELECT RAISE(ABORT, 'answers are append-only'); END"
            )
    elif dialect == "postgresql":
        op.execute(
            "CREATE FUNCTION answers_append_only() RETURNS trigger AS "
            "$$ BEGIN RAISE EXCEPTION 'answers are append-only'; END $$ LANGUAGE plpgsql"
        )
        op.execute(
            "CREATE TRIGGER answers_append_only BEFORE UPDATE OR DELETE ON answers "
            "FOR EACH ROW EXECUTE FUNCTION answers_append_only()"
        )


def upgrade() -> None:
    _texts()
    _answers()
    _results()
    _append_only()
