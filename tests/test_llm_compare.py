"""Prompts and models against each other: on dev gold only, at what they cost, and the best one adopted."""

from __future__ import annotations

import json
import sys
from dataclasses import replace

import pytest
from fake_llm import FakeLLM, Reply
from small_project import LABELS, expert, feedback, small_project, write_rows

from annoloop.cli import main
from annoloop.errors import AnnoloopError, LLMError, SettingsError
from annoloop.evaluation.paired import paired_p
from annoloop.evaluation.scores import count
from annoloop.project import Project
from annoloop.steps.ask import answer_with, ask_blind
from annoloop.steps.evaluate import evaluate
from annoloop.steps.llm.baseline import adopt, baseline_notes, baseline_of_record
from annoloop.steps.llm.compare import OWN, ask_pool, compare_variants, read_variants
from annoloop.steps.llm.source import import_llm_answers, llm_config, llm_source

ROWS = feedback(90)
TRUTH = {row["text"]: row["label"] for row in ROWS}


def said(label: str) -> str:
    return json.dumps({"label": label})


def answer(body):
    """Model "good" is always right, "bad" right on every third text; "dear" uses many tokens."""
    asked = body["messages"][-1]["content"]
    text = max((text for text in TRUTH if text in asked), key=len)
    if body["model"] == "good":
        return said(TRUTH[text])
    if body["model"] == "broken":
        return Reply(refusal="no")
    if body["model"] == "down":
        return Reply(status=400, error="no such model")
    right = len(text) % 3 == 0
    wrong = LABELS[(LABELS.index(TRUTH[text]) + 1) % 3]
    usage = (100, 50) if body["model"] == "dear" else (10, 5)
    return Reply(said(TRUTH[text] if right else wrong), usage=usage)


@pytest.fixture
def server():
    with FakeLLM(answer) as fake:
        yield fake


@pytest.fixture
def project(tmp_path, server):
    """German feedback with gold on dev and held-out texts; its LLM is "fake"."""
    project = small_project(tmp_path / "p", ROWS, server=server, corpus="held_out = 0.4\ndev = 0.3")
    oracle = expert(project, ROWS)
    ask_blind(project, known=oracle)
    answer_with(project, oracle, 0)
    return project


def variant(project: Project, name: str, lines: str):
    path = project.folder / f"{name}.cfg"
    path.write_text(lines, encoding="utf8")
    return path


def model(project: Project, name: str, more: str = ""):
    return variant(project, name, f'[llm.model]\nname = "{name}"\n{more}\n')


def test_variants_are_scored_beside_the_projects_llm(project, server):
    dear = model(project, "dear", "price_input = 1000.0\nprice_output = 2000.0")
    variants = read_variants(project, [model(project, "good"), dear])
    found = compare_variants(project, variants)
    own, good, dear = found.rows
    assert [row.name for row in found.rows] == [OWN, "good", "dear"]
    assert (found.texts, found.tried) == (len(project.dev_gold()), 3)
    assert good.scores.score == 1.0 and own.scores.score < 0.6
    assert good.delta == pytest.approx(1.0 - own.scores.score)
    assert good.delta_interval[0] > 0 and good.p_value < 0.05
    assert own.delta is None and own.p_value is None
    assert dear.scores == own.scores and dear.delta == 0 and dear.p_value >= 0.5
    # 100 and 50 tokens at 1,000 and 2,000 a million are 0.2 a text.
    assert dear.cost_per_1000 == pytest.approx(200) and (dear.tokens, good.tokens) == (150, 15)
    assert own.cost_per_1000 is None or own.cost_per_1000 == 0
    assert 0 <= good.p50_ms <= good.p95_ms
    assert "good" in good.version and good.key != own.key
    assert any("3 were tried" in note for note in found.notes)


def test_only_dev_texts_are_asked_and_each_once(project, server):
    variants = read_variants(project, [model(project, "good")])
    first = compare_variants(project, variants, limit=5)
    assert first.texts == 5 and len(server.history) == 10
    again = compare_variants(project, variants, limit=5)
    # What a call once took is told, however often its answer is read since.
    assert len(server.history) == 10 and again.rows == first.rows
    whole = compare_variants(project, variants)
    assert len(server.history) == 2 * whole.texts
    asked = {turn.removeprefix("Text: ") for turn in server.asked()}
    assert asked == {eg.text.strip() for eg in project.store.examples(split="dev")}


