"""An LLM made ready for texts: the one way on which they are masked, cut, asked about, read and joined.

What an estimate counts before a run are the prompts of the same code that the run then sends.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from annoloop.errors import LLMError
from annoloop.llm.answers import Answer, AnswerCache, LLMResult, Prompt
from annoloop.llm.asking import OWN_TASKS, Asked, make_question, result_of
from annoloop.llm.budget import Budget, Rehearsal
from annoloop.llm.configured import is_own_task, model_of
from annoloop.llm.endpoint import OnOpen, OnSend
from annoloop.llm.few_shot import FewShot, few_shot_size, refuse_blind, shots_of
from annoloop.llm.local import CONTEXT
from annoloop.llm.model import OpenAIModel
from annoloop.llm.pieces import Piece, joined, pieces
from annoloop.llm.questions import Question, Shot
from annoloop.llm.redaction.redactor import Masking, Redactor
from annoloop.types import Annotation, Example, LabelScheme

SERVER_LONGEST = 24_000
"""Characters of a text that a server is asked about at once: some 8,000 tokens, which models in use take."""
_EMBEDDED_LEAST = 300
_ASCII_PER_TOKEN = 2.5


class Form(Protocol):
    """A way to ask about a text: our own question, or a task of spacy-llm."""

    @property
    def template(self) -> str:
        """The words that it asks with, by name and version."""

    def ask(self, example: Example) -> Asked:
        """The prompts that ask about this text, at least one, and how to read what they are answered."""


@dataclass(frozen=True)
class OwnForm:
    """Our own questions, about each piece of a long text. `longest` gives for a text a piece's characters."""

    question: Question
    scheme: LabelScheme
    lang: str
    longest: Callable[[str], int]

    @property
    def template(self) -> str:
        """The question's."""
        return self.question.version

    def ask(self, example: Example) -> Asked:
        """One prompt a piece; a piece of blanks alone is not asked about."""
        cut = pieces(example.text, longest=self.longest(example.text), lang=self.lang)
        if len(cut) > 1:
            cut = tuple(piece for piece in cut if piece.text.strip()) or cut[:1]
        return Asked([self.question.prompt(piece.text) for piece in cut], partial(self._read, example, cut))

    def _read(self, example: Example, cut: Sequence[Piece], answers: Sequence[Answer]) -> LLMResult:
        parts = [
            (piece, result_of(replace(example, text=piece.text), answer, self.question))
            for piece, answer in zip(cut, answers, strict=True)
        ]
        return joined(parts, self.scheme)


@dataclass(frozen=True)
class Prepared:
    """An LLM with its question and its examples. `model` is asked, by `form`; what is shown are `shots`."""

    model: Any
    form: Form
    shots: tuple[Shot, ...] = ()
    redactor: Redactor | None = None

    def prompts(self, examples: Iterable[Example]) -> Iterator[Prompt]:
        """What asking about these texts would send, one after the other: nothing is sent.

        Raises:
            BlindnessError: a text to be judged by is among the examples shown.
        """
        for example in examples:
            refuse_blind(self.shots, [example])
            yield from self._asked(example, Masking(self.redactor)).prompts

    def results(self, examples: Iterable[Example]) -> Iterator[LLMResult]:
        """Ask about each text; results in the order in which the last answer about a text arrives.

        Raises:
            LLMError: texts may not go there, or the server is down.
            BlindnessError: a text to be judged by is among the examples shown; nothing has been sent then.
        """
        asked_about = list(examples)
        refuse_blind(self.shots, asked_about)
        masking = Masking(self.redactor)
        under_way: dict[int, tuple[Asked, list[Answer | None]]] = {}

        def questions() -> Iterator[tuple[tuple[int, int], Prompt]]:
            for place, example in enumerate(asked_about):
                asked = self._asked(example, masking)
                under_way[place] = (asked, [None] * len(asked.prompts))
                for number, prompt in enumerate(asked.prompts):
                    yield (place, number), prompt

        for (place, number), answer in self.model.ask_all(questions()):
            asked, answers = under_way[place]
            answers[number] = answer
            arrived = [one for one in answers if one is not None]
            if len(arrived) == len(answers):
                del under_way[place]
                yield masking.restored(asked.read(arrived))

    def _asked(self, example: Example, masking: Masking) -> Asked:
        """The text on its way, as the LLM may see it."""
        asked = self.form.ask(masking.example(example))
        for prompt in asked.prompts:
            prompt.about = {**masking.about(example), "template": self.form.template}
        return asked


