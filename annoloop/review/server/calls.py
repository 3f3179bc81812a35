"""A call as its headers describe it: through which name, from which site's page, how secured."""

from __future__ import annotations

import ipaddress
from collections.abc import Collection
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING
from urllib.parse import SplitResult, urlsplit

from annoloop.errors import SettingsError

if TYPE_CHECKING:
    from starlette.types import Scope

LOOPBACK = ("127.0.0.1", "localhost", "::1")
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True)
class Call:
    """One HTTP call or websocket handshake."""

    path: str
    host: str
    origin: str | None
    site: str
    mode: str
    scheme: str

    @classmethod
    def of(cls, scope: Scope) -> Call:
        """The call that an ASGI scope describes."""
        headers: dict[bytes, str] = {k.lower(): v.decode("latin1") for k, v in scope["headers"]}
        forwarded = headers.get(b"x-forwarded-proto", "").split(",")[0].strip()
        return cls(
            path=str(scope["path"]),
            host=headers.get(b"host", ""),
            origin=headers.get(b"origin"),
            site=headers.get(b"sec-fetch-site", ""),
            mode=headers.get(b"sec-fetch-mode", ""),
            scheme=forwarded or str(scope.get("scheme", "http")),
        )

    def is_for(self, hosts: Collection[str]) -> bool:
        """Whether the call names this machine or one of `hosts`; their port does not matter."""
        name = _name(_split(f"//{self.host}"))
        return name is not None and (name in LOOPBACK or name in {host.lower() for host in hosts})

    @property
    def is_same_site(self) -> bool:
        """Whether no other site's page is behind the call, except where it only leads a person here.

        Behind a proxy that speaks TLS the origin is https and the call itself http: only names and ports
        are compared, a missing port being that of the origin's scheme.
        """
        if self.site in ("cross-site", "same-site") and self.mode != "navigate":
            return False
        if self.origin is None:
            return True
        origin, host = _split(self.origin), _split(f"//{self.host}")
        if origin is None or host is None or origin.scheme not in _PORTS or _name(origin) is None:
            return False
        usual = _PORTS[origin.scheme]
        return (_name(origin), origin.port or usual) == (_name(host), host.port or usual)

    @property
    def is_secure(self) -> bool:
        """Whether cookies may insist on TLS: the call came by it, or is not for this machine."""
        return self.scheme in ("https", "wss") or not self.is_for(())


@lru_cache(maxsize=8)
def networks(proxies: tuple[str, ...]) -> tuple[Network, ...]:
    """Addresses and networks as the settings name them.

    Raises:
        SettingsError: one is neither.
    """
    try:
        return tuple(ipaddress.ip_network(proxy, strict=False) for proxy in proxies)
    except ValueError as error:
        raise SettingsError(f"[review] trusted_proxies: {error}", hint="10.0.0.5 or 10.0.0.0/24") from None


def _split(address: str) -> SplitResult | None:
    try:
        parts = urlsplit(address)
        _ = parts.port
    except ValueError:
        return None
    # In a host name or an origin nothing else may stand.
    extra = parts.path or parts.query or parts.fragment or "@" in parts.netloc
    return None if extra or _is_unsafe(parts.netloc) else parts


def _is_unsafe(netloc: str) -> bool:
    # It is put into a directive of the policy, which it must not end.
    return any(char in " ;,'\"\\" or not char.isprintable() for char in netloc)


def _name(parts: SplitResult | None) -> str | None:
    return parts.hostname.rstrip(".") if parts is not None and parts.hostname else None
