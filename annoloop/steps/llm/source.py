"""The LLM as the project asks it: on equal terms with the model, cached, never beyond what is allowed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal
from uuid import uuid4

from annoloop.corpus.read import BadRow, Row, read_rows
from annoloop.errors import BlindnessError, FormatError
from annoloop.hashing import input_hash
from annoloop.project import Project
from annoloop.steps.guidelines import read_guidelines
from annoloop.steps.llm.agreement import refuse_without
from annoloop.steps.llm.audit import AuditFile
from annoloop.steps.llm.redaction import redaction_of
from annoloop.steps.llm.spending import budget_of, remembered
from annoloop.steps.sources import Said
from annoloop.store.rows import annotation_from_json, annotation_to_json, dump
from annoloop.types import Example

if TYPE_CHECKING:
    from annoloop.llm.annotate import Labelled
    from annoloop.llm.budget import Budget, Rehearsal
    from annoloop.llm.endpoint import Reach

Purpose = Literal["suggest", "dev", "held_out", "annotate", "compare", "terms"]
"""What a text is asked about for, as the ledger tells it."""

_FEW_SHOT_FACT = "llm.few_shot"
IMPORTED_FACT = "llm.imported"
INSTEAD_FACT = "llm.instead"
"""The key of the LLM with other examples than those of the training gold, where it was found to do better."""

# Settings of [llm] and [llm.model] that change no answer, or stand in the key by what they bring in: the
# examples, the guidelines.
_NOT_SHAPING = {
    *("examples", "few_shot", "guidelines", "max_cost", "variants", "cache", "save_io", "validate_types"),
    *("workers", "timeout", "retries", "allow_remote", "api_key_env"),
    *("price_input", "price_cached", "price_output", "price_date"),
}


@dataclass(frozen=True)
class LLMSource:
    """An LLM with its prompt and its examples: the project's own, or another one to be compared with it.

    `config` is its `[llm]` block, `guidelines` what it is told of guidelines.md. `purpose`, `round` and `run`
    are what the ledger says of its calls; they are no part of its key. `budget` stands in for the run's own,
    and answers with a status of `anew` are asked for again although they are kept.
    """

    project: Project
    config: Mapping[str, Any]
    few_shot: tuple[Labelled, ...]
    key: str
    name: str
    guidelines: str | None = None
    purpose: Purpose = "suggest"
    round: int | None = None
    run: str = field(default_factory=lambda: uuid4().hex, compare=False)
    budget: Budget | Rehearsal | None = field(default=None, compare=False)
    anew: tuple[str, ...] = ()
    approach: Literal["llm"] = "llm"

    def predict(self, examples: Sequence[Example]) -> Iterator[Said]:
        """Ask the LLM; each answer is kept in the store as it arrives."""
        from annoloop.llm.prepare import prepare

        project = self.project
        prepared = prepare(
            scheme=project.scheme,
            config=self.config,
            few_shot=self.few_shot,
            allow_remote=project.settings.privacy.allow_remote,
            cache=project.store.answers_kept(
                run=self.run, purpose=self.purpose, round=self.round, anew=self.anew
            ),
            guidelines=self.guidelines,
            lang=project.settings.project.lang,
            folder=project.folder,
            redactor=redaction_of(project).redactor,
            budget=self.budget or budget_of(project),
            on_open=_agreed(self, examples),
            on_send=AuditFile(project.folder / project.settings.privacy.audit, run=self.run),
        )
        _refuse_judged(project, (shot.text for shot in prepared.shots))
        results = prepared.results(examples)
        by_hash = {eg.input_hash: eg for eg in examples}
        with remembered(project):
            for result in results:
                yield by_hash[result.input_hash], result.annotation, _detail(result)


def _agreed(source: LLMSource, examples: Sequence[Example]) -> Callable[[Reach], None]:
    """What is called before a server is opened for these texts: it refuses a public one without consent."""

    def refuse(reach: Reach) -> None:
        if reach == "public":
            refuse_without(source.project, source.config, examples)

    return refuse


def _detail(result: Any) -> dict[str, Any]:
    names = ("status", "reason", "unaligned", "ambiguous")
    counts = ("prompt_tokens", "completion_tokens", "cost", "milliseconds")
    return {name: getattr(result, name) for name in names + counts}


@dataclass(frozen=True)
class ImportedSource:
    """An LLM's answers made elsewhere: it can say nothing about other texts."""

    key: str
    name: str
    approach: Literal["llm"] = "llm"

    def predict(self, examples: Sequence[Example]) -> Iterator[Said]:
        """Nothing: what was not imported is not known."""
        return iter(())


def llm_config(project: Project) -> dict[str, Any]:
    """The project's `[llm]` block as plain values, without annoloop's own key."""
    block = project.settings.llm.model_dump()
    block.pop("examples")
    return block


