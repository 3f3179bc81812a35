"""What each pattern does on labelled texts, and that no pattern can stop the page."""

from __future__ import annotations

import json
import shutil

import pytest

from annoloop.errors import FormatError
from annoloop.project import Project
from annoloop.rules.matcher import Rules, read_pattern
from annoloop.rules.workbench import report, wilson
from annoloop.steps.add import add
from annoloop.steps.rules.patterns import (
    add_pattern,
    off_file,
    pattern_lines,
    switch_off,
    switch_on,
    switched_off,
)
from annoloop.steps.rules.report import report_rules, rules_verdict, try_pattern
from annoloop.types import Annotation, Example, Gold, LabelScheme, Span
from tests.small_project import ASSETS, PATTERNS, feedback, settings, write_rows

NER = LabelScheme("ner", ("ORG", "LOC"))
ONE = LabelScheme("textcat", ("Lift", "Licht"))


def gold(text: str, *spans: tuple[str, str], labels: tuple[str, ...] = ()) -> Gold:
    found = tuple(Span(text.index(part), text.index(part) + len(part), label) for part, label in spans)
    return Gold(Example(text, text), Annotation(labels, found))


def reports(scheme: LabelScheme, lines: list[dict], *items: Gold):
    patterns = [read_pattern(json.dumps(line), scheme=scheme, lang="en") for line in lines]
    rules = Rules(patterns, scheme=scheme, lang="en")
    return report(len(lines), items, [rules.explain(item.example.text) for item in items], scheme)


def test_right_wrong_shadowed_alone_and_conflicts_of_spans():
    city, bank, twin = reports(
        NER,
        [
            {"label": "LOC", "pattern": "York"},
            {"label": "ORG", "pattern": "Bank of York"},
            {"label": "ORG", "pattern": [{"LOWER": "bank"}, {"LOWER": "of"}, {"LOWER": "york"}]},
        ],
        gold("Bank of York pays", ("Bank of York", "ORG")),
        gold("York is old", ("York", "LOC")),
        gold("a pudding from York"),
        gold("bank of york", ("bank of york", "ORG")),
    )
    assert (city.matches, city.right, city.shadowed, city.conflicts, city.alone) == (2, 1, 1, 1, 1)
    assert city.precision == 0.5
    assert city.wrong_hits[0].text == 2
    assert city.conflict_hits[0].other.label == "ORG"
    assert (bank.matches, bank.right, bank.alone) == (1, 1, 0)
    assert (twin.matches, twin.right, twin.alone) == (2, 2, 1)


def test_categories_count_a_text_once():
    lift, light = reports(
        ONE,
        [{"label": "Lift", "pattern": "lift"}, {"label": "Licht", "pattern": "light"}],
        gold("lift and lift and light", labels=("Lift",)),
        gold("a light lift", labels=("Licht",)),
    )
    assert (lift.matches, lift.right, lift.conflicts) == (2, 1, 2)
    assert (light.matches, light.right, light.shadowed, light.conflicts) == (0, 0, 2, 2)
    assert light.precision is None
    assert light.interval is None


def test_the_interval_is_wilsons():
    # Wilson 1927 as worked out in Newcombe 1998, table I: 81 of 263, 15 of 148, 0 of 20.
    for right, total, low, high in (
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
    ):
        assert wilson(right, total) == pytest.approx((low, high), abs=5e-5)


@pytest.fixture(scope="module")
def labelled(tmp_path_factory) -> Project:
    folder = tmp_path_factory.mktemp("labelled")
    settings(folder)
    project = Project.open(folder)
    rows = feedback(120)
    add(project, [write_rows(folder / "gold.jsonl", rows[:80])], gold=True, blind=True)
    add(project, [write_rows(folder / "more.jsonl", [{"text": row["text"]} for row in rows[80:]])])
    write_rows(project.patterns, PATTERNS)
    yield project
    project.store.close()


@pytest.fixture
def project(labelled, tmp_path) -> Project:
    folder = tmp_path / "p"
    labelled.store.close()
    shutil.copytree(labelled.folder, folder)
    return Project.open(folder)


def test_real_patterns_on_real_texts(project):
    found = report_rules(project)
    splits = {item.example.split for item in found.gold}
    assert splits == {"pool", "dev"}
    assert [pattern.label for pattern in found.patterns] == ["Aufzug", "Rolltreppe"]
    assert found.reports[0].matches > 5
    assert found.reports[0].precision > 0.5
    low, high = found.reports[0].interval
    assert low < found.reports[0].precision <= high
    assert 0 < found.covered < found.unlabelled
    assert found.texts_per_second > 0
    assert rules_verdict(project) is not None


