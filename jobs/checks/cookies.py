"""The cookies of one visit: of a page that redirects until they come along, or of several steps. Used by http.py.

httpx's jar is the standard library's, which takes what a server sends to be well meant.
"""

from __future__ import annotations

import warnings

import httpx

MOST = 200
"""Cookies of one answer; browsers keep less of a host."""


class Cookies(httpx.Cookies):
    """A jar that no cookie breaks, and none that is broken costs the others."""

    def extract_cookies(self, response: httpx.Response) -> None:
        """Add those that the answer sets."""
        lines = [(name, value) for name, value in response.headers.raw if name.lower() == b"set-cookie"]
        with warnings.catch_warnings():
            # A lifetime of four hundred digits: the library gives up all cookies of the answer, and warns of itself.
            warnings.simplefilter("ignore")
            for line in lines[:MOST]:
                super().extract_cookies(httpx.Response(200, headers=[line], request=response.request))

    def set_cookie_header(self, request: httpx.Request) -> None:
        """Add the header to the request. Signs that are not ASCII go back as they came, in UTF-8."""
        request.headers.encoding = "utf-8"
        super().set_cookie_header(request)
