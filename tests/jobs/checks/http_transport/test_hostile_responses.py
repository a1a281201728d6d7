"""Answers that are made to cost much: each is refused with a sentence, or read in small steps."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

import pytest
import uvloop
from hypothesis import given
from hypothesis import strategies as st

from jobs.checks.errors import TooManyHeaderLines
from jobs.checks.http_transport.http2 import FrameCounter
from jobs.checks.http_transport.messages import (
    MAX_CHUNKS,
    MAX_HEADER_LINES,
    MAX_INTERIM_HEADER_LINES,
    SMALL_CHUNK,
    parse_head,
)
from jobs.runs import ErrorClass, Observation
from tests.jobs.checks.http_check import HttpCheckDriver, open_http_check
from tests.parts import bad_answers as answers
from tests.parts import bad_servers as bad
from tests.parts.http_server import Answer, HttpServer, Request, StreamServer
from tests.parts.tls import ca_file, server_context

FEW_MS = 0.1
"""Seconds of CPU that an answer may cost, the server's share included: each of these took 0.2 to 0.4 s before."""


async def cheapest(observe: Callable[[], Awaitable[Observation]]) -> tuple[Observation, float]:
    """An observation, and the least CPU of three in seconds: one of them may meet the garbage collector."""
    costs = []
    for _ in range(3):
        began = time.thread_time()
        observed = await observe()
        costs.append(time.thread_time() - began)
    return observed, min(costs)


@pytest.mark.parametrize(
    ("wire", "status", "expected"),
    [
        (answers.MANY_LINES, None, "answered 200 with more than 1,000 header lines: check the service"),
        (answers.HINTS_OF_MANY_LINES, None, "answered 103 with more than 100 header lines: check the service"),
        (
            answers.HINTS_TOO_LARGE,
            None,
            "sent more than 100 KiB of headers, including informational responses and trailers",
        ),
        (answers.TINY_CHUNKS, 200, "in more than 20,000 chunks of less than 32 bytes on average: have the service"),
        (answers.FAT_CHUNKS, 200, "sent more than 100 KiB of headers, including informational responses and trailers"),
        (answers.GZIP_OF_MANY_MEMBERS, 200, "a body of more than 1,000 gzip members: have the service compress it"),
    ],
    ids=["lines", "interim lines", "interim bytes", "tiny chunks", "chunk extensions", "gzip members"],
)
@pytest.mark.parametrize("connection", ["fresh", "kept"])
async def test_an_answer_that_costs_too_much_is_refused_early(
    run_check: HttpCheckDriver, wire: bytes, status: int | None, expected: str, connection: str
) -> None:
    async with bad.answering(wire) as server:
        observed, cost = await cheapest(lambda: run_check(server.url, connection=connection))
    assert (observed.error, observed.status) == (ErrorClass.PROTOCOL_ERROR, status)
    assert f"127.0.0.1:{server.port} " in observed.message
    assert expected in observed.message
    assert cost < FEW_MS


def test_a_head_may_have_as_many_lines_as_the_bound_reports() -> None:
    lines = ["a: b"] * MAX_HEADER_LINES
    assert len(parse_head(answers.head(*lines)).fields) == MAX_HEADER_LINES
    with pytest.raises(TooManyHeaderLines, match="200 with more than 1,000 header lines"):
        parse_head(answers.head("a: b", *lines))
    with pytest.raises(TooManyHeaderLines, match="103 with more than 100 header lines"):
        parse_head(answers.head(*["a: b"] * (MAX_INTERIM_HEADER_LINES + 1), status="HTTP/1.1 103 Early Hints"))


def test_the_headers_of_an_informational_answer_are_not_built() -> None:
    head = parse_head(answers.head("Link: </a.css>", status="HTTP/1.1 103 Early Hints"))
    assert (head.status, head.fields, head.headers) == (103, [], {})


async def test_a_body_in_chunks_of_some_twenty_bytes_is_read(run_check: HttpCheckDriver) -> None:
    """As servers send that flush each line of a log."""
    chunk = b"14\r\n" + b"x" * 20 + b"\r\n"
    async with bad.answering(answers.chunks(chunk * 50_000 + b"0\r\n\r\n")) as server:
        observed = await run_check(server.url)
    assert (observed.error, len(observed.body)) == (None, 1_000_000)
    assert MAX_CHUNKS + 1_000_000 // SMALL_CHUNK > 50_000


async def test_others_have_their_turn_while_chunks_are_parsed(run_check: HttpCheckDriver) -> None:
    turns = _Turns()
    async with bad.answering(answers.chunks(b"5\r\nready\r\n" * 15_000 + b"0\r\n\r\n")) as server:
        watching = asyncio.create_task(turns.watch())
        observed = await run_check(server.url)
        watching.cancel()
    assert (observed.error, len(observed.body)) == (None, 75_000)
    assert turns.count > 150_000 // 32_768


