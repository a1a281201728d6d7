"""What a client may hold of the server: bytes and seconds of a request, and of an answer that it does not read."""

from __future__ import annotations

import json
from contextlib import suppress

import pytest

from scheduler.connections.limits import (
    BODY_TIMEOUT,
    HEAD_TIMEOUT,
    MAX_HEAD_BYTES,
    MAX_HEADERS,
    MAX_URL_BYTES,
    MIN_BODY_RATE,
)
from scheduler.connections.protocol import (
    DISCARD_TIMEOUT,
    MAX_DISCARDED_BODY_BYTES,
    MAX_PIPELINED_REQUESTS,
    WRITE_TIMEOUT,
)
from tests.scheduler.connections.served import served

GET = b"GET / HTTP/1.1\r\nhost: x\r\n\r\n"


def problem(answer: bytes, status: int) -> str:
    """The detail of a problem that ends its connection."""
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 %d " % status), answer[:200]
    assert b"content-type: application/problem+json" in head
    assert b"connection: close" in head
    reported = json.loads(body)
    assert reported["status"] == status
    detail: str = reported["detail"]
    return detail


async def test_requests_on_one_connection_are_answered_however_long_it_lives() -> None:
    async with served() as server:
        client = await server.connect()
        for _ in range(3):
            await client.send(GET)
            assert (await client.answer()).endswith(b"got 0")
            server.pass_time(1000)


@pytest.mark.parametrize(
    "head", [b"G", b"GET / HTTP/1.1\r\nhost: x\r\n", b"POST /x HTTP/1.1\r\ncontent-length: 5\r\nx"]
)
async def test_a_head_that_is_not_complete_in_time_ends_its_connection(head: bytes) -> None:
    async with served() as server:
        client = await server.connect()
        await client.send(head)
        await server.received()
        server.pass_time(HEAD_TIMEOUT - 1)
        await client.send(b"y")
        server.pass_time(1)

        assert problem(await client.rest(), 408) == "The head of the request was not complete within 10 s."
        assert server.app.began == 0


async def test_a_connection_on_which_nothing_comes_is_closed_without_an_answer() -> None:
    async with served() as server:
        client = await server.connect()
        server.pass_time(HEAD_TIMEOUT)

        assert await client.rest() == b""


async def test_empty_lines_do_not_keep_a_connection_open() -> None:
    async with served() as server:
        client = await server.connect()
        await client.send(GET)
        await client.answer()
        server.pass_time(3)
        await client.send(b"\r\n")
        await server.until(lambda: server.connections[0].timeout_keep_alive_task is None)
        server.pass_time(HEAD_TIMEOUT)

        assert await client.rest() == b""


@pytest.mark.parametrize(
    "size", [b"content-length: 10\r\n\r\n12345", b"transfer-encoding: chunked\r\n\r\n5\r\n12345\r\n"]
)
async def test_a_body_that_is_not_complete_in_time_ends_its_request(size: bytes) -> None:
    async with served() as server:
        client = await server.connect()
        await client.send(b"POST /x HTTP/1.1\r\nhost: x\r\n" + size)
        await server.received()
        server.pass_time(BODY_TIMEOUT)

        assert problem(await client.rest(), 408) == "The body of the request was not complete within 10 s."
        await server.until(lambda: server.app.ended)
        assert server.app.ended == ["gone"]


async def test_an_answer_may_take_as_long_as_it_takes() -> None:
    async with served() as server:
        client = await server.connect()
        await client.send(b"POST /hold HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\nab")
        await server.until(lambda: server.app.began and not server.connections[0]._in_body)
        server.pass_time(200)
        server.app.release.set()

        assert (await client.answer()).endswith(b"got 2")


async def test_a_request_in_line_is_not_timed_while_the_one_before_is_answered() -> None:
    async with served() as server:
        client = await server.connect()
        await client.send(
            b"GET /hold HTTP/1.1\r\nhost: x\r\n\r\nPOST / HTTP/1.1\r\nhost: x\r\ncontent-length: 4\r\n\r\nab"
        )
        await server.until(lambda: server.connections[0].pipeline)
        server.pass_time(200)
        server.app.release.set()
        await client.answer()
        await client.send(b"cd")

        assert (await client.answer()).endswith(b"got 4")


