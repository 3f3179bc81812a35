"""Prompts and models against each other: scored on the dev gold, or answering the same pool texts.

Never on held-out texts: who chooses by them can no longer judge by them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from math import isnan
from pathlib import Path
from typing import Any

from annoloop.errors import AnnoloopError, LLMError, SettingsError
from annoloop.evaluation.paired import difference, paired_p
from annoloop.evaluation.scores import count, score, scores_to_json
from annoloop.project import Project
from annoloop.settings.edit import settings_with
from annoloop.settings.load import FILE_NAME, read_config
from annoloop.steps.llm.source import ImportedSource, LLMSource, llm_config, llm_source, source_of
from annoloop.steps.llm.tournament import contestable, set_contestants
from annoloop.steps.progress import OnProgress, silent
from annoloop.steps.sources import ANSWERED_WRONGLY, ask_source
from annoloop.types import Annotation, DevGold, Gold, Scores

OWN = "project"
"""The name of the LLM that the project has: what the others are measured against."""
_TRIED_FACT = "llm.tried"
_SECTIONS = ("task", "model")
_NOT_COMPARED = ("examples", "variants")
_REGISTERED = {"task": "@llm_tasks", "model": "@llm_models"}


@dataclass(frozen=True)
class Variant:
    """An `[llm]` block to be compared. `changes` are its lines by section, as they go into annoloop.cfg."""

    name: str
    config: Mapping[str, Any]
    changes: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


@dataclass(frozen=True)
class VariantRow:
    """How one variant did on the dev texts.

    `scores` counts an answer that could not be understood as an empty one, and as `missing` the texts without
    any. `cost_per_1000` is money, None where a price is unknown; `p50_ms` and `p95_ms` are of the calls as
    they were once made, however often their answers were read since; `tokens` are those of a text, prompt and
    answer. `failures` counts texts without an annotation by status. `delta`, its 95 % interval and `p_value`
    (one-sided: "no better than the baseline") are on the texts that both were asked about, None for the
    baseline itself. `problem` says why there are no figures.
    """

    name: str
    key: str = ""
    version: str = ""
    scores: Scores | None = None
    cost_per_1000: float | None = None
    p50_ms: float | None = None
    p95_ms: float | None = None
    tokens: float | None = None
    failures: Mapping[str, int] = field(default_factory=dict)
    delta: float | None = None
    delta_interval: tuple[float, float] | None = None
    p_value: float | None = None
    problem: str = ""


@dataclass(frozen=True)
class PromptComparison:
    """All variants on the same dev texts, the project's own LLM first where it has one.

    `tried` is how many different ones were ever scored on this project's dev texts: the best of many owes a
    part of its score to chance.
    """

    rows: tuple[VariantRow, ...]
    texts: int
    tried: int
    notes: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Plain values, as `--json` prints them."""
        rows = [
            {**asdict(row), "scores": scores_to_json(row.scores) if row.scores else None} for row in self.rows
        ]
        return {"texts": self.texts, "tried": self.tried, "rows": rows, "notes": list(self.notes)}


def read_variants(project: Project, paths: Sequence[Path] = ()) -> tuple[Variant, ...]:
    """What is laid over the project's `[llm]` block by files, by default those of `[llm] variants`.

    A file holds the sections [llm], [llm.task] and [llm.model], each only with what differs; a prompt's
    template is looked for in the project folder.

    Raises:
        SettingsError: a file is missing or wrong, or two have one name.
    """
    if not paths:
        found = (path for glob in project.settings.llm.variants for path in project.folder.glob(glob))
        paths = sorted(set(found))
    variants: dict[str, Variant] = {}
    for path in paths:
        if path.stem in variants or path.stem == OWN:
            raise SettingsError(
                f"{path}: there is another variant of the name {path.stem!r}", hint="rename the file"
            )
        variants[path.stem] = _variant(project, path)
    return tuple(variants.values())


def _variant(project: Project, path: Path) -> Variant:
    changes = _changes(path, project)
    try:
        settings = settings_with(project.folder, changes)
    except SettingsError as error:
        own = str(project.folder / FILE_NAME)
        raise SettingsError(error.message.replace(own, str(path)), hint=error.hint) from None
    return Variant(path.stem, llm_config(replace(project, settings=settings)), changes)


