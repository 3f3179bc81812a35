"""What a run may spend on the LLM, and what it has found out of its server: shared by all that ask in it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from annoloop.project import Project

if TYPE_CHECKING:
    from annoloop.llm.budget import Budget
    from annoloop.store.store import Store

_DIALECTS_FACT = "llm.dialects"
REMEMBERED_DAYS = 30
_budgets: WeakKeyDictionary[Store, Budget] = WeakKeyDictionary()


def budget_of(project: Project) -> Budget:
    """The money of this run: what suggests, judges and annotates in one process has one `max_cost`."""
    from annoloop.llm.budget import Budget

    if project.store not in _budgets:
        _budgets[project.store] = Budget(project.settings.llm.max_cost)
    return _budgets[project.store]


@contextmanager
def remembered(project: Project) -> Iterator[None]:
    """Know of servers what earlier commands found out, and leave behind what this one does.

    After `REMEMBERED_DAYS` it is found out anew: servers learn too.
    """
    from annoloop.llm.dialect import proven_dialects, recall_dialects

    today = int(time.time() // 86_400)
    every = project.store.fact(_DIALECTS_FACT, {})
    kept = {name: one for name, one in every.items() if 0 <= today - one.get("day", 0) < REMEMBERED_DAYS}
    recall_dialects({name: one["state"] for name, one in kept.items()})
    try:
        yield
    finally:
        for name, state in proven_dialects().items():
            if name not in kept or kept[name]["state"] != state:
                kept[name] = {"state": state, "day": today}
        if kept != every:
            project.store.set_fact(_DIALECTS_FACT, kept)
