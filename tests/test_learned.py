"""What a model learned from judges it no more, whatever has become of those texts since."""

from __future__ import annotations

from pathlib import Path

from small_project import feedback, small_project, write_rows

from annoloop.project import Project
from annoloop.steps.add import add
from annoloop.steps.evaluate import evaluate
from annoloop.steps.evidence.looks import leaked, template_notes
from annoloop.steps.llm.source import import_llm_answers, pin_few_shot, shown_examples
from annoloop.steps.sources import rules_source
from annoloop.steps.suggest import judge_rules
from annoloop.steps.train import train

ROWS = feedback(240)


def judged_late(folder: Path, held_out: list[dict]) -> Project:
    """A model of all pool gold, and held-out texts that come after it; the LLM is always wrong."""
    project = small_project(folder, ROWS[:60], corpus="held_out = 0.0\ndev = 0.2")
    add(project, [write_rows(folder / "gold.jsonl", ROWS[:60])], gold=True)
    train(project)
    add(project, [write_rows(folder / "test.jsonl", held_out)], split="held_out", gold=True, blind=True)
    wrong = [{"text": row["text"], "label": "Rolltreppe"} for row in held_out]
    import_llm_answers(project, write_rows(folder / "llm.jsonl", wrong), name="wrong")
    return project


def test_held_out_texts_near_what_the_model_learned_from_before_they_came(tmp_path: Path) -> None:
    """Their near-duplicates are left out of the gold of today: of the next model, not of this one."""
    near = [{**row, "text": row["text"] + " !"} for row in ROWS[:20]]
    project = judged_late(tmp_path / "p", [*near, *ROWS[100:240]])
    first = evaluate(project).verdict
    assert first.decision == "refused"
    [leak] = [line for line in first.reason.splitlines() if "near-duplicate in the training gold" in line]
    assert leak.startswith("No verdict: 20 of ")
    train(project)
    assert "near-duplicate" not in evaluate(project).verdict.reason
    project.store.close()


def test_texts_of_the_pool_that_were_moved_to_the_held_out_ones(tmp_path: Path) -> None:
    project = judged_late(tmp_path / "p", [*ROWS[:15], *ROWS[100:240]])
    assert "15 of " in evaluate(project).verdict.reason
    train(project)
    assert "near-duplicate" not in evaluate(project).verdict.reason
    project.store.close()


def test_what_is_near_to_a_moved_text_is_learned_from_no_longer(tmp_path: Path) -> None:
    near = {**ROWS[0], "text": ROWS[0]["text"] + " !"}
    project = small_project(tmp_path / "p", [*ROWS[:60], near], corpus="held_out = 0.0\ndev = 0.0")
    made = add(project, [write_rows(tmp_path / "test.jsonl", ROWS[:1])], split="held_out")
    assert (made.moved, made.near, project.store.excluded_count()) == (1, 1, 1)
    assert near["text"] not in {eg.text for eg in project.store.examples(split="pool")}
    project.store.close()


def test_texts_of_one_template_are_told_of(tmp_path: Path) -> None:
    """Where near ones are not kept apart, since they are many of all, the scores are of such texts."""
    template = (
        "Der Aufzug am Gleis {} im Bahnhof von {} ist seit heute früh wieder außer Betrieb gewesen und "
        "niemand sagt uns Reisenden mit Kinderwagen oder Gepäck, wann er endlich repariert sein wird."
    )
    towns = [word for row in ROWS[150:200] for word in row["text"].split() if word.isalpha()]
    same = [{"text": template.format(n, town), "label": "Aufzug"} for n, town in enumerate(towns[:140])]
    rows = [*same, *ROWS[:100]]
    project = small_project(tmp_path / "p", rows, corpus="held_out = 0.4\ndev = 0.0")
    add(project, [write_rows(tmp_path / "gold.jsonl", rows)], gold=True, blind=True)
    gold = project.held_out_gold()
    assert leaked(project, gold, "m") == {}
    [note] = template_notes(project, gold, "m", {})
    assert "texts of one template" in note and int(note.split()[0]) > 20
    project.store.close()
    plain = small_project(tmp_path / "q", ROWS[:200], corpus="held_out = 0.4\ndev = 0.0")
    add(plain, [write_rows(tmp_path / "plain.jsonl", ROWS[:200])], gold=True, blind=True)
    gold = plain.held_out_gold()
    assert template_notes(plain, gold, "m", leaked(plain, gold, "m")) == []
    plain.store.close()


def test_an_example_of_the_llm_that_is_moved_to_the_held_out_texts_is_shown_no_longer(tmp_path: Path) -> None:
    project = small_project(tmp_path / "p", ROWS[:60], corpus="held_out = 0.0\ndev = 0.0")
    add(project, [write_rows(tmp_path / "gold.jsonl", ROWS[:60])], gold=True)
    pin_few_shot(project)
    first, *others = [shot.text for shot in shown_examples(project)]
    moved = [row for row in ROWS[:60] if row["text"] == first]
    add(project, [write_rows(tmp_path / "test.jsonl", moved)], split="held_out")
    assert [shot.text for shot in shown_examples(project)] == others
    project.store.close()


def test_dev_gold_made_with_the_rules_in_view_does_not_say_that_they_suffice(tmp_path: Path) -> None:
    project = small_project(tmp_path / "p", ROWS, corpus="held_out = 0.0\ndev = 0.5", rules="target = 0.3")
    write_rows(project.patterns, [{"label": "Aufzug", "pattern": [{"LOWER": {"REGEX": ".*"}}]}])
    said = write_rows(tmp_path / "gold.jsonl", [{**row, "label": "Aufzug"} for row in ROWS])
    add(project, [said], gold=True)
    scores, verdict = judge_rules(project, rules_source(project))
    assert scores.score == 1 and not verdict.suffice and "not annotated blind" in verdict.reason
    add(project, [said], gold=True, blind=True)
    assert judge_rules(project, rules_source(project))[1].suffice
    project.store.close()
