"""The route that explains alerts."""

from __future__ import annotations

from scheduler.authentication.port import Authentication
from tests.scheduler.api.access.test_tag_limits import PAYMENTS, Fixed
from tests.scheduler.api.api_client import ApiClient
from tests.scheduler.fakes import entry

JOBS = [entry("checkout", tags={"team": "payments"}, alerts=[{"open_after": "3 of 5"}]), entry("shop")]
PATH = "/api/jobs/checkout/alert-explanation"


async def test_it_names_rules_and_reasons() -> None:
    async with ApiClient(jobs=JOBS) as client:
        found = (await client.get(PATH)).json()
        assert found["rules"][0]["rule"] == "failed: failed, open_after 3 of 5, severity down"
        assert found["reasons"][0] == "the job has no run that is stored from before this instant"
        none = (await client.get("/api/jobs/shop/alert-explanation")).json()
    assert "the job has no alert rule" in none["summary"]


async def test_unknown_jobs_and_instants() -> None:
    async with ApiClient(jobs=JOBS) as client:
        assert (await client.get("/api/jobs/none/alert-explanation")).status_code == 404
        wrong = await client.get(PATH, at="soon")
    assert wrong.status_code == 422
    assert wrong.json()["errors"][0]["location"] == "query.at"


async def test_a_caller_that_is_limited_to_tags_is_refused() -> None:
    async with ApiClient(jobs=JOBS, authentication=Authentication(Fixed(PAYMENTS))) as client:
        assert (await client.get(PATH)).status_code == 403
