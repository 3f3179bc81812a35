"""The review page's server: Streamlit's own, with one route beside it through which answers are saved."""

from __future__ import annotations

import base64
import errno
import hashlib
import json
import os
import re
import secrets
import socket
import tempfile
import threading
import webbrowser
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from itsdangerous import BadSignature, URLSafeTimedSerializer

from annoloop.errors import AnnoloopError, SchemeError, StoreError
from annoloop.project import Project
from annoloop.review.pieces import pieces
from annoloop.review.queue import sync

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.types import ASGIApp, Receive, Scope, Send
    from streamlit.starlette import App

ROUTE = "/annoloop/sync"
DEFAULT_PORT = 8501
LOOPBACK = ("127.0.0.1", "localhost", "::1")
MAX_BODY = 8_000_000
"""Bytes of one call; 500 answers with some hundred spans each fit."""

_KEY_FILE = ".review.key"
_TOKEN_DAYS = 7

_OPTIONS: dict[str, Any] = {
    "browser.gatherUsageStats": False,
    "client.toolbarMode": "minimal",
    "client.showErrorDetails": "type",
    "global.developmentMode": False,
    "logger.level": "error",
    "server.enableCORS": True,
    "server.enableXsrfProtection": True,
    "server.fileWatcherType": "none",
    "server.headless": True,
    "theme.baseRadius": "0.6rem",
    "theme.light.primaryColor": "#2563c9",
    "theme.light.backgroundColor": "#ffffff",
    "theme.light.secondaryBackgroundColor": "#f3f5f8",
    "theme.light.textColor": "#1b2330",
    "theme.light.borderColor": "#d8dee7",
    "theme.dark.primaryColor": "#7db0ff",
    "theme.dark.backgroundColor": "#12161d",
    "theme.dark.secondaryBackgroundColor": "#1b212b",
    "theme.dark.textColor": "#e6eaf0",
    "theme.dark.borderColor": "#343d4b",
}

_POLICY = (
    "default-src 'self'; script-src 'self' 'wasm-unsafe-eval' {scripts}; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; font-src 'self' data:; connect-src 'self' ws: wss:; "
    "object-src 'none'; base-uri 'self'; frame-ancestors 'none'; form-action 'self'"
)


@dataclass(frozen=True)
class Review:
    """What one running page serves: the project, whose page it is unless the address says otherwise."""

    project: Project
    annotator: str
    key: str

    @property
    def project_id(self) -> str:
        """Names the project in the browser's storage; says nothing about the key."""
        return hashlib.sha256(f"project {self.key}".encode()).hexdigest()[:16]

    def token(self, annotator: str) -> str:
        """A signed token with which the page proves whose answers it sends."""
        return str(self._signer().dumps(annotator))

    def annotator_of(self, token: str) -> str | None:
        """The annotator that a token was made for; None where it is forged, foreign or too old."""
        try:
            return str(self._signer().loads(token, max_age=_TOKEN_DAYS * 86_400))
        except BadSignature:
            return None

    def _signer(self) -> URLSafeTimedSerializer:
        return URLSafeTimedSerializer(self.key, salt="annoloop.review")


_running: Review | None = None


def running() -> Review:
    """The review that this process serves: how Streamlit's script finds it."""
    if _running is None:
        raise AnnoloopError("no review is running in this process", hint="start it: annoloop review PROJECT")
    return _running


def serve(
    project_folder: Path,
    *,
    port: int = DEFAULT_PORT,
    host: str = "127.0.0.1",
    annotator: str | None = None,
    open_browser: bool = False,
    on_ready: Callable[[str], None] | None = None,
) -> None:
    """Serve a project's review page until interrupted.

    Args:
        port: 0 takes a free one.
        annotator: whose answers they are, unless the address says `?session=NAME`; None takes the name
            of the user who runs this.
        on_ready: called with the page's address as soon as it can be opened.

    Raises:
        AnnoloopError: the port is taken, or `host` lies beyond this machine.
        SettingsError, StoreError: the project cannot be opened.
    """
    if host not in LOOPBACK:
        raise AnnoloopError(
            f"the page has no login and listens on this machine only, not on {host}",
            hint="from elsewhere use a tunnel: ssh -L 8501:localhost:8501 this-machine",
        )
    review = open_review(project_folder, annotator=annotator)
    listener = _listen(host, port)
    address = f"http://localhost:{listener.getsockname()[1]}"

    # The tokenizer takes seconds to load: it does so while the browser fetches the page.
    lang = review.project.settings.project.lang
    threading.Thread(target=lambda: pieces("warm", lang=lang), daemon=True).start()

    def ready() -> None:
        if on_ready:
            on_ready(address)
        if open_browser:
            threading.Thread(target=webbrowser.open, args=(address,), daemon=True).start()

    try:
        _run(build_app(review, on_ready=ready), listener)
    finally:
        listener.close()
        review.project.store.close()


def open_review(project_folder: Path, *, annotator: str | None = None) -> Review:
    """Open a project for review; its store is opened too, so that a damaged one is reported at once."""
    project = Project.open(project_folder)
    project.store.progress()
    return Review(project, annotator or _user_name(), _key(project.folder))


