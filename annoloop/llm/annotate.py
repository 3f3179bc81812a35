"""The loop's way to the LLM: examples in, one result a text out as answers arrive."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, Protocol

from annoloop.errors import BlindnessError, LLMError
from annoloop.hashing import input_hash
from annoloop.llm.answers import AnswerCache, LLMResult, Prompt
from annoloop.llm.asking import OWN_TASKS, make_question, result_of
from annoloop.llm.endpoint import REACHES, OnOpen, OnSend, check_answers
from annoloop.llm.model import ModelSettings, OpenAIModel, model_settings
from annoloop.llm.prompting import is_own_template, own_version, version_number
from annoloop.llm.questions import CategoryQuestion, Question, Shot, SpanQuestion
from annoloop.llm.redact import Masking, Redactor
from annoloop.types import Annotation, DevGold, Example, Gold, GoldSet, HeldOutGold, LabelScheme, PoolGold

OWN_MODEL = "annoloop.OpenAI.v1"
FEW_SHOT_MOST = 8
"""Few-shot examples in a prompt by default."""
_LONGEST_SHOT = 300


class Labelled(Protocol):
    """A row with its right answer, such as one of examples.jsonl."""

    @property
    def text(self) -> str:
        """The text."""

    @property
    def annotation(self) -> Annotation | None:
        """Its labels; None where the row has none."""


FewShot = PoolGold | Sequence[Labelled]


def annotate(
    examples: Iterable[Example],
    *,
    scheme: LabelScheme,
    config: Mapping[str, Any],
    few_shot: FewShot = (),
    allow_remote: str = "loopback",
    cache: AnswerCache | None = None,
    guidelines: str | None = None,
    lang: str = "en",
    redactor: Redactor | None = None,
    on_open: OnOpen | None = None,
    on_send: OnSend | None = None,
) -> Iterator[LLMResult]:
    """Ask the LLM of the `[llm]` block about each text; results in the order in which answers arrive.

    Answers are kept in `cache` before they are yielded: whoever stops and asks again pays nothing twice.
    A text that gets no answer has status failed and no annotation; it is asked again in the next run.
    `config` is the resolved `[llm]` block: {"model": {"@llm_models": ...}, "task": {"@llm_tasks": ...}}, also
    with models and tasks of spacy-llm. Held-out texts may be asked about; what is shown may not be held out.
    The LLM sees every text, example and guideline as `redactor` masks it; results are about the originals.
    `on_open` is told how far the server is away before it is opened, which happens at the first text whose
    answer is not kept; `on_send` of each request before it leaves. Where they raise, nothing is sent.

    Raises:
        LLMError: no model is configured, texts may not go there, or the server is down.
        BlindnessError: a few-shot example is held out, or dev.
    """
    masking = Masking(redactor)
    originals = list(examples)
    asked = [masking.example(example) for example in originals]
    block = _task_block(config)
    model = _model(config, allow_remote, cache, on_open, on_send)
    shots = tuple(
        Shot(masking.text(shot.text), shot.annotation)
        for shot in _shots(few_shot, originals, scheme, few_shot_size(config, scheme))
    )
    if block.get("@llm_tasks", "auto") not in OWN_TASKS:
        from annoloop.llm.foreign import annotate_with_task

        ask = partial(annotate_with_task, block=block, scheme=scheme, lang=lang, about=masking.about)
        yield from map(masking.restored, ask(asked, model, allow_remote=allow_remote))
        return
    question = make_question(
        block,
        scheme=scheme,
        embedded=isinstance(model, OpenAIModel) and model.settings.embedded,
        few_shot=shots,
        guidelines=masking.text(guidelines) if guidelines else guidelines,
        lang=lang,
        include_reason=bool(config.get("include_reason")),
    )
    prompts = ((example, _prompt(question, example, masking)) for example in asked)
    for example, answer in model.ask_all(prompts):
        yield masking.restored(result_of(example, answer, question))


def _prompt(question: Question, example: Example, masking: Masking) -> Prompt:
    prompt = question.prompt(example.text)
    prompt.about = masking.about(example)
    return prompt


def _task_block(config: Mapping[str, Any]) -> Mapping[str, Any]:
    block = config.get("task") or {"@llm_tasks": "auto"}
    if config.get("include_reason") and block.get("@llm_tasks", "auto") not in OWN_TASKS:
        raise LLMError(
            f"llm -> include_reason: {block['@llm_tasks']} gives no reasons",
            hint=f"set it to false, or use {OWN_TASKS[1]} or {OWN_TASKS[2]}",
        )
    return block


def _model(
    config: Mapping[str, Any],
    allow_remote: str,
    cache: AnswerCache | None,
    on_open: OnOpen | None,
    on_send: OnSend | None,
) -> Any:
    if is_own_model(config):
        settings = _settings(config, allow_remote)
        return OpenAIModel(settings, cache=cache, on_open=on_open, on_send=on_send)
    _refuse_foreign(config, allow_remote)
    from annoloop.llm.foreign import ForeignModel

    return ForeignModel(config["model"], cache=cache, on_open=on_open, on_send=on_send)


def describe(config: Mapping[str, Any], scheme: LabelScheme, *, lang: str = "en") -> str:
    """Model and prompt version for people: "qwen3-8b, prompt annoloop.NER.v1/en-1"."""
    template = _template(config, scheme, lang)
    if template is None:
        return f"{_model_name(config)}, prompt {config['task']['@llm_tasks']}"
    task = "annoloop.NER.v1" if scheme.has_spans else "annoloop.TextCat.v1"
    own = is_own_template(template)
    prompt = (
        own_version(template) if own else f"{task}/{template.rsplit('.', 1)[1]}-{version_number(template)}"
    )
    return f"{_model_name(config)}, prompt {prompt}{' with reasons' * bool(config.get('include_reason'))}"


def identity(config: Mapping[str, Any], scheme: LabelScheme, *, lang: str = "en") -> str:
    """Model and prompt version as they count in the key of kept answers: stays when `describe` changes."""
    template = _template(config, scheme, lang)
    if template is None:
        return describe(config, scheme, lang=lang)
    if is_own_template(template):
        return f"{_model_name(config)}, prompt {own_version(template)}"
    number = version_number(template)
    return f"{_model_name(config)}, prompt {template}{f'-{number}' if number > 1 else ''}"


def _model_name(config: Mapping[str, Any]) -> str:
    model = config.get("model") or {}
    own = is_own_model(config)
    return model_settings(model).label if own else str(model.get("name") or model["@llm_models"])


def _template(config: Mapping[str, Any], scheme: LabelScheme, lang: str) -> str | None:
    """The prompt template that is used; None with a task of others."""
    task = config.get("task") or {}
    if task.get("@llm_tasks", "auto") not in OWN_TASKS:
        return None
    if task.get("template"):
        return str(task["template"])
    lang = str(task.get("lang") or lang)
    return (SpanQuestion if scheme.has_spans else CategoryQuestion)(scheme, lang).version


def is_configured(config: Mapping[str, Any]) -> bool:
    """Whether the block names an LLM at all: `base_url = null` says that there is none."""
    model = config.get("model") or {}
    return bool(model) and not ("base_url" in model and model["base_url"] is None)


def is_own_model(config: Mapping[str, Any]) -> bool:
    """Whether the block's model is ours."""
    return bool((config.get("model") or {}).get("@llm_models", OWN_MODEL) == OWN_MODEL)


