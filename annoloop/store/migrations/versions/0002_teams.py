"""Several annotators a text, reviewers' decisions, comments, flags and drafts."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def _tasks() -> None:
    op.add_column("tasks", sa.Column("wanted", sa.Integer(), nullable=False, server_default="1"))
    op.add_column("tasks", sa.Column("is_open", sa.Boolean(), nullable=False, server_default=sa.true()))
    op.add_column("tasks", sa.Column("agreement", sa.String(8), nullable=False, server_default="none"))
    op.add_column("tasks", sa.Column("doubted", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.execute(sa.text("UPDATE tasks SET is_open = (answered = 0)"))
    op.execute(
        sa.text(
            "UPDATE tasks SET agreement = (SELECT CASE WHEN COUNT(*) < 2 THEN 'none' "
            "WHEN COUNT(DISTINCT CASE answers.verdict WHEN 'accept' THEN answers.annotation "
            "ELSE answers.verdict END) = 1 THEN 'same' ELSE 'differ' END "
            "FROM in_force JOIN answers ON answers.answer_id = in_force.answer_id "
            "WHERE in_force.input_hash = tasks.input_hash AND NOT in_force.retracted "
            "AND answers.verdict <> 'ignore') WHERE answered > 1"
        )
    )
    op.drop_index("tasks_open", "tasks")
    op.create_index("tasks_open", "tasks", ["is_open", "round", "rank", "position"])
    op.create_index("tasks_agreement", "tasks", ["agreement", "round", "rank", "position"])


def _answers() -> None:
    op.add_column("answers", sa.Column("comment", sa.Text(), nullable=False, server_default=""))
    op.add_column("answers", sa.Column("flagged", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.add_column(
        "answers", sa.Column("adjudicated", sa.Boolean(), nullable=False, server_default=sa.false())
    )
    op.create_index("answers_text", "answers", ["input_hash", "annotator"])


def _in_force() -> None:
    # Another primary key is another table.
    op.execute(sa.text("CREATE TABLE in_force_before AS SELECT * FROM in_force"))
    op.drop_table("in_force")
    op.create_table(
        "in_force",
        sa.Column("input_hash", sa.String(32), primary_key=True),
        sa.Column("annotator", sa.String(200), primary_key=True),
        sa.Column("adjudicated", sa.Boolean(), primary_key=True),
        sa.Column("answer_id", sa.String(64), nullable=False),
        sa.Column("task_hash", sa.String(32), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("retracted", sa.Boolean(), nullable=False),
        sa.Column("verdict", sa.String(8), nullable=False),
        sa.Column("again", sa.Boolean(), nullable=False),
        sa.Column("changed", sa.Boolean(), nullable=False),
    )
    op.execute(
        sa.text(
            "INSERT INTO in_force (input_hash, annotator, adjudicated, answer_id, task_hash, seq, "
            "retracted, verdict, again, changed) "
            "SELECT was.input_hash, was.annotator, false, was.answer_id, was.task_hash, was.seq, "
            "was.retracted, answers.verdict, NOT was.retracted AND answers.verdict = 'ignore', false "
            "FROM in_force_before AS was JOIN answers ON answers.answer_id = was.answer_id"
        )
    )
    op.drop_table("in_force_before")
    op.create_index("in_force_task", "in_force", ["task_hash"])
    op.create_index("in_force_newest", "in_force", ["annotator", "seq"])
    op.create_index("in_force_again", "in_force", ["annotator", "again", "seq"])


def _counts() -> None:
    op.create_table(
        "task_counts",
        sa.Column("round", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("done", sa.Integer(), nullable=False),
        sa.Column("open", sa.Integer(), nullable=False),
        sa.Column("same", sa.Integer(), nullable=False),
        sa.Column("differ", sa.Integer(), nullable=False),
    )
    op.create_table(
        "annotator_counts",
        sa.Column("annotator", sa.String(200), primary_key=True),
        sa.Column("answers", sa.Integer(), nullable=False),
        sa.Column("decisions", sa.Integer(), nullable=False),
        sa.Column("changed", sa.Integer(), nullable=False),
    )
    op.execute(
        sa.text(
            "INSERT INTO task_counts (round, done, open, same, differ) SELECT round, "
            "SUM(CASE WHEN is_open THEN 0 ELSE 1 END), SUM(CASE WHEN is_open THEN 1 ELSE 0 END), "
            "SUM(CASE agreement WHEN 'same' THEN 1 ELSE 0 END), "
            "SUM(CASE agreement WHEN 'differ' THEN 1 ELSE 0 END) FROM tasks GROUP BY round"
        )
    )
    op.execute(
        sa.text(
            "INSERT INTO annotator_counts (annotator, answers, decisions, changed) "
            "SELECT annotator, COUNT(*), 0, 0 FROM in_force WHERE NOT retracted GROUP BY annotator"
        )
    )


def _page() -> None:
    op.create_table(
        "drafts",
        sa.Column("task_hash", sa.String(32), primary_key=True),
        sa.Column("annotator", sa.String(200), primary_key=True),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("draft", sa.Text(), nullable=False),
    )
    op.add_column(
        "leases", sa.Column("adjudicating", sa.Boolean(), nullable=False, server_default=sa.false())
    )
    op.create_index("leases_holder", "leases", ["annotator", "client"])


def upgrade() -> None:
    _tasks()
    _answers()
    _in_force()
    _counts()
    _page()
