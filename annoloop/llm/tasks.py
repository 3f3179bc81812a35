"""annoloop's tasks for spacy-llm's registry, `annoloop.NER.v1` and so on. Imports spaCy: import it late."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Iterable  # noqa: UP035 - spacy-llm compares signatures with typing.Iterable

from spacy.tokens import Doc

from annoloop.corpus.spacy_io import SPANS_KEY
from annoloop.errors import LLMError
from annoloop.llm.answers import Answer, Malformed, Prompt
from annoloop.llm.chat import checked
from annoloop.llm.questions import CategoryQuestion, Question, Reading, Shot, SpanQuestion
from annoloop.types import Annotation, LabelScheme, Span

Examples = list[dict[str, Any]] | Callable[[], Any] | None


class QuestionTask:
    """A question as spacy-llm's task.

    Spans go to `doc.spans[spans_key]` where a key is given, else to the entities. Beside these or the
    categories, `doc.user_data["llm_status"]` holds the answer's status,
    `doc.user_data["llm_unaligned"]` the quotes without a place, and
    `doc.user_data["llm_reason"]` the LLM's reason where `include_reason` asked for it. Where the status is
    not ok the doc is left without any annotation, which is not the same as "no entities".
    """

    def __init__(self, question: Question, scheme: LabelScheme, *, spans_key: str | None = None) -> None:
        self.question = question
        self._scheme = scheme
        self._spans_key = spans_key

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels asked for."""
        return self._scheme.labels

    def add_label(self, label: str, label_definition: str | None = None) -> int:
        """Labels are set in the config: a changed prompt is a changed task."""
        raise LLMError(f"label {label!r} cannot be added to a prompt in use", hint="name it in the config")

    def clear(self) -> None:
        """Labels are set in the config: a changed prompt is a changed task."""
        raise LLMError("the labels of a prompt in use cannot be removed", hint="name them in the config")

    def generate_prompts(self, docs: Iterable[Doc]) -> Iterable[Any]:
        """One `Prompt` a doc."""
        for doc in docs:
            yield self.question.prompt(doc.text)

    def parse_responses(self, docs: Iterable[Doc], responses: Iterable[Any]) -> Iterable[Doc]:
        """Set what the answers say on the docs."""
        for doc, response in zip(docs, responses, strict=True):
            answer = response if isinstance(response, str) else next(iter(response))
            self._set(doc, *self._read(doc.text, answer))
            yield doc

    def _read(self, text: str, answer: str) -> tuple[str, Reading | None]:
        status = answer.status if isinstance(answer, Answer) else "ok"
        if status != "ok":
            return status, None
        try:
            parsed = answer.parsed if isinstance(answer, Answer) else None
            if parsed is None:
                parsed = checked(self.question.prompt(text), str(answer))
            return "ok", self.question.read(text, parsed)
        except Malformed:
            return "malformed", None

    def _set(self, doc: Doc, status: str, reading: Reading | None) -> None:
        doc.user_data["llm_status"] = status
        if reading is None:
            return
        unaligned = list(reading.unaligned)
        if reading.reason:
            doc.user_data["llm_reason"] = reading.reason
        if self._scheme.has_spans:
            found = []
            for span in reading.annotation.spans:
                tokens = doc.char_span(span.start, span.end, label=span.label)
                if tokens is None:
                    unaligned.append(doc.text[span.start : span.end])
                else:
                    found.append(tokens)
            if self._spans_key is None:
                doc.set_ents(found)
            else:
                doc.spans[self._spans_key] = found
        else:
            doc.cats = {label: float(label in reading.annotation.labels) for label in self.labels}
        doc.user_data["llm_unaligned"] = unaligned


def _scheme(labels: list[str] | str, definitions: Mapping[str, str] | None, kind: str) -> LabelScheme:
    names = [name.strip() for name in labels.split(",")] if isinstance(labels, str) else list(labels)
    names = list(dict.fromkeys(name for name in names if name))
    if not names:
        raise LLMError("llm -> task -> labels: none given", hint='for example labels = ["PERSON", "PLACE"]')
    return LabelScheme(kind, tuple(names), dict(definitions or {}))  # type: ignore[arg-type]


def _shots(examples: Examples, scheme: LabelScheme) -> Iterator[Shot]:
    rows = examples() if callable(examples) else examples or []
    for row in rows:
        spans = tuple(Span(one["start"], one["end"], one["label"]) for one in row.get("spans", ()))
        labels = row.get("labels", [row["label"]] if "label" in row else [])
        annotation = Annotation(labels=tuple(labels), spans=spans)
        scheme.check(annotation, row["text"])
        yield Shot(row["text"], annotation)


def make_ner_task(
    labels: list[str] | str,
    label_definitions: dict[str, str] | None = None,
    examples: Examples = None,
    guidelines: str | None = None,
    lang: str = "en",
    style: str = "entities",
    include_reason: bool = False,
) -> QuestionTask:
    """`annoloop.NER.v1`: quotes with their occurrence, placed exactly.

    `examples` are rows {"text", "spans": [{"start", "end", "label"}]} or a reader of such rows; `style` is
    "entities", or "by_label" for very small models.
    """
    scheme = _scheme(labels, label_definitions, "ner")
    shots = tuple(_shots(examples, scheme))
    return QuestionTask(_span_question(scheme, lang, shots, guidelines, style, include_reason), scheme)


def make_spancat_task(
    labels: list[str] | str,
    label_definitions: dict[str, str] | None = None,
    examples: Examples = None,
    guidelines: str | None = None,
    lang: str = "en",
    style: str = "entities",
    include_reason: bool = False,
    spans_key: str = SPANS_KEY,
) -> QuestionTask:
    """`annoloop.SpanCat.v1`: as `annoloop.NER.v1`, but spans may overlap and go to `doc.spans[spans_key]`."""
    scheme = _scheme(labels, label_definitions, "spancat")
    shots = tuple(_shots(examples, scheme))
    question = _span_question(scheme, lang, shots, guidelines, style, include_reason)
    return QuestionTask(question, scheme, spans_key=spans_key)


def _span_question(
    scheme: LabelScheme,
    lang: str,
    shots: tuple[Shot, ...],
    guidelines: str | None,
    style: str,
    include_reason: bool,
) -> SpanQuestion:
    if style not in ("entities", "by_label"):
        raise LLMError(f"llm -> task -> style: {style!r} is not one of entities, by_label")
    return SpanQuestion(
        scheme,
        lang,
        shots,
        guidelines,
        style=style,  # type: ignore[arg-type]
        include_reason=include_reason,
        template="spancat.v1" if scheme.kind == "spancat" else "ner.v1",
    )


def make_textcat_task(
    labels: list[str] | str,
    label_definitions: dict[str, str] | None = None,
    examples: Examples = None,
    guidelines: str | None = None,
    lang: str = "en",
    exclusive_classes: bool = True,
    include_reason: bool = False,
) -> QuestionTask:
    """`annoloop.TextCat.v1`: one category, or several where they are not exclusive.

    `examples` are rows {"text", "label"} or {"text", "labels"}, or a reader of such rows.
    """
    scheme = _scheme(labels, label_definitions, "textcat" if exclusive_classes else "textcat_multilabel")
    shots = tuple(_shots(examples, scheme))
    return QuestionTask(
        CategoryQuestion(scheme, lang, shots, guidelines, include_reason=include_reason), scheme
    )


__all__ = ["Prompt", "QuestionTask", "make_ner_task", "make_spancat_task", "make_textcat_task"]