@pytest.mark.parametrize(
    ("wire", "status", "expected"),
    [
        (answers.HTTP_2_MANY_LINES, None, "answered 200 with more than 1,000 header lines: check the service"),
        (answers.HTTP_2_TOO_MANY_FIELDS, None, "sent more than 64 KiB of headers: have it send less"),
        (answers.HTTP_2_LONG_HINTS, None, "answered 103 with more than 100 header lines: check the service"),
        (answers.HTTP_2_MANY_HINTS, None, "sent more than 20 informational responses"),
        (answers.HTTP_2_LONG_TRAILERS, 200, "answered with more than 1,000 header lines: check the service"),
        (answers.HTTP_2_TINY_DATA, 200, "more than 500 frames with less than 1024 bytes of its response in each"),
        (answers.HTTP_2_PINGS, None, "sends frames without any part of a response: check the service"),
    ],
    ids=["lines", "fields", "interim lines", "interim heads", "trailers", "tiny data", "pings"],
)
async def test_an_answer_by_http_2_that_costs_too_much_is_refused_early(
    run_check: HttpCheckDriver, wire: bytes, status: int | None, expected: str
) -> None:
    async with bad.answering(wire) as server:
        observed, cost = await cheapest(lambda: run_check(server.url, http2=True))
    assert (observed.error, observed.status) == (ErrorClass.PROTOCOL_ERROR, status)
    assert f"127.0.0.1:{server.port} " in observed.message
    assert expected in observed.message
    assert cost < FEW_MS


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 50)), max_size=40), st.integers(1, 60))
def test_frames_are_counted_however_they_arrive(frames: list[tuple[int, int]], size: int) -> None:
    wire = b"".join(answers.frame(kind, bytes(length)) for kind, length in frames)
    counted, at = FrameCounter(), 0
    while at < len(wire):
        end = counted.split_step(wire[at : at + size])
        assert 0 < end <= size
        at += end
    assert counted.count == len(frames)


def test_no_more_frames_are_checked_in_one_go_than_take_a_few_milliseconds() -> None:
    pings, heads = FrameCounter(), FrameCounter()
    assert pings.split_step(answers.frame(6, bytes(8)) * 400) == 100 * 17
    assert heads.split_step(answers.frame(1, bytes(8)) * 400) == 17


async def test_a_token_endpoint_and_a_proxy_are_held_to_the_same_bounds() -> None:
    secrets = {"id": "client", "key": "secret-value"}
    async with open_http_check(secrets) as run_check, bad.answering(answers.MANY_LINES) as server:
        auth = {
            "kind": "oauth2",
            "token_url": f"{server.url}/token",
            "client_id": {"secret": "id"},
            "client_secret": {"secret": "key"},
        }
        no_token = await run_check("http://127.0.0.1:9/", auth=auth, allow_plain_http=True)
        no_tunnel = await run_check("https://127.0.0.1:9/", proxy=server.url)
    expected = "answered 200 with more than 1,000 header lines"
    assert (no_token.error, expected in no_token.message) == (ErrorClass.TOKEN_UNAVAILABLE, True)
    assert (no_tunnel.error, expected in no_tunnel.message) == (ErrorClass.PROTOCOL_ERROR, True)


class _Records(StreamServer):
    """Each write is a TLS record."""

    def __init__(self, count: int, size: int) -> None:
        super().__init__(scheme="https", context=server_context())
        self._count, self._size = count, size

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, connection: int) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (self._count * self._size))
        for _ in range(self._count):
            writer.write(b"x" * self._size)
        await writer.drain()
        await reader.read()


@pytest.mark.parametrize("loop", [asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
@pytest.mark.parametrize(("count", "size", "refused"), [(3000, 1, True), (1500, 1, False), (3000, 64, False)])
def test_an_answer_in_too_many_tls_records_is_refused(
    loop: Callable[[], asyncio.AbstractEventLoop], count: int, size: int, refused: bool
) -> None:
    async def requested() -> tuple[ErrorClass | None, str, int]:
        async with _Records(count, size) as server, open_http_check() as run_check:
            observed = await run_check(server.url, tls={"ca_file": ca_file()})
            return observed.error, observed.message, len(observed.body)

    with asyncio.Runner(loop_factory=loop) as runner:
        error, message, length = runner.run(requested())
    if refused:
        assert error is ErrorClass.PROTOCOL_ERROR
        assert "sent more than 2,000 TLS records of less than 64 bytes on average: have the service buffer" in message
    else:
        assert (error, length) == (None, count * size)


async def test_a_redirect_to_a_url_that_takes_long_to_read_is_refused(run_check: HttpCheckDriver) -> None:
    async with bad.answering(answers.redirect("/" + "%zz" * 20_000)) as server:
        observed = await run_check(server.url)
    assert observed.error is ErrorClass.PROTOCOL_ERROR
    assert "redirects to a URL of more than 16 KiB" in observed.message


async def test_a_redirect_in_a_circle_with_many_cookies_costs_little(run_check: HttpCheckDriver) -> None:
    """Each of eleven answers set 200 cookies before, each of which took 0.1 ms."""

    class Circle(HttpServer):
        def answer(self, request: Request) -> Answer:
            cookies = [f"c{len(self.requests)}-{number}=1" for number in range(80)]
            return Answer(302, {"location": "/", "set-cookie": cookies})

    async with Circle() as server:
        observed = await run_check(server.url)
    assert observed.error is ErrorClass.TOO_MANY_REDIRECTS
    sent = server.requests[-1].headers["cookie"].split("; ")
    assert [cookie.partition("-")[0] for cookie in sent] == ["c1"] * 80 + ["c2"] * 20


async def test_the_header_lines_of_all_redirects_are_counted_together(run_check: HttpCheckDriver) -> None:
    class Circle(HttpServer):
        def answer(self, request: Request) -> Answer:
            return Answer(302, {"location": "/", "x-more": ["x"] * 600})

    async with Circle() as server:
        observed = await run_check(server.url)
    assert (observed.error, len(server.requests)) == (ErrorClass.PROTOCOL_ERROR, 2)
    assert "answered 302 with more than 1,000 header lines, including its redirects: check" in observed.message


class _Turns:
    def __init__(self) -> None:
        self.count = 0

    async def watch(self) -> None:
        while True:
            self.count += 1
            await asyncio.sleep(0)
