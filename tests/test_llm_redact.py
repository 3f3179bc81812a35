"""Masks keep every offset, let nothing of a secret through, and can be taken off again."""

import json
import os
import signal
import subprocess
import sys
import threading

import pytest
from fake_llm import FakeLLM
from hypothesis import given
from hypothesis import strategies as st

from annoloop.errors import LLMError
from annoloop.hashing import input_hash
from annoloop.llm.annotate import annotate
from annoloop.llm.redaction.patterns import PatternFinder
from annoloop.llm.redaction.redactor import KINDS, Redactor, read_names
from annoloop.types import Annotation, Example, LabelScheme, Span

OWN_KINDS = tuple(kind for kind in KINDS if kind != "presidio")
NAMES = ("Anna Müller", "Müller", "Hans-Peter Ağaoğlu", "O'Neil", "İlker", "张伟", "Straße", "דוד")
ALL = Redactor(OWN_KINDS, names=NAMES)
BLIND = set("xX0")


def iban(country, body):
    """A valid IBAN: check digits by ISO 7064."""
    digits = "".join(str(int(one, 36)) for one in f"{body}{country}00")
    return f"{country}{98 - int(digits) % 97:02}{body}"


def grouped(number, gap):
    return gap.join(number[at : at + 4] for at in range(0, len(number), 4))


german_ibans = st.builds(
    lambda body, gap: grouped(iban("DE", body), gap),
    st.text("0123456789", min_size=18, max_size=18),
    st.sampled_from(["", " ", "\u00a0", "-"]),
)
words = st.text(
    st.characters(categories=("Ll", "Lu", "Lo", "Nd", "Mn"), exclude_characters="xX0"),
    min_size=1,
    max_size=12,
).filter(lambda word: word[0].isalnum())
emails = st.builds("{}.{}@{}.{}".format, words, words, words, words)
ips = st.one_of(st.ip_addresses(v=4).map(str), st.ip_addresses(v=6).map(str))
urls = st.builds(
    "{}://{}.{}/{}?q={}".format, st.sampled_from(["http", "https", "ftp", "x-a"]), words, words, words, words
)
phones = st.builds(
    lambda start, area, number, gap: gap.join((start + area, number[:3], number[3:])),
    st.sampled_from(["+49 ", "0049", "+49 (0)", "0", "+1-"]),
    st.from_regex(r"[1-9][0-9]{2}", fullmatch=True),
    st.text("123456789", min_size=5, max_size=8),
    st.sampled_from(["", " ", "-", "/", ".", " / "]),
)
names = st.sampled_from(
    [
        *NAMES,
        "ANNA MÜLLER",
        "anna\n müller",
        "Anna Mu\u0308ller",
        "Müllers",
        "hans peter ağaoğlu",
        "O’Neil",
        "Mül\u00adler",
    ]
)
secrets = st.one_of(german_ibans, emails, ips, urls, phones, names)
texts = st.text(max_size=40)
# Letters and digits beside a secret would make it another one; blanks and punctuation do not.
borders = st.sampled_from([" ", "\n", "\r\n", ", ", " (", ") ", "\t", " – "])


def left_of(secret, shown):
    """Letters and digits of a secret that its mask still shows."""
    return [(was, now) for was, now in zip(secret, shown, strict=True) if now.isalnum() and now not in BLIND]


@given(texts, borders, secrets, borders, texts)
def test_nothing_of_a_planted_secret_is_left(before, opening, secret, closing, after):
    text = f"{before}{opening}{secret}{closing}{after}"
    masked = ALL.mask(text)
    start = len(before) + len(opening)
    assert len(masked.text) == len(text)
    assert left_of(secret, masked.text[start : start + len(secret)]) == []


