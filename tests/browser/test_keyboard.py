"""Reviewing without a mouse: marking, deciding, noting, finding again, settling, and the way round."""

from __future__ import annotations

import pytest

from annoloop.project import Project
from annoloop.types import Annotation, Answer, Span

from .conftest import as_user, ask, set_review, until
from .test_review_page import all_saved

pytestmark = pytest.mark.browser

NAMES = ("Otto", "Ada", "Uwe", "Mia", "Tim")
TEXTS = [f"{name} Shop {number} sells Nike." for number, name in enumerate(NAMES)]


@pytest.fixture
def project(tmp_path) -> Project:
    project = Project.create(tmp_path / "p", kind="ner", labels=["BRAND", "SHOP"], lang="en")
    set_review(project, "overlap = 1.0\nannotators = 2")
    project = Project.open(project.folder)
    (project.folder / "guidelines.md").write_text("# What to mark\n\n[more](https://example.org)", "utf8")
    ask(project, TEXTS)
    return project


def press(page, *keys: str) -> None:
    for key in keys:
        page.keyboard.press(key)


def shown(page) -> str:
    return page.locator(".card .text").text_content()


def focused(page) -> dict:
    """What has the focus, into shadow trees, and whether that can be seen."""
    return page.evaluate(
        """() => {
        let node = document.activeElement;
        while (node?.shadowRoot?.activeElement) node = node.shadowRoot.activeElement;
        const style = getComputedStyle(node);
        const ring = parseFloat(style.outlineWidth) > 0 && style.outlineStyle !== "none";
        const inner = node.querySelector?.(".cursor, .tag.chosen");
        return { name: (node.getAttribute("aria-label") || node.textContent || "").trim().slice(0, 40),
          tag: node.tagName, classes: String(node.className), inside: node.getRootNode() !== document,
          seen: ring || style.boxShadow !== "none" || Boolean(inner) };
    }"""
    )


def test_texts_are_marked_decided_noted_and_found_again(project, serve, page) -> None:
    page.goto(serve(project).address)
    page.wait_for_selector(".card .t")
    press(page, "2", "ArrowRight", "Shift+ArrowRight", "Enter")
    assert page.locator(".card mark").count() == 1
    press(page, "Tab", "1", "2")  # named otherwise, and back
    press(page, "Shift+ArrowRight")  # one word longer: Otto Shop 0
    press(page, "Escape", "f", "m")
    page.keyboard.type("which a?")
    press(page, "Escape", "a")
    assert "Ada" in shown(page)
    press(page, "1", "ArrowRight", "Enter", "Tab", "Delete")
    assert page.locator(".card mark").count() == 0
    press(page, "x")
    assert "Uwe" in shown(page)
    press(page, " ")
    assert "Mia" in shown(page)
    press(page, "a", "Backspace")
    assert "Mia" in shown(page), "taken back"
    press(page, "a", "a")
    all_saved(page)
    said = {a.input_hash: a for a in project.store.answers_in_force()}
    by_text = {eg.text: said[eg.input_hash] for eg in project.store.examples() if eg.input_hash in said}
    first = by_text[TEXTS[0]]
    assert first.annotation.spans == (Span(0, len("Otto Shop 0"), "SHOP"),)
    assert (first.comment, first.flagged) == ("which a?", True)
    assert [by_text[text].verdict for text in TEXTS] == ["accept", "reject", "ignore", "accept", "accept"]

    press(page, "y")
    page.wait_for_selector(".entry")
    page.keyboard.type("otto")
    until(lambda: page.locator(".entry").count() == 1, "the one found")
    press(page, "ArrowDown", "Enter")
    page.wait_for_selector(".card mark")
    press(page, "x")
    all_saved(page)
    assert sorted(a.verdict for a in project.store.answers_in_force()).count("reject") == 2


def test_panels_open_close_and_give_the_focus_back(project, serve, page) -> None:
    page.goto(serve(project).address)
    page.wait_for_selector(".card .t")
    for key, panel in (("h", "dialog[open]"), ("y", "dialog[open]")):
        press(page, "ArrowRight")
        before = focused(page)
        press(page, key)
        page.wait_for_selector(panel)
        assert focused(page)["inside"]
        press(page, "Escape")
        page.wait_for_selector(panel, state="detached")
        # "entered" only says that the focus came by the keyboard.
        after = focused(page)["classes"].replace(" entered", "")
        assert after == before["classes"].replace(" entered", ""), f"the focus where it was before {key}"
    press(page, "g")
    assert page.get_by_text("What to mark").is_visible()
    press(page, "Escape", "Escape")  # The first lets go of the word, as beside the text both are open.
    until(lambda: not page.get_by_text("What to mark").is_visible(), "the guidelines closed")
    press(page, "a")
    assert "Ada" in shown(page), "keys reach the text again"


def test_tab_goes_through_the_page_in_order_and_what_has_the_focus_is_seen(project, serve, page) -> None:
    page.goto(serve(project).address)
    page.wait_for_selector(".card .t")
    stops = []
    for _ in range(40):
        press(page, "Tab")
        stops.append(focused(page))
        if stops[-1]["tag"] == "BODY":
            break
    names = [stop["name"] for stop in stops]
    assert [n for n in names if n in ("Label", "Adjudicate", "Start")] == ["Label", "Adjudicate", "Start"]
    order = [next(n for n, name in enumerate(names) if part in name) for part in ("Start", "Help", "Accept")]
    assert order == sorted(order), names
    unseen = [stop for stop in stops if not stop["seen"] and stop["tag"] != "BODY"]
    assert unseen == [], unseen
    for _ in range(len(stops)):
        press(page, "Shift+Tab")
        if focused(page)["name"] == "Start":
            return
    raise AssertionError("no way back to the navigation")


def test_versions_are_taken_and_edited(project, serve, page) -> None:
    labels = ("BRAND", "SHOP")
    project.store.save_answers(
        Answer(
            f"{who}{n}",
            task.task_hash,
            task.example.input_hash,
            "accept",
            Annotation((), (Span(0, 3, labels[place]),)),
            who,
            4_000,
            10**15 + 10 * n + place,
        )
        for n, task in enumerate(project.store.tasks(round=1)[:2])
        for place, who in enumerate(("ann", "bob"))
    )
    page.goto(as_user(serve(project).address, "rita", "adjudicate"))
    page.wait_for_selector(".version.chosen")
    press(page, "2")
    until(lambda: len(project.store.answers_in_force("rita")) == 1, "the second version taken")
    press(page, "ArrowRight", "e", "1", "ArrowRight", "Tab", "Delete")
    assert page.locator(".card mark").count() == 0
    press(page, "a")
    until(lambda: len(project.store.answers_in_force("rita")) == 2, "what was edited")
    decided = sorted(project.store.answers_in_force("rita"), key=lambda a: a.seq)
    assert [a.annotation.spans for a in decided] == [(Span(0, 3, "SHOP"),), ()]
    assert all(a.adjudicated for a in decided)
