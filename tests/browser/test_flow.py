"""The page around the text in Chromium: what was begun, said and decided is kept, found again and changed."""

from __future__ import annotations

import re
import time

import pytest

from annoloop.project import Project
from annoloop.types import Annotation, Answer, Span, Suggestion

from .conftest import ask, until
from .test_review_page import all_saved

pytestmark = pytest.mark.browser

TEXTS = ["No 0 Nike at Zalando.", "No 1 Adidas at Amazon.", "No 2 Puma at Otto."]


def span(text: str, word: str, label: str) -> Span:
    return Span(text.index(word), text.index(word) + len(word), label)


def brands(folder, texts=TEXTS, more: str = "", **kwargs) -> Project:
    labels = kwargs.pop("labels", ["BRAND", "SHOP"])
    project = Project.create(folder / "p", kind=kwargs.pop("kind", "ner"), labels=labels, lang="en")
    config = project.folder / "annoloop.cfg"
    config.write_text(config.read_text() + more)
    project = Project.open(project.folder)
    ask(project, texts, **kwargs)
    return project


def word(page, text: str):
    return page.locator(".card .t", has_text=re.compile(f"^{text}$")).first


def shown(page) -> str:
    return page.locator(".card .text").text_content()


def visit(page, address: str) -> None:
    page.goto(address)
    page.wait_for_selector(".t", state="attached")


def drafts_sent(page) -> None:
    def none_left() -> bool:
        return page.evaluate("Object.keys(localStorage).every((name) => !name.includes('.draft.'))")

    until(none_left, "drafts on the server")


def test_what_was_begun_outlives_reloads_and_goes_with_the_answer(tmp_path, serve, page) -> None:
    project = brands(tmp_path)
    visit(page, serve(project).address)
    word(page, "Nike").click()
    page.keyboard.press("f")
    page.keyboard.press("m")
    page.keyboard.type("a x f 1: which?")
    page.keyboard.press("Escape")
    assert "No 0" in shown(page), "letters typed into the comment decided nothing"
    for _ in range(2):  # First from this browser, then from the server.
        page.reload()
        page.wait_for_selector(".card mark")
        assert page.locator(".tool.flag").get_attribute("aria-pressed") == "true"
        assert page.locator(".remark textarea").input_value() == "a x f 1: which?"
        drafts_sent(page)
    page.keyboard.press("a")
    all_saved(page)
    (answer,) = project.store.answers_in_force()
    assert (answer.comment, answer.flagged) == ("a x f 1: which?", True)
    assert answer.annotation.spans == (span(TEXTS[0], "Nike", "BRAND"),)


def test_an_answer_is_found_reopened_changed_and_left(tmp_path, serve, page) -> None:
    project = brands(tmp_path)
    visit(page, serve(project).address)
    page.keyboard.press("a")
    page.keyboard.press("m")
    page.keyboard.type("unclear")
    page.keyboard.press("Escape")
    page.keyboard.press("x")
    page.keyboard.press("y")
    page.wait_for_selector(".entry")
    assert page.locator(".entry").count() == 2
    page.get_by_role("button", name="Commented").click()
    until(lambda: page.locator(".entry").count() == 1, "the one with a comment")
    page.get_by_role("button", name="All", exact=True).click()
    page.locator("dialog input").fill("nike")
    until(
        lambda: [("No 0" in entry) for entry in page.locator(".entry").all_text_contents()] == [True],
        "the one searched for, not what was listed before",
    )
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    assert "No 0" in shown(page) and "decided on this text before" in page.locator(".notices").text_content()
    word(page, "Nike").click()
    page.keyboard.press("Escape")  # lets go of the mark
    page.keyboard.press("Escape")
    assert "No 2" in shown(page)
    page.keyboard.press("y")
    page.locator(".entry", has_text="No 0").click()
    assert page.locator("mark").count() == 0, "left as it was"
    page.keyboard.press("2")
    word(page, "Zalando").click()
    page.keyboard.press("a")
    assert "No 2" in shown(page)
    all_saved(page)
    by_text = {eg.input_hash: eg.text for eg in project.store.examples()}
    said = {by_text[a.input_hash]: (a.verdict, a.annotation.spans) for a in project.store.answers_in_force()}
    assert said == {
        TEXTS[0]: ("accept", (span(TEXTS[0], "Zalando", "SHOP"),)),
        TEXTS[1]: ("reject", ()),
    }
    assert project.store.answer_count() == 3


