"""The cookies of one visit: of a page that redirects until they come along, or of several steps. Used by http.py.

httpx's jar is the standard library's, which takes what a server sends to be well meant.
"""

from __future__ import annotations

import asyncio
import urllib.request
import warnings
from email.message import Message
from typing import TYPE_CHECKING, cast

import httpx

from jobs.checks.http_transport.http1 import decode_header

if TYPE_CHECKING:
    from http.client import HTTPResponse

MOST_COOKIES = 100
"""Cookies that a visit keeps, and Set-Cookie lines that it reads; browsers keep less of a host."""

LONGEST_COOKIE_LINE = 8192
"""Bytes of a Set-Cookie line that is read; browsers keep 4096 bytes of a cookie."""

_LINES_PER_STEP = 25
"""Lines that are read in one step: about a millisecond."""


class CookieJar(httpx.Cookies):
    """A jar that no cookie breaks, and none that is broken costs the others."""

    async def store_from(self, response: httpx.Response, most: int = MOST_COOKIES) -> int:
        """Add those that the answer sets, of its first `most` lines about them; return how many lines were read."""
        if most <= 0:
            return 0
        lines = [value for name, value in response.headers.raw if name.lower() == b"set-cookie"][:most]
        if not lines:
            return 0
        request = urllib.request.Request(str(response.request.url))
        for begin in range(0, len(lines), _LINES_PER_STEP):
            if begin:
                await asyncio.sleep(0)  # other tasks run between two bites
            self._store(lines[begin : begin + _LINES_PER_STEP], request)
        for cookie in list(self.jar)[:-MOST_COOKIES]:
            self.jar.clear(cookie.domain, cookie.path, cookie.name)
        return len(lines)

    def set_cookie_header(self, request: httpx.Request) -> None:
        """Add the header to the request. Signs that are not ASCII go back as they came, in UTF-8."""
        request.headers.encoding = "utf-8"
        super().set_cookie_header(request)

    def has_cookies_for(self, url: str) -> bool:
        """Return whether a request to this URL takes any of them along."""
        if not self.jar:
            return False
        request = urllib.request.Request(url)
        self.jar.add_cookie_header(request)
        return request.has_header("Cookie")

    def _store(self, lines: list[bytes], request: urllib.request.Request) -> None:
        with warnings.catch_warnings():
            # A lifetime of four hundred digits: the library gives up all cookies of the answer, and warns of itself.
            warnings.simplefilter("ignore")
            for line in lines:
                # One by one: a cookie that the library gives up costs none of the others.
                if len(line) <= LONGEST_COOKIE_LINE:
                    self.jar.extract_cookies(_response_with(line), request)


class _SetCookieResponse:
    """As much of a response as the library's jar looks at."""

    def __init__(self, line: str) -> None:
        self._headers = Message()
        self._headers["Set-Cookie"] = line

    def info(self) -> Message:
        return self._headers


def _response_with(line: bytes) -> HTTPResponse:
    return cast("HTTPResponse", _SetCookieResponse(decode_header(line)))
