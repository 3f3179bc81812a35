"""Where predictions come from: rules, the LLM, a round's model. Each is asked once about a text."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal, Protocol

from annoloop.errors import FormatError, LLMError, TrainingError
from annoloop.evaluation.leaderboard import megabytes
from annoloop.project import Project
from annoloop.steps import reasons
from annoloop.steps.progress import OnProgress, silent
from annoloop.steps.reasons import Language
from annoloop.types import KINDS, Annotation, Example, Round

Said = tuple[Example, Annotation | None, Mapping[str, Any]]
KEEP_EVERY = 100
ANSWERED_WRONGLY = ("malformed", "refusal")
"""What an LLM said that is no annotation: its own mistake, so it is not asked again."""
UNASKED = ("budget", "not_sent")
"""Why an LLM was not asked about a text: no failure of either."""


class Source(Protocol):
    """Something that annotates texts. `key` names it with all that shapes what it says."""

    @property
    def approach(self) -> Literal["rules", "llm", "model", "votes"]:
        """Its row on the leaderboard."""
        ...

    @property
    def key(self) -> str:
        """Equal keys say equal things."""
        ...

    @property
    def name(self) -> str:
        """As people see it."""
        ...

    def predict(self, examples: Sequence[Example]) -> Iterator[Said]:
        """One result a text, None where it failed, with details worth keeping; any order."""
        ...


@dataclass(frozen=True)
class RulesSource:
    """The project's patterns. Their reasons are given in `language`.

    Rules of which it is not proven that they cannot take for ever run in a process that is stopped after
    `seconds` with a portion of texts.
    """

    rules: Any
    language: Language = "en"
    seconds: float = 5.0
    approach: Literal["rules"] = "rules"

    @property
    def key(self) -> str:
        """Changes with the patterns."""
        return f"rules:{self.rules.version}"

    @property
    def name(self) -> str:
        """As people see it: "12 rules (479d8a)"."""
        count = len(self.rules.patterns)
        return f"{count} rule{'s' * (count != 1)} ({self.rules.version[:6]})"

    def predict(self, examples: Sequence[Example]) -> Iterator[Said]:
        """Match the patterns.

        Raises:
            FormatError: a pattern takes too long; the message names it.
        """
        for example, matches in self._matches(examples):
            reason = reasons.of_rules(self.rules, example.text, matches, self.language)
            yield example, self.rules.annotation(matches), {"reason": reason}

    def _matches(self, examples: Sequence[Example]) -> Iterator[tuple[Example, Sequence[Any]]]:
        if self.rules.proven:
            yield from ((example, self.rules.explain(example.text)) for example in examples)
            return
        rules = self.rules
        for start in range(0, len(examples), KEEP_EVERY):
            portion = examples[start : start + KEEP_EVERY]
            texts = [example.text for example in portion]
            try:
                tried = _bench().run(
                    rules.lines, texts, scheme=rules.scheme, lang=rules.lang, seconds=self.seconds
                )
            except FormatError as error:
                raise FormatError(f"patterns, {error.message}", hint=error.hint) from None
            yield from zip(portion, tried.matches, strict=True)


def model_key(number: int, fingerprint: str | None) -> str:
    """What names a round's model, and all that it said."""
    return f"model:round-{number}:{fingerprint}"


@dataclass(frozen=True)
class ModelSource:
    """One round's trained pipeline."""

    path: Path
    number: int
    fingerprint: str
    scheme: Any
    recipe: str = ""
    language: Language = "en"
    approach: Literal["model"] = "model"

    @property
    def key(self) -> str:
        """Changes with the gold, the recipe and the seed that the model was trained with."""
        return model_key(self.number, self.fingerprint)

    @property
    def megabytes(self) -> float:
        """Size of the pipeline as it is shipped, in 10^6 bytes: without what it was trained from."""
        from annoloop.packaging.export import MAKING

        return megabytes(self.path) - megabytes(self.path / MAKING)

    @property
    def packages(self) -> tuple[str, ...]:
        """What the pipeline needs installed beside spaCy, whose size is not in `megabytes`."""
        return tuple(self._meta().get("requirements", ()))

    @property
    def gold_rules(self) -> int:
        """How many rules that were made of its training gold the pipeline brings along."""
        lines = {line for name in ("rule_tags", "gold_rules") for line in self._patterns(name)}
        return sum(json.loads(line).get("made") == "rules" for line in lines)

    @property
    def joined_rules(self) -> int:
        """How many patterns of the project's rules joined the pipeline; see `steps/rules/joining.py`."""
        return len(self._patterns("annoloop_rules"))

    def _patterns(self, component: str) -> list[str]:
        file = self.path / component / "patterns.jsonl"
        return file.read_text("utf8").splitlines() if file.is_file() else []

    @property
    def lost_labels(self) -> tuple[str, ...]:
        """Labels that it answers with and the project has no longer.

        Raises:
            TrainingError: it is of another kind than the project, or its folder is damaged.
        """
        made = self._meta().get("labels", {})
        others = [kind for kind in KINDS if kind in made and kind != self.scheme.kind]
        if others and self.scheme.kind not in made:
            raise TrainingError(
                f"the {self.name} is of kind {others[0]}, the project's is {self.scheme.kind} now",
                hint="train once more: annoloop train PROJECT",
            )
        return tuple(label for label in made.get(self.scheme.kind, ()) if label not in self.scheme.labels)

    def _meta(self) -> dict[str, Any]:
        try:
            found: dict[str, Any] = json.loads((self.path / "meta.json").read_text(encoding="utf8"))
        except (OSError, ValueError) as error:
            raise TrainingError(
                f"{self.path} is damaged, its meta.json cannot be read",
                hint="train it again: annoloop train PROJECT",
            ) from error
        return found

    def require_labels(self) -> None:
        """Refuse to go on where it would answer with labels that the project has no longer.

        Of categories the likeliest that is left would be given, which the model never chose.

        Raises:
            TrainingError: it does, or as `lost_labels`.
        """
        if self.lost_labels:
            named = ", ".join(map(repr, self.lost_labels))
            raise TrainingError(
                f"the {self.name} answers with {named}, which the project has no longer",
                hint="train once more: annoloop train PROJECT",
            )

    @property
    def dev_key(self) -> str:
        """What the same recipe said of the dev texts before it learned from them."""
        return f"{self.key}:dev"

    @property
    def name(self) -> str:
        """As people see it."""
        return f"model of round {self.number}"

    def predict(self, examples: Sequence[Example]) -> Iterator[Said]:
        """Run the pipeline."""
        from annoloop.training.predict import predict

        pipeline = _loaded(self.path, self.fingerprint)
        made = predict(pipeline, (eg.text for eg in examples), scheme=self.scheme)
        for example, prediction in zip(examples, made, strict=True):
            yield example, prediction.annotation, self.detail(prediction)

    def detail(self, prediction: Any) -> dict[str, Any]:
        """Score and reason of a prediction of this model."""
        reason = reasons.of_model(
            prediction, self.scheme, number=self.number, recipe=self.recipe, language=self.language
        )
        return {"score": prediction.score, "reason": reason}


