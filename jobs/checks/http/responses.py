"""Read the body of a response up to a limit, and build the request that it redirects to with its cookies.

The redirected request is without what only the first target may receive. Cookies belong to one sequence of requests:
redirects until a page accepts, or several steps. httpx's jar is the standard library's, which trusts what a server
sends.
"""

from __future__ import annotations

import re
import urllib.request
import warnings
from collections.abc import AsyncIterable, Awaitable, Callable, Sequence
from email.message import Message
from typing import TYPE_CHECKING, cast

import httpx

from jobs.checks.body_memory import UNCOUNTED_BYTES
from jobs.checks.errors import BadContentEncoding, InvalidRedirect, TooManyGzipMembers
from jobs.checks.http.requests import RequestDraft, check_host_name
from jobs.checks.http_transport.messages import TargetResponse, decode_header
from jobs.fast_frozen import fast_frozen
from jobs.formats import DEFAULT_PORTS, effective_port
from jobs.inflaters import MAX_GZIP_MEMBERS, NotInEncoding, TooManyMembers
from jobs.redaction.value_holders import RunSecrets
from jobs.responses import BoundedBody
from jobs.turns import wait_for_turn

if TYPE_CHECKING:
    from http.client import HTTPResponse

_REDIRECTS = frozenset({301, 302, 303, 307, 308})

MAX_LOCATION = 16 * 1024
"""Characters. Servers accept 8 to 16 KiB; parsing a URL of 64 KiB blocks the event loop for 20 ms."""

_NO_HOST = re.compile(r"https?:///", re.IGNORECASE)


def is_redirect(response: TargetResponse) -> bool:
    return response.status in _REDIRECTS and "location" in response.headers


def build_redirected_request(sent: RequestDraft, response: TargetResponse, values: RunSecrets) -> RequestDraft:
    """Return the next request by RFC 9110, section 15.4, and as browsers do: 303 becomes a GET, 301 and 302 after a
    POST do too.

    Credentials, and all that came from a secret, are not sent to another origin, nor from https to http. `values`: the
    run's own, which the target knows, and may have written into the URL.

    Raises:
        InvalidRedirect: the URL is unusable, or the body or a value must not go there.
    """
    url = _target_url(sent.url, response.headers["location"])
    following = RequestDraft(
        sent.method, url, dict(sent.headers), sent.content, set(sent.private_headers), sent.has_private_content
    )
    if _becomes_get(sent.method, response.status):
        following.method = "GET"
        following.content, following.has_private_content = b"", False
        for name in [name for name in following.headers if name.startswith("content-")]:
            del following.headers[name]
    if not may_share_credentials(sent.url, url):
        if values.occur_in(str(url)):
            raise InvalidRedirect(
                "to another origin with a secret of the job in the URL, which must not go there; "
                "to send it there, write that URL in the job itself"
            )
        _remove_private(following)
    return following


def _target_url(base: httpx.URL, location: str) -> httpx.URL:
    if len(location) > MAX_LOCATION:
        raise InvalidRedirect(f"to a URL of more than {MAX_LOCATION // 1024} KiB")
    try:
        # Credentials in a location are not the job's: the target must not choose them.
        url = check_host_name(base.join(location).copy_with(fragment=None, userinfo=b""))
    except (httpx.InvalidURL, ValueError):
        raise InvalidRedirect("to something that is not a URL") from None
    if url.port is not None and not 0 < url.port < 65536:
        raise InvalidRedirect("to a port that cannot exist")
    if url.scheme not in DEFAULT_PORTS:
        raise InvalidRedirect(f"to a {url.scheme} URL, not to an http one")
    if not url.host or _NO_HOST.match(location):
        raise InvalidRedirect("to a URL without a host")
    return url


def _becomes_get(method: str, status: int) -> bool:
    return (status == 303 and method != "HEAD") or (status in (301, 302) and method == "POST")


def _remove_private(following: RequestDraft) -> None:
    if following.has_private_content:
        raise InvalidRedirect("to another origin, to which the secret in the request's body must not go")
    for name in following.private_headers | {"host"}:
        following.headers.pop(name, None)


def may_share_credentials(before: httpx.URL, after: httpx.URL) -> bool:
    """Return whether it is the same origin, or the same host upgraded from http to https on their default ports."""
    if before.host != after.host:
        return False
    ports = tuple(effective_port(url.scheme, url.port) for url in (before, after))
    return (before.scheme == after.scheme and ports[0] == ports[1]) or ports == (80, 443)


