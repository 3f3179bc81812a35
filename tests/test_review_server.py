"""The server: who may call, what it answers, where it listens, what the wheel carries."""

from __future__ import annotations

import ast
import asyncio
import shutil
import socket
import string
import subprocess
import sys
import threading
import zipfile
from pathlib import Path

import pytest

from annoloop.errors import AnnoloopError, SettingsError
from annoloop.project import Project

ROOT = Path(__file__).parent.parent
CALL = {"client": "tab", "answers": [], "have": [], "want": 5}


@pytest.fixture(scope="module")
def review(tmp_path_factory):
    from annoloop.review.server import open_review

    folder = tmp_path_factory.mktemp("review") / "p"
    Project.create(folder, kind="ner", labels=["BRAND"], lang="en")
    review = open_review(folder, annotator="anna")
    yield review
    review.project.store.close()


@pytest.fixture(scope="module")
def client(review):
    from starlette.testclient import TestClient

    from annoloop.review.server import build_app

    with TestClient(build_app(review), base_url="http://localhost:8501") as client:
        yield client


def post(client, token: str, **headers):
    sent = {"X-Annoloop-Token": token, "Origin": "http://localhost:8501", **headers}
    return client.post("/annoloop/sync", json=CALL, headers=sent)


def test_a_call_with_the_pages_token_is_answered(review, client) -> None:
    reply = post(client, review.token("anna"))
    assert reply.status_code == 200
    progress = reply.json()["progress"]
    assert (progress["done"], progress["open"], progress["rounds"]) == (0, 0, {})


def test_calls_without_identity_or_from_elsewhere_are_refused(review, client) -> None:
    good = review.token("anna")
    assert post(client, "").status_code == 401
    assert post(client, good[:-2] + "xx").status_code == 401
    assert post(client, good, Origin="http://evil.example").status_code == 403
    assert post(client, good, Origin="http://localhost:9999").status_code == 403
    assert post(client, good, Origin="null").status_code == 403
    assert post(client, good, Host="evil.example:8501").status_code == 403


def call(host: str, origin: str | None = None, **headers: str):
    from annoloop.review.server.calls import Call

    sent = {"host": host, **({"origin": origin} if origin else {}), **headers}
    raw = [(key.replace("_", "-").encode(), value.encode("latin1")) for key, value in sent.items()]
    return Call.of({"path": "/", "scheme": "http", "headers": raw})


def test_only_ones_own_names_are_answered_to() -> None:
    own = ("Labels.example.org",)
    for host in (
        "localhost",
        "localhost:8501",
        "127.0.0.1:1",
        "[::1]:8501",
        "labels.example.org",
        "LABELS.example.org:8443",
    ):
        assert call(host).is_for(own), host
    for host in (
        "",
        "evil.example",
        "localhost.evil.example",
        "labels.example.org.evil.example",
        "127.0.0.1@evil.example",
        "evil.example/localhost",
        "localhost:port",
        "labels.example.org; script-src *",
        "[::2]",
    ):
        assert not call(host).is_for(own), host
    assert not call("labels.example.org").is_for(())


def test_another_sites_page_is_told_by_origin_name_and_port() -> None:
    name = "labels.example.org"
    for host, origin in (
        (name, f"https://{name}"),
        (f"{name}:443", f"https://{name}"),
        (name, f"https://{name}:443"),
        ("localhost:8501", "http://localhost:8501"),
        ("[::1]:8501", "http://[::1]:8501"),
        (name, None),
    ):
        assert call(host, origin).is_same_site, (host, origin)
    for host, origin in (
        (name, "https://evil.example"),
        (name, f"https://{name}:8443"),
        (name, "null"),
        (name, f"https://x.{name}"),
        ("localhost:8501", "http://127.0.0.1:8501"),
        (f"{name}:80", f"https://{name}"),
        (name, f"file://{name}"),
        (name, f"https://{name}@evil.example"),
        (name, f"https://{name}/path"),
    ):
        assert not call(host, origin).is_same_site, (host, origin)
    assert not call(name, sec_fetch_site="cross-site", sec_fetch_mode="no-cors").is_same_site
    assert not call(name, sec_fetch_site="same-site", sec_fetch_mode="cors").is_same_site
    assert call(name, sec_fetch_site="cross-site", sec_fetch_mode="navigate").is_same_site


