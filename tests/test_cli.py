"""The command line as a new user meets it: what it says, how it ends, what it leaves behind."""

import csv
import json
import re
import subprocess
import sys

import pytest
from fake_llm import FakeLLM
from small_project import LABELS, PATTERNS, expert, feedback, settings, small_project, write_rows

from annoloop.cli import main
from annoloop.project import Project
from annoloop.steps.export import Exported

ROWS = feedback(60)
COMMANDS = (
    "init",
    "add",
    "status",
    "review",
    "loop",
    "train",
    "train-curve",
    "simulate",
    "evaluate",
    "report",
    "export",
    "apply",
    "settings",
    "rules",
    "llm",
)


@pytest.fixture
def annoloop(monkeypatch, capsys):
    """Run the command line in this process; gives (exit code, standard output, standard error)."""

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["annoloop", *map(str, arguments)])
        capsys.readouterr()
        code = 0
        try:
            main()
        except SystemExit as ended:
            code = ended.code or 0
        out, err = capsys.readouterr()
        return code, out, err

    return run


@pytest.fixture
def project(tmp_path):
    return small_project(tmp_path / "p", ROWS)


def contents(folder):
    store = Project.open(folder).store
    return store.example_counts(), store.answer_count(), store.excluded_count(), len(store.tasks())


def refused(outcome, *words):
    """One clear message on standard error, an exit code that is not 0, and no traceback."""
    code, out, err = outcome
    assert code != 0
    assert "Traceback" not in err and "unexpected error" not in err
    assert out == ""
    for word in words:
        assert str(word) in err
    return err


def test_init_add_status_as_in_the_readme(annoloop, tmp_path):
    folder = tmp_path / "my project"
    code, out, err = annoloop(
        "init", folder, "--kind", "ner", "--label", "A", "--label", "B c", "--lang", "de"
    )
    assert (code, err) == (0, "")
    assert "2 label(s)" in out and "next: annoloop add" in out
    texts = tmp_path / "texts.txt"
    texts.write_bytes("Größe 😀 e\u0301\r\nİstanbul\r\n\r\nשלום עולם\r\n".encode())
    code, out, _ = annoloop("add", folder, texts)
    assert code == 0 and out.startswith("3 texts read: 3 new")
    assert {eg.text for eg in Project.open(folder).store.examples()} == {
        "Größe 😀 e\u0301",
        "İstanbul",
        "שלום עולם",
    }
    code, out, _ = annoloop("status", folder, "--json")
    found = json.loads(out)
    assert code == 0 and found["labels"] == ["A", "B c"] and sum(found["splits"].values()) == 3


def test_adding_the_same_file_twice_adds_nothing_and_says_so(annoloop, project, tmp_path):
    gold = write_rows(tmp_path / "gold.jsonl", ROWS)
    _, out, _ = annoloop("add", project.folder, gold, "--gold", "--blind")
    assert f"{len(ROWS)} texts read: 0 new, {len(ROWS)} were there already" in out
    assert "labelled texts taken as gold" in out
    before = contents(project.folder)
    code, out, _ = annoloop("add", project.folder, gold, "--gold", "--blind")
    assert code == 0 and "0 new" in out and "as gold" not in out
    assert contents(project.folder) == before


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(annoloop, command):
    code, out, _ = annoloop(command, "--help")
    assert code == 0
    assert "Usage:" in out and "--help" in out
    assert len(out.splitlines()) > 4


def test_help_names_every_command_in_the_order_of_the_loop(annoloop):
    code, out, _ = annoloop("--help")
    assert code == 0
    places = [out.index(f"\n  {command} ") for command in COMMANDS if command not in ("rules", "llm")]
    assert places == sorted(places)


def test_ctrl_c_while_the_command_loads_is_one_line():
    program = (
        "import sys\n"
        "class Stopped:\n"
        "    def find_spec(self, name, *_):\n"
        "        if name == 'annoloop.cli.app': raise KeyboardInterrupt\n"
        "sys.meta_path.insert(0, Stopped())\n"
        "from annoloop.__main__ import main\n"
        "main()\n"
    )
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert (ran.returncode, ran.stdout, ran.stderr) == (130, "", "stopped before anything was done\n")


