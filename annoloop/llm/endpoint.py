"""Where texts may go: the class of an address, and a client that can reach that address and no other."""

from __future__ import annotations

import ipaddress
import logging
import os
import re
import socket
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlsplit

from annoloop.errors import LLMError
from annoloop.llm.hosts import known_addresses

if TYPE_CHECKING:
    import openai

Reach = Literal["loopback", "private", "public"]
REACHES: tuple[Reach, ...] = ("loopback", "private", "public")

SENT_HEADERS = frozenset(
    ("accept", "accept-encoding", "authorization", "connection", "content-length", "content-type", "host")
)
"""Request headers that may leave; all else that a client adds (organisation, platform) is removed."""

DEFAULT_KEY_ENV = "OPENAI_API_KEY"
DEFAULT_KEY_HOST = "api.openai.com"

_PRIVATE = tuple(
    ipaddress.ip_network(net) for net in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7")
)


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A base URL with the addresses that its host stood for when it was checked, and the widest of them."""

    base_url: str
    host: str
    port: int
    addresses: tuple[str, ...]
    reach: Reach
    looked_up: bool = True


@dataclass(frozen=True, slots=True)
class Sent:
    """A request at the moment in which it leaves: the connection stands, nothing has been written to it.

    `at` is in seconds since 1970, UTC. `address` is the one that is connected to, None where a foreign model
    chooses it; `reach` is that address's. `size` are the body's bytes, None where unknown. `about` is what
    `asking_about` was told.
    """

    at: float
    address: str | None
    host: str
    reach: Reach
    size: int | None
    about: Mapping[str, Any]


OnOpen = Callable[[Reach], None]
"""Called with the reach of a server before it is opened; raises where it must not be."""
OnSend = Callable[[Sent], None]
_about: ContextVar[Mapping[str, Any] | None] = ContextVar("annoloop.llm.about", default=None)


@contextmanager
def asking_about(about: Mapping[str, Any]) -> Iterator[None]:
    """Tell `on_send` what the requests of this thread are about, such as the text's hash; never its words."""
    token = _about.set(about)
    try:
        yield
    finally:
        _about.reset(token)


def told_about() -> Mapping[str, Any]:
    """What this thread is asking about."""
    return _about.get() or {}


def reach_of(address: str) -> Reach:
    """How far an IP address is away: loopback, private (RFC 1918, unique local), or public.

    Link-local, shared, multicast and unspecified addresses are not private: they count as public.
    """
    ip = ipaddress.ip_address(address.split("%", 1)[0])
    if isinstance(ip, ipaddress.IPv6Address) and ip.ipv4_mapped is not None:
        ip = ip.ipv4_mapped
    if ip.is_loopback:
        return "loopback"
    if any(ip in net for net in _PRIVATE if net.version == ip.version):
        return "private"
    return "public"


def resolve(base_url: str, *, look_up: bool = True) -> Endpoint:
    """The addresses of the URL's host. A host that does not resolve counts as public.

    Numbers, localhost and names of the hosts file are known without asking. Any other name is looked up,
    which tells it to a name server that may be anywhere; without `look_up` it counts as public instead.

    Raises:
        LLMError: this is no http or https URL.
    """
    scheme, host, port = _taken_apart(base_url)
    port = port or (443 if scheme == "https" else 80)
    addresses = known_addresses(host) or (_looked_up(host, port) if look_up else ())
    widest = REACHES[max((REACHES.index(reach_of(address)) for address in addresses), default=2)]
    return Endpoint(base_url, host, port, addresses, widest, looked_up=look_up or bool(addresses))


def allowed_endpoint(base_url: str, allow_remote: str) -> Endpoint:
    """Where a base URL leads, if texts may go there. Under `loopback` no name is looked up anywhere.

    Raises:
        LLMError: they may not, or this is no address of a server; nothing has been sent.
    """
    endpoint = resolve(base_url, look_up=allow_remote != "loopback")
    check_reach(endpoint, allow_remote)
    return endpoint


def _looked_up(host: str, port: int) -> tuple[str, ...]:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return ()
    return tuple(dict.fromkeys(str(info[4][0]) for info in found))


def _taken_apart(base_url: str) -> tuple[str, str, int | None]:
    try:
        parts = urlsplit(base_url)
        scheme, host, port = parts.scheme, parts.hostname, parts.port
        plain = not (re.search(r"[@\\\s]", parts.netloc) or parts.query or parts.fragment)
    except ValueError:
        scheme, host, port, plain = "", None, None, False
    if scheme in ("http", "https") and host and plain:
        return scheme, host, port
    raise LLMError(
        f"llm -> model -> base_url: {_without_secrets(base_url)!r} is not an address of a server",
        hint='for example "http://localhost:11434/v1", or "embedded" for the small local model; '
        "a key comes from the environment, see api_key_env",
    )


