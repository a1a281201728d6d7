"""Rejects a request by its head or its body, before the body is parsed.

A middleware of every app of both hosts, outside of all others except the security headers.

The head is checked first, so that a rejected request costs no read of its body. The structure of a JSON body is limited
while it arrives, before a parser allocates objects for it. scheduler.connections limits how long head and body can take
in the embedded host; on Azure the platform passes complete requests.

Neither loopback nor a function key in the URL protects from cross-site requests, so these are detected: a browser sends
Sec-Fetch-Site; otherwise (Safari before 16.4, plain HTTP to another host) Origin or Referer. Other clients send none of
the three and are accepted.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from http import HTTPStatus
from typing import Final, NamedTuple
from urllib.parse import urlsplit

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from jobs.formats import DEFAULT_PORTS
from jobs.problems import make_printable
from scheduler.api.declared_routes import MAX_BODY_BYTES, BodyRule, BodyRules
from scheduler.api.middleware.requests import RequestRejected, header_reader, reject
from scheduler.api.scopes import PING_PATH_PREFIX
from scheduler.connections.limits import HEAD_TOO_LARGE, MAX_HEADERS, MAX_URL_BYTES, URL_TOO_LONG

_AUTHORITY = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[^\s:/?#@,\[\]\\]+)(?::([0-9]{0,5}))?")
ANY_HOST = "*"


class Authority(NamedTuple):
    """A host name and a port; None for the default port of the scheme."""

    name: str
    port: int | None


def parse_authority(text: str) -> Authority | None:
    """Parse `name`, `name:port` or `[address]:port`; None if it is invalid."""
    found = _AUTHORITY.fullmatch(text.strip())
    if found is None or int(found[2] or 0) > 65535:
        return None
    return Authority(found[1].lower(), int(found[2]) if found[2] else None)


def parse_origin(text: str) -> Authority | None:
    """Parse the authority of an http or https URL, with its port; None for anything else, such as `null`."""
    try:
        parts = urlsplit(text.strip())
    except ValueError:
        return None
    place = parse_authority(parts.netloc)
    if place is None or parts.scheme not in DEFAULT_PORTS:
        return None
    return Authority(place.name, place.port or DEFAULT_PORTS[parts.scheme])


def matches_host(origin: Authority, host: Authority) -> bool:
    """Whether an origin belongs to the host. A host without a port matches both default ports, because a proxy can
    terminate TLS and thus hide the scheme."""
    ports = (host.port,) if host.port else DEFAULT_PORTS.values()
    return origin.name == host.name and origin.port in ports


def find_host_error(given: Sequence[str], allowed: Collection[str]) -> str:
    """Return why the Host headers are rejected; empty if they are accepted. `allowed`: names, or ANY_HOST."""
    if len(given) > 1:
        return f"The request has {len(given)} Host headers, but exactly one is allowed."
    if ANY_HOST in allowed:
        return ""
    place = parse_authority(given[0]) if given else None
    if place is not None and place.name in allowed:
        return ""
    names = ", ".join(allowed)
    if not given:
        return f"The request has no Host header. Send one of {names}."
    return (
        f"Host {make_printable(given[0], 100)!r} is not allowed. Send one of {names}; "
        "configure a proxy to set the Host header."
    )


SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})
_OWN_SITES = frozenset({"same-origin", "none"})
_HOST_HEADERS = ("host", "x-forwarded-host", "x-original-host")
"""A proxy can rewrite Host and forward the original name. A page of another site cannot set such a header, because the
CORS preflight request is rejected."""


def find_site_error(headers: Callable[[str], Sequence[str]], server: str = "") -> str:
    """Return why a request that changes something is rejected; empty if it is accepted.

    `headers`: returns all values of a header by its lowercase name. `server`: the authority to use without a Host
    header, as behind the adapter of the Functions host.
    """
    if sites := headers("sec-fetch-site"):
        foreign = next((site for site in sites if site.strip().lower() not in _OWN_SITES), None)
        return "" if foreign is None else _error_text("Sec-Fetch-Site", foreign, "same-origin")
    hosts = [name for header in _HOST_HEADERS for value in headers(header) for name in value.split(",")] or [server]
    for header in ("origin", "referer"):
        if given := headers(header):
            foreign = next((value for value in given if not _is_own_origin(value, hosts)), None)
            return "" if foreign is None else _error_text(header.capitalize(), foreign, " or ".join(hosts))
    return ""


def _is_own_origin(value: str, hosts: Sequence[str]) -> bool:
    origin = parse_origin(value)
    places = (parse_authority(host) for host in hosts)
    return origin is not None and any(place is not None and matches_host(origin, place) for place in places)


def _error_text(header: str, value: str, expected: str) -> str:
    return (
        f"Cross-site requests are not allowed: {header} is {make_printable(value, 100)!r}, "
        f"expected {make_printable(expected, 200)}."
    )


class ClientGone(Exception):
    """The client closed the connection before its body was complete."""


async def read_body(receive: Receive, rule: BodyRule, find_error: Callable[[bytes], str]) -> bytes:
    """Return the full body. `find_error`: returns why the body up to a chunk is rejected.

    Raises RequestRejected once more bytes arrived than the rule allows, ClientGone.
    """
    chunks: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] != "http.request":
            raise ClientGone
        chunk = message.get("body", b"")
        size += len(chunk)
        if size > rule.max_bytes:
            raise RequestRejected(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, rule.too_large_text("more"))
        if error := find_error(chunk):
            raise RequestRejected(HTTPStatus.BAD_REQUEST, error)
        chunks.append(chunk)
        if not message.get("more_body", False):
            return b"".join(chunks)


def replay_body(body: bytes, receive: Receive) -> Callable[[], Awaitable[Message]]:
    """Return a `receive` that yields the body once, then the messages of the server."""
    pending: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def replayed() -> Message:
        return pending.pop() if pending else await receive()

    return replayed


MAX_JSON_DEPTH: Final = 64
"""Levels of arrays and objects."""

_STRING = re.compile(rb'"(?:[^"\\]++|\\.)*+("|\\?\Z)', re.DOTALL)
"""A string, also without its end, so that the time is linear. The group: a quotation mark if the string is complete."""
_NOT_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))
_OPENING = frozenset(b"[{")


class JsonShape:
    """Counts levels and members over the chunks of a body."""

    def __init__(self, max_members: int) -> None:
        self._max_members = max_members
        self._members = self._depth = 0
        self._unfinished = b""
        """The start of a string that continues in the next chunk, as short as possible."""

    def find_error(self, chunk: bytes) -> str:
        """Return why the body up to this chunk is rejected; empty if it is accepted. Invalid JSON is left to the
        parser."""
        structure = self._without_strings(chunk)
        self._members += structure.count(b":") + structure.count(b",")
        if self._members > self._max_members:
            return f"The JSON body has too many members and items: at most {self._max_members} are allowed."
        for bracket in structure.translate(None, _NOT_BRACKETS):
            self._depth += 1 if bracket in _OPENING else -1
            if self._depth > MAX_JSON_DEPTH:
                return f"The JSON body is nested too deeply: at most {MAX_JSON_DEPTH} levels are allowed."
        return ""

    def _without_strings(self, chunk: bytes) -> bytes:
        outside_and_ends = _STRING.split(self._unfinished + chunk)
        end = outside_and_ends[-2] if len(outside_and_ends) > 1 else b'"'
        self._unfinished = b"" if end == b'"' else b'"' + end
        return b"".join(outside_and_ends[::2])


MAX_LARGE_BODIES: Final = 4
"""Bodies over MAX_BODY_BYTES at a time: each takes a multiple of its size once it is parsed."""
_LARGE_BODY_RETRY_AFTER: Final = "5"

_HeaderReader = Callable[[str], Sequence[str]]


class RequestGuard:
    """Answers with a problem, or passes the request with its body to the app."""

    def __init__(self, app: ASGIApp, hosts: Sequence[str], bodies: BodyRules | None = None) -> None:
        """`hosts`: accepted host names in lowercase; `*` accepts any. `bodies`: of the routes of the app."""
        self._app = app
        self._hosts = tuple(hosts)
        self._bodies = bodies or BodyRules()
        self._large_bodies = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        try:
            await self._check(scope, receive, send)
        except RequestRejected as error:
            await reject(scope, send, error.status, error.detail, retry_after=error.retry_after)
        except ClientGone:
            return

    async def _check(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = header_reader(scope)
        # The ping routes read a body of up to a megabyte themselves, so that a long text does not fail a heartbeat.
        # Pings from any site are accepted; the token in the path is the credential.
        is_ping = scope["path"].startswith(PING_PATH_PREFIX)
        _check_size_of_head(scope)
        if error := find_host_error(headers("host"), self._hosts):
            raise RequestRejected(HTTPStatus.BAD_REQUEST, error)
        if not is_ping:
            _check_site(scope, headers)
        if is_ping or not _can_have_body(scope["method"], headers):
            await self._app(scope, receive, send)
            return
        rule = self._bodies.find(scope["method"], scope["path"])
        check_type = _type_check(rule, scope["method"], headers)
        if error := rule.find_length_error(headers("content-length")):
            raise RequestRejected(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, error)
        if any(length.strip(" 0") for length in headers("content-length")):
            check_type()
        with self._large_body(is_large=rule.can_be_large(headers("content-length"))):
            body = await read_body(receive, rule, _content_check(rule, headers))
            if body:
                check_type()
            await self._app(scope, replay_body(body, receive), send)

    @contextmanager
    def _large_body(self, *, is_large: bool) -> Iterator[None]:
        if is_large and self._large_bodies >= MAX_LARGE_BODIES:
            raise RequestRejected(
                HTTPStatus.SERVICE_UNAVAILABLE,
                f"{MAX_LARGE_BODIES} requests with a body over {MAX_BODY_BYTES} bytes are in progress. Retry later.",
                retry_after=_LARGE_BODY_RETRY_AFTER,
            )
        self._large_bodies += is_large
        try:
            yield
        finally:
            self._large_bodies -= is_large


def _check_size_of_head(scope: Scope) -> None:
    if len(scope.get("raw_path") or scope["path"]) + len(scope["query_string"]) > MAX_URL_BYTES:
        raise RequestRejected(HTTPStatus.REQUEST_URI_TOO_LONG, URL_TOO_LONG)
    if len(scope["headers"]) > MAX_HEADERS:
        raise RequestRejected(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, HEAD_TOO_LARGE)


def _check_site(scope: Scope, headers: _HeaderReader) -> None:
    if scope["method"] == "OPTIONS" and headers("access-control-request-method"):
        origin = make_printable(", ".join(headers("origin")), 100)
        detail = f"Pages of other origins cannot use this API (CORS is closed): Origin is {origin!r}."
        raise RequestRejected(HTTPStatus.FORBIDDEN, detail)
    if scope["method"] not in SAFE_METHODS and (error := find_site_error(headers, _server_authority(scope))):
        raise RequestRejected(HTTPStatus.FORBIDDEN, error)


def _type_check(rule: BodyRule, method: str, headers: _HeaderReader) -> Callable[[], None]:
    def check() -> None:
        error = rule.find_type_error(headers("content-type"), headers("content-encoding"))
        if error and method not in SAFE_METHODS:
            raise RequestRejected(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, error)

    return check


def _content_check(rule: BodyRule, headers: _HeaderReader) -> Callable[[bytes], str]:
    is_json = not any(headers("content-type")) or any("json" in value.lower() for value in headers("content-type"))
    return JsonShape(rule.max_members).find_error if is_json else lambda _: ""


def _can_have_body(method: str, headers: _HeaderReader) -> bool:
    """Whether the request can have a body: a GET without a length and without chunks has none."""
    return method not in SAFE_METHODS or bool(headers("content-length") or headers("transfer-encoding"))


def _server_authority(scope: Scope) -> str:
    server = scope.get("server")
    if not server:
        return ""
    name, port = server
    return f"{name}:{port}" if port and port not in (80, 443) else str(name)