def test_a_websocket_from_another_site_is_refused(client) -> None:
    from starlette.websockets import WebSocketDisconnect

    def opens(**headers: str) -> bool:
        try:
            with client.websocket_connect("/_stcore/stream", headers=headers, subprotocols=["streamlit"]):
                return True
        except WebSocketDisconnect:
            return False

    assert opens(host="localhost:8501", origin="http://localhost:8501")
    assert not opens(host="localhost:8501", origin="http://evil.example")
    assert not opens(host="evil.example", origin="http://evil.example")
    assert not opens(host="localhost:8501", origin="http://localhost:9999")


def test_cookies_and_headers_are_as_they_should_be(client) -> None:
    from annoloop.review.server.guard import hardened

    reply = client.get("/_stcore/health")
    (cookie,) = reply.headers.get_list("set-cookie")
    assert cookie.startswith("_streamlit_xsrf=") and "SameSite" in cookie and "HttpOnly" not in cookie
    assert "Secure" not in cookie
    tls = client.get("/_stcore/health", headers={"X-Forwarded-Proto": "https"}).headers["set-cookie"]
    assert "; Secure" in tls
    made = dict(hardened([(b"set-cookie", b"_streamlit_user=x; Path=/")], secure=True))
    assert made[b"set-cookie"] == b"_streamlit_user=x; Path=/; HttpOnly; SameSite=Lax; Secure"
    assert reply.headers["x-content-type-options"] == "nosniff"
    assert reply.headers["cross-origin-opener-policy"] == "same-origin"
    assert "frame-ancestors 'none'" in reply.headers["content-security-policy"]
    assert "camera=()" in reply.headers["permissions-policy"]
    assert "uvicorn" not in reply.headers.get("server", "")


def test_what_streamlit_opens_beyond_need_is_shut(client) -> None:
    shut = ("metrics", "agent/interact", "agent/openapi.json", "agent/mcp", "script-health-check", "message")
    for path in shut:
        assert client.get(f"/_stcore/{path}").status_code == 404, path
        assert client.post(f"/_stcore/{path}").status_code == 404, path
    assert client.get("/_stcore/health").status_code == 200
    assert client.get("/_stcore/host-config").status_code == 200


def test_a_store_that_cannot_be_written_is_said_and_acknowledges_nothing(tmp_path) -> None:
    import sqlite3

    from starlette.applications import Starlette
    from starlette.testclient import TestClient

    from annoloop.review.server import open_review
    from annoloop.review.server.routes import routes

    Project.create(tmp_path / "p", kind="ner", labels=["BRAND"], lang="en")
    damaged = open_review(tmp_path / "p", annotator="anna")
    with sqlite3.connect(tmp_path / "p" / "project.sqlite") as other:
        other.execute("DROP TABLE leases")
    with TestClient(Starlette(routes=routes(damaged)), base_url="http://localhost:8501") as client:
        reply = post(client, damaged.token("anna"))
    damaged.close()
    assert reply.status_code == 503
    assert "project.sqlite" in reply.json()["message"] and "acked" not in reply.json()


def test_where_there_is_no_project_yet_it_is_waited_for(tmp_path) -> None:
    from annoloop.review.server import open_review

    review = open_review(tmp_path / "new", annotator="anna")
    assert not review.is_made and review.role("anyone") == "developer" and review.login is None
    with pytest.raises(SettingsError):
        _ = review.project
    assert review.annotator_of("anything") is None
    Project.create(tmp_path / "new", kind="ner", labels=["BRAND"], lang="en")
    assert review.is_made and review.project.scheme.labels == ("BRAND",)
    assert review.annotator_of(review.token("ben")) == "ben"
    review.close()
    with pytest.raises(SettingsError):
        open_review(tmp_path / "no folder" / "new")
    (tmp_path / "new" / "annoloop.cfg").write_text("[project\n")
    with pytest.raises(SettingsError):
        open_review(tmp_path / "new")


def placeholders(sentence: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(sentence) if name}


@pytest.mark.parametrize(
    "path", sorted((ROOT / "annoloop/review/pages").glob("*.py")), ids=lambda path: path.stem
)
def test_every_page_says_the_same_in_both_languages(path) -> None:
    tree = ast.parse(path.read_text(encoding="utf8"))
    for node in tree.body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "WORDS":
            words = ast.literal_eval(node.value)
            assert set(words) == {"en", "de"}
            assert set(words["en"]) == set(words["de"])
            for key, sentence in words["en"].items():
                assert placeholders(sentence) == placeholders(words["de"][key]), key


