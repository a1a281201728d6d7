"""The cookies of one sequence of requests: redirects until a page accepts, or several steps. Used by exchange.py.

httpx's jar is the standard library's, which trusts what a server sends.
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
"""Cookies that are stored, and Set-Cookie lines that are read; browsers store fewer for a host."""

LONGEST_COOKIE_LINE = 8192
"""Bytes of a Set-Cookie line that is read; browsers store 4096 bytes of a cookie."""

_LINES_PER_STEP = 25
"""Lines that are read in one step: about a millisecond."""


class CookieJar(httpx.Cookies):
    """A jar that no cookie breaks; a malformed one does not affect the others."""

    async def store_from(self, response: httpx.Response, most: int = MOST_COOKIES) -> int:
        """Store the cookies of the response, of its first `most` Set-Cookie lines; return how many lines were read."""
        if most <= 0:
            return 0
        lines = [value for name, value in response.headers.raw if name.lower() == b"set-cookie"][:most]
        if not lines:
            return 0
        request = urllib.request.Request(str(response.request.url))
        for begin in range(0, len(lines), _LINES_PER_STEP):
            if begin:
                await asyncio.sleep(0)  # other tasks run between two steps
            self._store(lines[begin : begin + _LINES_PER_STEP], request)
        for cookie in list(self.jar)[:-MOST_COOKIES]:
            self.jar.clear(cookie.domain, cookie.path, cookie.name)
        return len(lines)

    def set_cookie_header(self, request: httpx.Request) -> None:
        """Add the header to the request. Characters that are not ASCII return as they came, in UTF-8."""
        request.headers.encoding = "utf-8"
        super().set_cookie_header(request)

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
                if len(line) <= LONGEST_COOKIE_LINE:
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
