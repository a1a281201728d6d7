"""Middleware that completes the responses of every app.

- Files of the dashboard that a browser may cache: the security headers forbid to store any response.
- Control and direction characters in JSON are escaped. JSON allows DEL, C1 and U+202E unescaped in strings, and texts
  of targets can contain them; a browser or terminal that shows the response would obey them.
- HEAD is answered wherever GET is allowed (RFC 9110), as load balancers and uptime probes send it.
- Redirects are relative. Starlette redirects a path with a trailing slash to a URL with the scheme of the connection;
  behind a proxy that ends TLS this is plain HTTP, to which a client would send its key again.
- Each request has an id: in the response, in problems, in the log lines of the request and in the audit trail.
"""

from __future__ import annotations

import os
import re
from typing import Final
from urllib.parse import urlsplit, urlunsplit

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from jobs.trace_ids import run_for_request
from scheduler.api.middleware.requests import BEHIND_PROXY
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


_CONTROL = re.compile(rb"\x7f|\xc2[\x80-\x9f]|\xe2\x80[\xa8-\xae]|\xe2\x81[\xa6-\xa9]")
"""DEL, C1, U+2028 to U+202E, U+2066 to U+2069 in UTF-8, as in jobs.model_base. JSON escapes C0 itself."""


def escape_json(body: bytes) -> bytes:
    """Return the JSON with these characters escaped. They occur only in strings."""
    return _CONTROL.sub(lambda found: b"\\u%04x" % ord(found[0].decode()), body)


def needs_escaping(body: bytes) -> bool:
    """Whether the JSON contains such a character. Most do not: an ASCII body is recognized a hundred times faster."""
    return b"\x7f" in body or (not body.isascii() and _CONTROL.search(body) is not None)


class JsonEscaping:
    """Delays the head of a JSON response until its body is available, because escaping changes its length."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        head: Message | None = None

        async def escaping(message: Message) -> None:
            nonlocal head
            if message["type"] == "http.response.start" and _is_json(message):
                head = message
                return
            if head is not None and message["type"] == "http.response.body":
                body = message.get("body", b"")
                if needs_escaping(body):
                    message = {**message, "body": (body := escape_json(body))}
                    head = {**head, "headers": _with_length(head, len(body), more=message.get("more_body", False))}
                await send(head)
                head = None
            await send(message)

        await self._app(scope, receive, escaping)


def _is_json(start: Message) -> bool:
    return any(name.lower() == b"content-type" and b"json" in value for name, value in start.get("headers", ()))


def _with_length(start: Message, length: int, *, more: bool) -> list[tuple[bytes, bytes]]:
    headers = [(name, value) for name, value in start["headers"] if name.lower() != b"content-length"]
    return headers if more else [*headers, (b"content-length", str(length).encode())]


class HeadSupport:
    """Answers HEAD like GET, without the body. Content-Length is that of GET."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "HEAD":
            await self._app(scope, receive, send)
            return

        async def without_body(message: Message) -> None:
            if message["type"] == "http.response.body":
                message = {**message, "body": b""}
            await send(message)

        await self._app({**scope, "method": "GET"}, receive, without_body)


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
