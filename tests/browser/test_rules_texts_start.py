"""The pages for whoever sets a project up, in a real browser."""

from __future__ import annotations

import csv
import io
import json
import shutil
from contextlib import suppress

import pytest

from annoloop.corpus.read import read_rows
from annoloop.project import Project
from annoloop.steps.add import add
from annoloop.steps.rules.suggest import proposals
from tests.browser.conftest import Server, until
from tests.small_project import ASSETS, feedback, settings, write_rows

expect = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed").expect


@pytest.fixture
def start_server():
    servers = []

    def start(folder):
        servers.append(Server(folder))
        return servers[-1]

    yield start
    for server in servers:
        server.stop()


@pytest.mark.slow
def test_from_an_empty_folder_to_the_first_label(page, start_server, tmp_path):
    folder = tmp_path / "neu"
    folder.mkdir()
    file = io.StringIO()
    rows = [(number, row["text"], "<b>egal</b>") for number, row in enumerate(feedback(60))]
    csv.writer(file, delimiter=";").writerows([("Nr", "Rückmeldung", "Notiz"), *rows])
    table = {
        "name": "kunden.csv",
        "mimeType": "text/csv",
        "buffer": file.getvalue().encode("cp1252", "replace"),
    }

    page.goto(start_server(folder).address)
    page.get_by_label("Label", exact=True).fill("Aufzug")
    page.get_by_label("Label 2", exact=True).fill(" ")
    page.get_by_role("button", name="Save and go on").click()
    expect(page.get_by_text("needs at least two labels")).to_be_visible()
    assert not (folder / "annoloop.cfg").exists()
    page.get_by_label("Label 2", exact=True).fill("Rolltreppe")
    page.get_by_role("button", name="Save and go on").click()
    page.locator("input[type=file]").set_input_files(table)
    page.get_by_role("button", name="Take 60 texts").click()
    expect(page.get_by_text("60 new texts")).to_be_visible()
    expect(page.get_by_text("100 texts to judge by are needed")).to_be_visible()
    page.get_by_role("button", name="Begin").click()
    page.get_by_role("button", name="Start labelling").click()
    page.get_by_role("radio", name="Aufzug").click()
    page.keyboard.press("a")
    project = Project.open(folder)
    until(lambda: project.store.answer_count() == 1, "the first answer in the store")
    assert any("Rückmeldung" not in eg.text and "ü" in eg.text for eg in project.store.examples())
    assert not page.foreign
    assert not page.complaints


@pytest.fixture
def labelled(tmp_path) -> Project:
    folder = tmp_path / "p"
    settings(folder)
    project = Project.open(folder)
    add(project, [write_rows(tmp_path / "gold.jsonl", feedback(60))], gold=True, blind=True)
    odd = {"text": "<script>document.title='böse'</script> **fett** ÄRGER"}
    add(project, [write_rows(tmp_path / "odd.jsonl", [odd])])
    shutil.copy(ASSETS / "customer_feedback_de" / "guidelines.md", folder)
    return project


def test_texts_are_found_taken_out_and_guidelines_kept(page, start_server, labelled):
    page.goto(start_server(labelled.folder).address + "/texts")
    page.get_by_label("Search in the texts").fill("ärger")
    page.keyboard.press("Enter")
    expect(page.get_by_text("Texts found: 1")).to_be_visible()
    expect(page.get_by_text("<script>document.title='böse'</script> **fett** ÄRGER")).to_be_visible()
    page.get_by_text("Export", exact=True).click()
    page.get_by_role("button", name="Make the file").click()
    with page.expect_download() as download:
        page.get_by_role("button", name="Download 60 texts").click()
    path = labelled.folder / "out.jsonl"
    download.value.save_as(path)
    assert len(list(read_rows(path, scheme=labelled.scheme, lang="de"))) == 60

    page.get_by_text("Guidelines", exact=True).click()
    area = page.get_by_label("What belongs to which label")
    expect(area).to_have_value((labelled.folder / "guidelines.md").read_text(encoding="utf8"))
    (labelled.folder / "guidelines.md").write_text("von anderen", encoding="utf8")
    area.fill("von mir")
    page.keyboard.press("Control+Enter")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_text("Somebody else changed")).to_be_visible()
    assert (labelled.folder / "guidelines.md").read_text(encoding="utf8") == "von anderen"
    page.get_by_role("button", name="Save mine instead").click()
    expect(page.get_by_text("Saved.")).to_be_visible()
    assert (labelled.folder / "guidelines.md").read_text(encoding="utf8") == "von mir"
    assert page.title() != "böse"
    assert not page.foreign
    assert not page.complaints


def test_a_pattern_is_tried_and_saved(page, start_server, labelled):
    page.goto(start_server(labelled.folder).address + "/rules")
    pattern = page.get_by_label("Pattern", exact=True)
    pattern.fill("Aufzug")
    page.keyboard.press("Enter")
    expect(page.get_by_text("matches in labelled texts")).to_be_visible()
    page.get_by_role("button", name="Save the pattern").click()
    expect(page.get_by_text("Measured on")).to_be_visible()
    lines = labelled.patterns.read_text(encoding="utf8").splitlines()
    assert [json.loads(line) for line in lines] == [{"label": "Aufzug", "pattern": "Aufzug"}]
    assert not page.foreign
    assert not page.complaints


def test_patterns_are_proposed_taken_and_turned_down(page, start_server, labelled, tmp_path):
    more = write_rows(tmp_path / "more.jsonl", feedback(160)[60:])
    add(labelled, [more], split="pool", gold=True, blind=True)
    page.goto(start_server(labelled.folder).address + "/rules")
    page.get_by_text("Proposed patterns", exact=True).click()
    page.get_by_role("button", name="Propose patterns").click()
    expect(page.get_by_text("New proposals:")).to_be_visible()
    lines = [one.line for one in proposals(labelled)]
    expect(page.get_by_text(f"Proposed patterns: {len(lines)}")).to_be_visible()

    def choose_first() -> None:
        # The list that was there before is gone, and the new one, a canvas, hears a click once it is drawn.
        accept = page.get_by_role("button", name="Accept", exact=True)
        expect(accept).to_have_count(0)
        for _ in range(6):
            table = page.get_by_test_id("stDataFrame").first.bounding_box()
            page.mouse.click(table["x"] + 15, table["y"] + 52)
            with suppress(AssertionError):
                expect(accept).to_be_visible(timeout=5_000)
                return

    choose_first()
    page.get_by_role("button", name="Reject").click()
    expect(page.get_by_text(f"Proposed patterns: {len(lines) - 1}")).to_be_visible()
    choose_first()
    page.get_by_role("button", name="Accept", exact=True).click()
    expect(page.get_by_text(f"Proposed patterns: {len(lines) - 2}")).to_be_visible()
    assert labelled.patterns.read_text(encoding="utf8").splitlines() == [lines[1]]
    assert {choice.verdict for choice in labelled.store.pattern_choices().values()} == {"accept", "reject"}
    assert not page.foreign
    assert not page.complaints
