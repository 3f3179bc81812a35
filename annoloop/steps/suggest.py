"""Whose suggestions the expert sees: of the sources at hand, the one that scores best on dev."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from annoloop.evaluation.gate import RulesVerdict, rules_suffice
from annoloop.evaluation.scores import score
from annoloop.project import Project
from annoloop.steps.llm.form import form_of
from annoloop.steps.llm.source import ImportedSource, LLMSource, llm_source
from annoloop.steps.progress import OnProgress, silent
from annoloop.steps.reasons import LONGEST, honest_score, is_doubtful, language_of, of_llm, unplaced_of
from annoloop.steps.sources import (
    ModelSource,
    RulesSource,
    Source,
    ask_source,
    latest_model,
    rules_source,
)
from annoloop.steps.vote import judge
from annoloop.types import Annotation, Example, Gold, Scores, Suggestion

LLM_DEV_TEXTS = 40
"""Dev texts that the LLM is asked about: enough to tell a useful source from a useless one."""


def score_on_dev(
    project: Project, source: Source, gold: Sequence[Gold], *, on_progress: OnProgress = silent
) -> Scores:
    """How well a source does on these dev texts; a model as it was before it learned from them."""
    examples = [item.example for item in gold]
    if isinstance(source, LLMSource):
        source = replace(source, purpose="dev")
    if isinstance(source, ModelSource):
        kept = project.predictions(source.dev_key, hashes=[eg.input_hash for eg in examples])
        said = {name: found for name, (found, _) in kept.items() if found is not None}
    else:
        said = ask_source(project, source, examples, on_progress=on_progress)
    return _score(project, gold, said)


def _score(project: Project, gold: Sequence[Gold], said: Mapping[str, Annotation]) -> Scores:
    return score(project.scheme, gold, said, seed=project.settings.training.seed)


def judge_rules(project: Project, source: RulesSource) -> tuple[Scores, RulesVerdict]:
    """The rules' score on all dev gold, and whether it reaches the project's target."""
    gold = project.dev_gold()
    scores = score_on_dev(project, source, list(gold))
    target = project.settings.rules.target
    verdict = rules_suffice(scores, target, exclusive=project.scheme.is_exclusive)
    seen = sum(not item.blind for item in gold)
    if verdict.suffice and seen:
        said = (
            f"{verdict.reason} But {seen} of {len(gold)} dev texts were not annotated blind, and gold made "
            "with suggestions in view flatters the rules; answer them again without."
        )
        verdict = replace(verdict, suffice=False, reason=said)
    return scores, verdict


def best_source(project: Project, *, on_progress: OnProgress = silent) -> tuple[Source | None, str]:
    """The source of suggestions that is best on dev, with the reason in one line; None where all score 0.

    All are compared on the same texts: a few, drawn by hash, so that asking an LLM stays cheap. The vote of
    all is one of them where it is better than each of its voters on the dev texts that they have read.
    """
    gold = sorted(project.dev_gold(), key=lambda item: item.example.input_hash)
    candidates: list[Source | None] = [rules_source(project), latest_model(project), _suggesting_llm(project)]
    sources = [source for source in candidates if source is not None]
    few = gold[:LLM_DEV_TEXTS]
    if not any(isinstance(source, LLMSource) for source in sources):
        few = gold
    tried: list[tuple[float, Source]] = [
        (score_on_dev(project, source, few, on_progress=on_progress).score or 0.0, source)
        for source in sources
    ]
    if not tried:
        return None, "no rules, no LLM to ask and no model yet: the batch is asked without suggestions"
    listed = ", ".join(f"{source.name} {value:.3f}" for value, source in tried)
    judged = judge(project, on_progress=on_progress) if project.settings.voting.use == "auto" else None
    if judged is not None and judged.better:
        tried.append((_score(project, few, judged.said).score or 0.0, judged.source))
        listed += f", {judged.source.name} {tried[-1][0]:.3f}"
    elif judged is not None:
        value, alone = judged.voted.score or 0.0, judged.single.score or 0.0
        listed += f" ({judged.source.name} is no better than {judged.best.name}: {value:.3f} to {alone:.3f})"
    value, best = max(tried, key=lambda pair: pair[0])
    if value == 0:
        return None, f"no source finds anything on {len(few)} dev texts ({listed}): no suggestions"
    return best, f"best on {len(few)} dev texts: {listed}"


def suggestions(
    project: Project, source: Source, examples: Sequence[Example], *, on_progress: OnProgress = silent
) -> dict[str, Suggestion]:
    """What the expert sees of a source before deciding, by input hash; texts it failed on are absent.

    The score is the model's own for what it is least sure of, or a vote's, calibrated on dev; rules and LLMs
    state none, and none is made up.
    """
    said = ask_source(project, source, examples, on_progress=on_progress)
    kept = project.predictions(source.key, hashes=list(said))
    language = language_of(project)
    made = {}
    for example in examples:
        annotation = said.get(example.input_hash)
        if annotation is None:
            continue
        _, detail = kept.get(example.input_hash, (None, {}))
        reason = str(detail.get("reason") or "")
        if isinstance(source, LLMSource | ImportedSource):
            reason = of_llm(example.text, detail, language)
        score = honest_score(detail.get("score"))
        unplaced = unplaced_of(detail)
        made[example.input_hash] = Suggestion(annotation, score, source.name, reason[:LONGEST], unplaced)
    return made


def doubtful(project: Project, source: Source, examples: Sequence[Example]) -> set[str]:
    """Input hashes of the texts at which a source guessed a place, or found none for what it said."""
    kept = project.predictions(source.key, hashes=[eg.input_hash for eg in examples])
    return {input_hash for input_hash, (_, detail) in kept.items() if is_doubtful(detail)}


def _suggesting_llm(project: Project) -> LLMSource | None:
    source = llm_source(project)
    # Imported answers know only their own texts. Without examples small models answer nothing useful, unless
    # dev said otherwise.
    if not isinstance(source, LLMSource):
        return None
    form = form_of(project, source)
    return source if source.few_shot or (form is not None and form.shown == "none") else None
