"""GET /api/dashboard/jobs/{name}/alerts, as the server sends it; and the links from it to the charts."""

from __future__ import annotations

from typing import Any

import pytest

from tests.jobs.running.run_parts import REFUSED
from tests.scheduler.api.access.test_tag_limits import PAYMENTS
from tests.scheduler.api.api_client import ApiClient
from tests.scheduler.api.dashboard.page_text import find_links, get_page, has_inline_code, visible_text
from tests.scheduler.api.routes.test_incidents import OURS, THEIRS, open_client, store_incident
from tests.scheduler.fakes import entry

PAGE = "/api/dashboard/jobs/checkout/alerts"
RULES: dict[str, Any] = {"alerts": [{"name": "failed", "when": {"failed": True}, "open_after": 3}]}


async def test_the_rules_and_what_prevents_a_notification_are_shown() -> None:
    async with ApiClient(jobs=[entry(**RULES)]) as client:
        await client.perform()
        page = await get_page(client, PAGE)

    text = visible_text(page)
    assert "Would it alert now?" in text
    assert "checkout has no alert at" in text
    assert "failed: failed, open_after 3" in text
    assert "The job had no incident." in text
    assert "No objective counts this job." in text
    assert not has_inline_code(page)


async def test_an_earlier_instant_is_explained_in_the_chosen_zone() -> None:
    async with ApiClient(jobs=[entry(**RULES)]) as client:
        headers = {"cookie": "scheduler_zone=Europe/Berlin"}
        earlier = await client.request("GET", f"{PAGE}?at=2026-03-01T12:00", headers=headers)
        wrong = visible_text(await get_page(client, PAGE, at="soon"))

    assert "Would it alert then?" in visible_text(earlier.text)
    assert "checkout has no alert at 2026-03-01 11:00:00 UTC" in visible_text(earlier.text)
    assert "the value of 'at' is not a time" in wrong


async def test_the_incidents_of_the_job_lead_to_their_pages_and_to_the_charts_around_them() -> None:
    async with open_client() as client:
        page = await get_page(client, PAGE)
        around = await get_page(client, f"/api/dashboard/jobs/checkout?incident={OURS}")

    assert "3 of 3 runs failed" in visible_text(page)
    assert f"/api/dashboard/jobs/checkout?incident={OURS}" in find_links(page)
    assert f"/api/dashboard/incidents/{OURS}" in find_links(page)
    assert f"Around the incident {OURS}" in visible_text(around)


async def test_a_caller_that_is_limited_to_tags_gets_no_explanation_but_its_incidents() -> None:
    async with open_client(PAYMENTS) as client:
        page = await get_page(client, PAGE)

    assert "it needs access that is not limited to tags" in visible_text(page)
    assert "3 of 3 runs failed" in visible_text(page)
    assert THEIRS not in page


async def test_the_objective_of_the_job_has_its_budget() -> None:
    async with ApiClient(jobs=[entry(slo={"target": 99.5})]) as client:
        await client.perform()
        page = await get_page(client, PAGE)

    assert "checkout 99.5 % of runs in the last 30 days, job checkout" in visible_text(page)
    assert 'aria-label="100 % of the error budget is left"' in page


async def test_a_failing_run_leads_to_its_incident() -> None:
    async with ApiClient(REFUSED, jobs=[entry(retry={"attempts": 1})]) as client:
        await store_incident(client, OURS, "checkout")
        page = await get_page(client, f"/api/dashboard/runs/{await client.perform()}")

    assert f"/api/dashboard/incidents/{OURS}" in find_links(page)


@pytest.mark.parametrize("query", ["?page=2", f"?at={'1' * 50}"])
async def test_a_parameter_that_cannot_be_used_is_refused(query: str) -> None:
    async with ApiClient() as client:
        assert (await client.get(f"{PAGE}{query}")).status_code in (400, 422)


async def test_every_link_works() -> None:
    async with open_client() as client:
        addresses = find_links(await get_page(client, PAGE, code="a/b+c=="))
        assert {(await client.get(address)).status_code for address in addresses} == {200}