def build_app(review: Review, *, on_ready: Callable[[], None] | None = None) -> App:
    """The application: Streamlit's page and the route, refusing calls from other sites."""
    global _running
    from contextlib import asynccontextmanager

    from starlette.middleware import Middleware
    from starlette.routing import Route
    from streamlit.starlette import App
    from streamlit.web.bootstrap import load_config_options

    _running = review
    load_config_options(_OPTIONS)

    async def route(request: Request) -> Response:
        return await answer_call(review, request)

    @asynccontextmanager
    async def lifespan(_: Any) -> Any:
        if on_ready:
            on_ready()
        yield

    return App(
        Path(__file__).parent / "pages" / "label.py",
        routes=[Route(ROUTE, route, methods=["POST"])],
        middleware=[Middleware(SameSite)],
        lifespan=lifespan,
    )


async def answer_call(review: Review, request: Request) -> Response:
    """One call of the page: checked, then handed to `queue.sync` off the event loop."""
    from starlette.concurrency import run_in_threadpool

    annotator = review.annotator_of(request.headers.get("x-annoloop-token", ""))
    if annotator is None:
        return _reply(401, {"message": "this page is out of date", "hint": "reload it"})
    if request.headers.get("content-type", "").split(";")[0] != "application/json":
        return _reply(415, {"message": "not JSON"})
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY:
            return _reply(413, {"message": f"more than {MAX_BODY} bytes in one call"})
    project = review.project
    lang = project.settings.project.lang
    try:
        call = json.loads(bytes(body))
        reply = await run_in_threadpool(sync, project.store, project.scheme, annotator, call, lang=lang)
    except (ValueError, RecursionError):
        return _reply(400, {"message": "not JSON"})
    except SchemeError as error:
        return _reply(400, {"message": error.message, "hint": error.hint})
    except StoreError as error:
        return _reply(503, {"message": error.message, "hint": error.hint})
    return _reply(200, reply)


def _reply(status: int, content: dict[str, Any]) -> Response:
    from starlette.responses import Response

    # Escaped to ASCII: a text with a lone surrogate must reach the page too.
    return Response(
        json.dumps(content, separators=(",", ":")),
        status_code=status,
        media_type="application/json",
        headers={"Cache-Control": "no-store"},
    )


class SameSite:
    """Refuse calls that come through another host name or from another site's page, websocket included."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        self.policy = _POLICY.format(scripts=_inline_scripts()).encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a call on, with the content policy on what it answers, or refuse it with 403."""
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        if not _is_same_site({key.lower(): value.decode("latin1") for key, value in scope["headers"]}):
            await _refuse(scope, receive, send)
            return

        async def send_with_policy(message: Any) -> None:
            if message["type"] == "http.response.start":
                extra = [(b"content-security-policy", self.policy), (b"referrer-policy", b"same-origin")]
                message = {**message, "headers": [*message.get("headers", []), *extra]}
            await send(message)

        await self.app(scope, receive, send_with_policy)


def _inline_scripts() -> str:
    """The hashes of the inline scripts in Streamlit's own page: no other may run."""
    import streamlit

    page = (Path(streamlit.__file__).parent / "static" / "index.html").read_text(encoding="utf8")
    found = re.findall(r"<script>(.*?)</script>", page, flags=re.DOTALL)
    digests = (hashlib.sha256(script.encode()).digest() for script in found)
    return " ".join(f"'sha256-{base64.b64encode(digest).decode()}'" for digest in digests)


def _is_same_site(headers: dict[bytes, str]) -> bool:
    host, origin = headers.get(b"host", ""), headers.get(b"origin")
    if host.rsplit(":", 1)[0].strip("[]") not in LOOPBACK:
        return False
    return origin is None or origin.split("://", 1)[-1] == host


async def _refuse(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.close", "code": 1008})
        return
    await _reply(403, {"message": "refused: the call comes from another site"})(scope, receive, send)


def _run(app: App, listener: socket.socket) -> None:
    import uvicorn

    config = uvicorn.Config(app, log_level="error", access_log=False, timeout_graceful_shutdown=2)
    try:
        uvicorn.Server(config).run(sockets=[listener])
    except KeyboardInterrupt:
        # The server has shut down in order; how a page is left is no error.
        return


def _listen(host: str, port: int) -> socket.socket:
    listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    try:
        if os.name != "nt":
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(128)
    except OSError as error:
        listener.close()
        if error.errno == errno.EADDRINUSE:
            raise AnnoloopError(
                f"port {port} is taken, perhaps by another review page",
                hint=f"open http://localhost:{port}, or take another: --port {port + 1}",
            ) from None
        raise AnnoloopError(f"cannot listen on {host}:{port}: {error.strerror}") from error
    return listener


def _key(folder: Path) -> str:
    """The key that signs this project's tokens, kept so that an open page outlives a restart."""
    path = folder / _KEY_FILE
    try:
        if not path.exists():
            handle, fresh = tempfile.mkstemp(dir=folder, prefix=_KEY_FILE)
            with os.fdopen(handle, "w") as file:
                file.write(secrets.token_hex(32))
            # A rename would let the second of two processes replace the key of the first.
            try:
                os.link(fresh, path)
            except FileExistsError:
                pass
            finally:
                Path(fresh).unlink()
        return path.read_text().strip()
    except OSError as error:
        raise StoreError(f"cannot keep the page's key in {path}: {error.strerror}") from error


def _user_name() -> str:
    import getpass

    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):
        return "expert"