def _guidelines(project: Project, config: Mapping[str, Any]) -> str | None:
    """What the LLM is told of guidelines.md; None where it is told nothing."""
    return read_guidelines(project) or None if config.get("guidelines") else None


def shown_examples(project: Project, config: Mapping[str, Any] | None = None) -> tuple[Labelled, ...]:
    """The examples shown to the LLM: of the first training gold once there is some, then always the same.

    Until then those of the project's examples.jsonl. `config` is the `[llm]` block, by default the project's.

    Raises:
        FormatError: examples.jsonl has a bad row.
        BlindnessError: it holds a dev or held-out text.
    """
    config = llm_config(project) if config is None else config
    pinned = project.store.fact(_FEW_SHOT_FACT)
    if pinned is None:
        return file_examples(project, config)
    # A text that was moved to be judged by is shown no longer.
    splits = project.store.splits([input_hash(text) for text, _ in pinned])
    shots = tuple(
        Row(0, text, annotation=annotation_from_json(said))
        for text, said in pinned
        if splits.get(input_hash(text), "pool") == "pool"
    )
    # What was pinned by an earlier choice of model stays: fewer only where the block says so itself.
    return shots if config.get("few_shot") is None else shots[: config["few_shot"]]


def file_examples(project: Project, config: Mapping[str, Any]) -> tuple[Labelled, ...]:
    """The examples of the project's examples.jsonl, as many as the `[llm]` block shows.

    Raises:
        FormatError: it has a bad row.
        BlindnessError: it holds a dev or held-out text.
    """
    return _from_file(project)[: _most_shots(project, config)]


def _most_shots(project: Project, config: Mapping[str, Any]) -> int:
    from annoloop.llm.annotate import few_shot_size

    wanted = config.get("few_shot")
    return few_shot_size(config, project.scheme) if wanted is None else int(wanted)


def pin_few_shot(project: Project) -> None:
    """Choose the few-shot examples from the training gold, once and for all.

    The LLM then learns from the same people as the model it is compared with, and its answers to the
    held-out texts are paid once.
    """
    from annoloop.llm.annotate import choose_few_shot

    if project.store.fact(_FEW_SHOT_FACT) is None:
        most = _most_shots(project, llm_config(project))
        chosen = choose_few_shot(project.pool_gold(), project.scheme, most=most)
        if chosen:
            pinned = [[shot.text, annotation_to_json(shot.annotation)] for shot in chosen]
            project.store.set_fact(_FEW_SHOT_FACT, pinned)


def _from_file(project: Project) -> tuple[Row, ...]:
    path = project.folder / project.settings.llm.examples
    if not path.is_file():
        return ()
    rows = []
    for row in read_rows(path, scheme=project.scheme, lang=project.settings.project.lang):
        if isinstance(row, BadRow):
            raise FormatError(f"{row.path}, line {row.line}: {row.reason}", hint=row.hint)
        if row.annotation is not None:
            rows.append(row)
    _refuse_judged(project, (row.text for row in rows), project.settings.llm.examples)
    return tuple(rows)


def _refuse_judged(project: Project, shown: Iterable[str], where: str = "the examples") -> None:
    """Refuse to show a dev or held-out text to the LLM, wherever it comes from."""
    texts = {input_hash(text): text for text in shown}
    for identity, split in project.store.splits(texts).items():
        if split != "pool":
            raise BlindnessError(
                f"a few-shot example is a text to be judged by: {texts[identity][:60]!r}",
                hint=f"take it out of {where}",
            )


def llm_source(
    project: Project, *, connect: bool = False, purpose: Purpose = "suggest"
) -> LLMSource | ImportedSource | None:
    """The project's LLM: imported answers where there are some, else the configured one; None without any.

    With `connect` its server must take a connection; without, answers that are kept need no server.

    Raises:
        LLMError: an LLM is configured but cannot be asked (not reachable, not allowed).
        BlindnessError: one of its examples is a text to be judged by.
    """
    imported = project.store.fact(IMPORTED_FACT)
    if imported is not None:
        return ImportedSource(imported["key"], imported["name"])
    if why_no_llm(project) is not None:
        return None
    return source_of(project, llm_config(project), purpose=purpose, connect=connect)


