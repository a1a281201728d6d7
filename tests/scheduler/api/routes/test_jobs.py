"""GET /api/jobs and /api/jobs/{name}."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.jobs.running.run_parts import REFUSED, answer
from tests.jobs.running.virtual_time import virtual_time
from tests.parts.timing import computes_below
from tests.scheduler.api.api_client import ApiClient
from tests.scheduler.fakes import entry


@virtual_time
async def test_a_job_is_listed_with_its_schedule_its_next_instant_and_its_latest_run() -> None:
    async with ApiClient(jobs=[entry(description="Takes the money", tags={"team": "payments"})]) as client:
        run_id = await client.perform()

        (job,) = (await client.get("/api/jobs")).json()["jobs"]

    latest = job.pop("latest")
    assert job == {
        "name": "checkout",
        "description": "Takes the money",
        "enabled": True,
        "kind": "http",
        "endpoint": "http://127.0.0.1:9/",
        "target": "GET http://127.0.0.1:9/",
        "schedule": {"every": "10s"},
        "has_default_schedule": False,
        "depends_on": [],
        "dependents": [],
        "next_at": "2026-03-01T12:00:10Z",
        "pause": None,
        "status": "up",
        "wait": "",
        "reason": "",
        "last_known": None,
        "state_since": "2026-03-01T12:00:00Z",
        "source": "jobs.yaml:1",
        "tags": {"team": "payments"},
        "url": "/api/jobs/checkout",
    }
    assert (latest["id"], latest["outcome"]) == (run_id, "succeeded")


async def test_a_job_is_listed_with_what_it_depends_on_and_what_depends_on_it() -> None:
    jobs = [entry("database"), entry("report", None, depends_on=[{"job": "database", "within": "5m"}])]
    async with ApiClient(jobs=jobs) as client:
        database, report = (await client.get("/api/jobs")).json()["jobs"]

    assert database["dependents"] == ["report"]
    assert report["depends_on"] == [{"job": "database", "condition": "succeeded", "within": "5m", "wait": "0s"}]


async def test_a_job_without_runs_has_no_latest_one() -> None:
    async with ApiClient() as client:
        assert (await client.get("/api/jobs")).json()["jobs"][0]["latest"] is None


@pytest.mark.parametrize("more", [{"schedule": None}, {"enabled": False}])
async def test_a_job_that_is_not_planned_has_no_next_instant(more: dict[str, object]) -> None:
    async with ApiClient(jobs=[entry(**more)]) as client:  # type: ignore[arg-type]
        job = (await client.get("/api/jobs/checkout")).json()

    assert job["next_at"] is None
    assert job["upcoming"] == []


@pytest.mark.parametrize("limit", [1, 3, 7, 500])
async def test_paging_meets_every_job_once_in_order(limit: int) -> None:
    names = ["Zebra", "a.b", "a-b", "a", "b1", "b10", "b2"]
    async with ApiClient(jobs=[entry(name) for name in names]) as client:
        jobs = await client.get_all("/api/jobs", "jobs", limit=limit)

    assert [job["name"] for job in jobs] == sorted(names)


async def test_there_may_be_no_jobs() -> None:
    async with ApiClient(jobs=[]) as client:
        assert (await client.get("/api/jobs")).json() == {"jobs": [], "continuation": None}


@virtual_time
async def test_one_job_is_shown_with_its_definition_and_its_next_due_instants() -> None:
    async with ApiClient(jobs=[entry(retry={"attempts": 2, "initial": "250ms"})]) as client:
        job = (await client.get("/api/jobs/checkout")).json()

    assert job["definition"]["retry"]["attempts"] == 2
    assert job["definition"]["retry"]["initial"] == "250ms"
    assert job["generation"]
    assert [instant[14:19] for instant in job["upcoming"]][:3] == ["00:10", "00:20", "00:30"]
    assert len(job["upcoming"]) == 10


async def test_an_unknown_job_is_not_found_and_the_nearest_name_is_reported() -> None:
    async with ApiClient(jobs=[entry("checkout-api"), entry("database")]) as client:
        answer = await client.get("/api/jobs/chekout-api")

    assert answer.status_code == 404
    assert answer.json()["detail"] == (
        "There is no job named 'chekout-api'. Did you mean checkout-api? GET /api/jobs lists the jobs."
    )


async def test_ten_thousand_jobs_page_quickly() -> None:
    async with ApiClient(jobs=[entry(f"job-{number:05}") for number in range(10_000)]) as client:
        with computes_below(1):
            page = (await client.get("/api/jobs", limit=100, continuation="job-05000")).json()
            unknown = await client.get("/api/jobs/job_05000")

    assert [page["jobs"][0]["name"], page["continuation"]] == ["job-05001", "job-05100"]
    assert "Did you mean" in unknown.json()["detail"]


@virtual_time
async def test_the_status_of_a_job_is_that_of_its_last_change() -> None:
    async with ApiClient(REFUSED, answer(), jobs=[entry(retry={"attempts": 1}), entry("other")]) as client:
        unknown = (await client.get("/api/jobs/other")).json()
        await client.perform()
        down = (await client.get("/api/jobs/checkout")).json()
        (change,) = (await client.get("/api/changes")).json()["changes"]
        await asyncio.sleep(60)
        await client.perform(seconds=60)
        up = (await client.get("/api/jobs", name="checkout")).json()["jobs"][0]

    assert (unknown["status"], unknown["state_since"]) == ("unknown", None)
    assert (down["status"], down["state_since"]) == ("down", change["at"])
    assert up["status"] == "up"
    assert up["state_since"] > down["state_since"]


async def test_a_page_of_jobs_reads_the_states_of_all_jobs_once() -> None:
    async with ApiClient(jobs=[entry(f"job-{number:03}") for number in range(300)]) as client:
        await client.get("/api/jobs", limit=100)
        reads: list[str] = []
        store = client.shop.store
        list_rows, get_row = store.list_rows, store.get_row

        async def listing(table: str, *given: Any, **more: Any) -> Any:
            reads.append(table)
            return await list_rows(table, *given, **more)

        async def getting(table: str, *given: Any, **more: Any) -> Any:
            reads.append(table)
            return await get_row(table, *given, **more)

        store.list_rows, store.get_row = listing, getting  # type: ignore[method-assign]
        for _ in range(3):
            await client.get("/api/jobs", limit=100)

    assert reads.count("changes") <= 1
