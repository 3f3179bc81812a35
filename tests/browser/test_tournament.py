"""The tournament in Chromium: decided by keys and by buttons, blind until there are enough decisions."""

from __future__ import annotations

import pytest

from annoloop.hashing import input_hash
from annoloop.project import Project
from annoloop.steps.llm.tournament import next_duel, set_contestants
from annoloop.types import Annotation, Example, Span

from .conftest import PHONE, as_user, set_review, until

pytestmark = pytest.mark.browser

SECRET = ("zebra", "quokka-7b")
TEXTS = [f"{n} Nike und 👩‍👩‍👧 e\u0301 İstanbul bei Zalando" for n in range(24)]
ROLES = '[review.roles]\nrita = "reviewer"\nben = "expert"'


@pytest.fixture
def project(tmp_path):
    project = Project.create(tmp_path / "p", kind="ner", labels=["BRAND", "SHOP"], lang="de")
    set_review(project, ROLES)
    texts = [Example(input_hash(text), text) for text in TEXTS]
    texts.append(Example(input_hash("blind"), "blind Nike", split="held_out"))
    project.store.add_examples(texts)
    for key, label in (("llm:a", "BRAND"), ("llm:b", "SHOP")):
        at = {eg.input_hash: eg.text.index("Nike") for eg in texts}
        said = {name: Annotation((), (Span(place, place + 4, label),)) for name, place in at.items()}
        project.store.save_predictions(key, said)
    set_contestants(project, {"llm:a": SECRET, "llm:b": ("yakpro", "wombat-3b")})
    return project


def winners(project):
    return [one.winner for one in project.store.duels_in_force(annotator="rita")]


def _shows(page, project, decided: int) -> None:
    """Wait until the page has the text that comes after so many decisions."""
    page.get_by_text(f"{decided} of {len(TEXTS)} decided").wait_for()
    begins = next_duel(project, "rita").example.text.split(" und")[0]
    shown = page.locator(".shown .item .text").first
    until(lambda: shown.text_content().startswith(begins), "the next text")


def test_a_reviewer_decides_by_keys_and_buttons(project, serve, page, screenshot):
    server = serve(project)
    received: list[bytes] = []
    page.on("websocket", lambda socket: socket.on("framereceived", lambda frame: received.append(frame)))
    page.goto(as_user(server.address, "rita", "tournament"))
    shown = page.locator(".shown .item .text")
    shown.first.wait_for()
    assert shown.count() == 2
    keys = {"ArrowLeft": "left", "b": "both", "n": "neither"}
    for place, (key, winner) in enumerate(keys.items()):
        _shows(page, project, place)
        page.keyboard.press(key)
        until(lambda place=place: len(winners(project)) == place + 1, "a decision")
        assert winners(project)[-1] == winner
    _shows(page, project, len(keys))
    page.get_by_role("button", name="Answer 2").click()
    until(lambda: winners(project) == ["left", "both", "neither", "right"], "the button's decision")
    page.get_by_text("4 of 24 decided").wait_for()
    page.keyboard.press("Backspace")
    page.get_by_text("3 of 24 decided").wait_for()
    assert winners(project) == ["left", "both", "neither"]
    page.locator("summary").click()
    page.get_by_text("told after 20 decisions").wait_for()
    hidden = (b"zebra", b"quokka", b"yakpro", b"wombat", b"llm:")
    sent = b"".join(received)
    assert b"BRAND" in sent and not [word for word in hidden if word in sent], "nor does the browser know"
    for number in range(3, 20):
        page.get_by_text(f"{number} of 24 decided").wait_for()
        page.keyboard.press("ArrowRight")
        until(lambda number=number: len(winners(project)) == number + 1, "a decision")
    page.get_by_text("zebra").wait_for()
    assert {one.input_hash for one in project.store.duels()} <= {input_hash(text) for text in TEXTS}
    assert (page.foreign, page.complaints) == ([], [])


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_has_no_barrier_on_any_screen_and_is_no_experts(project, serve, people, axe, screenshot, scheme):
    server = serve(project)
    for options in ({}, {"viewport": PHONE, "locale": "de-DE", "has_touch": True}):
        page = people(color_scheme=scheme, **options)
        page.goto(as_user(server.address, "rita", "tournament"))
        page.locator(".shown .text").first.wait_for()
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        screenshot(page, f"tournament-{scheme}-{page.viewport_size['width']}")
        assert axe(page) == []
    page.goto(as_user(server.address, "ben", "tournament"))
    page.locator("h1").wait_for()
    assert page.locator(".shown").count() == 0
