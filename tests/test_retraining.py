"""What shapes a model is in its fingerprint: a change trains anew, and nothing else does."""

from __future__ import annotations

from pathlib import Path

import pytest
from small_project import settings

from annoloop.project import Project
from annoloop.steps.train import fingerprint, recipes_of
from annoloop.training.recipe import FOLDER


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
