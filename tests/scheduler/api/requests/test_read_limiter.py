"""Reads of the API take turns; health, pings and changes do not wait."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from starlette.types import Message, Receive, Scope, Send

from scheduler.api.middleware.request_limits import (
    CONCURRENT_READS,
    MAX_READ_SECONDS,
    MAX_REST_SECONDS,
    MAX_WAITING_READS,
    ReadLimiter,
)
from tests.jobs.running.virtual_time import virtual_time


class Slow:
    """An app whose answers take some seconds; it knows when each began and how many there were at once."""

    def __init__(self, seconds: float, occupied: float = 0.0) -> None:
        """`occupied`: seconds for which a request occupies the event loop before and after it waits."""
        self.seconds = seconds
        self.occupied = occupied
        self.loop_time = 0.0
        self.began: list[float] = []
        self.now = self.most = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.began.append(asyncio.get_running_loop().time())
        self.now += 1
        self.most = max(self.most, self.now)
        self.loop_time += self.occupied
        try:
            await asyncio.sleep(self.seconds)
        finally:
            self.now -= 1
        self.loop_time += self.occupied
        if scope["path"] == "/api/broken":
            raise RuntimeError
        await send({"type": "http.response.start", "status": 200, "headers": []})


async def requested(app: Any, path: str = "/api/runs", method: str = "GET") -> list[Message]:
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    await app({"type": "http", "path": path, "method": method, "headers": []}, None, send)
    return sent


@virtual_time
async def test_only_so_many_reads_are_answered_at_once_and_a_slot_rests_as_long_as_its_read_occupied_the_loop() -> None:
    app = Slow(0.1, occupied=0.05)
    turns = ReadLimiter(app, lambda: app.loop_time)

    await asyncio.gather(*(requested(turns) for _ in range(3 * CONCURRENT_READS)))

    assert app.most == CONCURRENT_READS
    first, second, third = sorted({round(at - app.began[0], 3) for at in app.began})
    assert (first, second, third) == (0, 0.2, 0.4)


@virtual_time
async def test_a_slot_does_not_rest_for_the_time_that_its_read_waits() -> None:
    app = Slow(0.1)
    turns = ReadLimiter(app, lambda: app.loop_time)

    await asyncio.gather(*(requested(turns) for _ in range(2 * CONCURRENT_READS)))

    assert {round(at - app.began[0], 3) for at in app.began} == {0, 0.1}


@virtual_time
async def test_a_read_alone_does_not_make_the_next_one_wait() -> None:
    app = Slow(0.1)
    turns = ReadLimiter(app)
    for _ in range(5):
        await requested(turns)

    assert app.began[-1] - app.began[0] == pytest.approx(0.4)


@virtual_time
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/api/health/ready"),
        ("GET", "/api/status"),
        ("GET", "/api/ping/token"),
        ("POST", "/api/jobs/x/run"),
        ("DELETE", "/api/dead-letters/x"),
    ],
)
async def test_what_must_be_answered_does_not_wait_for_reads(method: str, path: str) -> None:
    app = Slow(1.0)
    turns = ReadLimiter(app)
    reads = [asyncio.create_task(requested(turns)) for _ in range(10)]
    await asyncio.sleep(0.1)
    before = len(app.began)
    now = asyncio.create_task(requested(turns, path, method))
    await asyncio.sleep(0)

    assert len(app.began) == before + 1
    await asyncio.gather(now, *reads)


@virtual_time
async def test_a_read_that_hangs_keeps_others_waiting_only_so_long() -> None:
    app = Slow(1000.0)
    turns = ReadLimiter(app)
    reads = [asyncio.create_task(requested(turns)) for _ in range(2 * CONCURRENT_READS)]
    await asyncio.sleep(MAX_READ_SECONDS + 0.1)

    assert len(app.began) == 2 * CONCURRENT_READS
    await asyncio.gather(*reads)
    assert turns._semaphore._value == CONCURRENT_READS


@virtual_time
async def test_too_many_that_wait_are_refused_with_when_to_come_back() -> None:
    turns = ReadLimiter(Slow(1.0))
    reads = [asyncio.create_task(requested(turns)) for _ in range(CONCURRENT_READS + MAX_WAITING_READS)]
    await asyncio.sleep(0)
    start, body = await requested(turns)

    assert (start["status"], (b"retry-after", b"5") in start["headers"]) == (503, True)
    assert json.loads(body["body"])["detail"].startswith("200 read requests are already waiting")
    for read in reads:
        read.cancel()
    await asyncio.gather(*reads, return_exceptions=True)


@virtual_time
async def test_reads_that_break_or_whose_client_leaves_give_their_places_back() -> None:
    app = Slow(0.1)
    turns = ReadLimiter(app)
    reads = [asyncio.create_task(requested(turns, path)) for path in ["/api/broken", "/api/runs"] * 5]
    await asyncio.sleep(0.05)
    for read in reads[3:6]:
        read.cancel()
    await asyncio.gather(*reads, return_exceptions=True)
    await asyncio.sleep(MAX_REST_SECONDS)

    assert (turns._semaphore._value, turns._waiting) == (CONCURRENT_READS, 0)


@virtual_time
async def test_a_read_that_waits_when_the_program_ends_is_reported_so() -> None:
    turns = ReadLimiter(Slow(1.0))
    reads = [asyncio.create_task(requested(turns)) for _ in range(CONCURRENT_READS + 1)]
    await asyncio.sleep(0)
    reads[-1].cancel()
    start, body = await reads[-1]

    assert start["status"] == 503
    assert json.loads(body["body"])["detail"] == "The scheduler is stopping. Retry after its restart."
    await asyncio.gather(*reads)