def test_one_that_cannot_be_asked_fails_alone(project, server):
    broken, down = model(project, "broken"), model(project, "down")
    away = variant(project, "away", '[llm.model]\nbase_url = "https://203.0.113.7/v1"\nname = "x"\n')
    found = compare_variants(project, read_variants(project, [away, broken, model(project, "good"), down]))
    rows = {row.name: row for row in found.rows}
    assert "203.0.113.7" in rows["away"].problem and rows["away"].scores is None
    # A refusal is an answer, and wrong; a call that failed is none.
    assert rows["broken"].failures == {"refusal": found.texts}
    assert (rows["broken"].scores.missing, rows["broken"].scores.score) == (0, 0.0)
    assert rows["good"].scores.score == 1.0
    assert rows["down"].problem or rows["down"].scores.missing == found.texts
    assert found.tried == sum(not row.problem for row in found.rows)


def test_the_difference_is_taken_where_both_were_asked(project, server):
    gold = sorted(project.dev_gold(), key=lambda one: one.example.input_hash)
    half, lost = gold[::2], {one.example.text for one in gold[1::2]}

    def half_gone(body):
        gone = body["model"] == "fake" and body["messages"][-1]["content"].removeprefix("Text: ") in lost
        return Reply(status=400, error="gone") if gone else answer(body)

    server.answer = half_gone
    base, good = compare_variants(project, read_variants(project, [model(project, "good")])).rows
    assert base.scores.missing == len(lost) and base.failures == {"failed": len(lost)}
    truth = {one.example.input_hash: one.annotation for one in half}
    kept = project.store.predictions(base.key, hashes=list(truth))
    theirs = {text: found for text, (found, _) in kept.items()}
    assert good.delta == pytest.approx(1 - sum(truth[t] == theirs[t] for t in truth) / len(truth))
    ours, others = count(project.scheme, half, truth), count(project.scheme, half, theirs)
    assert good.p_value == paired_p(ours, others, seed=project.settings.training.seed)


def test_the_best_becomes_the_baseline_of_record(project, server):
    cfg = project.folder / "annoloop.cfg"
    cfg.write_text(f"# Größe 👍 stays\n{cfg.read_text(encoding='utf8')}", encoding="utf8")
    lines = '[llm]\ninclude_reason = false\nmax_cost = 3\n[llm.model]\nname = "good"\ntemperature = 0.5\n'
    lines += "price_input = 0\nprice_output = 0\n"
    variants = read_variants(project, [variant(project, "best", lines)])
    found = compare_variants(project, variants)
    baseline = adopt(project, variants, found, "best")
    written = cfg.read_text(encoding="utf8")
    assert "# Größe 👍 stays" in written and server.base_url in written
    adopted = Project.open(project.folder)
    assert llm_source(adopted).key == baseline.key == found.rows[1].key
    assert adopted.settings.llm.max_cost == 3 and adopted.settings.llm.model["temperature"] == 0.5
    record = baseline_of_record(adopted)
    assert record["in_force"] and (record["score"], record["tried"], record["name"]) == (1.0, 2, "best")
    (note,) = baseline_notes(adopted)
    assert "'best'" in note and "1.000" in note and "2 tried" in note
    # Compared again it is what the others are measured against.
    assert [row.key for row in compare_variants(adopted, ()).rows] == [baseline.key]
    assert note in evaluate(adopted).notes
    cfg.write_text(written.replace('"good"', '"bad"'), encoding="utf8")
    changed = Project.open(project.folder)
    assert not baseline_of_record(changed)["in_force"]
    assert "changed since" in baseline_notes(changed)[0]


def test_other_examples_are_the_same_baseline(project, server):
    found = compare_variants(project, ())
    adopt(project, (), found, OWN)
    write_rows(project.folder / "examples.jsonl", [{"text": "Der Aufzug", "label": "Aufzug"}])
    assert llm_source(project).key != found.rows[0].key
    assert baseline_of_record(project)["in_force"]


def test_a_model_of_another_kind_takes_none_of_the_lines_of_the_one_before(project):
    other = '[llm.model]\n@llm_models = "spacy.GPT-4.v3"\nname = "gpt-4"\n'
    (read,) = read_variants(project, [variant(project, "other", other)])
    assert read.config["model"] == {"@llm_models": "spacy.GPT-4.v3", "name": "gpt-4"}
    (same,) = read_variants(project, [model(project, "good")])
    assert same.config["model"]["base_url"] == llm_config(project)["model"]["base_url"]


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ("[project]\nlabels = []\n", ("mine.cfg", "project", "cannot be compared")),
        ('[llm]\nexamples = "x"\n', ("mine.cfg", "llm -> examples")),
        ("[llm]\nmax_cost = -1\n", ("mine.cfg", "llm -> max_cost")),
        ("[llm]\nfoo = 1\n", ("mine.cfg", "foo")),
        ("[llm\n", ("mine.cfg", "broken")),
    ],
)
def test_a_wrong_variant_is_named_with_its_file_and_line(project, lines, words):
    before = (project.folder / "annoloop.cfg").read_bytes()
    with pytest.raises(SettingsError) as error:
        read_variants(project, [variant(project, "mine", lines)])
    assert not [word for word in words if word not in str(error.value)], str(error.value)
    assert (project.folder / "annoloop.cfg").read_bytes() == before


