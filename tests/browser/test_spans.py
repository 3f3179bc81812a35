"""Marks on a text in Chromium: what a person marks is what is saved, to the code point."""

from __future__ import annotations

import re

import pytest

from .pane import Pane

pytestmark = pytest.mark.browser

FAMILY = "👩‍👩‍👧‍👦"
STRANGE = [
    (f"{FAMILY}🙂 The <script>alert(1)</script> North Face\r\nat Zalando", "North", "Face", "en"),
    ("🇩🇪🇫🇷🇮🇹 won the cup in Zürich", "the", "cup", "en"),
    ("cafe\u0301 Zu\u0308rich e\u0301te\u0301 a\x00b Nike", "Zu\u0308rich", "e\u0301te\u0301", "en"),
    ("שלום לכולם מחברת Apple בתל אביב ב-2024.", "מחברת", "Apple", "he"),
    ("Hello שלום עולם and world", "שלום", "עולם", "en"),
    ("مرحبا بالعالم من شركة أبل في القاهرة", "شركة", "أبل", "ar"),
    ("İstanbul ve 𝒜𝓅𝓅𝓁𝑒 ﬁnance", "𝒜𝓅𝓅𝓁𝑒", "ﬁnance", "tr"),
    ("line one\r\n\r\nline two\ttab  two blanks", "one", "two", "en"),
]


@pytest.mark.parametrize(("text", "first", "last", "lang"), STRANGE)
def test_what_is_dragged_over_is_what_is_saved(page, text, first, last, lang) -> None:
    pane = Pane(page, text, lang=lang)
    start, end = text.index(first), text.index(last, text.index(first) + 1)
    pane.drag(start, end)
    assert pane.spans == [(text[start : end + len(last)], "ORG")]
    page.evaluate("() => { saved = null; active = 'LOC'; pane.mark([]); }")
    pane.drag(end, start)
    assert pane.spans == [(text[start : end + len(last)], "LOC")]
    assert page.complaints == []


def test_a_word_that_stands_there_three_times_is_told_apart(page) -> None:
    text = "Apple said Apple, not an apple. Apple!"
    pane = Pane(page, text)
    second = text.index("Apple", 1)
    pane.click(second)
    assert pane.offsets == [(second, second + 5, "ORG")]


@pytest.mark.parametrize(
    ("text", "lang", "first", "last"),
    [
        ("Donaudampfschiff fahrt", "de", "dampf", "f"),
        (f"ab{FAMILY}🇩🇪e\u0301🇫🇷cd", "en", FAMILY, "e\u0301"),
        ("我住在北京市朝阳区", "zh", "北", "市"),
        ("東京都に住んでいます", "ja", "京", "に"),
    ],
)
def test_character_mode_marks_within_words_by_graphemes(page, text, lang, first, last) -> None:
    pane = Pane(page, text, lang=lang)
    page.evaluate("pane.characters = true")
    start = text.index(first)
    end = text.index(last, start + 1)
    pane.drag(start, end)
    pane.press("2")
    assert pane.spans == [(text[start : end + len(last)], "ORG")]
    page.evaluate("pane.characters = false")
    assert pane.spans == [(text[start : end + len(last)], "ORG")]
    assert "".join(page.locator("mark .t").all_text_contents()) == text[start : end + len(last)]


def test_spans_off_the_words_borders_are_shown_and_survive_other_edits(page) -> None:
    text = "The football club of Barcelona plays"
    given = [(8, 12, "ORG"), (17, 21, "LOC"), (34, 36, "PER")]
    pane = Pane(page, text, given, at_borders=False)
    assert page.locator("mark").count() == 3
    pane.click(text.index("Barcelona"))
    expected = [*given[:2], (21, 30, "ORG"), given[2]]
    assert pane.offsets == expected
    assert page.evaluate("lost") == []
    Pane(page, text, [(30, 99, "ORG"), (0, 3, "LOC")], at_borders=False)
    assert page.evaluate("lost") == [[30, 99, "ORG"]]


