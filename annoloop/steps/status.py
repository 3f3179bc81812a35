"""Where a project stands, and what a person would do next."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from annoloop.errors import TrainingError
from annoloop.evaluation.curve_advice import Advised
from annoloop.project import Project
from annoloop.steps.evaluate import EVALUATION_FACT, Evaluation
from annoloop.steps.evidence.advice import (
    against,
    lacking,
    loop_command,
    outlook,
    short_of,
    unasked,
    what_to_label,
)
from annoloop.steps.evidence.held_out import Worth, cheaper, worth
from annoloop.steps.evidence.looks import gate_terms
from annoloop.steps.evidence.standing import changed_since
from annoloop.steps.llm.source import IMPORTED_FACT, why_no_llm
from annoloop.steps.sources import model_source, rules_source
from annoloop.steps.wheel import kept_wheel
from annoloop.store.store import Store


@dataclass(frozen=True, slots=True)
class Status:
    """What a project holds. `questions` maps each round to its (answered, open) tasks; 0 is the blind one.

    `outlook` says in one line what more labels would bring, None where that is not known.
    `answered_by_several` counts the texts on which people's agreement can be measured, `to_decide` those that
    wait for a reviewer.
    """

    name: str
    kind: str
    lang: str
    labels: tuple[str, ...]
    splits: Mapping[str, int]
    excluded: int
    gold: Mapping[str, int]
    questions: Mapping[int, tuple[int, int]]
    answers: int
    answered_by_several: int
    rounds: tuple[dict[str, Any], ...]
    rules: str | None
    llm: str
    wheel: str | None
    next_step: str
    outlook: str | None = None
    to_decide: int = 0

    def to_json(self) -> dict[str, Any]:
        """Plain values, as `--json` prints them."""
        return asdict(self)


def status(project: Project) -> Status:
    """Look at everything, change nothing."""
    store, section = project.store, project.settings.project
    gold = {
        "pool": len(project.pool_gold()),
        "dev": len(project.dev_gold()),
        "held_out": len(project.held_out_gold()),
    }
    rounds = tuple(
        {
            "number": record.number,
            "gold_texts": record.gold_texts,
            "score": record.held_out.score if record.held_out else None,
            "dev_score": record.dev.score if record.dev else None,
            "dev_seeds": record.dev_seeds,
            "recipe": record.recipe,
            "model": record.model,
        }
        for record in store.rounds()
    )
    why = why_no_llm(project)
    rules = rules_source(project)
    found = Status(
        name=section.name,
        kind=section.kind,
        lang=section.lang,
        labels=section.labels,
        splits={str(split): count for split, count in store.example_counts().items()},
        excluded=store.excluded_count(),
        gold=gold,
        questions=_questions(store),
        answers=store.answer_count(),
        answered_by_several=len(store.answered_by_several()),
        rounds=rounds,
        rules=rules.name if rules else None,
        llm=f"none: {why}" if why else _llm_name(project),
        wheel=kept_wheel(project),
        next_step=_next_step(project, gold),
        outlook=outlook(project),
        to_decide=store.progress().differ,
    )
    return found


def _questions(store: Store) -> dict[int, tuple[int, int]]:
    """Without those that stand for imported labels which a reviewer is to look at: nobody was asked."""
    found = dict(store.progress().per_round)
    done, still_open = found.pop(0, (0, 0))
    done -= sum(task.example.split == "pool" for task in store.tasks(round=0)) if done else 0
    return {0: (done, still_open), **found} if done or still_open else found


def _llm_name(project: Project) -> str:
    imported, model = project.store.fact(IMPORTED_FACT), project.settings.llm.model
    if imported is not None:
        return str(imported["name"])
    return str(model.get("base_url") or model.get("name") or model["@llm_models"])


_INSTEAD: Mapping[Advised, str] = {
    "reached": "the target is reached, see what the held-out texts say: annoloop evaluate",
    "stop": "stop labelling, or look for a better recipe: annoloop train --search 30",
    "change_recipe": "look for a better recipe, or review the labels: annoloop train --search 30",
    "look_at_labels": "look at the labels or the guidelines: annoloop look-again",
}
"""What to do instead of labelling on."""


def _next_step(project: Project, gold: Mapping[str, int]) -> str:
    folder, store = project.folder, project.store
    if not sum(store.example_counts().values()):
        return f"add texts: annoloop add {folder} FILE"
    if store.progress().open:
        return f"label {store.progress().open} open texts: annoloop review {folder}"
    if (trouble := _of_no_use(project)) is not None:
        return f"{trouble}: annoloop train {folder}"
    judged = store.fact(EVALUATION_FACT)
    if judged is not None and (changed := changed_since(project, judged)) is not None:
        return f"judge again, {changed}: annoloop evaluate {folder}"
    if gold["held_out"] and (wheel := kept_wheel(project)) is not None:
        return _with_wheel(project, wheel)
    if not any(record.model for record in store.rounds()) or not gold["held_out"]:
        return f"run the loop: annoloop loop {folder}"
    return _after_a_model(project)


def _of_no_use(project: Project) -> str | None:
    """Why the newest model is not to be used as it is; None where it may, or where there is none."""
    trained = [record for record in project.store.rounds() if record.model and record.fingerprint]
    try:
        lost = model_source(project, trained[-1]).lost_labels if trained else ()
    except TrainingError as error:
        return f"{error.message}: train once more"
    return f"{lost[0]} is no longer a label: train once more" if lost else None


def _after_a_model(project: Project) -> str:
    """Never to label on where the outlook speaks against it, or where there is nothing to label."""
    folder, found = project.folder, against(project)
    if found is not None:
        return f"{_INSTEAD[found[0]]} {folder}"
    if not unasked(project):
        return f"add texts, the pool has none left to ask about: annoloop add {folder} FILE"
    return f"go on: {loop_command(project).replace('PROJECT', str(folder))}{short_of(project)}"


def _with_wheel(project: Project, wheel: str) -> str:
    """A wheel is built of the last round whatever the verdict on it is."""
    judged = project.store.fact(EVALUATION_FACT)
    use = f"use the package: pip install {wheel}"
    if judged is None:
        return use
    decision, found = judged["verdict"]["decision"], worth(project)
    unproven = found.trivial or (decision == "no_llm" and (not found.using or _learns_nothing(project)))
    if decision not in ("refused", "llm_ahead") and not unproven:
        return use
    scores = {row["approach"]: row["score"] for row in judged["leaderboard"]}
    return advice_on(project, decision, scores).replace("PROJECT", str(project.folder))


def advice(project: Project, result: Evaluation) -> str:
    """What a person would do next, in one line, from how the approaches stand."""
    scores: dict[str, float | None] = {row.approach: row.scores.score for row in result.leaderboard}
    return advice_on(project, result.verdict.decision, scores)


def advice_on(project: Project, decision: str, scores: Mapping[str, float | None]) -> str:
    """The same from the verdict's decision and the approaches' held-out scores."""
    rules, model = scores.get("rules"), scores.get("model")
    if decision == "rules_suffice":
        return "install the rules' wheel; annoloop loop PROJECT --despite-rules trains a model all the same"
    if "model" not in scores:
        return "train a model: annoloop loop PROJECT"
    if model is None:
        return "label held-out texts in which there is something to find: annoloop review PROJECT"
    if rules is not None and rules > model:
        return f"the rules ({rules:.3f}) are still ahead of the model ({model:.3f}): {what_to_label(project)}"
    if decision == "llm_ahead":
        return what_to_label(project)
    if decision in ("no_llm", "beats_llm", "level"):
        return _if_worth_using(project, decision, worth(project))
    return "mend what the verdict names, then annoloop evaluate PROJECT"


def _if_worth_using(project: Project, decision: str, found: Worth) -> str:
    """No model is to be used that a constant answer would do as well as."""
    if found.trivial:
        return _not_better(project, found)
    if decision == "beats_llm":
        seek, wheel = lacking(project), kept_wheel(project)
        use = "install the wheel" if wheel else "make the wheel: annoloop export PROJECT"
        return f"{use}; most lacking: {seek}: {loop_command(project, seek)}" if seek else use
    if decision == "level":
        also = " and cheaper" if cheaper(project) else ""
        return (
            f"not behind the LLM by more than the margin of {gate_terms(project)[1]}{also}: use the wheel, "
            "or label another round to pass it"
        )
    if found.using and not _learns_nothing(project):
        return "set an LLM in [llm.model] to compare with, or use the model as it is"
    few = f"{found.missing} more held-out texts are needed to judge it by; " if found.better else ""
    return f"{few}{what_to_label(project)}"


def _learns_nothing(project: Project) -> bool:
    speaks = against(project)
    return speaks is not None and speaks[0] == "look_at_labels"


def _not_better(project: Project, found: Worth) -> str:
    following = what_to_label(project)
    if _learns_nothing(project):
        return following
    return f"the model is not yet better than {found.than} on the held-out texts: {following}"
