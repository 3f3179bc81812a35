"""Rules: spaCy's semantics for spans, votes for categories, and every bad line named."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import spacy
from hypothesis import given, settings
from hypothesis import strategies as st

from annoloop.errors import FormatError
from annoloop.rules.matcher import Match, Pattern, Rules, load_rules, read_pattern
from annoloop.types import Annotation, LabelScheme, Span

NER = LabelScheme("ner", ("BRAND", "PLACE"))
SPANS = LabelScheme("spancat", ("BRAND", "PLACE"))
TOPICS = LabelScheme("textcat", ("lift", "light", "train"))
PROJECTS = Path(__file__).parent.parent / "projects"


def rules(tmp_path, *rows, scheme=NER, lang="en", name="patterns.jsonl"):
    lines = [
        row if isinstance(row, str) else json.dumps({"label": row[0], "pattern": row[1]}) for row in rows
    ]
    path = tmp_path / name
    path.write_text("\n".join(lines), encoding="utf8")
    return load_rules(path, scheme=scheme, lang=lang)


def lower(*words):
    return [{"lower": word} for word in words]


def found(rules, text):
    [annotation] = rules.predict([text])
    return [(text[s.start : s.end], s.label) for s in annotation.spans]


def test_the_longest_match_wins_then_the_leftmost_then_the_first_pattern(tmp_path):
    made = rules(
        tmp_path,
        ("PLACE", lower("york")),
        ("BRAND", lower("new", "york", "shoes")),
        ("BRAND", lower("new", "york")),
        ("PLACE", "New York"),
        ("PLACE", lower("shoes", "paris")),
    )
    assert found(made, "New York shoes Paris") == [("New York shoes", "BRAND")]
    assert found(made, "in New York, York") == [("New York", "BRAND"), ("York", "PLACE")]
    assert found(made, "new york") == [("new york", "BRAND")]
    crossing = rules(tmp_path, ("PLACE", lower("b", "c")), ("BRAND", lower("a", "b")))
    assert found(crossing, "a b c") == [("a b", "BRAND")]


def test_spancat_keeps_overlaps(tmp_path):
    made = rules(tmp_path, ("PLACE", lower("york")), ("BRAND", lower("new", "york")), scheme=SPANS)
    assert found(made, "new york") == [("new york", "BRAND"), ("york", "PLACE")]
    repeated = rules(tmp_path, ("PLACE", [{"LOWER": "very", "OP": "+"}]), scheme=SPANS)
    assert found(repeated, "very very far") == [("very very", "PLACE")]


def test_entities_are_those_of_spacys_entity_ruler():
    path = PROJECTS / "fashion_brands" / "patterns.jsonl"
    scheme = LabelScheme("ner", ("FASHION_BRAND",))
    nlp = spacy.blank("en")
    nlp.add_pipe("entity_ruler").from_disk(path)
    lines = (PROJECTS / "fashion_brands" / "assets" / "dev.jsonl").read_text(encoding="utf8").splitlines()
    texts = [json.loads(line)["text"] for line in lines[:150]]
    wanted = [
        Annotation(spans=tuple(Span(e.start_char, e.end_char, e.label_) for e in nlp(t).ents)) for t in texts
    ]
    assert sum(len(a.spans) for a in wanted) > 5
    assert list(load_rules(path, scheme=scheme, lang="en").predict(texts)) == wanted


@pytest.mark.parametrize("before", ["👩‍👩‍👧 ", "cafe\u0301 ", "a\r\nb ", "İ İ ", "שלום עולם ", "\n\n  "])
def test_offsets_are_code_points(tmp_path, before):
    made = rules(tmp_path, ("BRAND", lower("vans")), ("PLACE", "Łódź"))
    text = before + "Vans, Łódź"
    assert found(made, text) == [("Vans", "BRAND"), ("Łódź", "PLACE")]


def test_most_votes_win_and_the_file_breaks_ties(tmp_path):
    made = rules(
        tmp_path,
        ("light", lower("dark")),
        ("lift", lower("lift")),
        ("lift", [{"LOWER": {"REGEX": "^broken"}}]),
        ("train", lower("train")),
        scheme=TOPICS,
    )
    texts = ["Dark lift, broken", "dark train", "train, dark dark", "train train train lift", "nothing", ""]
    labels = [a.labels for a in made.predict(texts)]
    # A pattern votes once, however often it matches.
    assert labels == [("lift",), ("light",), ("light",), ("lift",), (), ()]
    several = LabelScheme("textcat_multilabel", TOPICS.labels)
    tags = load_rules(tmp_path / "patterns.jsonl", scheme=several, lang="en")
    assert [a.labels for a in tags.predict(texts[:2])] == [("lift", "light"), ("light", "train")]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ('{"label": "BRAND", "pattern"', ["not JSON"]),
        ('["BRAND"]', ["not a JSON object"]),
        ('{"pattern": "x"}', ["label", "missing"]),
        ('{"label": "ZEBRA", "pattern": "x"}', ["label", "'ZEBRA'", "BRAND, PLACE"]),
        ('{"label": "BRAND"}', ["pattern", "missing"]),
        ('{"label": "BRAND", "pattern": " "}', ["pattern", "empty"]),
        ('{"label": "BRAND", "pattern": []}', ["pattern", "empty"]),
        ('{"label": "BRAND", "pattern": [{"LOWERR": "x"}]}', ["pattern", "LOWERR"]),
        ('{"label": "BRAND", "pattern": [{"LOWER": 3}]}', ["pattern", "LOWER"]),
        ('{"label": "BRAND", "pattern": [{"pos": "NOUN"}]}', ["pattern", "POS", "trained pipeline"]),
        ('{"label": "BRAND", "pattern": [{"TEXT": {"REGEX": "("}}]}', ["pattern", "missing )"]),
        ('{"label": "BRAND", "pattern": "x", "id": 3}', ["id"]),
    ],
)
def test_a_bad_line_is_named_with_its_field(tmp_path, line, words):
    good = '{"label": "BRAND", "pattern": "x"}'
    with pytest.raises(FormatError) as caught:
        rules(tmp_path, good, "", line, good)
    [report] = caught.value.message.splitlines()
    assert report.startswith(f"{tmp_path / 'patterns.jsonl'}:3: ")
    assert all(word in report for word in words)
    assert caught.value.hint


def test_all_bad_lines_are_reported_at_once(tmp_path):
    with pytest.raises(FormatError) as caught:
        rules(tmp_path, *["{"] * 30)
    lines = caught.value.message.splitlines()
    assert len(lines) == 21 and "10 more" in lines[-1]


def test_explain_names_every_match_and_whether_it_counts(tmp_path):
    made = rules(
        tmp_path, ("PLACE", lower("york")), "", ("BRAND", lower("new", "york")), ("BRAND", "New York")
    )
    # The same span by two patterns counts for both; what the longer one covers does not.
    assert made.explain("👍 New York") == (
        Match(2, 10, 1, "BRAND", True),
        Match(2, 10, 2, "BRAND", True),
        Match(6, 10, 0, "PLACE", False),
    )
    assert [(p.line, p.shown) for p in made.patterns] == [
        (1, '{"lower": "york"}'),
        (3, '{"lower": "new"} {"lower": "york"}'),
        (4, '"New York"'),
    ]


def test_explain_tells_the_winning_category_from_the_others(tmp_path):
    made = rules(tmp_path, ("light", lower("dark")), ("lift", lower("lift")), scheme=TOPICS)
    assert [(m.label, m.used) for m in made.explain("lift, dark, lift")] == [
        ("lift", False),
        ("light", True),
        ("lift", False),
    ]


WORDS = st.sampled_from(["a", "b", "B", "👍", "e\u0301", "שלום", "東京", "\r\n", "\0", " ", ", "])
LABELS = {
    "ner": NER.labels,
    "spancat": NER.labels,
    "textcat": TOPICS.labels,
    "textcat_multilabel": TOPICS.labels,
}


@st.composite
def some_rules(draw):
    kind = draw(st.sampled_from(sorted(LABELS)))
    token = st.fixed_dictionaries(
        {"LOWER": st.sampled_from(["a", "b", "東京", "שלום"])},
        optional={"OP": st.sampled_from(["+", "?", "*"])},
    )
    match = st.one_of(st.lists(token, min_size=1, max_size=3).map(tuple), st.sampled_from(["a b", "B", "👍"]))
    label = st.sampled_from(LABELS[kind])
    patterns = draw(st.lists(st.builds(Pattern, label, match), max_size=5))
    return Rules(patterns, scheme=LabelScheme(kind, LABELS[kind]), lang="xx")


@settings(deadline=None)
@given(some_rules(), st.lists(WORDS, max_size=12).map("".join))
def test_what_is_explained_is_what_is_predicted(made, text):
    [said] = made.predict([text])
    matches = made.explain(text)
    assert made.annotation(matches) == said
    used = [m for m in matches if m.used]
    if made.scheme.has_spans:
        assert {Span(m.start, m.end, m.label) for m in used} == set(said.spans)
    else:
        assert {m.label for m in used} == set(said.labels)
    assert len(set(matches)) == len(matches) and list(matches) == sorted(matches)
    assert all(m.label == made.patterns[m.pattern].label and m.start < m.end <= len(text) for m in matches)


def test_a_pattern_that_somebody_types_is_checked_alone():
    pattern = read_pattern('{"label": "BRAND", "pattern": [{"lower": "vans"}]}', scheme=NER, lang="en")
    assert [m.start for m in Rules([pattern], scheme=NER, lang="en").explain("my Vans")] == [3]
    with pytest.raises(FormatError, match="ZEBRA"):
        read_pattern('{"label": "ZEBRA", "pattern": "x"}', scheme=NER, lang="en")


def test_a_missing_file_means_no_rules_but_a_named_one_must_exist(tmp_path):
    assert load_rules(tmp_path / "patterns.jsonl", scheme=NER, lang="en") is None
    with pytest.raises(FormatError, match=r"brands\.jsonl"):
        load_rules(tmp_path / "brands.jsonl", scheme=NER, lang="en")
    (tmp_path / "patterns.jsonl").write_bytes(b'{"label": "BRAND", "pattern": "caf\xe9"}')
    with pytest.raises(FormatError, match="UTF-8"):
        load_rules(tmp_path / "patterns.jsonl", scheme=NER, lang="en")


def test_an_empty_file_is_rules_that_find_nothing(tmp_path):
    made = rules(tmp_path, "")
    assert made.empty
    assert list(made.predict(["New York", ""])) == [Annotation(), Annotation()]


def test_the_version_names_content_not_spelling(tmp_path):
    first = rules(tmp_path, '{"label": "BRAND", "pattern": [{"lower": "x"}]}')
    spaced = rules(tmp_path, "\ufeff", '{"pattern":[{"lower":"x"}],  "label":"BRAND"}\r', "")
    assert first.version == spaced.version and first.patterns == spaced.patterns
    others = [
        rules(tmp_path, ("BRAND", lower("y"))),
        rules(tmp_path, ("PLACE", lower("x"))),
        rules(tmp_path, ("BRAND", lower("x")), lang="de"),
        rules(tmp_path, ("BRAND", lower("x")), scheme=SPANS),
    ]
    assert len({r.version for r in [first, *others]}) == 5


@pytest.mark.parametrize("name", ["fashion_brands", "customer_feedback_de"])
def test_the_projects_patterns_and_examples_are_good(name):
    from annoloop.corpus.read import Row, read_rows
    from annoloop.settings.load import load_settings

    settings = load_settings(PROJECTS / name)
    scheme, lang = settings.project.scheme(), settings.project.lang
    assert not load_rules(PROJECTS / name / settings.rules.patterns, scheme=scheme, lang=lang).empty
    train = (PROJECTS / name / "assets" / "train.jsonl").read_text(encoding="utf8").splitlines()
    for line in (PROJECTS / name / "examples.jsonl").read_text(encoding="utf8").splitlines():
        assert line in train or json.loads(line) in map(json.loads, train)
    for part in ("examples.jsonl", "assets/train.jsonl", "assets/dev.jsonl", "assets/test.jsonl"):
        rows = list(read_rows(PROJECTS / name / part, scheme=scheme, lang=lang))
        assert rows and all(isinstance(row, Row) and row.complete for row in rows)
