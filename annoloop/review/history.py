"""All that an annotator has answered: found again, with what a reviewer made of it."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from annoloop.review.parsing import parse_query
from annoloop.review.shown import show_annotation, show_answer, show_task
from annoloop.store.answer_search import FoundAnswer
from annoloop.types import LabelScheme

if TYPE_CHECKING:
    from annoloop.store.store import Store


def search(
    store: Store, scheme: LabelScheme, annotator: str, request: Mapping[str, Any], *, lang: str = "en"
) -> dict[str, Any]:
    """The annotator's own answers in force, newest first; deciding again on one appends another.

    Args:
        request: `text` (in the text or in the comment, in any case), `only` ("flagged", "commented",
            "skipped", "changed" or None), `before` (a `seq`: the next page), `limit` (at most 50; answers
            that share the last one's `seq` come with it), `mode`
            ("adjudicate": what was decided as a reviewer).
        lang: language of the texts, for spaCy's tokenizer.

    Returns:
        `answers` (`{task, answer, changed}`) and `more` (whether there is another page).

    Raises:
        SchemeError: the request is malformed.
        StoreError: the store cannot be read.
    """
    query = parse_query(request)
    adjudicated = query.mode == "adjudicate"
    with store.reading():
        look = partial(
            store.search_answers, annotator, text=query.text, only=query.only, adjudicated=adjudicated
        )
        page = look(before=query.before, limit=query.limit)
        full = len(page) >= query.limit
        more = full and bool(look(before=page[-1].answer.seq, limit=1))
        tasks = store.tasks_by_hash([item.answer.task_hash for item in page])
        versions = store.versions([item.example.input_hash for item in page] if adjudicated else [])
    shown = []
    for item in page:
        # Imported answers are to no question of the page's: there is nothing to open again.
        if task := tasks.get(item.answer.task_hash):
            said = versions.get(item.example.input_hash)
            others = None if said is None else [version for version in said if not version.adjudicated]
            drawn = show_task(task, scheme, lang=lang, answer=item.answer, versions=others)
            answer = show_answer(item.answer, scheme)
            shown.append({"task": drawn, "answer": answer, "changed": _changed(item, scheme)})
    return {"answers": shown, "more": more}


def _changed(item: FoundAnswer, scheme: LabelScheme) -> dict[str, Any] | None:
    if not item.changed or item.decision is None:
        return None
    decision = item.decision
    return {
        "by": decision.annotator,
        "verdict": decision.verdict,
        **show_annotation(scheme.current(decision.annotation)),
        "comment": decision.comment,
    }
