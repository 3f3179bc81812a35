"""What status and train-curve advise: never to label on in vain, or to use a model that learned nothing."""

from __future__ import annotations

import random
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from small_project import small_project, write_rows

import annoloop.training.train as training
from annoloop.cli.app import main
from annoloop.evaluation.scores import score, scores_to_json
from annoloop.project import Project
from annoloop.steps.add import add
from annoloop.steps.evaluate import EVALUATION_FACT
from annoloop.steps.evidence.advice import label_needs, lacking, outlook, what_to_label
from annoloop.steps.evidence.train_curve import CURVE_FACT, kept_curve, train_curve
from annoloop.steps.status import advice_on, status
from annoloop.types import Annotation, Round

LABELS = ("A", "B")
Answering = Callable[[str, int], str]
"""What a model that learned from so many texts says of one whose true label is given."""


def labelled(folder: Path, texts: int, *, other: float = 0.5, labels: tuple[str, ...] = LABELS) -> Project:
    """A project in which every text has gold, A or (in a share of `other`) B."""
    draw = random.Random(0)
    rows = [
        {"text": f"{_words(draw)} İ 👍", "label": "B" if draw.random() < other else "A"} for _ in range(texts)
    ]
    project = small_project(folder, rows, labels=labels, corpus="held_out = 0.25\ndev = 0.2")
    add(project, [write_rows(folder / "gold.jsonl", rows)], gold=True, blind=True)
    return project


def _words(draw: random.Random) -> str:
    """Words that no other text has: none is a near-duplicate."""
    return " ".join("".join(draw.choices("abcdefghijklmnopqrstuvwxyz", k=7)) for _ in range(6))


@dataclass
class Fake:
    recipe: str
    dev_said: dict[str, Any]


@dataclass
class Said:
    annotation: Annotation


@pytest.fixture
def models(monkeypatch: pytest.MonkeyPatch) -> list[Answering]:
    """Put one in: it answers for all models that are trained from then on."""
    answering: list[Answering] = []

    def train(gold: Any, dev: Any, **_given: Any) -> Fake:
        said = {
            item.example.input_hash: Said(Annotation((answering[-1](item.annotation.labels[0], len(gold)),)))
            for item in dev
        }
        return Fake("textcat_linear", said)

    monkeypatch.setattr(training, "train", train)
    return answering


