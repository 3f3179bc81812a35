"""The review page in Chromium: every key saved to the text that was on screen, whatever happens."""

from __future__ import annotations

import re
import time

import pytest

from annoloop.project import Project
from annoloop.types import Annotation, Span, Suggestion

from .conftest import ask, until

pytestmark = pytest.mark.browser

KEYS = {"a": "accept", "x": "reject", " ": "ignore"}


def numbered(count: int) -> tuple[list[str], dict[str, Suggestion]]:
    texts = [f"No {number} 🙂 wears Nike and  Adidas." for number in range(count)]
    start = {text: text.index("Nike") for text in texts}
    found = {
        text: Suggestion(Annotation((), (Span(start[text], start[text] + 4, "BRAND"),)), 0.9, "rules")
        for text in texts[::2]
    }
    return texts, found


def brands(folder, count: int, **splits) -> tuple[Project, dict[str, Suggestion]]:
    project = Project.create(folder / "p", kind="ner", labels=["BRAND", "SHOP"], lang="en")
    texts, found = numbered(count)
    ask(project, texts, found, **splits)
    return project, found


def on_screen(page) -> str:
    return re.match(r"No \d+", page.locator(".text").text_content())[0]


def decide(page, keys: str, seen: list[tuple[str, str]], every: float = 0.1) -> None:
    """Press keys at a steady pace, noting which text was on the screen at each."""
    due = time.monotonic()
    for key in keys:
        time.sleep(max(0.0, due - time.monotonic()))
        due += every
        seen.append((on_screen(page), KEYS[key]))
        page.keyboard.press("Space" if key == " " else key)


def all_saved(page) -> None:
    until(lambda: page.locator(".state").get_attribute("data-state") == "saved", "everything saved")


def verdicts(project: Project) -> dict[str, str]:
    names = {eg.input_hash: re.match(r"No \d+", eg.text)[0] for eg in project.store.examples()}
    return {names[answer.input_hash]: answer.verdict for answer in project.store.answers_in_force()}


def test_195_decisions_at_ten_keys_a_second(tmp_path, serve, page) -> None:
    project, found = brands(tmp_path, 200)
    page.goto(serve(project).address)
    page.wait_for_selector(".t")
    seen: list[tuple[str, str]] = []
    decide(page, ("aax a " * 33)[:195], seen)
    all_saved(page)
    assert len(dict(seen)) == 195
    assert verdicts(project) == dict(seen)
    assert project.store.answer_count() == 195
    texts = {eg.input_hash: eg.text for eg in project.store.examples()}
    for answer in project.store.answers_in_force():
        suggestion = found.get(texts[answer.input_hash])
        assert answer.annotation == (suggestion.annotation if suggestion else Annotation())
        assert answer.blind == (suggestion is None)
    assert page.foreign == [] and page.complaints == []


def test_nothing_is_lost_or_doubled_by_reload_kill_or_offline(tmp_path, serve, page) -> None:
    project, _ = brands(tmp_path, 70)
    server = serve(project)
    page.goto(server.address)
    page.wait_for_selector(".t")
    seen: list[tuple[str, str]] = []
    decide(page, "axa a xa ax", seen, 0.05)
    page.reload()
    page.wait_for_selector(".t")
    decide(page, "aaxx", seen, 0.05)
    server.kill()
    decide(page, "a xa x", seen)
    until(lambda: "Offline" in page.locator(".state").text_content(), "the page says that it is offline")
    assert "kept in this browser" in page.locator(".state").text_content()
    page.wait_for_timeout(6000)  # Streamlit notices too, and would lay a dialog over the text.
    page.locator(".t", has_text="wears").click()
    seen.append((on_screen(page), "accept"))
    page.get_by_role("button", name="Accept").click()
    server.start()
    all_saved(page)
    page.context.set_offline(True)
    decide(page, "xxaa a", seen)
    page.context.set_offline(False)
    all_saved(page)
    assert len(dict(seen)) == len(seen)
    assert verdicts(project) == dict(seen)
    assert project.store.answer_count() == len(seen)


def drag(page, first: str, last: str) -> None:
    boxes = [
        page.locator(".t", has_text=re.compile(f"^{word}$")).first.bounding_box() for word in (first, last)
    ]
    page.mouse.move(boxes[0]["x"] + 3, boxes[0]["y"] + boxes[0]["height"] / 2)
    page.mouse.down()
    page.mouse.move(boxes[1]["x"] + 3, boxes[1]["y"] + boxes[1]["height"] / 2, steps=6)
    assert page.locator(".t.sel").count() >= 1
    page.mouse.up()