@given(
    st.one_of(st.text(max_size=200), st.lists(st.one_of(secrets, texts, borders), max_size=12).map("".join))
)
def test_masks_keep_the_length_change_nothing_twice_and_come_off_again(text):
    masked = ALL.mask(text)
    assert len(masked.text) == len(text)
    assert ALL.mask(masked.text).text == masked.text
    assert masked.restore(masked.text) == text
    covered = {at for place in masked.places for at in range(place.start, place.end)}
    assert masked.hidden == len(covered)
    assert all(masked.text[at] == text[at] for at in range(len(text)) if at not in covered)
    assert [one.isspace() for one in masked.text] == [one.isspace() for one in text]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("anna.müller@example.org schrieb", "xxxx.xxxxxx@xxxxxxx.xxx schrieb"),
        ("Mail:<Anna@Example.org>.", "Mail:<Xxxx@Xxxxxxx.xxx>."),
        ("o'neil+x@sub.example.co.uk", "x'xxxx+x@xxx.xxxxxxx.xx.xx"),
        ("konto DE89 3704 0044 0532 0130 00 bitte", "konto XX00 0000 0000 0000 0000 00 bitte"),
        ("de89370400440532013000", "xx00000000000000000000"),
        ("DE89 3704 1144 1532 1130 01 ist keine", "DE89 3704 1144 1532 1130 01 ist keine"),
        ("AT12 DE89370400440532013000", "AT12 XX00000000000000000000"),
        ("Tel. 030/1234567-8, bis 18 Uhr", "Tel. 000/0000000-0, bis 18 Uhr"),
        ("(0171) 123 45 67", "(0000) 000 00 00"),
        ("+49 (0)30 12 34 56", "+00 (0)00 00 00 00"),
        ("0049 30 1234567 0049 30 7654321", "0000 00 0000000 0000 00 0000000"),
        ("call 212-555-0123 now", "call 000-000-0000 now"),
        (
            "am 01.02.2024 um 12:30:45, 3,50 €, 10:0, Nr. 4711",
            "am 01.02.2024 um 12:30:45, 3,50 €, 10:0, Nr. 4711",
        ),
        ("siehe https://example.org/a?b=c.", "siehe xxxxx://xxxxxxx.xxx/x?x=x."),
        ("www.example.xyz, example.de und z.B. nichts", "xxx.xxxxxxx.xxx, xxxxxxx.xx und z.B. nichts"),
        (
            "10.1.2.3 und ::1 und fe80::1%eth0, Version 1.2.3",
            "00.0.0.0 und ::0 und xx00::0%xxx0, Version 1.2.3",
        ),
        ("::ffff:10.0.0.1 std::vector", "::xxxx:00.0.0.0 std::vector"),
        ("Herr İlker 😀 und Müllers", "Herr Xxxxx 😀 und Xxxxxxx"),
        ("我和张伟说", "我和xx说"),
        ("ANNA MÜLLER, Annas, Anna", "XXXX XXXXXX, Annas, Anna"),
        ("", ""),
    ],
)
def test_what_is_masked(text, shown):
    assert ALL.mask(text).text == shown


def test_only_the_kinds_that_were_asked_for_are_masked():
    text = "a@b.de 10.1.2.3"
    assert Redactor(["email"]).mask(text).text == "x@x.xx 10.1.2.3"
    assert Redactor(["ip"]).mask(text).text == "a@b.de 00.0.0.0"
    nothing = Redactor()
    assert not nothing.active and nothing.version == "" and nothing.mask(text).text == text
    with pytest.raises(LLMError, match="'mail' is unknown"):
        Redactor(["mail"])


def test_the_version_changes_with_whatever_masks_otherwise():
    given_ = [
        Redactor(["email"]),
        Redactor(["email", "ip"]),
        Redactor(["email"], names=["Anna"]),
        Redactor(["email"], names=["Berta"]),
        Redactor(["email"], patterns={"A": "a"}),
        Redactor(["email"], patterns={"A": "b"}),
    ]
    assert len({one.version for one in given_}) == len(given_)
    assert (
        Redactor(["ip", "email"], names=["b", "a"]).version
        == Redactor(["email", "ip"], names=["a", "b"]).version
    )


def test_words_of_others_are_restored_only_where_it_is_certain():
    masked = ALL.mask("Anna Müller (anna@example.org) und bert@example.org")
    assert masked.text == "Xxxx Xxxxxx (xxxx@xxxxxxx.xxx) und xxxx@xxxxxxx.xxx"
    assert masked.restore("Xxxx Xxxxxx") == "Anna Müller"
    assert masked.restore("weil Xxxx Xxxxxx genannt ist") == "weil Anna Müller genannt ist"
    assert masked.restore("xxxx@xxxxxxx.xxx") == "xxxx@xxxxxxx.xxx"
    assert masked.restore("(xxxx@xxxxxxx.xxx") == "(anna@example.org"
    assert masked.restore("") == "" and ALL.mask("nichts").restore("Xxxx") == "Xxxx"


def test_names_come_from_a_file(tmp_path):
    file = tmp_path / "names.txt"
    file.write_bytes("\ufeff# Kundschaft\r\nAnna Müller\r\n\r\n  İlker \r\n".encode())
    assert read_names(file) == ("Anna Müller", "İlker")
    file.write_bytes(b"\xff")
    with pytest.raises(LLMError, match="not UTF-8"):
        read_names(file)
    with pytest.raises(LLMError, match="cannot be read"):
        read_names(tmp_path / "none.txt")


