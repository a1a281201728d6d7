"""Sends the response of a request that is rejected before its route. Used by the middleware of this package."""

from __future__ import annotations

from collections.abc import Iterable
from http import HTTPStatus

from starlette.types import Scope, Send

from scheduler.api.scopes import mask_token
from scheduler.connections.problem_responses import PROBLEM_MEDIA_TYPE, problem_body

Headers = Iterable[tuple[bytes, bytes]]


class RequestRejected(Exception):
    """A request is rejected before its route."""

    def __init__(self, status: HTTPStatus, detail: str, *, retry_after: str = "") -> None:
        super().__init__(detail)
        self.status, self.detail, self.retry_after = status, detail, retry_after


async def reject(
    scope: Scope, send: Send, status: HTTPStatus, detail: str, *, retry_after: str = "", headers: Headers = ()
) -> None:
    """Send a problem response."""
    body = problem_body(status, detail, mask_token(scope["path"]))
    sent = [(b"content-type", PROBLEM_MEDIA_TYPE.encode()), (b"content-length", str(len(body)).encode()), *headers]
    if retry_after:
        sent.append((b"retry-after", retry_after.encode()))
    await send({"type": "http.response.start", "status": int(status), "headers": sent})
    await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})
