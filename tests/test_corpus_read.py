from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from annoloop.corpus.read import BadRow, Row, read_rows
from annoloop.errors import FormatError
from annoloop.types import Annotation, LabelScheme, Span

NER = LabelScheme("ner", ("PERSON", "ORG"))
SPANCAT = LabelScheme("spancat", ("PERSON", "ORG"))
TOPIC = LabelScheme("textcat", ("good", "bad"))
TAGS = LabelScheme("textcat_multilabel", ("red", "blue", "a|b"))


def read(path: Path, scheme: LabelScheme = NER, **settings: Any) -> list[Row | BadRow]:
    return list(read_rows(path, scheme=scheme, **settings))


def jsonl(folder: Path, *rows: Any, name: str = "texts.jsonl") -> Path:
    path = folder / name
    lines = [row if isinstance(row, str) else json.dumps(row) for row in rows]
    path.write_bytes(("\n".join(lines) + "\n").encode("utf8"))
    return path


def one(folder: Path, row: Any, scheme: LabelScheme = NER) -> Row | BadRow:
    [found] = read(jsonl(folder, row), scheme)
    return found


def good(folder: Path, row: Any, scheme: LabelScheme = NER) -> Row:
    found = one(folder, row, scheme)
    assert isinstance(found, Row), found
    return found


def bad(folder: Path, row: Any, scheme: LabelScheme = NER) -> str:
    found = one(folder, row, scheme)
    assert isinstance(found, BadRow), found
    assert found.line == 1
    return str(found)


