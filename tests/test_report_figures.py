"""What the report's figures are of: the judged model, its own gold, people without breaks, blind answers."""

from __future__ import annotations

import shutil
import sys
from dataclasses import replace
from unicodedata import bidirectional

import pytest
from hypothesis import given
from hypothesis import strategies as st
from reported import RULES, answer, with_rounds
from small_project import LABELS, feedback, settings, write_rows

from annoloop.cli import main
from annoloop.evaluation.report import Quote, Table, isolated
from annoloop.hashing import input_hash
from annoloop.project import Project
from annoloop.steps.add import add
from annoloop.steps.evaluate import evaluate
from annoloop.steps.evidence.report import report
from annoloop.steps.evidence.report_errors import errors_section
from annoloop.steps.llm.report import spend_report
from annoloop.steps.sources import ask_source, rules_source
from annoloop.types import Annotation, Example, Round, Span

ISOLATES, END = "\u2066\u2067\u2068", "\u2069"


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    """One round on German feedback, trained and judged; Ada and Bo both answered twenty pool texts."""
    folder = tmp_path_factory.mktemp("judged") / "p"
    project = with_rounds(folder, texts=150, dev=0.3, rounds=(slice(None),))
    pool = project.store.examples(split="pool")
    answered(project, pool[:20], "Ada")
    answered(project, pool[:20], "Bo")
    return folder


def answered(project, examples, who, millifirsts=6000):
    tasks = [project.task(example, number=1) for example in examples]
    said = Annotation(("Aufzug",))
    project.store.save_answers(
        [answer(task.example, task, said, who, n + 1, millifirsts) for n, task in enumerate(tasks)]
    )


@pytest.fixture
def judged(original, tmp_path):
    return Project.open(shutil.copytree(original, tmp_path / "p"))


def told(project, tmp_path) -> str:
    return report(project, tmp_path / "r.html").path.read_text(encoding="utf8")


def fact(html: str, name: str) -> str:
    return html.partition(f"<dt>{name}</dt><dd>")[2].partition("</dd>")[0]


def test_the_time_of_people_is_the_same_wherever_it_is_told(judged, tmp_path):
    # Left open over lunch: a minute of it counts.
    answered(judged, judged.store.examples(split="pool")[20:21], "Ada", 3 * 3_600_000)
    (row,) = [row for row in evaluate(judged).leaderboard if row.approach == "model"]
    assert row.human_minutes == pytest.approx(2 * 20 / 10 + 1)
    assert spend_report(judged).model.human_minutes == row.human_minutes
    html = told(judged, tmp_path)
    assert fact(html, "Minutes of people") == "5" and "Hours of people" not in html


def test_an_hour_and_more_is_told_in_hours(judged, tmp_path):
    answered(judged, judged.store.examples(split="pool")[:30], "Cy", 180_000)
    assert fact(told(judged, tmp_path), "Hours of people") == "1.6"


def test_recipe_and_gold_are_those_of_the_judged_model(judged, tmp_path):
    first = judged.store.rounds()[-1]
    key = f"model:round-1:{first.fingerprint}"
    # The model that is judged learned once more, from the dev texts too.
    learned = f"{first.gold_texts} pool and {len(judged.dev_gold())} dev texts"
    html = told(judged, tmp_path)
    assert fact(html, "Gold behind the model") == learned and "newer" not in html
    newer = Round(
        2, "random", 0, (), 999, first.model, "other_recipe", "0" * 16, first.dev, dev_seeds=(0.1, 0.2)
    )
    judged.store.save_round(newer)
    gold = {item.example.input_hash: item.annotation for item in judged.dev_gold()}
    judged.store.save_predictions(f"model:round-2:{'0' * 16}:dev", gold)
    html = told(judged, tmp_path)
    assert fact(html, "Model") == key and fact(html, "Recipe") == first.recipe
    assert fact(html, "Gold behind the model") == learned
    assert "other_recipe" not in html and "Recipe on dev" not in html
    assert "There is a newer model that is not judged yet" in html
    assert "model of round 2 (newer than what was judged) on dev" in html


def test_a_judged_model_that_was_trained_again_since_gets_no_gold_of_another(judged, tmp_path):
    first = judged.store.rounds()[-1]
    judged.store.save_round(replace(first, fingerprint="0" * 16, gold_texts=999, recipe="other_recipe"))
    html = told(judged, tmp_path)
    assert fact(html, "Model") == f"model:round-1:{first.fingerprint}"
    assert fact(html, "Gold behind the model") == fact(html, "Recipe")
    assert fact(html, "Recipe").startswith("not kept")
    assert "999" not in html and "other_recipe" not in html