@pytest.fixture
def annoloop(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Run the command line in this process; gives standard output."""

    def run(*arguments: object) -> str:
        monkeypatch.setattr(sys, "argv", ["annoloop", *map(str, arguments)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            sys.exit(main())
        assert not ended.value.code
        return capsys.readouterr().out

    return run


def flips() -> Answering:
    draw = random.Random(3)
    return lambda _true, _texts: draw.choice(LABELS)


def learner() -> Answering:
    """Wrong in a share that falls with the gold."""
    draw = random.Random(3)
    return lambda true, texts: true if draw.random() > 0.9 * texts**-0.3 else LABELS[true == "A"]


def always(_true: str, _texts: int) -> str:
    return "A"


def judged(project: Project, answering: Answering, decision: str = "no_llm", **llm: Any) -> None:
    """A round whose model answers so on dev, and an evaluation of the same on the held-out texts."""
    texts = len(project.pool_gold())

    def scores(gold: Any) -> Any:
        said = {
            item.example.input_hash: Annotation((answering(item.annotation.labels[0], texts),))
            for item in gold
        }
        return score(project.scheme, gold, said, seed=0)

    dev, held_out = scores(list(project.dev_gold())), scores(list(project.held_out_gold()))
    record = Round(1, "random", 0, gold_texts=texts, dev=dev, held_out=held_out, model="models/1")
    project.store.save_round(record)
    rows = [{"approach": "model", **scores_to_json(held_out), "cost": 0.0}]
    rows += [{"approach": "llm", "score": 0.9, **llm}] if llm else []
    project.store.set_fact(EVALUATION_FACT, {"verdict": {"decision": decision}, "leaderboard": rows})


def advised(project: Project) -> str:
    kept = project.store.fact(EVALUATION_FACT)
    scores = {row["approach"]: row["score"] for row in kept["leaderboard"]}
    return advice_on(project, kept["verdict"]["decision"], scores)


def test_coin_flips_get_no_date_and_no_advice_to_go_on(
    tmp_path: Path, models: list[Answering], annoloop: Callable[..., str]
) -> None:
    project = labelled(tmp_path / "p", 420)
    models.append(flips())
    found = train_curve(project, target=0.6)
    assert found.advice.advised == "look_at_labels" and found.advice.reach is None
    assert "no better than always saying" in found.advice.reason and "guidelines" in found.advice.reason
    assert found.next_labels.value == 0 and found.to_json()["target"] is None
    assert found.ahead[-1][1].value == pytest.approx(found.ahead[0][1].value)
    judged(project, flips())
    shown = annoloop("train-curve", project.folder, "--target", "0.6")
    assert "most lacking" not in shown and "target " not in shown and "more bring" not in shown
    assert outlook(project) == found.advice.reason == what_to_label(project)
    assert "look-again" in status(project).next_step and "annoloop loop" not in status(project).next_step
    assert "use the model" not in advised(project)


def test_a_newest_model_that_learned_nothing_is_said_without_a_curve_too(tmp_path: Path) -> None:
    project = labelled(tmp_path / "p", 420)
    judged(project, flips())
    assert "no better than always saying" in outlook(project) and "train-curve" in outlook(project)
    assert lacking(project) is None


def test_a_task_that_is_learned_is_not_called_hopeless(tmp_path: Path, models: list[Answering]) -> None:
    project = labelled(tmp_path / "p", 420)
    models.append(learner())
    found = train_curve(project, target=0.9)
    assert found.standing == "better" and found.advice.reach.target == 0.9
    assert "guidelines" not in found.advice.reason


def test_with_little_gold_a_model_that_says_one_label_may_go_on(
    tmp_path: Path, models: list[Answering]
) -> None:
    project = labelled(tmp_path / "p", 80, other=0.3)
    assert 30 <= len(project.pool_gold()) <= 50
    models.append(always)
    found = train_curve(project)
    assert (found.advice.advised, found.advice.reach, found.standing) == ("go_on", None, "not_yet")
    assert "not yet better than always saying A" in found.advice.reason
    judged(project, always)
    assert "not yet better than always saying A" in outlook(project)
    assert "stop" not in status(project).next_step


def test_a_given_target_is_kept_with_the_curve_and_named(tmp_path: Path, models: list[Answering]) -> None:
    project = labelled(tmp_path / "p", 200)
    models.append(learner())
    found = train_curve(project, target=0.3)
    assert "0.300 (given with --target)" in found.advice.reason
    kept = kept_curve(Project.open(project.folder))
    assert kept.to_json() == found.to_json()
    assert outlook(project) == found.advice.reason
    assert "[rules] target" in train_curve(project).advice.reason
    assert kept_curve(project).advice.reach.target == project.settings.rules.target


def test_a_curve_kept_before_labels_were_counted_trains_its_last_model_again(
    tmp_path: Path, models: list[Answering]
) -> None:
    project = labelled(tmp_path / "p", 420)
    models.append(always)
    train_curve(project)
    kept = project.store.fact(CURVE_FACT)
    del kept["all"]["per_label"], kept["target"]
    project.store.set_fact(CURVE_FACT, kept)
    assert kept_curve(project) is not None
    assert train_curve(project).advice.advised == "look_at_labels"


def test_no_ceiling_is_named_where_none_is_seen(
    tmp_path: Path, models: list[Answering], annoloop: Callable[..., str]
) -> None:
    project = labelled(tmp_path / "p", 200)
    models.append(learner())
    found = train_curve(project)
    shown = annoloop("train-curve", project.folder)
    assert found.forecast.ceiling.high == 1 and "no ceiling in sight yet\n" in shown


def test_labels_that_dev_has_none_of_are_named_first(tmp_path: Path) -> None:
    project = labelled(tmp_path / "p", 200, labels=("A", "B", "größe & C"))
    judged(project, learner())
    assert label_needs(project)[0].label == "größe & C"
    assert str(lacking(project)) == "größe & C (0 examples in the training gold, none on dev, so not judged)"
    assert "most lacking: größe & C" in outlook(project)


def test_without_an_llm_only_a_model_that_is_better_than_one_label_is_to_be_used(tmp_path: Path) -> None:
    project = labelled(tmp_path / "p", 420)
    assert len(project.held_out_gold()) >= 100
    judged(project, lambda true, _texts: true)
    assert "use the model as it is" in advised(project)
    judged(project, always)
    assert "use the model" not in advised(project)
    few = labelled(tmp_path / "few", 120)
    judged(few, lambda true, _texts: true)
    assert "use the model" not in advised(few)
    assert f"{100 - len(few.held_out_gold())} more held-out texts are needed" in advised(few)


def test_next_follows_the_curve_and_the_pool(tmp_path: Path, models: list[Answering]) -> None:
    project = labelled(tmp_path / "p", 200)
    judged(project, learner())
    assert "annoloop add" in status(project).next_step and "add texts" in what_to_label(project)
    more = write_rows(tmp_path / "more.jsonl", [{"text": _words(random.Random(n))} for n in range(7)])
    add(project, [more], split="pool")
    models.append(learner())
    found = train_curve(project, target=0.88)
    assert found.advice.advised == "go_on" and found.advice.reach.texts - found.forecast.seen > 7
    assert "annoloop loop" in status(project).next_step
    assert "the pool has 7 left" in status(project).next_step and "add texts" in status(project).next_step
    train_curve(project, target=1.0)
    train_curve(project, target=0.3)
    assert "the target is reached" in status(project).next_step


def test_level_is_called_cheaper_only_where_the_cost_is_known(tmp_path: Path) -> None:
    project = labelled(tmp_path / "p", 200)
    for cost, known in ((None, False), (1.5, True), (0.0, False)):
        judged(project, lambda true, _texts: true, "level", cost=cost)
        said = advised(project)
        assert ("cheaper" in said) == known
        assert "not behind the LLM by more than the margin of 0.02" in said
