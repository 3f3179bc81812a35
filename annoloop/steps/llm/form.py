"""Which examples the LLM to beat is shown: of the training gold, unless dev says that they do it harm."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import accumulate
from math import isnan
from typing import TYPE_CHECKING, Literal

from annoloop.errors import LLMError
from annoloop.evaluation.paired import paired_p
from annoloop.evaluation.scores import count, f_of
from annoloop.project import Project
from annoloop.steps.evidence.looks import looks_of
from annoloop.steps.llm.source import (
    INSTEAD_FACT,
    LLMSource,
    file_examples,
    llm_config,
    shown_examples,
    source_of,
)
from annoloop.steps.progress import OnProgress, silent
from annoloop.steps.sources import ask_source
from annoloop.types import Annotation, Gold

if TYPE_CHECKING:
    from annoloop.llm.annotate import Labelled

_FORM_FACT = "llm.form"
TEXTS, FIRST = 40, 10
"""Dev texts that are asked about at most; and how many of them, with as many labels or spans to find, before
another form must be ahead to be asked about the rest."""
ALPHA = 0.05

Examples = Literal["gold", "file", "none"]
"""Those of the training gold, those of the project's examples.jsonl, none."""


@dataclass(frozen=True, slots=True)
class Form:
    """How an LLM did on the same dev texts with examples of the training gold and with the best `other` ones.

    `of` is the key of the LLM without examples, `shown` what was chosen; `score` is the headline score with
    examples of the training gold, `other_score` that with the others.
    """

    of: str
    shown: Examples
    other: Examples
    score: float
    other_score: float
    texts: int

    @property
    def said(self) -> str:
        """The choice in one sentence."""
        on = f"on {self.texts} dev texts"
        if self.score == self.other_score == 0:
            instead = "without them" if self.other == "none" else "with those of examples.jsonl"
            return (
                f"The LLM was shown examples of the training gold, but was never right {on}, "
                f"with them or {instead}."
            )
        if self.shown == "gold":
            instead = "without them" if self.other == "none" else "with those of examples.jsonl"
            return (
                f"The LLM was shown examples of the training gold: {self.score:.3f} {on}, "
                f"{self.other_score:.3f} {instead}."
            )
        shown, how = (
            ("no examples", "without")
            if self.shown == "none"
            else ("examples.jsonl in place of examples", "with those")
        )
        return (
            f"The LLM was shown {shown} of the training gold, as it does better {how}: "
            f"{self.other_score:.3f} {on}, {self.score:.3f} with the gold's."
        )


def choose_form(project: Project, *, on_progress: OnProgress = silent) -> None:
    """Let the project's LLM be asked otherwise where examples of the training gold make it worse on dev.

    These are what makes the effort equal, so they are shown unless it does better with the project's own
    examples.jsonl, or with none: paired p at most 5 %. Only a few dev texts are asked about. The choice
    stays once the LLM was compared with a model on held-out texts, and nothing is chosen where the LLM
    cannot be asked.

    Raises:
        LLMError: the LLM is wrongly configured.
        FormatError: examples.jsonl has a bad row.
        BlindnessError: one of the project's examples is a text to be judged by.
    """
    config = llm_config(project)
    known: dict[Examples, Sequence[Labelled]] = {
        "gold": shown_examples(project, config),
        "file": file_examples(project, config),
        "none": (),
    }
    forms: dict[Examples, LLMSource] = {
        name: source_of(project, config, purpose="dev", few_shot=rows)
        for name, rows in known.items()
        if rows or name == "none"
    }
    looked = {look.llm for look in looks_of(project)}
    gold = _drawn([item for item in project.dev_gold() if item.complete])
    if "gold" not in forms or not gold or any(source.key in looked for source in forms.values()):
        return
    try:
        form = _compared(project, forms, gold, on_progress)
    except LLMError:
        # Whoever asks it about the held-out texts next says why; kept answers need nobody.
        return
    if form is not None:
        project.store.set_fact(_FORM_FACT, asdict(form))
        project.store.set_fact(INSTEAD_FACT, None if form.shown == "gold" else forms[form.shown].key)


def _drawn(gold: Sequence[Gold]) -> list[Gold]:
    """`TEXTS` of the gold by their hashes, half of them or more with something to find, if there are so many.

    Of rare entities a few texts by chance may hold none, and then every form scores the same. The other half
    shows what an LLM says where there is nothing.
    """
    by_hash = sorted(gold, key=lambda item: item.example.input_hash)
    holding = [item for item in by_hash if _to_find(item)]
    drawn: dict[str, Gold] = {}
    held = 0
    while len(drawn) < min(TEXTS, len(by_hash)):
        short = 2 * held <= len(drawn) and held < len(holding)
        item = next(i for i in (holding if short else by_hash) if i.example.input_hash not in drawn)
        drawn[item.example.input_hash] = item
        held += bool(_to_find(item))
    return list(drawn.values())


def _to_find(item: Gold) -> int:
    return len(item.annotation.labels) + len(item.annotation.spans)


def _first(gold: Sequence[Gold]) -> Sequence[Gold]:
    """The least beginning of `FIRST` texts or more that holds as many labels or spans to find."""
    found = list(accumulate(map(_to_find, gold)))
    return next((gold[: n + 1] for n in range(FIRST - 1, len(gold)) if found[n] >= FIRST), gold)


def _compared(
    project: Project, forms: Mapping[Examples, LLMSource], gold: Sequence[Gold], on_progress: OnProgress
) -> Form | None:
    """All forms on the first texts, and on all the best of the others where it is ahead."""
    form, left = None, list(forms)
    for part in (_first(gold), gold):
        counts = {
            name: count(project.scheme, part, _asked(project, forms[name], part, on_progress))
            for name in left
        }
        scores = {name: float(f_of(one.units.sum(axis=0))) for name, one in counts.items()}
        if any(isnan(score) for score in scores.values()):
            continue
        other = max((name for name in left if name != "gold"), key=scores.__getitem__)
        p = paired_p(counts[other], counts["gold"], seed=project.settings.training.seed)
        shown: Examples = other if p <= ALPHA else "gold"
        form = Form(forms["none"].key, shown, other, scores["gold"], scores[other], len(part))
        if scores["gold"] >= scores[other] and scores["gold"] > 0:
            break
        # Where none was right yet, none is the best of the others either.
        left = ["gold", other] if scores[other] > 0 else left
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