def prepare(
    *,
    scheme: LabelScheme,
    config: Mapping[str, Any],
    few_shot: FewShot = (),
    allow_remote: str = "loopback",
    cache: AnswerCache | None = None,
    guidelines: str | None = None,
    lang: str = "en",
    redactor: Redactor | None = None,
    budget: Budget | Rehearsal | None = None,
    on_open: OnOpen | None = None,
    on_send: OnSend | None = None,
    folder: Path | None = None,
) -> Prepared:
    """Make the LLM of an `[llm]` block ready for texts; nothing is opened and nothing sent.

    `config` is the resolved block: {"model": {"@llm_models": ...}, "task": {"@llm_tasks": ...}}, also with
    models and tasks of spacy-llm. Every text, example and guideline is sent as `redactor` masks it. `budget`
    limits what a run costs; a rehearsal in its place counts and asks nothing. `on_open` is told how far the
    server is away before it is opened, which happens at the first text whose answer is not kept; `on_send`
    of each request before it leaves. Where they raise, nothing is sent.
    Texts of more than `max_characters` are cut by our own tasks; those of spacy-llm cut by their own rules.
    Relative paths in the block of a task begin at `folder`, by default where the program runs.

    Raises:
        LLMError: no model is configured, texts may not go there, or the task is wrong.
        BlindnessError: a few-shot example is held out, or dev.
    """
    block = config.get("task") or {"@llm_tasks": "auto"}
    include_reason = bool(config.get("include_reason"))
    if include_reason and not is_own_task(block):
        hint = f"set it to false, or use {OWN_TASKS[1]} or {OWN_TASKS[2]}"
        raise LLMError(f"llm -> include_reason: {block['@llm_tasks']} gives no reasons", hint=hint)
    model = model_of(
        config, allow_remote=allow_remote, cache=cache, budget=budget, on_open=on_open, on_send=on_send
    )
    shots = shots_of(few_shot, scheme, most=few_shot_size(config, scheme))
    if not is_own_task(block):
        from annoloop.llm.foreign import ForeignForm

        form = ForeignForm(
            block, scheme=scheme, lang=lang, model=model, folder=folder, allow_remote=allow_remote
        )
        return Prepared(model, form, tuple(Shot(text, Annotation()) for text in form.shown), redactor)
    masking = Masking(redactor)
    embedded = isinstance(model, OpenAIModel) and model.settings.embedded
    masked = tuple(replace(shot, text=masking.text(shot.text)) for shot in shots)
    question = make_question(
        block,
        scheme=scheme,
        embedded=embedded,
        few_shot=masked,
        guidelines=masking.text(guidelines) if guidelines else guidelines,
        lang=lang,
        include_reason=include_reason,
        folder=folder,
    )
    longest = _longest(config, model if embedded else None, question)
    return Prepared(model, OwnForm(question, scheme, lang, longest), shots, redactor)


def _longest(
    config: Mapping[str, Any], embedded: OpenAIModel | None, question: Question
) -> Callable[[str], int]:
    """How many characters of a text are asked about at once: as set, else as the model can take."""
    wanted = config.get("max_characters")
    if wanted is not None or embedded is None:
        return lambda _: int(wanted or SERVER_LONGEST)
    room: list[float] = []

    def longest(text: str) -> int:
        if not room:
            room.append(CONTEXT - embedded.parameters["max_tokens"] - _tokens(question.prompt("")))
        return max(_EMBEDDED_LEAST, int(room[0] * len(text) / _tokens(text))) if text else _EMBEDDED_LEAST

    return longest


def _tokens(text: str) -> float:
    """Tokens at worst: a small English vocabulary has few words of other scripts, and spells by bytes."""
    coded = len(text.encode("utf-8", "surrogatepass"))
    foreign = coded - sum(1 for char in text if char.isascii()) if not text.isascii() else 0
    return (coded - foreign) / _ASCII_PER_TOKEN + foreign
