"""Several annotators a text, reviewers' decisions, comments, flags and drafts."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def _tasks() -> None:
    op.add_column("tasks", sa.Column("wanted", sa.Integer(), nullable=False, server_default="1"))
    op.add_column("tasks", sa.Column("is_open", sa.Boolean(), nullable=False, server_default=sa.true()))
    op.execute(sa.text("UPDATE tasks SET is_open = (answered = 0)"))
    op.drop_index("tasks_open", "tasks")
    op.create_index("tasks_open", "tasks", ["is_open", "round", "rank", "position"])
    op.create_table(
        "task_counts",
        sa.Column("round", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("done", sa.Integer(), nullable=False),
        sa.Column("open", sa.Integer(), nullable=False),
    )
    op.execute(
        sa.text(
            "INSERT INTO task_counts (round, done, open) "
            "SELECT round, SUM(CASE WHEN is_open THEN 0 ELSE 1 END), "
            "SUM(CASE WHEN is_open THEN 1 ELSE 0 END) "
            "FROM tasks GROUP BY round"
        )
    )


def _answers() -> None:
    op.add_column("answers", sa.Column("comment", sa.Text(), nullable=False, server_default=""))
    op.add_column("answers", sa.Column("flagged", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.add_column(
        "answers", sa.Column("adjudicated", sa.Boolean(), nullable=False, server_default=sa.false())
    )
    op.create_index("answers_text", "answers", ["input_hash", "annotator"])


def _in_force() -> None:
    op.add_column("in_force", sa.Column("verdict", sa.String(8), nullable=False, server_default="accept"))
    op.add_column(
        "in_force", sa.Column("adjudicated", sa.Boolean(), nullable=False, server_default=sa.false())
    )
    op.execute(
        sa.text(
            "UPDATE in_force SET verdict = "
            "(SELECT verdict FROM answers WHERE answers.answer_id = in_force.answer_id)"
        )
    )
    op.create_index("in_force_annotator", "in_force", ["annotator", "retracted", "verdict"])


def _drafts() -> None:
    op.create_table(
        "drafts",
        sa.Column("task_hash", sa.String(32), primary_key=True),
        sa.Column("annotator", sa.String(200), primary_key=True),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("draft", sa.Text(), nullable=False),
    )


def upgrade() -> None:
    _tasks()
    _answers()
    _in_force()
    _drafts()
