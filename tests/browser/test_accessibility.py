"""Every page in light and dark: axe-core finds no barrier, nothing is wider than the window, all one look."""

from __future__ import annotations

import re

import pytest

from annoloop.hashing import input_hash
from annoloop.project import Project
from annoloop.steps.llm.tournament import decide, next_duel, set_contestants
from annoloop.steps.sources import ask_source, rules_source
from annoloop.types import Annotation, Answer, Example, Span

from .conftest import PHONE, Server, as_user, ask, at_rest, set_review, until

pytestmark = pytest.mark.browser

LONG = "Donaudampfschifffahrtselektrizitätenhauptbetriebswerkbauunterbeamtengesellschaft"
WHO = f"{LONG[:68]}@example.org"
LABELS = ["BRAND", LONG, *(f"LABEL_{number}" for number in range(38))]
TEXTS = [f"No {number} Nike at Zalando." for number in range(30)] + [f"{LONG * 30} No 30"]
READING = [
    "progress",
    "compare",
    "tournament",
    "rules",
    "texts",
    "add",
    "export",
    "guidelines",
    "start",
    "refused",
]
PARTS = {"add": (1, "stFileUploader"), "export": (2, "stMultiSelect"), "guidelines": (3, "stTextArea")}

WITHOUT_TEXTS = [name for name in READING if name not in ("compare", "texts", "tournament")]


def rarely(name: str) -> object:
    """A page that only the long run looks at on a phone."""
    return pytest.param(name, marks=pytest.mark.slow)


STREAMLITS_OWN = {
    # Its file chooser is a focusable section that calls itself presentation; nothing of ours reaches it.
    "presentation-role-conflict": "stFileUploaderDropzone",
}


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The address of a project in which everything that has a length is long."""
    project = Project.create(tmp_path_factory.mktemp("site") / LONG, kind="ner", labels=LABELS, lang="de")
    set_review(project, 'overlap = 1.0\nannotators = 2\n[review.roles]\nexpert = "expert"')
    project = Project.open(project.folder)
    (project.folder / "guidelines.md").write_text(f"# {LONG}\n\n- mark **{LONG * 3}**", encoding="utf8")
    project.patterns.write_text(
        f'{{"label": "BRAND", "pattern": "Nike"}}\n{{"label": "{LONG}", "pattern": "{LONG * 3}"}}\n', "utf8"
    )
    ask(project, TEXTS, **{f"_{number}": "dev" for number in range(4)}, _30="dev")
    spans = Span(5, 9, "BRAND"), Span(5, 9, LONG)
    given = [
        (who, task, Annotation((), (spans[place * (number > 14)],)))
        for number, task in enumerate(project.store.tasks(round=1))
        for place, who in enumerate((WHO, f"rita.{WHO}"[:100]))
        if number < 24 and "No 30" not in task.example.text
    ]
    project.store.save_answers(
        Answer(f"a{n}", task.task_hash, task.example.input_hash, "accept", said, who, 4_000, 10**15 + n)
        for n, (who, task, said) in enumerate(given)
    )
    ask_source(project, rules_source(project), [item.example for item in project.dev_gold()])
    pool = [eg.input_hash for eg in project.store.examples(split="pool")]
    for key, said in (("llm:a", spans[:1]), ("llm:b", spans[1:])):
        project.store.save_predictions(key, dict.fromkeys(pool, Annotation((), said)))
    set_contestants(project, {"llm:a": (LONG, LONG * 3), "llm:b": ("b", "gpt, prompt 2")})
    for _ in range(21):
        duel = next_duel(project, WHO)
        decide(project, duel, "left" if duel.left_source == "llm:a" else "right", annotator=WHO)
    server = Server(project.folder)
    yield server.address
    server.stop()
    project.store.close()


def opened(page, site: str, name: str) -> None:
    """A reading page, or a part of Texts."""
    if name == "refused":
        page.goto(as_user(site, "expert", "rules"))
    else:
        page.goto(as_user(site, WHO, "texts" if name in PARTS else name))
    page.locator("h1").wait_for()
    at_rest(page)
    if name in ("compare", "texts", "tournament"):
        page.locator(".shown .item").first.wait_for()
    if name == "tournament":
        page.locator("summary").click()
        page.locator("details").get_by_text("gpt, prompt 2").wait_for()
        finished = "Promise.all(node.getAnimations({subtree: true}).map((one) => one.finished))"
        page.locator("details").evaluate(f"async (node) => {{ await {finished} }}")
    if name in PARTS:
        place, shown = PARTS[name]
        page.locator("[role=radiogroup] label").nth(place).click()
        page.get_by_test_id(shown).first.wait_for()
        at_rest(page)


def at_work(page, site: str, name: str) -> None:
    """A text on the page, taken over where another window of this file's only person has it."""
    page.goto(as_user(site, WHO, "" if name == "label" else name))
    here = page.get_by_role("button", name=re.compile("Go on here|Hier weitermachen"))
    text = page.locator(".card .t:visible, .version:visible").first
    here.or_(text).first.wait_for()
    if not text.is_visible():
        here.click()
    text.wait_for()
    at_rest(page)


