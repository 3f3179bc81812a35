"""Who may see what, in Chromium: a real OpenID login, a proxy's header, names in the address, roles."""

from __future__ import annotations

import json
import logging
import socket

import pytest

from annoloop.project import Project

from .conftest import PHONE, as_user, ask, set_review, until

pytestmark = pytest.mark.browser

ROLES = '\n\n[review.roles]\nria@example.org = "reviewer"\nex = "expert"\ndev = "developer"'
NOTED = """
import importlib.machinery, types
from pathlib import Path
for name in ("progress", "compare", "rules", "texts"):
    module = types.ModuleType("annoloop.review.pages." + name)
    def show(visit, name=name):
        import streamlit as st
        with (Path(sys.argv[1]) / "ran.txt").open("a") as file:
            print(name, visit.who, visit.role, file=file)
        st.write("this is " + name)
    module.show = show
    sys.modules[module.__name__] = module
"""
"""Stands in for pages, noting for whom their Python ran."""


def brands(folder, review: str = "", texts: int = 120) -> Project:
    project = Project.create(folder / "p", kind="ner", labels=["BRAND"], lang="en")
    set_review(project, review)
    ask(project, [f"No {number} wears Nike." for number in range(texts)])
    return project


def links(page) -> list[str]:
    page.wait_for_selector("[data-testid=stTopNavLink]")
    return page.get_by_test_id("stTopNavLink").all_inner_texts()


def ran(project: Project) -> list[str]:
    path = project.folder / "ran.txt"
    return path.read_text().splitlines() if path.exists() else []


@pytest.fixture
def provider():
    """A small OpenID provider on this machine; whoever types a name is that."""
    mock = pytest.importorskip("oidc_provider_mock")
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    with mock.run_server_in_thread() as server:
        yield f"http://localhost:{server.server_port}"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def set_oidc(project: Project, provider: str, port: int) -> None:
    values = {
        "redirect_uri": f"http://localhost:{port}/oauth2callback",
        "cookie_secret": "0123456789abcdef" * 2,
        "client_id": "annoloop",
        "client_secret": "secret",
        "server_metadata_url": f"{provider}/.well-known/openid-configuration",
    }
    folder = project.folder / ".streamlit"
    folder.mkdir()
    lines = [f"{name} = {json.dumps(value)}" for name, value in values.items()]
    (folder / "secrets.toml").write_text("\n".join(["[auth]", *lines]))


def log_in(page, name: str) -> None:
    page.get_by_role("button", name="Log in").click()
    page.locator("input[name=sub]").fill(name)
    page.get_by_role("button", name="Authorize").click()


def test_people_log_in_by_openid_and_their_answers_carry_their_name(
    tmp_path, serve, people, provider, axe, screenshot
) -> None:
    project = brands(tmp_path, 'login = "oidc"' + ROLES)
    port = free_port()
    set_oidc(project, provider, port)
    server = serve(project, port=port)
    page = people()
    page.goto(as_user(server.address, "dev"))
    page.get_by_role("button", name="Log in").wait_for()
    assert page.locator(".t").count() == 0
    assert axe(page) == []
    screenshot(page, "login")
    log_in(page, "eve@example.org")
    page.wait_for_selector(".t")
    assert links(page) == ["Label", "Progress", "Log out eve@example.org"]
    for cookie in page.context.cookies():
        if cookie["name"] != "_streamlit_xsrf":
            assert cookie["httpOnly"], cookie["name"]
        assert cookie["sameSite"] == "Lax"
    page.keyboard.press("a")
    until(lambda: project.store.answer_count() == 1, "the answer saved")
    (answer,) = project.store.answers_in_force()
    assert answer.annotator == "eve@example.org"

    set_review(project, 'login = "oidc"\ndefault_role = null' + ROLES)
    page.keyboard.press("a")
    until(lambda: page.locator(".state").get_attribute("data-state") == "stale", "the answer refused")
    page.reload()
    page.wait_for_selector("text=You may not label here yet")
    page.get_by_text("eve@example.org").wait_for()
    page.get_by_role("button", name="Log out").click()
    page.wait_for_url(f"{provider}/**")
    assert "_streamlit_user" not in {cookie["name"] for cookie in page.context.cookies()}
    page.goto(server.address)
    page.get_by_role("button", name="Log in").wait_for()
    assert project.store.answer_count() == 1


