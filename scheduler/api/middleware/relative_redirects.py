"""Makes redirects relative. Added by scheduler.api.middleware.common.

Starlette redirects a path with a trailing slash to a URL with the scheme of the connection. Behind a proxy that ends
TLS this is plain HTTP, to which a client would send its key again.
"""

from __future__ import annotations

from urllib.parse import urlsplit, urlunsplit

from starlette.types import ASGIApp, Message, Receive, Scope, Send


class RelativeRedirects:
    """Removes scheme and host from each Location; no route redirects to another host."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def with_relative_location(message: Message) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": [_without_host(*header) for header in message.get("headers", ())]}
            await send(message)

        await self._app(scope, receive, with_relative_location if scope["type"] == "http" else send)


def _without_host(name: bytes, value: bytes) -> tuple[bytes, bytes]:
    if name.lower() != b"location":
        return name, value
    parts = urlsplit(value.decode("latin-1"))
    # One slash: a browser reads what follows two of them as a host.
    path = f"/{parts.path.lstrip('/')}"
    return name, urlunsplit(("", "", path, parts.query, parts.fragment)).encode("latin-1")
