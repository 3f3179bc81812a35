"""The loop, on one page: rules first, then ask, learn, judge, again; a package at the end."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from annoloop.errors import AnnoloopError
from annoloop.project import Project
from annoloop.steps.add import FROZEN_FACT
from annoloop.steps.ask import BLIND_ROUND, answer_with, ask_blind, open_round, require_texts, waiting
from annoloop.steps.evaluate import Evaluation, evaluate, gate_plan
from annoloop.steps.export import export
from annoloop.steps.llm import llm_source, pin_few_shot, why_no_llm
from annoloop.steps.progress import OnProgress, silent
from annoloop.steps.sources import rules_source
from annoloop.steps.suggest import best_source, judge_rules
from annoloop.steps.train import train_round
from annoloop.types import Round, Scores

Happened = Literal["asked", "waiting", "note", "rules", "suggestions", "trained", "judged", "exported", "done"]
POLL_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Event:
    """What the loop has just done, in words, and the results as they stand where it judged."""

    happened: Happened
    message: str
    round: int | None = None
    result: Evaluation | None = None
    wheel: Path | None = None


def run_loop(
    project: Project,
    *,
    oracle: Any = None,
    batch: int | None = None,
    max_rounds: int | None = None,
    despite_rules: bool = False,
    wait: bool = False,
    out_dir: Path | None = None,
    on_progress: OnProgress = silent,
) -> Iterator[Event]:
    """Run the loop from wherever it stands; stopping it at any point loses nothing.

    Without an `oracle` people answer: the loop prepares their batch, says where to review, and ends, or
    with `wait` goes on when the batch is answered. The last event is "done" or "waiting".

    Raises:
        AnnoloopError: something the user can mend; what was done so far is kept.
    """
    require_texts(project)
    plan = gate_plan(project, rounds=max_rounds)
    desk = _Desk(project, oracle, wait, on_progress)

    ask_blind(project, limit=None if oracle else project.settings.review.blind_texts, known=oracle)
    yield from desk.answered(BLIND_ROUND)
    if desk.left:
        return
    project.store.set_fact(FROZEN_FACT, True)

    rules = rules_source(project)
    rules_scores: Scores | None = None
    if rules is not None:
        rules_scores, verdict = judge_rules(project, rules)
        yield Event("rules", verdict.reason)
        if verdict.suffice and not despite_rules and not project.store.rounds():
            result = evaluate(project, on_progress=on_progress)
            yield Event("done", "Rules suffice: no model is needed.", result=result)
            return
    if why_no_llm(project):
        yield Event("note", f"no LLM to beat: {why_no_llm(project)}")
    llm_source(project)

    result = None
    for number in range(1, (max_rounds or plan.rounds) + 1):
        known = {record.number: record for record in project.store.rounds()}
        source, why = best_source(project, on_progress=on_progress) if number not in known else (None, "")
        if why:
            yield Event("suggestions", why, number)
        record = open_round(
            project,
            number,
            batch=batch or project.settings.selection.batch,
            source=source,
            known=oracle,
            on_progress=on_progress,
        )
        yield from desk.answered(number)
        if desk.left:
            return
        if not record.tasks and not _new_gold(project, number):
            yield Event("note", "every text of the pool is answered: there is nothing more to learn from")
            break
        pin_few_shot(project)
        record = train_round(project, number, on_progress=on_progress)
        yield Event("trained", _trained(record), number)
        result = evaluate(project, on_progress=on_progress)
        yield Event("judged", f"{result.verdict.decision}: {result.verdict.reason}", number, result)
        if _good_enough(result, record, rules_scores, project.settings.rules.target):
            break

    exported = export(project, out_dir or project.folder / "dist", on_progress=on_progress)
    yield Event("exported", f"{exported.wheel} ({exported.environment})", wheel=exported.wheel)
    yield Event("done", "done", result=evaluate(project), wheel=exported.wheel)


class _Desk:
    """Where questions are answered: by the oracle at once, by people in their own time."""

    def __init__(self, project: Project, oracle: Any, wait: bool, on_progress: OnProgress) -> None:
        self.project, self.oracle, self.wait, self.on_progress = project, oracle, wait, on_progress
        self.left = False

    def answered(self, number: int) -> Iterator[Event]:
        """Return when a round is answered; `left` is set where the loop must end instead."""
        if self.oracle is not None:
            answered, _ = answer_with(self.project, self.oracle, number)
            what = "held-out and dev texts, blind" if number == BLIND_ROUND else f"texts of round {number}"
            if answered:
                yield Event("asked", f"the simulated expert answered {answered} {what}", number)
            return
        state = waiting(self.project, number)
        if not state.open:
            return
        what = "held-out and dev texts (blind, without suggestions)" if number == BLIND_ROUND else "texts"
        yield Event(
            "waiting",
            f"round {number}: {state.open} {what} wait for an expert. "
            f"Label them: annoloop review {self.project.folder}",
            number,
        )
        self.left = not self.wait
        while self.wait and state.open:
            self.on_progress("waiting for answers", state.done, state.done + state.open)
            time.sleep(POLL_SECONDS)
            state = waiting(self.project, number)


def _new_gold(project: Project, number: int) -> bool:
    """Whether there is gold that no earlier round learned from."""
    trained = [record for record in project.store.rounds() if record.model and record.number < number]
    return len(project.pool_gold()) != (trained[-1].gold_texts if trained else 0)


def _trained(record: Round) -> str:
    dev = record.dev.score if record.dev else None
    shown = "undefined" if dev is None else f"{dev:.3f}"
    return f"round {record.number}: {record.gold_texts} gold texts, recipe {record.recipe}, dev {shown}"


def _good_enough(result: Evaluation, record: Round, rules: Scores | None, target: float) -> bool:
    """Whether the loop may end: the LLM is beaten, and the model is not behind the rules on dev."""
    if record.dev is None or record.dev.score is None:
        return False
    if rules is not None and (rules.score or 0.0) > record.dev.score:
        return False
    if result.verdict.decision == "no_llm":
        return record.dev.interval is not None and record.dev.interval[0] >= target
    return result.verdict.decision == "beats_llm"


def finish(events: Iterator[Event]) -> Event:
    """Run a loop to its end and return its last event.

    Raises:
        AnnoloopError: the loop had nothing to do at all.
    """
    last = None
    for last in events:
        pass
    if last is None:
        raise AnnoloopError("the loop did nothing")
    return last
