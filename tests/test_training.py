"""Training: the gold and the seed alone decide what comes out, and no half model is ever left."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import spacy
from spacy.language import Language
from spacy.tokens import Doc, SpanGroup
from spacy.tokens import Span as SpacySpan
from spacy.training import Example as SpacyExample

from annoloop.errors import TrainingError
from annoloop.hashing import input_hash
from annoloop.rules.matcher import Rules
from annoloop.rules.of_gold import RuleMaker
from annoloop.rules.patterns import read_patterns
from annoloop.training.linear_textcat import FACTORY
from annoloop.training.predict import MAKING, load_model, predict, uncertainty
from annoloop.training.recipe import FOLDER, default_recipes, load_recipe
from annoloop.training.train import train
from annoloop.types import Annotation, DevGold, Example, Gold, LabelScheme, PoolGold, Span

NER = LabelScheme("ner", ("BRAND", "UNSEEN"))
SPANCAT = LabelScheme("spancat", ("BRAND", "UNSEEN"))
TEXTCAT = LabelScheme("textcat", ("heating", "trains", "unseen"))
MULTI = LabelScheme("textcat_multilabel", ("heating", "trains", "unseen"))
BRANDS = ("Acne", "Levi's", "Uniqlo", "J.Crew", "İpek")
FRAMES = (
    "I bought {} 👖 jeans.",
    "Is {} any good?",
    "café: {}\r\nis sold out",
    "My {} boots",
    "שלום {} coat",
)


def spans_text(brand: str, frame: str) -> tuple[str, Annotation]:
    start = frame.index("{}")
    return frame.format(brand), Annotation(spans=(Span(start, start + len(brand), "BRAND"),))


def gold_of(
    pairs: Sequence[tuple[str, Annotation]], kind: type[PoolGold] | type[DevGold]
) -> tuple[Gold, ...]:
    return tuple(Gold(Example(input_hash(text), text, split=kind.split), said) for text, said in pairs)


SPAN_PAIRS = [spans_text(brand, frame) for brand in BRANDS for frame in FRAMES]
SPAN_PAIRS += [(f"Nothing to see here, number {n}.", Annotation()) for n in range(5)]
CAT_PAIRS = [
    (f"The {word} in house {n} is broken", Annotation(("heating",)))
    for n, word in enumerate(("boiler", "radiator", "heater") * 5)
]
CAT_PAIRS += [
    (f"My {word} to city {n} is late 🚆", Annotation(("trains",)))
    for n, word in enumerate(("express", "railway", "tram") * 5)
]


def pool(pairs: Sequence[tuple[str, Annotation]]) -> PoolGold:
    return PoolGold(gold_of(pairs, PoolGold))


def dev(pairs: Sequence[tuple[str, Annotation]]) -> DevGold:
    return DevGold(gold_of(pairs, DevGold))


@pytest.fixture(scope="module")
def quick(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Our recipes as configs of a user, who wants few steps."""
    folder = tmp_path_factory.mktemp("quick")
    for name in ("ner", "ner_rules", "spancat", "textcat_bow", "textcat_multilabel_bow"):
        config = spacy.util.load_config(FOLDER / f"{name}.cfg", interpolate=False)
        config["training"].update(max_steps=40, eval_frequency=20, patience=0)
        for settings in config["initialize"].get("components", {}).values():
            settings.pop("labels", None)
        config.to_disk(folder / f"{name}.cfg")
    return {file.stem: str(file) for file in folder.glob("*.cfg")}


def given_rules() -> Rules:
    lines = ({"label": "BRAND", "pattern": [{"lower": "gap"}]}, {"label": "BRAND", "pattern": "H&M"})
    patterns = read_patterns("\n".join(map(json.dumps, lines)), scheme=NER, lang="en")
    return Rules(patterns, scheme=NER, lang="en")


def files(folder: Path) -> dict[str, bytes]:
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


AGAIN = """
import sys, pathlib
sys.path.insert(0, sys.argv[3])
from test_training import *
train(pool(SPAN_PAIRS[::-1]), dev(SPAN_PAIRS[::4]), scheme=NER, lang="en", seed=3,
      out=pathlib.Path(sys.argv[1]),
      recipes=[sys.argv[2]], rules=RuleMaker(NER, "en", given_rules()))
"""


