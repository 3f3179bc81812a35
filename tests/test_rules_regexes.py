"""Which regular expressions can take for ever, told before they run; and the ones that run are stopped."""

from __future__ import annotations

import json
import re
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from annoloop.errors import FormatError
from annoloop.hashing import input_hash
from annoloop.rules.matcher import Rules, read_pattern
from annoloop.rules.regexes import examine, regexes_of
from annoloop.rules.trial import Bench
from annoloop.steps.sources import RulesSource
from annoloop.types import Example, LabelScheme

TOPICS = LabelScheme("textcat", ("lift", "light"))


@pytest.mark.parametrize(
    "pattern",
    [
        *(r"(a+)+$", r"(a|a)*b", r"(a|aa)+$", r"(a*)*b", r"(\w+\s*)+x", r"(.*)*x", r"([a-z]+)*\d"),
        *(r"(a?){30}b", r"((a?)?b)*c", r"(?:a|b|ab)*c", r"(\d+|\w+)*x", r"(a{1,3})+b", r"(a{1,30}){1,30}b"),
        *(r"(?=(a+)+b)x", r"(?i)(ab|AB)*c", r"(x+x+)+y", r"(?:(?:é|\w)é?)+!", r"a*a*a*a*a*b", r"(?s:.|\n)+$"),
    ],
)
def test_what_can_take_for_ever_is_told(pattern):
    re.compile(pattern)
    assert examine(pattern).problem


@pytest.mark.parametrize(
    "pattern",
    [
        *(r"^#?rollstuhlrampen?$", r"\d{1,3}(\.\d{3})*(,\d+)? ?(EUR|€)", r"(\w+ )+x", r"(a|b)*c"),
        *(r"[A-Z]{2}\d{2}( ?\d{4}){4}", r"(ab)*", r"(a{3})+b", r"(?:\d{1,3}\.){3}\d{1,3}", r"\b\w+ing\b"),
        *(r"[^@\s]+@[^@\s]+\.[a-z]+", r"(?:[A-Z]\w+ ){1,4}GmbH", r"([0-9a-f]{2})+", r"(foo|bar|baz)+"),
        *(r"(?:\w+\s){0,40}x", r"(?-i:a)|A", r"[^\W\d_]+", r"(?<!x)y", r"(a)?(?(1)b|c)"),
    ],
)
def test_what_is_harmless_is_proven(pattern):
    re.compile(pattern)
    assert examine(pattern).problem == "" and examine(pattern).proven


@pytest.mark.parametrize("pattern", [r"a*a*c", r"\w*\d+x", r".*,.*,.*x", r"(a)\1+"])
def test_what_is_slow_on_long_texts_only_is_not_proven(pattern):
    assert examine(pattern).problem == "" and not examine(pattern).proven


ATOMS = st.sampled_from(["a", "b", "ab", "[ab]", "."])
EXPRESSIONS = st.recursive(
    ATOMS,
    lambda inner: st.one_of(
        st.builds("({}){}".format, inner, st.sampled_from(["*", "+", "?", "{2}", "{1,3}", "*?"])),
        st.builds("(?:{}|{})".format, inner, inner),
        st.builds("{}{}".format, inner, inner),
    ),
    max_leaves=6,
)


def ways(pattern: str, text: str) -> int:
    """Nodes of a plain backtracking search of the whole text, counted by ourselves."""
    import importlib

    parser = importlib.import_module("re._parser")
    steps = 0

    def match(items, at, then):
        nonlocal steps
        steps += 1
        if steps > 60_000:
            return
        if not items:
            then(at)
            return
        (operation, argument), rest = items[0], items[1:]
        name = str(operation)
        if name == "SUBPATTERN":
            match(list(argument[3]), at, lambda to: match(rest, to, then))
        elif name == "BRANCH":
            for inner in argument[1]:
                match(list(inner), at, lambda to: match(rest, to, then))
        elif name.endswith("REPEAT"):
            least, most, inner = argument

            def again(done, start):
                if done < most:
                    match(list(inner), start, lambda to: again(done + 1, to) if to > start else None)
                if done >= least:
                    match(rest, start, then)

            again(0, at)
        elif at < len(text) and re.match(
            {"LITERAL": lambda: re.escape(chr(argument)), "ANY": lambda: ".", "IN": lambda: "[ab]"}[name](),
            text[at],
        ):
            match(rest, at + 1, then)

    match(list(parser.parse(pattern)), 0, lambda _to: None)
    return steps


@settings(max_examples=150)
@given(EXPRESSIONS)
def test_what_is_proven_never_explodes(pattern):
    found = examine(pattern)
    if found.proven:
        assert all(ways(pattern, text) < 60_000 for text in ("a" * 24, "ab" * 12, "aab" * 8))


def test_all_expressions_in_token_dicts_are_found():
    match = [{"TEXT": {"REGEX": "a"}}, {"LOWER": {"REGEX": {"IN": ["b", "c"]}}, "OP": "+"}, {"lower": "d"}]
    assert list(regexes_of(match)) == ["a", "b", "c"]


SLOW = {"label": "lift", "pattern": [{"TEXT": {"REGEX": "^a*a*a*[bc]"}}]}
LONG = "a" * 5_000


@pytest.fixture
def bench():
    bench = Bench()
    yield bench
    bench.close()


def test_each_pattern_is_measured_alone_and_the_slow_one_is_named(bench):
    quick = json.dumps({"label": "light", "pattern": "lamp"})
    texts = ["a lamp", "", "👍 lamp"]
    trial = bench.run(f"{quick}\n\n{json.dumps(SLOW)}", texts, scheme=TOPICS, lang="en", each=True)
    assert len(trial.each) == 2 and all(value > 0 for value in trial.each)
    assert [[m.pattern for m in found] for found in trial.matches] == [[0], [], [0]]
    for each in (True, False):
        with pytest.raises(FormatError, match="line 3: pattern: it takes longer than"):
            bench.run(
                f"{quick}\n\n{json.dumps(SLOW)}",
                [LONG],
                scheme=TOPICS,
                lang="en",
                seconds=0.5,
                each=each,
            )
    assert bench.run(quick, texts, scheme=TOPICS, lang="en").each == ()


def test_phrase_files_are_found_by_the_bench(bench, tmp_path):
    (tmp_path / "words.txt").write_text("lamp\n", encoding="utf8")
    line = json.dumps({"label": "light", "phrases": "words.txt"})
    assert bench.run(line, ["lamp"], scheme=TOPICS, lang="en", folder=tmp_path).matches[0]
    with pytest.raises(FormatError, match="line 1: phrases"):
        bench.run(line, ["lamp"], scheme=TOPICS, lang="en")


def test_rules_of_a_project_are_stopped_when_they_take_for_ever():
    patterns = [read_pattern(json.dumps(SLOW), scheme=TOPICS, lang="en")]
    source = RulesSource(Rules(patterns, scheme=TOPICS, lang="en"), seconds=0.5)
    short = Example(input_hash("aab"), "aab")
    [(_, said, detail)] = source.predict([short])
    assert said.labels == ("lift",) and "aab" in detail["reason"]
    begun = time.monotonic()
    with pytest.raises(FormatError, match="line 1: pattern: it takes longer"):
        list(source.predict([Example(input_hash(LONG), LONG)]))
    assert time.monotonic() - begun < 60
