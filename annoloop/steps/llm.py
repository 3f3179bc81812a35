"""The LLM as the project asks it: on equal terms with the model, cached, never beyond what is allowed."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from annoloop.errors import FormatError, LLMError
from annoloop.hashing import input_hash
from annoloop.project import Project
from annoloop.steps.sources import Said
from annoloop.types import Annotation, Example, Gold, LabelScheme, PoolGold

FEW_SHOT = 5
_FEW_SHOT_FACT = "llm.few_shot"
IMPORTED_FACT = "llm.imported"


@dataclass(frozen=True)
class LLMSource:
    """The LLM with its prompt and its examples."""

    project: Project
    few_shot: tuple[Gold, ...]
    key: str
    name: str
    approach: Literal["llm"] = "llm"

    def predict(self, examples: Sequence[Example]) -> Iterator[Said]:
        """Ask the LLM; each answer is kept in the store as it arrives."""
        from annoloop.llm.engine import annotate

        project = self.project
        results = annotate(
            examples,
            scheme=project.scheme,
            config=llm_config(project),
            few_shot=PoolGold(self.few_shot),
            allow_remote=project.settings.privacy.allow_remote,
            cache=project.store.responses,
            lang=project.settings.project.lang,
        )
        by_hash = {eg.input_hash: eg for eg in examples}
        for result in results:
            detail = {
                "status": result.status,
                "prompt_tokens": result.prompt_tokens,
                "completion_tokens": result.completion_tokens,
                "cost": result.cost,
                "milliseconds": result.milliseconds,
            }
            yield by_hash[result.input_hash], result.annotation, detail


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


def few_shot(project: Project) -> tuple[Gold, ...]:
    """The examples shown to the LLM: of the first training gold once there is some, then always the same.

    Until then those of the project's examples.jsonl. They are drawn by hash, for each label the shortest
    texts that carry it, so that the LLM and the model learn from the same people.
    """
    pinned = project.store.fact(_FEW_SHOT_FACT)
    if pinned is not None:
        known = {gold.example.input_hash: gold for gold in project.pool_gold()}
        return tuple(known[name] for name in pinned if name in known)
    return _from_file(project)


def pin_few_shot(project: Project) -> tuple[Gold, ...]:
    """Choose the few-shot examples from the training gold once and for all, where there is any."""
    if project.store.fact(_FEW_SHOT_FACT) is None:
        chosen = _choose(project.pool_gold(), project.scheme)
        if chosen:
            project.store.set_fact(_FEW_SHOT_FACT, [gold.example.input_hash for gold in chosen])
    return few_shot(project)


def _choose(gold: PoolGold, scheme: LabelScheme) -> list[Gold]:
    ranked = sorted(gold, key=lambda item: (len(item.example.text), item.example.input_hash))
    wanted = max(FEW_SHOT, len(scheme.labels))
    chosen: list[Gold] = []
    # One text a label, then one without any span (the LLM must see that this happens), then fill up.
    for label in scheme.labels:
        chosen += [item for item in ranked if item not in chosen and label in _labels(item.annotation)][:1]
    if scheme.has_spans:
        plain = [item for item in ranked if not item.annotation.spans and len(item.example.text) > 20]
        chosen += plain[:1]
    full = [item for item in ranked if item not in chosen and _labels(item.annotation)]
    return (chosen + full[: max(0, wanted - len(chosen))])[:wanted]


def _labels(annotation: Annotation) -> set[str]:
    return {*annotation.labels, *(span.label for span in annotation.spans)}


def _from_file(project: Project) -> tuple[Gold, ...]:
    from annoloop.corpus.read import BadRow, read_rows

    path = project.folder / project.settings.llm.examples
    if not path.is_file():
        return ()
    gold = []
    for row in read_rows(path, scheme=project.scheme, lang=project.settings.project.lang):
        if isinstance(row, BadRow):
            raise FormatError(f"{row.path}, line {row.line}: {row.reason}", hint=row.hint)
        if row.annotation is not None:
            gold.append(Gold(Example(input_hash(row.text), row.text), row.annotation))
    return tuple(gold)


def llm_source(project: Project) -> LLMSource | ImportedSource | None:
    """The project's LLM: imported answers where there are some, else the configured one; None without any.

    Raises:
        LLMError: an LLM is configured but cannot be asked (not reachable, not allowed).
    """
    imported = project.store.fact(IMPORTED_FACT)
    if imported is not None:
        return ImportedSource(imported["key"], imported["name"])
    if why_no_llm(project) is not None:
        return None
    from annoloop.llm.engine import describe

    shown = few_shot(project)
    about = describe(llm_config(project), project.scheme, shown, lang=project.settings.project.lang)
    return LLMSource(project, shown, key=f"llm:{about.key}", name=about.name)


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

            return local_model_status(model.get("name"))
    return None


def import_llm_answers(project: Project, path: Path, *, name: str, skip_bad: bool = False) -> int:
    """Take an LLM's answers made elsewhere as the project's LLM baseline; returns for how many texts.

    Rows are matched by text. Raises FormatError on the first bad row unless `skip_bad`, and where not one
    row is about a text of the project; nothing is taken then.
    """
    from annoloop.corpus.read import BadRow, read_rows

    said: dict[str, Annotation | None] = {}
    details: dict[str, Any] = {}
    for row in read_rows(path, scheme=project.scheme, lang=project.settings.project.lang):
        if isinstance(row, BadRow):
            if not skip_bad:
                raise FormatError(f"{row.path}, line {row.line}: {row.reason}", hint=row.hint)
            continue
        identity = input_hash(row.text)
        said[identity] = row.annotation or Annotation()
        details[identity] = {key: row.meta[key] for key in ("cost", "tokens") if key in row.meta}
    known = project.store.known_hashes(said)
    if not known:
        raise FormatError(
            f"{path}: none of its {len(said)} texts is in the project", hint="texts must be equal"
        )
    said = {identity: said[identity] for identity in sorted(known)}
    digest = input_hash(json.dumps([[key, repr(value)] for key, value in said.items()]))[:12]
    key = f"llm:import:{name}:{digest}"
    project.store.save_predictions(key, said, details=details)
    project.store.set_fact(IMPORTED_FACT, {"key": key, "name": f"{name} (imported answers)"})
    return len(said)


def require_llm(project: Project) -> LLMSource | ImportedSource:
    """The project's LLM, or an error that says why there is none."""
    source = llm_source(project)
    if source is None:
        raise LLMError(f"no LLM: {why_no_llm(project)}", hint="see [llm.model] in annoloop.cfg")
    return source
