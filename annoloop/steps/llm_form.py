"""Whether the LLM to beat is shown examples of the training gold: chosen on dev, where they can do harm."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from math import isnan

from annoloop.errors import LLMError
from annoloop.evaluation.gate import paired_p
from annoloop.evaluation.scores import count, f_of
from annoloop.project import Project
from annoloop.steps.llm import BARE_FACT, LLMSource, llm_config, shown_examples, source_of
from annoloop.steps.looks import looks_of
from annoloop.steps.progress import OnProgress, silent
from annoloop.steps.sources import ask_source
from annoloop.types import Annotation, Gold

_FORM_FACT = "llm.form"
TEXTS, FIRST = 40, 10
"""Dev texts that both forms are asked about at most; and the first of them, after which the form without
examples must be ahead to be asked about the rest."""
ALPHA = 0.05


@dataclass(frozen=True, slots=True)
class Form:
    """How an LLM did on the same dev texts with examples and without; `shown` is the form that was chosen.

    `of` is the key of the LLM without examples, `score` and `bare` are the headline scores with and without.
    """

    of: str
    shown: bool
    score: float
    bare: float
    texts: int

    @property
    def said(self) -> str:
        """The choice in one sentence."""
        if self.shown:
            return (
                f"The LLM was shown examples of the training gold: {self.score:.3f} on {self.texts} dev "
                f"texts, {self.bare:.3f} without them."
            )
        return (
            f"The LLM was shown no examples of the training gold, as it does better without: {self.bare:.3f} "
            f"on {self.texts} dev texts, {self.score:.3f} with them."
        )


def choose_form(project: Project, *, on_progress: OnProgress = silent) -> None:
    """Let the project's LLM be asked without examples where they make it significantly worse on dev.

    Examples are what makes the effort equal, so they are shown unless paired p is at most 5 % that the LLM
    is no better without. Only a few dev texts are asked about. The choice stays once the LLM was compared
    with a model on held-out texts, and nothing is chosen where the LLM cannot be asked.

    Raises:
        LLMError: the LLM is wrongly configured.
        BlindnessError: one of the project's examples is a text to be judged by.
    """
    config = llm_config(project)
    shown = source_of(project, config, purpose="dev", few_shot=shown_examples(project, config))
    bare = source_of(project, config, purpose="dev", few_shot=())
    looked = {look.llm for look in looks_of(project)}
    gold = sorted(
        (item for item in project.dev_gold() if item.complete), key=lambda item: item.example.input_hash
    )
    if not shown.few_shot or not gold or looked & {shown.key, bare.key}:
        return
    try:
        form = _compared(project, shown, bare, gold[:TEXTS], on_progress)
    except LLMError:
        # Whoever asks it about the held-out texts next says why; kept answers need nobody.
        return
    if form is not None:
        project.store.set_fact(_FORM_FACT, asdict(form))
        project.store.set_fact(BARE_FACT, None if form.shown else bare.key)


def _compared(
    project: Project, shown: LLMSource, bare: LLMSource, gold: Sequence[Gold], on_progress: OnProgress
) -> Form | None:
    """Both forms on the first texts, and on all where the one without examples is ahead."""
    form = None
    for part in (gold[:FIRST], gold):
        with_examples, without = (_asked(project, one, part, on_progress) for one in (shown, bare))
        ours, theirs = count(project.scheme, part, without), count(project.scheme, part, with_examples)
        score, alone = (float(f_of(one.units.sum(axis=0))) for one in (theirs, ours))
        if isnan(score) or isnan(alone):
            continue
        better = paired_p(ours, theirs, seed=project.settings.training.seed) <= ALPHA
        form = Form(bare.key, not better, score, alone, len(part))
        if alone <= score:
            break
    return form


def _asked(
    project: Project, source: LLMSource, gold: Sequence[Gold], on_progress: OnProgress
) -> dict[str, Annotation]:
    return ask_source(project, source, [item.example for item in gold], on_progress=on_progress)


def form_of(project: Project, llm: LLMSource) -> Form | None:
    """What was compared before this LLM's form was chosen; None where nothing was."""
    kept = project.store.fact(_FORM_FACT)
    if kept is None:
        return None
    form = Form(**kept)
    bare = source_of(project, llm.config, purpose=llm.purpose, few_shot=())
    return form if bare.key == form.of else None
