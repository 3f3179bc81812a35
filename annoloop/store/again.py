"""Asking again about a text that is answered."""

from __future__ import annotations

from sqlalchemy import exists, func, select, update

from annoloop.store.engine import Database
from annoloop.store.schema import in_force, task_counts, tasks


class AskingAgain(Database):
    """Opens tasks that were done."""

    def ask_again(self, task_hash: str) -> bool:
        """Want one answer more than there are; False where there is no such task, or it is settled."""
        live = (in_force.c.task_hash == task_hash, in_force.c.retracted.is_(False))
        with self.writing() as connection:
            task = connection.execute(select(tasks).where(tasks.c.task_hash == task_hash)).first()
            settled = select(exists().where(*live, in_force.c.adjudicated.is_(True)))
            if task is None or connection.execute(settled).scalar():
                return False
            answered = select(func.count()).select_from(in_force).where(*live)
            wanted = int(connection.execute(answered).scalar_one()) + 1
            chosen = tasks.c.task_hash == task_hash
            connection.execute(update(tasks).where(chosen).values(wanted=wanted, is_open=True))
            if not task.is_open:
                counts = update(task_counts).where(task_counts.c.round == task.round)
                connection.execute(counts.values(done=task_counts.c.done - 1, open=task_counts.c.open + 1))
        return True
