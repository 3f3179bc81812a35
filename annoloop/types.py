"""The vocabulary: frozen values that every folder takes and returns.

Nothing here needs spaCy, a database or a file. Offsets are code points, half-open.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

from annoloop.errors import BlindnessError, SchemeError

Kind = Literal["ner", "spancat", "textcat", "textcat_multilabel"]
Split = Literal["pool", "dev", "held_out"]
Verdict = Literal["accept", "reject", "ignore"]
Role = Literal["expert", "reviewer", "developer"]
Decision = Literal["rules_suffice", "beats_llm", "level", "llm_ahead", "no_llm", "refused"]

STRATEGY_GROUP = "annoloop.strategies"
"""The entry point group of the strategies that packages bring along."""

KINDS: tuple[Kind, ...] = ("ner", "spancat", "textcat", "textcat_multilabel")
SPLITS: tuple[Split, ...] = ("pool", "dev", "held_out")


@dataclass(frozen=True, slots=True, order=True)
class Span:
    """A labelled stretch of a text: code-point offsets, `end` exclusive."""

    start: int
    end: int
    label: str


@dataclass(frozen=True, slots=True)
class Annotation:
    """What somebody or something says about one text: its categories and its spans.

    The one value shared by suggestions, answers, gold and predictions. Spans are kept sorted, so
    that equal annotations compare equal.
    """

    labels: tuple[str, ...] = ()
    spans: tuple[Span, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "labels", tuple(sorted(set(self.labels))))
        object.__setattr__(self, "spans", tuple(sorted(set(self.spans))))


@dataclass(frozen=True, slots=True)
class LabelScheme:
    """The question asked of every text: its kind, its labels in the order shown, what they mean.

    `renamed` maps labels that the project once had to those that stand for them now: answers keep what
    was said, gold speaks the new names, and taking the entry out takes the renaming back.
    """

    kind: Kind
    labels: tuple[str, ...]
    definitions: Mapping[str, str] = field(default_factory=dict)
    renamed: Mapping[str, str] = field(default_factory=dict)

    @property
    def has_spans(self) -> bool:
        """Whether the answer to this question is a set of spans (else: categories)."""
        return self.kind in ("ner", "spancat")

    @property
    def is_exclusive(self) -> bool:
        """Whether a text has exactly one category."""
        return self.kind == "textcat"

    def rename(self, annotation: Annotation) -> Annotation:
        """The annotation with the names that its labels have now."""
        names = self.renamed
        if not names:
            return annotation
        return Annotation(
            tuple(names.get(label, label) for label in annotation.labels),
            tuple(Span(s.start, s.end, names.get(s.label, s.label)) for s in annotation.spans),
        )

    def current(self, annotation: Annotation) -> Annotation:
        """The annotation in the labels of now: old names replaced, labels that are gone left out."""
        renamed = self.rename(annotation)
        return Annotation(
            tuple(label for label in renamed.labels if label in self.labels),
            tuple(span for span in renamed.spans if span.label in self.labels),
        )

    def check(self, annotation: Annotation, text: str) -> None:
        """Raise `SchemeError` where the annotation does not fit this scheme or the text."""
        for name in (*annotation.labels, *(s.label for s in annotation.spans)):
            if name not in self.labels:
                known = ", ".join(self.labels)
                raise SchemeError(f"label {name!r} is not in the project", hint=f"known labels: {known}")
        for span in annotation.spans:
            if not 0 <= span.start < span.end <= len(text):
                where = f"span {span.start}-{span.end} ({span.label})"
                raise SchemeError(
                    f"{where} lies outside the text of {len(text)} characters",
                    hint="offsets are code points, half-open",
                )
        if self.kind == "ner":
            for left, right in zip(annotation.spans, annotation.spans[1:], strict=False):
                if right.start < left.end:
                    raise SchemeError(
                        f"spans {left.start}-{left.end} and {right.start}-{right.end} overlap",
                        hint="kind ner takes no overlapping spans; kind spancat does",
                    )
        if self.is_exclusive and len(annotation.labels) > 1:
            raise SchemeError(
                f"{len(annotation.labels)} categories for one text: {', '.join(annotation.labels)}",
                hint="kind textcat takes one; kind textcat_multilabel takes several",
            )
        if self.has_spans and annotation.labels:
            raise SchemeError("categories in a project of spans", hint=f"the project's kind is {self.kind}")
        if not self.has_spans and annotation.spans:
            raise SchemeError("spans in a project of categories", hint=f"the project's kind is {self.kind}")


@dataclass(frozen=True, slots=True)
class Example:
    """One text of the corpus. `input_hash` names it; `split` is set by hash and frozen before round 1."""

    input_hash: str
    text: str
    meta: Mapping[str, Any] = field(default_factory=dict)
    split: Split = "pool"


@dataclass(frozen=True, slots=True)
class Suggestion:
    """A pre-annotation. `source` names the rules' version, the LLM with its prompt, or the model's round.

    `score` is from 0 to 1, None where the source gives none. `reason` is why the source says so, in words
    or as the patterns that matched; empty where it gives none. `unplaced` are the quotes of an LLM that found
    no place in the text: shown beside the suggestion, never dropped.
    """

    annotation: Annotation
    score: float | None
    source: str
    reason: str = ""
    unplaced: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Task:
    """A question to an expert. A held-out or dev text is never assisted: its task carries no suggestion.

    `wanted` is how many annotators are to answer it.
    """

    task_hash: str
    example: Example
    suggestion: Suggestion | None
    assisted: bool
    priority: float
    round: int
    wanted: int = 1


@dataclass(frozen=True, slots=True)
class Answer:
    """What an annotator said about a task. Append-only; the annotator's highest `seq` is in force.

    `seq` is in microseconds since 1970 as counted by the client. `retracted` marks an undo: it takes
    the annotator's earlier answer back and says nothing instead. `blind` says that the annotator saw
    no suggestion. `comment` and `flagged` are the annotator's own notes. `adjudicated` marks a reviewer's
    decision over differing answers: it counts alone, and stands beside what the same person answered
    as an annotator.
    """

    answer_id: str
    task_hash: str
    input_hash: str
    verdict: Verdict
    annotation: Annotation
    annotator: str
    milliseconds: int
    seq: int
    blind: bool = False
    simulated: bool = False
    retracted: bool = False
    comment: str = ""
    flagged: bool = False
    adjudicated: bool = False


@dataclass(frozen=True, slots=True)
class Gold:
    """The truth about one text, derived from the answers in force, never edited.

    `complete` is False where the answers say only what is *not* there (a rejected suggestion).
    `blind` is True where every answer behind it was made without a suggestion.
    """

    example: Example
    annotation: Annotation
    annotators: tuple[str, ...] = ()
    complete: bool = True
    blind: bool = False
    simulated: bool = False


@dataclass(frozen=True)
class GoldSet:
    """Gold of one split only: the type that keeps the held-out set out of everything that learns.

    Raises:
        BlindnessError: a gold of another split was put in.
    """

    split: ClassVar[Split]
    items: tuple[Gold, ...] = ()

    def __post_init__(self) -> None:
        for gold in self.items:
            if gold.example.split != self.split:
                raise BlindnessError(
                    f"text {gold.example.input_hash} is in {gold.example.split}, not in {self.split}",
                    hint="held-out texts may be used for evaluation only",
                )

    def __len__(self) -> int:
        return len(self.items)

    def __iter__(self) -> Iterator[Gold]:
        return iter(self.items)


class PoolGold(GoldSet):
    """Gold to learn from: the only gold that training, rules and few-shot prompts accept."""

    split = "pool"


class DevGold(GoldSet):
    """Gold to choose by: recipes, thresholds, the source of suggestions."""

    split = "dev"


class HeldOutGold(GoldSet):
    """Gold to judge by. Only `annoloop.evaluation` takes it."""

    split = "held_out"


@dataclass(frozen=True, slots=True)
class Counts:
    """True positives, false positives, false negatives: a value that adds."""

    tp: int = 0
    fp: int = 0
    fn: int = 0

    def __add__(self, other: Counts) -> Counts:
        return Counts(self.tp + other.tp, self.fp + other.fp, self.fn + other.fn)

    @property
    def precision(self) -> float | None:
        """tp / (tp + fp); None where nothing was predicted."""
        return self.tp / (self.tp + self.fp) if self.tp + self.fp else None

    @property
    def recall(self) -> float | None:
        """tp / (tp + fn); None where there was nothing to find."""
        return self.tp / (self.tp + self.fn) if self.tp + self.fn else None

    @property
    def f(self) -> float | None:
        """Harmonic mean of precision and recall, 2tp / (2tp + fp + fn); None where all three are 0."""
        total = 2 * self.tp + self.fp + self.fn
        return 2 * self.tp / total if total else None


@dataclass(frozen=True, slots=True)
class Scores:
    """How well one approach did on one set of gold. An undefined metric is None, never 0.

    `score` is the project's headline: micro F of exact spans for span kinds, accuracy for single-choice
    categories, micro F for several. `macro_f` averages the labels' F. `interval` is the 95 % bootstrap
    interval of `score` over documents. `missing` counts the texts without a prediction: each counts as
    an empty one.
    """

    texts: int
    score: float | None
    precision: float | None
    recall: float | None
    macro_f: float | None
    interval: tuple[float, float] | None
    per_label: Mapping[str, Counts] = field(default_factory=dict)
    missing: int = 0


@dataclass(frozen=True, slots=True)
class Round:
    """One turn of the loop, as the store keeps it: what was asked, what was trained, how it scored.

    `model` is a path below the project folder; `fingerprint` names the gold, recipe and seed behind it.
    `joined` says how the rules joined the model, "fill" or "override"; None where they did not. `dev_seeds`
    are the scores on dev of its recipe with several seeds, each after the pool's gold and without rules that
    join; empty where nobody asked for them.
    """

    number: int
    strategy: str
    seed: int
    tasks: tuple[str, ...] = ()
    gold_texts: int = 0
    model: str | None = None
    recipe: str | None = None
    fingerprint: str | None = None
    dev: Scores | None = None
    held_out: Scores | None = None
    joined: str | None = None
    dev_seeds: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class GateVerdict:
    """The gate's decision after one round: what it is, why, and the test behind it."""

    decision: Decision
    reason: str
    p_value: float | None = None
    alpha: float | None = None
    delta: float | None = None
    delta_interval: tuple[float, float] | None = None


