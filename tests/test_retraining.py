"""What shapes a model is in its fingerprint: a change trains anew, and nothing else does."""

from __future__ import annotations

from pathlib import Path

import pytest
from small_project import feedback, settings, small_project, write_rows

from annoloop.errors import TrainingError
from annoloop.project import Project
from annoloop.steps.add import add
from annoloop.steps.sources import latest_model, model_source
from annoloop.steps.train import fingerprint, recipes_of, train_round
from annoloop.training.recipe import FOLDER, load_recipe


def named(folder: Path, **options: str) -> str:
    settings(folder, **options)
    project = Project.open(folder)
    try:
        return fingerprint(project, project.pool_gold(), project.dev_gold())
    finally:
        project.store.close()


def test_a_users_config_is_told_by_what_it_says_wherever_the_project_lies(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, text = tmp_path / "p", (FOLDER / "textcat_bow.cfg").read_text(encoding="utf8")
    own = {"training": 'recipes = ["mine.cfg"]'}
    settings(folder, **own)
    (folder / "mine.cfg").write_text(text, encoding="utf8")
    monkeypatch.chdir(tmp_path)
    assert recipes_of(Project.open(folder)) == (str(folder / "mine.cfg"),)
    begun = named(folder, **own)
    folder.rename(tmp_path / "moved")
    folder = tmp_path / "moved"
    assert named(folder, **own) == begun
    (folder / "mine.cfg").write_text(text.replace("dropout = 0.", "dropout = 0.4"), encoding="utf8")
    assert named(folder, **own) != begun


@pytest.mark.parametrize(
    "options",
    [
        {"lang": "en"},
        {"labels": ("Aufzug", "Rolltreppe")},
        {"training": 'recipes = ["ner"]'},
        {"training": "seed = 1"},
        # Rules of the gold are a part of a recogniser that has no pattern of the project's too.
        {"rules": 'join = "never"'},
    ],
)
def test_settings_that_shape_a_model_make_another(tmp_path: Path, options: dict[str, str]) -> None:
    begun = named(tmp_path / "p", kind="ner")
    assert named(tmp_path / "p", kind="ner", **options) != begun
    assert named(tmp_path / "p", kind="ner") == begun


def test_a_part_of_a_config_is_refused_with_what_it_lacks(tmp_path: Path) -> None:
    path = tmp_path / "base.cfg"
    text = (FOLDER / "textcat_bow.cfg").read_text(encoding="utf8")
    path.write_text("\n".join(line for line in text.splitlines() if "max_steps" not in line), encoding="utf8")
    with pytest.raises(TrainingError, match=r"without max_steps in \[training\]") as told:
        load_recipe(str(path), "textcat")
    assert "fill-config" in (told.value.hint or "")


def test_a_training_that_is_killed_before_it_is_kept_leaves_no_model_under_the_old_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = feedback(80)
    project = small_project(tmp_path / "p", rows, corpus="held_out = 0.0\ndev = 0.3")
    add(project, [write_rows(tmp_path / "some.jsonl", rows[:60])], gold=True)
    first = train_round(project, 1)
    assert model_source(project, first) is not None
    add(project, [write_rows(tmp_path / "all.jsonl", rows)], gold=True)

    def killed(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as cut:
        cut.setattr(type(project.store), "save_predictions", killed)
        with pytest.raises(KeyboardInterrupt):
            train_round(project, 1)
    [left] = project.store.rounds()
    assert left.fingerprint is None and latest_model(project) is None
    again = train_round(project, 1)
    assert again.fingerprint not in (None, first.fingerprint) and latest_model(project) is not None
    project.store.close()
