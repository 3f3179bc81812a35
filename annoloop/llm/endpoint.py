"""Where texts may go: the class of an address, and a client that can reach that address and no other."""

from __future__ import annotations

import ipaddress
import os
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlsplit

from annoloop.errors import LLMError

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


def resolve(base_url: str) -> Endpoint:
    """Look the URL's host up. A host that does not resolve counts as public.

    Raises:
        LLMError: this is no http or https URL.
    """
    parts = urlsplit(base_url)
    try:
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port = None, None
    if parts.scheme not in ("http", "https") or not host or parts.username or parts.query or parts.fragment:
        raise LLMError(
            f"llm -> model -> base_url: {base_url!r} is not an address of a server",
            hint='for example "http://localhost:11434/v1", or "embedded" for the small local model',
        )
    port = port or (443 if parts.scheme == "https" else 80)
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return Endpoint(base_url, host, port, (), "public")
    addresses = tuple(dict.fromkeys(str(info[4][0]) for info in found))
    widest = REACHES[max((REACHES.index(reach_of(address)) for address in addresses), default=2)]
    return Endpoint(base_url, host, port, addresses, widest)


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
        LLMError: the named variable is not set and the server is not on this machine.
    """
    name = api_key_env or (DEFAULT_KEY_ENV if endpoint.host == DEFAULT_KEY_HOST else None)
    if name is None:
        return None
    key = os.environ.get(name, "").strip()
    if not key and endpoint.reach != "loopback":
        raise LLMError(
            f"the environment variable {name} with the key for {endpoint.host} is not set",
            hint=f"export {name}=..., or name another variable in llm -> model -> api_key_env",
        )
    return key or None


def open_client(endpoint: Endpoint, *, key: str | None, timeout: float, workers: int) -> openai.OpenAI:
    """An `openai` client that reaches the checked addresses and nothing else.

    No proxy or other environment variable, no redirect, no header beyond `SENT_HEADERS`; without a key no
    Authorization. The host's name is not looked up again: connections go to the addresses that were checked.
    """
    import openai

    transport = _pinned_transport(endpoint, send_key=key is not None, workers=workers)
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


def _pinned_transport(endpoint: Endpoint, *, send_key: bool, workers: int) -> Any:
    httpx = _httpx()
    limits = httpx.Limits(max_connections=workers + 4, max_keepalive_connections=workers + 4)

    class PinnedTransport(httpx.HTTPTransport):  # type: ignore[misc, name-defined]
        """Connects to the addresses that were checked, under the host's name (Host, TLS)."""

        def handle_request(self, request: Any) -> Any:
            if request.url.host.strip("[]") != endpoint.host or _port(request.url) != endpoint.port:
                raise httpx.ConnectError(f"{request.url.host} is not the checked host {endpoint.host}")
            for name in [n for n in request.headers if n.lower() not in SENT_HEADERS]:
                del request.headers[name]
            if not send_key:
                request.headers.pop("authorization", None)
            request.extensions = {**request.extensions, "sni_hostname": endpoint.host}
            return _first_that_connects(super().handle_request, request, endpoint, httpx.ConnectError)

    return PinnedTransport(trust_env=False, limits=limits)


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
    for address in addresses[:-1]:
        request.url = url.copy_with(host=address)
        try:
            return send(request)
        except refused:
            continue
    request.url = url.copy_with(host=addresses[-1])
    return send(request)
