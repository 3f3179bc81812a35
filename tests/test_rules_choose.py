"""Patterns proposed from gold, counted only where they were not made from, and chosen from."""

from __future__ import annotations

import json
import random
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from annoloop.errors import BlindnessError
from annoloop.hashing import input_hash
from annoloop.rules.choose import MatchTable, choose, settled
from annoloop.rules.matcher import Rules
from annoloop.rules.patterns import read_pattern
from annoloop.rules.suggest import FOLDS, fold_of, from_answers, from_gold, from_terms, measured
from annoloop.rules.suggest_spans import spellings
from annoloop.types import Annotation, DevGold, Example, Gold, HeldOutGold, LabelScheme, PoolGold, Span

NER = LabelScheme("ner", ("BRAND",))
ONE = LabelScheme("textcat", ("LIFT", "LICHT"))


def marked(text: str, *names: str, split="pool") -> Gold:
    spans = [Span(m.start(), m.end(), "BRAND") for name in names for m in re.finditer(re.escape(name), text)]
    return Gold(Example(input_hash(text), text, split=split), Annotation(spans=tuple(spans)))


def sorted_text(text: str, label: str) -> Gold:
    return Gold(Example(input_hash(text), text), Annotation((label,)))


def parsed(candidates, scheme):
    return [read_pattern(one.line, scheme=scheme, lang="en") for one in candidates]


def table_of(candidates, gold, scheme=NER, lang="en"):
    patterns = parsed(candidates, scheme)
    rules = Rules(patterns, scheme=scheme, lang=lang)
    found = [rules.explain(item.example.text) for item in gold]
    candidates = measured(candidates, gold, found, scheme=scheme)
    return candidates, MatchTable(patterns, found, gold, scheme=scheme, lang=lang, candidates=candidates)


SHOPS = PoolGold(
    tuple(
        marked(f"{number} I got this {what} from {name}, and it fits me.", name)
        for number, (what, name) in enumerate(
            (what, name)
            for what in ("coat", "shirt", "bag", "hat")
            for name in ("Zara", "Gap", "Old Navy", "Levi's", "H&M", "Ecco", "Muji", "Keds", "Fila", "Puma")
        )
    )
    + tuple(marked(f"{number} On Monday we went to Köln, and to Rome.") for number in range(20))
)


def test_proposals_are_lines_of_the_project_and_of_many_sorts():
    made = from_gold(SHOPS, scheme=NER, lang="en")
    parsed(made, NER)
    assert {"surface", "lower", "spelling", "context", "shape", "exception"} <= {one.sort for one in made}
    assert len({one.line for one in made}) == len(made)
    assert all(len(one.beyond) == FOLDS for one in made)


@pytest.mark.parametrize("kind", [DevGold, HeldOutGold])
def test_gold_to_judge_by_is_refused(kind):
    split = kind.split
    gold = kind((marked("from Zara, yes", "Zara", split=split),))
    with pytest.raises(BlindnessError):
        from_gold(gold, scheme=NER, lang="en")
    with pytest.raises(BlindnessError):
        measured((), gold, [()], scheme=NER)
    with pytest.raises(BlindnessError):
        MatchTable([], [()], gold, scheme=NER, lang="en")


def test_a_name_is_not_counted_in_the_texts_that_proposed_it():
    by_fold = {
        fold_of(item): item for n in range(20) for item in [marked(f"Nike is fine, says {n}.", "Nike")]
    }
    gold = PoolGold((by_fold[0], by_fold[1], marked("I like Zorgo.", "Zorgo")))
    made = from_gold(gold, scheme=NER, lang="en")
    [names] = [one for one in made if one.sort == "surface"]
    assert set(names.members) == {"Nike", "Zorgo"}
    [names], _ = table_of([names], gold)
    # Nike twice, each time known from the other text; Zorgo only from its own.
    assert (names.right, names.wrong) == (2, 0)


def test_a_name_that_mostly_means_something_else_is_left_out_in_lower_case():
    gold = PoolGold(
        (
            marked("Gap has coats", "Gap"),
            marked("Zara has hats", "Zara"),
            *(marked(f"{n} a gap in the wall") for n in range(4)),
        )
    )
    made = {one.sort: one for one in from_gold(gold, scheme=NER, lang="en") if one.members}
    assert json.loads(made["lower"].line)["phrases"] == ["zara"]
    assert json.loads(made["surface"].line)["phrases"] == ["Gap", "Zara"]


def test_a_context_finds_names_never_seen():
    made = [one for one in from_gold(SHOPS, scheme=NER, lang="en") if one.sort == "context"]
    patterns = parsed(made, NER)
    text = "She has it from Nanamica, of course, and from nobody else."
    found = [Rules([one], scheme=NER, lang="en").explain(text) for one in patterns]
    assert any(text[m.start : m.end] == "Nanamica" for matches in found for m in matches)


def test_spellings_meet():
    assert set(spellings("J Crew")) >= {"j crew", "j-crew", "jcrew", "j crews"}
    assert set(spellings("H&amp;M")) >= {"h & m", "h&m", "h&amp;m", "h and m"}
    assert set(spellings("Levi’s")) >= {"levi", "levis", "levi's", "levi’s"}
    assert "van" not in spellings("vans")
    assert spellings("İpek")[0] == "İpek".lower() or "İpek".lower() in spellings("İpek")