def test_jsonl_with_byte_order_mark_blank_lines_and_line_separators_in_texts(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(
        '\ufeff{"text": "Ünï\u2028code 👍🏽"}\r\n\r\n  \n{"text": "a\\r\\nb", "meta": {"n": 1}}'.encode()
    )
    rows = read(path)
    assert [(row.line, row.text) for row in rows] == [(1, "Ünï\u2028code 👍🏽"), (4, "a\r\nb")]
    assert rows[1].meta == {"n": 1} and rows[1].annotation is None and rows[1].verdict is None


@pytest.mark.parametrize("encoding", ["utf-16", "utf-8-sig", "utf-8", "utf-32"])
@pytest.mark.parametrize("suffix", [".jsonl", ".txt", ".csv", ".json"])
def test_unicode_encodings_are_read(tmp_path: Path, encoding: str, suffix: str) -> None:
    text = {
        ".jsonl": '{"text": "İş 👍"}\n',
        ".txt": "İş 👍\r\n",
        ".csv": "text\r\nİş 👍\r\n",
        ".json": '[{"text": "İş 👍"}]',
    }
    path = tmp_path / f"a{suffix}"
    path.write_bytes(text[suffix].encode(encoding))
    assert [row.text for row in read(path)] == ["İş 👍"]


@pytest.mark.parametrize("suffix", [".jsonl", ".txt", ".csv", ".tsv"])
def test_wrong_encoding_names_line_byte_and_remedy(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    path.write_bytes(b"text\n" + "pünktlich\n".encode("latin-1"))
    with pytest.raises(FormatError, match=r"line 2: byte 6 \(0xfc\) is not UTF-8.*UTF-8") as error:
        read(path, labels=False)
    assert str(path) in str(error.value)


def test_utf16_without_mark_is_named(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes("hello there".encode("utf-16-le"))
    with pytest.raises(FormatError, match="UTF-16 without a byte order mark"):
        read(path)


@pytest.mark.parametrize("name", ["a.jsonl", "a.json", "a.csv", "a.tsv", "a.txt"])
@pytest.mark.parametrize("content", [b"", b"\n \n"])
def test_empty_file_is_an_error(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(FormatError, match="holds no texts"):
        read(tmp_path / name)


def test_folder_missing_file_and_unknown_suffix_are_errors_at_once(tmp_path: Path) -> None:
    (tmp_path / "a.docx").write_text("x")
    with pytest.raises(FormatError, match="is a folder"):
        read_rows(tmp_path, scheme=NER)
    with pytest.raises(FormatError, match="does not exist"):
        read_rows(tmp_path / "none.txt", scheme=NER)
    with pytest.raises(FormatError, match=r"unknown format '\.docx'.*\.jsonl"):
        read_rows(tmp_path / "a.docx", scheme=NER)


def test_a_broken_line_is_named_and_the_others_are_read(tmp_path: Path) -> None:
    path = jsonl(
        tmp_path,
        {"text": "one"},
        '{"text": "two"',
        "7",
        {"txt": "x"},
        {"text": 3},
        {"text": " "},
        {"text": "last"},
    )
    rows = read(path)
    assert [type(row) for row in rows] == [Row, BadRow, BadRow, BadRow, BadRow, BadRow, Row]
    reasons = [str(row) for row in rows if isinstance(row, BadRow)]
    for line, (reason, word) in enumerate(
        zip(reasons, ["not JSON", "not an object", "keys are: txt", "int", "empty"], strict=True), 2
    ):
        assert f"line {line}: " in reason and word in reason


@pytest.mark.parametrize(
    ("row", "word"),
    [
        ('{"text": "a\\u0000b"}', "null byte at character 1"),
        ('{"text": "a\\ud83d"}', "half a surrogate pair"),
        ('{"text": "a", "meta": {"\\udc00": 1}}', "half a surrogate pair"),
        ("[" * 100_000, "not JSON"),
        ('{"text": "a", "n": ' + "9" * 5000 + "}", "not JSON"),
        ({"text": "ok " + "👍" * 1_001}, "from character 3"),
        ({"text": "a" * 1_000_001}, "1,000,001 characters"),
    ],
)
def test_rows_that_no_store_could_hold_are_bad_rows(tmp_path: Path, row: Any, word: str) -> None:
    assert word in bad(tmp_path, row)


def test_plain_texts_do_not_load_spacy(tmp_path: Path) -> None:
    path = jsonl(tmp_path, {"text": "Ann works at Acme"})
    code = (
        "import sys; from annoloop.corpus.read import read_rows; from annoloop.types import LabelScheme;"
        f"assert len(list(read_rows({str(path)!r}, scheme=LabelScheme('ner', ('A',))))) == 1;"
        "assert not {'spacy', 'pandas', 'torch'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_our_spans_are_accepted_gold(tmp_path: Path) -> None:
    row = good(
        tmp_path, {"text": "Ann 👍 works at Acme.", "spans": [{"start": 15, "end": 19, "label": "ORG"}]}
    )
    assert row.annotation == Annotation(spans=(Span(15, 19, "ORG"),))
    assert (row.verdict, row.complete) == ("accept", True)
    assert good(tmp_path, {"text": "Ann", "spans": []}).annotation == Annotation()


@pytest.mark.parametrize(
    ("spans", "words"),
    [
        ([{"start": 0, "end": 99, "label": "ORG"}], ["0-99", "outside the text of 17"]),
        ([{"start": -1, "end": 2, "label": "ORG"}], ["outside"]),
        ([{"start": 3, "end": 3, "label": "ORG"}], ["outside"]),
        ([{"start": 0, "end": 3, "label": "GPE"}], ["'GPE'", "PERSON, ORG"]),
        ([{"start": 0, "end": 3}], ["no label"]),
        ([{"start": 0.0, "end": True, "label": "ORG"}], ["no whole numbers"]),
        ([{"start": 0, "end": 9, "label": "ORG"}, {"start": 4, "end": 9, "label": "ORG"}], ["overlap"]),
        ([{"start": 0, "end": 6, "label": "ORG"}], ["inside the token 'works'", "0-9 'Ann works'"]),
        ([{"start": 3, "end": 9, "label": "ORG"}], ["begins with a blank", "4-9 'works'"]),
        ([{"start": 3, "end": 4, "label": "ORG"}], ["covers no word"]),
        ("x", ["not a list"]),
        ([{"start": 0, "end": 3, "label": "ORG", "text": "Acme"}], ["'Ann'", "'Acme'", "13-17"]),
    ],
)
def test_bad_spans_say_why_and_what_would_be_right(tmp_path: Path, spans: Any, words: list[str]) -> None:
    reason = bad(tmp_path, {"text": "Ann works at Acme", "spans": spans})
    for word in words:
        assert word in reason


@pytest.mark.parametrize(
    ("text", "start", "end", "how", "right"),
    [
        ("👍👍 Ann Bob", 5, 8, "UTF-16", "3-6"),
        ("żółć Ann Bob", 9, 12, "UTF-8", "5-8"),
        ("a\r\nb\r\nAnn Bob", 4, 7, "CR LF", "6-9"),
        ("a\nb\nAnn Bob", 6, 9, "line ends", "4-7"),
    ],
)
def test_offsets_of_other_tools_are_offered_repaired(
    tmp_path: Path, text: str, start: int, end: int, how: str, right: str
) -> None:
    reason = bad(
        tmp_path, {"text": text, "spans": [{"start": start, "end": end, "label": "PERSON", "text": "Ann"}]}
    )
    assert how in reason and f"{right} 'Ann'" in reason


def test_overlap_is_allowed_for_spancat_only(tmp_path: Path) -> None:
    spans = [{"start": 0, "end": 9, "label": "ORG"}, {"start": 4, "end": 9, "label": "ORG"}]
    assert len(good(tmp_path, {"text": "Ann works", "spans": spans}, SPANCAT).annotation.spans) == 2


@pytest.mark.parametrize(
    ("row", "labels"),
    [
        ({"label": "good"}, ("good",)),
        ({"labels": ["bad"]}, ("bad",)),
        ({"cats": {"good": 0.0, "bad": 1.0, "unknown": 0}}, ("bad",)),
        ({"options": [{"id": "good"}, {"id": "bad"}], "accept": ["good"], "answer": "accept"}, ("good",)),
        (
            {
                "options": [{"id": 1, "text": "good"}, {"id": 2, "text": "bad"}],
                "accept": [2],
                "answer": "accept",
            },
            ("bad",),
        ),
        (
            {
                "label": "good",
                "answer": "accept",
                "_view_id": "classification",
                "spans": [{"start": 0, "end": 1}],
            },
            ("good",),
        ),
    ],
)
def test_categories_in_every_shape(tmp_path: Path, row: dict, labels: tuple[str, ...]) -> None:
    found = good(tmp_path, {"text": "fine", **row}, TOPIC)
    assert (found.annotation, found.verdict, found.complete) == (Annotation(labels=labels), "accept", True)


@pytest.mark.parametrize(
    ("row", "word"),
    [
        ({"labels": ["good", "bad"]}, "2 categories"),
        ({"label": "ugly"}, "'ugly'"),
        ({"label": 3}, "not a name"),
        ({"cats": {"good": 0}}, "no category chosen"),
        ({"cats": {"good": "yes"}}, "'yes'"),
        ({"spans": [{"start": 0, "end": 4, "label": "good"}]}, "spans in a project of categories"),
        ({"label": "good", "answer": "maybe"}, "'maybe'"),
    ],
)
def test_bad_categories(tmp_path: Path, row: dict, word: str) -> None:
    assert word in bad(tmp_path, {"text": "fine", **row}, TOPIC)


def test_several_categories_and_binary_answers_about_one_of_them(tmp_path: Path) -> None:
    assert good(tmp_path, {"text": "x", "label": "red|blue"}, TAGS).annotation.labels == ("blue", "red")
    assert good(tmp_path, {"text": "x", "label": "a|b"}, TAGS).annotation.labels == ("a|b",)
    accepted = good(tmp_path, {"text": "x", "label": "red", "answer": "accept"}, TAGS)
    assert (accepted.annotation.labels, accepted.verdict, accepted.complete) == (("red",), "accept", False)
    rejected = good(tmp_path, {"text": "x", "label": "red", "answer": "reject"}, TAGS)
    assert (rejected.annotation.labels, rejected.verdict, rejected.complete) == (("red",), "reject", False)
    empty = good(tmp_path, {"text": "x", "options": [{"id": "red"}], "accept": [], "answer": "accept"}, TAGS)
    assert (empty.annotation, empty.complete) == (Annotation(), True)


SPAN = {"start": 0, "end": 3, "token_start": 0, "token_end": 0, "label": "PERSON"}


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ({"_view_id": "ner_manual", "spans": [SPAN], "answer": "accept"}, ("accept", 1, True)),
        ({"_view_id": "ner_manual", "answer": "accept"}, ("accept", 0, True)),
        ({"tokens": [{"text": "Ann"}], "answer": "accept"}, ("accept", 0, True)),
        ({"_view_id": "ner_manual", "spans": [SPAN], "answer": "reject"}, ("reject", 1, False)),
        ({"_view_id": "ner_manual", "spans": [SPAN], "answer": "ignore"}, ("ignore", 0, False)),
        ({"_view_id": "ner", "spans": [SPAN], "label": "PERSON", "answer": "accept"}, ("accept", 1, False)),
        (
            {"_view_id": "ner", "spans": [{**SPAN, "answer": "reject"}], "answer": "reject"},
            ("reject", 1, False),
        ),
        (
            {"_view_id": "ner", "spans": [{**SPAN, "answer": "reject"}], "answer": "accept"},
            ("accept", 0, False),
        ),
        (
            {"_view_id": "review", "view_id": "ner_manual", "spans": [SPAN], "answer": "accept"},
            ("accept", 1, True),
        ),
        ({"_view_id": "review", "view_id": "ner", "spans": [SPAN], "answer": "reject"}, ("reject", 1, False)),
    ],
)
def test_prodigys_verdicts(tmp_path: Path, row: dict, expected: tuple[str, int, bool]) -> None:
    found = good(tmp_path, {"text": "Ann works", **row})
    assert found.annotation is not None
    assert (found.verdict, len(found.annotation.spans), found.complete) == expected


def test_foreign_keys_are_kept_word_for_word(tmp_path: Path) -> None:
    kept = {
        "_input_hash": -5,
        "_task_hash": 7,
        "_timestamp": 1,
        "_session_id": "set-ann",
        "sessions": ["a"],
        "extra": 1,
    }
    row = good(
        tmp_path, {"text": "Ann", "spans": [], "tokens": [], "versions": [{}], "_annotator_id": None, **kept}
    )
    assert row.foreign == {**kept, "_annotator_id": None}
    assert row.annotator == "set-ann"


def test_labels_can_be_left_unread(tmp_path: Path) -> None:
    path = jsonl(tmp_path, {"text": "Ann", "spans": [{"start": 0, "end": 99, "label": "?"}]})
    [row] = read(path, labels=False)
    assert isinstance(row, Row) and row.annotation is None


def test_csv_lines_quotes_and_columns(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    lines = [
        b"id,Text,label",
        b'1,"two\nlines, ""quoted""",good',
        b"2,plain,",
        b"3,too,many,fields",
        b"4,last,bad",
    ]
    path.write_bytes(b"\r\n".join(lines))
    rows = read(path, TOPIC)
    assert [(row.line, type(row)) for row in rows] == [(2, Row), (4, Row), (5, BadRow), (6, Row)]
    first, second, _, last = rows
    assert first.text == 'two\nlines, "quoted"' and first.meta == {"id": "1"}
    assert first.annotation == Annotation(labels=("good",)) and second.annotation is None
    assert last.annotation == Annotation(labels=("bad",))


def test_csv_with_semicolons_and_tsv_with_named_columns(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("id;text\n1;eins, zwei\n")
    (tmp_path / "a.tsv").write_text("body\tclass\nHallo Welt\tgood\n")
    assert read(tmp_path / "a.csv")[0].text == "eins, zwei"
    [row] = read(tmp_path / "a.tsv", TOPIC, text_column="body", label_column="class")
    assert (row.text, row.annotation.labels, row.meta) == ("Hallo Welt", ("good",), {})


def test_csv_without_the_column_lists_the_columns(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("id,body\n1,x\n")
    with pytest.raises(
        FormatError, match=r"no column called 'text'; its columns are: id, body.*--text-column"
    ):
        read(tmp_path / "a.csv")
    with pytest.raises(FormatError, match="'topic'"):
        read(tmp_path / "a.csv", TOPIC, text_column="body", label_column="topic")


def test_csv_with_an_open_quotation_mark_is_reported_where_it_opens(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text('id,text\n1,fine\n2,"open\n3,rest\n')
    rows = read(tmp_path / "a.csv")
    assert isinstance(rows[0], Row) and isinstance(rows[1], BadRow)
    assert rows[1].line == 3 and "quotation mark" in rows[1].hint


def test_txt_a_line_or_a_file_a_text(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes("שלום עולם\r\n\r\nsecond\x0bstays one".encode())
    assert [(r.line, r.text) for r in read(path)] == [(1, "שלום עולם"), (3, "second\x0bstays one")]
    assert [r.text for r in read(path, one_text_per="file")] == ["שלום עולם\r\n\r\nsecond\x0bstays one"]


@pytest.mark.parametrize("scheme", [NER, SPANCAT, TOPIC, TAGS])
def test_docbin(tmp_path: Path, scheme: LabelScheme) -> None:
    import spacy
    from spacy.tokens import DocBin

    from annoloop.corpus.spacy_io import to_doc

    nlp = spacy.blank("en")
    annotation = (
        Annotation(spans=(Span(0, 3, "ORG"),)) if scheme.has_spans else Annotation(labels=scheme.labels[:1])
    )
    DocBin(docs=[to_doc(nlp, "Ann 👍 works", annotation, scheme), nlp.make_doc("no labels")]).to_disk(
        tmp_path / "a.spacy"
    )
    labelled, plain = read(tmp_path / "a.spacy", scheme)
    assert (labelled.text, labelled.annotation, labelled.complete) == ("Ann 👍 works", annotation, True)
    assert plain.annotation is None


@pytest.mark.parametrize("content", [b"", b"no docbin", b"x\x9c\x03\x00\x00\x00\x00\x01"])
def test_what_is_no_docbin_is_an_error(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.spacy").write_bytes(content)
    with pytest.raises(FormatError, match=r"a\.spacy"):
        read(tmp_path / "a.spacy")
