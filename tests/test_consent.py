"""Before a text goes to a public address: somebody agreed, a line is on the disk, and masks are on."""

import json

import pytest
import typer
from fake_llm import FakeLLM
from small_project import feedback, small_project, write_rows
from typer.testing import CliRunner

from annoloop.cli import app, consent
from annoloop.errors import LLMError
from annoloop.llm import endpoint
from annoloop.review import work
from annoloop.review.pages.told import told
from annoloop.steps.llm.audit import AuditFile
from annoloop.steps.llm.consent import give, needed
from annoloop.steps.llm.source import llm_source
from annoloop.steps.sources import ask_source

TEXTS = [f"Der Aufzug {number} ist kaputt, sagt anna{number}@example.org" for number in range(6)]
SECRET = "anna"


@pytest.fixture
def server():
    with FakeLLM('{"label": "Aufzug"}') as fake:
        yield fake


@pytest.fixture
def reach(monkeypatch):
    """Where the fake server seems to be: change the value of the list's only item."""
    seems = ["public"]
    monkeypatch.setattr(endpoint, "reach_of", lambda address: seems[0])
    return seems


@pytest.fixture
def make(tmp_path, server):
    """A project whose LLM is the fake server; `privacy` are lines of its section."""

    def project(privacy="", allowed="public"):
        lines = f'allow_remote = "{allowed}"\n{privacy}'
        return small_project(tmp_path / "p", [{"text": text} for text in TEXTS], server=server, privacy=lines)

    return project


def ask(project):
    return ask_source(project, llm_source(project), project.store.examples())


def lines(project):
    path = project.folder / "llm_audit.jsonl"
    return (
        [json.loads(line) for line in path.read_text(encoding="utf8").splitlines()] if path.exists() else []
    )


def test_without_a_persons_word_nothing_leaves_and_it_says_what_would(make, server, reach):
    project = make()
    with pytest.raises(LLMError) as refused:
        ask(project)
    characters = sum(map(len, TEXTS))
    said = str(refused.value)
    for part in (f"6 texts ({characters} characters)", server.base_url, "nothing in them is masked"):
        assert part in said
    assert "nothing was sent" in said and "--yes" in said
    assert server.history == [] and lines(project) == []
    german = told(refused.value, "de")
    assert german.startswith(f"Bis zu 6 Texte ({characters} Zeichen) gingen an {server.base_url}")
    assert "--yes" not in german and "Start" in german


def test_the_word_holds_for_this_address_and_these_masks(make, server, reach, tmp_path):
    project = make()
    terms = give(project, by="Anna")
    assert terms.address == server.base_url and needed(project) is None and give(project, by="Anna") is None
    assert len(ask(project)) == 6 and len(server.history) == 6
    masked = make('redact = ["email"]')
    assert needed(masked).masked == ("email",)
    with pytest.raises(LLMError, match="masked: email"):
        ask(masked)
    assert len(server.history) == 6
    with FakeLLM() as other:
        cfg = project.folder / "annoloop.cfg"
        cfg.write_text(cfg.read_text().replace(server.base_url, other.base_url))
        assert needed(type(project).open(project.folder)).address == other.base_url


@pytest.mark.parametrize("seems", ["loopback", "private"])
def test_an_address_that_is_not_public_needs_no_word(make, server, reach, seems):
    reach[0] = seems
    project = make(allowed="private")
    assert needed(project) is None and len(ask(project)) == 6
    assert len(lines(project)) == (6 if seems == "private" else 0)


def test_a_model_of_others_needs_the_word_too(make, reach):
    project = make()
    config = {"model": {"@llm_models": "spacy.GPT-4.v3", "name": "x"}}
    assert needed(project, config).address == "spacy.GPT-4.v3"
    from annoloop.steps.llm.source import source_of

    with pytest.raises(LLMError, match=r"spacy\.GPT-4\.v3, a public address"):
        list(source_of(project, config, purpose="compare").predict(project.store.examples()))


def test_answers_that_are_kept_need_no_word(make, server, reach):
    reach[0] = "loopback"
    project = make()
    source = llm_source(project)
    list(source.predict(project.store.examples()))
    reach[0] = "public"
    assert needed(project) is not None
    assert all(found is not None for _, found, _ in source.predict(project.store.examples()))
    assert len(server.history) == 6


