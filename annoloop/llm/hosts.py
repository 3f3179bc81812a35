"""Names that stand for addresses without asking anybody: numbers, localhost, the hosts file."""

from __future__ import annotations

import ipaddress
import os
import socket
import sys
from pathlib import Path

_LOCALHOST = ("127.0.0.1", "::1")


def hosts_file() -> Path:
    """Where this machine keeps the names that it knows by itself."""
    if sys.platform == "win32":
        return Path(os.environ.get("SYSTEMROOT", r"C:\Windows"), "System32", "drivers", "etc", "hosts")
    return Path("/etc/hosts")


def known_addresses(name: str) -> tuple[str, ...]:
    """The addresses of a host as far as this machine knows them by itself; no packet leaves for it.

    Empty for a name that only a look-up could tell. `localhost` and all below it are this machine (RFC 6761).
    """
    if number := _number(name):
        return (number,)
    name = name.rstrip(".").casefold()
    listed = _listed(name)
    if not listed and (name == "localhost" or name.endswith(".localhost")):
        return _LOCALHOST
    return listed


def _listed(name: str) -> tuple[str, ...]:
    try:
        lines = hosts_file().read_text(encoding="utf8", errors="replace").splitlines()
    except OSError:
        return ()
    found = []
    for line in lines:
        address, *names = line.partition("#")[0].split() or ("",)
        if name in (one.casefold() for one in names):
            found.append(address)
    return tuple(dict.fromkeys(number for address in found if (number := _number(address))))


def _number(name: str) -> str | None:
    """An address written as a number, also in the ways of old: 127.1 and 2130706433 are 127.0.0.1."""
    try:
        return str(ipaddress.ip_address(name))
    except ValueError:
        pass
    try:
        return socket.inet_ntoa(socket.inet_aton(name))
    except (OSError, UnicodeError):
        return None