def test_a_new_pattern_live(project):
    line = json.dumps({"label": "Aufzug", "pattern": [{"LOWER": {"IN": ["lift", "lifte"]}}]})
    tried = try_pattern(project, line)
    assert tried.report.right == tried.report.alone  # No other pattern says lift.
    assert pattern_lines(project).keys() == {1, 2}  # Trying changes nothing.
    again = try_pattern(project, json.dumps(PATTERNS[0]))
    assert again.report.alone == 0
    assert again.report.matches == report_rules(project).reports[0].matches


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('{"label": "Nobody", "pattern": "x"}', "label: 'Nobody' is not in the project"),
        ('{"label": "Aufzug", "pattern": ""}', "pattern: the phrase is empty"),
        ('{"label": "Aufzug", "pattern": [{"LOWER": {"REGEX": "("}}]}', "pattern: missing )"),
        ('{"label": "Aufzug", "pattern": [{"POS": "NOUN"}]}', "pattern: POS needs a trained pipeline"),
        ("lift", "not JSON"),
    ],
)
def test_a_wrong_pattern_is_named_by_its_field(project, line, said):
    with pytest.raises(FormatError, match="^" + said.replace("(", r"\(").replace(")", r"\)")):
        try_pattern(project, line)


def test_a_pattern_that_takes_for_ever_is_stopped_and_the_next_one_works(project, tmp_path):
    long = [{"text": "a" * 3_000 + "b und der Lift", "label": "Aufzug"}] * 2
    add(project, [write_rows(tmp_path / "long.jsonl", long)], split="pool")
    evil = json.dumps({"label": "Aufzug", "pattern": [{"TEXT": {"REGEX": "^a*a*a*[cd]"}}]})
    with pytest.raises(FormatError, match="longer than 1 s"):
        try_pattern(project, evil, seconds=1)
    assert try_pattern(project, '{"label": "Aufzug", "pattern": "Lift"}').covered >= 1


def test_patterns_are_added_switched_off_and_on_again(project):
    line = '{"label": "Aufzug", "pattern": "Lift"}'
    before = project.patterns.read_text(encoding="utf8")
    assert add_pattern(project, line)
    assert not add_pattern(project, '{"pattern":"Lift","label":"Aufzug"}')
    assert project.patterns.read_text(encoding="utf8") == before + line + "\n"
    switch_off(project, line)
    assert project.patterns.read_text(encoding="utf8") == before
    assert switched_off(project) == (line,)
    switch_on(project, line)
    assert project.patterns.read_text(encoding="utf8") == before + line + "\n"
    assert switched_off(project) == ()
    with pytest.raises(FormatError, match="no longer"):
        switch_off(project, '{"label": "Aufzug", "pattern": "nie"}')


def test_a_wrong_pattern_is_not_saved(project):
    before = project.patterns.read_bytes()
    with pytest.raises(FormatError):
        add_pattern(project, '{"label": "Nobody", "pattern": "x"}')
    assert project.patterns.read_bytes() == before
    assert not off_file(project).exists()


def test_without_a_file_of_patterns(project):
    project.patterns.unlink()
    found = report_rules(project)
    assert found.reports == ()
    assert rules_verdict(project) is None
    assert add_pattern(project, '{"label": "Aufzug", "pattern": "Lift"}')


def test_the_shipped_patterns_load(tmp_path):
    shipped = tmp_path / "feedback"
    shutil.copytree(
        ASSETS / "customer_feedback_de", shipped, ignore=shutil.ignore_patterns("project.sqlite*")
    )
    found = report_rules(Project.open(shipped))
    assert len(found.lines) == len(found.patterns) == len(found.reports) > 10


def test_time_coverage_and_the_smallest_set_are_told(project):
    add_pattern(project, '{"label": "Aufzug", "pattern": "Aufzug"}')
    add_pattern(project, '{"label": "Aufzug", "pattern": "kommt in keinem Text vor"}')
    found = report_rules(project)
    assert len(found.microseconds) == len(found.coverage) == len(found.lines) == 4
    assert all(taken > 0 for taken in found.microseconds)
    assert found.coverage[0] >= found.coverage[2] > found.coverage[3] == 0
    assert max(found.coverage) <= found.covered <= sum(found.coverage)
    # The first pattern says all that the third does; the fourth says nothing.
    assert set(found.smallest) <= {0, 1}
    whole, fewer = found.scores
    assert fewer >= whole
    plain = found.to_json()
    assert [one["smallest"] for one in plain["patterns"]] == [n in found.smallest for n in range(4)]
    assert plain["smallest_score"] == fewer


def test_a_wrong_line_is_named_where_it_stands(project):
    lines = project.patterns.read_text(encoding="utf8").splitlines()
    project.patterns.write_text("\n\n".join([*lines, '{"label": "Aufzug"}']), encoding="utf8")
    with pytest.raises(FormatError, match=r"patterns\.jsonl:5: pattern"):
        report_rules(project)


def test_lists_of_phrases_are_found_beside_the_file(project):
    (project.folder / "lifte.txt").write_text("Aufzug\nFahrstuhl\n", encoding="utf8")
    line = '{"label": "Aufzug", "phrases": "lifte.txt"}'
    assert try_pattern(project, line).report.right > 0
    assert add_pattern(project, line)
    assert report_rules(project).reports[-1].matches > 0


def test_without_dev_a_pattern_is_tried_on_texts_to_learn_from_alone(project):
    tried = try_pattern(project, '{"label": "Aufzug", "pattern": "Aufzug"}', dev=False)
    assert {item.example.split for item in tried.gold} == {"pool"}