def test_every_request_has_its_line_on_the_disk_before_it_is_sent_and_no_text_in_it(make, server, reach):
    project = make('redact = ["email"]')
    give(project, by="Anna")
    before = []
    server.answer = lambda body: (before.append(len(lines(project))), '{"label": "Aufzug"}')[1]
    source = llm_source(project)
    list(source.predict(project.store.examples()))
    assert len(before) == 6 and all(count >= place for place, count in enumerate(before, start=1))
    recorded = lines(project)
    assert {line["input_hash"] for line in recorded} == {eg.input_hash for eg in project.store.examples()}
    for line in recorded:
        assert line["address"] == "127.0.0.1" and line["reach"] == "public" and line["model"] == "fake"
        assert line["run"] == source.run and line["bytes"] > line["characters"] > line["masked"] > 10
        assert project.store.responses.get(line["key"]) is not None
        assert line["at"].endswith("+00:00")
    told_ = (project.folder / "llm_audit.jsonl").read_text(encoding="utf8")
    assert "Aufzug" not in told_ and SECRET not in told_


def test_what_cannot_be_recorded_is_not_sent(make, server, reach):
    project = make('audit = "gone/audit.jsonl"')
    give(project, by="Anna")
    with pytest.raises(LLMError, match=r"audit\.jsonl.*cannot be recorded.*nothing was sent"):
        ask(project)
    assert server.history == []


def test_lines_of_several_runs_follow_each_other(tmp_path):
    sent = endpoint.Sent(0.0, "203.0.113.9", "llm.test", "public", 10, {"model": "m", "text": "secret"})
    for run in ("a", "b"):
        AuditFile(tmp_path / "audit.jsonl", run=run)(sent)
    kept = [json.loads(line) for line in (tmp_path / "audit.jsonl").read_text().splitlines()]
    assert [line["run"] for line in kept] == ["a", "b"] and kept[0]["at"] == "1970-01-01T00:00:00+00:00"
    assert "secret" not in str(kept) and kept[0]["key"] is None


def test_a_projects_masks_are_on_whoever_asks_and_part_of_what_answers_are_kept_by(make, server, reach):
    reach[0] = "loopback"
    plain = llm_source(make())
    project = make('names = "names.txt"\nredact = ["email"]\n\n[privacy.patterns]\nLIFT = "Aufzug \\\\d"')
    with pytest.raises(LLMError, match=r"names\.txt cannot be read"):
        llm_source(project)
    (project.folder / "names.txt").write_text("sagt\n", encoding="utf8")
    masked = llm_source(project)
    assert masked.key != plain.key
    (project.folder / "names.txt").write_text("sagt\nist\n", encoding="utf8")
    assert llm_source(project).key not in (plain.key, masked.key)
    assert len(ask(project)) == 6
    for body in server.history:
        asked = body["messages"][-1]["content"]
        assert "Xxxxxx 0 xxx kaputt, xxxx xxxx0@xxxxxxx.xxx" in asked


@pytest.mark.parametrize("agrees", [True, False])
def test_a_terminal_is_asked_once(make, reach, monkeypatch, agrees):
    project = make()
    asked = []
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr(typer, "confirm", lambda *a, **k: (asked.append(a), agrees)[1])
    if agrees:
        consent.ask(project, False)
        consent.ask(project, False)
    else:
        with pytest.raises(LLMError, match="not agreed: nothing was sent"):
            consent.ask(project, False)
    assert len(asked) == 1 and (needed(project) is None) == agrees


def test_without_a_terminal_nobody_is_asked_and_yes_agrees(make, reach, monkeypatch):
    project = make()
    monkeypatch.setattr("sys.stdin.isatty", lambda: False, raising=False)
    consent.ask(project, False)
    assert needed(project) is not None
    consent.ask(project, True)
    assert needed(project) is None
    (given,) = project.store.fact("llm.consent").values()
    assert given["masked"] == [] and given["at"] > 0


def test_the_loop_refuses_until_somebody_says_yes(tmp_path, server, reach):
    rows = feedback(60)
    project = small_project(
        tmp_path / "p", rows, server=server, privacy='allow_remote = "public"', gate="min_texts = 5"
    )
    gold = write_rows(tmp_path / "gold.jsonl", rows)
    write_rows(project.folder / "examples.jsonl", [{"text": "Lift steht", "label": "Aufzug"}])
    command = ["loop", str(project.folder), "--oracle", str(gold), "--batch", "10", "--max-rounds", "1"]
    refused = CliRunner().invoke(app.app, command)
    assert isinstance(refused.exception, LLMError) and "nothing was sent" in str(refused.exception)
    assert server.history == []
    assert (work.state(project).failed, work.state(project).hint) == (
        refused.exception.message,
        refused.exception.hint,
    )
    agreed = CliRunner().invoke(app.app, [*command, "--yes"])
    assert agreed.exit_code == 0, agreed.output
    assert len(server.history) > 0 and len(lines(project)) == len(server.history)
