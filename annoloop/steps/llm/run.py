"""A run of the LLM over the texts of a split: what it would take, the run itself, what failed, once more."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

from annoloop.errors import LLMError
from annoloop.hashing import input_hash
from annoloop.project import Project
from annoloop.steps.llm.source import LLMSource, llm_source, why_no_llm
from annoloop.steps.llm.spending import budget_of
from annoloop.steps.progress import OnProgress, silent
from annoloop.steps.sources import ANSWERED_WRONGLY, ask_source
from annoloop.types import Annotation, Example, Split

AskedSplit = Literal["pool", "dev"]
"""Splits that a run may be about; held-out texts are asked about by `evaluate` alone."""
_Kept = Mapping[str, tuple[Annotation | None, Mapping[str, Any]]]


@dataclass(frozen=True, slots=True)
class RunEstimate:
    """What a run would take: of `texts` in the split, `known` have an answer and `asked` would be read.

    `calls` of those need the server, the answers of `kept` are there already. Tokens and `cost` are expected
    ones, `most` is what the calls could cost at most without repeats; money is None where the price is not
    known, else of `price_date`. `learned` says whether the model's earlier calls were gone by. `reach` is how
    far the server at `address` is away.
    """

    model: str
    address: str
    reach: str
    split: str
    texts: int
    known: int
    asked: int
    kept: int
    calls: int
    prompt_tokens: int
    completion_tokens: int
    cost: float | None
    most: float | None
    price_date: str | None
    max_cost: float | None
    learned: bool

    def to_json(self) -> dict[str, Any]:
        """As plain values."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Failure:
    """A text that has no annotation of the LLM, and why; `status` is failed, malformed or refusal."""

    input_hash: str
    split: Split
    status: str
    reason: str
    text: str


@dataclass(frozen=True, slots=True)
class Asked:
    """What came of a run: texts with an annotation (`known` of them from before), and those without.

    `cost` is this run's own, None where a price or a count of tokens is missing. `left` texts were not asked
    about, `stopped` says why.
    """

    answered: int
    known: int
    failed: tuple[Failure, ...]
    calls: int
    cost: float | None
    left: int = 0
    stopped: str = ""


def own_source(project: Project) -> LLMSource:
    """The configured LLM, to annotate with.

    Raises:
        LLMError: there is none, or its answers were made elsewhere.
    """
    source = llm_source(project, purpose="annotate")
    if source is None:
        reason = why_no_llm(project) or "no LLM is configured"
        raise LLMError(f"{project.folder}: {reason}", hint="see [llm.model] in annoloop.cfg")
    if not isinstance(source, LLMSource):
        raise LLMError(
            f"the LLM of {project.folder} is {source.name}, which can be asked nothing",
            hint="to go back to the configured LLM: annoloop llm import PROJECT --forget",
        )
    return source


def estimate_run(
    project: Project,
    *,
    split: AskedSplit = "pool",
    limit: int | None = None,
    on_progress: OnProgress = silent,
) -> RunEstimate:
    """What `annotate_texts` would take; the prompts are made as they would be sent, and nothing is sent.

    Raises:
        LLMError: no LLM is configured, or texts may not go to it.
    """
    from annoloop.llm.annotate import is_own_model
    from annoloop.llm.budget import Rehearsal, estimate

    source = own_source(project)
    chosen = _chosen(project, source, split, limit)
    rehearsal = Rehearsal()
    for done, _ in enumerate(replace(source, budget=rehearsal).predict(chosen.wanted), start=1):
        on_progress("counting", done, len(chosen.wanted))
    prices, label, address, reach = (
        _own_model(project, source)
        if is_own_model(source.config)
        else (None, str(source.config["model"]["@llm_models"]), "an address of its own", "public")
    )
    ratios = project.store.ratios(label)
    found = estimate(
        rehearsal,
        prices,
        characters_per_token=None if ratios is None else ratios.characters_per_token,
        completion_tokens=None if ratios is None else ratios.completion_tokens,
    )
    return RunEstimate(
        model=label,
        address=address,
        reach=reach,
        split=split,
        texts=chosen.texts,
        known=chosen.known,
        asked=len(chosen.wanted),
        kept=found.kept,
        calls=found.calls,
        prompt_tokens=found.prompt_tokens,
        completion_tokens=found.completion_tokens,
        cost=found.cost,
        most=found.most,
        price_date=found.price_date,
        max_cost=project.settings.llm.max_cost,
        learned=found.learned,
    )


def _own_model(project: Project, source: LLMSource) -> tuple[Any, str, str, str]:
    """Prices, name, address and reach of a model of ours."""
    from annoloop.llm.model import OpenAIModel, model_settings

    allowed = project.settings.privacy.allow_remote
    block = {"allow_remote": allowed, **source.config["model"]}
    model = OpenAIModel(model_settings(block))
    endpoint = model.check()
    address = model.settings.base_url if endpoint is not None else "embedded"
    return model.prices, model.settings.label, address, endpoint.reach if endpoint is not None else "loopback"


