"""Puts the trace of an invocation into its HTTP request. Used by triggers.

The Functions host begins a span of its own for each request, in the caller's trace if the request has one, and hands
over its ids beside the request.
"""

from __future__ import annotations

from starlette.types import ASGIApp, Receive, Scope, Send

from jobs.formats.trace_ids import TRACE_HEADER


def with_trace_parent(app: ASGIApp, trace_parent: str) -> ASGIApp:
    """Return an app that gets requests with this header in place of the caller's; the same app without one."""
    if not trace_parent:
        return app
    name, value = TRACE_HEADER.encode(), trace_parent.encode("ascii", "replace")

    async def traced(scope: Scope, receive: Receive, send: Send) -> None:
        headers = [(key, text) for key, text in scope["headers"] if key.lower() != name]
        await app({**scope, "headers": [*headers, (name, value)]}, receive, send)

    return traced
