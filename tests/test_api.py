"""The Python API: the words of the command line, loaded on first use."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import annoloop


def test_every_public_name_is_there() -> None:
    assert {name for name in annoloop.__all__ if getattr(annoloop, name) is None} == set()
    assert set(annoloop.__all__) <= set(dir(annoloop))
    with pytest.raises(AttributeError, match="nonsense"):
        annoloop.nonsense  # noqa: B018


def test_importing_annoloop_loads_nothing_heavy() -> None:
    program = (
        "import annoloop, sys; print([m for m in ('spacy', 'sqlalchemy', 'pydantic') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_an_approach_that_is_not_there_says_so(tmp_path: Path) -> None:
    project = annoloop.Project.create(tmp_path / "p", kind="ner", labels=["A"])
    with pytest.raises(annoloop.AnnoloopError, match="has no rules yet"):
        annoloop.predict(project, "rules", ())
    with pytest.raises(annoloop.AnnoloopError, match="one of rules, llm, model"):
        annoloop.predict(project, "oracle", ())  # type: ignore[arg-type]


def test_rules_predict_the_texts_of_a_project(tmp_path: Path) -> None:
    project = annoloop.Project.create(tmp_path / "p", kind="ner", labels=["BRAND"])
    project.patterns.write_text('{"label": "BRAND", "pattern": [{"lower": "gap"}]}\n')
    (tmp_path / "texts.txt").write_text("A gap in my wardrobe\nNothing here\n")
    added = annoloop.add(project, [tmp_path / "texts.txt"])
    assert added.new == 2
    examples = project.store.examples()
    said = annoloop.predict(project, "rules", examples)
    found = {eg.text: said[eg.input_hash].spans for eg in examples}
    assert found == {"A gap in my wardrobe": (annoloop.Span(2, 5, "BRAND"),), "Nothing here": ()}