def _changes(path: Path, project: Project) -> dict[str, dict[str, Any]]:
    """A variant's lines by section: `{"llm": {...}, "llm.model": {...}}`."""
    said = read_config(path)
    strange = [section for section in said if section != "llm"]
    block = said.get("llm", {})
    strange += [f"llm -> {key}" for key in _NOT_COMPARED if key in block]
    if strange:
        raise SettingsError(
            f"{path}: {strange[0]} is the project's own and cannot be compared",
            hint="a variant holds [llm], [llm.task] and [llm.model]",
        )
    changes = {"llm": {key: value for key, value in block.items() if key not in _SECTIONS}}
    for section in _SECTIONS:
        keys, function = dict(block.get(section) or {}), _REGISTERED[section]
        own = getattr(project.settings.llm, section)
        if keys.get(function, own.get(function)) != own.get(function):
            # What is set for one model or task means nothing to another.
            keys = {"*": None, **keys}
        changes[f"llm.{section}"] = keys
    return {section: keys for section, keys in changes.items() if keys}


def compare_variants(
    project: Project,
    variants: Sequence[Variant],
    *,
    limit: int | None = None,
    on_progress: OnProgress = silent,
) -> PromptComparison:
    """Score the project's LLM and the variants on the dev gold, on `limit` texts of it if asked.

    What was answered before is not asked again. A variant that cannot be asked says so in its row.

    Raises:
        AnnoloopError: there is no dev gold.
        BlindnessError: one of the project's examples is a text to be judged by.
    """
    gold = _dev_texts(project, limit)
    rows: list[VariantRow] = []
    base: dict[str, Annotation] | None = None
    for name, source in _sources(project, variants):
        if isinstance(source, str):
            rows.append(VariantRow(name, problem=source))
            continue
        try:
            examples = [item.example for item in gold]
            ask_source(project, source, examples, on_progress=_named(name, on_progress))
        except LLMError as error:
            rows.append(VariantRow(name, source.key, source.name, problem=str(error)))
            continue
        row, said = _measured(project, name, source, gold)
        rows.append(row if base is None else _against(project, row, gold, said, base))
        base = said if name == OWN else base
    measured = [row.key for row in rows if row.scores is not None]
    tried = len(_remember(project, measured))
    return PromptComparison(tuple(rows), len(gold), tried, _notes(rows, tried))


def _dev_texts(project: Project, limit: int | None) -> DevGold:
    usable = sorted(
        (item for item in project.dev_gold() if item.complete), key=lambda g: g.example.input_hash
    )
    if not usable:
        raise AnnoloopError(
            f"{project.folder}: no dev text has gold yet, so prompts cannot be scored",
            hint="label them: annoloop review PROJECT; without gold: annoloop llm compare PROJECT --pool 50",
        )
    return DevGold(tuple(usable[:limit]))


def _sources(
    project: Project, variants: Sequence[Variant]
) -> list[tuple[str, LLMSource | ImportedSource | str]]:
    """The project's LLM and the variants, ready to be asked, or in words why not."""
    makers: list[tuple[str, Callable[[], LLMSource | ImportedSource | None]]] = [
        (OWN, partial(llm_source, project, purpose="compare")),
        *((one.name, partial(source_of, project, one.config, purpose="compare")) for one in variants),
    ]
    found: list[tuple[str, LLMSource | ImportedSource | str]] = []
    for name, make in makers:
        try:
            source = make()
        except LLMError as error:
            found.append((name, str(error)))
        else:
            found += [(name, source)] if source is not None else []
    return found


def _named(name: str, on_progress: OnProgress) -> OnProgress:
    """Progress that says of which variant: two may have the same model and the same prompt."""
    return lambda what, done, total: on_progress(f"{name}: {what}", done, total)