def barriers(axe, page) -> list[str]:
    return [
        line
        for line in axe(page)
        if not any(line.startswith(rule) and part in line for rule, part in STREAMLITS_OWN.items())
    ]


def too_wide(page) -> list[str]:
    """What reaches out of the window without being able to be scrolled into it."""
    return page.evaluate(
        """() => {
        const out = [], inside = (root, clipped) => {
          for (const node of root.children ?? []) {
            const style = getComputedStyle(node), box = node.getBoundingClientRect();
            const clips = clipped || style.overflowX !== "visible" || style.clipPath !== "none";
            if (!clipped && box.width > 1 && box.height > 1 && style.visibility === "visible" &&
                (box.right > innerWidth + 1 || box.left < -1)) out.push(node.outerHTML.slice(0, 120));
            if (node.shadowRoot) inside(node.shadowRoot, clips);
            inside(node, clips);
          }
        };
        inside(document.body, false);
        const main = document.querySelector("[data-testid=stMain]");
        if (main.scrollWidth > main.clientWidth) out.push(`the page scrolls: ${main.scrollWidth}`);
        return out;
    }"""
    )


@pytest.mark.parametrize("theme", [pytest.param("light", marks=pytest.mark.slow), "dark"])
@pytest.mark.parametrize("name", READING)
def test_no_barrier_and_one_look_on_reading_pages(site, people, axe, screenshot, name, theme) -> None:
    page = people(color_scheme=theme)
    opened(page, site, name)
    screenshot(page, f"{name}-{theme}-1280")
    assert barriers(axe, page) == []
    heading = page.locator("h1").first
    assert heading.evaluate("node => getComputedStyle(node).fontSize") == "32px"
    assert round(heading.bounding_box()["y"]) in range(70, 80), "the same room above every heading"
    assert too_wide(page) == []


@pytest.mark.parametrize(
    "name", ["label", "adjudicate", "compare", "texts", "tournament", *map(rarely, WITHOUT_TEXTS)]
)
def test_long_names_and_words_stay_inside_a_phone(site, people, screenshot, name) -> None:
    page = people(viewport=PHONE, has_touch=True, locale="de-DE")
    if name in ("label", "adjudicate"):
        at_work(page, site, name)
    else:
        opened(page, site, name)
    screenshot(page, f"{name}-long-390")
    assert too_wide(page) == []
    until(lambda: page.locator("html").get_attribute("lang") == "de", "the page's language")
    assert page.get_by_test_id("stExpandSidebarButton").is_visible(), "the way to the other pages"


@pytest.mark.parametrize("name", ["label", "adjudicate"])
def test_no_barrier_where_texts_are_labelled(site, page, axe, screenshot, name) -> None:
    for theme in ("light", "dark"):
        page.emulate_media(color_scheme=theme)
        at_work(page, site, name)
        screenshot(page, f"{name}-{theme}-1280")
        assert barriers(axe, page) == []
        if name == "adjudicate":
            page.keyboard.press("e")
        page.keyboard.press("ArrowRight")
        page.keyboard.press("Enter")
        page.keyboard.press("Tab")
        page.wait_for_selector(".tag.chosen")
        screenshot(page, f"{name}-marked-{theme}-1280")
        assert barriers(axe, page) == []
        assert too_wide(page) == []
        page.keyboard.press("Delete")


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_no_barrier_in_the_dialog_that_sets_gold_right(site, people, axe, screenshot, theme) -> None:
    page = people(color_scheme=theme)
    opened(page, site, "compare")
    page.get_by_role("button", name="Fix the gold").first.click()
    page.get_by_role("dialog").get_by_role("button", name="Save").wait_for()
    at_rest(page)
    screenshot(page, f"fix-{theme}-1280")
    assert barriers(axe, page) == []


def test_the_first_page_is_found_under_its_name_too(site, page) -> None:
    page.goto(as_user(site, WHO, "label"))
    page.wait_for_selector(".card", state="attached")
    assert page.get_by_role("dialog").count() == 0


def test_no_barrier_where_there_is_nothing_to_label(tmp_path, people, axe, screenshot) -> None:
    project = Project.create(tmp_path / "p", kind="ner", labels=["BRAND"], lang="en")
    server = Server(project.folder)
    try:
        for name in ("no texts", "nothing asked", "all done"):
            if name == "nothing asked":
                project.store.add_examples([Example(input_hash("Nike"), "Nike")])
            if name == "all done":
                ask(project, ["Zalando ships."])
            for theme in ("light", "dark"):
                page = people(color_scheme=theme)
                page.goto(as_user(server.address, WHO))
                if name == "all done" and theme == "light":
                    page.locator(".card .t").first.wait_for()
                    page.keyboard.press("a")
                page.get_by_role(
                    "heading", name="All done" if name == "all done" else "No questions yet"
                ).wait_for()
                at_rest(page)
                screenshot(page, f"{name}-{theme}-1280")
                assert barriers(axe, page) == []
                # Or it would take the next text for itself.
                page.context.close()
    finally:
        server.stop()
        project.store.close()