@lru_cache(maxsize=2)
def _loaded(path: Path, _fingerprint: str) -> Any:
    from annoloop.training.predict import load_model

    return load_model(path)


@lru_cache(maxsize=1)
def _bench() -> Any:
    from annoloop.rules.trial import Bench

    return Bench()


def rules_source(project: Project) -> RulesSource | None:
    """The project's rules; None where it has none."""
    from annoloop.rules.matcher import load_rules

    rules = load_rules(project.patterns, scheme=project.scheme, lang=project.settings.project.lang)
    if rules is None or rules.empty:
        return None
    return RulesSource(rules, reasons.language_of(project), project.settings.rules.seconds)


def model_source(project: Project, record: Round) -> ModelSource:
    """The model of a round.

    Raises:
        TrainingError: the round has none, or its folder is gone.
    """
    if record.model is None or record.fingerprint is None:
        raise TrainingError(
            f"round {record.number} has no model yet", hint="train it: annoloop train PROJECT"
        )
    path = project.folder / record.model
    if not path.is_dir():
        raise TrainingError(f"{path} is gone", hint="train it again: annoloop train PROJECT")
    recipe, language = record.recipe or "", reasons.language_of(project)
    return ModelSource(path, record.number, record.fingerprint, project.scheme, recipe, language)


def latest_model(project: Project) -> ModelSource | None:
    """The newest round's model; None before the first."""
    trained = [record for record in project.store.rounds() if record.model is not None]
    return model_source(project, trained[-1]) if trained else None


def ask_source(
    project: Project,
    source: Source,
    examples: Sequence[Example],
    *,
    anew: Collection[str] = (),
    on_progress: OnProgress = silent,
) -> dict[str, Annotation]:
    """What the source says of each text, by input hash; texts it failed on are absent.

    What it said before is taken from the store; texts that failed on the way are asked again, and of those
    that an LLM answered wrongly the ones with a status of `anew`. Results are kept every few texts, so that
    a stopped run goes on where it was. Texts that nobody was asked about leave no result.

    Raises:
        LLMError: the LLM is down or may not be asked, or the run's money does not reach for all texts.
    """
    known = project.predictions(source.key, hashes=[eg.input_hash for eg in examples])
    said = {input_hash: found for input_hash, (found, _) in known.items() if found is not None}
    final = [status for status in ANSWERED_WRONGLY if status not in anew]
    wrong = {name for name, (_, detail) in known.items() if detail.get("status") in final}
    missing = [eg for eg in examples if eg.input_hash not in said and eg.input_hash not in wrong]
    if not missing:
        return said
    what = f"{source.name} reads"
    kept = _Kept(project, source.key)
    done = len(examples) - len(missing)
    unasked: list[str] = []
    on_progress(what, done, len(examples))
    with kept:
        for example, annotation, detail in source.predict(missing):
            if detail.get("status") in UNASKED:
                unasked.append(str(detail.get("reason")))
                continue
            kept.add(example.input_hash, annotation, detail)
            if annotation is not None:
                said[example.input_hash] = annotation
            done += 1
            on_progress(what, done, len(examples))
    if unasked:
        raise LLMError(
            f"{source.name} was not asked about {len(unasked)} of {len(examples)} texts: {unasked[0]}",
            hint="what was answered is kept, the next run goes on from there; the limit is [llm] max_cost",
        )
    return said


class _Kept:
    """Results on their way into the store: a few at a time, and what is there when it ends."""

    def __init__(self, project: Project, key: str) -> None:
        self._store, self._key = project.store, key
        self._made: dict[str, Annotation | None] = {}
        self._details: dict[str, Any] = {}

    def add(self, input_hash: str, annotation: Annotation | None, detail: Mapping[str, Any]) -> None:
        self._made[input_hash], self._details[input_hash] = annotation, dict(detail)
        if len(self._made) >= KEEP_EVERY:
            self._keep()

    def _keep(self) -> None:
        if self._made:
            self._store.save_predictions(self._key, self._made, details=self._details)
        self._made, self._details = {}, {}

    def __enter__(self) -> None:
        pass

    def __exit__(self, *_: object) -> None:
        self._keep()