def test_the_suggestion_is_explained_compared_and_restored(tmp_path, serve, page) -> None:
    suggestion = Suggestion(
        Annotation((), (span(TEXTS[0], "Nike", "BRAND"),)), 0.876, "rules", "<b>pattern</b> 3"
    )
    project = brands(tmp_path, suggestions={TEXTS[0]: suggestion}, _1="held_out")
    visit(page, serve(project).address)
    assert page.locator(".notice").text_content() == "Suggested by rules · score 88 %"
    page.keyboard.press("e")
    assert "<b>pattern</b> 3" in page.locator(".explained").text_content()
    word(page, "Zalando").click()
    changes = page.locator(".changes li")
    assert changes.all_text_contents() == ["+Zalando BRAND added"]
    page.keyboard.press("Shift+E")
    assert page.locator(".card mark").count() == 1 and changes.count() == 0
    page.keyboard.press("a")
    assert page.locator(".explained").is_hidden() and page.locator(".tool.explain").is_hidden()
    all_saved(page)
    assert project.store.answers_in_force()[0].annotation == suggestion.annotation


@pytest.mark.slow
def test_guidelines_enter_only_as_harmless_elements(tmp_path, serve, page) -> None:
    project = brands(tmp_path)
    (project.folder / "guidelines.md").write_text(
        "# Rules\n\n[good](https://example.org) [bad](javascript:alert(1)) ![x](https://example.org/x.png)"
        "\n\n<script>alert(1)</script><img src=x onerror=alert(1)>"
    )
    visit(page, serve(project).address)
    page.keyboard.press("g")
    sheet = page.locator(".guidelines")
    assert sheet.locator("h3").text_content() == "Rules"
    assert sheet.locator("script, img, iframe, [onerror]").count() == 0
    links = sheet.locator("a").evaluate_all(
        "all => all.map((a) => [a.getAttribute('href'), a.rel, a.target])"
    )
    assert links[0] == ["https://example.org", "noopener noreferrer", "_blank"]
    assert all(address.startswith("https:") for address, _, _ in links)
    page.keyboard.press("a")
    assert sheet.is_visible() and "No 1" in shown(page), "one goes on beside them"
    page.keyboard.press("Escape")
    assert sheet.is_hidden()
    assert page.foreign == [] and page.complaints == []


def test_labels_beyond_the_keys_are_found_by_typing(tmp_path, serve, page) -> None:
    labels = [f"LABEL {number}" for number in range(40)]
    project = brands(tmp_path, labels=labels)
    visit(page, serve(project).address)
    page.keyboard.press("/")
    page.keyboard.type("39")
    page.keyboard.press("Enter")
    assert page.locator(".chip[aria-checked=true] .name").text_content() == "LABEL 39"
    assert page.locator(".finder").is_hidden()
    word(page, "Nike").click()
    page.keyboard.press("/")
    page.keyboard.press("Escape")
    page.keyboard.press("a")
    all_saved(page)
    assert project.store.answers_in_force()[0].annotation.spans == (span(TEXTS[0], "Nike", "LABEL 39"),)


def test_single_choice_goes_on_with_the_key_where_the_project_says_so(tmp_path, serve, page) -> None:
    suggestions = {TEXTS[0]: Suggestion(Annotation(("good",)), 0.9, "rules")}
    more = "\n[review]\naccept_on_key = true\n"
    project = brands(tmp_path, more=more, kind="textcat", labels=["good", "bad"], suggestions=suggestions)
    visit(page, serve(project).address)
    page.keyboard.press("1")
    page.keyboard.press("2")
    assert "No 2" in shown(page)
    all_saved(page)
    by_text = {eg.input_hash: eg.text for eg in project.store.examples()}
    said = {by_text[a.input_hash]: a.annotation.labels for a in project.store.answers_in_force()}
    assert said == {TEXTS[0]: ("good",), TEXTS[1]: ("bad",)}


