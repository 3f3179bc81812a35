"""Rules, LLM and model side by side on the dev texts: who is wrong where, and setting the gold right.

Only dev texts are looked at: who reads the approaches' mistakes on held-out texts has begun to learn from
them. What is compared are kept predictions; `ask_missing` makes those that are not there.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Literal

from annoloop.errors import AnnoloopError, BlindnessError
from annoloop.evaluation.scores import score
from annoloop.project import Project
from annoloop.steps.llm.source import llm_source
from annoloop.steps.progress import OnProgress, silent
from annoloop.steps.sources import ANSWERED_WRONGLY, ModelSource, Source, ask_source, rules_source
from annoloop.types import Annotation, Answer, DevGold, Example, LabelScheme, Scores, Span

ApproachName = Literal["rules", "llm", "model"]


@dataclass(frozen=True, slots=True)
class Said:
    """What one approach said of a text, and why. `confidence` is from 0 to 1, None where it gives none."""

    annotation: Annotation
    right: bool
    confidence: float | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Approach:
    """One approach on the dev texts that it has read; `missing` counts those that it has not.

    `scores` is None where it has read none.
    """

    approach: ApproachName
    name: str
    scores: Scores | None
    missing: int


@dataclass(frozen=True, slots=True)
class Compared:
    """A dev text with its gold and what each approach said; an approach that has not read it is absent."""

    example: Example
    gold: Annotation
    said: Mapping[ApproachName, Said]

    @property
    def labels(self) -> frozenset[str]:
        """All labels that the gold or an approach gives this text."""
        annotations = (self.gold, *(said.annotation for said in self.said.values()))
        return frozenset(
            part if isinstance(part, str) else part.label for a in annotations for part in _parts(a)
        )

    def wrong(self, approach: ApproachName) -> bool:
        """Whether the approach has read the text and is wrong about it."""
        return approach in self.said and not self.said[approach].right


@dataclass(frozen=True)
class Comparison:
    """All dev texts with gold, the approaches beside each other.

    Raises:
        BlindnessError: a text of another split was put in.
    """

    scheme: LabelScheme
    approaches: tuple[Approach, ...]
    texts: tuple[Compared, ...]

    def __post_init__(self) -> None:
        for text in self.texts:
            if text.example.split != "dev":
                raise BlindnessError(
                    f"text {text.example.input_hash} is in {text.example.split}, not in dev",
                    hint="approaches are compared text by text on dev texts only",
                )

    def select(
        self,
        *,
        wrong: Collection[ApproachName] = (),
        labels: Collection[str] = (),
        text: str = "",
        confidence: tuple[ApproachName, float, float] | None = None,
    ) -> tuple[Compared, ...]:
        """The texts on which all of `wrong` are wrong, with one of `labels`, that hold `text` (any case).

        `confidence` is (approach, lowest, highest); texts without a confidence of it are left out.
        """
        needle, wanted = text.casefold(), frozenset(labels)
        return tuple(
            compared
            for compared in self.texts
            if all(compared.wrong(approach) for approach in wrong)
            and (not wanted or wanted & compared.labels)
            and needle in compared.example.text.casefold()
            and (confidence is None or _within(compared, *confidence))
        )


def _within(compared: Compared, approach: ApproachName, low: float, high: float) -> bool:
    said = compared.said.get(approach)
    return said is not None and said.confidence is not None and low <= said.confidence <= high


def compare(project: Project) -> Comparison:
    """The approaches on the dev gold, from what is kept of them: no model runs and nothing is asked.

    The model is as it was before it learned from the dev texts.

    Raises:
        LLMError: an LLM is configured that must not be asked.
    """
    gold = DevGold(tuple(item for item in project.dev_gold() if item.complete))
    approaches, said = [], {}
    for approach, (key, name) in _keys(project).items():
        said[approach] = _kept(project, key, gold)
        approaches.append(_approach(project, approach, name, gold, said[approach]))
    texts = tuple(
        Compared(
            item.example,
            item.annotation,
            {name: of[item.example.input_hash] for name, of in said.items() if item.example.input_hash in of},
        )
        for item in gold
    )
    return Comparison(project.scheme, tuple(approaches), texts)


def _keys(project: Project) -> dict[ApproachName, tuple[str, str]]:
    """The approaches that the project has, each with where its dev predictions are kept, and its name."""
    found: dict[ApproachName, tuple[str, str]] = {}
    for source in (rules_source(project), llm_source(project)):
        if source is not None:
            found[source.approach] = (source.key, source.name)
    for record in project.store.rounds():
        if record.model is not None and record.fingerprint is not None:
            path = project.folder / record.model
            model = ModelSource(path, record.number, record.fingerprint, project.scheme)
            found["model"] = (model.dev_key, model.name)
    return found


def _kept(project: Project, key: str, gold: DevGold) -> dict[str, Said]:
    """What is kept of a source; an answer that could not be understood is an empty one, and its mistake."""
    truth = {item.example.input_hash: item.annotation for item in gold}
    found = {}
    for name, (annotation, detail) in project.predictions(key, hashes=list(truth)).items():
        if annotation is None and detail.get("status") not in ANSWERED_WRONGLY:
            continue
        said = annotation or Annotation()
        right = annotation is not None and said == truth[name]
        found[name] = Said(said, right, detail.get("score"), detail.get("reason") or "")
    return found


def _approach(
    project: Project, approach: ApproachName, name: str, gold: DevGold, said: Mapping[str, Said]
) -> Approach:
    read = [item for item in gold if item.example.input_hash in said]
    predictions = {text: value.annotation for text, value in said.items()}
    seed = project.settings.training.seed
    scores = score(project.scheme, read, predictions, seed=seed) if read else None
    return Approach(approach, name, scores, len(gold) - len(read))


def ask_missing(project: Project, *, on_progress: OnProgress = silent) -> tuple[ApproachName, ...]:
    """Let rules and LLM read the dev texts with gold that they have not read; returns who still has not.

    A model cannot be asked: it has learned from the dev texts, and must be trained again with them.

    Raises:
        LLMError: the LLM cannot be reached; what was read until then is kept.
        StoreError: another process is at work on the project.
    """
    gold = list(project.dev_gold())
    examples = [item.example for item in gold if item.complete]
    with project.exclusive("ask about the dev texts"):
        sources: tuple[Source | None, ...] = (rules_source(project), llm_source(project, purpose="compare"))
        for source in sources:
            if source is not None:
                ask_source(project, source, examples, on_progress=on_progress)
    return tuple(found.approach for found in compare(project).approaches if found.missing)


def choices(compared: Compared) -> tuple[Span | str, ...]:
    """All that the gold or an approach says of the text, in reading order: what gold is chosen from."""
    annotations = (compared.gold, *(said.annotation for said in compared.said.values()))
    spans = {span for annotation in annotations for span in annotation.spans}
    labels = {label for annotation in annotations for label in annotation.labels}
    return (*sorted(spans), *sorted(labels))


def fix_gold(project: Project, compared: Compared, annotation: Annotation, *, reviewer: str) -> Answer:
    """Settle a dev text's gold: a reviewer's decision, appended, which counts alone from now on.

    Raises:
        SchemeError: the annotation does not fit the project or the text; nothing is kept then.
        AnnoloopError: nobody was ever asked about the text.
    """
    example = compared.example
    Comparison(project.scheme, (), (compared,))
    project.scheme.check(annotation, example.text)
    if project.scheme.is_exclusive and not annotation.labels:
        raise AnnoloopError("a text needs a category", hint="choose one")
    task = project.task(example, number=0)
    if not project.store.tasks_by_hash([task.task_hash]):
        # Gold that came with the texts: the decision needs a question to belong to.
        project.store.add_tasks([task])
    before = [answer.seq for answer in project.store.answers_in_force(hashes=[example.input_hash])]
    answer = Answer(
        answer_id=uuid.uuid4().hex,
        task_hash=task.task_hash,
        input_hash=example.input_hash,
        verdict="accept",
        annotation=annotation,
        annotator=reviewer,
        milliseconds=0,
        seq=max(time.time_ns() // 1000, *(seq + 1 for seq in before)),
        adjudicated=True,
    )
    project.store.save_answers([answer])
    return answer


def send_to_review(project: Project, compared: Compared) -> bool:
    """Let a reviewer decide on a dev text's gold; False where a decision on it stands."""
    example = compared.example
    Comparison(project.scheme, (), (compared,))
    task = project.task(example, number=0)
    project.store.add_tasks([task])
    return project.store.send_to_review(task.task_hash)


def _parts(annotation: Annotation) -> tuple[Span | str, ...]:
    return (*annotation.spans, *annotation.labels)