def test_a_click_on_a_mark_chooses_it_and_only_delete_or_its_button_removes_it(page) -> None:
    text = "Tim Cook and Jane Doe met Ann"
    pane = Pane(page, text, [(0, 8, "PER"), (13, 21, "PER"), (26, 29, "PER")])
    pane.click(4)
    pane.click(4)
    assert len(pane.offsets) == 3
    assert page.locator("mark.chosen").count() == 1
    pane.press("Backspace", " ")
    assert len(pane.offsets) == 3
    pane.press("Delete")
    assert [words for words, _ in pane.spans] == ["Jane Doe", "Ann"]
    page.locator("mark .tag").first.click()
    page.get_by_role("button", name="Remove PER").click()
    assert [words for words, _ in pane.spans] == ["Ann"]
    pane.click(26)
    pane.press("2", "Escape")
    assert pane.spans == [("Ann", "LOC")]
    assert page.locator("mark.chosen, .grip").count() == 0


def test_the_whole_way_by_keyboard(page) -> None:
    text = "Ann of Acme met Bob\nin New York and Rome"
    pane = Pane(page, text)
    pane.press("ArrowRight", "Enter")
    assert pane.spans == [("Ann", "ORG")]
    pane.press("ArrowRight", "ArrowRight")
    assert page.locator(".t.cursor").text_content() == "Acme"
    pane.press("Shift+ArrowRight")
    assert page.locator(".t.sel").all_text_contents() == ["Acme", "met"]
    pane.press("Shift+ArrowLeft", "2")
    assert pane.spans[-1] == ("Acme", "LOC")
    pane.press("ArrowDown")
    below = page.locator(".t.cursor").text_content()
    assert below in ("New", "York", "and")
    pane.press(*["ArrowLeft"] * ("New", "York", "and").index(below))
    pane.press("Shift+ArrowRight", "Enter")
    assert pane.spans[-1] == ("New York", "ORG")
    pane.press("Shift+Tab")
    assert page.evaluate("pane.chosen[2]") == "LOC"
    pane.press("3", "Shift+ArrowRight")
    assert pane.spans[1] == ("Acme met", "PER")
    pane.press("Shift+Alt+ArrowLeft", "Shift+ArrowLeft")
    assert pane.spans[1] == ("of Acme", "PER")
    focused = page.evaluate("pane.root.getRootNode().activeElement.getAttribute('aria-label')")
    assert focused == "PER: of Acme"
    pane.press("Delete", "Tab", "Tab")
    assert pane.spans == [("Ann", "ORG"), ("New York", "ORG")]
    said = page.evaluate("said")
    for line in ("Acme", "Selected: Acme met", "LOC: Acme, marked", "PER: of Acme, removed"):
        assert line in said


def test_tab_goes_through_the_marks_and_out_again(page) -> None:
    pane = Pane(page, "Ann and Bob met Carl", [(0, 3, "PER"), (8, 11, "PER")])
    page.evaluate(
        """() => { for (const where of ["before", "after"]) {
          const button = Object.assign(document.createElement("button"), { textContent: where });
          document.querySelector("#host")[where](button);
        } }"""
    )
    seen = []
    for key in ["Tab"] * 3 + ["Shift+Tab"] * 4:
        pane.press(key)
        page.wait_for_timeout(20)
        seen.append(page.evaluate("pane.chosen?.[0] ?? document.activeElement.textContent"))
    # From the page's start; the button after; back over the text itself; the button before.
    assert seen[:3] == [0, 8, "after"]
    assert seen[-1] == "before"


@pytest.mark.parametrize(
    ("text", "key"),
    [("one two three", "ArrowRight"), ("אחת שתיים שלוש", "ArrowLeft")],
)
def test_arrows_follow_the_direction_of_the_paragraph(page, text, key) -> None:
    pane = Pane(page, text, lang="he")
    pane.press(key, key, f"Shift+{key}", "Enter")
    assert pane.spans == [(" ".join(text.split()[1:]), "ORG")]