def check_llm(config: Mapping[str, Any], *, allow_remote: str = "loopback", connect: bool = False) -> None:
    """Look, without asking anything, whether the block's model could be asked.

    With `connect` also whether its server takes a connection, through which nothing is sent.

    Raises:
        LLMError: no LLM is configured, texts may not go there, or something is missing, with what to do.
    """
    task = config.get("task") or {}
    if task.get("@llm_tasks", "auto") not in OWN_TASKS:
        from annoloop.llm.foreign import refuse_nested

        refuse_nested(task, allow_remote)
    if not is_own_model(config):
        _refuse_foreign(config, allow_remote)
        return
    endpoint = OpenAIModel(_settings(config, allow_remote)).check()
    if connect and endpoint is not None:
        check_answers(endpoint)


def few_shot_size(config: Mapping[str, Any], scheme: LabelScheme) -> int:
    """How many examples a prompt shows: few to the very small stand-in, whom many only confuse."""
    embedded = (config.get("model") or {}).get("base_url") == "embedded"
    # Fashion brands, 40 dev texts, 2 / 4 / 8 shots: F .41 / .27 / .23.
    return min(len(scheme.labels) + scheme.has_spans, FEW_SHOT_MOST) if embedded else FEW_SHOT_MOST


def choose_few_shot(gold: PoolGold, scheme: LabelScheme, *, most: int = FEW_SHOT_MOST) -> tuple[Shot, ...]:
    """Short, complete examples that show every label, and for spans that a text may have none.

    The same gold gives the same examples, whatever its order; texts above 300 characters come last.
    """
    if not isinstance(gold, PoolGold):
        raise BlindnessError("few-shot examples come from pool gold only", hint="never from dev or held-out")
    usable = sorted(
        (one for one in gold if one.complete),
        key=lambda one: (len(one.example.text) > _LONGEST_SHOT, one.example.input_hash),
    )
    groups = {label: [one for one in usable if label in _labels(one)] for label in scheme.labels}
    if scheme.has_spans:
        groups[""] = [one for one in usable if not one.annotation.spans]
    chosen: dict[str, Gold] = {}
    for turn in range(most):
        for group in groups.values():
            if turn < len(group) and len(chosen) < most:
                chosen.setdefault(group[turn].example.input_hash, group[turn])
    return tuple(Shot(one.example.text, one.annotation) for one in chosen.values())