def test_variants_are_found_by_the_settings_and_have_names_of_their_own(project):
    (project.folder / "variants").mkdir()
    for name in ("b", "a"):
        (project.folder / "variants" / f"{name}.cfg").write_text('[llm.model]\nname = "x"\n', encoding="utf8")
    llm = project.settings.llm.model_copy(update={"variants": ("variants/*.cfg", "variants/a.cfg")})
    set_up = replace(project, settings=project.settings.model_copy(update={"llm": llm}))
    assert [one.name for one in read_variants(set_up)] == ["a", "b"]
    assert read_variants(project) == ()
    with pytest.raises(SettingsError, match="of the name 'a'"):
        read_variants(project, [project.folder / "variants/a.cfg", variant(project, "a", "")])
    with pytest.raises(SettingsError, match="'project'"):
        read_variants(project, [variant(project, "project", "")])
    with pytest.raises(SettingsError, match=r"nowhere\.cfg"):
        read_variants(project, [project.folder / "nowhere.cfg"])


def test_what_was_not_scored_is_not_adopted(project, server):
    variants = read_variants(project, [model(project, "good")])
    found = compare_variants(project, variants)
    before = (project.folder / "annoloop.cfg").read_bytes()
    with pytest.raises(LLMError, match="was not compared"):
        adopt(project, variants, found, "other")
    made = [{"text": eg.text, "label": "irrelevant"} for eg in project.store.examples()]
    import_llm_answers(project, write_rows(project.folder / "made.jsonl", made), name="made")
    again = compare_variants(project, variants)
    assert "made" in again.rows[0].version and again.rows[1].delta is not None
    with pytest.raises(LLMError, match="imported"):
        adopt(project, variants, again, "good")
    assert (project.folder / "annoloop.cfg").read_bytes() == before
    assert baseline_of_record(project) is None


def test_without_dev_gold_there_is_the_tournament(tmp_path, server):
    project = small_project(tmp_path / "p", ROWS, server=server)
    variants = read_variants(project, [model(project, "good")])
    with pytest.raises(AnnoloopError, match="no dev text has gold") as error:
        compare_variants(project, variants)
    assert "--pool" in error.value.hint
    asked = ask_pool(project, variants, 6)
    assert (asked.texts, asked.contestants, asked.problems) == (6, (OWN, "good"), {})
    assert len(server.history) == 12
    with pytest.raises(LLMError, match="two LLMs"):
        ask_pool(project, (), 6)


def run(monkeypatch, capsys, *arguments):
    monkeypatch.setattr(sys, "argv", ["annoloop", *map(str, arguments)])
    capsys.readouterr()
    code = 0
    try:
        main()
    except SystemExit as ended:
        code = ended.code or 0
    return (code, *capsys.readouterr())


def test_nothing_goes_to_a_public_address_that_nobody_agreed_to(project, server, monkeypatch, capsys):
    cfg = project.folder / "annoloop.cfg"
    cfg.write_text(f'{cfg.read_text(encoding="utf8")}\n[privacy]\nallow_remote = "public"\n', encoding="utf8")
    away = variant(project, "away", '[llm.model]\nbase_url = "https://203.0.113.7/v1"\nname = "x"\n')
    code, out, _ = run(monkeypatch, capsys, "llm", "compare", project.folder, away, "--limit", 2)
    assert code == 1 and "nobody has agreed" in out and "--yes" in out
    asked = []
    monkeypatch.setattr(
        "annoloop.cli.consent.ask", lambda _project, yes, *, config: asked.append((yes, config))
    )
    run(monkeypatch, capsys, "llm", "compare", project.folder, away, "--limit", 2, "--yes")
    assert [yes for yes, _ in asked] == [True, True]
    assert [config and config["model"]["base_url"] for _, config in asked] == [None, "https://203.0.113.7/v1"]