def test_same_gold_and_seed_give_the_same_bytes_in_another_process(
    tmp_path: Path, quick: dict[str, str]
) -> None:
    recipe, rules = quick["ner_rules"], RuleMaker(NER, "en", given_rules())
    judge = dev(SPAN_PAIRS[::4])
    settings = {"scheme": NER, "lang": "en", "recipes": [recipe], "rules": rules}
    made = train(pool(SPAN_PAIRS), judge, seed=3, out=tmp_path / "a", **settings)
    environment = {**os.environ, "PYTHONHASHSEED": "77"}
    arguments = [str(tmp_path / "b"), recipe, str(Path(__file__).parent)]
    done = subprocess.run(
        [sys.executable, "-c", AGAIN, *arguments],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""
    assert files(tmp_path / "b") == files(tmp_path / "a")
    assert str(tmp_path) not in (made.path / "config.cfg").read_text()
    other = train(pool(SPAN_PAIRS), judge, seed=4, out=tmp_path / "c", **settings)
    assert files(other.path)["ner/model"] != files(made.path)["ner/model"]


@pytest.mark.parametrize(("recipe", "scheme"), [("ner_rules", NER), ("textcat_linear", TEXTCAT)])
def test_spacy_train_repeats_it(
    tmp_path: Path, quick: dict[str, str], recipe: str, scheme: LabelScheme
) -> None:
    pairs = SPAN_PAIRS if scheme.has_spans else CAT_PAIRS
    made = train(
        pool(pairs),
        dev(pairs[::4]),
        scheme=scheme,
        lang="en",
        seed=1,
        out=tmp_path / "model",
        recipes=[quick.get(recipe, recipe)],
        rules=RuleMaker(scheme, "en", given_rules()) if scheme.has_spans else None,
    )
    making = made.path / MAKING
    code = ["--code", "linear_textcat.py" if recipe == "textcat_linear" else "annoloop_rules.py"]
    command = [
        sys.executable,
        "-m",
        "spacy",
        "train",
        "config.cfg",
        "--output",
        str(tmp_path / "again"),
        *code,
    ]
    subprocess.run(command, cwd=making, check=True, capture_output=True)
    again = load_model(tmp_path / "again" / "model-best")
    ours = load_model(made.path)
    for name, component in ours.pipeline:
        assert component.to_bytes() == again.get_pipe(name).to_bytes()
    if recipe == "ner_rules":
        tags = [token.tag_.partition("|")[0] for token in ours("at gAp and h&m H&M")]
        assert tags == ["", "B-BRAND", "", "", "B-BRAND"]


def test_learns_and_leaves_the_callers_randomness_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    random.seed(5)
    np.random.seed(5)
    before, state = random.getstate(), np.random.get_state()[1].tolist()
    told: list[tuple[str, int, int]] = []
    made = train(
        pool(CAT_PAIRS),
        dev(CAT_PAIRS[::5]),
        scheme=TEXTCAT,
        lang="en",
        seed=0,
        out=tmp_path / "model",
        on_progress=lambda *what: told.append(what),
    )
    assert random.getstate() == before
    assert np.random.get_state()[1].tolist() == state
    assert [name for name, _, _ in made.tried] == list(default_recipes("textcat", rules=False))
    assert made.dev_score == 1.0
    assert told[-1][1] == told[-1][2]
    assert [done for _, done, _ in told] == sorted(done for _, done, _ in told)
    said = list(predict(made.path, ["the radiator is broken", "the railway is late"], scheme=TEXTCAT))
    assert [p.annotation.labels for p in said] == [("heating",), ("trains",)]
    assert all(len(p.probabilities) == 3 and p.score == max(p.probabilities) for p in said)
    assert sum(said[0].probabilities) == pytest.approx(1)
    assert capsys.readouterr().out == ""
    doubts = uncertainty(made.path, ["the radiator is broken", "radiator railway"], scheme=TEXTCAT)
    assert doubts[0] < doubts[1] <= 1


@pytest.mark.parametrize(
    ("scheme", "recipe"),
    [
        (NER, "ner"),
        (SPANCAT, "spancat"),
        (MULTI, "textcat_multilabel_bow"),
        (MULTI, "textcat_multilabel_linear"),
    ],
)
def test_every_kind_trains_and_doubts(
    tmp_path: Path, quick: dict[str, str], scheme: LabelScheme, recipe: str
) -> None:
    pairs = (
        SPAN_PAIRS
        if scheme.has_spans
        else [*CAT_PAIRS, ("boiler in the tram", Annotation(("heating", "trains")))]
    )
    made = train(
        pool(pairs),
        dev(pairs[::4]),
        scheme=scheme,
        lang="en",
        seed=0,
        out=tmp_path / "model",
        recipes=[quick.get(recipe, recipe)],
    )
    texts = [text for text, _ in pairs] + ["", " ", "\r\n", "👩‍👩‍👧"]
    said = list(predict(made.path, iter(texts), scheme=scheme))
    assert len(said) == len(texts)
    for text, prediction in zip(texts, said, strict=True):
        scheme.check(prediction.annotation, text)
    if recipe in ("ner", "textcat_multilabel_linear"):
        assert sum(p.annotation == gold for p, (_, gold) in zip(said, pairs, strict=False)) > len(pairs) / 2
    if scheme == MULTI:
        assert all(p.score is None or (p.score in p.probabilities and p.score >= 0.5) for p in said)
    if scheme == NER:
        assert {p.score for p in said} == {None}
    assert all(p.score is None for p in said if p.annotation == Annotation())
    doubts = uncertainty(made.path, texts, scheme=scheme)
    assert len(doubts) == len(texts)
    assert min(doubts) >= 0
    assert max(doubts[: len(pairs)]) > 0


def test_a_score_is_that_of_what_the_pipeline_is_least_sure_of() -> None:
    found = {"one two": [0.9, 0.625], "none": []}

    @Language.component("test_spans_with_scores")
    def mark(doc: Doc) -> Doc:
        scores = found[doc.text]
        spans = [SpacySpan(doc, n, n + 1, label="BRAND") for n in range(len(scores))]
        doc.spans["sc"] = SpanGroup(doc, spans=spans, attrs={"scores": np.array(scores, dtype="f")})
        doc.cats = {"heating": 0.75, "trains": 0.5, "unseen": 0.25} if scores else {}
        return doc

    nlp = spacy.blank("en")
    nlp.add_pipe("test_spans_with_scores")
    scores = {
        scheme.kind: [p.score for p in predict(nlp, found, scheme=scheme)]
        for scheme in (SPANCAT, TEXTCAT, MULTI)
    }
    assert scores == {
        "spancat": [0.625, None],
        "textcat": [0.75, None],
        "textcat_multilabel": [0.5, None],
    }


@pytest.mark.parametrize(
    ("learn", "judge"),
    [
        pytest.param(SPAN_PAIRS[:10], SPAN_PAIRS[-3:], id="ten texts, dev without an entity"),
        pytest.param([*SPAN_PAIRS[-5:], SPAN_PAIRS[0]], SPAN_PAIRS[:3], id="one example"),
        pytest.param(
            [("word " * 20_000 + "Acne", Annotation(spans=(Span(100_000, 100_004, "BRAND"),)))],
            SPAN_PAIRS[:3],
            id="20,000 words",
        ),
        pytest.param(
            [("unAcned", Annotation(spans=(Span(2, 6, "BRAND"),))), SPAN_PAIRS[1]],
            SPAN_PAIRS[:3],
            id="off border",
        ),
    ],
)
def test_small_and_odd_gold_trains(
    tmp_path: Path,
    quick: dict[str, str],
    learn: list[tuple[str, Annotation]],
    judge: list[tuple[str, Annotation]],
) -> None:
    made = train(
        pool(learn), dev(judge), scheme=NER, lang="en", seed=0, out=tmp_path / "model", recipes=[quick["ner"]]
    )
    assert len(list(predict(made.path, ["Acne jeans"], scheme=NER))) == 1


def test_one_category_in_the_gold_is_predicted(tmp_path: Path) -> None:
    learn, judge = pool(CAT_PAIRS[:4]), dev(CAT_PAIRS[-3:])
    made = train(
        learn, judge, scheme=TEXTCAT, lang="en", seed=0, out=tmp_path / "m", recipes=["textcat_linear"]
    )
    assert next(predict(made.path, ["anything"], scheme=TEXTCAT)).annotation.labels == ("heating",)
    assert made.dev_score == 0.0


@pytest.mark.parametrize(
    ("learn", "scheme", "recipes", "says"),
    [
        ([], NER, None, "no complete gold in training"),
        (SPAN_PAIRS[-5:], NER, None, "has a span"),
        (CAT_PAIRS, LabelScheme("textcat", ("heating",)), None, "one label is no choice"),
        (SPAN_PAIRS, NER, ["nothing_like_it"], "no recipe 'nothing_like_it'"),
        (SPAN_PAIRS, NER, ["ner_rules"], "needs rules"),
        (SPAN_PAIRS, NER, ["textcat_bow"], "not for kind ner"),
    ],
)
def test_what_cannot_be_trained_says_so_and_leaves_nothing(
    tmp_path: Path,
    learn: list[tuple[str, Annotation]],
    scheme: LabelScheme,
    recipes: list[str] | None,
    says: str,
) -> None:
    judge = dev(SPAN_PAIRS[:3] if scheme.has_spans else CAT_PAIRS[:3])
    with pytest.raises(TrainingError, match=says) as caught:
        train(pool(learn), judge, scheme=scheme, lang="en", seed=0, out=tmp_path / "m", recipes=recipes)
    assert caught.value.hint
    assert list(tmp_path.iterdir()) == []


def test_with_dev_learns_from_dev_and_scores_before(tmp_path: Path) -> None:
    learn, judge = pool(CAT_PAIRS), dev([("Please renew my visa", Annotation(("unseen",)))])
    settings = {"scheme": TEXTCAT, "lang": "en", "seed": 0, "recipes": ["textcat_linear"]}
    for with_dev, label in ((False, "heating trains"), (True, "unseen")):
        made = train(learn, judge, out=tmp_path / "model", with_dev=with_dev, **settings)
        assert made.dev_score == 0.0
        assert next(predict(made.path, ["renew my visa"], scheme=TEXTCAT)).annotation.labels[0] in label


def test_incomplete_gold_is_left_out(tmp_path: Path) -> None:
    half = tuple(Gold(g.example, g.annotation, complete=False) for g in pool(SPAN_PAIRS))
    with pytest.raises(TrainingError, match="no complete gold"):
        train(PoolGold(half), dev(SPAN_PAIRS[:3]), scheme=NER, lang="en", seed=0, out=tmp_path / "m")


def test_ctrl_c_leaves_the_model_that_was_there(tmp_path: Path, quick: dict[str, str]) -> None:
    out = tmp_path / "model"
    learn, judge = pool(CAT_PAIRS), dev(CAT_PAIRS[::5])
    train(learn, judge, scheme=TEXTCAT, lang="en", seed=0, out=out, recipes=["textcat_linear"])
    before = files(tmp_path)

    def press(_what: str, done: int, _total: int) -> None:
        if done >= 20:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(
            learn,
            judge,
            scheme=TEXTCAT,
            lang="en",
            seed=9,
            out=out,
            recipes=[quick["textcat_bow"]],
            on_progress=press,
        )
    assert files(tmp_path) == before
    assert [file.name for file in tmp_path.iterdir()] == ["model"]
    train(learn, judge, scheme=TEXTCAT, lang="en", seed=9, out=out, recipes=["textcat_linear"])
    assert [file.name for file in tmp_path.iterdir()] == ["model"]


def test_what_a_killed_training_left_goes_and_one_that_is_at_work_is_left_alone(tmp_path: Path) -> None:
    def once() -> None:
        learn, judge = pool(CAT_PAIRS), dev(CAT_PAIRS[::5])
        recipes = ["textcat_linear"]
        train(learn, judge, scheme=TEXTCAT, lang="en", seed=0, out=tmp_path / "model", recipes=recipes)

    left = tmp_path / ".model-left"
    code = """
import sys, time
from filelock import FileLock
lock = FileLock(sys.argv[1])
lock.acquire()
print("at work", flush=True)
time.sleep(600)
"""
    (left / "0").mkdir(parents=True)
    at_work = subprocess.Popen(
        [sys.executable, "-c", code, str(left / "busy")], stdout=subprocess.PIPE, text=True
    )
    assert at_work.stdout is not None and at_work.stdout.readline() == "at work\n"
    try:
        once()
        assert left.is_dir()
    finally:
        at_work.kill()
        at_work.communicate()
    once()
    assert not left.exists()


def test_the_linear_component_keeps_what_spacy_promises(tmp_path: Path) -> None:
    nlp = spacy.blank("de")
    component = nlp.add_pipe(FACTORY, config={"min_texts": 1})
    cats = [{label: float(label in said.labels) for label in TEXTCAT.labels} for _, said in CAT_PAIRS]
    examples = [
        SpacyExample.from_dict(nlp.make_doc(text), {"cats": truth})
        for (text, _), truth in zip(CAT_PAIRS, cats, strict=True)
    ]
    nlp.initialize(lambda: examples)
    texts = ["Straße: the boiler", "", "the TRAM is late", "İ", "word " * 20_000]
    scores = [doc.cats for doc in nlp.pipe(texts)]
    assert [nlp(text).cats for text in texts] == scores
    assert [doc.cats for doc in nlp.pipe(texts, n_process=2, batch_size=2)] == scores
    np.testing.assert_allclose(
        component.predict([nlp.make_doc(t) for t in texts]), [list(s.values()) for s in scores], rtol=1e-6
    )
    assert nlp.evaluate(examples)["cats_micro_f"] == 1.0
    nlp.to_disk(tmp_path / "nlp")
    assert [doc.cats for doc in spacy.load(tmp_path / "nlp").pipe(texts)] == scores
    fresh = spacy.blank("de")
    fresh.add_pipe(FACTORY, config={"min_texts": 1})
    assert [doc.cats for doc in fresh.from_bytes(nlp.to_bytes()).pipe(texts)] == scores
    assert json.loads((tmp_path / "nlp" / "meta.json").read_text())["labels"][FACTORY] == list(TEXTCAT.labels)


def test_a_recipe_takes_settings(tmp_path: Path) -> None:
    config = load_recipe("ner:dropout=0.3,width=96", "ner")
    assert config["training"]["dropout"] == 0.3
    embedded = config["components"]["ner"]["model"]["tok2vec"]
    assert embedded["embed"]["width"] == embedded["encode"]["width"] == 96
    made = train(
        pool(CAT_PAIRS),
        dev(CAT_PAIRS[::5]),
        scheme=TEXTCAT,
        lang="en",
        seed=0,
        out=tmp_path / "model",
        recipes=["textcat_linear:penalty=0.5"],
    )
    assert spacy.util.load_config(made.path / "config.cfg")["components"]["textcat"]["penalty"] == 0.5
    for wrong in ("ner:depht=4", "ner:dropout=much", "ner:dropout", "ner:attrs=3"):
        with pytest.raises(TrainingError, match="setting") as caught:
            load_recipe(wrong, "ner")
        assert caught.value.hint


def test_the_first_line_is_seen_where_texts_have_more_than_one(tmp_path: Path) -> None:
    subjects = {"heating": "invoice", "trains": "ticket"}
    bodies = [" ".join(subjects.values()), "please help", "ticket invoice ticket", "invoice"]
    pairs = [
        (f"{subjects[label]} {n}\r\n\r\n{body} 👖", Annotation((label,)))
        for n in range(4)
        for label in subjects
        for body in bodies
    ]
    settings = {"scheme": TEXTCAT, "lang": "en", "seed": 0, "recipes": ["textcat_linear"]}
    made = train(pool(pairs), dev(pairs[::5]), out=tmp_path / "lines", **settings)
    assert spacy.util.load_config(made.path / "config.cfg")["components"]["textcat"]["first_line"] is True
    texts = ["\n invoice \r\nticket ticket ticket", "ticket\ninvoice invoice invoice", "\r\n", "İ\n"]
    said = [p.annotation.labels for p in predict(made.path, texts, scheme=TEXTCAT)]
    assert said[:2] == [("heating",), ("trains",)]
    flat = train(pool(CAT_PAIRS), dev(CAT_PAIRS[::5]), out=tmp_path / "flat", **settings)
    assert spacy.util.load_config(flat.path / "config.cfg")["components"]["textcat"]["first_line"] is False
