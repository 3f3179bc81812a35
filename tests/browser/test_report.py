"""The report as a file in Chromium: light, dark, on a phone, on paper, without any network."""

from __future__ import annotations

import pytest
from reported import judged_project

from annoloop.steps.evidence.report import report

from .conftest import PHONE

pytestmark = pytest.mark.browser

A4 = {"width": 690, "height": 1000}
"""What is left of the paper's width between its margins, at 96 dots an inch."""


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    folder = tmp_path_factory.mktemp("report")
    return report(judged_project(folder / "p"), folder / "report.html").path.as_uri()


def opened(people, address, **options):
    page = people(offline=True, **options)
    page.goto(address)
    page.foreign = [one for one in page.foreign if one != address]
    return page


def fits(page) -> bool:
    return page.evaluate("document.documentElement.scrollWidth <= innerWidth")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("window", [{"width": 1280, "height": 800}, PHONE], ids=["desk", "phone"])
def test_the_report_is_read_without_a_barrier(people, address, axe, screenshot, scheme, window):
    page = opened(people, address, color_scheme=scheme, viewport=window)
    assert fits(page)
    screenshot(page, f"report-{scheme}-{window['width']}")
    ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (ground == "rgb(255, 255, 255)") == (scheme == "light")
    assert axe(page) == []
    sizes = page.evaluate(
        "[...document.querySelectorAll('svg text')].map(t => t.getBoundingClientRect().height)"
    )
    assert sizes and min(sizes) > 9
    # A wide table is scrolled on a phone; what it is about is read without.
    captions = "[...document.querySelectorAll('caption span')]"
    ends = page.evaluate(f"{captions}.map(c => c.getBoundingClientRect().right)")
    assert ends and max(ends) <= window["width"]
    assert page.foreign == page.complaints == []


def test_on_paper_nothing_is_cut_off_and_ink_is_dark(people, address):
    page = opened(people, address, color_scheme="dark", viewport=A4)
    page.emulate_media(media="print", color_scheme="dark")
    assert fits(page)
    assert page.evaluate("getComputedStyle(document.body).color") == "rgb(0, 0, 0)"
    cut = "[...document.querySelectorAll('.wide')].filter(w => w.scrollWidth > w.clientWidth).length"
    assert page.evaluate(cut) == 0
    assert not page.locator("nav").is_visible()
    assert page.pdf(format="A4").startswith(b"%PDF")
