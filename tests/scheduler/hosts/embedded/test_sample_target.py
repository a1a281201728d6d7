"""The sample target answers as its jobs need it."""

from __future__ import annotations

import asyncio

import httpx
import pytest
from httpx import ASGITransport

from scheduler.hosts.embedded.server import MAX_SLEEP, SampleTarget
from tests.jobs.running.virtual_time import START, LoopClock, virtual_time


def client_of(target: SampleTarget) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=ASGITransport(target.app()), base_url="http://samples.test")


async def status_of(path: str) -> tuple[int, str]:
    async with client_of(SampleTarget()) as client:
        answer = await client.get(path)
        return answer.status_code, answer.json().get("status", "")


@pytest.mark.parametrize("path", ["/healthy", "/database", "/external", "/container"])
async def test_these_are_well(path: str) -> None:
    assert await status_of(path) == (200, "ok")


async def test_one_answers_what_is_not_expected_of_it() -> None:
    assert await status_of("/json") == (200, "degraded")


async def test_one_always_fails() -> None:
    assert await status_of("/failing") == (500, "down")


async def test_the_flaky_one_is_well_each_third_time_and_counts_each_job_apart() -> None:
    async with client_of(SampleTarget()) as client:
        requested = [(await client.get("/flaky")).status_code for _ in range(6)]
        other = (await client.get("/flaky?job=other")).status_code

    assert (requested, other) == ([503, 503, 200, 503, 503, 200], 503)


@virtual_time
@pytest.mark.parametrize(
    ("query", "seconds"),
    [("", 5), ("?seconds=7", 7), ("?seconds=-1", 0), ("?seconds=nan", 0), ("?seconds=1e9", MAX_SLEEP)],
)
async def test_the_slow_one_takes_as_long_as_it_is_reported(query: str, seconds: float) -> None:
    assert await status_of(f"/slow{query}") == (200, "ok")

    assert (LoopClock().now() - START).total_seconds() == pytest.approx(seconds)


async def test_the_slow_one_takes_only_numbers() -> None:
    assert (await status_of("/slow?seconds=soon"))[0] == 400


@virtual_time
async def test_the_slow_one_answers_at_once_when_its_server_ends() -> None:
    target = SampleTarget()
    async with client_of(target) as client:
        requested = asyncio.create_task(client.get("/slow?seconds=20"))
        await asyncio.sleep(1)

        target.close()

        assert (await requested).status_code == 200
    assert (LoopClock().now() - START).total_seconds() == pytest.approx(1)