MAX_COOKIES = 100
"""Cookies that are stored, and Set-Cookie lines that are read; browsers store fewer for a host."""

MAX_COOKIE_LINE = 8192
"""Bytes of a Set-Cookie line that is read; browsers store 4096 bytes of a cookie."""

_LINES_PER_STEP = 25
"""Lines that are read in one step: about a millisecond."""

_FEW_COOKIES = 5
"""Cookies that are read, or sent, without waiting for a turn."""


class CookieJar(httpx.Cookies):
    """A jar that no cookie breaks; a malformed one does not affect the others."""

    async def store_from(self, fields: Sequence[tuple[bytes, bytes]], url: str, most: int = MAX_COOKIES) -> int:
        """Store the cookies of a response from this URL; return how many lines were read.

        `fields`: its header lines; of those with Set-Cookie, the first `most` are read.
        """
        if most <= 0:
            return 0
        lines = [value for name, value in fields if name.lower() == b"set-cookie"][:most]
        if not lines:
            return 0
        request = urllib.request.Request(url)
        for begin in range(0, len(lines), _LINES_PER_STEP):
            if len(lines) > _FEW_COOKIES:
                await wait_for_turn()
            self._store(lines[begin : begin + _LINES_PER_STEP], request)
        for cookie in list(self.jar)[:-MAX_COOKIES]:
            self.jar.clear(cookie.domain, cookie.path, cookie.name)
        return len(lines)

    async def add_to(self, request: httpx.Request) -> None:
        """Add the Cookie header to the request. Characters that are not ASCII return as they came, in UTF-8."""
        if len(self.jar) > _FEW_COOKIES:
            await wait_for_turn()
        request.headers.encoding = "utf-8"
        self.set_cookie_header(request)

    def has_cookies_for(self, url: str) -> bool:
        """Return whether a request to this URL sends any of them."""
        if not self.jar:
            return False
        request = urllib.request.Request(url)
        self.jar.add_cookie_header(request)
        return request.has_header("Cookie")

    def _store(self, lines: list[bytes], request: urllib.request.Request) -> None:
        with warnings.catch_warnings():
            # At a lifetime of four hundred digits the library drops all cookies of the response, and issues a warning.
            warnings.simplefilter("ignore")
            for line in lines:
                # One by one: a cookie that the library drops does not affect the others.
                if len(line) <= MAX_COOKIE_LINE:
                    self.jar.extract_cookies(_response_with(line), request)


class _SetCookieResponse:
    """The part of a response that the library's jar reads."""

    def __init__(self, line: str) -> None:
        self._headers = Message()
        self._headers["Set-Cookie"] = line

    def info(self) -> Message:
        return self._headers


def _response_with(line: bytes) -> HTTPResponse:
    return cast("HTTPResponse", _SetCookieResponse(decode_header(line)))


@fast_frozen(frozen=True, slots=True)
class ResponseBody:
    """`truncated`: there was more than the limit."""

    content: bytes
    truncated: bool


async def _no_reservation() -> None:
    """Reserve nothing: the limit is so small that the body is not counted."""


async def read_body(
    parts: AsyncIterable[bytes],
    encoding: str,
    limit: int,
    reserve_memory: Callable[[], Awaitable[None]] = _no_reservation,
) -> ResponseBody:
    """Return the body, at most `limit` bytes of it. `encoding`: the Content-Encoding, or empty.

    `reserve_memory`: called once before more than UNCOUNTED_BYTES are held, see jobs.checks.body_memory.

    Raises:
        BadContentEncoding: it cannot be decompressed, or is incomplete.
        TooManyGzipMembers
        Exception: what reading the parts raises.
    """
    body, has_room = BoundedBody(encoding, limit), False
    try:
        async for part in parts:
            for _ in body.add(part):
                await wait_for_turn()
            if body.is_truncated:
                return ResponseBody(body.content, truncated=True)
            if not has_room and len(body) > UNCOUNTED_BYTES:
                await reserve_memory()
                has_room = True
        body.end()
    except NotInEncoding:
        raise BadContentEncoding(encoding.strip().lower()) from None
    except TooManyMembers:
        raise TooManyGzipMembers(MAX_GZIP_MEMBERS) from None
    return ResponseBody(body.content, truncated=False)
