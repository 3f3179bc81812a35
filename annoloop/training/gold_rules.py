"""Rules in training: those of the project and those made of the gold, as features and as a component."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from annoloop.training.predict import load_model, predict
from annoloop.types import Counts, Gold, LabelScheme, PoolGold, Span

if TYPE_CHECKING:
    from confection import Config
    from spacy.language import Language

COMPONENT = "gold_rules"
"""The component that fills in what rules of the gold find where the recogniser found nothing."""

TAGGER = "rule_tags"
"""The component whose tags tell the recogniser what rules say."""


class GoldRules(Protocol):
    """Rules made of gold: rows for the components, and by input hash what they say without the text."""

    @property
    def rows(self) -> Sequence[Mapping[str, Any]]:
        """What the components match."""
        ...

    @property
    def sure(self) -> Sequence[Mapping[str, Any]]:
        """Those of them that may speak where a recogniser is silent."""
        ...

    @property
    def crossed(self) -> Mapping[str, Sequence[Sequence[Span]]]:
        """Of each text what rows say that were made of other texts, by source."""
        ...


class RuleMaker(Protocol):
    """The rules of a project, and how to make others of gold; called with the gold to learn from."""

    @property
    def given(self) -> Sequence[Mapping[str, Any]]:
        """The rows of the project's own rules."""
        ...

    @property
    def code(self) -> Mapping[str, Path]:
        """The components' code by the name of the file that travels with the pipeline."""
        ...

    def __call__(self, gold: PoolGold) -> GoldRules:
        """Make rules."""
        ...


@dataclass(frozen=True)
class RulesAtHand:
    """The rules for one training: `fill` says whether those of the gold speak where the model is silent."""

    given: Sequence[Mapping[str, Any]]
    made: GoldRules
    code: Mapping[str, Path]
    fill: bool = True


def wants_rules(config: Config) -> bool:
    """Whether a recipe looks at rules."""
    return TAGGER in config["components"]


def rules_at_hand(maker: RuleMaker, learn: Sequence[Gold], *, fill: bool) -> RulesAtHand:
    """The project's rules and those of all gold that is learned from, gold of dev among it or not.

    Whoever lets a model learn from gold of dev lets its rules do so: then it is gold to learn from.
    """
    pool = (replace(gold, example=replace(gold.example, split="pool")) for gold in learn)
    return RulesAtHand(maker.given, maker(PoolGold(tuple(pool))), maker.code, fill)


def bring_rules(config: Config, making: Path, rules: RulesAtHand) -> None:
    """Write the rows and the code beside the config, and set in it where they are."""
    import srsly

    srsly.write_json(making / "patterns.json", [*rules.given, *rules.made.rows])
    srsly.write_json(making / "gold_rules.json", list(rules.made.sure))
    config["paths"].update(patterns="patterns.json", gold_rules="gold_rules.json")
    for name, code in rules.code.items():
        shutil.copyfile(code, making / name)
    if not (rules.fill and any(not row.get("negative") for row in rules.made.sure)):
        _without(config)


def score_without_filling(folder: Path, judge: Sequence[Gold], scheme: LabelScheme) -> float | None:
    """Micro F of exact spans of a saved pipeline whose rules of the gold are silent; None without such rules.

    0 where neither the gold nor the pipeline has a span.
    """
    nlp = load_model(folder)
    if COMPONENT not in nlp.pipe_names:
        return None
    with nlp.select_pipes(disable=[COMPONENT]):
        return span_f(nlp, judge, scheme)


def span_f(pipeline: Language | Path, judge: Sequence[Gold], scheme: LabelScheme) -> float:
    """Micro F of exact spans of a pipeline; 0 where neither the gold nor the pipeline has a span."""
    counts = Counts()
    said = predict(pipeline, (gold.example.text for gold in judge), scheme=scheme)
    for gold, made in zip(judge, said, strict=True):
        truth, found = set(gold.annotation.spans), set(made.annotation.spans)
        counts += Counts(len(truth & found), len(found - truth), len(truth - found))
    return counts.f or 0.0


def leave_out_filling(config: Config, folder: Path) -> None:
    """Take the component that fills in out of a saved pipeline, and out of the config that it came from."""
    nlp = load_model(folder)
    nlp.remove_pipe(COMPONENT)
    nlp.to_disk(folder)
    shutil.rmtree(folder / COMPONENT)
    _without(config)


def _without(config: Config) -> None:
    config["nlp"]["pipeline"] = [name for name in config["nlp"]["pipeline"] if name != COMPONENT]
    del config["components"][COMPONENT], config["initialize"]["components"][COMPONENT]