def test_own_patterns_mask_and_match_from_several_threads():
    redactor = Redactor(patterns={"customer": r"K-\d{6}", "empty": "q*"})
    assert redactor.mask("İ😀 K-123456 q K-12").text == "İ😀 X-000000 x K-12"
    shown = {}

    def mask(number):
        shown[number] = redactor.mask(f"K-{number:06}" * number).text

    threads = [threading.Thread(target=mask, args=(number,)) for number in range(1, 9)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert shown == {number: "X-000000" * number for number in range(1, 9)}


def test_a_pattern_that_takes_for_ever_is_named_and_the_next_text_is_masked():
    finder = PatternFinder({"fine": "b", "slow": "(a+)+$"}, seconds=1.0)
    with pytest.raises(
        LLMError, match=r"patterns -> slow: '\(a\+\)\+\$' took longer than 1 seconds.*nothing"
    ):
        list(finder("a" * 60 + "!"))
    assert list(finder("b")) == [(0, 1)]


def test_a_worker_that_dies_costs_one_text_only():
    finder = PatternFinder({"fine": "b"}, seconds=1.0)
    assert list(finder("b")) == [(0, 1)]
    os.kill(finder._worker._process.pid, signal.SIGKILL)
    finder._worker._process.wait()
    assert list(finder("ab")) == [(1, 2)]


def test_a_pattern_that_is_none_is_refused_with_its_name():
    with pytest.raises(LLMError, match="patterns -> bad"):
        Redactor(patterns={"bad": "("})


def test_presidio_without_its_extra_names_the_extra(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(LLMError, match=r"presidio is not installed.*annoloop\[presidio\]"):
        Redactor(["presidio"])


NER = LabelScheme("ner", ("MAIL", "PERSON"))
TEXT = "Grüße 😀 von Anna Müller, anna@example.org oder anna@example.org"
SHOT = type(
    "Row", (), {"text": "Bert: bert@example.org", "annotation": Annotation(spans=(Span(6, 22, "MAIL"),))}
)()


def asked(server, *, config=None, scheme=NER, **more):
    model = {"model": {"base_url": server.base_url, "name": "fake", "retries": 0, "timeout": 5}}
    redactor = Redactor(["email"], names=["Anna Müller", "Bert"])
    whole = {**model, **(config or {})}
    (result,) = annotate(
        [Example(input_hash(TEXT), TEXT)],
        scheme=scheme,
        config=whole,
        few_shot=[SHOT],
        redactor=redactor,
        **more,
    )
    return result


def test_the_llm_sees_masks_only_and_its_marks_lie_where_they_belong():
    entities = [
        {"quote": "xxxx@xxxxxxx.xxx", "label": "MAIL", "occurrence": 2},
        {"quote": "Xxxx Xxxxxx", "label": "PERSON", "occurrence": 1},
        {"quote": "Xxxx Xxxxxx aus Bonn", "label": "PERSON", "occurrence": 1},
    ]
    with FakeLLM(json.dumps({"entities": entities})) as server:
        result = asked(server, guidelines="Fragen an bert@example.org")
        sent = json.dumps(server.history, ensure_ascii=False)
    assert result.status == "ok" and result.input_hash == input_hash(TEXT)
    marked = {(span.label, span.start, TEXT[span.start : span.end]) for span in result.annotation.spans}
    assert marked == {("PERSON", 12, "Anna Müller"), ("MAIL", TEXT.rindex("anna@"), "anna@example.org")}
    assert result.unaligned == ("Anna Müller aus Bonn",)
    for secret in ("Anna", "anna", "Bert", "bert", "example"):
        assert secret not in sent
    assert "Xxxx: xxxx@xxxxxxx.xxx" in sent


def test_a_task_of_spacy_llm_sees_masks_only_too():
    reply = "1. Xxxx Xxxxxx | True | PERSON | a name"
    with FakeLLM(reply) as server:
        result = asked(server, config={"task": {"@llm_tasks": "spacy.NER.v3"}})
        sent = json.dumps(server.history, ensure_ascii=False)
    assert [TEXT[span.start : span.end] for span in result.annotation.spans] == ["Anna Müller"]
    assert "Anna" not in sent and "anna@" not in sent


@pytest.mark.parametrize("lang", ["de", "en", "fr"])
def test_presidio_finds_numbers_and_asks_nobody(lang):
    pytest.importorskip("presidio_analyzer", reason="the extra presidio is not installed")
    code = f"""
import sys
def look(event, args):
    if event.startswith("socket.") and event != "socket.__new__":
        raise SystemExit(f"{{event}} {{args[1:]}}")
sys.addaudithook(look)
from annoloop.llm.redaction.redactor import Redactor
redactor = Redactor(["presidio"], lang={lang!r})
text = "\\u0130 4111 1111 1111 1111, anna@example.org"
masked = redactor.mask(text)
assert masked.text == "\\u0130 0000 0000 0000 0000, xxxx@xxxxxxx.xxx", masked
assert masked.restore(masked.text) == text
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert run.returncode == 0, run.stderr
