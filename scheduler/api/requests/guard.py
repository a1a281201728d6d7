"""Rejects a request by its host, its origin or its size, before its body is parsed. A middleware of every app of both
hosts, outside of all others except the security headers.

The head is checked first, so that a rejected request costs no read of its body. scheduler.connections limits how long
head and body can take in the embedded host; on Azure the platform passes complete requests.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from http import HTTPStatus

from starlette.types import ASGIApp, Receive, Scope, Send

from scheduler.api.requests.body_reader import BodyTooLarge, ClientGone, read_body, replay_body
from scheduler.api.requests.hosts import find_host_error
from scheduler.api.requests.origins import SAFE_METHODS, find_site_error
from scheduler.api.requests.rejection import reject
from scheduler.api.scopes import PING_PATH_PREFIX

MAX_BODY_BYTES = 64 * 1024
"""The largest body that a route uses is far below 1 KiB."""

_Headers = Callable[[str], Sequence[str]]


class RequestGuard:
    """Answers with a problem, or passes the request with its body to the app."""

    def __init__(self, app: ASGIApp, hosts: Sequence[str]) -> None:
        """`hosts`: accepted host names in lowercase; `*` accepts any."""
        self._app = app
        self._hosts = tuple(hosts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = _header_reader(scope)
        # The ping routes read a body of up to a megabyte themselves, so that a long text does not fail a heartbeat.
        # Pings from any site are accepted; the token in the path is the credential.
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
        key_bytes = name.encode("ascii")
        return [value.decode("latin-1") for key, value in scope["headers"] if key == key_bytes]

    return values


def _can_have_body(method: str, headers: _Headers) -> bool:
    """Whether the request can have a body: a GET without a length and without chunks has none."""
    return method not in SAFE_METHODS or bool(headers("content-length") or headers("transfer-encoding"))


def _find_length_error(lengths: Sequence[str]) -> str:
    for text in lengths:
        digits = text.strip()
        if digits.isascii() and digits.isdigit() and (len(digits) > 15 or int(digits) > MAX_BODY_BYTES):
            return _too_large_text(f"{digits[:30]} bytes")
    return ""


def _too_large_text(found: str) -> str:
    return f"The body is too large: at most {MAX_BODY_BYTES} bytes are allowed, found {found}."


def _server_authority(scope: Scope) -> str:
    server = scope.get("server")
    if not server:
        return ""
    name, port = server
    return f"{name}:{port}" if port and port not in (80, 443) else str(name)
