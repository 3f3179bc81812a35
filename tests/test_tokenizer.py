"""The tokenizer that everything here shares: fewer stops left on a last word, and no border lost."""

from __future__ import annotations

import ast
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest
import spacy
from hypothesis import example, given
from hypothesis import strategies as st
from spacy.language import Language

import annoloop
from annoloop.corpus.read import BadRow, read_rows
from annoloop.corpus.spacy_io import off_token_borders, to_doc
from annoloop.corpus.tokenizer import blank, split_stops
from annoloop.review.pieces import pieces
from annoloop.training.predict import load_model
from annoloop.training.run import Run
from annoloop.training.starts import BesideGold
from annoloop.types import Annotation, Example, Gold, LabelScheme, Span

NER = LabelScheme("ner", ("A",))
LANGUAGES = ("de", "en", "es", "nb", "sl", "hu", "xx")
STOPS = Path(__file__).parent / "stops_de.txt"


@cache
def both(lang: str) -> tuple[Language, Language]:
    return spacy.blank(lang), blank(lang)


def words(lang: str, text: str) -> list[str]:
    return [token.text for token in both(lang)[1].make_doc(text)]


def borders(nlp: Language, text: str) -> set[int]:
    return {edge for token in nlp.make_doc(text) for edge in (token.idx, token.idx + len(token))}


def marked(line: str) -> tuple[str, Annotation]:
    """A line in which each span stands in square brackets, as text and annotation."""
    text, spans = "", []
    for number, part in enumerate(line.replace("]", "[").split("[")):
        if number % 2:
            spans.append(Span(len(text), len(text) + len(part), "A"))
        text += part
    return text, Annotation(spans=tuple(spans))


CASES = [marked(line) for line in STOPS.read_text(encoding="utf8").splitlines() if line]


@pytest.mark.parametrize(("text", "annotation"), CASES, ids=[text[-24:] for text, _ in CASES])
def test_a_span_at_the_end_of_a_german_sentence_is_on_token_borders(text: str, annotation: Annotation):
    assert annotation.spans and off_token_borders(both("de")[1], text, annotation) == []


@pytest.mark.parametrize(
    "text",
    [
        "am 3. Mai im 2. Stock , 1. FC und 31. Dezember",
        "Friedrich II. traf Ludwig XIV. in Köln",
        "Dr. Meier , Prof. Schulz , z. B. usw. ca. Nr. 3 Abs. 2 Art. 5",
        "J. Müller , M.A. und B.Sc. lehren",
        "vom 10.5. bis 31.12. geöffnet",
        "siehe § 5. und Raum 12.",
    ],
)
def test_ordinals_abbreviations_and_short_numbers_stay_as_spacy_has_them(text: str):
    plain, ours = both("de")
    assert [t.text for t in ours(text)] == [t.text for t in plain(text)]
    assert any(len(word) > 1 and word.endswith(".") for word in words("de", text))


@pytest.mark.parametrize(
    ("lang", "text", "last"),
    [
        ("es", "El precio es de 50€.", "€"),
        ("en", "We work for Muster GmbH.", "GmbH"),
        ("nb", "Vi startet i 2024.", "2024"),
        ("sl", "Začeli smo leta 2024.", "2024"),
        ("xx", "Halle 12A.", "12A"),
        ("hu", "A Muster GmbH.", "GmbH"),
    ],
)
def test_other_languages_lose_such_stops_too(lang: str, text: str, last: str):
    assert words(lang, text)[-2:] == [last, "."]


def test_where_a_year_is_an_ordinal_it_keeps_its_stop():
    for lang, text in (("hu", "2024. május 3."), ("sr", "2024. godine")):
        assert words(lang, text)[0] == "2024."


def test_a_language_that_needs_nothing_has_spacys_own_tokenizer():
    for lang in ("pl", "lt"):
        nlp = spacy.blank(lang)
        kept = nlp.tokenizer.to_bytes()
        assert not split_stops(nlp) and nlp.tokenizer.to_bytes() == kept
    # And whoever has the rules gets them once.
    assert not split_stops(blank("de"))


parts = st.one_of(
    st.text(st.sampled_from("0123456789:/.,-–_@ABhg€³ÄßI("), max_size=12),
    st.sampled_from(
        ["2024", "B2", "a:b@", "8.8.8.", "http://", "firma.de", "GmbH", "--", "z.B.", "👩‍👩‍👧", "u\u0308"]
    ),
    st.from_regex(r"[a-z:\-]{0,8}@?(\d{1,3}\.){3}\d{1,3}(:\d{2,5})?", fullmatch=True),
    st.from_regex(r"[a-z:\-]{0,8}@?[a-z]{1,3}(--)?\d?\.de:\d{2,5}", fullmatch=True),
)
stopped = st.tuples(st.lists(parts, max_size=3).map("".join), st.sampled_from([".", '."', ".)", "", ". "]))