def _measured(
    project: Project, name: str, source: LLMSource | ImportedSource, gold: DevGold
) -> tuple[VariantRow, dict[str, Annotation]]:
    import numpy as np

    hashes = [item.example.input_hash for item in gold]
    kept = project.predictions(source.key, hashes=hashes)
    said = {text: found for text, (found, _) in kept.items() if found is not None}
    details = {text: detail for text, (_, detail) in kept.items()}
    failures = Counter(
        str(details.get(text, {}).get("status") or "not asked") for text in set(hashes) - set(said)
    )
    # An answer that could not be understood is the LLM's mistake; a text it was never asked about is not.
    said |= {text: Annotation() for text, one in details.items() if one.get("status") in ANSWERED_WRONGLY}
    answered = [details[text] for text in said]
    times = [one["milliseconds"] for one in answered if one.get("milliseconds")]
    costs = [one.get("cost") for one in answered]
    tokens = [_sum(one.get("prompt_tokens"), one.get("completion_tokens")) for one in answered]
    row = VariantRow(
        name,
        source.key,
        source.name,
        scores=score(project.scheme, gold, said, seed=project.settings.training.seed),
        cost_per_1000=_mean(costs, times=1_000),
        p50_ms=float(np.percentile(times, 50)) if times else None,
        p95_ms=float(np.percentile(times, 95)) if times else None,
        tokens=_mean(tokens),
        failures=dict(sorted(failures.items())),
    )
    return row, said


def _sum(prompt: int | None, answer: int | None) -> int | None:
    return None if prompt is None or answer is None else prompt + answer


def _mean(values: Sequence[float | None], *, times: float = 1) -> float | None:
    known = [value for value in values if value is not None]
    return times * sum(known) / len(known) if known and len(known) == len(values) else None


def _against(
    project: Project,
    row: VariantRow,
    gold: DevGold,
    said: Mapping[str, Annotation],
    base: Mapping[str, Annotation],
) -> VariantRow:
    """The row with its difference to the baseline, on the texts that both were asked about."""
    both: list[Gold] = [item for item in gold if item.example.input_hash in said.keys() & base.keys()]
    if not both:
        return row
    seed = project.settings.training.seed
    ours, theirs = count(project.scheme, both, said), count(project.scheme, both, base)
    delta, interval = difference(ours, theirs, seed=seed)
    if isnan(delta):
        return row
    return replace(row, delta=delta, delta_interval=interval, p_value=paired_p(ours, theirs, seed=seed))


def _remember(project: Project, keys: Sequence[str]) -> list[str]:
    before: list[str] = project.store.fact(_TRIED_FACT, [])
    tried = sorted({*before, *keys})
    if tried != before:
        project.store.set_fact(_TRIED_FACT, tried)
    return tried


def _notes(rows: Sequence[VariantRow], tried: int) -> tuple[str, ...]:
    notes = []
    if not any(row.name == OWN for row in rows):
        notes.append("the project has no LLM yet, so there is nothing to measure a difference against")
    if tried > 1:
        notes.append(
            f"{tried} were tried on these dev texts so far: the best of them is flattered by having been "
            "chosen, and only the held-out texts tell how good it is"
        )
    return tuple(notes)


@dataclass(frozen=True)
class PoolAnswers:
    """Who answered how many pool texts; `problems` says who could not be asked, and why."""

    texts: int
    contestants: tuple[str, ...]
    problems: Mapping[str, str]


def ask_pool(
    project: Project, variants: Sequence[Variant], texts: int, *, on_progress: OnProgress = silent
) -> PoolAnswers:
    """Let the project's LLM and the variants answer the same pool texts, for a tournament by eye.

    Texts shown to them as examples are left out. They are the tournament's contestants from now on.

    Raises:
        LLMError: fewer than two can be asked.
    """
    chosen = contestable(project)[:texts]
    problems: dict[str, str] = {}
    asked: dict[str, tuple[str, str]] = {}
    for name, source in _sources(project, variants):
        if isinstance(source, str):
            problems[name] = source
            continue
        try:
            ask_source(project, source, chosen, on_progress=_named(name, on_progress))
        except LLMError as error:
            problems[name] = str(error)
        else:
            asked[source.key] = (name, source.name)
    if len(asked) < 2:
        said = "; ".join(f"{name}: {problem}" for name, problem in problems.items())
        raise LLMError(
            f"a tournament needs two LLMs that answer, there is {len(asked)}{f' ({said})' if said else ''}",
            hint="name a variant: annoloop llm compare PROJECT mine.cfg --pool 50",
        )
    set_contestants(project, asked)
    return PoolAnswers(len(chosen), tuple(name for name, _ in asked.values()), problems)
