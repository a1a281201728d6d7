"""GET /api/objectives: budgets, burn rates and statements."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from jobs.definition.alerting_section import DefinedEntry, define_alerting
from jobs.incidents.suppression.windows import MaintenanceWindow
from tests.jobs.running.run_parts import REFUSED, answer
from tests.jobs.running.virtual_time import virtual_time
from tests.scheduler.api.api_client import ApiClient
from tests.scheduler.fakes import entry

JOB = entry(schedule=None, retry={"attempts": 1}, slo={"target": 90.0, "description": "Checkout answers"})
TIMED = entry(schedule=None, retry={"attempts": 1}, slo={"target": 90.0, "counts": "time"}, alerts=[{}])


async def read(client: ApiClient, path: str = "/checkout", **query: str) -> dict[str, Any]:
    answered = await client.get(f"/api/objectives{path}", **query)
    assert answered.status_code == 200, answered.text
    found: dict[str, Any] = answered.json()
    return found


@virtual_time
async def test_without_a_run_nothing_is_measured() -> None:
    async with ApiClient(jobs=[JOB]) as client:
        found = await read(client)

    assert (found["status"], found["attained"], found["burn_rate"]) == ("no_data", None, None)
    assert found["objective"]["description"] == "Checkout answers"


@virtual_time
async def test_the_budget_the_burn_rates_and_the_time_to_exhaustion() -> None:
    async with ApiClient(*[answer()] * 19, REFUSED, jobs=[JOB]) as client:
        for _ in range(20):
            await asyncio.sleep(600)
            await client.perform()
        found = await read(client)
        listed = await read(client, "")

    assert (found["valid"], found["bad"], found["allowed"], found["remaining_ratio"]) == (20, 1, 2.0, 0.5)
    assert (found["status"], found["burn_rate"]) == ("burning", 1.666667)
    assert found["exhausted_in_seconds"] == pytest.approx(0.5 * (30 * 86400 + 1200) / (10 / 6), abs=1)
    assert {each["window"]: each["bad"] for each in found["burn_rates"]}["5m"] == 1
    assert [each["objective"]["name"] for each in listed["objectives"]] == ["checkout"]
    assert [each["window"] for each in listed["objectives"][0]["burn_rates"]] == ["1h"]


@virtual_time
async def test_a_window_whose_runs_do_not_count_is_excluded_in_runs_and_seconds() -> None:
    async with ApiClient(answer(), REFUSED, REFUSED, answer(), jobs=[JOB]) as client:
        begin = client.shop.clock.now() + timedelta(minutes=5)
        window = MaintenanceWindow.model_validate(
            {"name": "patching", "select": {"all": True}, "counts": False}
            | {"from": begin.isoformat(), "until": (begin + timedelta(minutes=30)).isoformat()}
        )
        client.shop.catalog.snapshot.alerting = define_alerting({"windows": (DefinedEntry("", window),)})
        for seconds in (600, 600, 3600, 0):
            await client.perform()
            await asyncio.sleep(seconds)
        found = await read(client)
        statement = await read(client, "/checkout/statement", month="2026-03")

    assert (found["valid"], found["bad"], found["excluded"], found["excluded_seconds"]) == (2, 0, 2, 1800)
    (job,) = statement["jobs"]
    assert (job["valid"], job["excluded"], [each["name"] for each in job["exclusions"]]) == (2, 2, ["patching"])
    assert (statement["met"], statement["ended"], statement["complete"]) == (True, False, True)


@virtual_time
async def test_an_objective_by_time_counts_seconds_of_downtime() -> None:
    async with ApiClient(answer(), jobs=[TIMED]) as client:
        await client.perform()
        await asyncio.sleep(3600)
        found = await read(client)

    assert (found["objective"]["counts"], found["bad"]) == ("time", 0)


@virtual_time
async def test_a_statement_is_also_a_table() -> None:
    async with ApiClient(answer(), jobs=[JOB]) as client:
        await client.perform()
        found = await client.get("/api/objectives/checkout/statement", month="2026-03", format="csv")
        missing = await client.get("/api/objectives/chekout/statement", month="2026-03")
        early = await client.get("/api/objectives/checkout/statement", month="2026-04")

    assert found.headers["content-disposition"] == 'attachment; filename="checkout-2026-03.csv"'
    assert found.text.splitlines()[1].startswith("checkout,2026-03,2026-03-01T00:00:00Z,")
    assert missing.status_code == 404
    assert "did you mean checkout?" in missing.json()["detail"]
    assert (early.status_code, "has not started" in early.text) == (422, True)
