"""The progress and the compare page in Chromium: charts under the strict policy, gold set right."""

from __future__ import annotations

import pytest
from compared import compared_project

from annoloop.hashing import input_hash
from annoloop.project import Project
from annoloop.store.doubts import DOUBTS_FACT
from annoloop.types import Annotation, Answer, Example, Round, Span

from .conftest import PHONE, as_user, at_rest, set_review, until

pytestmark = pytest.mark.browser

ROLES = '[review.roles]\nanna = "developer"\nrita = "reviewer"\nben = "expert"'


@pytest.fixture
def project(tmp_path):
    project = compared_project(tmp_path / "p")
    set_review(project, ROLES)
    return project


def opened(page, address: str, who: str, name: str):
    page.goto(as_user(address, who, name))
    page.locator("h1").wait_for()
    page.locator("[data-testid=stVegaLiteChart] canvas, [data-testid=stVegaLiteChart] svg").first.wait_for()
    at_rest(page)
    return page


@pytest.mark.parametrize("scheme", [pytest.param("light", marks=pytest.mark.slow), "dark"])
def test_both_pages_draw_their_charts_for_everybody(project, serve, people, axe, screenshot, scheme):
    server = serve(project)
    for options in ({}, {"viewport": PHONE, "locale": "de-DE"}):
        page = people(color_scheme=scheme, **options)
        for name in ("progress", "compare"):
            opened(page, server.address, "rita", name)
            if name == "compare":
                page.locator(".shown .text").first.wait_for()
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
            assert axe(page) == []
            screenshot(page, f"{name}-{scheme}-{page.viewport_size['width']}")
        assert (page.foreign, page.complaints) == ([], [])


def test_a_reviewer_finds_a_mistake_and_sets_the_gold_right(project, serve, page):
    server = serve(project)
    opened(page, server.address, "rita", "compare")
    page.get_by_role("button", name="Model", exact=True).click()
    page.get_by_role("button", name="Fix the gold").first.click()
    dialog = page.get_by_role("dialog")
    text = dialog.locator(".shown .text").text_content()
    before = dialog.locator("input[type=radio]:checked").get_attribute("value")
    others = [n for n in range(len(project.scheme.labels)) if str(n) != before]
    dialog.locator("[role=radiogroup] label").nth(others[0]).click()
    dialog.get_by_role("button", name="Save").click()
    until(lambda: len(project.store.answers_in_force("rita")) == 1, "the reviewer's decision")
    (decision,) = project.store.answers_in_force("rita")
    assert decision.adjudicated
    assert decision.annotation.labels == (project.scheme.labels[others[0]],)
    gold = {i.example.input_hash: i for i in project.dev_gold()}[decision.input_hash]
    assert gold.annotation == decision.annotation
    assert " ".join(gold.example.text.split()) == " ".join(text.split())


@pytest.mark.slow
def test_a_text_sent_to_review_waits_for_a_reviewer(project, serve, page):
    server = serve(project)
    opened(page, server.address, "rita", "compare")
    page.get_by_role("button", name="Send to review").nth(1).click()
    until(lambda: project.store.progress().differ == 1, "a text to settle")


def test_an_expert_sees_totals_and_only_the_own_pace(project, serve, page):
    tasks = project.store.tasks(round=0)
    answers = [
        Answer(f"{who}{n}", t.task_hash, t.example.input_hash, "ignore", Annotation(), who, 4_000, 10**15 + n)
        for who, part in (("ben", tasks[:12]), ("karla", tasks[12:24]))
        for n, t in enumerate(part)
    ]
    project.store.save_answers(answers)
    server = serve(project)
    opened(page, server.address, "ben", "progress")
    assert "karla" not in page.content()
    page.goto(as_user(server.address, "ben", "compare"))
    page.locator("h1").wait_for()
    assert page.locator(".shown").count() == 0


