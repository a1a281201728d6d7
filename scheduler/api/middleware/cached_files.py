"""Lets browsers cache the static files of the dashboard. Added by scheduler.api.middleware.common.

The security headers forbid to store any response. A route that allows it sets `cache_control` in the state of its
request.
"""

from __future__ import annotations

from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from scheduler.api.scopes import STATIC_PATH

_CACHE_CONTROL: Final = b"cache-control"


class CachedFiles:
    """ASGI middleware outside the security headers."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not scope["path"].startswith(STATIC_PATH):
            await self._app(scope, receive, send)
            return

        async def send_cached(message: Message) -> None:
            if message["type"] == "http.response.start":
                allowed = scope.get("state", {}).get("cache_control")
                if allowed is not None:
                    others = [each for each in message["headers"] if each[0].lower() != _CACHE_CONTROL]
                    message["headers"] = [*others, (_CACHE_CONTROL, allowed.encode())]
            await send(message)

        await self._app(scope, receive, send_cached)
