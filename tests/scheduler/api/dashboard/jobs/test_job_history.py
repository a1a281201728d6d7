"""The charts, the changes and the filters of GET /api/dashboard/jobs/{name}."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from jobs.runs import Trigger
from scheduler.audit.stored_trail import StoredAuditTrail
from scheduler.audit.trail import AuditedChange
from scheduler.authentication.port import Authentication
from scheduler.identity.principal import Role
from tests.jobs.running.run_parts import REFUSED, answer
from tests.jobs.running.virtual_time import virtual_time
from tests.scheduler.api.access.test_tag_limits import PAYMENTS, Fixed
from tests.scheduler.api.api_client import ApiClient
from tests.scheduler.api.dashboard.page_text import find_links, get_page, has_inline_code, visible_text
from tests.scheduler.audit.memory_trail import API_CALLER
from tests.scheduler.fakes import entry

ONCE: dict[str, Any] = {"retry": {"attempts": 1}}
PAGE = "/api/dashboard/jobs/checkout"
PERFORMED = "12:00:10"


async def perform_two(client: ApiClient) -> None:
    """A run that succeeds, and one that fails."""
    await client.perform()
    await client.shop.clock.sleep(10)
    await client.perform()
    await client.shop.clock.sleep(10)


@virtual_time
async def test_the_numbers_and_the_changes_of_the_period_are_shown() -> None:
    async with ApiClient(answer(), REFUSED, jobs=[entry(**ONCE)]) as client:
        await perform_two(client)
        page = await get_page(client, PAGE)

    text = visible_text(page)
    assert "In the last hour" in text
    assert "Success 50 % Runs 2 Down 1" in text
    assert "2 changes of state 12:00:10 down after 10 s up checkout.internal:443 refused the connection." in text
    assert 'aria-label="States, 1 Mar 11:00 to 1 Mar 13:00: down 1 time, ' in page
    assert 'aria-label="Success, 1 Mar 11:00 to 1 Mar 13:00: success from 50 % to 50 %, latest 50 %."' in page
    assert not has_inline_code(page)


@virtual_time
async def test_a_period_without_runs_reports_it() -> None:
    async with ApiClient(jobs=[entry()]) as client:
        await client.perform()
        text = visible_text(await get_page(client, PAGE, period="2026-02"))

    assert "In February 2026" in text
    assert "There are no runs in this period." in text


@virtual_time
async def test_times_of_the_period_are_those_of_the_chosen_zone() -> None:
    async with ApiClient(jobs=[entry()]) as client:
        await client.perform()
        address = f"{PAGE}?from=2026-03-01T12:30&to=2026-03-01T13:30"
        sent = await client.request("GET", address, headers={"cookie": "scheduler_zone=Europe/Berlin"})

    assert "From 2026-03-01 12:30 to 2026-03-01 13:30" in visible_text(sent.text)
    assert "Runs 1" in visible_text(sent.text)
    assert 'name="from" value="2026-03-01T12:30"' in sent.text


@virtual_time
async def test_a_period_that_cannot_be_shown_is_explained_above_the_last_24_hours() -> None:
    async with ApiClient() as client:
        sent = await client.get(PAGE, **{"from": "<b>"})
        unknown = await client.get(PAGE, incident="1-a")

    assert sent.status_code == unknown.status_code == 400
    assert "the value of 'from' is not a time" in visible_text(sent.text)
    assert "there is no incident '1-a'" in visible_text(unknown.text)
    assert "In the last 24 hours" in visible_text(sent.text)


@virtual_time
async def test_what_people_changed_is_marked() -> None:
    async with ApiClient(jobs=[entry()]) as client:
        trail = StoredAuditTrail(client.shop.audit_log, client.shop.clock, client.shop.redactor)
        await trail.record(API_CALLER, AuditedChange("job.patch", "checkout", "changed <b>", ("checkout",)))
        page = await get_page(client, PAGE)

    text = visible_text(page)
    assert "1 change of the job, marked in the charts 12:00:00 definition changed <b>" in text
    assert '<g class="chart-marker definition">' in page
    assert "changed <b>" not in page


@virtual_time
async def test_runs_are_filtered_by_outcome_and_trigger() -> None:
    async with ApiClient(answer(), REFUSED, jobs=[entry(**ONCE)]) as client:
        await perform_two(client)
        failed = await get_page(client, PAGE, outcome="failed")
        manual = visible_text(await get_page(client, PAGE, trigger=Trigger.MANUAL.value))
        wrong = [(await client.get(PAGE, **query)).status_code for query in ({"outcome": "x"}, {"trigger": "x"})]

    assert PERFORMED in visible_text(failed[failed.index('id="section-runs"') :])
    assert "succeeded" not in failed[failed.index("<tbody>", failed.index('id="section-runs"')) :].split("</table>")[0]
    assert "No run matches the filters." in manual
    assert wrong == [400, 400]


@virtual_time
async def test_pages_of_runs_have_the_filters_and_the_period() -> None:
    async with ApiClient(jobs=[entry(overlap="allow")]) as client:
        for number in range(30):
            await client.perform(seconds=number)
        page = await get_page(client, PAGE, period="7d", outcome="succeeded")
        (older,) = [address for address in find_links(page) if "continuation" in address]

    assert all(part in older for part in ("period=7d", "outcome=succeeded"))


@virtual_time
async def test_actions_name_the_role_that_is_missing() -> None:
    job = entry(circuit={"consecutive_failures": 1, "open_for": "60s"}, tags={"team": "payments"})
    viewer = Authentication(Fixed(replace(PAYMENTS, role=Role.VIEWER)))
    async with ApiClient(jobs=[job]) as client:
        page = await get_page(client, PAGE)
    async with ApiClient(jobs=[job], authentication=viewer) as client:
        of_viewer = await get_page(client, PAGE)

    assert 'data-action="POST /api/jobs/checkout/run"' in page
    assert 'data-action="POST /api/circuits/checkout/open"' in page
    assert 'data-undo="POST /api/silences/{id}/end"' in page
    assert "data-action" not in of_viewer
    assert "Run now (role operator)" in visible_text(of_viewer)
    assert "Pause (role operator)" in visible_text(of_viewer)


@virtual_time
async def test_a_paused_job_offers_to_resume_it_and_to_undo_that() -> None:
    async with ApiClient(jobs=[entry()]) as client:
        await client.post_json("/api/jobs/checkout/pause", {"until": "2026-03-01T14:00:00Z", "reason": "deployment"})
        page = await get_page(client, PAGE)

    assert 'data-action="POST /api/jobs/checkout/resume"' in page
    assert 'data-undo="POST /api/jobs/checkout/pause"' in page
    assert "2026-03-01T14:00:00+00:00" in page
