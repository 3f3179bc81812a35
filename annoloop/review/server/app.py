"""Start and stop: where the page listens, and Streamlit's application with the routes beside it."""

from __future__ import annotations

import errno
import importlib
import os
import socket
import threading
import time
import webbrowser
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from annoloop.errors import AnnoloopError
from annoloop.review.ahead import Ahead
from annoloop.review.pieces import prepare, warm
from annoloop.review.server.calls import LOOPBACK, networks
from annoloop.review.server.guard import Guard
from annoloop.review.server.identity import check_oidc, secrets_file
from annoloop.review.server.review import Review, is_to_be_made
from annoloop.review.server.routes import routes

if TYPE_CHECKING:
    from streamlit.starlette import App

DEFAULT_PORT = 8501
SPACY_LATER = 6.0
"""Seconds after which this process loads spaCy itself."""
MAX_UPLOAD = 200
"""Megabytes of one file that somebody puts in through the page; the command line takes more."""

_OPTIONS: dict[str, Any] = {
    "browser.gatherUsageStats": False,
    "client.toolbarMode": "minimal",
    "client.showErrorDetails": "type",
    "global.developmentMode": False,
    "logger.level": "error",
    "server.enableCORS": True,
    "server.enableXsrfProtection": True,
    "server.fileWatcherType": "none",
    "server.enableAgentApi": False,
    "server.enableStaticServing": False,
    "server.maxUploadSize": MAX_UPLOAD,
    "server.trustedUserHeaders": {},
    "runner.magicEnabled": False,
    "server.headless": True,
    "theme.baseRadius": "0.6rem",
    "theme.light.primaryColor": "#2563c9",
    "theme.light.linkColor": "#2563c9",
    "theme.light.backgroundColor": "#ffffff",
    "theme.light.secondaryBackgroundColor": "#f3f5f8",
    "theme.light.textColor": "#1b2330",
    "theme.light.borderColor": "#d8dee7",
    # White words on the first, 4.8 to 1; words and edges on the page in the second.
    "theme.dark.primaryColor": "#2f6fd6",
    "theme.dark.linkColor": "#8ab8ff",
    "theme.dark.backgroundColor": "#12161d",
    "theme.dark.secondaryBackgroundColor": "#1b212b",
    "theme.dark.textColor": "#e6eaf0",
    "theme.dark.borderColor": "#343d4b",
}

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
    """Serve a project's review page until interrupted; where there is no project yet, the page makes it.

    Args:
        port: 0 takes a free one.
        host: where to listen; beyond this machine only with a login.
        annotator: whose answers they are, unless the address says `?session=NAME`; None takes the name
            of the user who runs this. With a login it says nothing.
        on_ready: called with the page's address as soon as it can be opened.

    Raises:
        AnnoloopError: the port is taken, or `host` lies beyond this machine and nobody has to log in.
        SettingsError, StoreError: the project cannot be opened.
    """
    review = open_review(project_folder, annotator=annotator)
    listener = None
    try:
        public = check_login(review, host)
        listener = _listen(host, port)
        _prepare(review)
        address = public or f"http://localhost:{listener.getsockname()[1]}"

        def ready() -> None:
            _warm(review)
            if on_ready:
                on_ready(address)
            if open_browser:
                threading.Thread(target=webbrowser.open, args=(address,), daemon=True).start()

        _run(build_app(review, on_ready=ready), listener)
    finally:
        if listener is not None:
            listener.close()
        prepare(None)
        review.close()


def open_review(project_folder: Path, *, annotator: str | None = None) -> Review:
    """Open a project for review; its store is opened too, so that a damaged one is reported at once.

    Raises:
        SettingsError, SchemeError, StoreError: it cannot be opened, nor is it one that is to be made.
    """
    folder = Path(project_folder)
    review = Review(folder, annotator or _user_name())
    if not is_to_be_made(folder):
        review.project.store.progress()
    return review


def check_login(review: Review, host: str) -> str | None:
    """Refuse to start where anybody could come in, or nobody.

    Returns:
        The address under which people come, None where they come from this machine.

    Raises:
        AnnoloopError: with the setting that is missing.
    """
    login = review.login
    if host in LOOPBACK and login is None:
        return None
    if login is None:
        raise AnnoloopError(
            f"the page has no login and listens on this machine only, not on {host}",
            hint="set [review] login in annoloop.cfg, or use a tunnel: "
            "ssh -L 8501:localhost:8501 this-machine",
        )
    settings = review.project.settings.review
    networks(settings.trusted_proxies)
    public = check_oidc(review.folder) if login == "oidc" else None
    if host not in LOOPBACK and not settings.hosts:
        raise AnnoloopError(
            "the page does not know the name under which it is reached",
            hint='name it in annoloop.cfg: [review] hosts = ["labels.example.org"]',
        )
    return public or (f"https://{settings.hosts[0]}" if settings.hosts else None)


def build_app(review: Review, *, on_ready: Callable[[], None] | None = None) -> App:
    """The application: Streamlit's pages and the routes, refusing calls from other sites."""
    global _running
    from contextlib import asynccontextmanager

    from starlette.middleware import Middleware
    from streamlit.starlette import App
    from streamlit.web.bootstrap import load_config_options

    _running = review
    load_config_options({**_OPTIONS, "secrets.files": [str(secrets_file(review.folder))]})

    @asynccontextmanager
    async def lifespan(_: Any) -> Any:
        if on_ready:
            on_ready()
        yield

    return App(
        Path(__file__).parent.parent / "pages" / "app.py",
        routes=routes(review),
        middleware=[Middleware(Guard, review=review)],
        lifespan=lifespan,
    )


def _prepare(review: Review) -> None:
    """Have another process load spaCy for the first texts: while this one is still starting."""
    if review.is_made:
        prepare(Ahead(review.project.settings.project.lang))


def _warm(review: Review) -> None:
    """Load in another thread, while the browser fetches the page, what the pages will need.

    First what Streamlit looks for tables with; spaCy only when the first text can be on the screen: two
    threads that load at once hold each other up.
    """

    def load() -> None:
        for package in ("pandas", "pyarrow"):
            importlib.import_module(package)
        if review.is_made:
            time.sleep(SPACY_LATER)
            warm(review.project.settings.project.lang)

    threading.Thread(target=load, daemon=True).start()


def _run(app: App, listener: socket.socket) -> None:
    import uvicorn

    config = uvicorn.Config(
        app,
        log_level="error",
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=2,
        # Who is at the other end is what the socket says: the guard trusts addresses by it.
        proxy_headers=False,
    )
    try:
        uvicorn.Server(config).run(sockets=[listener])
    except KeyboardInterrupt:
        # The server has shut down in order; how a page is left is no error.
        return


def _listen(host: str, port: int) -> socket.socket:
    # asyncio switches Nagle's algorithm off only where the protocol is named: without it every second call
    # on a connection waits some 40 ms for the other side's delayed acknowledgement.
    listener = socket.socket(
        socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP
    )
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


def _user_name() -> str:
    import getpass

    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):
        return "expert"
