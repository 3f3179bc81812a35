"""The routes of the page: answers in, texts out. Who calls is what the token says, nothing else."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from annoloop.errors import AnnoloopError, SchemeError, StoreError
from annoloop.review.history import search
from annoloop.review.people import may
from annoloop.review.queue import sync
from annoloop.review.server.review import Review
from annoloop.types import Role

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import BaseRoute

ROUTE = "/annoloop/sync"
HISTORY_ROUTE = "/annoloop/history"
MAX_BODY = 8_000_000
"""Bytes of one call; 500 answers with some hundred spans each fit."""

Answering = Callable[[Review, str, Role, Any], dict[str, Any]]


class RefusedError(Exception):
    """A call that is not answered, with the HTTP status that says why."""

    def __init__(self, status: int, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.hint = hint


def routes(review: Review) -> list[BaseRoute]:
    """The routes beside Streamlit's own."""
    from starlette.responses import RedirectResponse
    from starlette.routing import Route

    def route(path: str, answering: Answering) -> BaseRoute:
        async def endpoint(request: Request) -> Response:
            try:
                return reply(200, await answer_call(review, request, answering))
            except RefusedError as error:
                return reply(error.status, {"message": error.message, "hint": error.hint})

        return Route(path, endpoint, methods=["POST"])

    async def label(request: Request) -> Response:
        # The first page lives at the root only; under its name Streamlit would say that it is not there.
        query = f"?{request.url.query}" if request.url.query else ""
        return RedirectResponse(f"./{query}")

    return [
        route(ROUTE, answer_sync),
        route(HISTORY_ROUTE, answer_history),
        Route("/label", label, methods=["GET"]),
    ]


async def answer_call(review: Review, request: Request, answering: Answering) -> dict[str, Any]:
    """One call of the page: checked, then answered off the event loop.

    Raises:
        RefusedError: with 401 (no token that counts), 403 (not for this role), 400, 413, 415 (not a call as
            it should be) or 503 (the store cannot save now; nothing was acknowledged).
    """
    from starlette.concurrency import run_in_threadpool

    who = review.annotator_of(request.headers.get("x-annoloop-token", ""))
    if who is None:
        raise RefusedError(401, "this page is out of date", "reload it")
    role = review.role(who)
    if role is None:
        raise RefusedError(403, f"{who} may not label here", "ask whoever runs this page")
    if request.headers.get("content-type", "").split(";")[0] != "application/json":
        raise RefusedError(415, "not JSON")
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY:
            raise RefusedError(413, f"more than {MAX_BODY} bytes in one call")
    try:
        call = json.loads(bytes(body))
        return await run_in_threadpool(answering, review, who, role, call)
    except (ValueError, RecursionError):
        raise RefusedError(400, "not JSON") from None
    except SchemeError as error:
        raise RefusedError(400, error.message, error.hint) from None
    except StoreError as error:
        raise RefusedError(503, error.message, error.hint) from None
    except AnnoloopError as error:
        raise RefusedError(503, error.message, error.hint) from None


def answer_sync(review: Review, who: str, role: Role, call: Any) -> dict[str, Any]:
    """Save answers and hand out texts, as `queue.sync` does; also for the page's own fallback.

    Raises:
        RefusedError: 403, the role may not adjudicate.
        SchemeError, StoreError: as `queue.sync`.
    """
    project = review.project
    mode = call.get("mode", "label") if isinstance(call, dict) else "label"
    if mode == "adjudicate" and not may(role, "adjudicate"):
        raise RefusedError(403, f"{who} may not adjudicate", "ask whoever runs this page")
    settings = project.settings.review
    return sync(
        project.store,
        project.scheme,
        who,
        call,
        lang=project.settings.project.lang,
        lease_seconds=settings.lease_minutes * 60,
        mode_allowed=("label", "adjudicate") if may(role, "adjudicate") else ("label",),
        agreement_passes=settings.agreement_passes,
    )


def answer_history(review: Review, who: str, role: Role, call: Any) -> dict[str, Any]:
    """The caller's own answers.

    Raises:
        SchemeError, StoreError: as `history.search`.
    """
    project = review.project
    return search(project.store, project.scheme, who, call, lang=project.settings.project.lang)


def reply(status: int, content: dict[str, Any]) -> Response:
    """An answer that no cache keeps."""
    from starlette.responses import Response

    # Escaped to ASCII: a text with a lone surrogate must reach the page too.
    return Response(
        json.dumps(content, separators=(",", ":")),
        status_code=status,
        media_type="application/json",
        headers={"Cache-Control": "no-store"},
    )
