"""What stands before every call: host names, other sites' pages, trusted proxies, policies, cookies."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from annoloop.review.people import may
from annoloop.review.server.calls import Call
from annoloop.review.server.identity import who as identify
from annoloop.review.server.identity import without_untrusted_header
from annoloop.review.server.review import Review
from annoloop.review.server.routes import reply
from annoloop.types import Role

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

HEALTH = "/_stcore/health"
_OPEN = (HEALTH, "/_stcore/host-config", "/_stcore/stream")
_OPEN_BELOW = ("/_stcore/bidi-components/", "/_stcore/upload_file/")
"""What of Streamlit's own endpoints the pages need; the others (figures, agents) stay shut."""

_POLICY = (
    "default-src 'self'; script-src 'self' 'wasm-unsafe-eval' {scripts}; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; font-src 'self' data:; connect-src 'self' ws://{host} wss://{host}; "
    "object-src 'none'; base-uri 'self'; frame-ancestors 'none'; form-action 'self'"
)
_HEADERS = (
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(), geolocation=(), microphone=(), payment=(), usb=()"),
    (b"referrer-policy", b"same-origin"),
    (b"x-content-type-options", b"nosniff"),
)
_SCRIPTS_READ = b"_streamlit_xsrf="
"""The one cookie that the page's own scripts have to read: it proves that a call comes from them."""


class Guard:
    """Refuse what comes through another host name, from another site or past the login; harden the rest."""

    def __init__(self, app: ASGIApp, review: Review) -> None:
        self.app = app
        self.review = review
        self.scripts = inline_scripts()
        self._roles: dict[str, Role | None] = {}
        self._changed: set[str] = set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a call on, with policies on what it answers, or refuse it."""
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        scope = without_untrusted_header(self.review, scope)
        call = Call.of(scope)
        who = identify(self.review, scope)
        refusal = self._refusal(call, who)
        if refusal is not None:
            await refuse(*refusal, scope, receive, send)
        elif scope["type"] == "websocket" and who is not None:
            await self.app(self._own_session(scope, who), self._with_role_checked(receive, who), send)
        else:
            await self.app(scope, receive, self._hardened(send, call))

    def _refusal(self, call: Call, who: str | None) -> tuple[int, str] | None:
        review = self.review
        login = review.login
        hosts = review.project.settings.review.hosts if review.is_made else ()
        if not call.is_for(hosts) or not call.is_same_site:
            return 403, "refused: the call comes from another site"
        path = call.path
        if path.startswith("/_stcore/") and path not in _OPEN and not path.startswith(_OPEN_BELOW):
            return 404, "there is nothing here"
        if login == "proxy" and who is None and path != HEALTH:
            return 403, "this page is reached through its proxy, which says who you are"
        if login is not None:
            needed = "export" if path.startswith("/media/") else None
            needed = "import" if path.startswith("/_stcore/upload_file/") else needed
            if needed and (who is None or not may(review.role(who), needed)):
                return 403, "this is not for your role"
        return None

    def _with_role_checked(self, receive: Receive, who: str) -> Receive:
        """The page's messages; the first after its person's role changed draws the whole page anew.

        Left as it is, it could start a callback or a part of a page that is no longer this person's:
        neither goes through the page's script, which looks the role up.
        """
        role = self._note_role(who)

        async def receive_checked() -> Message:
            nonlocal role
            message = await receive()
            if message["type"] == "websocket.receive" and message.get("bytes"):
                now = self._note_role(who)
                if now != role:
                    role = now
                    return {**message, "bytes": drawn_anew(message["bytes"])}
            return message

        return receive_checked

    def _own_session(self, scope: Scope, who: str) -> Scope:
        """What a page remembers from an earlier role is not taken up again."""
        self._note_role(who)
        if who not in self._changed:
            return scope
        offered = scope.get("subprotocols", [])[:2]
        headers = [(key, value) for key, value in scope["headers"] if key != b"sec-websocket-protocol"]
        value = ", ".join(offered).encode("latin1")
        return {**scope, "subprotocols": offered, "headers": [*headers, (b"sec-websocket-protocol", value)]}

    def _note_role(self, who: str) -> Role | None:
        role = self.review.role(who)
        if self._roles.setdefault(who, role) != role:
            self._roles[who] = role
            self._changed.add(who)
        return role

    def _hardened(self, send: Send, call: Call) -> Send:
        policy = _POLICY.format(scripts=self.scripts, host=call.host).encode("latin1")

        async def send_hardened(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = hardened(message.get("headers", []), secure=call.is_secure)
                extra = [(b"content-security-policy", policy), *_HEADERS]
                message = {**message, "headers": [*headers, *extra]}
            await send(message)

        return send_hardened


def hardened(headers: Iterable[tuple[bytes, bytes]], *, secure: bool) -> list[tuple[bytes, bytes]]:
    """Headers whose cookies stay out of scripts' and other sites' reach, and off the open net."""
    done = []
    for name, value in headers:
        if name.lower() == b"set-cookie":
            known = value.lower()
            if b"; httponly" not in known and not known.startswith(_SCRIPTS_READ):
                value += b"; HttpOnly"
            if b"; samesite" not in known:
                value += b"; SameSite=Lax"
            if secure and b"; secure" not in known:
                value += b"; Secure"
        if name.lower() not in (b"x-content-type-options", b"referrer-policy"):
            done.append((name, value))
    return done


def drawn_anew(message: bytes) -> bytes:
    """A page's message that asks for the page as it is when opened, whatever else it asked for."""
    from google.protobuf.message import DecodeError
    from streamlit.proto.BackMsg_pb2 import BackMsg

    asked, clean = BackMsg(), BackMsg()
    try:
        asked.ParseFromString(message)
    except DecodeError:
        return message
    clean.rerun_script.query_string = asked.rerun_script.query_string
    clean.rerun_script.page_script_hash = asked.rerun_script.page_script_hash
    clean.rerun_script.page_name = asked.rerun_script.page_name
    if asked.rerun_script.HasField("context_info"):
        clean.rerun_script.context_info.CopyFrom(asked.rerun_script.context_info)
    return bytes(clean.SerializeToString())


def inline_scripts() -> str:
    """The hashes of the inline scripts in Streamlit's own page: no other may run."""
    import streamlit

    page = (Path(streamlit.__file__).parent / "static" / "index.html").read_text(encoding="utf8")
    found = re.findall(r"<script>(.*?)</script>", page, flags=re.DOTALL)
    digests = (hashlib.sha256(script.encode()).digest() for script in found)
    return " ".join(f"'sha256-{base64.b64encode(digest).decode()}'" for digest in digests)


async def refuse(status: int, message: str, scope: Any, receive: Receive, send: Send) -> None:
    """Answer a call with the reason why it is not passed on."""
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.close", "code": 1008})
        return
    await reply(status, {"message": message})(scope, receive, send)