def _without_secrets(url: str) -> str:
    """A URL as it may be shown: without a user's name and password, and without its query."""
    before, at, rest = url.rpartition("@")
    scheme = re.match(r"[A-Za-z][A-Za-z0-9+.-]*://", before)
    shown = f"{scheme[0] if scheme else ''}…@{rest}" if at else url
    return re.sub(r"[?#].+", "?…", shown, flags=re.DOTALL)


def check_reach(endpoint: Endpoint, allow_remote: str) -> None:
    """Refuse an endpoint that lies farther away than the project allows.

    Raises:
        LLMError: it does, or `allow_remote` is none of the known words; nothing has been sent.
    """
    if allow_remote not in REACHES:
        raise LLMError(
            f"allow_remote: {allow_remote!r} is not one of {', '.join(REACHES)}",
            hint="loopback keeps every text on this machine",
        )
    if REACHES.index(endpoint.reach) <= REACHES.index(allow_remote):  # type: ignore[arg-type]
        return
    if not endpoint.looked_up:
        raise LLMError(
            f"{endpoint.base_url}: {endpoint.host} is no name of this machine, and the project allows "
            f"{allow_remote} only: nothing was sent, not even a look-up of the name",
            hint="this machine is localhost, 127.0.0.1 or a name in its hosts file; "
            'to send texts elsewhere, set allow_remote = "private" or "public"',
        )
    where = ", ".join(endpoint.addresses) or "no address found, so it counts as public"
    raise LLMError(
        f"{endpoint.base_url} is a {endpoint.reach} address ({where}), "
        f"and the project allows {allow_remote} only: nothing was sent",
        hint=f'to send texts there, set allow_remote = "{endpoint.reach}"',
    )


def check_answers(endpoint: Endpoint, *, seconds: float = 5.0) -> None:
    """Open a connection and close it, sending nothing.

    Raises:
        LLMError: none of the host's addresses takes a connection.
    """
    reason = f"the name {endpoint.host} cannot be resolved"
    for address in endpoint.addresses:
        try:
            socket.create_connection((address, endpoint.port), timeout=seconds).close()
            return
        except OSError as error:
            reason = error.strerror or str(error)
    raise LLMError(
        f"the LLM server at {endpoint.base_url} does not answer: {reason}",
        hint="is it running? To go on without an LLM set [llm.model] base_url = null",
    )


def api_key(endpoint: Endpoint, api_key_env: str | None) -> str | None:
    """The key to send, from the environment: of the variable that the settings name, else none.

    Unnamed, OPENAI_API_KEY is used for api.openai.com and for no other server.

    Raises:
        LLMError: the named variable is not set and the server is not on this machine, or it is no name.
    """
    if api_key_env is not None and not re.fullmatch(r"[A-Z_][A-Z0-9_]{,63}", api_key_env, re.IGNORECASE):
        # Whoever put the key itself there must not find it in an error, a log or a record.
        raise LLMError(
            "llm -> model -> api_key_env: this is no name of an environment variable",
            hint="the key itself belongs into the environment, its variable's name here: OPENAI_API_KEY",
        )
    name = api_key_env or (DEFAULT_KEY_ENV if endpoint.host == DEFAULT_KEY_HOST else None)
    if name is None:
        return None
    key = os.environ.get(name, "").strip()
    if not key and endpoint.reach != "loopback":
        # What does not look like a name may be a key that somebody put in its place.
        shown = name if re.fullmatch(r"[A-Z]+(_[A-Z0-9]+)*", name) else "named by api_key_env"
        raise LLMError(
            f"the environment variable {shown} with the key for {endpoint.host} is not set",
            hint="export it, or name another variable in llm -> model -> api_key_env",
        )
    return key or None


def scrub(said: str, key: str | None = None) -> str:
    """What a server or a library said, with every secret of this process taken out.

    Some servers repeat the key that they refuse, some libraries the request that failed. Secrets are `key`
    and the values of environment variables whose names say so.
    """
    named = (value for name, value in os.environ.items() if _SECRET_NAME.search(name.upper()))
    for secret in sorted({key or "", *(value.strip() for value in named)}, key=len, reverse=True):
        if secret and (secret == key or len(secret) >= _SECRET_LENGTH):
            said = said.replace(secret, "…")
    return said


_SECRET_NAME = re.compile(r"KEY|TOKEN|SECRET|PASSWORD|PASSWD|CREDENTIAL")
_SECRET_LENGTH = 8
_TALKATIVE = ("openai", "httpx", "httpx2", "httpcore", "httpcore2", "spacy_llm")