@given(st.sampled_from(LANGUAGES), st.lists(stopped.map("".join), min_size=1, max_size=3).map(" ".join))
@example("de", "a:b@8.8.8.100. a:b@8.8.8.24. a:b@8.8.8.8:80. a:b@ab.de:8080.")
@example("nb", "a-b:c@8.8.8.100. 3-4.de:8080. a--b@1.12.123.123:12. user:pw@8.88.88.11.")
def test_every_border_of_spacys_tokens_remains_one(lang: str, text: str):
    plain, ours = both(lang)
    assert borders(plain, text) <= borders(ours, text)
    assert ours.make_doc(text).text == text


@pytest.mark.parametrize("lang", LANGUAGES)
def test_no_exception_of_a_language_loses_a_border(lang: str):
    plain, ours = both(lang)
    # Three hearts are one token also where spaCy would not see them for a stop behind them.
    known = [word for word in plain.tokenizer.rules if word.strip() and word != "<333"]
    text = " ".join(f"{word} {word}. x{word}. 4{word}. ({word}." for word in known)
    assert borders(plain, text) <= borders(ours, text)


def test_a_span_stored_with_its_stop_still_aligns():
    for text in ("Seit 2024.", "Niveau B2.", "bei der Muster GmbH.", "für 12,50."):
        start = text.rindex(" ") + 1
        whole = Annotation(spans=(Span(start, len(text), "A"),))
        doc = to_doc(both("de")[1], text, whole, NER)
        assert [(e.start_char, e.end_char) for e in doc.ents] == [(start, len(text))]


def test_the_label_page_offers_the_year_without_its_stop():
    assert [piece[0] for piece in pieces("Beginn: Mai 2024.", lang="de")][-2:] == ["2024", "."]


TEXT = "Gesucht zum 3. Mai 2024. Niveau B2."


def test_a_trained_model_has_the_rules_without_us(tmp_path: Path):
    annotation = Annotation(spans=(Span(12, 23, "A"),))
    gold = [Gold(Example(str(number), TEXT, {}), annotation) for number in range(2)]
    run = Run("ner:max_steps=2,eval_frequency=1", tmp_path / "model", NER)
    beside = BesideGold()
    run.prepare(gold, gold, lang="de", seed=0, maker=None, transformer=None, beside=beside)
    run.config["training"].update(max_steps=2, eval_frequency=1)
    run.train(lambda _step, _score: None)
    expected = words("de", TEXT)
    assert expected[-4:] == [".", "Niveau", "B2", "."]
    assert [token.text for token in load_model(run.folder).make_doc(TEXT)] == expected

    code = f"import spacy, sys; print([t.text for t in spacy.load({str(run.folder)!r}).make_doc({TEXT!r})]); "
    code += "assert not [name for name in sys.modules if name.startswith('annoloop')]"
    said = subprocess.run(
        [sys.executable, "-I", "-c", code], capture_output=True, text=True, encoding="utf8", timeout=60
    )
    assert said.stdout.strip() == repr(expected), said.stderr

    # What repeats the training names nothing outside its folder.
    assert str(tmp_path) not in (run.folder / "config.cfg").read_text(encoding="utf8")
    assert str(tmp_path) not in (run.making / "config.cfg").read_text(encoding="utf8")


def test_a_model_of_spacys_own_tokens_keeps_them(tmp_path: Path):
    spacy.blank("de").to_disk(tmp_path / "old")
    assert load_model(tmp_path / "old").make_doc(TEXT)[-1].text == "B2."


def test_a_config_with_a_tokenizer_or_a_beginning_of_its_own_keeps_it(tmp_path: Path):
    gold = [Gold(Example("1", TEXT, {}), Annotation(spans=(Span(12, 23, "A"),)))]
    for section, key, own in (
        ("nlp", "tokenizer", {"@tokenizers": "my.Tokenizer.v1"}),
        ("initialize", "before_init", {"@callbacks": "my.Beginning.v1"}),
    ):
        run = Run("ner", tmp_path / key, NER)
        run.config[section][key] = own
        run.prepare(gold, gold, lang="de", seed=0, maker=None, transformer=None, beside=BesideGold())
        assert run.config[section][key] == own and "tokenizer" not in run.config["paths"]


def test_a_gold_span_off_borders_is_told_with_its_token_and_how_to_mend_it(tmp_path: Path):
    file = tmp_path / "gold.jsonl"
    good = '{"text": "Seit 2024.", "spans": [{"start": 5, "end": 9, "label": "A"}]}'
    bad = '{"text": "im 2. Stock", "spans": [{"start": 3, "end": 4, "label": "A"}]}'
    file.write_text(f"{good}\n{bad}\n", encoding="utf8")
    taken, refused = read_rows(file, scheme=NER, lang="de")
    assert not isinstance(taken, BadRow) and isinstance(refused, BadRow)
    assert str(refused).startswith(f"{file}, line 2: span 3-4 '2' (A) ends inside the token '2.'")
    assert "the nearest token borders are 3-5 '2.': set the span's start and end to them" in str(refused)


def test_nothing_makes_a_pipeline_past_the_shared_tokenizer():
    root = Path(annoloop.__file__).parent
    makers = {
        path.relative_to(root).as_posix()
        for path in root.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf8")))
        if isinstance(node, ast.Attribute) and ast.unparse(node) == "spacy.blank"
    }
    assert makers == {"corpus/tokenizer.py", "training/tokenizer.py"}