def test_a_long_text_is_answered_in_parts_and_goes_on_after_a_reload(tmp_path, serve, page) -> None:
    long = " ".join(f"Sentence {number} names Nike." for number in range(900))
    project = brands(tmp_path, [long, TEXTS[1]])
    visit(page, serve(project).address)
    accept = page.locator(".actions .accept")
    first = accept.text_content()
    assert re.search(r"Part 1 of (\d+)", first)
    page.keyboard.press("a")
    assert "Part 2 of" in accept.text_content()
    drafts_sent(page)
    page.reload()
    page.wait_for_selector(".t")
    assert "Part 2 of" in accept.text_content()
    page.keyboard.press("Shift+A")
    assert "No 1" in shown(page)
    all_saved(page)
    assert project.store.answer_count() == 1


@pytest.mark.parametrize(
    "how", ["404", *(pytest.param(how, marks=pytest.mark.slow) for how in ("html", "abort"))]
)
def test_where_a_proxy_blocks_the_route_answers_go_over_the_socket(tmp_path, serve, page, how) -> None:
    def block(route) -> None:
        if how == "abort":
            route.abort()
        else:
            status = 404 if how == "404" else 200
            route.fulfill(status=status, content_type="text/html", body="<html>blocked</html>")

    project = brands(tmp_path)
    page.route("**/annoloop/sync", block)
    visit(page, serve(project).address)
    for key in "axa":
        page.keyboard.press(key)
    all_saved(page)
    assert sorted(a.verdict for a in project.store.answers_in_force()) == ["accept", "accept", "reject"]
    assert project.store.answer_count() == 3


def test_an_answer_with_a_label_that_is_gone_comes_back_as_it_was_marked(tmp_path, serve, page) -> None:
    project = brands(tmp_path)
    visit(page, serve(project).address)
    config = project.folder / "annoloop.cfg"
    config.write_text(re.sub(r"labels = .*", 'labels = ["BRAND", "STORE"]', config.read_text()))
    page.keyboard.press("2")
    word(page, "Zalando").click()
    page.keyboard.press("a")
    until(lambda: page.locator(".state").get_attribute("data-state") == "refused", "the answer is refused")
    assert "SHOP" in page.locator(".state").text_content()
    until(lambda: "STORE" in page.locator(".chips").text_content(), "the labels as they are now")
    page.keyboard.press("a")
    assert "No 0" in shown(page) and page.locator(".card mark").count() == 1
    assert "was not taken" in page.locator(".notices").text_content()
    page.locator(".card mark").click()
    page.keyboard.press("2")
    page.keyboard.press("a")
    all_saved(page)
    labels = {s.label for a in project.store.answers_in_force() for s in a.annotation.spans}
    assert labels == {"STORE"}


def disagree(project: Project) -> None:
    said = {"ben": [("Nike", "BRAND"), ("Zalando", "SHOP")], "eva": [("Nike", "SHOP")]}
    for number, (who, spans) in enumerate(said.items()):
        for text in TEXTS[:2]:
            found = (
                [span(text, name, label) for name, label in spans if name in text] if text == TEXTS[0] else []
            )
            task = next(t for t in project.store.tasks() if t.example.text == text)
            verdict = "accept" if text == TEXTS[0] or who == "ben" else "reject"
            project.store.save_answers(
                [
                    Answer(
                        answer_id=f"{who} {text}",
                        task_hash=task.task_hash,
                        input_hash=task.example.input_hash,
                        verdict=verdict,
                        annotation=Annotation((), tuple(found)),
                        annotator=who,
                        milliseconds=1,
                        seq=int((time.time() - 9 + number) * 1e6),
                        blind=True,
                    )
                ]
            )


