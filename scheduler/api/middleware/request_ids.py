"""Gives each request an id. The outermost middleware, added by scheduler.api.middleware.common.

The id is in the response (X-Request-ID), in problems, in the log lines of the request and in the audit trail.
"""

from __future__ import annotations

import os
import re

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from jobs.request_id import run_for_request
from scheduler.api.requests.client_address import BEHIND_PROXY

REQUEST_ID_HEADER = "x-request-id"
_HEADER = REQUEST_ID_HEADER.encode()
_VALID = re.compile(rb"[A-Za-z0-9._-]{8,100}")


class RequestIds:
    """Uses the id that the client sends, if it is valid: 8 to 100 letters, digits, `.`, `_` and `-`."""

    def __init__(self, app: ASGIApp, *, behind_proxy: bool = False) -> None:
        """`behind_proxy`: see config.settings.http_settings."""
        self._app = app
        self._behind_proxy = behind_proxy

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = _find_id(scope)
        state = scope.setdefault("state", {})
        state["request_id"], state[BEHIND_PROXY] = request_id, self._behind_proxy

        async def with_id(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = [(name, value) for name, value in message.get("headers", ()) if name.lower() != _HEADER]
                message = {**message, "headers": [*headers, (_HEADER, request_id.encode())]}
            await send(message)

        with run_for_request(request_id):
            await self._app(scope, receive, with_id)


def _find_id(scope: Scope) -> str:
    given = [value for name, value in scope["headers"] if name == _HEADER]
    if len(given) == 1 and _VALID.fullmatch(given[0]):
        found: str = given[0].decode("ascii")
        return found
    return os.urandom(16).hex()
