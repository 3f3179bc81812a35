"""The rules as a spaCy component: alone it says what `Rules` says, beside a model what `join` says."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
import spacy
from hypothesis import given, settings
from hypothesis import strategies as st
from spacy.tokens import Doc, SpanGroup
from spacy.tokens import Span as SpacySpan

from annoloop.corpus.spacy_io import from_doc
from annoloop.packaging.apply import apply
from annoloop.packaging.export import build_wheel
from annoloop.packaging.verify import verify_wheel
from annoloop.rules.component import FACTORY
from annoloop.rules.joining import CODE, HOWS, add_to_pipeline, join, rules_pipeline, save_rules_pipeline
from annoloop.rules.matcher import Pattern, Rules
from annoloop.rules.pattern_matcher import PatternMatcher, unreadable
from annoloop.training.predict import load_model, predict
from annoloop.types import KINDS, Annotation, LabelScheme, Span

LABELS = ("A", "B", "C")
TEXTS = st.lists(
    st.sampled_from(
        ["a", "b", "B", "ab", "👍", "e\u0301", "İ", "שלום", "東京", "\r\n", "\0", " ", ", ", "12 €"]
    ),
    max_size=12,
).map("".join)


@st.composite
def some_rules(draw, kinds=KINDS):
    kind = draw(st.sampled_from(kinds))
    label = st.sampled_from(LABELS)
    negative = st.booleans()
    priority = st.integers(-1, 1) if kind in ("ner", "textcat") else st.just(0)
    score = st.just(1.0) if kind in ("ner", "spancat") else st.sampled_from([0.1, 0.5, 1.0])
    token = st.fixed_dictionaries(
        {"LOWER": st.sampled_from(["a", "b", "東京", "שלום"])},
        optional={"OP": st.sampled_from(["+", "?", "*"])},
    )
    words = st.sampled_from(["a b", "B", "👍", "東京", "i̇", "e\u0301"])
    shared = {"priority": priority, "score": score, "negative": negative}
    matches = st.one_of(
        st.lists(token, min_size=1, max_size=3).map(tuple).map(lambda m: {"match": m}),
        words.map(lambda m: {"match": m}),
        st.builds(
            lambda m, attr: {"match": tuple(m), "kind": "phrases", "attr": attr},
            st.lists(words, min_size=1, max_size=3),
            st.sampled_from(["ORTH", "LOWER"]),
        ),
        st.just({"match": ("tokyo", "shalom"), "kind": "phrases", "fuzzy": 2}),
        st.builds(
            lambda m, flags: {"match": m, "kind": "regex", "flags": flags},
            st.sampled_from([r"\d+ ?€", "b", r"\s+a", "^", r"(?<=a)b.*"]),
            st.sampled_from(["", "i", "ms"]),
        ),
    )
    patterns = [
        Pattern(label, **match, **more)
        for label, match, more in draw(
            st.lists(st.tuples(label, matches, st.fixed_dictionaries(shared)), max_size=5)
        )
    ]
    return Rules(patterns, scheme=LabelScheme(kind, LABELS), lang="xx")


@given(some_rules(), st.lists(TEXTS, max_size=3))
def test_alone_it_says_what_the_rules_say(made, texts):
    said = [from_doc(doc, made.scheme) for doc in rules_pipeline(made).pipe(texts)]
    assert said == list(made.predict(texts))
    for text, annotation in zip(texts, said, strict=True):
        made.scheme.check(annotation, text)
        assert made.annotation(made.explain(text)) == annotation


@given(some_rules(), TEXTS)
def test_rows_that_do_not_tell_their_phrases_match_the_same(made, text):
    nlp = spacy.blank("xx")
    hidden = [unreadable(row, nlp.tokenizer) for row in made.rows]
    for row, plain in zip(hidden, made.rows, strict=True):
        told = "phrases" in row or isinstance(row.get("pattern"), str)
        assert not told or plain.get("fuzzy")
    doc = nlp.make_doc(text)
    by = [PatternMatcher(nlp.vocab, nlp.tokenizer, rows, made.scheme.kind) for rows in (made.rows, hidden)]
    assert set(by[0](doc)) == set(by[1](doc))


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("rules")


@settings(max_examples=25)
@given(some_rules(), TEXTS)
def test_saved_and_loaded_it_says_the_same(folder, made, text):
    nlp = rules_pipeline(made)
    nlp.to_disk(folder / "nlp")
    loaded = spacy.load(folder / "nlp")
    assert loaded.get_pipe(FACTORY).patterns == made.rows
    assert from_doc(loaded(text), made.scheme) == from_doc(nlp(text), made.scheme)
    assert loaded.get_pipe(FACTORY).labels == LABELS


def set_on(doc: Doc, annotation: Annotation, scheme: LabelScheme) -> None:
    spans = [doc.char_span(s.start, s.end, label=s.label) for s in annotation.spans]
    if scheme.kind == "ner":
        doc.ents = spans
    elif scheme.kind == "spancat":
        scores = np.full(len(spans), 0.75, dtype="f")
        doc.spans["sc"] = SpanGroup(doc, name="sc", spans=spans, attrs={"scores": scores})
    else:
        doc.cats = {label: 0.6 if label in annotation.labels else 0.2 for label in scheme.labels}
        if scheme.is_exclusive and not annotation.labels:
            doc.cats = dict.fromkeys(scheme.labels, 0.0)


@given(some_rules(), some_rules(), TEXTS, st.sampled_from(HOWS))
def test_beside_a_model_it_says_what_join_says(made, other, text, how):
    model = Rules(other.patterns, scheme=made.scheme, lang="xx")
    [alone], [ours] = model.predict([text]), made.predict([text])
    nlp = spacy.blank("xx")
    settings = {"kind": made.scheme.kind, "labels": list(LABELS), "mode": how}
    nlp.add_pipe(FACTORY, config=settings).patterns = made.rows
    doc = nlp.make_doc(text)
    set_on(doc, alone, made.scheme)
    [doc] = nlp.pipe([doc])
    joined = join(ours, alone, made.scheme, how)
    assert from_doc(doc, made.scheme) == joined
    made.scheme.check(joined, text)
    if made.scheme.kind == "spancat":
        group = doc.spans["sc"]
        kept = dict(
            zip(((s.start_char, s.end_char, s.label_) for s in group), group.attrs["scores"], strict=True)
        )
        assert {span for span, score in kept.items() if score == 0.75} == {
            (s.start, s.end, s.label) for s in set(alone.spans) & set(joined.spans)
        }


@pytest.mark.parametrize("kind", KINDS)
def test_joins_by_hand(kind):
    scheme = LabelScheme(kind, LABELS)
    if not scheme.has_spans:
        said = {
            how: [
                join(Annotation(rules), Annotation(model), scheme, how).labels
                for rules, model in ((("A",), ("B",)), ((), ("B",)), (("A",), ()))
            ]
            for how in HOWS
        }
        both = ("B",) if kind == "textcat" else ("A", "B")
        assert said == {"fill": [both, ("B",), ("A",)], "override": [("A",), ("B",), ("A",)]}
        return
    rules = Annotation(spans=(Span(0, 3, "A"), Span(8, 9, "B")))
    model = Annotation(spans=(Span(2, 5, "A"), Span(7, 9, "A")))
    fill, override = (join(rules, model, scheme, how).spans for how in HOWS)
    if kind == "ner":
        assert (fill, override) == (model.spans, rules.spans)
    else:
        assert fill == (Span(2, 5, "A"), Span(7, 9, "A"), Span(8, 9, "B"))
        assert override == (Span(0, 3, "A"), Span(7, 9, "A"), Span(8, 9, "B"))


def test_a_category_that_rules_decide_is_certain():
    scheme = LabelScheme("textcat", LABELS)
    made = Rules([Pattern("B", "x")], scheme=scheme, lang="en")
    nlp = rules_pipeline(made)
    doc = nlp.make_doc("x")
    doc.cats = {"A": 0.7, "B": 0.3}
    [doc] = nlp.pipe([doc])
    assert doc.cats == {"A": 0.0, "B": 1.0, "C": 0.0}


def test_a_model_keeps_its_own_entities_with_what_they_carry():
    scheme = LabelScheme("ner", LABELS)
    nlp = rules_pipeline(Rules([Pattern("B", "x y")], scheme=scheme, lang="en"))
    doc = nlp.make_doc("x y and z")
    doc.ents = [SpacySpan(doc, 3, 4, label="A", kb_id="Q1")]
    [doc] = nlp.pipe([doc])
    assert [(ent.text, ent.label_, ent.kb_id_) for ent in doc.ents] == [("x y", "B", ""), ("z", "A", "Q1")]


def test_a_wrong_mode_is_refused():
    with pytest.raises(ValueError, match="sideways"):
        spacy.blank("en").add_pipe(FACTORY, config={"mode": "sideways"})


@pytest.fixture
def made() -> Rules:
    patterns = [
        Pattern("A", ("Acne Studios", "Levi's"), kind="phrases", attr="LOWER"),
        Pattern("B", r"\d+ ?€", kind="regex"),
    ]
    return Rules(patterns, scheme=LabelScheme("ner", LABELS), lang="en")


SOLD = ["acne studios at 30 €", "nothing", "", "👍 LEVI'S\r\n"]


def test_it_runs_where_annoloop_is_not(made, tmp_path):
    save_rules_pipeline(made, tmp_path / "model")
    expected = list(made.predict(SOLD))
    assert [
        p.annotation for p in predict(load_model(tmp_path / "model"), SOLD, scheme=made.scheme)
    ] == expected
    assert list(apply(tmp_path / "model", SOLD * 20, scheme=made.scheme, n_process=2)) == expected * 20
    wheel = build_wheel(tmp_path / "model", tmp_path / "out", name="shop", version="1.0.0", lang="en")
    with zipfile.ZipFile(wheel) as packed:
        [about] = [name for name in packed.namelist() if name.endswith("METADATA")]
        needs = [line for line in packed.read(about).decode().splitlines() if "Requires-Dist" in line]
    assert len(needs) == 1 and needs[0].startswith("Requires-Dist: spacy")
    report = verify_wheel(wheel, SOLD, expected, scheme=made.scheme, environment="shared")
    assert report.ok, report


def test_a_project_model_with_rules_loads_in_a_new_process(made, tmp_path):
    spacy.blank("en").to_disk(tmp_path / "model")
    add_to_pipeline(tmp_path / "model", made, "fill")
    program = f"""
from annoloop.training.predict import predict
from annoloop.types import LabelScheme
from pathlib import Path
[said] = predict(Path({str(tmp_path / "model")!r}), ["Levi's"], scheme=LabelScheme("ner", {LABELS!r}))
print(said.annotation.spans[0].label)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.stdout == "A\n", done.stderr
    files = sorted(file.name for file in (tmp_path / "model" / "training").iterdir())
    assert files == ["annoloop_rules.py", "pattern_matcher.py"]


@pytest.mark.parametrize("code", CODE.values(), ids=list(CODE))
def test_the_files_import_nothing_of_annoloop(code):
    source = code.read_text(encoding="utf8")
    imports = [line for line in source.splitlines() if line.startswith(("import ", "from "))]
    assert imports and not [line for line in imports if "annoloop" in line]
