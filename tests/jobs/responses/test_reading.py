"""Responses of any server are read within limits of bytes, encodings and time."""

from __future__ import annotations

import asyncio
import gzip
import tracemalloc
import zlib
from collections.abc import Awaitable, Callable
from functools import cache, partial
from typing import Any

import httpx
import pytest

from jobs.responses import BlockingClient, ReceivedBody, ReceivedResponse, fetch
from tests.parts import bad_answers, bad_servers
from tests.parts.http_server import Answer
from tests.parts.notifications import NotificationService

LIMIT = 64 * 1024
MANY = 64 * 1024 * 1024


async def read(url: str, **options: Any) -> ReceivedResponse:
    async with httpx.AsyncClient(trust_env=False) as client:
        return await fetch(client, "GET", url, **{"limit": LIMIT, "timeout_s": 30.0, **options})


async def read_in_a_thread(url: str, **options: Any) -> ReceivedResponse:
    with_limits = {"limit": LIMIT, "timeout_s": 30.0, **options}

    def run() -> ReceivedResponse:
        with BlockingClient(httpx.AsyncClient(trust_env=False)) as client:
            return client.fetch("GET", url, **with_limits)

    return await asyncio.to_thread(run)


Read = Callable[..., Awaitable[ReceivedResponse]]
both = pytest.mark.parametrize("reading", [read, read_in_a_thread])


@cache
def nested_gzip(times: int) -> bytes:
    body = bytes(MANY)
    for _ in range(times):
        body = gzip.compress(body, mtime=0)
    return body


@both
async def test_no_encoding_is_requested(reading: Read) -> None:
    async with NotificationService(Answer(body=b"ready")) as service:
        response = await reading(service.url, headers={"accept": "text/plain"})
    assert (response.status, response.body) == (200, b"ready")
    (request,) = service.requests
    assert (request.headers["accept-encoding"], request.headers["accept"]) == ("identity", "text/plain")


@both
@pytest.mark.parametrize(
    ("encoding", "body"),
    [("gzip", gzip.compress(b"ready")), ("Deflate", zlib.compress(b"ready")), ("identity", b"ready")],
)
async def test_one_encoding_is_accepted_though(reading: Read, encoding: str, body: bytes) -> None:
    async with NotificationService(Answer(200, {"content-encoding": encoding}, body)) as service:
        assert (await reading(service.url)).received == ReceivedBody(b"ready")


@both
@pytest.mark.parametrize("encoding", ["gzip, gzip", "gzip,deflate", "br"])
async def test_other_encodings_are_refused_and_named(reading: Read, encoding: str) -> None:
    answer = b"HTTP/1.1 503 Busy\r\nContent-Encoding: %s\r\nContent-Length: 1\r\n\r\nx" % encoding.encode()
    async with bad_servers.answering(answer) as server:
        response = await reading(server.url)
    assert (response.status, response.body) == (503, b"")
    assert response.received.error == f"its body is encoded as {encoding}, but identity was requested"


@both
@pytest.mark.parametrize(("times", "encoding"), [(1, "gzip"), (2, "gzip, gzip"), (3, "gzip, gzip, gzip")])
async def test_a_small_response_stays_small(reading: Read, times: int, encoding: str) -> None:
    """400 bytes that are 64 MiB."""
    async with NotificationService(Answer(200, {"content-encoding": encoding}, nested_gzip(times))) as service:
        tracemalloc.start()
        try:
            response = await reading(service.url)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert len(response.body) <= LIMIT
    assert peak < 4 * 1024 * 1024


@both
async def test_a_large_body_is_truncated_and_is_no_json(reading: Read) -> None:
    async with NotificationService(Answer(body=b"1" * (LIMIT + 1))) as service:
        response = await reading(service.url)
    assert response.received == ReceivedBody(b"1" * LIMIT, is_truncated=True)
    with pytest.raises(ValueError, match="too large"):
        response.parse_json()


@both
@pytest.mark.parametrize(
    ("body", "encoding"),
    [(gzip.compress(b"ready")[:-1], "gzip"), (b"ready", "gzip"), (gzip.compress(b"") * 1001, "gzip")],
)
async def test_a_body_that_is_not_in_its_encoding_is_an_error(reading: Read, body: bytes, encoding: str) -> None:
    async with NotificationService(Answer(200, {"content-encoding": encoding}, body)) as service:
        response = await reading(service.url)
    assert response.body == b""
    assert response.received.error.startswith("its body ")
    with pytest.raises(ValueError, match="its body"):
        response.parse_json()


@both
async def test_a_redirect_is_not_followed(reading: Read) -> None:
    async with NotificationService(Answer(302, {"location": "/other"})) as service:
        assert (await reading(service.url)).status == 302
    assert len(service.requests) == 1


@both
async def test_json_of_too_many_levels_is_an_error(reading: Read) -> None:
    async with NotificationService(Answer(body=b"[" * 50_000)) as service:
        response = await reading(service.url)
    with pytest.raises(ValueError, match="too many levels"):
        response.parse_json()


async def test_chunks_of_one_byte_leave_the_loop_to_others() -> None:
    turns = 0

    async def count_turns() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    async with bad_servers.answering(bad_answers.TINY_CHUNKS) as server:
        counting = asyncio.create_task(count_turns())
        response = await read(server.url)
        counting.cancel()
    assert len(response.body) == LIMIT
    assert turns > LIMIT / 100  # the connection is read in 64 KiB, which are 10,000 chunks


@both
@pytest.mark.parametrize(
    "slow",
    [
        bad_servers.dripping_body,
        bad_servers.dripping_headers,
        bad_servers.endless_continue,
        partial(bad_servers.endless_continue, "103 Early Hints"),
        bad_servers.black_hole,
    ],
)
async def test_a_response_without_end_ends_with_the_time_limit(
    reading: Read, slow: Callable[[], bad_servers.BadServer]
) -> None:
    async with slow() as server:
        with pytest.raises((TimeoutError, httpx.TimeoutException)):
            await reading(server.url, timeout_s=0.2)
