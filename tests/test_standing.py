"""An evaluation and a model stand only as long as labels, kind and files are those they were made with."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from reported import with_rounds
from small_project import LABELS

from annoloop.errors import TrainingError
from annoloop.project import Project
from annoloop.settings.edit import edit_settings
from annoloop.steps.evaluate import Evaluation, evaluate
from annoloop.steps.evidence.report import report
from annoloop.steps.status import status
from annoloop.steps.train import train
from annoloop.types import Annotation, Answer


@pytest.fixture(scope="module")
def judged(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("standing") / "p"
    with_rounds(folder, texts=120, dev=0.2, rounds=(slice(None),)).store.close()
    return folder


@pytest.fixture
def project(judged: Path, tmp_path: Path) -> Project:
    return Project.open(shutil.copytree(judged, tmp_path / "p"))


def scores(result: Evaluation) -> dict[str, object]:
    return {row.approach: row.scores.score for row in result.leaderboard}


def test_what_an_imported_llm_said_follows_a_renamed_label(project: Project) -> None:
    before = scores(evaluate(project))
    labels = ["Aufzug", "Rolltreppe", "sonstiges"]
    edit_settings(
        project.folder, {"project": {"labels": labels}, "project.renamed": {"irrelevant": "sonstiges"}}
    )
    renamed = Project.open(project.folder)
    with pytest.raises(TrainingError, match="answers with 'irrelevant'"):
        evaluate(renamed)
    train(renamed)
    after = evaluate(renamed)
    assert scores(after)["llm"] == before["llm"] != 0


def correct(project: Project, count: int) -> None:
    """A reviewer decides otherwise on so many held-out texts."""
    gold = list(project.held_out_gold())[:count]
    said = [
        Answer(
            f"corrected-{number}",
            project.task(item.example, number=0).task_hash,
            item.example.input_hash,
            "accept",
            Annotation((next(label for label in LABELS if label not in item.annotation.labels),)),
            "Ada",
            2000,
            number + 1,
            True,
            adjudicated=True,
        )
        for number, item in enumerate(gold)
    ]
    project.store.save_answers(said)


def test_after_held_out_labels_were_corrected_it_is_to_be_judged_again(
    project: Project, tmp_path: Path
) -> None:
    assert "judge again" not in status(project).next_step
    report(project, tmp_path / "before.html")
    assert "To be judged again" not in (tmp_path / "before.html").read_text("utf8")
    correct(project, 6)
    assert "judge again, the held-out labels are others now" in status(project).next_step
    report(project, tmp_path / "after.html")
    said = (tmp_path / "after.html").read_text("utf8")
    assert "To be judged again" in said and "the held-out labels are others now" in said
    evaluate(project)
    assert "judge again" not in status(project).next_step


def test_a_model_of_another_kind_is_not_judged(project: Project) -> None:
    edit_settings(project.folder, {"project": {"kind": "textcat_multilabel"}})
    other = Project.open(project.folder)
    with pytest.raises(TrainingError, match="of kind textcat, the project's is textcat_multilabel now"):
        evaluate(other)
    assert "train once more" in status(other).next_step


@pytest.mark.parametrize("hurt", [Path.unlink, lambda path: path.write_bytes(path.read_bytes()[:40])])
@pytest.mark.parametrize("name", ["meta.json", "textcat/model"])
def test_a_damaged_model_is_trained_again(
    project: Project, name: str, hurt: Callable[[Path], object]
) -> None:
    folder = project.folder / "models" / "round-1"
    [file, *_] = [path for path in folder.glob(f"{name}*") if path.is_file()] or sorted(
        folder.glob("textcat/*")
    )
    hurt(file)
    if name == "meta.json":
        with pytest.raises(TrainingError, match="is damaged"):
            evaluate(project)
        assert "annoloop train" in status(project).next_step
    kept = file.read_bytes() if file.exists() else None
    train(project)
    assert file.is_file() and file.read_bytes() != kept
    evaluate(project)


def test_a_model_that_is_gone_is_said_by_status(project: Project) -> None:
    shutil.rmtree(project.folder / "models")
    assert "is gone: train once more" in status(project).next_step