def test_agreement_and_doubts_are_told_in_the_readers_language(project, serve, people, axe, screenshot):
    pool = project.store.examples(split="pool")[:24]
    project.store.add_tasks([project.task(example, number=1) for example in pool])
    labels = project.scheme.labels
    said = []
    for n, example in enumerate(pool):
        task = project.task(example, number=1)
        for who, label in (("anna", labels[0]), ("ben", labels[0] if n % 4 else labels[1])):
            place = 10**15 + len(said)
            kept = Annotation((label,))
            said.append(
                Answer(f"s{len(said)}", task.task_hash, example.input_hash, "accept", kept, who, 4000, place)
            )
    project.store.save_answers(said)
    doubt = {"label": labels[0], "expected": labels[2], "surface": "", "agreeing": 0, "places": 0}
    project.store.set_fact(DOUBTS_FACT, {example.input_hash: doubt for example in pool})
    server = serve(project)
    for scheme, options in (("light", {}), ("dark", {"viewport": PHONE, "locale": "de-DE"})):
        page = people(color_scheme=scheme, **options)
        opened(page, server.address, "rita", "progress")
        german = "locale" in options
        told = (
            f"{labels[0]} und {labels[1]} werden in 6 von 24 Texten verwechselt"
            if german
            else f"{labels[0]} and {labels[1]} are confused in 6 of 24 texts"
        )
        page.get_by_text(told).wait_for()
        page.get_by_text(told).scroll_into_view_if_needed()
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        assert axe(page) == []
        screenshot(page, f"agreement-{scheme}-{page.viewport_size['width']}")
        assert (page.foreign, page.complaints) == ([], [])
    # The page in German is open: one window holds all that waits for a reviewer.
    page.goto(as_user(server.address, "rita", "adjudicate"))
    page.get_by_text(f"{labels[2]} wahrscheinlicher als {labels[0]}").wait_for()
    screenshot(page, "doubt")
    assert axe(page) == []


NASTY = (
    "<script>window.hit = 1</script> Nike **bold** [a](http://x.example) $x^2$",
    "null \0 and a lone \ud83d half, Nike",
    "👩‍👩‍👧 e\u0301 أحذية Nike 靴\r\nnext line",
    "Nike " + "x" * 1_000_000,
)


@pytest.mark.slow
def test_texts_of_any_kind_are_shown_as_texts_and_can_be_set_right(tmp_path, serve, page):
    project = Project.create(tmp_path / "p", kind="ner", labels=["BRAND", "<b>SHOP</b>"])
    examples = [Example(input_hash(text), text, split="dev") for text in NASTY]
    project.store.add_examples(examples)
    tasks = [project.task(eg, number=0) for eg in examples]
    project.store.add_tasks(tasks)
    gold = {eg.input_hash: Span(at := eg.text.index("Nike"), at + 4, "BRAND") for eg in examples}
    project.store.save_answers(
        [
            Answer(
                f"a{n}",
                t.task_hash,
                name,
                "accept",
                Annotation(spans=(gold[name],)),
                "anna",
                9,
                n,
                blind=True,
            )
            for n, t in enumerate(tasks)
            for name in [t.example.input_hash]
        ]
    )
    record = Round(1, "random", 0, model="models/round-1", fingerprint="f" * 16)
    project.store.save_round(record)
    said = {eg.input_hash: Annotation(spans=(Span(0, 4, "<b>SHOP</b>"),)) for eg in examples}
    project.store.save_predictions(f"model:round-1:{record.fingerprint}:dev", said)
    server = serve(project)
    opened(page, server.address, "anna", "compare")
    page.locator(".shown .text").nth(2 * len(NASTY) - 1).wait_for()
    for number in range(len(NASTY)):
        page.get_by_role("button", name="Fix the gold").nth(number).click()
        boxes = page.get_by_role("dialog").locator("[data-testid=stCheckbox]")
        until(lambda boxes=boxes: boxes.count() == 2, f"both marks of text {number}")
        page.keyboard.press("Escape")
        page.get_by_role("dialog").wait_for(state="detached")
    page.get_by_role("button", name="Fix the gold").first.click()
    page.get_by_role("dialog").get_by_text("SHOP").first.wait_for()
    page.get_by_role("dialog").locator("[data-testid=stCheckbox]").first.click()
    page.get_by_role("dialog").get_by_role("button", name="Save").click()
    until(lambda: any(a.adjudicated for a in project.store.answers_in_force()), "the decision")
    assert page.evaluate("window.hit") is None
    assert (page.foreign, page.complaints) == ([], [])
