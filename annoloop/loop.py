"""The loop, on one page: rules first, then ask, learn, judge, again; a package at the end."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from annoloop.project import Project
from annoloop.steps.add import FROZEN_FACT
from annoloop.steps.ask import (
    BLIND_ROUND,
    answer_with,
    ask_blind,
    open_round,
    require_texts,
    sought_labels,
    waiting,
)
from annoloop.steps.evaluate import EVALUATION_FACT, Evaluation, evaluate
from annoloop.steps.evidence.looks import gate_plan
from annoloop.steps.evidence.stop_set import agreements, compare_with_last, settled
from annoloop.steps.export import Exported, export
from annoloop.steps.gold_notes import training_notes
from annoloop.steps.llm.source import llm_source, pin_few_shot, why_no_llm
from annoloop.steps.progress import OnProgress, silent
from annoloop.steps.rules.export import export_rules
from annoloop.steps.sources import model_key, rules_source
from annoloop.steps.suggest import best_source, judge_rules
from annoloop.steps.train import train_round
from annoloop.types import Round, Scores

Happened = Literal[
    "asked", "waiting", "note", "rules", "suggestions", "trained", "judged", "exported", "done"
]
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
    seek: Sequence[str] | None = None,
    max_rounds: int | None = None,
    despite_rules: bool = False,
    wait: bool = False,
    out_dir: Path | None = None,
    on_progress: OnProgress = silent,
) -> Iterator[Event]:
    """Run the loop from wherever it stands; stopping it at any point loses nothing.

    Without an `oracle` people answer: the loop prepares their batch, says where to review, and ends, or
    with `wait` goes on when the batch is answered. `seek` names labels that each new batch looks for on
    purpose, and asks for another round even where the model is good enough; None means the settings'. The
    last event is "done" or "waiting".

    Raises:
        AnnoloopError: something the user can mend; what was done so far is kept.
    """
    require_texts(project, known=oracle)
    sought_labels(project, seek)
    size = batch or project.settings.selection.batch
    loop = _Loop(project, oracle, size, seek, wait, on_progress)
    rounds = max_rounds or gate_plan(project).rounds
    gate_plan(project, rounds=rounds)

    out_dir = out_dir or project.folder / "dist"
    yield from loop.ask_blind()
    if not loop.ended:
        yield from loop.try_rules(despite_rules, out_dir)
    for number in loop.rounds_left(rounds):
        if loop.ended or loop.good_enough:
            break
        yield from loop.turn(number)
    if not loop.ended:
        yield from loop.ship(export, out_dir)


class _Loop:
    """The state of one run: whether it ended early, whether the model is good enough."""

    def __init__(
        self,
        project: Project,
        oracle: Any,
        batch: int,
        seek: Sequence[str] | None,
        wait: bool,
        on_progress: OnProgress,
    ) -> None:
        self.project, self.oracle, self.batch, self.wait = project, oracle, batch, wait
        self.seek, self.on_progress = seek, on_progress
        self.rules: Scores | None = None
        self.ended = self.good_enough = False

    def ask_blind(self) -> Iterator[Event]:
        """Held-out and dev texts first: nothing can be judged without them."""
        limit = None if self.oracle else self.project.settings.review.blind_texts
        few, least = self.project.store.example_counts()["held_out"], gate_plan(self.project).min_texts
        if few < least and not self.project.store.fact(FROZEN_FACT):
            yield Event(
                "note",
                f"only {few} held-out texts, and no verdict is given on fewer than {least}: "
                "add more texts before the first round, or go on for a model without a verdict",
            )
        ask_blind(self.project, limit=limit, known=self.oracle)
        yield from self.answered(BLIND_ROUND, "held-out and dev texts, blind")
        if not self.ended:
            self.project.store.set_fact(FROZEN_FACT, True)

    def try_rules(self, despite: bool, out_dir: Path) -> Iterator[Event]:
        """Rules before any model: where they suffice, the loop ends with a wheel of them."""
        rules = rules_source(self.project)
        if rules is not None:
            self.rules, verdict = judge_rules(self.project, rules)
            yield Event("rules", verdict.reason)
            if verdict.suffice and not despite and not self.project.store.rounds():
                self.ended = True
                yield from self.ship(export_rules, out_dir, "rules suffice: no model is needed")
                return
        why = why_no_llm(self.project)
        if why is None:
            # A server that is down is found out before anybody is asked to label for nothing.
            llm_source(self.project, connect=not self.project.store.rounds())
        else:
            yield Event("note", f"no LLM to beat: {why}")

    def rounds_left(self, most: int) -> range:
        """The rounds to go through: the newest that was begun, and those after it up to `most`.

        Of a round that is done nothing is left where labels are sought; one that is open is always ended.
        """
        newest = max(self.project.store.rounds(), key=lambda record: record.number, default=None)
        if newest is None:
            return range(1, most + 1)
        if newest.model is None:
            return range(newest.number, max(most, newest.number) + 1)
        judged = (self.project.store.fact(EVALUATION_FACT) or {}).get("basis", {}).get("model")
        done = judged == model_key(newest.number, newest.fingerprint or "")
        return range(newest.number + (done and bool(self.seek)), most + 1)

    def turn(self, number: int) -> Iterator[Event]:
        """One round: choose, suggest, ask, train, judge."""
        project, tell = self.project, self.on_progress
        source = None
        if not any(record.number == number for record in project.store.rounds()):
            source, why = best_source(project, on_progress=tell)
            yield Event("suggestions", why, number)
        record = open_round(
            project,
            number,
            batch=self.batch,
            source=source,
            seek=self.seek,
            known=self.oracle,
            on_progress=tell,
        )
        yield from self.answered(number, f"texts of round {number}")
        if self.ended:
            return
        if not record.tasks and not _new_gold(project, number):
            yield Event("note", "every text of the pool is answered: nothing more to learn from", number)
            self.good_enough = True
            return
        pin_few_shot(project)
        record = train_round(project, number, on_progress=tell)
        yield Event("trained", _trained(record), number)
        for note in training_notes(project):
            yield Event("note", note, number)
        yield from self.settled(record)
        result = evaluate(project, on_progress=tell)
        self.good_enough = _good_enough(result, record, self.rules, project.settings.rules.target)
        reason = " ".join(result.verdict.reason.splitlines())
        yield Event("judged", f"{result.verdict.decision}: {reason}", number, result)

    def settled(self, record: Round) -> Iterator[Event]:
        """A note where the models of the last rounds hardly differ any more."""
        compare_with_last(self.project, record, on_progress=self.on_progress)
        stop = settled(agreements(self.project))
        if stop is not None:
            yield Event("note", stop, record.number)

    def ship(self, exporting: Callable[..., Exported], out_dir: Path, done: str = "done") -> Iterator[Event]:
        """The newest model, or the rules, as a wheel, installed afresh and tried."""
        exported = exporting(self.project, out_dir, on_progress=self.on_progress)
        yield Event("exported", f"{exported.wheel} (tried in {exported.environment})", wheel=exported.wheel)
        yield Event("done", done, result=evaluate(self.project), wheel=exported.wheel)

    def answered(self, number: int, what: str) -> Iterator[Event]:
        """Return when a round is answered: by the oracle at once, by people in their own time."""
        if self.oracle is not None:
            answered, _ = answer_with(self.project, self.oracle, number)
            if answered:
                yield Event("asked", f"the simulated expert answered {answered} {what}", number)
            return
        state = waiting(self.project, number)
        if not state.open:
            return
        where = f"annoloop review {self.project.folder}"
        yield Event("waiting", f"{state.open} {what}: they wait for an expert. Label them: {where}", number)
        self.ended = not self.wait
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
    rules = f" joined by the rules ({record.joined})" if record.joined else ""
    return (
        f"round {record.number}: {record.gold_texts} gold texts, recipe {record.recipe}{rules}, dev {shown}"
    )


def _good_enough(result: Evaluation, record: Round, rules: Scores | None, target: float) -> bool:
    """Whether the loop may end: the LLM is beaten, and the model is not behind the rules on dev."""
    if record.dev is None or record.dev.score is None:
        return False
    if rules is not None and (rules.score or 0.0) > record.dev.score:
        return False
    if result.verdict.decision == "no_llm":
        return record.dev.interval is not None and record.dev.interval[0] >= target
    return result.verdict.decision == "beats_llm"
