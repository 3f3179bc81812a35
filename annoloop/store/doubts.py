"""Sending an answered text to a reviewer."""

from __future__ import annotations

from sqlalchemy import select, update

from annoloop.store.engine import Database
from annoloop.store.schema import tasks
from annoloop.store.standing import settle

DOUBTS_FACT = "doubts"
"""By input hash, why a text was sent to a reviewer though nobody differs: what is told beside it."""


class Doubts(Database):
    """What people doubt though the answers to it do not differ."""

    def send_to_review(self, task_hash: str) -> bool:
        """Let a reviewer decide on an answered task; False where there is no answer, or it is decided."""
        chosen = tasks.c.task_hash == task_hash
        with self.queueing() as connection:
            text = connection.execute(select(tasks.c.input_hash).where(chosen)).scalar()
            if text is None:
                return False
            connection.execute(update(tasks).where(chosen).values(doubted=True))
            settle(connection, [text])
            state = connection.execute(select(tasks.c.agreement).where(chosen)).scalar()
        return state == "differ"
