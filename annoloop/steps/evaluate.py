"""Judge: rules, LLM and model on the same held-out texts, then the gate's verdict."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from annoloop.errors import AnnoloopError
from annoloop.evaluation.gate import gate
from annoloop.evaluation.label_deltas import LabelDelta, label_deltas
from annoloop.evaluation.leaderboard import headline, megabytes, ordered, throughput, to_json
from annoloop.evaluation.scores import count, over_seeds, score, scores_to_json
from annoloop.hashing import input_hash
from annoloop.project import Project
from annoloop.steps.evidence.looks import (
    gate_plan,
    gate_seed,
    gold_basis,
    keep_look,
    leaked,
    plan_notes,
    share_of,
    template_notes,
)
from annoloop.steps.evidence.pace import pace
from annoloop.steps.evidence.people_time import minutes_of_people
from annoloop.steps.evidence.verdict import LEADERBOARD_FACT, in_words
from annoloop.steps.gold_notes import off_border_notes, unjudged_notes
from annoloop.steps.llm.baseline import baseline_notes
from annoloop.steps.llm.form import choose_form, form_of
from annoloop.steps.llm.source import (
    IMPORTED_FACT,
    ImportedSource,
    LLMSource,
    llm_source,
    pin_few_shot,
    why_no_llm,
)
from annoloop.steps.progress import OnProgress, silent
from annoloop.steps.sources import (
    ANSWERED_WRONGLY,
    ModelSource,
    RulesSource,
    Source,
    ask_source,
    latest_model,
    rules_source,
)
from annoloop.steps.suggest import judge_rules
from annoloop.steps.wheel import kept_wheel
from annoloop.types import Annotation, Example, GateVerdict, Gold, HeldOutGold, LeaderboardRow, Round, Scores

EVALUATION_FACT = "evaluation"
"""The newest evaluation as JSON, with when it was made and on which model and texts: what a report tells."""
MOST_UNREAD = 0.5
"""The share of an LLM's answers that may be no annotation at all in a comparison of what it knows."""

SPEED_TEXTS = 300


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What is known about a project's approaches on its held-out texts.

    `assisted` counts held-out texts whose gold was not made blind, `simulated` those answered by the
    simulated expert. `wheel` is the exported package, where there is one. `said` is the verdict in a few
    words, `deltas` the model against the LLM label by label, empty where not both have answered.
    """

    kind: str
    held_out_texts: int
    assisted: int
    simulated: int
    rounds: tuple[Round, ...]
    leaderboard: tuple[LeaderboardRow, ...]
    verdict: GateVerdict
    notes: tuple[str, ...] = ()
    wheel: str | None = None
    said: str = ""
    deltas: tuple[LabelDelta, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Plain values, as `--json` prints them."""
        verdict = self.verdict
        return {
            "kind": self.kind,
            "held_out": {
                "texts": self.held_out_texts,
                "assisted": self.assisted,
                "simulated": self.simulated,
            },
            "rounds": [_round_to_json(record) for record in self.rounds],
            "leaderboard": [to_json(row) for row in self.leaderboard],
            "verdict": {
                "decision": verdict.decision,
                "said": self.said,
                "reason": verdict.reason,
                "p_value": verdict.p_value,
                "alpha": verdict.alpha,
                "delta": verdict.delta,
                "delta_interval": verdict.delta_interval,
            },
            "deltas": [delta.to_json() for delta in self.deltas],
            "notes": list(self.notes),
            "wheel": self.wheel,
        }


def _round_to_json(record: Round) -> dict[str, Any]:
    return {
        "number": record.number,
        "gold_texts": record.gold_texts,
        "score": record.held_out.score if record.held_out else None,
        "dev_score": record.dev.score if record.dev else None,
        "dev_seeds": list(record.dev_seeds),
        "strategy": record.strategy,
        "recipe": record.recipe,
        "held_out": scores_to_json(record.held_out) if record.held_out else None,
    }