@dataclass(frozen=True, slots=True)
class LLMCall:
    """One request to an LLM, whatever became of it: what the ledger keeps. None is unknown, never 0.

    `key` names the answer that it was made for; a repair turn and a retry are calls of their own, counted by
    `attempt` from 1. `at` is in microseconds since 1970, `cost` in the currency of `price` (prices per
    million tokens, and their date). `reach` is where it went: loopback, private or public. `http` is the
    response's status code, None where none came. `redaction` is the version of the masks, "" without any.
    `characters` counts the prompt. No field may hold words of the text: `reason` neither.
    `run`, `purpose` and `round` say whose call it was; the ledger fills them in.
    """

    key: str
    at: int
    attempt: int = 1
    endpoint: str = ""
    reach: str = ""
    model: str = ""
    parameters: Mapping[str, Any] = field(default_factory=dict)
    template: str = ""
    redaction: str = ""
    status: str = "ok"
    http: int | None = None
    prompt_tokens: int | None = None
    cached_tokens: int | None = None
    completion_tokens: int | None = None
    cost: float | None = None
    price: Mapping[str, Any] | None = None
    milliseconds: int = 0
    reason: str = ""
    characters: int = 0
    input_hash: str | None = None
    run: str | None = None
    purpose: str = ""
    round: int | None = None


@dataclass(frozen=True, slots=True)
class LeaderboardRow:
    """One approach on the table: quality, speed, size, cost, human minutes. None where it was not measured.

    `cost` is the money per 1,000 texts, `megabytes` the size on disk (1 MB = 10^6 bytes).
    """

    approach: Literal["rules", "llm", "model"]
    name: str
    scores: Scores
    texts_per_second: float | None = None
    words_per_second: float | None = None
    megabytes: float | None = None
    cost: float | None = None
    tokens: int | None = None
    human_minutes: float | None = None
    note: str = ""
