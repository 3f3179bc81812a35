"""Starts of recipes: what the pool or the LLM taught before the gold, and that nothing else taught it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import spacy
from small_project import small_project, write_rows
from spacy.training.initialize import init_nlp
from test_train_curve import answered
from test_training import BRANDS, NER, SPAN_PAIRS, SPANCAT, dev, files, pool, spans_text

from annoloop.errors import BlindnessError, TrainingError
from annoloop.hashing import input_hash
from annoloop.rules.matcher import Rules
from annoloop.rules.of_gold import RuleMaker
from annoloop.rules.patterns import read_patterns
from annoloop.steps.add import add
from annoloop.steps.llm.source import IMPORTED_FACT
from annoloop.steps.train import beside_gold, fingerprint
from annoloop.training import pretraining
from annoloop.training.predict import MAKING, load_model, predict
from annoloop.training.recipe import load_recipe
from annoloop.training.starts import BesideGold, PoolTexts
from annoloop.training.train import Trained, train
from annoloop.types import Annotation, DevGold, Example, LabelScheme, PoolGold

PATTERN = '{"label": "BRAND", "pattern": "Acne"}'
ODD = ("", "\r\n", "İpek 👩‍👩‍👧 日本語", "word " * 401, "שלום café\u0301")


def pool_texts(texts: Sequence[str]) -> PoolTexts:
    return PoolTexts(tuple(Example(input_hash(text), text) for text in texts))


def of_llm(silver: Sequence[tuple[str, Annotation]]) -> BesideGold:
    return BesideGold(silver=lambda: pool(silver))


TEXTS = pool_texts([*ODD, *(text for text, _ in SPAN_PAIRS)])


@pytest.fixture
def few_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pretraining, "WORDS", 800)


def trained(folder: Path, recipe: str, scheme: LabelScheme = NER, **given: Any) -> Trained:
    """A model of these recipes; its gold knows the first two brands only."""
    learn = [pair for pair in SPAN_PAIRS if any(brand in pair[0] for brand in BRANDS[:2])]
    rules = Rules(read_patterns(PATTERN, scheme=NER, lang="en"), scheme=NER, lang="en")
    given = {"rules": RuleMaker(NER, "en", rules), "scheme": scheme, "lang": "en", "seed": 0, **given}
    return train(pool(learn), dev(SPAN_PAIRS[::4]), out=folder / "model", recipes=[recipe], **given)


def begun(made: Trained, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The pipeline as `spacy train` begins with it."""
    monkeypatch.chdir(made.path / MAKING)
    return init_nlp(spacy.util.load_config("config.cfg"))