def evaluate(project: Project, *, on_progress: OnProgress = silent) -> Evaluation:
    """Score rules, LLM and the newest model on the held-out gold, and decide.

    Raises:
        AnnoloopError: there is no held-out gold yet, or the model has labels that the project has no longer.
    """
    gold = project.held_out_gold()
    if not len(gold) and not project.store.example_counts()["held_out"]:
        raise AnnoloopError(
            f"{project.folder}: there are no held-out texts, so nothing can be judged",
            hint="add texts that no one has trained on: annoloop add PROJECT FILE --split held_out",
        )
    if not len(gold):
        raise AnnoloopError(
            f"{project.folder}: no held-out text has an answer yet, so nothing can be judged",
            hint="label them blind: annoloop review PROJECT (annoloop loop PROJECT asks for them first)",
        )
    rules, model = rules_source(project), latest_model(project)
    if model is not None:
        model.require_labels()
    suffice = judge_rules(project, rules)[1] if rules and len(project.dev_gold()) else None
    rules_do = suffice is not None and suffice.suffice and model is None
    near = leaked(project, gold, model.fingerprint) if model else {}
    # Where rules suffice there is nothing to beat an LLM with, so it costs nothing.
    llm = None if rules_do else _llm(project, model, on_progress)
    said: dict[str, dict[str, Annotation]] = {}
    rows, notes = [], []
    for source in (rules, llm, model):
        if source is None:
            continue
        said[source.approach] = _answers(project, source, gold, on_progress)
        rows.append(_row(project, source, gold, said[source.approach]))
    project.store.set_fact(LEADERBOARD_FACT, [to_json(row) for row in rows])
    if reason := why_no_llm(project):
        notes.append(f"no LLM: {reason}")
    if llm is not None:
        notes += baseline_notes(project) + plan_notes(project)
    if model is not None:
        notes += template_notes(project, gold, model.fingerprint, near)
        notes += off_border_notes(project, gold, "held-out gold") + unjudged_notes(project)
        _keep_scores(project, model, rows[-1].scores)
    verdict = _verdict(project, gold, model, llm, said, near)
    if suffice is not None and rules_do:
        verdict = GateVerdict("rules_suffice", suffice.reason)
    result = Evaluation(
        kind=project.scheme.kind,
        held_out_texts=len(gold),
        assisted=sum(not item.blind for item in gold),
        simulated=sum(item.simulated for item in gold),
        rounds=project.store.rounds(),
        leaderboard=tuple(ordered(rows)),
        verdict=verdict,
        notes=tuple(notes),
        wheel=kept_wheel(project) if model or rules_do else None,
        said=in_words(verdict.decision, rows),
        # A look that spends nothing must not show what a verdict would go by.
        deltas=_deltas(project, gold, said) if verdict.p_value is not None else (),
    )
    _keep(project, result, gold, model)
    return result


def _keep(project: Project, result: Evaluation, gold: HeldOutGold, model: ModelSource | None) -> None:
    names = sorted(item.example.input_hash for item in gold)
    basis = {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "model": model.key if model else None,
        "held_out_texts": input_hash("\n".join(names)),
        "gold": gold_basis(gold),
    }
    project.store.set_fact(EVALUATION_FACT, {**result.to_json(), "basis": basis})


def _llm(
    project: Project, model: ModelSource | None, on_progress: OnProgress
) -> LLMSource | ImportedSource | None:
    """The LLM to beat. Beside a model it is shown examples of the same gold that the model learned from.

    Where dev says that these make it worse, it is shown none.
    """
    if model is not None and why_no_llm(project) is None and project.store.fact(IMPORTED_FACT) is None:
        pin_few_shot(project)
        choose_form(project, on_progress=on_progress)
    return llm_source(project, purpose="held_out")


def _verdict(
    project: Project,
    gold: HeldOutGold,
    model: ModelSource | None,
    llm: LLMSource | ImportedSource | None,
    said: Mapping[str, Mapping[str, Annotation]],
    near: Mapping[str, str],
) -> GateVerdict:
    if model is None:
        return GateVerdict("refused", "There is no trained model yet, so there is nothing to judge.")
    plan = gate_plan(project)
    if llm is None:
        return GateVerdict("no_llm", "No LLM was asked, so there is no LLM to beat.")
    if unread := _unread(project, llm, gold):
        return GateVerdict("refused", unread)
    share = share_of(project, plan, number=model.number, model=model.key, llm=llm.key, gold=gold)
    verdict = gate(
        project.scheme,
        gold,
        model=said["model"],
        llm=said["llm"],
        round_number=share,
        seed=gate_seed(project),
        plan=plan,
        leaked=near,
    )
    if verdict.p_value is None:
        return verdict
    keep_look(project, plan, share=share, number=model.number, model=model.key, llm=llm.key, gold=gold)
    return replace(verdict, reason=" ".join([verdict.reason, *_shown(project, llm)]))


def _unread(project: Project, llm: LLMSource | ImportedSource, gold: HeldOutGold) -> str:
    """Why the LLM's answers judge its server or its prompt rather than itself; empty where they do not."""
    kept = project.predictions(llm.key, hashes=[item.example.input_hash for item in gold])
    wrong = sum(detail.get("status") in ANSWERED_WRONGLY for _, detail in kept.values())
    if wrong <= MOST_UNREAD * len(kept):
        return ""
    return (
        f"No verdict: {wrong} of {len(kept)} answers of the LLM are not what was asked for, so they say more "
        "of its server or prompt than of the LLM: with another prompt or model in [llm] it is asked anew."
    )


def _shown(project: Project, llm: LLMSource | ImportedSource) -> list[str]:
    """What the LLM was shown of the training gold, where it bears on the verdict: at most one sentence."""
    if isinstance(llm, ImportedSource):
        return ["The LLM's answers were imported, so what examples it was shown is not known."]
    form = form_of(project, llm)
    if form is not None:
        return [form.said]
    if not llm.few_shot:
        return ["The LLM was shown no example of the training gold, so the effort was not equal."]
    return []