@pytest.mark.parametrize(
    "text", ["the big North Face shop here", "אחת גדולה חנות ספרים פה ועוד", "see שלום עולם טוב מאוד here"]
)
def test_handles_stand_at_the_right_ends_and_resize(page, text) -> None:
    words = text.split()
    at = [match.start() for match in re.finditer(r"\S+", text)]
    pane = Pane(page, text, [(at[2], at[3] + len(words[3]), "ORG")], lang="he")
    pane.click(at[2])
    way = -1 if re.search("[א-ת]", words[2]) else 1
    start, end = (page.locator(f".grip[data-edge={edge}]").bounding_box() for edge in ("start", "end"))
    assert (end["x"] - start["x"]) * way > 0
    for edge, goal in (("end", 4), ("start", 1)):
        box = page.locator(f".grip[data-edge={edge}]").bounding_box()
        page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
        page.mouse.down()
        page.mouse.move(*pane.point(at[goal]), steps=6)
        assert page.locator(".t.sel").count() >= 2
        page.mouse.up()
    assert pane.spans == [(" ".join(words[1:5]), "ORG")]


def test_marks_in_lanes_cover_neither_each_other_nor_words(page) -> None:
    sentence = "The University of California at Berkeley and to me a word in the Department of Physics.\n"
    text = sentence * 3
    nested = [(4, 40, "ORGANISATION"), (4, 28, "B"), (4, 28, "C"), (4, 14, "D"), (4, 14, "E"), (4, 14, "F")]
    close = [(45, 47, "ORGANISATION"), (48, 50, "ORGANISATION"), (51, 52, "ORGANISATION")]
    across = [(70, 110, "B"), (80, 200, "C"), (86, 89, "D")]
    labels = ["A", "B", "C", "D", "E", "F", "ORGANISATION"]
    for width in (1280, 390):
        page.set_viewport_size({"width": width, "height": 900})
        pane = Pane(page, text, [*nested, *close, *across], labels=labels, overlapping=True, at_borders=False)
        assert len(pane.offsets) == 12
        assert page.evaluate(CLASHES) == []


# Pairs of tags, and of tags and words, whose boxes share more than a pixel; tags that leave their block.
CLASHES = """() => {
  const boxes = [];
  const add = (what, rects) => { for (const r of rects) boxes.push({ what, tag: what.startsWith("#"), r }); };
  const tags = [...pane.root.querySelectorAll(".tag")];
  for (const tag of tags) add("#" + tag.textContent, [tag.getBoundingClientRect()]);
  for (const t of pane.root.querySelectorAll(".t")) {
    const range = document.createRange();
    const word = [...t.childNodes].find((n) => n.nodeType === 3 && n.data.trim());
    if (!word) continue;
    range.selectNodeContents(word);
    // The letters themselves: a line's box is taller than they are.
    const letters = ({ left, right, top, bottom }) => ({ left, right, top: top + 5, bottom: bottom - 4 });
    add(word.data, [...range.getClientRects()].map(letters));
  }
  const clash = [];
  boxes.forEach((a, i) => boxes.slice(i + 1).forEach((b) => {
    if (!a.tag && !b.tag) return;
    const wide = Math.min(a.r.right, b.r.right) - Math.max(a.r.left, b.r.left);
    const high = Math.min(a.r.bottom, b.r.bottom) - Math.max(a.r.top, b.r.top);
    if (wide > 1 && high > 1) clash.push([a.what, b.what]);
  }));
  for (const tag of tags) {
    const [t, p] = [tag.getBoundingClientRect(), tag.closest("p").getBoundingClientRect()];
    const out = t.right > p.right + 1 || t.left < p.left - 1 || t.bottom > p.bottom + 1;
    if (out) clash.push([tag.textContent, "edge"]);
  }
  return clash;
}"""


