"""The review page's server: Streamlit's own, with routes beside it through which answers are saved."""

from annoloop.review.server.app import build_app, open_review, running, serve
from annoloop.review.server.review import Review
from annoloop.review.server.routes import HISTORY_ROUTE, ROUTE

__all__ = ["HISTORY_ROUTE", "ROUTE", "Review", "build_app", "open_review", "running", "serve"]
