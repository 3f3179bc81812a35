"""What is asked of an LLM about a text, and what its answer means: no spaCy, no network."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from annoloop.llm.align import Mention, align, find
from annoloop.llm.answers import Malformed, Message, Prompt
from annoloop.llm.prompting import render, template_version
from annoloop.types import Annotation, LabelScheme

Style = Literal["entities", "by_label"]
REASON = "reason"
"""The key of an LLM's reason in its answers."""
REASON_LONGEST = 160
"""Characters of a reason, where the server enforces a limit."""
CLOSED_LONGEST = 4
"""Tokens in the longest quote that a closed list of quotes offers."""


@dataclass(frozen=True, slots=True)
class Shot:
    """A text with its right answer, shown to the LLM before the question."""

    text: str
    annotation: Annotation


@dataclass(frozen=True, slots=True)
class Reading:
    """An answer understood: what it says about the text, what of it could not be placed, and why it says so.

    `reason` is empty where none was asked for or none came.
    """

    annotation: Annotation
    unaligned: tuple[str, ...] = ()
    ambiguous: bool = False
    reason: str = ""


class Question(Protocol):
    """A kind of question: makes prompts and reads answers."""

    @property
    def version(self) -> str:
        """The prompt template's name, which counts as part of what shaped an answer."""

    def prompt(self, text: str) -> Prompt:
        """The prompt that asks about this text."""

    def read(self, text: str, parsed: Any) -> Reading:
        """What a checked answer says about this text.

        Raises:
            Malformed: the answer does not fit the question.
        """


def _turns(system: str, shown: Sequence[tuple[str, str]], question: str) -> tuple[Message, ...]:
    messages: list[Message] = [{"role": "system", "content": system}]
    for asked, answered in shown:
        messages.append({"role": "user", "content": asked})
        messages.append({"role": "assistant", "content": answered})
    return (*messages, {"role": "user", "content": question})