def silence_logging() -> None:
    """Keep texts and keys out of logs: below WARNING these libraries write whole prompts and headers."""
    for name in _TALKATIVE:
        logger = logging.getLogger(name)
        if logger.level < logging.WARNING:
            logger.setLevel(logging.WARNING)


def open_client(
    endpoint: Endpoint, *, key: str | None, timeout: float, workers: int, on_send: OnSend | None = None
) -> openai.OpenAI:
    """An `openai` client that reaches the checked addresses and nothing else.

    No proxy or other environment variable, no redirect, no header beyond `SENT_HEADERS`; without a key no
    Authorization. The host's name is not looked up again: connections go to the addresses that were checked.
    `on_send` is called for each request once its connection stands, before its first byte is written, in the
    thread that asks; where it raises, nothing is written.
    """
    import openai

    silence_logging()
    transport = _pinned_transport(endpoint, send_key=key is not None, workers=workers, on_send=on_send)
    http_client = openai.DefaultHttpxClient(
        trust_env=False, follow_redirects=False, transport=transport, timeout=timeout
    )
    return openai.OpenAI(
        base_url=endpoint.base_url,
        api_key=key or "none",
        organization="",
        project="",
        max_retries=0,
        timeout=timeout,
        http_client=http_client,
    )


def _httpx() -> Any:
    """The HTTP library that the installed `openai` is built on: httpx2 from version 3, httpx before."""
    import importlib

    import openai

    base = next(
        c for c in openai.DefaultHttpxClient.__mro__ if c.__module__.split(".")[0].startswith("httpx")
    )
    return importlib.import_module(base.__module__.split(".")[0])


def response_type() -> Any:
    """What `openai` gives back of a request as it came, unread."""
    return _httpx().Response


def _pinned_transport(
    endpoint: Endpoint, *, send_key: bool, workers: int, on_send: OnSend | None = None
) -> Any:
    httpx = _httpx()
    limits = httpx.Limits(max_connections=workers + 4, max_keepalive_connections=workers + 4)
    allowed = {name.encode() for name in SENT_HEADERS if send_key or name != "authorization"}

    class PinnedTransport(httpx.HTTPTransport):  # type: ignore[misc, name-defined]
        """Connects to the addresses that were checked, under the host's name (Host, TLS)."""

        def handle_request(self, request: Any) -> Any:
            if request.url.host.strip("[]") != endpoint.host or _port(request.url) != endpoint.port:
                raise httpx.ConnectError(f"{request.url.host} is not the checked host {endpoint.host}")
            # Anew, not one by one deleted: that took a twentieth of a call's time.
            request.headers = httpx.Headers(
                [(name, value) for name, value in request.headers.raw if name.lower() in allowed]
            )
            request.extensions = {**request.extensions, "sni_hostname": endpoint.host}
            watch = _Watch(request, endpoint, on_send) if on_send is not None else None
            response = _first_that_connects(super().handle_request, request, endpoint, httpx.ConnectError)
            if watch is not None and not watch.told:
                raise LLMError("the HTTP library did not say that it sent a request: it cannot be recorded")
            return response

    # Certificates take longer to load than many a question to be answered.
    secure = endpoint.base_url.lower().startswith("https")
    return PinnedTransport(verify=secure, trust_env=False, limits=limits)


class _Watch:
    """Tells `on_send` of a request when its connection stands and its first byte is about to be written."""

    def __init__(self, request: Any, endpoint: Endpoint, on_send: OnSend) -> None:
        self.told = False
        self._request, self._endpoint, self._on_send = request, endpoint, on_send
        request.extensions["trace"] = self._trace

    def _trace(self, name: str, _info: Any) -> None:
        if not name.endswith(".send_request_headers.started"):
            return
        address = self._request.url.host.strip("[]")
        size = self._request.headers.get("content-length")
        self._on_send(
            Sent(
                at=time.time(),
                address=address,
                host=self._endpoint.host,
                reach=reach_of(address),
                size=int(size) if size else None,
                about=told_about(),
            )
        )
        self.told = True


def _port(url: Any) -> int:
    return url.port or (443 if url.scheme == "https" else 80)


def _first_that_connects(
    send: Callable[[Any], Any], request: Any, endpoint: Endpoint, refused: type[Exception]
) -> Any:
    """Send to the first of the host's addresses that accepts a connection."""
    addresses: Sequence[str] = endpoint.addresses
    if not addresses:
        raise refused(f"the name {endpoint.host} cannot be resolved")
    url = request.url
    if addresses == (url.host.strip("[]"),):  # a number: nothing to put in its place
        return send(request)
    for address in addresses[:-1]:
        request.url = url.copy_with(host=address)
        try:
            return send(request)
        except refused:
            continue
    request.url = url.copy_with(host=addresses[-1])
    return send(request)
