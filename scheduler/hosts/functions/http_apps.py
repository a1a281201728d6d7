"""The apps that answer HTTP triggers: the API with the trace of the invocation, and a refusal without the program.

The Functions host starts a span for each request, in the caller's trace if the request has one, and passes its ids in
the invocation's context.
"""

from __future__ import annotations

from starlette.applications import Starlette
from starlette.types import ASGIApp, Receive, Scope, Send

from config.errors import ConfigurationError
from jobs.trace_ids import TRACE_HEADER
from scheduler.api.unavailable_app import create_unavailable_api
from scheduler.dispatch.port import DispatchError
from scheduler.stores.port import StoreError


def with_trace_parent(app: ASGIApp, trace_parent: str) -> ASGIApp:
    """Return an app whose requests have this `traceparent` instead of the caller's; the same app if it is empty."""
    if not trace_parent:
        return app
    name, value = TRACE_HEADER.encode(), trace_parent.encode("ascii", "replace")

    async def traced(scope: Scope, receive: Receive, send: Send) -> None:
        headers = [(key, text) for key, text in scope["headers"] if key.lower() != name]
        await app({**scope, "headers": [*headers, (name, value)]}, receive, send)

    return traced


def unavailable_api(error: Exception, *, is_public: bool) -> Starlette:
    """Return an app that answers every request with 503. `error`: why the program did not open.

    The response contains the cause, unless anyone can send requests (`is_public`).
    """
    match error:
        case ConfigurationError(problems=problems):
            number = "a problem" if len(problems) == 1 else f"{len(problems)} problems"
            detail = f"The configuration has {number}, so nothing runs. After they are fixed, the app starts by itself."
            return create_unavailable_api(detail, problems, is_public=is_public)
        case StoreError() | DispatchError():
            return create_unavailable_api(str(error), is_public=is_public)
        case _:
            return create_unavailable_api(
                "The scheduler could not start; the log has the details.", is_public=is_public
            )
