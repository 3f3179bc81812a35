"""Whether the rules join the trained pipeline: where dev says that both are better than the model alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from annoloop.evaluation.paired import difference
from annoloop.evaluation.scores import count
from annoloop.project import Project
from annoloop.rules.joining import HOWS, How, add_to_pipeline, join
from annoloop.steps.sources import RulesSource, ask_source
from annoloop.types import Annotation, DevGold

if TYPE_CHECKING:
    from annoloop.training.predict import Prediction


@dataclass
class Joining:
    """Decides on a finished pipeline and changes it: call it as `train`'s `finish`.

    `how` is what was decided: "fill", "override", or None where the model stays alone.
    """

    project: Project
    rules: RulesSource
    dev: DevGold
    how: How | None = None

    def __call__(
        self, folder: Path, said: Mapping[str, Prediction], crossed: Callable[[], Mapping[str, Prediction]]
    ) -> Mapping[str, Prediction]:
        """Join where that is better on dev; what the joined pipeline says of the dev texts.

        `said` is of a pipeline that has not learned from dev. Where dev is a good part of the gold the
        finished one knows much more, and needs the rules less: what `crossed` gives must agree.
        """
        from annoloop.training.predict import Prediction

        # In a pipeline nothing stops a pattern that takes for ever.
        if self.project.settings.rules.join == "never" or not self.rules.rules.proven:
            return said
        by_rules = ask_source(self.project, self.rules, [gold.example for gold in self.dev])
        how, joined = best_join(self.project, self.dev, by_rules, _annotations(said))
        if how is None or not self._holds(how, by_rules, crossed()):
            return said
        self.how = how
        add_to_pipeline(folder, self.rules.rules, how)
        return {
            name: prediction if joined[name] == prediction.annotation else Prediction(joined[name], None)
            for name, prediction in said.items()
        }

    def _holds(self, how: How, rules: Mapping[str, Annotation], said: Mapping[str, Prediction]) -> bool:
        return best_join(self.project, self.dev, rules, _annotations(said), hows=(how,))[0] == how


def _annotations(said: Mapping[str, Prediction]) -> dict[str, Annotation]:
    return {name: prediction.annotation for name, prediction in said.items()}


def best_join(
    project: Project,
    dev: DevGold,
    rules: Mapping[str, Annotation],
    model: Mapping[str, Annotation],
    *,
    hows: Sequence[How] = HOWS,
) -> tuple[How | None, Mapping[str, Annotation]]:
    """How the rules join best, and what both say then of each text that the model was asked about.

    None, with what the model says, unless the joined score on dev is higher and the lower end of the
    difference's paired bootstrap interval is not below 0: dev is looked at more than once, so a difference
    that may be chance is not taken.
    """
    scheme, seed = project.scheme, project.settings.training.seed
    alone = count(scheme, dev, model)
    best: tuple[float, How | None, Mapping[str, Annotation]] = (0.0, None, model)
    for how in hows:
        said = {name: join(rules.get(name, Annotation()), own, scheme, how) for name, own in model.items()}
        delta, (lower, _) = difference(count(scheme, dev, said), alone, seed=seed)
        if delta > best[0] and lower >= 0:
            best = (delta, how, said)
    return best[1], best[2]
