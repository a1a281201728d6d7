"""GET /api/jobs/{name}/uptime."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.jobs.running.run_parts import REFUSED, answer
from tests.jobs.running.virtual_time import virtual_time
from tests.scheduler.api.api_client import ApiClient
from tests.scheduler.fakes import entry

ONCE = entry(schedule=None, retry={"attempts": 1})


async def uptime(client: ApiClient) -> dict[str, Any]:
    answered = await client.get("/api/jobs/checkout/uptime")
    assert answered.status_code == 200, answered.text
    found: dict[str, Any] = answered.json()
    return found


@virtual_time
async def test_without_a_run_nothing_is_known() -> None:
    async with ApiClient(jobs=[ONCE]) as client:
        found = await uptime(client)

    assert (found["since"], found["runs"]) == (None, 0)
    assert {window["ratio"] for window in found["windows"]} == {None}
    assert {month["down_seconds"] for month in found["months"]} == {None}


@virtual_time
async def test_each_time_has_its_share_of_good_runs_and_each_month_its_downtime() -> None:
    async with ApiClient(answer(), REFUSED, answer(), answer(), jobs=[ONCE]) as client:
        for seconds in (48 * 3600, 30, 3600, 0):
            await client.perform()
            await asyncio.sleep(seconds)
        found = await uptime(client)

    day, week, month, *longer = found["windows"]
    assert (day["ratio"], day["up"], day["down"], day["mean_ms"], day["complete"]) == (0.666667, 2, 1, 12.0, True)
    assert (week["ratio"], month["name"], month["up"]) == (0.75, "30d", 3)
    assert [(window["name"], window["complete"]) for window in longer] == [("90d", False), ("365d", False)]
    march, february, january = found["months"]
    assert (march["month"], march["outages"]) == ("2026-03", 1)
    assert march["down_seconds"] == pytest.approx(30.0, abs=0.2)
    assert [(one["month"], one["down_seconds"]) for one in (february, january)] == [
        ("2026-02", None),
        ("2026-01", None),
    ]


@virtual_time
async def test_runs_count_also_when_they_are_deleted() -> None:
    async with ApiClient(jobs=[ONCE]) as client:
        for _ in range(3):
            await client.perform()
            await asyncio.sleep(13 * 3600)
        await client.shop.runs.prune(client.shop.clock.now(), 3600, 1)
        found = await uptime(client)

    assert (found["runs"], [window["up"] for window in found["windows"]]) == (3, [1, 3, 3, 3, 3])


@virtual_time
async def test_a_pause_is_no_downtime() -> None:
    async with ApiClient(REFUSED, answer(), jobs=[ONCE]) as client:
        await client.perform()
        assert (await client.post("/api/jobs/checkout/pause")).status_code == 200
        await asyncio.sleep(60)
        assert (await client.get(f"/api/runs/{await client.perform()}")).json()["outcome"] == "skipped"
        await asyncio.sleep(48 * 3600)
        await client.post("/api/jobs/checkout/resume")
        await client.perform()
        found = await uptime(client)

    assert (found["windows"][1]["up"], found["windows"][1]["down"], found["runs"]) == (1, 1, 2)
    assert found["months"][0]["down_seconds"] == pytest.approx(60.0, abs=0.2)
    assert found["months"][0]["outages"] == 1


async def test_an_unknown_job_has_none() -> None:
    async with ApiClient() as client:
        assert (await client.get("/api/jobs/chekout/uptime")).status_code == 404