def source_of(
    project: Project,
    config: Mapping[str, Any],
    *,
    purpose: Purpose,
    few_shot: Sequence[Labelled] | None = None,
    connect: bool = False,
) -> LLMSource:
    """The LLM of an `[llm]` block; its examples are the project's unless `few_shot` gives others.

    An LLM that was found to do better with those of examples.jsonl, or with none, is shown them.

    Raises:
        LLMError: it cannot be asked (not reachable, not allowed).
        BlindnessError: one of the project's examples is a text to be judged by.
    """
    from annoloop.llm.annotate import check_llm, describe, identity

    lang, folder = project.settings.project.lang, project.folder
    check_llm(config, allow_remote=project.settings.privacy.allow_remote, connect=connect)
    shown = shown_examples(project, config) if few_shot is None else tuple(few_shot)
    told = _guidelines(project, config)
    shaped = [
        _shaping(config, told, redaction_of(project).version),
        identity(config, project.scheme, lang=lang, folder=folder),
        lang,
        project.scheme.labels,
        dict(project.scheme.definitions),
    ]
    files = _files(config, folder)
    if files:
        shaped.append(files)
    if few_shot is None and shown and (instead := project.store.fact(INSTEAD_FACT)) is not None:
        others = (file_examples(project, config), ())
        shown = next((other for other in others if _key(shaped, other) == instead), shown)
    return LLMSource(
        project,
        dict(config),
        shown,
        key=_key(shaped, shown),
        name=describe(config, project.scheme, lang=lang, folder=folder),
        guidelines=told,
        purpose=purpose,
        round=_round(project, purpose),
    )


def _key(shaped: Sequence[Any], shown: Sequence[Labelled]) -> str:
    shots = [[row.text, annotation_to_json(row.annotation)] for row in shown if row.annotation is not None]
    return f"llm:{input_hash(dump([shaped, shots]))}"


def _shaping(config: Mapping[str, Any], guidelines: str | None, redaction: str = "") -> dict[str, Any]:
    """What of an `[llm]` block shapes the answers, and so their key.

    A key that joins the settings later belongs here only where somebody has set it: answers kept before
    there was that setting go on counting.
    """
    shaped = {key: value for key, value in config.items() if key not in _NOT_SHAPING}
    for key in ("include_reason", "max_characters"):
        if not shaped.get(key):
            shaped.pop(key, None)
    model = dict(config.get("model") or {})
    if not model.get("extra_body"):
        model.pop("extra_body", None)
    shaped["model"] = {key: value for key, value in model.items() if key not in _NOT_SHAPING}
    if redaction:
        shaped["redaction"] = redaction
    return {**shaped, "guidelines": input_hash(guidelines)} if guidelines else shaped


def _files(config: Mapping[str, Any], folder: Path) -> list[str]:
    """Hashes of the files that a task of spacy-llm reads: their words shape the prompts."""
    from annoloop.llm.configured import is_own_task

    task = config.get("task") or {}
    if is_own_task(task):
        return []
    from annoloop.llm.foreign import files_of

    return [input_hash(repr(path.read_bytes())) for path in files_of(task, folder) if path.is_file()]


def _round(project: Project, purpose: Purpose) -> int | None:
    """Whose costs these are: suggestions are made before their round is begun, its verdict comes after."""
    if purpose not in ("suggest", "held_out"):
        return None
    newest = max((record.number for record in project.store.rounds()), default=0)
    return newest + 1 if purpose == "suggest" else newest


def why_no_llm(project: Project) -> str | None:
    """Why the project has no LLM, in one line; None where it has one."""
    if project.store.fact(IMPORTED_FACT) is not None:
        return None
    model = project.settings.llm.model
    if model.get("@llm_models") == "annoloop.OpenAI.v1":
        if model.get("base_url") is None:
            return "[llm.model] base_url is null"
        if model.get("base_url") == "embedded":
            from annoloop.llm.local import local_model_status

            status = local_model_status(model.get("name"))
            return None if status.available else f"{status.reason} ({status.hint})"
    return None


def import_llm_answers(
    project: Project,
    path: Path,
    *,
    name: str,
    text_column: str | None = None,
    label_column: str | None = None,
    skip_bad: bool = False,
) -> int:
    """Take an LLM's answers made elsewhere as the project's LLM baseline; returns for how many texts.

    Rows are matched by text. Raises FormatError on the first bad row unless `skip_bad`, and where not one
    row is about a text of the project; nothing is taken then.
    """
    from annoloop.llm.imported import import_answers

    results = {
        result.input_hash: result
        for result in import_answers(
            path,
            project.store.examples(excluded=True),
            scheme=project.scheme,
            lang=project.settings.project.lang,
            text_column=text_column,
            label_column=label_column,
            skip_bad=skip_bad,
        )
    }
    if not results:
        raise FormatError(f"{path}: none of its texts is in the project", hint="texts must be equal")
    said = {identity: results[identity].annotation for identity in sorted(results)}
    key = f"llm:import:{name}:{input_hash(repr(said))[:12]}"
    details = {identity: _detail(result) for identity, result in results.items()}
    project.store.save_predictions(key, said, details=details)
    project.store.set_fact(IMPORTED_FACT, {"key": key, "name": f"{name} (imported answers)"})
    return len(said)


def forget_import(project: Project) -> str | None:
    """Let the configured LLM be the baseline again; returns whose answers those were, None without any.

    The imported answers stay in the store: the same file imported again is known.
    """
    imported = project.store.fact(IMPORTED_FACT)
    if imported is None:
        return None
    project.store.set_fact(IMPORTED_FACT, None)
    return str(imported["name"])