def test_rules_that_changed_since_are_not_called_the_judged_ones(judged, tmp_path):
    key = rules_source(judged).key
    assert fact(told(judged, tmp_path), "Rules") == key
    judged.patterns.write_text(RULES.replace("aufzüge", "lift"), encoding="utf8")
    html = told(judged, tmp_path)
    assert "1 rule" in fact(html, "Rules") and "changed since" in fact(html, "Rules")
    assert rules_source(judged).key not in html


def test_that_answers_are_simulated_is_said_once_beside_a_verdict(judged, tmp_path):
    with (judged.folder / "annoloop.cfg").open("a", encoding="utf8") as cfg:
        cfg.write("\n[gate]\nmin_texts = 10\n")
    project = Project.open(judged.folder)
    result = evaluate(project)
    assert result.verdict.p_value is not None and "simulated from gold" in result.verdict.reason
    html = told(project, tmp_path)
    held_out = len(project.held_out_gold())
    assert f"{held_out} of {held_out} held-out answers were simulated from gold labels" in html
    assert html.count("simulated from gold") == 1


@pytest.mark.parametrize("texts", [1, 2])
def test_imported_labels_are_not_said_to_be_given_with_a_suggestion(tmp_path, monkeypatch, capsys, texts):
    rows = feedback(30)
    settings(tmp_path / "p", labels=LABELS)
    project = Project.open(tmp_path / "p")
    for split, part in (("held_out", rows[:texts]), ("dev", rows[10:])):
        add(project, [write_rows(tmp_path / f"{split}.jsonl", part)], gold=True, split=split)
    project.patterns.write_text(RULES, encoding="utf8")
    monkeypatch.setattr(sys, "argv", ["annoloop", "evaluate", str(project.folder)])
    with pytest.raises(SystemExit) as ended:
        main()
    assert not ended.value.code
    out = capsys.readouterr().out
    html = told(Project.open(project.folder), tmp_path)
    are = "1 held-out text was" if texts == 1 else "2 held-out texts were"
    assert f"{are} not labelled blind." in html and "suggestion in view" not in html
    named = are.rpartition(" ")[0]
    assert f"UTC on {named}</p>" in html
    assert f"\n{named}, {texts} not labelled blind\n" in out and "assisted" not in out


def test_what_turns_the_direction_of_a_text_ends_within_its_quotes(tmp_path):
    label, text = "A\u202eB", "Acme\u2069\u202e x\u2029y \u2067z"
    project = Project.create(tmp_path / "p", kind="ner", labels=[label, "B"], lang="de")
    project.store.add_examples([Example(input_hash(text), text, split="dev")])
    (example,) = project.store.examples()
    task = project.task(example, number=0)
    project.store.add_tasks([task])
    said = Annotation(spans=(Span(0, len(text), label),))
    project.store.save_answers([answer(example, task, said, "anna", 10**15)])
    project.patterns.write_text('{"label": "B", "pattern": "nirgends"}\n', encoding="utf8")
    ask_source(project, rules_source(project), [example])
    section, _ = errors_section(project)
    (quote,) = [block for block in section.blocks if isinstance(block, Quote)]
    (line,) = [value for name, value in quote.lines if name == "missed"]
    words = "".join(character for character, depth in nested(line) if not depth)
    assert words == "true:  “”; said: nothing"


def nested(text):
    """Each character with how many isolates it is in; marks that belong to none are in none."""
    depth = 0
    for character in text:
        if character in ISOLATES:
            depth += 1
        elif character == END:
            depth -= 1
        else:
            yield character, depth


TURNING = "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"


@given(st.text(st.sampled_from(f"aא1 \n\u2029{TURNING}"), max_size=12))
def test_an_isolated_text_is_closed_and_keeps_its_letters(text):
    found = isolated(text)
    classes = {bidirectional(character) for character in text}
    if not classes & {"R", "LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}:
        assert found == text
        return
    inside = list(nested(found))
    assert all(depth >= 1 and bidirectional(character) != "B" for character, depth in inside)
    assert sum(found.count(mark) for mark in ISOLATES) == found.count(END)
    assert [c for c in found if c in "aא1"] == [c for c in text if c in "aא1"]


def test_parts_are_headed_by_the_name_of_their_figure(judged):
    section, _ = errors_section(judged)
    heads = [block.head for block in section.blocks if isinstance(block, Table) and block.head[0] == "part"]
    assert heads == [("part", "texts", "accuracy", "95 %", "against all")]
