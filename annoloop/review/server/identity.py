"""Who a call comes from, as a login says: an OpenID provider's signed cookie or a proxy's header."""

from __future__ import annotations

import ipaddress
import json
import tomllib
from collections.abc import Iterable
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from annoloop.errors import AnnoloopError, SettingsError
from annoloop.review.people import name_from_claims, name_from_header
from annoloop.review.server.calls import networks
from annoloop.review.server.review import Review

if TYPE_CHECKING:
    from starlette.types import Scope

MIN_SECRET = 32
_NEEDED = ("redirect_uri", "cookie_secret")
_PROVIDER = ("client_id", "client_secret", "server_metadata_url")


def who(review: Review, scope: Scope) -> str | None:
    """The name that the login gives to a call; None where there is no login or it says nothing."""
    match review.login:
        case "proxy":
            wanted = review.project.settings.review.proxy_header.lower().encode("latin1")
            values = [value for key, value in scope["headers"] if key.lower() == wanted]
            return name_from_header(values[0].decode("latin1")) if values else None
        case "oidc":
            return _by_cookie(scope)
        case _:
            return None


def without_untrusted_header(review: Review, scope: Scope) -> Scope:
    """The call without the proxy's header, unless it was set once and by a trusted proxy itself.

    What counts is the address at the other end of the socket, never one that a header names.
    """
    if review.login != "proxy":
        return scope
    settings = review.project.settings.review
    wanted = settings.proxy_header.lower().encode("latin1")
    found = [value for key, value in scope["headers"] if key.lower() == wanted]
    client = scope.get("client")
    if len(found) == 1 and client and is_trusted(client[0], settings.trusted_proxies):
        return scope
    return {**scope, "headers": [(k, v) for k, v in scope["headers"] if k.lower() != wanted]}


def is_trusted(address: str, proxies: Iterable[str]) -> bool:
    """Whether an address is one of `proxies`, or lies in one of the networks named there."""
    try:
        peer = ipaddress.ip_address(address.split("%")[0])
    except ValueError:
        return False
    mapped = getattr(peer, "ipv4_mapped", None)
    return any((mapped or peer) in network for network in networks(tuple(proxies)))


def secrets_file(folder: Path) -> Path:
    """Where Streamlit reads how to reach the OpenID provider."""
    return folder / ".streamlit" / "secrets.toml"


def check_oidc(folder: Path) -> str:
    """Check that people can log in by an OpenID provider; returns the address under which they come.

    Raises:
        AnnoloopError: the package is not installed, or `.streamlit/secrets.toml` lacks something.
    """
    if find_spec("authlib") is None:
        raise AnnoloopError(
            'login "oidc" needs another package', hint="install it: pip install 'annoloop[team]'"
        )
    path = secrets_file(folder)
    try:
        auth = tomllib.loads(path.read_text(encoding="utf8")).get("auth", {})
    except OSError as error:
        raise SettingsError(
            f'login "oidc" needs {path}: {error.strerror}', hint="docs.streamlit.io: st.login"
        ) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path} is broken: {error}") from None
    missing = [name for name in (*_NEEDED, *_PROVIDER) if not isinstance(auth.get(name), str)]
    if missing:
        raise SettingsError(f"{path}: [auth] lacks {missing[0]}", hint="docs.streamlit.io: st.login")
    if len(auth["cookie_secret"]) < MIN_SECRET:
        raise SettingsError(
            f"{path}: [auth] cookie_secret is shorter than {MIN_SECRET} characters",
            hint="take a random one: python -c 'import secrets; print(secrets.token_hex(32))'",
        )
    address = urlsplit(auth["redirect_uri"])
    return f"{address.scheme}://{address.netloc}"


def _by_cookie(scope: Scope) -> str | None:
    from starlette.requests import cookie_parser
    from streamlit.auth_util import get_cookie_with_chunks
    from streamlit.web.server.server_util import get_cookie_secret
    from streamlit.web.server.starlette.starlette_app_utils import decode_signed_value
    from streamlit.web.server.starlette.starlette_server_config import USER_COOKIE_NAME

    sent = b"; ".join(value for key, value in scope["headers"] if key.lower() == b"cookie").decode("latin1")
    cookies = cookie_parser(sent)

    def read(name: str) -> bytes | None:
        value = cookies.get(name)
        return decode_signed_value(get_cookie_secret(), name, value.encode("latin1")) if value else None

    try:
        claims: Any = json.loads(get_cookie_with_chunks(read, USER_COOKIE_NAME) or b"null")
    except ValueError:
        return None
    return name_from_claims(claims) if isinstance(claims, dict) else None
