"""What a run may spend on the LLM, and what it has found out of its server: shared by all that ask in it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from annoloop.project import Project

if TYPE_CHECKING:
    from annoloop.llm.budget import Budget
    from annoloop.store.store import Store

_DIALECTS_FACT = "llm.dialects"
_budgets: WeakKeyDictionary[Store, Budget] = WeakKeyDictionary()


def budget_of(project: Project) -> Budget:
    """The money of this run: what suggests, judges and annotates in one process has one `max_cost`."""
    from annoloop.llm.budget import Budget

    if project.store not in _budgets:
        _budgets[project.store] = Budget(project.settings.llm.max_cost)
    return _budgets[project.store]


@contextmanager
def remembered(project: Project) -> Iterator[None]:
    """Know of servers what earlier commands found out, and leave behind what this one does."""
    from annoloop.llm.dialect import proven_dialects, recall_dialects

    kept = project.store.fact(_DIALECTS_FACT, {})
    recall_dialects(kept)
    try:
        yield
    finally:
        found = {**kept, **proven_dialects()}
        if found != kept:
            project.store.set_fact(_DIALECTS_FACT, found)
