"""The middleware of every app in its order, and what each response needs: JSON escaping, HEAD, redirects."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
from typing import Final
from urllib.parse import urlsplit, urlunsplit

from starlette.applications import Starlette
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from jobs.trace_ids import run_for_request
from scheduler.api.access import AccessControl
from scheduler.api.declared_routes import BodyRules, DeclaredRoute, RouteTable
from scheduler.api.middleware.guard import RequestGuard
from scheduler.api.middleware.idempotency import Idempotency
from scheduler.api.middleware.request_limits import FailedAuthenticationLimiter, RateLimiter, ReadLimiter
from scheduler.api.middleware.requests import BEHIND_PROXY
from scheduler.api.middleware.security_headers import add_security_headers
from scheduler.api.scopes import STATIC_PATH
from scheduler.services import Services

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
"""DEL, C1, U+2028 to U+202E, U+2066 to U+2069 in UTF-8, as in jobs.formats.display_text. JSON escapes C0 itself."""


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


def add_common_middleware(
    api: Starlette,
    hosts: Sequence[str],
    services: Services | None = None,
    bodies: BodyRules | None = None,
    routes: Iterable[DeclaredRoute] = (),
) -> None:
    """Add JSON escaping, HEAD support, relative redirects, limits, access control, the guard, security headers, ids.

    The middleware added last receives a request first. `services`: None for an app that only answers that the program
    is unavailable. `bodies`, `routes`: of the app.
    """
    api.add_middleware(JsonEscaping)
    api.add_middleware(HeadSupport)
    api.add_middleware(RelativeRedirects)
    api.add_middleware(ReadLimiter)
    if services is not None:
        api.add_middleware(Idempotency, services.idempotency, services.clock)
        api.add_middleware(RateLimiter, services.rate_limits)
        api.add_middleware(AccessControl, services.authentication, services.audit, RouteTable(routes))
        api.add_middleware(FailedAuthenticationLimiter, services.rate_limits)
    api.add_middleware(RequestGuard, hosts=hosts, bodies=bodies)
    add_security_headers(api)
    api.add_middleware(CachedFiles)
    api.add_middleware(RequestIds, behind_proxy=services is not None and services.is_behind_proxy)
