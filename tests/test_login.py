"""Who is who, who may what: roles, tokens, a proxy's header, OpenID claims; nobody sees another's answers."""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from annoloop.errors import AnnoloopError, SchemeError, SettingsError
from annoloop.hashing import input_hash
from annoloop.project import Project
from annoloop.review.people import PAGES, may, name_from_claims, name_from_header, role_of
from annoloop.types import Example

ROLES = '\n\n[review.roles]\nRia@Example.org = "reviewer"\ndev = "developer"\nex = "expert"\n'
SERVE = """
import sys
from pathlib import Path
from annoloop.review.server import serve
serve(Path(sys.argv[1]), port=0, host=sys.argv[2], on_ready=lambda at: print(at, flush=True))
"""


def make(folder: Path, review: str = "", texts: int = 4) -> Project:
    """A project of some texts to label; `review` is what stands below [review]."""
    project = Project.create(folder, kind="ner", labels=["BRAND"], lang="en")
    set_review(project, review)
    examples = [Example(input_hash(text), text) for text in (f"{n} wears Nike" for n in range(texts))]
    project.store.add_examples(examples)
    project.store.add_tasks(project.task(eg, number=1) for eg in examples)
    return project


def set_review(project: Project, review: str) -> None:
    path = project.folder / "annoloop.cfg"
    path.write_text(path.read_text().split("[review]")[0].rstrip() + f"\n\n[review]\n{review}\n")


@pytest.fixture
def opened(tmp_path):
    """`opened(review)`: a Review of a fresh project, and a client of its routes behind the guard.

    Streamlit itself, of which a process can hold only one, is not there: a bare page stands for it.
    """
    from starlette.applications import Starlette
    from starlette.middleware import Middleware
    from starlette.responses import PlainTextResponse
    from starlette.routing import Route
    from starlette.testclient import TestClient

    from annoloop.review.server import open_review
    from annoloop.review.server.guard import Guard
    from annoloop.review.server.routes import routes

    with contextlib.ExitStack() as stack:

        def start(review: str = "", **options):
            project = make(tmp_path / "p", review)
            project.store.close()
            one = open_review(project.folder, annotator="anna")
            stack.callback(one.close)
            bare = Route("/", lambda _: PlainTextResponse("page"))
            app = Starlette(routes=[bare, *routes(one)], middleware=[Middleware(Guard, review=one)])
            return one, stack.enter_context(TestClient(app, base_url="http://localhost:8501", **options))

        yield start


def post(client, review, who: str, route: str = "sync", **call):
    sent = {"client": "tab", "answers": [], "have": [], "want": 5} if route == "sync" else {}
    headers = {"X-Annoloop-Token": review.token(who), "Origin": "http://localhost:8501"}
    return client.post(f"/annoloop/{route}", json={**sent, **call}, headers=headers)


def answer(task: dict, number: int, **more) -> dict:
    return {
        "answer_id": f"answer-{number}",
        "task_hash": task["task_hash"],
        "verdict": "accept",
        "labels": [],
        "spans": [],
        "milliseconds": 5,
        "seq": number + 1,
        **more,
    }


@pytest.mark.parametrize(
    ("who", "known", "default", "role"),
    [
        ("ria@example.org", True, "expert", "reviewer"),
        ("RIA@EXAMPLE.ORG", True, None, "reviewer"),
        ("nobody@example.org", True, "expert", "expert"),
        ("nobody@example.org", True, None, None),
        ("nobody", False, None, "developer"),
        ("ex", False, "reviewer", "expert"),
    ],
)
def test_the_role_is_the_named_one_else_the_default(tmp_path, who, known, default, role) -> None:
    project = make(tmp_path / "p", f"default_role = {json.dumps(default)}{ROLES}", texts=0)
    assert role_of(Project.open(project.folder).settings, who, known=known) == role


def test_each_role_may_what_the_one_before_may_and_nobody_what_is_not_named() -> None:
    assert {page for page in PAGES if may("expert", page)} == {"label", "progress"}
    assert {page for page in PAGES if may("reviewer", page)} == set(PAGES) - {"rules", "start"}
    assert all(may("developer", page) for page in PAGES)
    assert may("developer", "export") and not may("reviewer", "export")
    assert not may("developer", "nonsense") and not any(may(None, page) for page in PAGES)


def test_a_name_is_a_verified_address_or_another_claim() -> None:
    claims = {"sub": "s-1", "preferred_username": "anna", "email": "anna@example.org"}
    assert name_from_claims(claims) == "anna@example.org"
    assert name_from_claims({**claims, "email_verified": False}) == "anna"
    boss = {"sub": "s-1", "preferred_username": "boss@x.org", "email": "boss@x.org", "email_verified": False}
    assert name_from_claims(boss) == "s-1"
    assert name_from_claims({"email": ["a"], "sub": "\x00 "}) is None
    assert name_from_header("Jörg".encode().decode("latin1")) == "Jörg"
    assert name_from_header("J\xf6rg") == "Jörg"
    assert name_from_header(" \x1b ") is None


