"""Presets that read the recent runs alone, and one that judges how old Azure's own data is."""

from __future__ import annotations

import re
from datetime import UTC, datetime

import pytest

from jobs.expectations import judge
from tests.config.presets.golden_answers import GOLDEN, ago, job_of, observe, page
from tests.parts.azure_apis import AzureApis
from tests.parts.http_server import Answer

RUNS = ("logic-app-runs", "data-factory-runs")


@pytest.mark.parametrize("name", RUNS)
async def test_a_list_of_runs_is_read_to_its_first_entry_and_no_further_back_than_is_judged(name: str) -> None:
    job, run = job_of(name), GOLDEN[name].good()
    following = "token-2" if name == "data-factory-runs" else f"{job.check.endpoint}?$skiptoken=2"
    async with AzureApis.open() as azure:
        azure.script = [page(name, [], following), page(name, [run], following), AzureApis.refusal(500, "Late")]
        observed = await azure.observe(job.check.model_dump(mode="json", by_alias=True, exclude_unset=True))
    assert judge(observed, job.expect) == ()
    assert observed.facts["pages"] == len(azure.requests) == 2
    first = azure.requests[0]
    text = first.query.get("$filter", "") + first.body.decode()
    instant = re.search(r"(?:startTime ge |lastUpdatedAfter\":\s*\")(\S+?Z)", text)
    assert instant is not None, text
    age = datetime.now(UTC) - datetime.fromisoformat(instant[1])
    assert age.total_seconds() == pytest.approx(26 * 3600, abs=60)


@pytest.mark.parametrize(("hours", "is_unknown"), [(1, False), (3, True)])
async def test_health_that_azure_checked_long_ago_is_unknown(hours: float, is_unknown: bool) -> None:
    state = {"availabilityState": "Unavailable", "reportedTime": ago(hours=hours)}
    answer = Answer.of_json({"value": [{"id": "/subscriptions/s/x/vm1", "properties": state}]})
    observed, failures = await observe("resource-health", answer)
    assert (bool(observed.unknown), bool(failures)) == (is_unknown, not is_unknown)
    if is_unknown:  # 3 h 1 s on a slow machine
        assert "old, more than 2 h (max_data_age)" in observed.unknown
        assert "The newest data is 3 h" in observed.unknown