def test_overlapping_marks_are_chosen_one_after_the_other_and_a_word_inside_can_be_marked(page) -> None:
    text = "University of California in May"
    pane = Pane(page, text, [(0, 24, "ORG"), (14, 24, "LOC")], overlapping=True)
    pane.click(14)
    assert page.evaluate("pane.chosen[2]") == "LOC"
    pane.click(14)
    assert page.evaluate("pane.chosen[2]") == "ORG"
    page.evaluate("active = 'PER'")
    pane.click(0)
    page.get_by_role("button", name="Mark “University” too").click()
    assert pane.offsets == [(0, 24, "ORG"), (0, 10, "PER"), (14, 24, "LOC")]
    pane.press("2")
    assert pane.offsets == [(0, 24, "ORG"), (0, 10, "LOC"), (14, 24, "LOC")]


def test_the_difference_to_another_set_is_shown_and_cannot_be_edited(page) -> None:
    text = "Apple bought North Face in Berlin from Tim"
    pane = Pane(
        page, text, [(0, 5, "ORG"), (27, 33, "LOC")], against=[[0, 5, "ORG"], [39, 42, "PER"]], readonly=True
    )
    assert page.locator("mark.added").text_content() == "Berlin+ LOC"
    assert page.locator("mark.removed s").text_content() == "PER"
    assert page.locator("mark:not(.added):not(.removed)").count() == 1
    pane.click(27)
    pane.drag(6, 13)
    pane.press("ArrowRight", "Enter", "Delete")
    assert page.evaluate("saved") is None
    assert page.locator(".cursor, .chosen, .sel, [tabindex]").count() == 0


def test_a_long_text_is_drawn_as_it_is_needed_and_an_edit_redraws_only_its_block(page) -> None:
    text = "".join(f"Word{number} follows here. " for number in range(4000))
    last = text.index("Word3999")
    pane = Pane(page, text, [(last, last + 8, "ORG")])
    assert page.locator(".t").count() < 2500
    page.evaluate("() => { window.kept = pane.blocks.map((block) => block.node.firstChild); }")
    pane.click(0)
    redrawn = "pane.blocks.filter((block, i) => block.node.firstChild !== kept[i]).length"
    assert page.evaluate(redrawn) == 1
    pane.press("Tab", "Tab")
    assert page.evaluate("pane.chosen[0]") == last
    assert page.locator("mark.chosen").bounding_box()["y"] < 800
    pane.press("Delete")
    assert pane.spans == [("Word0", "ORG")]


def test_a_long_text_comes_in_parts(page) -> None:
    text = "".join(f"Word{number} follows here.\n" for number in range(1000))
    Pane(page, text, done=1)
    parts = page.evaluate("pane.parts")
    assert parts == len(page.locator(".part").all()) == 4
    assert page.locator(".part").first.text_content() == "Part 1 of 4✓ done"
    assert page.evaluate("pane.currentPart") == 2
    page.evaluate("() => { pane.markPartDone(2); pane.goToPart(pane.currentPart); }")
    third = page.locator(".part").nth(2)
    page.wait_for_function(
        "Math.abs(pane.root.querySelectorAll('.part')[2].getBoundingClientRect().top) < 60"
    )
    assert third.get_attribute("data-state") == "now"
    page.evaluate("() => pane.markPartDone(4)")
    assert page.evaluate("pane.currentPart") == 4


def test_a_word_of_a_million_letters_can_be_marked_anywhere(page) -> None:
    pane = Pane(page, "ab" * 500_000)
    assert page.locator(".t").count() < 3000
    page.evaluate("pane.characters = true")
    pane.drag(101, 104)
    assert pane.offsets == [(101, 105, "ORG")]
    page.evaluate("() => { const s = pane.root.closest('.scroll'); s.scrollTop = s.scrollHeight; }")
    page.wait_for_selector(".t[data-e='1000000']")
    page.locator(".t[data-e='1000000']").click()
    assert pane.offsets[-1] == (999_999, 1_000_000, "ORG")


