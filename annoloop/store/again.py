"""Asking again about a text that is answered."""

from __future__ import annotations

from sqlalchemy import select, update

from annoloop.store.engine import Database
from annoloop.store.schema import tasks
from annoloop.store.standing import settle


class AskingAgain(Database):
    """Opens tasks that were done."""

    def ask_again(self, task_hash: str) -> bool:
        """Want one answer more than there are; False where there is no such task, or it is settled."""
        chosen = tasks.c.task_hash == task_hash
        with self.queueing() as connection:
            task = connection.execute(select(tasks).where(chosen)).first()
            if task is None:
                return False
            connection.execute(update(tasks).where(chosen).values(wanted=task.answered + 1))
            settle(connection, [task.input_hash])
            if connection.execute(select(tasks.c.is_open).where(chosen)).scalar():
                return True
            connection.execute(update(tasks).where(chosen).values(wanted=task.wanted))
        return False
