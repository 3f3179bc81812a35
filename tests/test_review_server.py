"""The server: who may call, what it answers, where it listens, what the wheel carries."""

from __future__ import annotations

import shutil
import socket
import subprocess
import sys
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
    assert reply.json()["progress"] == {"done": 0, "open": 0, "rounds": {}}


def test_calls_without_identity_or_from_elsewhere_are_refused(review, client) -> None:
    good = review.token("anna")
    assert post(client, "").status_code == 401
    assert post(client, good[:-2] + "xx").status_code == 401
    assert post(client, good, Origin="http://evil.example").status_code == 403
    assert post(client, good, Origin="http://localhost:9999").status_code == 403
    assert post(client, good, Origin="null").status_code == 403
    assert post(client, good, Host="evil.example:8501").status_code == 403


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
