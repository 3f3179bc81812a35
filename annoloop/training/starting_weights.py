"""The weights that recipes start from, each made once for all trainings of that recipe."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from annoloop.errors import TrainingError
from annoloop.training.checkpoints import located, made_here
from annoloop.training.predict import load_model
from annoloop.training.pretraining import OnProgress, pretrained_weights
from annoloop.training.run import Run
from annoloop.training.starts import BesideGold
from annoloop.types import Gold


class StartingWeights:
    """Makes files of weights in `staging`, or where what was pretrained is kept.

    `learn` and `judge` are the gold of all trainings, whose texts are never taken from the LLM; `settings`
    are those that `Run.prepare` takes.
    """

    def __init__(
        self,
        staging: Path,
        learn: Sequence[Gold],
        judge: Sequence[Gold],
        settings: Mapping[str, Any],
        on_progress: OnProgress | None,
    ) -> None:
        self.staging, self.learn, self.judge = staging, learn, judge
        self.settings, self.on_progress = settings, on_progress
        self.beside: BesideGold = settings["beside"]
        self._made: dict[str, Path] = {}

    def of(self, run: Run) -> Path:
        """The file of the weights that a prepared run starts from.

        Raises:
            TrainingError: there is nothing to make them of.
        """
        if run.start == "pretrained":
            return self._pretrained(run)
        if run.name not in self._made:
            self._made[run.name] = self._of_silver(run)
        return self._made[run.name]

    def _pretrained(self, run: Run) -> Path:
        brought = made_here(run.config, run.making)
        return pretrained_weights(
            located(run.config, run.making),
            list(self.beside.texts()),
            recipe=run.name,
            kept=self.beside.kept or self.staging / "starts",
            vectors=run.making / brought["vectors"] if "vectors" in brought else None,
            on_progress=self.on_progress,
        )

    def _of_silver(self, run: Run) -> Path:
        """Train on the LLM's labels alone, as long as dev says; the weights of what finds the spans."""
        known = {gold.example.input_hash for gold in (*self.learn, *self.judge)}
        said = self.beside.silver()
        silver = [one for one in said if one.example.input_hash not in known and one.example.text.strip()]
        if not any(one.annotation.spans for one in silver):
            raise TrainingError(
                f"recipe {run.name}: there is no span that the LLM found in a text without gold",
                hint="have it read some texts: annoloop llm annotate PROJECT; or name another recipe",
            )
        first = Run(run.name, self.staging / f"silver-{len(self._made)}", run.scheme)
        first.prepare(sorted(silver, key=lambda one: one.example.input_hash), self.judge, **self.settings)

        def report(step: int, _score: float | None) -> None:
            if self.on_progress and step % 10 == 0:
                what = f"training {run.name} on what the LLM said of {len(silver)} texts"
                self.on_progress(what, step, first.max_steps)

        first.train(report)
        component: Any = load_model(first.folder).get_pipe(first.config["pretraining"]["component"])
        path = first.folder / "start.bin"
        path.write_bytes(component.model.to_bytes())
        return path
