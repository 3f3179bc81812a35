"""The weights that a recipe starts from, made before its own training."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from annoloop.errors import TrainingError
from annoloop.training.predict import load_model
from annoloop.training.pretraining import pretrained_weights
from annoloop.training.run import Run
from annoloop.training.spacy_loop import located, made_here
from annoloop.training.starts import BesideGold
from annoloop.types import Gold

OnProgress = Callable[[str, int, int], None]


class StartWeights:
    """Makes the weights that recipes start from: each once, for all its runs."""

    def __init__(
        self,
        staging: Path,
        learn: Sequence[Gold],
        judge: Sequence[Gold],
        settings: Mapping[str, Any],
        on_progress: OnProgress | None,
    ) -> None:
        self.staging, self.learn, self.judge = staging, learn, judge
        self.settings, self.on_progress = dict(settings), on_progress
        self.beside: BesideGold = settings["beside"]
        self._made: dict[str, Path] = {}

    def begin(self, run: Run) -> Path:
        """The file of the weights that a run starts from."""
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
            extra=[run.making / brought[key] for key in ("patterns", "vectors") if key in brought],
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
        component = load_model(first.folder).get_pipe(first.config["pretraining"]["component"])
        path = first.folder / "start.bin"
        path.write_bytes(component.model.to_bytes())  # type: ignore[attr-defined]
        return path
