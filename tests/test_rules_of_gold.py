"""Rules made of gold: none is heard of a text that it was made from, and a pipeline takes them along."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
import spacy
from hypothesis import given, settings
from hypothesis import strategies as st
from spacy.training import Example as SpacyExample

from annoloop.errors import BlindnessError
from annoloop.hashing import input_hash
from annoloop.packaging.export import build_wheel
from annoloop.packaging.verify import verify_wheel
from annoloop.rules.component import FACTORY, TAGS_FACTORY
from annoloop.rules.matcher import Rules
from annoloop.rules.of_gold import RuleMaker, rules_of_gold
from annoloop.rules.pattern_matcher import PatternMatcher
from annoloop.rules.patterns import read_patterns
from annoloop.steps.sources import ModelSource
from annoloop.training.gold_files import write_gold
from annoloop.training.predict import MAKING, load_model, predict
from annoloop.training.recipe import FOLDER
from annoloop.training.train import Trained, train
from annoloop.types import Annotation, DevGold, Example, Gold, LabelScheme, PoolGold, Span

SCHEME = LabelScheme("ner", ("BRAND",))
FRAMES = (
    "I bought {} 👖 jeans.",
    "is {} any good?",
    "café: {}\r\nis sold out",
    "my {} boots",
    "שלום {} 東京",
    "a pair from {} again",
    "{} then",
    "the old {} shop, closed",
    "we had {}!",
    "too much {} 🙂🙂",
)
BRANDS = ("acne", "levi's", "uniqlo", "j.crew", "İpek", "e\u0301clat")


def gold(text: str, *words: str, split: str = "pool", complete: bool = True) -> Gold:
    spans = tuple(Span(text.index(word), text.index(word) + len(word), "BRAND") for word in words)
    return Gold(Example(input_hash(text), text, split=split), Annotation(spans=spans), complete=complete)


def some_gold() -> list[Gold]:
    made = [gold(frame.format(brand), brand) for brand in BRANDS for frame in FRAMES]
    return [*made, *(gold(f"nothing to see here, number {n}") for n in range(10))]


def rules_of(rows: list[dict]) -> Rules:
    lines = "\n".join(json.dumps(row) for row in rows)
    return Rules(read_patterns(lines, scheme=SCHEME, lang="en"), scheme=SCHEME, lang="en")


def found_by(rows: Sequence[Mapping], text: str) -> list[str]:
    nlp = spacy.blank("en")
    matcher = PatternMatcher(nlp.vocab, nlp.tokenizer, rows, "ner")
    doc = nlp.make_doc(text)
    return sorted(doc[start:end].text for start, end, _ in matcher.spans(matcher(doc)))


def test_they_find_the_names_of_the_gold_in_other_texts_and_do_not_tell_them():
    made = rules_of_gold(PoolGold(tuple(some_gold())), scheme=SCHEME, lang="en")
    assert found_by(made.rows, "where do they sell Uniqlo and levi's?") == ["Uniqlo", "levi's"]
    told = json.dumps([made.rows, made.sure], ensure_ascii=False).lower()
    assert not [brand for brand in BRANDS if brand.lower() in told]


def test_of_a_text_only_rules_are_heard_that_others_speak_for():
    """The list of rare names has all of them; of a text it is heard without those that it alone has."""
    names = ("qaqa", "wewe", "rara", "tata", "zuzu", "pipi", "lolo", "mimi")
    rare = [gold(f"we like {name} at {n}", name) for name in names for n in range(3)]
    once = gold("they wear zzyzx all day", "zzyzx")
    made = rules_of_gold(PoolGold((*some_gold(), *rare, once)), scheme=SCHEME, lang="en")
    assert found_by(made.rows, once.example.text) == ["zzyzx"]
    assert made.crossed[once.example.input_hash] == ((), ())
    known = [made.crossed[one.example.input_hash][0] == one.annotation.spans for one in rare]
    assert sum(known) > len(known) * 0.5


@settings(max_examples=4)
@given(st.permutations(some_gold()[::4]), st.integers(0, 18))
def test_the_order_of_the_gold_changes_nothing_and_offsets_fit(items, size):
    part = items[:size]
    made = rules_of_gold(PoolGold(tuple(part)), scheme=SCHEME, lang="en")
    assert made == rules_of_gold(PoolGold(tuple(reversed(part))), scheme=SCHEME, lang="en")
    assert set(made.crossed) == {one.example.input_hash for one in part}
    for one in part:
        for spans in made.crossed[one.example.input_hash]:
            SCHEME.check(Annotation(spans=spans), one.example.text)


def test_rules_that_find_little_of_other_texts_are_not_heard():
    few = [gold(f"I met {name} in the {place}", name) for name, place in zip(BRANDS, "abcdef", strict=True)]
    plain = [gold(f"I met nobody in the {n} on {n + 1}") for n in range(20)]
    made = rules_of_gold(PoolGold((*few, *plain)), scheme=SCHEME, lang="en")
    assert made.rows == ()
    assert set(made.crossed.values()) == {((), ())}


def test_only_complete_gold_to_learn_from_makes_rules():
    half = gold("they wear zzyzx all day", complete=False)
    made = rules_of_gold(PoolGold((*some_gold(), half)), scheme=SCHEME, lang="en")
    assert half.example.input_hash not in made.crossed
    empty = rules_of_gold(PoolGold((half,)), scheme=SCHEME, lang="en")
    assert (empty.rows, empty.crossed) == ((), {})
    with pytest.raises(BlindnessError):
        rules_of_gold(DevGold((gold("a", split="dev"),)), scheme=SCHEME, lang="en")


def test_of_the_projects_rules_those_that_may_take_for_ever_stay_out():
    own = rules_of([{"label": "BRAND", "regex": "a*a*b"}, {"label": "BRAND", "pattern": "x"}])
    assert [row["pattern"] for row in RuleMaker(SCHEME, "en", own).given] == ["x"]
    assert RuleMaker(SCHEME, "en").given == []


def test_of_the_projects_rules_those_that_are_right_in_the_gold_are_sure():
    own = rules_of([{"label": "BRAND", "pattern": word, "attr": "LOWER"} for word in (*BRANDS, "jeans")])
    made = RuleMaker(SCHEME, "en", own)(PoolGold(tuple(some_gold())))
    assert [row for row in own.rows if row in made.sure] == own.rows[:-1]
    assert not [row for row in own.rows if row in made.rows]
    apart = RuleMaker(SCHEME, "en", own, join=False)
    assert not [row for row in own.rows if row in apart(PoolGold(tuple(some_gold()))).sure]
    assert apart.given == own.rows


def tagger(rows: list[dict], learned: list[tuple[str, list[Span]]], tmp_path: Path):
    """A pipeline that tags by the rows and has been initialised with these texts and their spans."""
    nlp = spacy.blank("en")
    nlp.add_pipe(TAGS_FACTORY)
    golds = [gold(text) for text, _ in learned]
    tags = {one.example.input_hash: ((), spans) for one, (_, spans) in zip(golds, learned, strict=True)}
    docs = write_gold(golds, tmp_path / "t.spacy", SCHEME, "en", piece=4, tags=tags)
    nlp.config["initialize"]["components"] = {TAGS_FACTORY: {"patterns": rows}}
    nlp.initialize(lambda: [SpacyExample(nlp.make_doc(doc.text), doc) for doc in docs])
    return nlp, docs


ROWS = [
    {"label": "BRAND", "phrases": ["acne studios", "gap"], "attr": "LOWER"},
    {"label": "BRAND", "pattern": "gap", "attr": "LOWER", "made": "rules"},
    {"label": "BRAND", "pattern": "nike", "made": "rules"},
    {"label": "BRAND", "pattern": "nike or", "attr": "LOWER", "made": "names"},
]


def tags_of(doc) -> list[str]:
    return [token.tag_ for token in doc]


def test_training_texts_show_what_was_made_without_them_and_others_all(tmp_path):
    text = "👖 nike or Gap or zzyzx here 東京"
    start = text.index("zzyzx")
    nlp, docs = tagger(ROWS, [(text, [Span(start, start + 5, "BRAND")])], tmp_path)
    assert [doc.text for doc in docs] == ["👖 nike or Gap ", "or zzyzx here 東京"]
    assert [tags_of(nlp(doc.text)) for doc in docs] == [["", "", "", "B-BRAND|"], ["", "||B-BRAND", "", ""]]
    other = tags_of(nlp("Acne Studios, nike or Gap"))
    assert other == ["B-BRAND|", "I-BRAND|", "", "|B-BRAND|B-BRAND", "||I-BRAND", "B-BRAND|B-BRAND|"]
    nlp.to_disk(tmp_path / "nlp")
    loaded = spacy.load(tmp_path / "nlp")
    assert tags_of(loaded(docs[0].text)) == ["", "|B-BRAND|B-BRAND", "||I-BRAND", "B-BRAND|B-BRAND|"]
    assert loaded.get_pipe(TAGS_FACTORY).patterns == ROWS
    assert [tags_of(doc) for doc in loaded.pipe(["", " ", "\r\n"])] == [[], [""], [""]]


def test_rows_from_a_config_take_the_place_of_those_before_and_none_leave_them():
    nlp = spacy.blank("en")
    added = nlp.add_pipe(FACTORY)
    added.patterns = ROWS[:1]
    nlp.initialize()
    assert added.patterns == ROWS[:1]
    nlp.config["initialize"]["components"] = {FACTORY: {"patterns": ROWS[1:]}}
    nlp.initialize()
    assert added.patterns == ROWS[1:]


RED = "my {} is red"
"""Words that stand for a name elsewhere and for none here: rules fall for them, a recogniser need not."""


def trained(out: Path, judged: list[str], *, steps: int, with_dev: bool = False) -> Trained:
    """A quick model that has learned what `RED` stands for, chosen on such texts and on one with a name."""
    config = spacy.util.load_config(FOLDER / "ner_rules.cfg", interpolate=False)
    config["training"].update(max_steps=steps, eval_frequency=steps, patience=0)
    config.to_disk(out.parent / "quick.cfg")
    judge = [gold(text, split="dev") for text in judged] + [gold("I bought acne jeans", "acne", split="dev")]
    return train(
        PoolGold((*some_gold(), *(gold(RED.format(brand)) for brand in BRANDS))),
        DevGold(tuple(judge)),
        scheme=SCHEME,
        lang="en",
        seed=0,
        out=out,
        recipes=[str(out.parent / "quick.cfg")],
        rules=RuleMaker(SCHEME, "en"),
        with_dev=with_dev,
    )


def test_rules_of_the_gold_fill_in_where_the_recogniser_is_silent(tmp_path):
    made = trained(tmp_path / "m", [], steps=1)
    nlp = load_model(made.path)
    assert nlp.pipe_names == ["rule_tags", "ner", "gold_rules"]
    assert [span.text for span in nlp("They sell uniqlo, levi's").ents] == ["uniqlo", "levi's"]
    with nlp.select_pipes(disable=["gold_rules"]):
        assert not nlp("They sell uniqlo, levi's").ents
    assert made.dev_score == 1.0
    rows = nlp.get_pipe("rule_tags").patterns
    assert ModelSource(made.path, 1, "", SCHEME).gold_rules == len(rows) - 1 > 0
    assert [row["made"] for row in rows].count("names") == 1


@pytest.mark.slow
@pytest.mark.parametrize("with_dev", [False, True])
def test_where_dev_says_so_they_do_not(tmp_path, with_dev):
    """The final training, on dev too, leaves them out as the one before."""
    made = trained(tmp_path / "m", [RED.format(brand) for brand in BRANDS], steps=20, with_dev=with_dev)
    assert load_model(made.path).pipe_names == ["rule_tags", "ner"]
    files = [str(file) for file in made.path.rglob("*")]
    assert not [file for file in files if "gold_rules" in file and MAKING not in file]
    kept = spacy.util.load_config(made.path / MAKING / "config.cfg", interpolate=False)
    assert kept["nlp"]["pipeline"] == ["rule_tags", "ner"]
    assert "gold_rules" not in kept["components"]


@pytest.mark.slow
def test_the_package_says_what_the_model_says(tmp_path):
    made = trained(tmp_path / "m", [], steps=1, with_dev=True)
    texts = ["They sell uniqlo 👖", "İpek, levi's\r\n", "", "שלום acne 東京"]
    expected = [one.annotation for one in predict(made.path, texts, scheme=SCHEME)]
    assert sum(len(one.spans) for one in expected) == 4
    wheel = build_wheel(made.path, tmp_path / "out", name="shop", version="1.0.0", lang="en")
    report = verify_wheel(wheel, texts, expected, scheme=SCHEME, environment="shared")
    assert report.ok, report