def test_a_role_taken_away_is_gone_at_the_next_call(opened) -> None:
    review, client = opened('login = "proxy"' + ROLES, headers={"X-Forwarded-User": "ex"}, client=("::1", 1))
    assert post(client, review, "ex").status_code == 200
    set_review(review.project, 'login = "proxy"\ndefault_role = null' + ROLES.replace("ex =", "other ="))
    refused = post(client, review, "ex")
    assert refused.status_code == 403 and "ex may not" in refused.json()["message"]


def test_broken_settings_change_nothing_and_are_said(opened) -> None:
    review, client = opened()
    set_review(review.project, 'lo gin = "proxy')
    assert post(client, review, "ben").status_code == 200
    assert review.role("ben") == "developer" and review.problem is not None
    set_review(review.project, '[review.roles]\nben = "expert"')
    assert review.role("ben") == "expert" and review.problem is None


def test_a_login_is_not_taken_away_under_a_running_page(opened) -> None:
    review, client = opened('login = "proxy"', client=("127.0.0.1", 1))
    for settings in ("", 'login = "proxy"\ntrusted_proxies = ["anywhere"]'):
        set_review(review.project, settings)
        assert client.get("/").status_code == 403
        assert client.get("/", headers={"X-Forwarded-User": "anna"}).status_code == 200
        assert review.problem is not None


def test_nobody_makes_a_project_past_the_login(tmp_path) -> None:
    from annoloop.review.server import open_review

    lines = '[project]\nname = "p"\nkind = "ner"\nlabels = []\n\n[review]\n'
    (tmp_path / "annoloop.cfg").write_text(lines)
    assert not open_review(tmp_path).is_made
    (tmp_path / "annoloop.cfg").write_text(lines + 'login = "proxy"\n')
    with pytest.raises(SchemeError, match="label"):
        open_review(tmp_path)


def test_new_labels_are_in_force_without_a_restart(opened) -> None:
    review, client = opened()
    (task, *_) = post(client, review, "ben").json()["tasks"]
    path = review.folder / "annoloop.cfg"
    path.write_text(path.read_text().replace('["BRAND"]', '["BRAND","SHOP"]'))
    spans = [[0, 1, "SHOP"]]
    assert post(client, review, "ben", answers=[answer(task, 1, spans=spans)]).json()["acked"] == ["answer-1"]


def test_a_token_of_an_open_page_is_worth_nothing_once_people_log_in(opened) -> None:
    review, _ = opened()
    token = review.token("dev")
    set_review(review.project, 'login = "proxy"' + ROLES)
    assert review.annotator_of(token) is None
    assert review.annotator_of(review.token("dev")) == "dev"


def test_an_expert_may_not_adjudicate_nor_see_anothers_answers(opened) -> None:
    review, client = opened(ROLES)
    (task, *_) = post(client, review, "anna").json()["tasks"]
    saved = post(client, review, "anna", answers=[answer(task, 1, comment="mine alone")])
    assert saved.json()["acked"] == ["answer-1"]
    own = post(client, review, "anna", "history", text="", only=None, before=None, limit=50).json()
    assert [found["answer"]["comment"] for found in own["answers"]] == ["mine alone"]
    seen = post(client, review, "ex", "history", text="", only=None, before=None, limit=50)
    assert seen.status_code == 200 and seen.json()["answers"] == []
    named = post(
        client, review, "ex", "history", annotator="anna", text="mine", only=None, before=None, limit=9
    )
    assert named.json()["answers"] == []
    assert post(client, review, "ex", before=None).json()["history"] == []
    assert post(client, review, "ex", mode="adjudicate").status_code == 403
    assert post(client, review, "ria@example.org", mode="adjudicate").status_code == 200


def test_an_answer_in_anothers_name_stays_ones_own(opened) -> None:
    review, client = opened(ROLES)
    (task, *_) = post(client, review, "ex").json()["tasks"]
    post(client, review, "ex", answers=[answer(task, 1, annotator="anna", adjudicated=True)])
    (kept,) = review.project.store.answers_in_force()
    assert kept.annotator == "ex" and not kept.adjudicated