def test_a_span_dragged_after_an_emoji_has_exact_offsets(tmp_path, serve, page) -> None:
    project = Project.create(tmp_path / "p", kind="ner", labels=["BRAND", "SHOP"], lang="en")
    text = "👩‍👩‍👧‍👦🙂 The <b> North Face\r\nat Zalando, שלום Nike\x00!"
    nike = text.index("Nike")
    suggestion = Suggestion(Annotation((), (Span(nike, nike + 4, "BRAND"),)), 0.5, "model 1")
    ask(project, [text, "Second"], {text: suggestion})
    page.goto(serve(project).address)
    page.wait_for_selector("mark")
    drag(page, "Face", "North")
    page.keyboard.press("2")
    page.locator(".t", has_text="Zalando").click()
    page.locator("mark", has_text="Nike").click()
    page.keyboard.press("Delete")
    assert page.locator("mark").count() == 2
    page.keyboard.press("a")
    all_saved(page)
    face, zalando = text.index("North Face"), text.index("Zalando")
    expected = (Span(face, face + 10, "BRAND"), Span(zalando, zalando + 7, "SHOP"))
    assert [answer.annotation.spans for answer in project.store.answers_in_force()] == [expected]
    assert page.complaints == []


def test_undo_reaches_back_beyond_a_reload_without_end(tmp_path, serve, page) -> None:
    project, _ = brands(tmp_path, 30)
    page.goto(serve(project).address)
    page.wait_for_selector(".t")
    seen: list[tuple[str, str]] = []
    decide(page, "aaaaaaaaaaaaaaa", seen, 0.03)
    all_saved(page)
    page.reload()
    page.wait_for_selector(".t")
    for name, _ in reversed(seen):
        page.keyboard.press("Backspace")
        until(lambda name=name: on_screen(page) == name, f"{name} back on the screen")
    page.keyboard.press("x")
    all_saved(page)
    assert verdicts(project) == {seen[0][0]: "reject"}


def test_categories_are_chosen_with_digits_and_none_is_accepted_unchosen(tmp_path, serve, page) -> None:
    project = Project.create(tmp_path / "p", kind="textcat", labels=["praise", "blame", "other"], lang="de")
    texts = ["No 0 gut", "No 1 schlecht", "No 2 na ja"]
    ask(project, texts, {texts[0]: Suggestion(Annotation(("praise",)), 0.9, "llm")}, _1="held_out")
    page.goto(serve(project).address)
    page.wait_for_selector(".t")
    assert page.locator(".chip[aria-checked=true] .name").text_content() == "praise"
    page.keyboard.press("a")
    assert "judge the model" in page.locator(".notice").text_content()
    page.keyboard.press("a")
    assert on_screen(page) == "No 1" and "Choose a category" in page.locator(".toast").text_content()
    page.keyboard.press("2")
    page.keyboard.press("a")
    page.keyboard.press("2")
    page.keyboard.press("3")
    page.keyboard.press("a")
    page.wait_for_selector("text=All done")
    assert "annoloop loop" in page.locator("code").text_content()
    all_saved(page)
    labels = sorted((a.annotation.labels, a.blind) for a in project.store.answers_in_force())
    assert labels == [(("blame",), True), (("other",), True), (("praise",), False)]


@pytest.mark.slow
def test_two_annotators_never_get_the_same_text(tmp_path, serve, chromium) -> None:
    project, _ = brands(tmp_path, 60)
    address = serve(project).address
    seen: dict[str, list[tuple[str, str]]] = {"ben": [], "eva": []}
    pages = {}
    for name in seen:
        pages[name] = chromium.new_context().new_page()
        pages[name].goto(f"{address}/?session={name}")
        pages[name].wait_for_selector(".t")
    for _ in range(8):
        for name, page in pages.items():
            decide(page, "ax", seen[name], 0)
    for page in pages.values():
        all_saved(page)
        page.context.close()
    by = {name: {answer.input_hash for answer in project.store.answers_in_force(name)} for name in seen}
    assert len(by["ben"]) == len(by["eva"]) == 16
    assert not by["ben"] & by["eva"]


@pytest.mark.slow
def test_a_closed_tab_leaves_its_texts_to_the_next_and_a_second_gets_others(tmp_path, serve, page) -> None:
    project, _ = brands(tmp_path, 30)
    address = serve(project).address
    page.goto(address)
    page.wait_for_selector(".t")
    second = page.context.new_page()
    second.goto(address)
    second.wait_for_selector(".t")
    shown = {on_screen(page), on_screen(second)}
    assert len(shown) == 2
    page.close()
    third = second.context.new_page()
    third.goto(address)
    third.wait_for_selector(".t")
    assert {on_screen(third), on_screen(second)} == shown


@pytest.mark.slow
def test_an_empty_project_says_which_command_comes_next(tmp_path, serve, page) -> None:
    project = Project.create(tmp_path / "p", kind="ner", labels=["BRAND"], lang="en")
    page.goto(serve(project).address)
    page.wait_for_selector("text=No questions yet")
    assert "annoloop add" in page.locator("code").text_content()
    page.keyboard.press("h")
    assert page.locator("dialog[open]").count() == 1
    page.keyboard.press("h")
    assert page.locator("dialog[open]").count() == 0
