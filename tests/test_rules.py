"""Rules: spaCy's semantics for spans, votes for categories, and every bad line named."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
import spacy
from hypothesis import given
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


def lines(tmp_path, *rows, **options):
    return rules(tmp_path, *(json.dumps(row, ensure_ascii=False) for row in rows), **options)


def line(label="BRAND", **keys):
    return {"label": label, **keys}


@pytest.mark.parametrize(
    ("name", "version", "said"),
    [
        ("fashion_brands", "479d8adab522", "ab2cb6ca82d5"),
        ("customer_feedback_de", "3266721f38a7", "d6e6ab11cbe6"),
    ],
)
def test_files_of_old_keep_their_version_and_say_what_they_said(name, version, said):
    from annoloop.settings.load import load_settings

    project = load_settings(PROJECTS / name).project
    path = PROJECTS / name / "patterns.jsonl"
    made = load_rules(path, scheme=project.scheme(), lang=project.lang)
    rows = (PROJECTS / name / "assets" / "dev.jsonl").read_text(encoding="utf8").splitlines()
    found = [(a.labels, a.spans) for a in made.predict(json.loads(row)["text"] for row in rows)]
    assert made.version == version
    assert hashlib.blake2b(repr(found).encode(), digest_size=6).hexdigest() == said


def test_lists_of_phrases_stand_in_the_line_or_in_a_file_beside(tmp_path):
    (tmp_path / "brands.txt").write_text("\ufeffAcne Studios\r\n\n  Levi's \n#vans\n", encoding="utf8")
    inline = lines(tmp_path, line(phrases=["Acne Studios", "Levi's", "#vans"]))
    made = lines(tmp_path, line(phrases="brands.txt"))
    assert found(made, "Acne Studios, levi's and Levi's") == [("Acne Studios", "BRAND"), ("Levi's", "BRAND")]
    assert found(made, "👍 #vans") == [("#vans", "BRAND")]
    assert made.version == inline.version and made.patterns == inline.patterns
    assert made.patterns[0].shown == '"Acne Studios" "Levi\'s" "#vans"'
    (tmp_path / "brands.txt").write_text("Acne Studios\n", encoding="utf8")
    assert lines(tmp_path, line(phrases="brands.txt")).version != inline.version


def test_phrases_in_any_case_and_with_typing_errors(tmp_path):
    any_case = lines(
        tmp_path, line(pattern="Acne Studios", attr="LOWER"), line(phrases=["İpek"], attr="LOWER")
    )
    assert found(any_case, "ACNE studios; İPEK") == [("ACNE studios", "BRAND"), ("İPEK", "BRAND")]
    fuzzy = lines(tmp_path, line(phrases=["Acne Studios", "Gap"], fuzzy=2))
    assert found(fuzzy, "acne sttudios") == [("acne sttudios", "BRAND")]
    assert found(fuzzy, "acnee studio") == [("acnee studio", "BRAND")]
    # One edit for every four characters: "map" is no misspelt "Gap", and "aceen" is too far from "acne".
    assert found(fuzzy, "map GAP aceen studios") == [("GAP", "BRAND")]


def test_regexes_find_in_the_text_and_snap_to_tokens(tmp_path):
    made = lines(tmp_path, line("PLACE", regex=r"m[üu]nch", flags="i"))
    assert found(made, "👍 nach München!") == [("München", "PLACE")]
    blanks = lines(tmp_path, line("PLACE", regex=r"\s+an der \w+\s*"))
    assert found(blanks, "👍\r\n Frankfurt  an der Oder \n") == [("an der Oder", "PLACE")]
    assert found(lines(tmp_path, line(regex=r"\s+|^|(?=x)")), " x \r\n") == []
    assert found(lines(tmp_path, line(regex=r"b.b", flags="s")), "a b\nb c") == [("b\nb", "BRAND")]


def test_of_rivals_the_higher_priority_wins_before_the_longer(tmp_path):
    made = lines(
        tmp_path,
        line("PLACE", pattern="New York Shoes"),
        line(pattern="York", priority=1),
        line(pattern="New"),
    )
    assert found(made, "New York Shoes") == [("New", "BRAND"), ("York", "BRAND")]
    topic = lines(
        tmp_path,
        line("light", pattern="dark"),
        line("light", pattern="lamp"),
        line("lift", pattern="lift", priority=2),
        scheme=TOPICS,
    )
    assert [a.labels for a in topic.predict(["dark lamp", "dark lamp lift"])] == [("light",), ("lift",)]


@pytest.mark.parametrize("scheme", [NER, SPANS])
def test_a_negative_pattern_bars_its_label_where_it_matches(tmp_path, scheme):
    made = lines(
        tmp_path,
        line(pattern="York"),
        line(pattern="New York", negative=True),
        line("PLACE", pattern="New York"),
        scheme=scheme,
    )
    assert found(made, "York, New York") == [("York", "BRAND"), ("New York", "PLACE")]
    assert [(m.pattern, m.used) for m in made.explain("New York")] == [(1, False), (2, True), (0, False)]


def test_keywords_add_their_scores_up(tmp_path):
    rows = [
        line("light", phrases=["dark", "dim"], score=0.5),
        line("light", pattern="lamp", score=0.5),
        line("lift", regex=r"\blifts?\b", score=0.6),
        line("lift", pattern="shoulder", negative=True),
        *(line("train", pattern=word, score=0.1) for word in "abcdefghij"),
    ]
    texts = ["dark dim", "dark lamp", "lift", "lift dark lamp", "lift my shoulder", "a b c d e f g h i j"]
    one = lines(tmp_path, *rows, scheme=TOPICS)
    several = lines(tmp_path, *rows, scheme=LabelScheme("textcat_multilabel", TOPICS.labels))
    assert [a.labels for a in one.predict(texts)] == [
        ("light",),
        ("light",),
        ("lift",),
        ("light",),
        (),
        ("train",),
    ]
    assert [a.labels for a in several.predict(texts)] == [(), ("light",), (), ("light",), (), ("train",)]


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ({"patern": "x"}, ["patern", "'pattern'"]),
        ({"pattern": "x", "Regex": "y"}, ["Regex", "'regex'"]),
        ({"pattern": "x", "colour": "red"}, ["colour", "known keys", "priority"]),
        ({"pattern": "x", "regex": "x"}, ["regex", "beside pattern"]),
        ({"phrases": []}, ["phrases", "not one"]),
        ({"phrases": ["a", " "]}, ["phrases", "phrase 2"]),
        ({"phrases": ["a", 1]}, ["phrases", "neither"]),
        ({"phrases": "none.txt"}, ["phrases", "none.txt", "No such file"]),
        ({"regex": "("}, ["regex", "missing )"]),
        ({"regex": ""}, ["regex", "empty"]),
        ({"regex": "a", "flags": "q"}, ["flags", "'q'"]),
        ({"pattern": "a", "flags": "i"}, ["flags", "regex only"]),
        ({"pattern": [{"LOWER": "a"}], "attr": "LOWER"}, ["attr", "phrases only"]),
        ({"pattern": "a", "attr": "LEMMA"}, ["attr", "LEMMA"]),
        ({"pattern": "a", "fuzzy": 10}, ["fuzzy", "1 to 9"]),
        ({"pattern": "a", "fuzzy": True}, ["fuzzy", "1 to 9"]),
        ({"pattern": "a", "score": 0.5}, ["score", "categories only"]),
        ({"pattern": "a", "negative": 1}, ["negative", "true or false"]),
        ({"pattern": "a", "priority": 1.5}, ["priority", "whole number"]),
        ({"pattern": "a", "priority": 1, "negative": True}, ["negative", "neither"]),
        ({"regex": "(a+)+$"}, ["regex", "for ever"]),
        ({"pattern": [{"TEXT": {"REGEX": "(a|a)*b"}}]}, ["pattern", "for ever"]),
        ({"pattern": [{"TEXT": {"REGEX": {"IN": ["a", "(x+x+)+y"]}}}]}, ["pattern", "for ever"]),
        ({"pattern": "\ud800"}, ["surrogates"]),
    ],
)
def test_a_wrong_key_is_named(tmp_path, keys, words):
    with pytest.raises(FormatError) as caught:
        rules(tmp_path, ("BRAND", "x"), json.dumps(line(**keys)))
    [report] = caught.value.message.splitlines()
    assert report.startswith(f"{tmp_path / 'patterns.jsonl'}:2: ")
    assert all(word in report for word in words), report


def test_priorities_and_scores_are_refused_where_they_mean_nothing(tmp_path):
    several = LabelScheme("textcat_multilabel", TOPICS.labels)
    for scheme, label in ((SPANS, "BRAND"), (several, "lift")):
        with pytest.raises(FormatError, match="priority: an option of kinds ner and textcat"):
            lines(tmp_path, line(label, pattern="a", priority=1), scheme=scheme)
    with pytest.raises(FormatError, match=r"score: 1\.5"):
        lines(tmp_path, line("lift", pattern="a", score=1.5), scheme=several)


def test_options_change_the_version_and_defaults_do_not(tmp_path):
    plain = lines(tmp_path, line(pattern="x"))
    spelt_out = lines(tmp_path, line(pattern="x", attr="ORTH", negative=False, priority=0))
    assert plain.version == spelt_out.version
    others = [
        lines(tmp_path, line(**keys))
        for keys in (
            {"pattern": "x", "attr": "LOWER"},
            {"pattern": "x", "fuzzy": 1},
            {"pattern": "x", "negative": True},
            {"pattern": "x", "priority": 1},
            {"phrases": ["x"]},
            {"regex": "x"},
            {"regex": "x", "flags": "i"},
        )
    ]
    assert len({r.version for r in [plain, *others]}) == 8
    for made in others:
        again = "\n".join(json.dumps(row) for row in made.rows)
        assert rules(tmp_path, again).patterns == made.patterns
