"""What one running page serves: a project that changes under it, and who may do what there."""

from __future__ import annotations

import threading
from functools import cached_property
from pathlib import Path
from typing import NoReturn

from annoloop.errors import AnnoloopError, SchemeError, SettingsError
from annoloop.project import Project
from annoloop.review import people
from annoloop.review.server.calls import networks
from annoloop.review.server.tokens import Tokens, project_id, signing_key
from annoloop.settings.load import FILE_NAME, load_settings
from annoloop.types import Role


class Review:
    """A project folder under review; the project itself may still have to be made.

    Settings are read again as soon as their file changes, so that a role taken away is gone at once.
    A broken file changes nothing: `problem` says what is wrong with it.
    """

    def __init__(self, folder: Path, annotator: str) -> None:
        self.folder = folder
        self.annotator = annotator
        self.problem: AnnoloopError | None = None
        self._project: Project | None = None
        self._seen: tuple[int, int, int] | None = None
        self._lock = threading.Lock()

    @property
    def project(self) -> Project:
        """The project as its settings are now.

        Raises:
            SettingsError, SchemeError: there is none yet, or it has no labels.
        """
        with self._lock:
            self._refresh()
            if self._project is None:
                raise self.problem or SettingsError(f"{self.folder} is no project yet")
            return self._project

    @property
    def is_made(self) -> bool:
        """Whether there is a project with labels, so that texts can be labelled."""
        with self._lock:
            self._refresh()
            return self._project is not None

    @property
    def login(self) -> str | None:
        """How people are known: "oidc", "proxy", or None where they are not."""
        return self.project.settings.review.login if self.is_made else None

    @cached_property
    def key(self) -> str:
        """What signs the tokens; only in a folder that is a project."""
        return signing_key(self.project.folder)

    @property
    def project_id(self) -> str:
        """Names the project in the browser's storage."""
        return project_id(self.key)

    def role(self, who: str) -> Role | None:
        """What `who` may do now; None: nothing."""
        if not self.is_made:
            return "developer"
        settings = self.project.settings
        return people.role_of(settings, who, known=settings.review.login is not None)

    def token(self, who: str) -> str:
        """A signed token with which the page proves whose answers it sends."""
        return Tokens(self.key, self.login).make(who)

    def annotator_of(self, token: str) -> str | None:
        """Whom a token was made for; None where it is forged, foreign, too old or of another login."""
        return Tokens(self.key, self.login).read(token) if self.is_made else None

    def close(self) -> None:
        """Close the store."""
        if self._project is not None:
            self._project.store.close()

    def _refresh(self) -> None:
        try:
            stat = (self.folder / FILE_NAME).stat()
        except OSError:
            seen = None
        else:
            seen = (stat.st_mtime_ns, stat.st_size, stat.st_ino)
        if seen == self._seen:
            return
        self._seen = seen
        try:
            self._project, self.problem = self._reread(), None
        except (SettingsError, SchemeError) as error:
            self.problem = error

    def _reread(self) -> Project:
        fresh = Project.open(self.folder)
        networks(fresh.settings.review.trusted_proxies)
        known = self._project
        if known is not None:
            before, after = known.settings, fresh.settings
            if before.store.url != after.store.url:
                self._refuse("store -> url")
            # Whoever could come in at all could do anything the moment a login was taken away.
            if before.review.login not in (None, after.review.login):
                self._refuse("review -> login")
            # The store stays open: other threads are using it.
            vars(fresh)["store"] = known.store
        return fresh

    def _refuse(self, setting: str) -> NoReturn:
        raise SettingsError(
            f"{self.folder / FILE_NAME}: {setting} changed while the page runs", hint="start the page again"
        )


def is_to_be_made(folder: Path) -> bool:
    """Whether `folder` is to become a project: it has no settings yet, or its settings name no labels.

    Whoever opens the page makes the project; where people have to log in, it has to be there already.

    Raises:
        SettingsError: its settings are broken.
    """
    if not (folder / FILE_NAME).is_file():
        return folder.is_dir() or folder.absolute().parent.is_dir()
    settings = load_settings(folder)
    return not settings.project.labels and settings.review.login is None