@contextlib.contextmanager
def served(folder: Path, host: str = "127.0.0.1"):
    """The page in a process of its own; gives its port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    code = SERVE.replace("port=0", f"port={port}")
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(folder), host], stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout.readline().startswith("http"), "the server did not start"
        yield port
    finally:
        process.terminate()
        process.wait(20)
        process.stdout.close()


def status(port: int, source: str, path: str = "/", **headers) -> int:
    call = http.client.HTTPConnection("127.0.0.1", port, source_address=(source, 0), timeout=30)
    sent = {"Host": "labels.example.org", **{k.replace("_", "-"): v for k, v in headers.items()}}
    call.request("GET", path, headers=sent)
    try:
        return call.getresponse().status
    finally:
        call.close()


def socket_opens(port: int, source: str, **headers) -> bool:
    """Whether the page's websocket lets a client in that comes from `source`."""
    import websockets.exceptions
    from websockets.sync.client import connect

    link = socket.create_connection(("127.0.0.1", port), 30, source_address=(source, 0))
    try:
        with connect(
            "ws://labels.example.org/_stcore/stream",
            sock=link,
            origin="https://labels.example.org",
            subprotocols=["streamlit"],
            additional_headers={k.replace("_", "-"): v for k, v in headers.items()},
        ):
            return True
    except websockets.exceptions.InvalidStatus:
        return False


@pytest.mark.skipif(sys.platform != "linux", reason="a second loopback address is there on Linux only")
def test_the_proxys_header_counts_only_from_the_proxys_own_socket(tmp_path) -> None:
    settings = 'login = "proxy"\nhosts = ["labels.example.org"]\ntrusted_proxies = ["127.0.0.2/32"]'
    project = make(tmp_path / "p", settings)
    project.store.close()
    with served(project.folder) as port:
        named = {"X_Forwarded_User": "anna"}
        assert status(port, "127.0.0.2", **named) == 200
        assert status(port, "127.0.0.2") == 403
        assert status(port, "127.0.0.1", **named) == 403
        assert (
            status(port, "127.0.0.1", **named, X_Forwarded_For="127.0.0.2", Forwarded="for=127.0.0.2") == 403
        )
        assert status(port, "127.0.0.2", **named, Host="elsewhere.example.org") == 403
        assert status(port, "127.0.0.1", "/_stcore/health") == 200
        assert socket_opens(port, "127.0.0.2", **named)
        assert not socket_opens(port, "127.0.0.1", **named)
        assert not socket_opens(port, "127.0.0.1", **named, X_Forwarded_For="127.0.0.2")
        assert not socket_opens(port, "127.0.0.2")


def test_a_header_that_came_twice_is_nobodys(opened) -> None:
    _, client = opened('login = "proxy"', client=("127.0.0.1", 1))
    assert client.get("/", headers=[("X-Forwarded-User", "anna")]).status_code == 200
    assert (
        client.get("/", headers=[("X-Forwarded-User", "eve"), ("X-Forwarded-User", "anna")]).status_code
        == 403
    )


def test_files_go_out_to_developers_and_come_in_from_reviewers_only(opened) -> None:
    _, client = opened('login = "proxy"' + ROLES, client=("127.0.0.1", 1))

    def code(who: str, method: str, path: str) -> int:
        return client.request(method, path, headers={"X-Forwarded-User": who}).status_code

    assert [code(who, "GET", "/media/none.csv") for who in ("ex", "ria@example.org", "dev")] == [
        403,
        403,
        404,
    ]
    upload = "/_stcore/upload_file/session/file"
    assert [code(who, "PUT", upload) for who in ("ex", "ria@example.org", "dev")] == [403, 404, 404]


def test_it_starts_beyond_this_machine_only_with_a_login_and_a_name(tmp_path) -> None:
    from annoloop.review.server import serve

    def refusal(review: str, host: str) -> str:
        set_review(project, review)
        with pytest.raises(AnnoloopError) as error:
            serve(project.folder, host=host)
        return str(error.value)

    project = make(tmp_path / "p", texts=0)
    project.store.close()
    assert "[review] login" in refusal("", "0.0.0.0")
    assert "hosts" in refusal('login = "proxy"', "0.0.0.0")
    assert "trusted_proxies" in refusal('login = "proxy"\ntrusted_proxies = ["near"]', "127.0.0.1")


def test_oidc_without_what_it_needs_is_refused_with_the_name_of_it(tmp_path) -> None:
    pytest.importorskip("authlib")
    from annoloop.review.server.identity import check_oidc

    lines = {
        "redirect_uri": "https://labels.example.org/oauth2callback",
        "cookie_secret": "x" * 32,
        "client_id": "annoloop",
        "client_secret": "s",
        "server_metadata_url": "https://id.example.org/.well-known/openid-configuration",
    }
    folder = tmp_path / ".streamlit"
    folder.mkdir()

    def check(kept: dict[str, str]) -> str:
        text = "[auth]\n" + "".join(f"{name} = {json.dumps(value)}\n" for name, value in kept.items())
        (folder / "secrets.toml").write_text(text)
        return check_oidc(tmp_path)

    with pytest.raises(SettingsError, match=r"secrets\.toml"):
        check_oidc(tmp_path)
    for name in lines:
        with pytest.raises(SettingsError, match=name):
            check({k: v for k, v in lines.items() if k != name})
    with pytest.raises(SettingsError, match="cookie_secret is shorter"):
        check({**lines, "cookie_secret": "short"})
    assert check(lines) == "https://labels.example.org"
