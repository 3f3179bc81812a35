"""The LLM as the project asks it: on equal terms with the model, cached, never beyond what is allowed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from annoloop.corpus.read import BadRow, Row, read_rows
from annoloop.errors import FormatError
from annoloop.hashing import input_hash
from annoloop.project import Project
from annoloop.steps.sources import Said
from annoloop.store.rows import annotation_from_json, annotation_to_json, dump
from annoloop.types import Example

if TYPE_CHECKING:
    from annoloop.llm.annotate import Labelled

_FEW_SHOT_FACT = "llm.few_shot"
IMPORTED_FACT = "llm.imported"


@dataclass(frozen=True)
class LLMSource:
    """The LLM with its prompt and its examples."""

    project: Project
    few_shot: tuple[Labelled, ...]
    key: str
    name: str
    approach: Literal["llm"] = "llm"

    def predict(self, examples: Sequence[Example]) -> Iterator[Said]:
        """Ask the LLM; each answer is kept in the store as it arrives."""
        from annoloop.llm.annotate import annotate

        project = self.project
        results = annotate(
            examples,
            scheme=project.scheme,
            config=llm_config(project),
            few_shot=self.few_shot,
            allow_remote=project.settings.privacy.allow_remote,
            cache=project.store.responses,
            lang=project.settings.project.lang,
        )
        by_hash = {eg.input_hash: eg for eg in examples}
        for result in results:
            yield by_hash[result.input_hash], result.annotation, _detail(result)


def _detail(result: Any) -> dict[str, Any]:
    names = ("status", "reason", "unaligned", "prompt_tokens", "completion_tokens", "cost", "milliseconds")
    return {name: getattr(result, name) for name in names}


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
    if not block["include_reason"]:
        # Answers kept before there was this setting go on counting.
        block.pop("include_reason")
    return block


def few_shot(project: Project) -> tuple[Labelled, ...]:
    """The examples shown to the LLM: of the first training gold once there is some, then always the same.

    Until then those of the project's examples.jsonl.
    """
    pinned = project.store.fact(_FEW_SHOT_FACT)
    if pinned is None:
        return _from_file(project)
    return tuple(Row(0, text, annotation=annotation_from_json(said)) for text, said in pinned)


def pin_few_shot(project: Project) -> None:
    """Choose the few-shot examples from the training gold, once and for all.

    The LLM then learns from the same people as the model it is compared with, and its answers to the
    held-out texts are paid once.
    """
    from annoloop.llm.annotate import choose_few_shot, few_shot_size

    if project.store.fact(_FEW_SHOT_FACT) is None:
        most = few_shot_size(llm_config(project), project.scheme)
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
        rows.append(row)
    from annoloop.llm.annotate import few_shot_size

    most = few_shot_size(llm_config(project), project.scheme)
    return tuple(row for row in rows if row.annotation is not None)[:most]


def llm_source(project: Project, *, connect: bool = False) -> LLMSource | ImportedSource | None:
    """The project's LLM: imported answers where there are some, else the configured one; None without any.

    With `connect` its server must take a connection; without, answers that are kept need no server.

    Raises:
        LLMError: an LLM is configured but cannot be asked (not reachable, not allowed).
    """
    imported = project.store.fact(IMPORTED_FACT)
    if imported is not None:
        return ImportedSource(imported["key"], imported["name"])
    if why_no_llm(project) is not None:
        return None
    from annoloop.llm.annotate import check_llm, describe, identity

    config, lang = llm_config(project), project.settings.project.lang
    check_llm(config, allow_remote=project.settings.privacy.allow_remote, connect=connect)
    shown, name = few_shot(project), describe(config, project.scheme, lang=lang)
    shaped = [
        config,
        identity(config, project.scheme, lang=lang),
        lang,
        project.scheme.labels,
        dict(project.scheme.definitions),
    ]
    shots = [[row.text, annotation_to_json(row.annotation)] for row in shown if row.annotation is not None]
    return LLMSource(project, shown, f"llm:{input_hash(dump([shaped, shots]))}", name)


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