def test_what_is_not_a_sync_call_is_refused_with_a_reason(review, client) -> None:
    headers = {"X-Annoloop-Token": review.token("anna"), "Content-Type": "application/json"}
    for body, status in ((b"{", 400), (b"[1]", 400), (b"\xff", 400), (b"{}", 400), (b"x" * 8_000_001, 413)):
        reply = client.post("/annoloop/sync", content=body, headers=headers)
        assert reply.status_code == status and reply.json()["message"]
    text = client.post("/annoloop/sync", content=b"{}", headers={**headers, "Content-Type": "text/plain"})
    assert text.status_code == 415


def test_the_page_comes_with_a_policy_that_lets_nothing_else_run(client) -> None:
    policy = client.get("/").headers["content-security-policy"]
    scripts = next(part for part in policy.split("; ") if part.startswith("script-src"))
    assert "'unsafe-inline'" not in scripts and "http" not in scripts


def test_a_token_outlives_a_restart_and_opens_no_other_project(review, tmp_path) -> None:
    from annoloop.review.server import open_review

    again = open_review(review.project.folder)
    assert again.annotator_of(review.token("ben")) == "ben"
    assert again.project_id == review.project_id
    Project.create(tmp_path / "other", kind="ner", labels=["BRAND"], lang="en")
    other = open_review(tmp_path / "other")
    assert other.annotator_of(review.token("ben")) is None
    again.project.store.close()
    other.project.store.close()


def test_it_refuses_to_listen_beyond_this_machine_or_on_a_taken_port(review, tmp_path) -> None:
    from annoloop.review.server import serve

    with pytest.raises(AnnoloopError, match="no login"):
        serve(review.project.folder, host="0.0.0.0")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(AnnoloopError, match=f"port {port} is taken") as error:
            serve(review.project.folder, port=port)
    assert f"--port {port + 1}" in error.value.hint
    with pytest.raises(SettingsError):
        serve(tmp_path / "no folder" / "nothing")


def test_an_answer_is_sent_at_once_not_held_back_for_the_next() -> None:
    from annoloop.review.server.app import _listen

    at_once: list[int] = []

    async def note(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        accepted = writer.get_extra_info("socket")
        at_once.append(accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
        writer.close()

    async def connect() -> None:
        async with await asyncio.start_server(note, sock=_listen("127.0.0.1", 0)) as server:
            reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
            await reader.read()
            writer.close()

    # In a thread of its own: others may have left a loop running in this one.
    thread = threading.Thread(target=asyncio.run, args=(connect(),))
    thread.start()
    thread.join(20)
    assert at_once and all(at_once)


def test_the_wheel_carries_the_page_and_streamlit_finds_it(tmp_path) -> None:
    pip = [sys.executable, "-m", "pip", "-q", "wheel", "--no-deps", "--no-build-isolation"]
    # A copy: building in place would leave files in the checkout and take old ones along.
    source = tmp_path / "source"
    shutil.copytree(ROOT / "annoloop", source / "annoloop", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    built = subprocess.run([*pip, str(source), "-w", str(tmp_path)], capture_output=True, text=True)
    assert built.returncode == 0, built.stderr
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        inside = set(archive.namelist())
        archive.extractall(tmp_path / "installed")
    assets = {path.name for path in (ROOT / "annoloop/review/frontend").iterdir()}
    assert {"main.js", "main.css", "text.js", "panels.css"} <= assets
    assert {f"annoloop/review/frontend/{name}" for name in assets} <= inside
    code = (
        "from streamlit.components.v2.manifest_scanner import scan_component_manifests\n"
        "found = [(str(root), c.resolve_asset_root(root)) for m, root in scan_component_manifests()"
        " if m.name == 'annoloop' for c in m.components]\n"
        "print(found[0][1])"
    )
    shown = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True, text=True, cwd=tmp_path, env={"PYTHONPATH": str(tmp_path / "installed")},
    )  # fmt: skip
    assert shown.stdout.strip() == str(tmp_path / "installed" / "annoloop" / "review" / "frontend"), (
        shown.stderr
    )
