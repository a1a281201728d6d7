"""The app for reserved connections, which serve health requests only. Called by scheduler.connections.protocol."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any, Final

from starlette.types import Receive, Scope, Send

from scheduler.connections.problem_responses import PROBLEM_MEDIA_TYPE, problem_body

PROBE_PATH: Final = "/api/health"
BUSY_MESSAGE: Final = (
    "All connections of this API are in use: retry later. Requests to /api/health/ready are always answered."
)


class ProbesOnly:
    """The app for a reserved connection."""

    def __init__(self, app: Any) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] == PROBE_PATH or scope["path"].startswith(f"{PROBE_PATH}/"):
            await self._app(scope, receive, send)
            return
        body = problem_body(HTTPStatus.SERVICE_UNAVAILABLE, BUSY_MESSAGE)
        headers = [(b"content-type", PROBLEM_MEDIA_TYPE.encode()), (b"content-length", str(len(body)).encode())]
        headers += [(b"retry-after", b"5"), (b"connection", b"close")]
        await send({"type": "http.response.start", "status": int(HTTPStatus.SERVICE_UNAVAILABLE), "headers": headers})
        await send({"type": "http.response.body", "body": body})
