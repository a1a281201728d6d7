"""Judges each request before a route or a reader of bodies sees it: its host, its site, its size. A middleware of every
app of both hosts, outside of all others but the one that adds security headers.

The order matters: what can be refused by its head costs no byte of its body. How long head and body may take is watched
by scheduler.connections, on the embedded host; on Azure the platform hands over whole requests.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from http import HTTPStatus

from starlette.types import ASGIApp, Receive, Scope, Send

from scheduler.api.requests.body_reader import BodyTooLarge, ClientGone, read_body, replay_body
from scheduler.api.requests.hosts import find_host_error
from scheduler.api.requests.origins import SAFE_METHODS, find_site_error
from scheduler.api.requests.rejection import PING_PATH_PREFIX, reject

MAX_BODY_BYTES = 64 * 1024
"""Bytes. The largest body that a route uses is far below 1 KiB."""

_Headers = Callable[[str], Sequence[str]]


class RequestGuard:
    """Answers with a problem, or hands on the request with its body read."""

    def __init__(self, app: ASGIApp, hosts: Sequence[str]) -> None:
        """`hosts`: the names that the API answers to, in lowercase; `*` is any."""
        self._app = app
        self._hosts = tuple(hosts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = _header_reader(scope)
        # Pings read their bodies themselves, a megabyte at most: a long text must not cost a heartbeat. Any site may
        # send them; the token in the address is the key.
        is_ping = scope["path"].startswith(PING_PATH_PREFIX)
        if complaint := find_host_error(headers("host"), self._hosts):
            await reject(scope, send, HTTPStatus.BAD_REQUEST, complaint)
        elif (
            not is_ping
            and scope["method"] not in SAFE_METHODS
            and (complaint := find_site_error(headers, _server_authority(scope)))
        ):
            await reject(scope, send, HTTPStatus.FORBIDDEN, complaint)
        elif is_ping or not _can_have_body(scope["method"], headers):
            await self._app(scope, receive, send)
        elif complaint := _find_length_error(headers("content-length")):
            await reject(scope, send, HTTPStatus.REQUEST_ENTITY_TOO_LARGE, complaint)
        else:
            await self._with_body(scope, receive, send)

    async def _with_body(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            body = await read_body(receive, MAX_BODY_BYTES)
        except BodyTooLarge:
            await reject(scope, send, HTTPStatus.REQUEST_ENTITY_TOO_LARGE, _too_large_text("more"))
        except ClientGone:
            return
        else:
            await self._app(scope, replay_body(body, receive), send)


def _header_reader(scope: Scope) -> _Headers:
    def values(name: str) -> list[str]:
        wanted = name.encode("ascii")
        return [value.decode("latin-1") for key, value in scope["headers"] if key == wanted]

    return values


def _can_have_body(method: str, headers: _Headers) -> bool:
    """A GET without a length and without chunks has none, and costs no look."""
    return method not in SAFE_METHODS or bool(headers("content-length") or headers("transfer-encoding"))


def _find_length_error(lengths: Sequence[str]) -> str:
    for text in lengths:
        digits = text.strip()
        if digits.isascii() and digits.isdigit() and (len(digits) > 15 or int(digits) > MAX_BODY_BYTES):
            return _too_large_text(f"{digits[:30]} bytes")
    return ""


def _too_large_text(found: str) -> str:
    return f"The body is too large: at most {MAX_BODY_BYTES} bytes, found {found}. Send only the members of the schema."


def _server_authority(scope: Scope) -> str:
    server = scope.get("server")
    if not server:
        return ""
    name, port = server
    return f"{name}:{port}" if port and port not in (80, 443) else str(name)