def annotate_texts(
    project: Project,
    *,
    split: AskedSplit = "pool",
    limit: int | None = None,
    on_progress: OnProgress = silent,
) -> Asked:
    """Ask the LLM about the texts of a split that it has not answered, at most `limit` of them.

    Those that nobody has labelled come first, in the order of their hashes. Whoever stops it and calls again
    pays nothing twice. The texts shown in the prompt as examples are left out.

    Raises:
        LLMError: no LLM is configured, it is down, or texts may not go to it.
    """
    source = own_source(project)
    chosen = _chosen(project, source, split, limit)
    return _ask(project, source, chosen.wanted, known=chosen.known, on_progress=on_progress)


def retry(
    project: Project, *, also: Collection[str] = (), on_progress: OnProgress = silent
) -> tuple[Asked, tuple[Failure, ...]]:
    """Ask once more about pool and dev texts that failed; also about those answered in these wrong ways.

    `also` holds "malformed" or "refusal": such answers are paid for once more, and replaced. Returns what
    came of it and the failures that were asked about.

    Raises:
        LLMError: no LLM is configured, it is down, or texts may not go to it.
    """
    source = replace(own_source(project), anew=tuple(sorted(also)))
    asked = tuple(one for one in failures(project) if one.status == "failed" or one.status in also)
    texts = project.store.examples(hashes=[one.input_hash for one in asked])
    return _ask(project, source, texts, anew=also, on_progress=on_progress), asked


def failures(project: Project) -> tuple[Failure, ...]:
    """The pool and dev texts on which the configured LLM failed, in the order of their hashes.

    Raises:
        LLMError: no LLM is configured.
    """
    kept = project.store.predictions(own_source(project).key)
    missing = sorted(name for name, (said, _) in kept.items() if said is None)
    texts = project.store.examples(hashes=missing, excluded=True)
    # What the LLM says of held-out texts is nobody's to read before they are labelled.
    return _failures(kept, [example for example in texts if example.split != "held_out"])


def _failures(kept: _Kept, examples: Sequence[Example]) -> tuple[Failure, ...]:
    found = []
    for example in sorted(examples, key=lambda eg: eg.input_hash):
        said, detail = kept.get(example.input_hash, (Annotation(), {}))
        if said is None:
            status, reason = str(detail.get("status") or "failed"), str(detail.get("reason") or "")
            found.append(Failure(example.input_hash, example.split, status, reason, example.text))
    return tuple(found)


def _ask(
    project: Project,
    source: LLMSource,
    wanted: Sequence[Example],
    *,
    known: int = 0,
    anew: Collection[str] = (),
    on_progress: OnProgress,
) -> Asked:
    stopped = ""
    said: Mapping[str, Annotation] = {}
    try:
        said = ask_source(project, source, wanted, anew=anew, on_progress=on_progress)
    except LLMError as error:
        # A run that its limit ends has an outcome; one that the server ends has an error.
        if not budget_of(project).exhausted:
            raise
        stopped = error.message
    rest = [example.input_hash for example in wanted if example.input_hash not in said]
    kept = project.store.predictions(source.key, hashes=rest)
    spent = project.store.spend_in_all(run=source.run)
    return Asked(
        answered=known + len(said) + sum(annotation is not None for annotation, _ in kept.values()),
        known=known,
        failed=_failures(kept, wanted),
        calls=spent.calls,
        cost=None if spent.unpriced else spent.cost or 0.0,
        left=len(rest) - len(kept) if stopped else 0,
        stopped=stopped,
    )


@dataclass(frozen=True, slots=True)
class _Chosen:
    """How many texts of a split the LLM may be asked about, `known` ones of them, and those to ask about."""

    texts: int
    known: int
    wanted: list[Example]


def _chosen(project: Project, source: LLMSource, split: AskedSplit, limit: int | None) -> _Chosen:
    """Unlabelled texts first, by their hashes; without those shown as examples, which know their answer."""
    shown = {input_hash(row.text) for row in source.few_shot}
    every = [eg for eg in project.store.examples(split=split) if eg.input_hash not in shown]
    gold = project.pool_gold() if split == "pool" else project.dev_gold()
    labelled = {item.example.input_hash for item in gold}
    every.sort(key=lambda eg: (eg.input_hash in labelled, eg.input_hash))
    kept = project.store.predictions(source.key, hashes=[eg.input_hash for eg in every])
    said = {name for name, (annotation, _) in kept.items() if annotation is not None}
    wrong = {name for name, (_, detail) in kept.items() if detail.get("status") in ANSWERED_WRONGLY}
    wanted = [eg for eg in every if eg.input_hash not in said and eg.input_hash not in wrong]
    return _Chosen(len(every), len(said), wanted[:limit])
