"""Sends the response of a request that is rejected before its route. Used by the middleware of this package."""

from __future__ import annotations

from http import HTTPStatus

from starlette.types import Scope, Send

from scheduler.connections.problem_responses import PROBLEM_MEDIA_TYPE, problem_body

PING_PATH_PREFIX = "/api/ping/"
"""Prefix of paths that contain a token."""


async def reject(scope: Scope, send: Send, status: HTTPStatus, detail: str, *, retry_after: str = "") -> None:
    """Send a problem response."""
    path = f"{PING_PATH_PREFIX}***" if scope["path"].startswith(PING_PATH_PREFIX) else scope["path"]
    body = problem_body(status, detail, path)
    headers = [(b"content-type", PROBLEM_MEDIA_TYPE.encode()), (b"content-length", str(len(body)).encode())]
    if retry_after:
        headers.append((b"retry-after", retry_after.encode()))
    await send({"type": "http.response.start", "status": int(status), "headers": headers})
    await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})
