"""Who may do what on the page: roles by name, pages by role."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from typing import Any

from annoloop.settings.schema import Settings
from annoloop.types import Role

PAGES: Mapping[str, Role] = {
    "label": "expert",
    "adjudicate": "reviewer",
    "progress": "expert",
    "compare": "reviewer",
    "tournament": "reviewer",
    "rules": "developer",
    "texts": "reviewer",
    "start": "developer",
}
"""Every page, in the order of the navigation, with the least role that may see it."""

RIGHTS: Mapping[str, Role] = {**PAGES, "export": "developer", "import": "reviewer"}
"""The pages and what else asks for a role: taking the project's content out, putting texts in."""

_RANK: Mapping[Role, int] = {"expert": 0, "reviewer": 1, "developer": 2}


def role_of(settings: Settings, who: str, *, known: bool) -> Role | None:
    """The role of `who`, None where they may nothing.

    Names are compared without regard to case, as mail addresses are.

    Args:
        known: whether a login says who it is. Without one the page listens on this machine only, and
            whoever is not named in the settings is its owner: a developer.
    """
    review = settings.review
    named = {name.strip('"').casefold(): role for name, role in review.roles.items()}
    return named.get(who.casefold(), review.default_role if known else "developer")


def name_from_claims(claims: Mapping[str, Any]) -> str | None:
    """The name under which an OpenID provider knows somebody: the mail address, else another name.

    An address that the provider says it did not verify may be anybody's, so it does not count.
    """
    unverified = claims.get("email") if claims.get("email_verified") is False else None
    for claim in ("email", "preferred_username", "sub"):
        value = claims.get(claim)
        if isinstance(value, str) and value != unverified and (name := clean_name(value)):
            return name
    return None


def name_from_header(raw: str) -> str | None:
    """The name in a proxy's header, which carries bytes: UTF-8 where they are that, else Latin-1."""
    with contextlib.suppress(UnicodeError):
        raw = raw.encode("latin1").decode("utf8")
    return clean_name(raw) or None


def clean_name(raw: str) -> str:
    """A name without what cannot be seen, of at most 100 characters."""
    return "".join(char for char in raw if char.isprintable()).strip()[:100]


def may(role: Role | None, what: str) -> bool:
    """Whether a role may see a page or do what `RIGHTS` names; what is not named there nobody may."""
    return role is not None and what in RIGHTS and _RANK[role] >= _RANK[RIGHTS[what]]
