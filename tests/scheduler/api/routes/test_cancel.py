"""POST /api/runs/{run_id}/cancel."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from tests.jobs.running.run_parts import Hang
from tests.jobs.running.virtual_time import virtual_time
from tests.scheduler.api.api_client import ApiClient
from tests.scheduler.fakes import entry

LONG = Hang("first_byte", 25.0)


@virtual_time
async def test_a_queued_run_is_answered_as_cancelled() -> None:
    async with ApiClient() as client:
        run_id = (await client.enqueue(seconds=60)).ticket.id

        done = await client.post(f"/api/runs/{run_id}/cancel")

    assert (done.status_code, done.json()["id"]) == (200, run_id)
    assert (done.json()["state"], done.json()["outcome"]) == ("finished", "cancelled")
    assert done.json()["message"] == "Cancelled over the API before it finished."


@virtual_time
async def test_a_running_run_is_answered_as_cancelled() -> None:
    async with ApiClient(LONG, jobs=[entry(timeout={"attempt": "30s"})]) as client:
        run_id = (await client.post("/api/jobs/checkout/run")).json()["id"]
        await asyncio.sleep(1)

        done = await client.post(f"/api/runs/{run_id}/cancel")
        again = await client.post(f"/api/runs/{run_id}/cancel")

    assert (done.status_code, done.json()["outcome"]) == (200, "cancelled")
    assert (again.status_code, again.headers["content-type"]) == (409, "application/problem+json")
    assert "is already finished: cancelled" in again.json()["detail"]


@virtual_time
async def test_a_run_of_another_process_is_accepted_with_the_place_where_it_is_found() -> None:
    async with ApiClient() as client:
        ticket, now = client.shop.ticket(), client.shop.clock.now()
        await client.shop.runs.claim(ticket, "another", now + timedelta(minutes=1), now)

        accepted = await client.post(f"/api/runs/{ticket.id}/cancel")

    assert (accepted.status_code, accepted.json()["state"]) == (202, "running")
    assert accepted.headers["Operation-Location"] == f"/api/runs/{ticket.id}"
    assert accepted.headers["Retry-After"] == "1"


@pytest.mark.parametrize("run_id", ["checkout@20260301T120000.000Z", "nothing", "a b"])
async def test_a_run_that_is_missing_is_reported(run_id: str) -> None:
    async with ApiClient() as client:
        refused = await client.post(f"/api/runs/{run_id}/cancel")

    assert refused.status_code == 404
    assert "There is no run" in refused.json()["detail"]


async def test_what_is_refused_everywhere_is_refused_here() -> None:
    async with ApiClient() as client:
        path = f"/api/runs/{(await client.enqueue()).ticket.id}/cancel"
        unknown = await client.post(path, force="yes")
        wait = await client.post(path, wait="soon")
        foreign = await client.request("POST", path, headers={"Sec-Fetch-Site": "cross-site"})

        assert (await client.get("/api/runs")).json()["runs"][0]["state"] == "queued"

    assert [answer.status_code for answer in (unknown, wait, foreign)] == [400, 400, 403]


async def test_a_store_that_is_unavailable_is_reported_with_when_to_come_back() -> None:
    async with ApiClient() as client:
        run_id = (await client.enqueue()).ticket.id
        client.break_store()

        refused = await client.post(f"/api/runs/{run_id}/cancel")

    assert (refused.status_code, refused.headers["Retry-After"]) == (503, "5")