def _deltas(
    project: Project, gold: HeldOutGold, said: Mapping[str, Mapping[str, Annotation]]
) -> tuple[LabelDelta, ...]:
    if "model" not in said or "llm" not in said or len(project.scheme.labels) < 2:
        return ()
    asked = [item for item in gold if item.complete and item.example.input_hash in said["llm"]]
    ours, theirs = (count(project.scheme, asked, said[approach]) for approach in ("model", "llm"))
    return label_deltas(ours, theirs, seed=gate_seed(project))


def _answers(
    project: Project, source: Source, gold: Sequence[Gold] | HeldOutGold, on_progress: OnProgress
) -> dict[str, Annotation]:
    examples = [item.example for item in gold]
    said = ask_source(project, source, examples, on_progress=on_progress)
    kept = project.predictions(source.key, hashes=[eg.input_hash for eg in examples])
    # An answer that could not be understood is the LLM's mistake; a text it was never asked is not.
    mistakes = (name for name, (_, detail) in kept.items() if detail.get("status") in ANSWERED_WRONGLY)
    return {**dict.fromkeys(mistakes, Annotation()), **said}


def _keep_scores(project: Project, model: ModelSource, scores: Scores) -> None:
    for record in project.store.rounds():
        if record.number == model.number and record.held_out != scores:
            project.store.save_round(replace(record, held_out=scores))


def _row(
    project: Project,
    source: RulesSource | LLMSource | ImportedSource | ModelSource,
    gold: HeldOutGold,
    said: Mapping[str, Annotation],
) -> LeaderboardRow:
    scores = score(project.scheme, gold, said, seed=project.settings.training.seed)
    row = LeaderboardRow(source.approach, source.name, scores)
    if source.approach == "llm":
        return _with_llm_costs(project, source, gold, row)
    texts = [item.example.text for item in gold][:SPEED_TEXTS]
    texts_per_second, words_per_second = _speed(project, source, texts)
    size = source.megabytes if isinstance(source, ModelSource) else megabytes(project.patterns)
    minutes = minutes_of_people(pace(project)) if source.approach == "model" else None
    return replace(
        row,
        texts_per_second=texts_per_second,
        words_per_second=words_per_second,
        megabytes=size,
        cost=0.0,
        tokens=0,
        human_minutes=minutes,
        note=_model_note(project, source) if isinstance(source, ModelSource) else "",
    )


def _model_note(project: Project, model: ModelSource) -> str:
    """What its row does not show: how far chance moves its recipe, its own rules, the packages it needs."""
    seeds = next((record.dev_seeds for record in project.store.rounds() if record.number == model.number), ())
    notes = [f"its recipe on dev: {headline(project.scheme)} {over_seeds(seeds)}"] if len(seeds) > 1 else []
    if model.gold_rules:
        rules = "1 rule" if model.gold_rules == 1 else f"{model.gold_rules} rules"
        notes.append(
            f"{rules} made of its training gold {'is' if model.gold_rules == 1 else 'are'} part of it"
        )
    if model.joined_rules:
        rules = "1 pattern" if model.joined_rules == 1 else f"{model.joined_rules} patterns"
        notes.append(f"the project's rules joined it ({rules}), since that was better on dev")
    if model.packages:
        notes.append(f"it needs {', '.join(model.packages)} installed, whose size comes on top")
    return "; ".join(notes)


def _speed(project: Project, source: Source, texts: list[str]) -> tuple[float | None, float | None]:
    """Measured once a source on this machine, then kept."""
    kept = project.store.fact(f"speed:{source.key}")
    if kept is None:
        measured = throughput(lambda batch: source.predict([Example(text, text) for text in batch]), texts)
        kept = list(measured) if measured else [None, None]
        project.store.set_fact(f"speed:{source.key}", kept)
    return kept[0], kept[1]


def _with_llm_costs(
    project: Project, source: Source, gold: HeldOutGold, row: LeaderboardRow
) -> LeaderboardRow:
    texts = {item.example.input_hash: item.example.text for item in gold}
    kept = project.predictions(source.key, hashes=list(texts))
    details = {name: detail for name, (_, detail) in kept.items()}
    seconds = sum(detail.get("milliseconds") or 0 for detail in details.values()) / 1000
    words = sum(len(texts[name].split()) for name in details)
    costs = [detail.get("cost") for detail in details.values()]
    known = [cost for cost in costs if cost is not None]
    tokens = [
        (detail.get("prompt_tokens") or 0) + (detail.get("completion_tokens") or 0)
        for detail in details.values()
    ]
    missing = row.scores.missing
    return replace(
        row,
        texts_per_second=len(details) / seconds if seconds else None,
        words_per_second=words / seconds if seconds else None,
        megabytes=_llm_megabytes(project),
        cost=1000 * sum(known) / len(known) if known and len(known) == len(costs) else None,
        tokens=sum(tokens) or None,
        note=f"{missing} held-out text{'s' * (missing != 1)} without an answer" if missing else "",
    )


def _llm_megabytes(project: Project) -> float | None:
    """Size of the weights where they are a file on this machine."""
    model = project.settings.llm.model
    if why_no_llm(project) or model.get("base_url") != "embedded" or project.store.fact(IMPORTED_FACT):
        return None
    from annoloop.llm.local import embedded_weights

    return megabytes(embedded_weights(model.get("name")))