def test_pretrained_vectors_are_where_training_begins(
    few_words: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard: list[tuple[str, int, int]] = []
    made = trained(
        tmp_path,
        "ner_rules_pretrained:max_steps=10",
        beside=BesideGold(lambda: TEXTS, kept=tmp_path / "kept"),
        on_progress=lambda *told: heard.append(told),
    )
    (kept,) = (tmp_path / "kept").iterdir()
    assert begun(made, monkeypatch).get_pipe("tok2vec").model.to_bytes() == kept.read_bytes()
    told = [one for one in heard if one[0].startswith("pretraining")]
    assert told[-1][1:] == (800, 800) and len(told) > 1
    nlp = spacy.load(made.path)
    assert nlp.pipe_names[:3] == ["rule_tags", "tok2vec", "ner"]
    assert len(list(predict(nlp, ODD, scheme=NER))) == len(ODD)


def test_pretrained_vectors_are_kept_while_texts_and_sizes_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    learned: list[Sequence[str]] = []
    monkeypatch.setattr(pretraining, "_pretrain", lambda _, texts, *__: learned.append(texts) or b"weights")

    def weights(recipe: str, texts: Sequence[str]) -> Path:
        config = load_recipe(recipe, "spancat")
        config["nlp"]["lang"] = "en"
        return pretraining.pretrained_weights(config, texts, recipe=recipe, kept=tmp_path)

    first = weights("spancat_pretrained", list(TEXTS))
    wide = weights("spancat_pretrained:width=96", list(TEXTS))
    assert set(tmp_path.iterdir()) == {first, wide}
    assert weights("spancat_pretrained", [*list(TEXTS)[::-1], *ODD]) == first
    assert len(learned) == 2
    other = weights("spancat_pretrained", ["Another text of the pool"])
    assert set(tmp_path.iterdir()) == {wide, other}
    assert learned[2] == ["Another text of the pool"]


def test_a_run_that_is_stopped_keeps_no_half_vectors(few_words: None, tmp_path: Path) -> None:
    def press(what: str, done: int, _total: int) -> None:
        if what.startswith("pretraining") and done > 100:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        trained(
            tmp_path,
            "spancat_pretrained",
            SPANCAT,
            beside=BesideGold(lambda: TEXTS, kept=tmp_path / "kept"),
            on_progress=press,
        )
    assert files(tmp_path) == {}


def test_silver_teaches_what_the_gold_never_had(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    silver = [spans_text(brand, frame) for brand in BRANDS for frame in ("Look, {}!", "In {} I trust", "{}")]
    heard: list[str] = []
    made = trained(
        tmp_path,
        "ner_silver:max_steps=25",
        # The gold's own texts are no silver, whatever the LLM says of them.
        beside=of_llm([*silver, *((text, Annotation()) for text, _ in SPAN_PAIRS[:10])]),
        on_progress=lambda what, *_: heard.append(what),
    )
    assert f"said of {len(silver)} texts" in heard[0]
    texts = [f"We like {brand} too" for brand in BRANDS]
    found = [one.annotation.spans for one in predict(made.path, texts, scheme=NER)]
    assert [len(spans) for spans in found].count(1) >= 4
    first = begun(made, monkeypatch).get_pipe("ner")
    assert first.model.to_bytes() == (made.path / MAKING / "start.bin").read_bytes()
    assert set(first.labels) == set(NER.labels)
    assert load_model(made.path).pipe_names == ["ner"]


@pytest.mark.slow
def test_spans_that_overlap_start_from_silver_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    silver = [spans_text(brand, "Look, {}!") for brand in BRANDS]
    made = trained(tmp_path, "spancat_silver:max_steps=10", SPANCAT, beside=of_llm(silver))
    first = begun(made, monkeypatch).get_pipe("spancat")
    assert first.model.to_bytes() == (made.path / MAKING / "start.bin").read_bytes()


@pytest.mark.parametrize(
    ("recipe", "kind", "says"),
    [
        ("textcat_bow_pretrained", "textcat", "textcat_bow has no tok2vec that could start from the pool"),
        ("textcat_linear_silver", "textcat", "textcat_linear has no tok2vec that could start from the LLM"),
        ("ner_transformer_pretrained", "ner", "ner_transformer has no tok2vec"),
        ("spancat_silver", "ner", "not for kind ner"),
        ("nothing_silver", "ner", "no recipe 'nothing_silver'"),
    ],
)
def test_what_cannot_start_so_is_said_in_one_line(recipe: str, kind: Any, says: str) -> None:
    with pytest.raises(TrainingError, match=says) as caught:
        load_recipe(recipe, kind)
    assert caught.value.hint


@pytest.mark.parametrize(
    ("recipe", "beside", "says"),
    [
        ("ner_pretrained", BesideGold(), "needs texts of the pool"),
        ("ner_pretrained", BesideGold(lambda: pool_texts([" "])), "needs texts of the pool"),
        ("ner_silver", BesideGold(), "no span that the LLM found"),
        ("ner_silver", of_llm([("Nothing", Annotation())]), "no span that the LLM found"),
        ("ner_silver", of_llm(SPAN_PAIRS[:3]), "no span that the LLM found"),
    ],
)
def test_a_start_from_nothing_is_said_in_one_line(
    tmp_path: Path, recipe: str, beside: BesideGold, says: str
) -> None:
    with pytest.raises(TrainingError, match=says) as caught:
        trained(tmp_path, recipe, beside=beside)
    assert "annoloop" in (caught.value.hint or "")
    assert files(tmp_path) == {}


def test_nothing_learns_from_texts_to_be_judged_by(tmp_path: Path) -> None:
    with pytest.raises(BlindnessError):
        PoolTexts((Example(input_hash("x"), "x", split="held_out"),))
    project = answered(tmp_path / "p", count=30)
    every = project.store.examples()
    said = {example.input_hash: Annotation(("Aufzug",)) for example in every}
    pool = {example.input_hash: example.text for example in every if example.split == "pool"}
    failed = next(name for name in pool if name not in {g.example.input_hash for g in project.pool_gold()})
    project.store.save_predictions("llm:x", {**said, failed: None})
    project.store.set_fact(IMPORTED_FACT, {"key": "llm:x", "name": "x"})
    given = beside_gold(project)
    assert sorted(given.texts()) == sorted(pool.values())
    gold = {g.example.input_hash for g in project.pool_gold()}
    assert {one.example.input_hash for one in given.silver()} == pool.keys() - gold - {failed}
    assert len(gold) == 30 and len(pool) > 40
    project.store.close()


@pytest.mark.parametrize(("recipe", "follows"), [("ner", False), ("ner_pretrained", True)])
def test_a_model_follows_the_pool_where_it_learns_from_it(tmp_path: Path, recipe: str, follows: bool) -> None:
    rows = [{"text": text} for text, _ in SPAN_PAIRS]
    given = {"kind": "ner", "labels": ["BRAND"], "training": f'recipes = ["{recipe}"]'}
    project = small_project(tmp_path / "p", rows, corpus="held_out = 0.2\ndev = 0.2", **given)
    before = fingerprint(project, PoolGold(), DevGold())
    more = [{"text": f"Something else, number {number}"} for number in range(20)]
    add(project, [write_rows(tmp_path / "more.jsonl", more)])
    assert (fingerprint(project, PoolGold(), DevGold()) != before) is follows
    project.store.close()