def _dumped(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _object(properties: Mapping[str, Any]) -> dict[str, Any]:
    """A JSON schema of an object as strict servers want it: all required, nothing else."""
    return {
        "type": "object",
        "properties": dict(properties),
        "required": list(properties),
        "additionalProperties": False,
    }


def _known(label: Any, scheme: LabelScheme) -> str:
    """The label as the scheme spells it; small differences in case and blanks are forgiven."""
    if isinstance(label, str):
        if label in scheme.labels:
            return label
        same = [one for one in scheme.labels if one.casefold() == label.strip().casefold()]
        if len(same) == 1:
            return same[0]
    raise Malformed(f"{label!r} is not one of the labels {', '.join(scheme.labels)}")


@dataclass(frozen=True)
class SpanQuestion:
    """Which spans of a text carry which label: the LLM quotes, `align` finds the place.

    `style` "entities" asks for quote, label and occurrence; "by_label" for a list of quotes under each label,
    which a small model answers faster and better. `closed` gives for a text the only quotes allowed, or None.
    `most` limits the quotes in the schema, for servers that enforce such limits. `include_reason` asks why:
    for every quote, or with "by_label" once a text. `template` is "ner.v1", or "spancat.v1", whose words say
    that spans may overlap. `words` are a project's own template where it has one.
    """

    scheme: LabelScheme
    lang: str = "en"
    few_shot: tuple[Shot, ...] = ()
    guidelines: str | None = None
    style: Style = "entities"
    closed: Callable[[str], list[str] | None] | None = None
    most: int | None = None
    include_reason: bool = False
    template: str = "ner.v1"
    words: str = ""
    _fixed: dict[str, Any] = field(default_factory=dict, repr=False, compare=False)

    @property
    def version(self) -> str:
        """E.g. "ner.v1.de"."""
        return template_version(self.template, self.lang)

    def prompt(self, text: str) -> Prompt:
        """Instruction, the few-shot examples as turns, the text; the schema of the answer beside it."""
        if not self._fixed:
            self._fixed["system"] = render(
                self.version,
                "system",
                self.words,
                labels=self.scheme.labels,
                definitions=self.scheme.definitions,
                guidelines=self.guidelines,
                style=self.style,
                include_reason=self.include_reason,
            )
            self._fixed["shown"] = [(self._asked(shot.text), self._answered(shot)) for shot in self.few_shot]
        turns = _turns(self._fixed["system"], self._fixed["shown"], self._asked(text))
        return Prompt(turns, schema=self._schema(text), check=self._check, repair=self._repair)

    def read(self, text: str, parsed: Any) -> Reading:
        """The spans that the quotes stand at."""
        found = align(text, self._mentions(parsed), allow_overlap=self.scheme.kind == "spancat")
        reason = self._reason(parsed) if self.include_reason else ""
        return Reading(Annotation(spans=found.spans), found.unaligned, found.ambiguous, reason)

    def _reason(self, parsed: Mapping[str, Any]) -> str:
        """The LLM's reason for the text, or one line a quote."""
        if REASON in parsed and REASON not in self.scheme.labels:
            return _words(parsed[REASON])
        items = parsed.get("entities")
        entries = [one for one in items if isinstance(one, Mapping)] if isinstance(items, list) else []
        lines = [(_words(one.get("quote")), _words(one.get(REASON))) for one in entries]
        return "\n".join(dict.fromkeys(f"{quote}: {why}" for quote, why in lines if why))

    def _asked(self, text: str) -> str:
        return render(self.version, "question", self.words, text=text)

    def _repair(self, reason: str) -> str:
        return render(self.version, "repair", self.words, reason=reason)

    def _check(self, parsed: Any) -> None:
        self._mentions(parsed)

    def _answered(self, shot: Shot) -> str:
        quotes = [(shot.text[span.start : span.end], span) for span in shot.annotation.spans]
        if self.style == "by_label":
            return _dumped({lb: [q for q, span in quotes if span.label == lb] for lb in self.scheme.labels})
        return _dumped(
            {
                "entities": [
                    {"quote": q, "label": span.label, "occurrence": _occurrence(shot.text, q, span.start)}
                    for q, span in quotes
                ]
            }
        )

    def _schema(self, text: str) -> dict[str, Any]:
        quotes = self.closed(text) if self.closed else None
        quote: dict[str, Any] = {"type": "string"}
        if quotes is not None:
            quote["enum"] = quotes
        elif self.most is not None:
            quote["maxLength"] = 80
        limit = {} if self.most is None else {"maxItems": self.most if quotes != [] else 0}
        if quotes == []:
            quote = {"type": "string"}
        reason = _reason_form(self.include_reason, self.most)
        if self.style == "by_label":
            lists = {lb: {"type": "array", "items": quote, **limit} for lb in self.scheme.labels}
            # A label of that name keeps its list.
            return _object({**lists, **{name: form for name, form in reason.items() if name not in lists}})
        item = _object(
            {
                "quote": quote,
                "label": {"type": "string", "enum": list(self.scheme.labels)},
                "occurrence": {"type": "integer"},
                **reason,
            }
        )
        return _object({"entities": {"type": "array", "items": item, **limit}})

    def _mentions(self, parsed: Any) -> list[Mention]:
        """Both styles are understood whichever was asked for, with or without occurrences."""
        if not isinstance(parsed, Mapping):
            raise Malformed("the answer is not a JSON object")
        if "entities" in parsed and "entities" not in self.scheme.labels:
            return [self._mention(item, None) for item in _list(parsed["entities"])]
        known = {key: value for key, value in parsed.items() if key in self.scheme.labels}
        if not known:
            wanted = "entities" if self.style == "entities" else ", ".join(self.scheme.labels)
            raise Malformed(f"the JSON object has no {wanted}")
        return [self._mention(item, label) for label, items in known.items() for item in _list(items)]

    def _mention(self, item: Any, label: str | None) -> Mention:
        if isinstance(item, str) and label is not None:
            return Mention(item, label)
        if not isinstance(item, Mapping) or not isinstance(item.get("quote"), str):
            raise Malformed(f"{_dumped(item)[:80]} has no quote")
        occurrence = item.get("occurrence")
        counted = occurrence if type(occurrence) is int and occurrence > 0 else None
        return Mention(item["quote"], label or _known(item.get("label"), self.scheme), counted)


def _occurrence(text: str, quote: str, start: int) -> int:
    """Which place of the quote this is, counted as `align` counts."""
    return sum(1 for place, _ in find(text, quote)[0] if place < start) + 1


def _reason_form(wanted: bool, most: int | None) -> dict[str, Any]:
    """The schema's property of a reason; strict servers elsewhere refuse a limit of length."""
    limit = {} if most is None else {"maxLength": REASON_LONGEST}
    return {REASON: {"type": "string", **limit}} if wanted else {}


def _words(value: Any) -> str:
    """Text on one line; an answer's reason may be anything and never makes it malformed."""
    return " ".join(value.split()) if isinstance(value, str) else ""


def _list(value: Any) -> list[Any]:
    if value is None:
        return []
    if not isinstance(value, list):
        raise Malformed(f"{_dumped(value)[:80]} is not a list")
    return value


@dataclass(frozen=True)
class CategoryQuestion:
    """Which category fits a text, or which ones where the scheme is not exclusive.

    `include_reason` asks why; `most` is not None for servers that enforce limits on lengths. `words` are a
    project's own template where it has one.
    """

    scheme: LabelScheme
    lang: str = "en"
    few_shot: tuple[Shot, ...] = ()
    guidelines: str | None = None
    most: int | None = None
    include_reason: bool = False
    words: str = ""
    _fixed: dict[str, Any] = field(default_factory=dict, repr=False, compare=False)

    @property
    def version(self) -> str:
        """E.g. "textcat.v1.en"."""
        return template_version("textcat.v1", self.lang)

    def prompt(self, text: str) -> Prompt:
        """Instruction, the few-shot examples as turns, the text; the schema of the answer beside it."""
        if not self._fixed:
            self._fixed["system"] = render(
                self.version,
                "system",
                self.words,
                labels=self.scheme.labels,
                definitions=self.scheme.definitions,
                guidelines=self.guidelines,
                exclusive=self.scheme.is_exclusive,
                include_reason=self.include_reason,
            )
            self._fixed["shown"] = [(self._asked(shot.text), self._answered(shot)) for shot in self.few_shot]
        turns = _turns(self._fixed["system"], self._fixed["shown"], self._asked(text))
        return Prompt(turns, schema=self._schema(), check=self._check, repair=self._repair)

    def read(self, text: str, parsed: Any) -> Reading:
        """The categories named."""
        reason = _words(parsed.get(REASON)) if self.include_reason else ""
        return Reading(Annotation(labels=self._labels(parsed)), reason=reason)

    def _asked(self, text: str) -> str:
        return render(self.version, "question", self.words, text=text)

    def _repair(self, reason: str) -> str:
        return render(self.version, "repair", self.words, reason=reason)

    def _check(self, parsed: Any) -> None:
        self._labels(parsed)

    def _answered(self, shot: Shot) -> str:
        labels = [label for label in self.scheme.labels if label in shot.annotation.labels]
        return _dumped({"label": labels[0]} if self.scheme.is_exclusive and labels else {"labels": labels})

    def _schema(self) -> dict[str, Any]:
        one = {"type": "string", "enum": list(self.scheme.labels)}
        key, form = (
            ("label", one) if self.scheme.is_exclusive else ("labels", {"type": "array", "items": one})
        )
        return _object({key: form, **_reason_form(self.include_reason, self.most)})

    def _labels(self, parsed: Any) -> tuple[str, ...]:
        if not isinstance(parsed, Mapping):
            raise Malformed("the answer is not a JSON object")
        given = parsed.get("label", parsed.get("labels"))
        if given is None:
            raise Malformed("the JSON object has no label")
        labels = tuple(_known(one, self.scheme) for one in (given if isinstance(given, list) else [given]))
        if self.scheme.is_exclusive and len(set(labels)) != 1:
            raise Malformed(f"{len(set(labels))} categories where one is asked for")
        return labels