def _labels(gold: Gold) -> set[str]:
    return {*gold.annotation.labels, *(span.label for span in gold.annotation.spans)}


def _shots(few_shot: FewShot, asked: Sequence[Example], scheme: LabelScheme, most: int) -> tuple[Shot, ...]:
    """Few-shot examples, refused where they could give a held-out or dev answer away."""
    if isinstance(few_shot, DevGold | HeldOutGold) or (
        isinstance(few_shot, GoldSet) and not isinstance(few_shot, PoolGold)
    ):
        raise BlindnessError(
            f"few-shot examples cannot be {few_shot.split} gold",
            hint="they come from pool gold or examples.jsonl",
        )
    if isinstance(few_shot, PoolGold):
        return choose_few_shot(few_shot, scheme, most=most)
    shots = []
    blind = {example.input_hash for example in asked if example.split != "pool"}
    for row in few_shot:
        if isinstance(row, Gold):
            raise BlindnessError("few-shot gold comes as PoolGold", hint="PoolGold(items) checks the split")
        if row.annotation is None:
            continue
        if input_hash(row.text) in blind:
            raise BlindnessError(
                f"a few-shot example is a text to be judged by: {row.text[:60]!r}",
                hint="take it out of examples.jsonl",
            )
        shots.append(Shot(row.text, row.annotation))
    return tuple(shots)


def _settings(config: Mapping[str, Any], allow_remote: str) -> ModelSettings:
    if not is_configured(config):
        raise LLMError("no LLM is configured", hint='llm -> model -> base_url: an address, or "embedded"')
    block = dict(config.get("model") or {})
    own = block.get("allow_remote", allow_remote)
    both = [reach for reach in REACHES if reach in (own, allow_remote)]
    # The project's word is the widest; a block may only narrow it.
    return model_settings({**block, "allow_remote": both[0] if both else allow_remote})


def _refuse_foreign(config: Mapping[str, Any], allow_remote: str) -> None:
    """Models of others choose their own addresses: only `public` covers that.

    Raises:
        LLMError: the project allows less.
    """
    name = (config.get("model") or {}).get("@llm_models")
    if allow_remote != "public":
        raise LLMError(
            f"{name} may send texts anywhere, and the project allows {allow_remote} only: nothing was sent",
            hint=f'use {OWN_MODEL} with a base_url, or set allow_remote = "public"',
        )
