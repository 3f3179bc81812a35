"""Signed tokens: with one a page proves whose answers it sends."""

from __future__ import annotations

import hashlib
import os
import secrets
import tempfile
from pathlib import Path

from itsdangerous import BadSignature, URLSafeTimedSerializer

from annoloop.errors import StoreError

KEY_FILE = ".review.key"
DAYS = 7
"""For so long a page may stay open without being reloaded."""


class Tokens:
    """Makes and reads the tokens of one project and one kind of login.

    A token made while nobody had to log in is worth nothing once they have to.
    """

    def __init__(self, key: str, login: str | None) -> None:
        self._signer = URLSafeTimedSerializer(key, salt=f"annoloop.review.{login or 'open'}")

    def make(self, who: str) -> str:
        """A token for `who`."""
        return str(self._signer.dumps(who))

    def read(self, token: str) -> str | None:
        """Whom a token was made for; None where it is forged, foreign or too old."""
        try:
            return str(self._signer.loads(token, max_age=DAYS * 86_400))
        except BadSignature:
            return None


def project_id(key: str) -> str:
    """Names a project in the browser's storage; says nothing about the key."""
    return hashlib.sha256(f"project {key}".encode()).hexdigest()[:16]


def signing_key(folder: Path) -> str:
    """The key that signs a project's tokens, kept so that an open page outlives a restart.

    Raises:
        StoreError: it cannot be kept in `folder`.
    """
    path = folder / KEY_FILE
    try:
        if not path.exists():
            handle, fresh = tempfile.mkstemp(dir=folder, prefix=KEY_FILE)
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
