"""Cookies that are wrong, or odd: the standard library's jar was not made for them."""

from __future__ import annotations

import httpx
import pytest

from jobs.checks.cookies import MOST, Cookies

URL = "http://checkout.internal/"


def sent_after(*cookies: bytes) -> bytes:
    """The header of the request that follows an answer with these."""
    jar, first, second = Cookies(), httpx.Request("GET", URL), httpx.Request("GET", URL)
    jar.extract_cookies(httpx.Response(302, headers=[(b"Set-Cookie", each) for each in cookies], request=first))
    jar.set_cookie_header(second)
    return next((value for name, value in second.headers.raw if name.lower() == b"cookie"), b"")


@pytest.mark.parametrize(
    "bad",
    [
        b"bad=1; Max-Age=" + b"9" * 400,
        b"bad=1; Expires=Wed, 01 Jan 99999999999 00:00:00 GMT",
        b'bad=1; Version=x; Port="',
        b"=; ;;=",
        b"bad=1; Expires",
        b"bad=1; Max-Age; Version=1; Domain",
    ],
)
def test_a_broken_cookie_costs_none_of_the_others(bad: bytes) -> None:
    assert b"session=1" in sent_after(bad, b"session=1")


def test_a_cookie_that_is_not_ascii_goes_back_as_it_came() -> None:
    assert sent_after("name=Gr\u00fc\u00dfe".encode()) == "name=Gr\u00fc\u00dfe".encode()


def test_no_more_are_kept_of_an_answer_than_browsers_keep() -> None:
    assert sent_after(*(b"c%d=1" % number for number in range(2 * MOST))).count(b"=") == MOST