class Finger:
    """Touches sent as a phone sends them, so that the browser itself decides what scrolls."""

    def __init__(self, page) -> None:
        self.page, self.session = page, page.context.new_cdp_session(page)

    def _send(self, kind: str, *points: tuple[float, float]) -> None:
        touches = [{"x": x, "y": y} for x, y in points]
        self.session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": touches})

    def swipe(self, start, end, *, hold: float = 0, steps: int = 8) -> None:
        self._send("touchStart", start)
        self.page.wait_for_timeout(hold)
        for step in range(1, steps + 1):
            point = tuple(a + (b - a) * step / steps for a, b in zip(start, end, strict=True))
            self._send("touchMove", point)
            self.page.wait_for_timeout(16)
        self._send("touchEnd")
        self.page.wait_for_timeout(50)


# A swipe goes on by itself for a while: at the top, and there for twenty frames.
BACK_TO_TOP = """() => new Promise((done) => {
    const scroll = pane.root.closest('.scroll');
    let still = 0;
    const look = () => {
        still = scroll.scrollTop === 0 ? still + 1 : 0;
        scroll.scrollTop = 0;
        if (still < 20) requestAnimationFrame(look); else done();
    };
    look();
})"""


def test_on_a_phone_a_swipe_scrolls_and_a_tap_a_sideways_or_a_held_drag_marks(chromium) -> None:
    context = chromium.new_context(viewport={"width": 390, "height": 700}, has_touch=True, is_mobile=True)
    page = context.new_page()
    page.set_default_timeout(30_000)
    text = "".join(f"Line {n} has five words\n" for n in range(200))
    pane = Pane(page, text)
    finger = Finger(page)
    page.touchscreen.tap(*pane.point(text.index("five")))
    assert pane.spans == [("five", "ORG")]
    second = text.index("Line 2")
    finger.swipe(pane.point(second), pane.point(second + len("Line 2 ")))
    assert pane.spans[-1] == ("Line 2 has", "ORG")
    fourth, sixth = text.index("Line 4"), text.index("Line 6")
    finger.swipe(pane.point(fourth), pane.point(sixth), hold=500)
    assert pane.spans[-1] == (text[fourth : sixth + 4], "ORG")
    assert page.evaluate("pane.root.closest('.scroll').scrollTop") == 0
    before = pane.offsets
    finger.swipe((200, 600), (200, 200))
    assert page.evaluate("pane.root.closest('.scroll').scrollTop") > 100
    assert pane.offsets == before
    page.evaluate(BACK_TO_TOP)
    page.touchscreen.tap(*pane.point(second))
    box = page.locator(".grip[data-edge=end]").bounding_box()
    grip = (box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    finger.swipe(grip, pane.point(text.index("words", second)))
    assert pane.spans[1] == ("Line 2 has five words", "ORG")
    context.close()


DARK = {
    "--st-text-color": "#fafafa",
    "--st-background-color": "#0e1117",
    "--st-secondary-background-color": "#262730",
    "--st-border-color": "#41444c",
    "--st-primary-color": "#6ea8fe",
}


@pytest.mark.parametrize("theme", [{}, DARK], ids=["light", "dark"])
def test_axe_finds_nothing_in_marks_lanes_and_differences(page, theme) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe-core is not installed")
    labels = [f"L{number}" for number in range(1, 32)]
    text = " ".join(f"word{number} and" for number in range(1, 32))
    marks = [(m.start(), m.end(), f"L{m[1]}") for m in re.finditer(r"word(\d+)", text)]
    nested = [*marks, *((start, end + 4, "L3") for start, end, _ in marks[::3])]
    against = [list(mark) for mark in marks[10:]]
    for spans, more in ((marks, {}), (nested, {"overlapping": True}), (marks[:20], {"against": against})):
        Pane(page, text, spans, labels=labels, theme=theme, **more).press("Tab")
        found = axe.Axe().run(page, options={"rules": {"page-has-heading-one": {"enabled": False}}})
        assert [(rule["id"], rule["nodes"][0]["html"]) for rule in found.response["violations"]] == []
