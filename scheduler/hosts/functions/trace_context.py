"""Puts the trace of an invocation into its HTTP request. Used by triggers.

The Functions host starts a span for each request, in the caller's trace if the request has one, and passes its ids in
the invocation's context.
"""

from __future__ import annotations

from starlette.types import ASGIApp, Receive, Scope, Send

from jobs.formats.trace_ids import TRACE_HEADER


def with_trace_parent(app: ASGIApp, trace_parent: str) -> ASGIApp:
    """Return an app whose requests have this `traceparent` instead of the caller's; the same app if it is empty."""
    if not trace_parent:
        return app
    name, value = TRACE_HEADER.encode(), trace_parent.encode("ascii", "replace")

    async def traced(scope: Scope, receive: Receive, send: Send) -> None:
        headers = [(key, text) for key, text in scope["headers"] if key.lower() != name]
        await app({**scope, "headers": [*headers, (name, value)]}, receive, send)

    return traced