def test_a_page_outside_ones_role_is_refused_and_its_python_does_not_run(tmp_path, serve, people) -> None:
    project = brands(tmp_path, ROLES)
    server = serve(project, before=NOTED)
    page = people()
    page.goto(as_user(server.address, "ex"))
    page.wait_for_selector(".t")
    assert links(page) == ["Label", "Progress"]
    for name in ("compare", "rules", "texts", "adjudicate", "start"):
        page.goto(as_user(server.address, "ex", name))
        page.wait_for_selector("text=This page is not for your role")
    page.goto(as_user(server.address, "ex", "progress"))
    page.wait_for_selector("text=this is progress")
    assert set(ran(project)) == {"progress ex expert"}
    page.goto(as_user(server.address, "ria@example.org", "texts"))
    page.wait_for_selector("text=this is texts")
    assert ran(project)[-1] == "texts ria@example.org reviewer"
    set_review(project, ROLES.replace('ria@example.org = "reviewer"', 'ria@example.org = "expert"'))
    page.get_by_role("link", name="Progress").click()
    page.wait_for_selector("text=this is progress")
    assert links(page) == ["Label", "Progress"]
    page.goto(as_user(server.address, "ria@example.org", "texts"))
    page.wait_for_selector("text=This page is not for your role")
    assert "texts ria@example.org expert" not in ran(project)


@pytest.mark.slow
def test_the_name_in_the_address_follows_and_a_proxys_header_is_not_asked_of_it(
    tmp_path, serve, people
) -> None:
    project = brands(tmp_path)
    server = serve(project, before=NOTED)
    page = people(extra_http_headers={"X-Forwarded-User": "eve"})
    page.goto(as_user(server.address, "ben"))
    page.wait_for_selector(".t")
    for name, path in (("Progress", "/progress"), ("Adjudicate", "/adjudicate"), ("Label", "/")):
        page.get_by_test_id("stTopNav").get_by_role("link", name=name).click()
        page.wait_for_url(f"{server.address}{path}?session=ben")
    page.reload()
    page.wait_for_selector(".t")
    page.keyboard.press("a")
    until(lambda: project.store.answer_count() == 1, "the answer saved")
    (answer,) = project.store.answers_in_force()
    assert answer.annotator == "ben"
    assert page.foreign == [] and page.complaints == []


@pytest.mark.slow
def test_a_proxy_says_who_it_is_and_a_role_taken_away_ends_the_page(tmp_path, serve, people) -> None:
    project = brands(tmp_path, 'login = "proxy"' + ROLES)
    server = serve(project, before=NOTED)
    address = f"http://localhost:{server.port}"
    stranger = people()
    assert stranger.goto(as_user(address, "dev")).status == 403
    page = people(extra_http_headers={"X-Forwarded-User": "dev"})
    page.goto(as_user(address, "ex", "rules"))
    page.wait_for_selector("text=this is rules")
    assert ran(project)[-1] == "rules dev developer"
    count = len(ran(project))
    set_review(project, 'login = "proxy"\ndefault_role = null')
    page.get_by_test_id("stTopNav").get_by_role("link", name="Texts").click()
    page.wait_for_selector("text=You may not label here yet")
    assert len(ran(project)) == count


@pytest.mark.slow
def test_the_navigation_shares_the_window_with_the_page(tmp_path, serve, people, axe, screenshot) -> None:
    project = brands(tmp_path)
    server = serve(project)
    for name, options in (
        ("wide", {}),
        ("phone", {"viewport": PHONE, "locale": "de-DE", "color_scheme": "dark"}),
    ):
        page = people(**options)
        page.goto(server.address)
        page.wait_for_selector(".t")
        screenshot(page, f"navigation-{name}")
        height = page.viewport_size["height"]
        header = page.get_by_test_id("stHeader").bounding_box()
        actions = page.locator(".actions").bounding_box()
        assert header["y"] == 0 and header["height"] <= 48
        assert page.locator(".top").bounding_box()["y"] == header["height"]
        assert actions["y"] + actions["height"] == pytest.approx(height, abs=1)
        assert page.evaluate("document.scrollingElement.scrollHeight <= innerHeight")
        assert axe(page, "[data-testid=stHeader]") == []
        assert page.foreign == [] and page.complaints == []


@pytest.mark.slow
def test_what_a_blocked_route_cannot_save_goes_through_the_page_itself(tmp_path, serve, people) -> None:
    project = brands(tmp_path)
    page = people()
    page.route("**/annoloop/*", lambda route: route.abort())
    page.goto(serve(project).address)
    page.wait_for_selector(".t")
    for _ in range(5):
        page.keyboard.press("a")
        page.wait_for_timeout(150)
    until(lambda: project.store.answer_count() == 5, "the answers saved")
    until(lambda: page.locator(".state").get_attribute("data-state") == "saved", "the page knows it")
