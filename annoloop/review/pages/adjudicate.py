"""The page where a reviewer settles what annotators see differently."""

from __future__ import annotations

from annoloop.review.pages.frame import Visit
from annoloop.review.pages.label import mount


def show(visit: Visit) -> None:
    """Draw the page."""
    mount(visit, "adjudicate")