@pytest.mark.parametrize("program", ["import annoloop", "from annoloop.cli import main; main()"])
def test_nothing_heavy_is_loaded_for_help(program):
    heavy = ["spacy", "streamlit", "pandas", "torch", "sklearn", "openai", "sqlalchemy", "numpy"]
    code = f"""
import sys
sys.argv = ["annoloop", "--help"]
try:
    exec({program!r})
except SystemExit:
    pass
print("loaded", [name for name in {heavy!r} if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stdout.splitlines()[-1] == "loaded []", done.stderr


def on_a_project(folder):
    """Every command that works on a project, with arguments that are otherwise right."""
    texts = write_rows(folder.parent / "some.jsonl", [{"text": "Ein Text", "label": "Aufzug"}])
    return [
        ("add", folder, texts),
        ("status", folder),
        ("loop", folder),
        ("loop", folder, "--oracle", texts, "--json"),
        ("train", folder),
        ("train-curve", folder),
        ("train-curve", folder, "--json"),
        ("evaluate", folder),
        ("evaluate", folder, "--json"),
        ("report", folder, "-o", folder.parent / "report.html"),
        ("export", folder, folder.parent / "out"),
        ("apply", folder, texts, folder.parent / "out.jsonl"),
        ("rules", "suggest", folder),
        ("rules", "check", folder),
        ("rules", "export", folder, folder / "out"),
        ("llm", "import", folder, texts),
        ("llm", "compare", folder),
        ("llm", "estimate", folder),
        ("llm", "annotate", folder),
        ("llm", "retry", folder),
        ("llm", "spend", folder),
        ("review", folder, "--no-browser"),
    ]


def test_no_project_is_said_by_every_command(annoloop, tmp_path):
    empty = tmp_path / "empty"
    empty.mkdir()
    # The page makes a project where there is none.
    for arguments in (a for a in on_a_project(empty) if a[0] != "review"):
        refused(annoloop(*arguments), empty, "annoloop init")
    for arguments in (a for a in on_a_project(tmp_path / "nowhere") if a[0] != "review"):
        refused(annoloop(*arguments), tmp_path / "nowhere", "annoloop init")
    assert not list(empty.iterdir())
    assert not (tmp_path / "nowhere").exists()


@pytest.mark.parametrize(
    ("cfg", "words"),
    [
        ("[project\nkind =", "is broken"),
        ('[project]\nname = "p"\nkind = "poetry"\nlabels = ["A"]', "project -> kind"),
        ('[project]\nname = "p"\nkind = "ner"\nlabels = ["A"]\n[gate]\nalpha = "much"', "gate -> alpha"),
        ('[project]\nname = "p"\nkind = "ner"\nlabels = ["A"]\n[gate]\nalhpa = 0.1', "did you mean alpha"),
        ('[project]\nname = "p"\nkind = "textcat"\nlabels = ["A"]', "at least 2"),
        ('[project]\nname = "p"\nkind = "ner"\nlabels = []', "at least 1"),
    ],
)
def test_a_broken_config_is_named_with_its_path(annoloop, tmp_path, cfg, words):
    (tmp_path / "annoloop.cfg").write_text(cfg)
    for arguments in on_a_project(tmp_path):
        # A project without labels gets them in the page.
        if arguments[0] != "review" or "labels = []" not in cfg:
            refused(annoloop(*arguments), words)
    assert not (tmp_path / "project.sqlite").exists()


@pytest.mark.parametrize(
    ("options", "word"),
    [
        (("--kind", "poem", "--label", "A"), "poem"),
        (("--kind", "textcat", "--label", "A"), "2"),
        (("--kind", "ner", "--label", "A", "--label", "A"), "twice"),
        (("--kind", "ner", "--label", " "), "label"),
        (("--kind", "ner", "--label", "A", "--lang", "deutsch"), "lang"),
        (("--kind", "ner"), "--label"),
    ],
)
def test_init_refuses_and_leaves_no_folder(annoloop, tmp_path, options, word):
    refused(annoloop("init", tmp_path / "new", *options), word)
    assert not (tmp_path / "new").exists()


def test_init_twice_keeps_the_first(annoloop, project):
    before = (project.folder / "annoloop.cfg").read_bytes()
    refused(annoloop("init", project.folder, "--kind", "ner", "--label", "A"), "is a project already")
    assert (project.folder / "annoloop.cfg").read_bytes() == before


GOOD = '{"text": "Ein neuer guter Text"}\n'
BAD_FILES = [
    ("empty.jsonl", b"", (), "holds no texts"),
    ("wrong.jsonl", GOOD.encode() + b'{"txt": "x"}\n', (), 'line 2: no "text"'),
    ("broken.jsonl", GOOD.encode() + b'{"text": \n', (), "line 2"),
    ("list.jsonl", GOOD.encode() + b"[1]\n", (), "line 2"),
    ("null.jsonl", GOOD.encode() + b'{"text": null}\n', (), "line 2"),
    ("latin.jsonl", '{"text": "Größe"}\n'.encode("latin-1"), (), "UTF-8"),
    ("latin.csv", "text\nGröße\n".encode("latin-1"), (), "UTF-8"),
    ("latin.txt", "Größe\n".encode("latin-1"), (), "UTF-8"),
    ("a.csv", b"body,label\nx,Aufzug\n", (), "body"),
    ("b.csv", b"text,topic\nx,Aufzug\n", ("--label-column", "label", "--gold"), "topic"),
    ("c.csv", b"text,label\nx,Aufzug\n", ("--text-column", "body"), "body"),
    ("label.jsonl", GOOD.encode() + b'{"text": "x", "label": "Ufo"}\n', ("--gold",), "Ufo"),
    ("picture.png", b"\x89PNG", (), "unknown format"),
    ("damaged.spacy", b"no docs", (), "damaged.spacy"),
    ("gold.jsonl", GOOD.encode(), ("--gold",), "not one row has labels"),
]


@pytest.mark.parametrize(("name", "content", "options", "word"), BAD_FILES, ids=[bad[0] for bad in BAD_FILES])
def test_a_bad_file_is_refused_whole_with_its_place(
    annoloop, project, tmp_path, name, content, options, word
):
    (tmp_path / name).write_bytes(content)
    good = write_rows(tmp_path / "good.jsonl", [{"text": "Dieser Text wäre gut", "label": "Aufzug"}])
    before = contents(project.folder)
    files = (tmp_path / name,) if "--gold" in options else (good, tmp_path / name)
    refused(annoloop("add", project.folder, *files, *options), name, word)
    assert contents(project.folder) == before


@pytest.mark.parametrize(
    ("spans", "word"),
    [
        ([{"start": 0, "end": 99, "label": "A"}], "outside the text"),
        ([{"start": -1, "end": 3, "label": "A"}], "span"),
        ([{"start": 4, "end": 4, "label": "A"}], "span"),
        ([{"start": 0, "end": 2, "label": "A"}], "token borders are 0-3"),
        ([{"start": 0, "end": 3, "label": "UFO"}], "UFO"),
        ([{"start": 0, "end": 3, "label": "A"}, {"start": 0, "end": 9, "label": "A"}], "overlap"),
        ([{"start": "0", "end": 3, "label": "A"}], "start"),
        ("everything", "spans"),
    ],
)
def test_spans_that_do_not_fit_are_refused_with_line_and_offsets(annoloop, tmp_path, spans, word):
    settings(tmp_path / "p", kind="ner", labels=["A"], lang="en")
    rows = [{"text": "Two words", "spans": []}, {"text": "New words here", "spans": spans}]
    file = write_rows(tmp_path / "gold.jsonl", rows)
    refused(annoloop("add", tmp_path / "p", file, "--gold"), "gold.jsonl, line 2", word)
    assert contents(tmp_path / "p")[:2] == ({"pool": 0, "dev": 0, "held_out": 0}, 0)

    code, out, err = annoloop("add", tmp_path / "p", file, "--gold", "--skip-bad")
    assert code == 0 and "1 texts read: 1 new" in out
    assert "left out" in err and "line 2" in err and word in err
    assert contents(tmp_path / "p")[1] == 1


def test_paths_that_are_wrong(annoloop, project, tmp_path):
    refused(annoloop("add", project.folder, tmp_path / "nowhere.jsonl"), "does not exist")
    refused(annoloop("add", project.folder, tmp_path), "is a folder")
    refused(annoloop("add", project.folder), "FILE")
    refused(annoloop("loop", project.folder, "--oracle", tmp_path / "gone.jsonl"), "gone.jsonl")
    refused(annoloop("lop", project.folder), "lop")
    refused(annoloop("loop", project.folder, "--batch", "0"), "--batch")
    blocked = tmp_path / "file"
    blocked.write_text("x")
    refused(annoloop("init", blocked / "p", "--kind", "ner", "--label", "A"), "file")


def test_a_damaged_store_is_named(annoloop, tmp_path):
    settings(tmp_path)
    (tmp_path / "project.sqlite").write_bytes(b"This is no database at all." * 100)
    for arguments in on_a_project(tmp_path):
        refused(annoloop(*arguments), "project.sqlite", "backup")


def test_steps_before_their_time_say_what_comes_first(annoloop, project, tmp_path):
    folder = project.folder
    refused(annoloop("train", folder), "no answered texts", "annoloop review")
    refused(annoloop("evaluate", folder, "--json"), "no held-out text has an answer", "annoloop review")
    refused(annoloop("export", folder, tmp_path / "out"), "no trained model", "annoloop loop")
    refused(annoloop("apply", folder, folder / "texts.jsonl", tmp_path / "o.jsonl"), "no trained model")
    assert not (tmp_path / "out").exists() and not (tmp_path / "o.jsonl").exists()
    settings(tmp_path / "q")
    refused(annoloop("loop", tmp_path / "q"), "annoloop add")


def test_after_the_first_round_nothing_can_be_held_out(annoloop, project, tmp_path):
    gold = write_rows(tmp_path / "gold.jsonl", ROWS)
    annoloop("add", project.folder, gold, "--gold", "--blind")
    code, _, err = annoloop("train", project.folder)
    assert code == 0, err
    project.store.set_fact("frozen", True)
    new = write_rows(
        tmp_path / "new.jsonl", [{"text": f"Ein neuer Text {n} über {n * 37}"} for n in range(9)]
    )
    before = contents(project.folder)
    refused(annoloop("add", project.folder, new, "--split", "held_out"), "frozen")
    assert contents(project.folder) == before
    annoloop("add", project.folder, new)
    counts = contents(project.folder)[0]
    assert (counts["dev"], counts["held_out"]) == (before[0]["dev"], before[0]["held_out"])


def test_train_evaluate_apply_one_step_each(annoloop, project, tmp_path):
    folder = project.folder
    annoloop("add", folder, write_rows(tmp_path / "gold.jsonl", ROWS), "--gold", "--blind")
    code, out, err = annoloop("train", folder)
    assert code == 0, err
    assert "recipe textcat_linear" in out and f"on {contents(folder)[0]['dev']} dev texts" in out
    code, out, _ = annoloop("evaluate", folder, "--json")
    result = json.loads(out)
    assert code == 0 and result["verdict"]["decision"] == "no_llm"
    assert result["held_out"] == {"texts": contents(folder)[0]["held_out"], "assisted": 0, "simulated": 0}
    code, out, _ = annoloop("evaluate", folder)
    assert code == 0 and "verdict: no_llm" in out and "next: " in out

    (tmp_path / "in.csv").write_text('body;n\n"Der Aufzug ist kaputt; schon wieder 😀";1\n', encoding="utf8")
    out_file = tmp_path / "out.jsonl"
    code, out, err = annoloop("apply", folder, tmp_path / "in.csv", out_file, "--text-column", "body")
    assert code == 0, err
    (row,) = [json.loads(line) for line in out_file.read_text(encoding="utf8").splitlines()]
    assert row["text"] == "Der Aufzug ist kaputt; schon wieder 😀"
    assert len(row["accept"]) == 1 and row["accept"][0] in LABELS

    settings = folder / "annoloop.cfg"
    settings.write_text(settings.read_text("utf8").replace(f'"{LABELS[0]}"', '"Lift"'), encoding="utf8")
    for command in (("apply", folder, tmp_path / "in.csv", tmp_path / "new.jsonl"), ("evaluate", folder)):
        refused(annoloop(*command), f"answers with '{LABELS[0]}'", "train once more")
    assert not (tmp_path / "new.jsonl").exists()
    assert f"{LABELS[0]} is no longer a label" in annoloop("status", folder)[1]


def test_answers_of_an_llm_made_elsewhere(annoloop, project, tmp_path):
    answers = write_rows(tmp_path / "answers.jsonl", [{**row, "label": "irrelevant"} for row in ROWS])
    code, out, err = annoloop("llm", "import", project.folder, answers, "--name", "Big LLM")
    assert code == 0, err
    assert f"{len(ROWS)} texts have an answer of Big LLM" in out
    annoloop("add", project.folder, write_rows(tmp_path / "gold.jsonl", ROWS), "--gold", "--blind")
    annoloop("train", project.folder)
    board = json.loads(annoloop("evaluate", project.folder, "--json")[1])["leaderboard"]
    assert {row["approach"] for row in board} == {"model", "llm"}
    assert "LLM      Big LLM (imported answers)" in annoloop("status", project.folder)[1]
    annoloop("report", project.folder, "-o", tmp_path / "r.html")
    told = (tmp_path / "r.html").read_text(encoding="utf8")
    # Neither what the LLM took nor how long the labels did: both were made elsewhere.
    assert "LLM, money" not in told and "imported answers cost is not known" in told
    assert re.search(r">import</th><td>\d+</td><td>–</td><td>–</td>", told)

    strangers = write_rows(tmp_path / "strangers.jsonl", [{"text": "Fremd", "label": "Aufzug"}])
    refused(annoloop("llm", "import", project.folder, strangers), "none of its texts is in the project")
    bad = write_rows(tmp_path / "bad.jsonl", [*ROWS[:2], {"text": "x", "label": "Ufo"}])
    refused(annoloop("llm", "import", project.folder, bad), "line 3", "Ufo")


def test_a_server_that_is_down_is_one_clear_line(annoloop, tmp_path):
    with FakeLLM() as fake:
        project = small_project(tmp_path / "p", ROWS, server=fake)
    expert(project, ROWS)
    outcome = annoloop("loop", project.folder, "--oracle", project.folder / "gold.jsonl", "--json")
    err = refused(outcome, fake.base_url, "is it running?")
    assert "error: the LLM server at" in err


def test_a_server_far_away_is_refused(annoloop, tmp_path):
    settings(tmp_path / "p", llm='"https://203.0.113.7/v1"')
    project = Project.open(tmp_path / "p")
    annoloop("add", project.folder, write_rows(tmp_path / "t.jsonl", [{"text": r["text"]} for r in ROWS]))
    expert(project, ROWS)
    outcome = annoloop("loop", project.folder, "--oracle", project.folder / "gold.jsonl")
    assert "nothing was sent" in outcome[2] and "allow_remote" in outcome[2]
    assert outcome[0] == 1


def test_debug_shows_the_traceback(tmp_path):
    program = [sys.executable, "-c", "from annoloop.cli import main; main()", "status", str(tmp_path)]
    plain = subprocess.run(program, capture_output=True, text=True, timeout=60)
    assert plain.returncode == 1 and "Traceback" not in plain.stderr
    assert plain.stderr.count("\n") == 2
    debug = subprocess.run([*program, "--debug"], capture_output=True, text=True, timeout=60)
    assert debug.returncode == 1 and "Traceback" in debug.stderr and "SettingsError" in debug.stderr


def test_settings_prints_what_is_read(annoloop):
    code, out, _ = annoloop("settings")
    assert code == 0 and "[gate]" in out and "alpha = 0.05" in out


def test_gold_and_answers_in_a_table_with_columns_of_other_names(annoloop, tmp_path, monkeypatch):
    made = Exported(tmp_path / "small.whl", "de_small", 0, "no environment")
    monkeypatch.setattr("annoloop.loop.export", lambda *_, **__: made)
    folder = small_project(tmp_path / "p", ROWS).folder
    table = tmp_path / "gold.csv"
    with table.open("w", encoding="utf-8-sig", newline="") as stream:
        writer = csv.writer(stream, delimiter=";")
        writer.writerows([["body", "topic"], *([row["text"], row["label"]] for row in ROWS)])
    columns = ("--text-column", "body", "--label-column", "topic")
    refused(annoloop("loop", folder, "--oracle", table), "body", "--text-column")
    refused(annoloop("llm", "import", folder, table), "body", "--text-column")
    assert annoloop("llm", "import", folder, table, *columns)[0] == 0
    assert "topic were not taken" in annoloop("add", folder, table, *columns)[1]
    code, out, err = annoloop("loop", folder, "--oracle", table, *columns, "--max-rounds", "1", "--no-wait")
    assert code == 0, err
    assert "answered by the simulated expert" in out


def test_rules_check_tells_what_each_pattern_does(annoloop, project):
    code, out, _ = annoloop("rules", "check", project.folder)
    assert code == 0 and "no patterns" in out
    expert_says = write_rows(project.folder.parent / "gold.jsonl", ROWS)
    annoloop("add", project.folder, expert_says, "--gold", "--blind")
    project.patterns.write_text("\n" + "".join(json.dumps(one) + "\n" for one in PATTERNS), encoding="utf8")
    code, out, _ = annoloop("rules", "check", project.folder, "--json")
    found = json.loads(out)
    lift, stairs = found["patterns"]
    assert (code, lift["line"], lift["label"], stairs["line"]) == (0, 2, "Aufzug", 3)
    # Texts to judge by are never looked at.
    held_out = len(project.store.examples(split="held_out"))
    assert held_out and found["gold_texts"] == len(ROWS) - held_out
    assert 0 < lift["right"] <= lift["matches"] and lift["interval"][0] <= lift["precision"]
    code, out, _ = annoloop("rules", "check", project.folder)
    first, second, *_, gold, reached, fewer = out.splitlines()
    assert fewer.startswith("on texts to learn from: 2 patterns score")
    assert code == 0 and first.startswith("line  label") and second.split()[:2] == ["2", "Aufzug"]
    assert f"2 patterns on {found['gold_texts']} labelled texts" in gold and "texts a second" in reached
    project.patterns.write_text('{"label": "Aufzug"}\n', encoding="utf8")
    refused(annoloop("rules", "check", project.folder), "patterns.jsonl:1")


def test_rules_suggest_proposes_and_takes(annoloop, tmp_path):
    folder = tmp_path / "p"
    settings(folder)
    rows = write_rows(tmp_path / "gold.jsonl", feedback(90))
    assert annoloop("add", folder, rows, "--gold", "--split", "pool")[0] == 0
    code, out, _ = annoloop("rules", "suggest", folder, "--json", "--most", 9)
    made = json.loads(out)
    assert code == 0 and 0 < len(made["proposals"]) <= 9 and made["accepted"] == []
    assert {"line", "precision", "interval", "right", "chosen"} <= made["proposals"][0].keys()
    code, out, _ = annoloop("rules", "suggest", folder, "--accept-above", 0.8)
    assert code == 0 and "were taken into" in out and (folder / "patterns.jsonl").is_file()
    taken = (folder / "patterns.jsonl").read_text(encoding="utf8").splitlines()
    assert taken and all(json.loads(line)["label"] for line in taken)
    code, out, _ = annoloop("rules", "check", folder)
    assert code == 0 and "on texts to learn from" in out
