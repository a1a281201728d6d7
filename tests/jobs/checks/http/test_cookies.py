"""Cookies that are wrong, or odd: the standard library's jar was not made for them."""

from __future__ import annotations

import httpx
import pytest

from jobs.checks.http.responses import MAX_COOKIE_LINE, MAX_COOKIES, CookieJar
from tests.parts.turns import counted_turns

URL = "http://checkout.internal/"


async def sent_after(*cookies: bytes) -> bytes:
    """The header of the request that follows an answer with these."""
    jar, second = CookieJar(), httpx.Request("GET", URL)
    await jar.store_from(*answer(*cookies))
    await jar.add_to(second)
    return next((value for name, value in second.headers.raw if name.lower() == b"cookie"), b"")


def answer(*cookies: bytes) -> tuple[list[tuple[bytes, bytes]], str]:
    return [(b"Set-Cookie", each) for each in cookies], URL


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
async def test_a_broken_cookie_costs_none_of_the_others(bad: bytes) -> None:
    assert b"session=1" in await sent_after(bad, b"session=1")


async def test_a_cookie_that_is_not_ascii_returns_as_it_came() -> None:
    assert await sent_after("name=Gr\u00fc\u00dfe".encode()) == "name=Gr\u00fc\u00dfe".encode()


async def test_no_more_are_stored_of_an_answer_than_browsers_keep() -> None:
    assert (await sent_after(*(b"c%d=1" % number for number in range(2 * MAX_COOKIES)))).count(b"=") == MAX_COOKIES


async def test_the_oldest_cookies_make_room_for_those_of_later_answers() -> None:
    jar = CookieJar()
    await jar.store_from(*answer(*(b"c%d=1" % number for number in range(MAX_COOKIES))))
    await jar.store_from(*answer(b"session=1", b"session=2"))
    names = [cookie.name for cookie in jar.jar]
    assert (len(names), names[-1], "c0" in names, jar["session"]) == (MAX_COOKIES, "session", False, "2")


async def test_no_more_lines_are_read_than_are_left_to_the_visit() -> None:
    jar = CookieJar()
    assert await jar.store_from(*answer(*(b"c%d=1" % number for number in range(50))), 30) == 30
    assert len(jar.jar) == 30


async def test_a_line_that_is_longer_than_any_cookie_is_not_read() -> None:
    assert await sent_after(b"long=" + b"x" * MAX_COOKIE_LINE, b"session=1") == b"session=1"


async def test_others_have_their_turn_between_the_cookies_of_an_answer() -> None:
    async with counted_turns() as turns:
        await sent_after(*(b"c%d=1" % number for number in range(MAX_COOKIES)))
    assert turns.number >= 3
