"""POST /api/jobs/{name}/run."""

from __future__ import annotations

import pytest

from scheduler.dispatch.port import DispatchError
from tests.jobs.running.run_parts import Hang, answer
from tests.jobs.running.virtual_time import virtual_time
from tests.scheduler.api.api_client import ApiClient
from tests.scheduler.fakes import entry


async def test_a_run_that_is_started_is_accepted_with_the_place_where_it_is_found() -> None:
    async with ApiClient() as client:
        started = await client.post("/api/jobs/checkout/run")

        found = await client.get(started.headers["Operation-Location"])

    assert started.status_code == 202
    assert started.headers["Retry-After"] == "1"
    run = started.json()
    assert (run["job"], run["trigger"], run["state"], run["outcome"]) == ("checkout", "manual", "queued", None)
    assert started.headers["Operation-Location"] == run["url"] == f"/api/runs/{run['id']}"
    assert found.json()["id"] == run["id"]


async def test_two_requests_start_two_runs() -> None:
    async with ApiClient() as client:
        ids = {(await client.post("/api/jobs/checkout/run")).json()["id"] for _ in range(2)}

    assert len(ids) == 2


@virtual_time
async def test_with_wait_the_finished_run_is_answered() -> None:
    async with ApiClient(Hang("body", 3.0)) as client:
        done = await client.post("/api/jobs/checkout/run", wait="10s")
        now = client.shop.clock.monotonic()

    assert done.status_code == 200
    assert (done.json()["state"], done.json()["outcome"]) == ("finished", "succeeded")
    assert done.headers["Operation-Location"] == done.json()["url"]
    assert "Retry-After" not in done.headers
    assert 3.0 <= now <= 3.5


@virtual_time
async def test_a_run_that_takes_longer_than_the_wait_is_accepted_as_running() -> None:
    async with ApiClient(Hang("body", 9.0)) as client:
        started = await client.post("/api/jobs/checkout/run", wait="1500ms")
        waited = client.shop.clock.monotonic()
        await client.shop.worker.drain(20)

        done = await client.get(started.headers["Operation-Location"])

    assert (started.status_code, started.json()["state"]) == (202, "running")
    assert waited == pytest.approx(1.5)
    assert done.json()["outcome"] == "succeeded"


@virtual_time
async def test_a_failed_run_is_answered_as_any_other() -> None:
    async with ApiClient(answer(500)) as client:
        done = await client.post("/api/jobs/checkout/run", wait="1m")

    assert (done.status_code, done.json()["outcome"]) == (200, "failed")


@pytest.mark.parametrize("wait", ["0s", "0ms"])
async def test_a_wait_of_nothing_does_not_wait(wait: str) -> None:
    async with ApiClient() as client:
        assert (await client.post("/api/jobs/checkout/run", wait=wait)).status_code == 202


@pytest.mark.parametrize(
    ("wait", "complaint"),
    [
        ("10m", "query.wait: 10m exceeds the maximum of 3m20s; use a shorter wait, then poll the run by its id"),
        ("201s", "query.wait: 201s exceeds the maximum of 3m20s; use a shorter wait, then poll the run by its id"),
        ("10", "query.wait: '10' is not a duration: write it like 500ms, 10s, 2m or 1h30m"),
        ("soon", "query.wait: 'soon' is not a duration: write it like 500ms, 10s, 2m or 1h30m"),
        ("", "query.wait: '' is not a duration: write it like 500ms, 10s, 2m or 1h30m"),
    ],
)
async def test_a_wait_that_cannot_be_is_refused_and_nothing_is_started(wait: str, complaint: str) -> None:
    async with ApiClient() as client:
        refused = await client.request("POST", f"/api/jobs/checkout/run?wait={wait}")

        assert (await client.get("/api/runs")).json()["runs"] == []

    assert (refused.status_code, refused.json()["detail"]) == (400, complaint)


@virtual_time
async def test_a_disabled_job_runs_when_it_is_requested() -> None:
    async with ApiClient(jobs=[entry(enabled=False)]) as client:
        done = await client.post("/api/jobs/checkout/run", wait="5s")

    assert done.json()["outcome"] == "succeeded"


async def test_an_unknown_job_cannot_be_run() -> None:
    async with ApiClient() as client:
        refused = await client.post("/api/jobs/checkuot/run")

    assert refused.status_code == 404
    assert "Did you mean checkout?" in refused.json()["detail"]


async def test_a_body_is_not_checked() -> None:
    async with ApiClient() as client:
        json = {"content-type": "application/json"}
        assert (await client.request("POST", "/api/jobs/checkout/run", content=b"{", headers=json)).status_code == 202


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
async def test_a_page_of_another_site_may_not_start_a_run(site: str) -> None:
    async with ApiClient() as client:
        refused = await client.request("POST", "/api/jobs/checkout/run", headers={"Sec-Fetch-Site": site})

        assert (await client.get("/api/runs")).json()["runs"] == []

    assert (refused.status_code, refused.headers["content-type"]) == (403, "application/problem+json")


@pytest.mark.parametrize("site", ["none", "same-origin"])
async def test_a_browser_may_start_a_run_from_here(site: str) -> None:
    async with ApiClient() as client:
        started = await client.request("POST", "/api/jobs/checkout/run", headers={"Sec-Fetch-Site": site})

    assert started.status_code == 202


async def test_a_queue_that_is_unavailable_is_reported_with_when_to_come_back() -> None:
    async with ApiClient() as client:

        def unavailable(_: object) -> None:
            raise DispatchError("the queue is away: look at the storage account")

        client.dispatch._submit = unavailable
        refused = await client.post("/api/jobs/checkout/run")

    assert (refused.status_code, refused.headers["Retry-After"]) == (503, "5")
    assert refused.json()["detail"] == "the queue is away: look at the storage account"