@pytest.mark.parametrize(
    "head",
    [
        b"GET / HTTP/1.1\r\nhost: x\r\nx: " + b"y" * MAX_HEAD_BYTES,
        b"GET / HTTP/1.1\r\n" + b"x: y\r\n" * (MAX_HEADERS + 1) + b"\r\n",
    ],
    ids=["header", "headers"],
)
async def test_a_head_that_is_too_large_is_refused(head: bytes) -> None:
    async with served() as server:
        client = await server.connect()
        await client.send(head)

        assert problem(await client.rest(), 431).startswith("The head of the request is too large: at most 32768 bytes")


@pytest.mark.parametrize(
    "head",
    [b"GET /" + b"x" * MAX_URL_BYTES + b" HTTP/1.1\r\nhost: x\r\n\r\n", b"GET /?" + b"x" * 4 * MAX_URL_BYTES],
    ids=["whole", "not yet whole"],
)
async def test_a_url_that_is_too_long_is_refused(head: bytes) -> None:
    async with served() as server:
        client = await server.connect()
        await client.send(head)

        assert problem(await client.rest(), 414).startswith("The URL of the request is too long: at most 8192 bytes")
        assert server.app.began == 0


async def test_a_large_body_that_arrives_fast_gets_the_time_that_it_needs() -> None:
    async with served() as server:
        client = await server.connect()
        await client.send(b"POST /x HTTP/1.1\r\nhost: x\r\ncontent-length: 3000000\r\n\r\n")
        await client.send(b"x" * 4 * MIN_BODY_RATE)
        await server.until(lambda: server.connections and server.connections[0]._body_bytes == 4 * MIN_BODY_RATE)
        server.pass_time(BODY_TIMEOUT + 3)
        assert len(server.register) == 1
        server.pass_time(1)

        assert problem(await client.rest(), 408) == "The body of the request was not complete within 14 s."


@pytest.mark.parametrize(
    "rest",
    [b"0\r\nx: " + b"y" * MAX_HEAD_BYTES, b"0\r\n" + b"x: y\r\n" * MAX_HEAD_BYTES, b"1\r\nx\r\n" * MAX_HEAD_BYTES],
    ids=["trailer", "trailers", "chunks of a byte"],
)
async def test_trailers_and_chunk_sizes_that_are_too_large_are_refused(rest: bytes) -> None:
    async with served() as server:
        client = await server.connect()
        await client.send(b"POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n")
        await server.received()
        with suppress(ConnectionError):
            await client.send(rest)

        assert "too large" in problem(await client.rest(), 431)


async def test_a_body_in_chunks_of_a_usual_size_is_accepted() -> None:
    async with served() as server:
        client = await server.connect()
        await client.send(b"POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n")
        await server.received()
        await client.send(b"40\r\n" + b"x" * 64 + b"\r\n")
        for _ in range(50):
            await client.send((b"40\r\n" + b"x" * 64 + b"\r\n") * 100)
        await client.send(b"0\r\n\r\n")

        assert (await client.answer()).endswith(b"got %d" % (64 * 5001))


async def test_trailers_change_no_header_of_a_request() -> None:
    async with served() as server:
        client = await server.connect()
        body = b"transfer-encoding: chunked\r\n\r\n2\r\nab\r\n0\r\nhost: evil\r\n\r\n"
        await client.send(b"POST /hold HTTP/1.1\r\nhost: x\r\n" + body)
        await server.until(lambda: server.app.began)
        server.app.release.set()
        await client.answer()

        assert server.app.headers == [(b"host", b"x"), (b"transfer-encoding", b"chunked")]


@pytest.mark.parametrize("garbage", [b"GARBAGE\r\n\r\n", b"\x16\x03\x01\x02\x00\x01", b"GET / HTTP/9.9\r\n\r\n"])
async def test_what_is_not_http_is_refused(garbage: bytes) -> None:
    async with served() as server:
        client = await server.connect()
        await client.send(garbage)

        assert problem(await client.rest(), 400) == "The request is not valid HTTP/1.1."


async def test_an_upgrade_is_answered_as_any_request() -> None:
    async with served() as server:
        client = await server.connect()
        await client.send(b"GET / HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n")

        assert (await client.answer()).endswith(b"got 0")


async def test_more_requests_in_line_than_allowed_are_refused() -> None:
    async with served() as server:
        client = await server.connect()
        await client.send(b"GET /hold HTTP/1.1\r\nhost: x\r\n\r\n" * (MAX_PIPELINED_REQUESTS + 2))

        assert "at most 16" in problem(await client.rest(), 429)
        assert server.app.began == 1


