"""GET /api/jobs/{name}/health-entries: what each entry of a job's health documents reports, and since when."""

from __future__ import annotations

import json

from jobs.runs import Observation, Phases
from tests.jobs.running.virtual_time import virtual_time
from tests.scheduler.api.api_client import ApiClient
from tests.scheduler.fakes import entry


def report(status: str, **more: str) -> Observation:
    whole = "Healthy" if status == "Healthy" else "Unhealthy"
    body = {"status": whole, "entries": {"cosmosdb": {"status": status, **more}, "redis": {"status": "Healthy"}}}
    return Observation(Phases(total_ms=5.0), 200 if whole == "Healthy" else 503, body=json.dumps(body).encode())


JOBS = [entry(expect=[{"health": "aspnet"}], retry={"attempts": 1}), entry("search", tags={"team": "search"})]


@virtual_time
async def test_each_entry_has_its_status_its_cause_and_its_changes() -> None:
    healthy, timeout = report("Healthy"), report("Unhealthy", description="timeout")
    async with ApiClient(healthy, timeout, healthy, timeout, timeout, jobs=JOBS) as client:
        runs = []
        for _ in range(5):
            await client.shop.clock.sleep(60)
            runs.append(await client.perform())
        found = (await client.get("/api/jobs/checkout/health-entries")).json()["entries"]
        last = (await client.get(f"/api/runs/{runs[-1]}")).json()

    cosmosdb, redis = found
    assert (cosmosdb["name"], cosmosdb["status"], cosmosdb["reported_status"]) == ("cosmosdb", "down", "Unhealthy")
    assert (cosmosdb["effect"], cosmosdb["text"], cosmosdb["recent_failures"]) == ("down", "timeout", 2)
    assert cosmosdb["run_id"] == runs[3]
    assert [change["status"] for change in cosmosdb["changes"]] == ["down", "up", "down", "up"]
    assert cosmosdb["since"] == cosmosdb["changes"][0]["at"]
    assert (redis["status"], redis["recent_failures"], len(redis["changes"])) == ("up", 0, 1)
    assert last["message"] == "Answered 503: Unhealthy because of cosmosdb (timeout)."


@virtual_time
async def test_a_job_without_a_document_has_no_entries_and_an_unknown_one_is_not_found() -> None:
    async with ApiClient(jobs=JOBS) as client:
        assert (await client.get("/api/jobs/search/health-entries")).json() == {"entries": []}
        assert (await client.get("/api/jobs/nowhere/health-entries")).status_code == 404
