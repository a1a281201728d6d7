"""GET /api/jobs/{name}/health-entries: what each entry of a job's health documents reports, and since when."""

from __future__ import annotations

import json
from typing import Any

import pytest

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


def rows(*dead: int) -> Observation:
    body = json.dumps([{"name": f"q{at}", "n": number} for at, number in enumerate(dead)])
    return Observation(Phases(), 200, body=body.encode())


def document(*dead: int) -> Observation:
    checks = [{"name": f"q{at}", "status": "DOWN" if number else "UP"} for at, number in enumerate(dead)]
    return Observation(Phases(), 200, body=json.dumps({"status": "UP", "checks": checks}).encode())


@virtual_time
@pytest.mark.parametrize(
    ("answers", "expected"),
    [
        (rows, {"rows": {"label": "queues", "expect": [{"json": "$.n", "below": 1}]}}),
        (document, {"health": "microprofile"}),
    ],
)
async def test_the_message_of_a_run_names_the_entries_that_vanish_once(answers: Any, expected: Any) -> None:
    seen = answers(0, 0, 7), answers(1), answers(1), answers(0)
    async with ApiClient(*seen, jobs=[entry(expect=[expected], retry={"attempts": 1})]) as client:
        messages = []
        for _ in seen:
            await client.shop.clock.sleep(60)
            messages.append((await client.get(f"/api/runs/{await client.perform()}")).json()["message"])
    assert "No longer reported" not in messages[0]
    assert messages[1] == f"{messages[2]} No longer reported: q2 (was down), q1."
    assert messages[3] == ""


@virtual_time
async def test_a_good_run_names_the_entries_that_vanish() -> None:
    jobs = [entry(expect=[{"rows": {"expect": [{"json": "$.n", "below": 1}], "ignore": ["q0"]}}])]
    async with ApiClient(rows(0, 7), rows(), jobs=jobs) as client:
        await client.perform()
        await client.shop.clock.sleep(60)
        run = (await client.get(f"/api/runs/{await client.perform()}")).json()
    assert (run["outcome"], run["message"]) == ("succeeded", "No longer reported: q1 (was down).")


@virtual_time
async def test_a_job_without_a_document_has_no_entries_and_an_unknown_one_is_not_found() -> None:
    async with ApiClient(jobs=JOBS) as client:
        assert (await client.get("/api/jobs/search/health-entries")).json() == {"entries": []}
        assert (await client.get("/api/jobs/nowhere/health-entries")).status_code == 404