def test_the_command(project, server, monkeypatch, capsys):
    good = model(project, "good")
    away = variant(project, "away", '[llm.model]\nbase_url = "https://203.0.113.7/v1"\n')
    compare = ("llm", "compare", project.folder, good)
    code, out, _ = run(monkeypatch, capsys, *compare)
    assert code == 0 and "dev texts, 2 variants tried" in out and "1.000" in out and "note: 2 were" in out
    code, out, _ = run(monkeypatch, capsys, *compare, away)
    assert code == 1 and "away: not scored" in out and "1.000" in out
    code, out, _ = run(monkeypatch, capsys, *compare, "--adopt", "good", "--json")
    plain = json.loads(out)
    assert code == 0 and plain["adopted"]["name"] == "good" and plain["rows"][1]["scores"]["score"] == 1.0
    assert Project.open(project.folder).settings.llm.model["name"] == "good"
    code, out, _ = run(
        monkeypatch, capsys, "llm", "compare", project.folder, model(project, "bad"), "--pool", 4
    )
    assert code == 0 and "4 pool texts answered by project, bad" in out and "Tournament" in out
    code, _, err = run(monkeypatch, capsys, *compare, "--pool", 4, "--adopt", "good")
    assert code != 0 and "--pool" in err


MINE = """{% block system %}Sortiere: {{ labels | join(", ") }}.{% endblock %}
{% block question %}Größe 👍 {{ text }}{% endblock %}
{% block repair %}Noch einmal: {{ reason }}{% endblock %}
"""


def mine(project: Project, words: str = MINE, name: str = "mine.jinja"):
    (project.folder / "prompts").mkdir(exist_ok=True)
    (project.folder / "prompts" / name).write_text(words, encoding="utf8")
    task = f'[llm.task]\ntemplate = "prompts/{name}"\n'
    return read_variants(project, [variant(project, "worded", task)])


def test_prompts_of_ones_own_have_a_version_by_their_words(project, server):
    first = compare_variants(project, mine(project), limit=3).rows[1]
    assert server.history[-1]["messages"][0]["content"] == f"Sortiere: {', '.join(LABELS)}."
    assert all(turn.startswith("Größe 👍 ") for turn in server.asked()[-3:])
    assert "prompt prompts/mine.jinja-" in first.version
    again = compare_variants(project, mine(project), limit=3).rows[1]
    assert again.key == first.key
    changed = compare_variants(project, mine(project, MINE.replace("Sortiere", "Ordne")), limit=3).rows[1]
    assert changed.key != first.key and changed.version != first.version
    assert server.history[-1]["messages"][0]["content"].startswith("Ordne")
    asked = len(server.history)
    assert compare_variants(project, mine(project, MINE, "mine.jinja"), limit=3).rows[1] == first
    assert len(server.history) == asked


def test_a_prompt_of_ones_own_is_adopted_with_its_file(project):
    variants = mine(project)
    baseline = adopt(project, variants, compare_variants(project, variants), "worded")
    adopted = Project.open(project.folder)
    assert adopted.settings.llm.task["template"] == "prompts/mine.jinja"
    assert llm_source(adopted).key == baseline.key and baseline_of_record(adopted)["in_force"]
    mine(adopted, MINE.replace("Sortiere", "Ordne"))
    assert not baseline_of_record(adopted)["in_force"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("no block", "has no block"),
        ("{% block sytem %}{% endblock %}", "block 'sytem' is unknown"),
        (MINE.replace("{{ text }}", "{{ text"), "line 2"),
        (MINE.replace("{{ text }}", "{{ texts }}"), "texts"),
        (MINE.replace("{{ text }}", "{{ text.__class__.__mro__ }}"), "unsafe"),
    ],
)
def test_a_wrong_prompt_fails_alone_and_by_name(project, server, words, said):
    own, row = compare_variants(project, mine(project, words), limit=2).rows
    assert own.scores is not None and row.scores is None
    assert "mine.jinja" in row.problem and said in row.problem
    assert len(server.history) == 2, "nothing was sent"


def test_a_prompt_lies_in_the_project(project):
    (project.folder.parent / "away.jinja").write_text(MINE, encoding="utf8")
    task = variant(project, "away", '[llm.task]\ntemplate = "../away.jinja"\n')
    row = compare_variants(project, read_variants(project, [task])).rows[1]
    assert "not in the project folder" in row.problem
    gone = variant(project, "gone", '[llm.task]\ntemplate = "gone.jinja"\n')
    assert (
        "gone.jinja cannot be read"
        in compare_variants(project, read_variants(project, [gone])).rows[1].problem
    )