def test_a_reviewer_takes_a_version_merges_or_leaves_it_for_later(tmp_path, serve, page, chromium) -> None:
    project = brands(tmp_path, more="\n[review]\noverlap = 1.0\nannotators = 2\n")
    disagree(project)
    address = serve(project).address
    visit(page, f"{address}/adjudicate")
    assert page.locator(".version").count() == 2
    assert "2 texts to settle" in page.locator(".count").text_content()
    first = page.locator(".version").first.locator(".text").text_content()
    page.keyboard.press("Space")
    assert page.locator(".version").first.locator(".text").text_content() != first
    if "No 0" not in first:
        page.keyboard.press("Space")
    page.keyboard.press("2")  # eva's rejection of the second text
    page.wait_for_selector(".version mark")
    assert page.locator(".version mark.added").count() == 3
    page.keyboard.press("a")
    assert "Take a version" in page.locator(".toast").text_content()
    page.keyboard.press("e")
    page.wait_for_selector(".card mark")
    page.locator(".card mark", has_text="Zalando").click()
    page.keyboard.press("1")  # a label's key now
    page.keyboard.press("a")
    page.wait_for_selector("text=Nothing to settle")
    all_saved(page)
    final = {a.answer_id: a for a in project.store.answers_in_force() if a.adjudicated}
    by_text = {eg.input_hash: eg.text for eg in project.store.examples()}
    assert {by_text[a.input_hash]: (a.verdict, a.annotation.spans) for a in final.values()} == {
        TEXTS[0]: ("accept", (span(TEXTS[0], "Nike", "BRAND"), span(TEXTS[0], "Zalando", "BRAND"))),
        TEXTS[1]: ("reject", ()),
    }
    author = chromium.new_context(locale="de-DE").new_page()
    visit(author, f"{address}/?session=ben")
    author.locator(".news").click()
    author.wait_for_selector(".entry")
    assert author.locator(".entry").count() == 2
    assert "Geändert von anna" in author.locator(".changed-note").first.text_content()
    author.locator(".entry", has_text="No 0").click()
    assert "Geändert von anna" in author.locator(".notices").text_content()
    author.keyboard.press("e")
    assert "Geändert von anna" in author.locator(".explained").text_content()
    assert author.locator(".news").is_hidden(), "seen"
    author.context.close()


@pytest.mark.slow
def test_by_keyboard_alone_no_focus_is_lost(tmp_path, serve, page) -> None:
    project = brands(tmp_path)
    visit(page, serve(project).address)
    page.keyboard.press("h")
    page.keyboard.press("h")
    page.keyboard.press("y")
    page.keyboard.press("Escape")
    assert page.locator("dialog[open]").count() == 0
    page.keyboard.press("m")
    page.keyboard.press("Escape")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Shift+ArrowRight")
    page.keyboard.press("2")
    assert page.locator(".card mark").count() == 1
    page.keyboard.press("Backspace")
    page.keyboard.press("a")
    assert "No 1" in shown(page)
    assert "batch" in page.locator(".count").text_content()


@pytest.mark.slow
def test_no_barrier_on_the_page_its_sheets_or_a_reviewers_cards(tmp_path, serve, page, axe) -> None:
    suggestion = Suggestion(Annotation((), (span(TEXTS[0], "Nike", "BRAND"),)), 0.9, "rules", "why")
    labels = ["BRAND", "SHOP", *(f"LABEL {number}" for number in range(12))]
    more = '\n[project.definitions]\nBRAND = "a maker"\n[review]\noverlap = 1.0\nannotators = 2\n'
    project = brands(tmp_path, labels=labels, more=more, suggestions={TEXTS[0]: suggestion})
    (project.folder / "guidelines.md").write_text("# Rules\n\n- one [link](https://example.org)")
    address = serve(project).address
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        visit(page, address)
        page.keyboard.press("e")
        page.keyboard.press("m")
        page.keyboard.press("Escape")
        page.keyboard.press("g")
        assert axe(page, ".stApp") == []
        page.keyboard.press("h")
        assert axe(page, ".stApp") == []
    page.keyboard.press("h")
    page.keyboard.press("a")
    page.keyboard.press("y")
    page.wait_for_selector(".entry")
    assert axe(page, ".stApp") == []
    disagree(project)
    visit(page, f"{address}/adjudicate")
    page.keyboard.press("e")
    assert axe(page, ".stApp") == []
