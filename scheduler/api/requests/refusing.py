"""Answers a request that no route sees. Used by the middlewares beside it."""

from __future__ import annotations

from http import HTTPStatus

from starlette.types import Scope, Send

from scheduler.connections.refusals import MEDIA_TYPE, problem_body

PINGS = "/api/ping/"
"""How the paths begin that go on with a token."""


async def refuse(scope: Scope, send: Send, status: HTTPStatus, detail: str, *, retry_after: str = "") -> None:
    """Send a problem."""
    path = f"{PINGS}***" if scope["path"].startswith(PINGS) else scope["path"]
    body = problem_body(status, detail, path)
    headers = [(b"content-type", MEDIA_TYPE.encode()), (b"content-length", str(len(body)).encode())]
    if retry_after:
        headers.append((b"retry-after", retry_after.encode()))
    await send({"type": "http.response.start", "status": int(status), "headers": headers})
    await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})