async def test_requests_in_line_are_answered_in_order() -> None:
    async with served() as server:
        client = await server.connect()
        await client.send(
            b"".join(b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n%s" % (n, b"x" * n) for n in range(5))
        )

        assert [(await client.answer())[-5:] for _ in range(5)] == [b"got %d" % n for n in range(5)]


@pytest.mark.parametrize("connection", [b"close", b"keep-alive"])
async def test_a_client_whose_body_is_not_expected_gets_the_answer_all_the_same(connection: bytes) -> None:
    size = 3_000_000
    async with served() as server:
        client = await server.connect()
        head = b"POST /early HTTP/1.1\r\nhost: x\r\nconnection: %s\r\ncontent-length: %d\r\n\r\n" % (connection, size)
        await client.send(head)
        for _ in range(30):
            await client.send(b"x" * (size // 30))

        assert (await client.answer()).endswith(b"got 0")
        if connection == b"keep-alive":
            await client.send(GET)
            await client.answer()
        else:
            assert await client.rest() == b""


async def test_a_body_that_is_not_expected_is_thrown_away_only_so_far() -> None:
    async with served() as server:
        client = await server.connect()
        await client.send(b"POST /early HTTP/1.1\r\nhost: x\r\ncontent-length: 600000000\r\n\r\n")
        sent = 0
        with suppress(ConnectionError):
            while sent < 600_000_000:
                await client.send(b"x" * 1_000_000)
                sent += 1_000_000

        assert sent < MAX_DISCARDED_BODY_BYTES * 3


async def test_the_rest_of_a_body_that_is_not_expected_may_take_only_so_long() -> None:
    async with served() as server:
        client = await server.connect()
        await client.send(b"POST /early HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: 100\r\n\r\nx")
        await client.answer()
        server.pass_time(DISCARD_TIMEOUT)

        assert await client.rest() == b""
        await server.until(lambda: not server.connections)


async def test_a_client_that_does_not_read_its_answer_is_cut_off() -> None:
    async with served() as server:
        client = await server.connect()
        client.reader._transport.pause_reading()  # type: ignore[attr-defined]
        await client.send(b"GET /large HTTP/1.1\r\nhost: x\r\n\r\n")
        await server.until(lambda: server.app.ended)
        server.pass_time(1)
        server.pass_time(WRITE_TIMEOUT)

        await server.until(lambda: not server.connections)


async def test_a_client_that_reads_slowly_gets_its_whole_answer() -> None:
    async with served() as server:
        client = await server.connect()
        await client.send(b"GET /large HTTP/1.1\r\nhost: x\r\n\r\n")
        await client.reader.readuntil(b"\r\n\r\n")
        left = len(server.app.large)
        while left:
            step = min(left, 4_000_000)
            await client.reader.readexactly(step)
            left -= step
            server.pass_time(WRITE_TIMEOUT - 1)


async def test_a_client_that_leaves_is_forgotten() -> None:
    async with served() as server:
        client = await server.connect()
        client.writer.transport.abort()

        await server.until(lambda: not len(server.register))


async def test_at_the_limit_a_new_connection_takes_the_place_of_the_one_that_waits_longest() -> None:
    async with served(most=2) as server:
        slow = await server.connect()
        await slow.send(b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\nhalf")
        await server.received()
        other = await server.connect()
        new = await server.connect()
        await new.send(GET)

        assert (await new.answer()).endswith(b"got 0")
        assert "All connections of this API are in use" in problem(await slow.rest(), 503)
        await other.send(GET)
        await other.answer()


async def test_while_all_are_answered_only_health_is_answered_to_others() -> None:
    async with served(most=1) as server:
        busy = await server.connect()
        await busy.send(b"GET /hold HTTP/1.1\r\nhost: x\r\n\r\n")
        await server.until(lambda: server.app.began)
        probe, person = await server.connect(), await server.connect()
        await probe.send(b"GET /api/health/ready HTTP/1.1\r\nhost: x\r\n\r\n")
        await person.send(GET)

        assert (await probe.answer()).startswith(b"HTTP/1.1 200 ")
        refused = await person.rest()
        assert refused.startswith(b"HTTP/1.1 503 ")
        assert b"retry-after: 5" in refused
        server.app.release.set()
        await busy.answer()