@given(st.text(max_size=30))
@settings(max_examples=200)
def test_spellings_of_anything_are_phrases(words):
    forms = spellings(words)
    assert words.lower() in forms and list(forms) == sorted(set(forms))


@given(
    st.lists(
        st.tuples(
            st.text(alphabet="ab A.B’&\r\n👍é\u0301İ日", max_size=20), st.integers(0, 19), st.integers(1, 6)
        ),
        max_size=8,
    )
)
@settings(max_examples=60)
def test_whatever_is_labelled_only_valid_lines_are_proposed(rows):
    items = {}
    for text, start, length in rows:
        end = min(len(text), start + length)
        spans = (Span(start, end, "BRAND"),) if start < end else ()
        items[text] = Gold(Example(input_hash(text), text), Annotation(spans=spans))
    made = from_gold(PoolGold(tuple(items.values())), scheme=NER, lang="en", least=1)
    for one in made:
        read_pattern(one.line, scheme=NER, lang="en")


def test_terms_become_phrases():
    terms = {"BRAND": ("Old Navy", " ", "Gap", "Old Navy"), "NOBODY": ("x",)}
    made = from_terms(terms, scheme=NER)
    assert [one.label for one in made] == ["BRAND", "BRAND"]
    assert {one.origin for one in made} == {"terms"}
    parsed(made, NER)
    [word] = from_terms({"LIFT": ("lift",)}, scheme=ONE)
    assert json.loads(word.line) == {"label": "LIFT", "pattern": "lift", "attr": "LOWER"}


def test_answers_need_several_texts_and_are_no_gold():
    said = [(item.example.text, item.annotation) for item in SHOPS]
    made = from_answers(said, scheme=NER, lang="en")
    assert made and all(one.support >= 3 and one.origin == "answers" for one in made)
    assert all((one.right, one.wrong) == (0, 0) for one in made)


FEEDBACK = PoolGold(
    tuple(
        sorted_text(f"{number} {words}", label)
        for number in range(60)
        for words, label in (
            ("der lift ist kaputt", "LIFT"),
            ("das licht ist kaputt", "LICHT"),
            (("es ist kaputt"), ("LIFT", "LICHT")[number % 2]),
        )
    )
)


def test_telling_words_of_categories():
    made = from_gold(FEEDBACK, scheme=ONE, lang="de")
    lines = [(one.label, one.line) for one in made if one.sort == "ngram"]
    assert any(label == "LIFT" and '"lift"' in line for label, line in lines)
    assert not any(label == "LIFT" and '"licht"' in line for label, line in lines)
    assert not any('[{"LOWER": "kaputt"}]' in line for _, line in lines)


def test_what_settles_is_sure_and_leaves_the_rest_open():
    _, table = table_of(from_gold(FEEDBACK, scheme=ONE, lang="de"), FEEDBACK, ONE, "de")
    chosen = settled(table, precision=0.9)
    rules = Rules([table.patterns[n] for n in chosen], scheme=ONE, lang="de")
    said = list(rules.predict(["7 der lift ist kaputt", "8 das licht ist kaputt", "es ist kaputt"]))
    assert [one.labels for one in said] == [("LIFT",), ("LICHT",), ()]
    assert settled(table, precision=0.9999) == ()


def file_of(*lines):
    from annoloop.rules.suggest import Candidate

    return [Candidate(json.dumps({"label": "BRAND", **line}), "gold", "file", 0) for line in lines]


def test_the_smallest_set_keeps_the_score():
    lines = file_of(
        {"pattern": "Zara"},
        {"pattern": [{"LOWER": "zara"}]},
        {"pattern": [{"SHAPE": "Xxxx"}]},
        {"pattern": "Old Navy"},
        {"pattern": "Navy"},
        {"pattern": "Monday"},
    )
    _, table = table_of(lines, SHOPS)
    chosen = choose(table)
    assert set(chosen.patterns) >= {3} and 5 not in chosen.patterns and 4 not in chosen.patterns
    assert len(set(chosen.patterns) & {0, 1}) <= 1
    assert chosen.score >= table.score(*table.counts(range(len(lines))))
    assert chosen.score == pytest.approx(table.score(*table.counts(chosen.patterns)))
    fewer = choose(table, tolerance=0.3)
    assert len(fewer.patterns) < len(chosen.patterns) and fewer.score >= chosen.score - 0.3
    assert set(choose(table, kept=[5]).patterns) >= {5}


def test_negative_patterns_count_by_what_they_bar():
    lines = file_of(
        {"regex": r"\b[A-Z]\w+(?=,)"},
        {"phrases": ["Köln", "Monday"], "negative": True},
        {"phrases": ["Zara"], "negative": True},
    )
    _, table = table_of(lines, SHOPS)
    assert choose(table).patterns == (0, 1)


def test_a_table_says_of_any_subset_what_the_rules_say():
    made = from_gold(SHOPS, scheme=NER, lang="en")[:80]
    lines = [type(one)(one.line, "gold", "file", 0) for one in made]
    _, table = table_of(lines, SHOPS)
    rng = random.Random(0)
    for _ in range(20):
        some = sorted(rng.sample(range(len(lines)), rng.randint(0, 12)))
        rules = Rules([table.patterns[n] for n in some], scheme=NER, lang="en")
        said = list(rules.predict([item.example.text for item in SHOPS]))
        right = sum(
            len({*own.spans} & {*item.annotation.spans}) for own, item in zip(said, SHOPS, strict=True)
        )
        assert table.counts(some) == (right, sum(len(own.spans) for own in said))
