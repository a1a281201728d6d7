"""GET /api/dashboard/runs/{run_id}, as the server sends it."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

from jobs.runs import Phases, StartWait, WaitReason
from jobs.runs.details import CertificateDetail, Details, DnsDetail, StepDetail, StepOutcome, TlsDetail
from scheduler.features.runs.run_page import other_values
from tests.jobs.running.run_parts import REFUSED, Hang, answer
from tests.jobs.running.virtual_time import virtual_time
from tests.scheduler.api.api_client import ApiClient
from tests.scheduler.api.dashboard.page_text import find_links, get_page, has_inline_code, visible_text
from tests.scheduler.fakes import entry
from tests.scheduler.stores.samples import NOON, run_of, ticket

ONCE: dict[str, Any] = {"retry": {"attempts": 1}}


def page_at(run_id: str) -> str:
    return f"/api/dashboard/runs/{run_id}"


@virtual_time
async def test_a_run_shows_its_outcome_its_sentence_its_times_and_its_error_class() -> None:
    async with ApiClient(REFUSED, jobs=[entry(**ONCE)]) as client:
        await client.shop.clock.sleep(0.25)
        run_id = await client.perform(seconds=-0.25)

        page = await get_page(client, page_at(run_id))

    assert "<title>failed · checkout · Scheduler · test</title>" in page
    text = visible_text(page)
    assert "checkout failed" in text
    assert "checkout.internal:443 refused the connection." in text
    assert "Due 2026-03-01 12:00:00.000 UTC" in text
    assert "Started 2026-03-01 12:00:00.250 UTC, 250 ms late" in text
    assert "Error class connection_refused" in text


@virtual_time
async def test_a_late_run_shows_what_it_waited_for() -> None:
    due = ticket()
    waits = (StartWait(WaitReason.PLACE, 3900.0, "limit of <b>"), StartWait(WaitReason.CLAIM, 200.0))
    run = replace(run_of(due), started_at=due.due_at + timedelta(seconds=4.2), waits=waits)
    async with ApiClient(jobs=[entry()]) as client:
        await client.store_finished(due, run)
        page = await get_page(client, page_at(due.id))

    assert "4.2 s late: waited 3.9 s for a place (limit of <b>), 200 ms for the claim" in visible_text(page)
    assert "limit of <b>" not in page


@virtual_time
async def test_each_attempt_stands_with_its_phases() -> None:
    due = ticket()
    run = run_of(due)
    (first,) = run.attempts
    second = replace(first, number=2, phases=Phases(0.2, 0.4, None, 12.0, 13.0))
    async with ApiClient(jobs=[entry()]) as client:
        await client.store_finished(due, replace(run, attempts=(replace(first, wait_ms=500.0), second)))
        text = visible_text(await get_page(client, page_at(due.id)))

    assert "Attempt 1 200 32 ms" in text
    assert "Phases DNS 0.5 ms, connect 1.2 ms, first byte 30 ms, body 0.1 ms, wait 500 ms" in text
    assert "Phases DNS 0.2 ms, connect 0.4 ms, first byte 12 ms, body 0.4 ms" in text


@virtual_time
async def test_the_stored_body_and_what_did_not_hold_are_shown_as_text() -> None:
    body = b"<script>alert(1)</script>"
    job = entry(expect=[{"status": 200}], **ONCE)
    async with ApiClient(answer(500, body=body), jobs=[job]) as client:
        page = await get_page(client, page_at(await client.perform()))

    assert "<script>alert(1)</script>" in visible_text(page)
    assert "<script>alert" not in page
    assert "expected 200" in visible_text(page)
    assert not has_inline_code(page)


@virtual_time
async def test_a_run_of_a_chain_leads_to_the_run_that_caused_it() -> None:
    async with ApiClient(jobs=[entry("database"), entry("report", None, depends_on=["database"])]) as client:
        cause = await client.perform("database")
        await client.shop.clock.sleep(1)
        (report,) = (await client.get("/api/runs", job="report")).json()["runs"]

        page = await get_page(client, page_at(report["id"]))

    assert report["correlation_id"] == cause
    assert page_at(cause) in find_links(page)
    assert f"Correlation id {cause}" in visible_text(page)


@virtual_time
async def test_a_run_that_continues_reports_it() -> None:
    async with ApiClient(Hang("body", 9.0), jobs=[entry()]) as client:
        due = client.shop.ticket()
        client.shop.worker.submit(due)
        await client.shop.clock.sleep(1)

        page = await get_page(client, page_at(due.id))

    assert "checkout is running" in visible_text(page)
    assert " data-refresh" in page


@virtual_time
async def test_a_run_that_is_over_is_not_fetched_again() -> None:
    async with ApiClient() as client:
        page = await get_page(client, page_at(await client.perform()))

    assert " data-refresh" not in page
    assert "http-equiv" not in page


@virtual_time
async def test_a_skipped_run_has_no_attempts() -> None:
    async with ApiClient(jobs=[entry(), entry("report", depends_on=["checkout"])]) as client:
        run_id = await client.perform("report")

        text = visible_text(await get_page(client, page_at(run_id)))

    assert "report skipped" in text
    assert "There were no attempts." in text


@virtual_time
async def test_a_run_of_a_job_that_is_gone_is_still_shown() -> None:
    async with ApiClient(jobs=[entry()]) as client:
        due = ticket("gone")
        await client.store_finished(due, run_of(due))

        page = await get_page(client, page_at(due.id))

    assert "gone succeeded" in visible_text(page)
    assert "/api/dashboard/jobs/gone" not in find_links(page)


@virtual_time
async def test_the_details_of_an_attempt_are_shown() -> None:
    certificate = CertificateDetail("checkout.example", "R11", ("checkout.example", "www.checkout.example"), 2, NOON)
    details = Details(
        steps=(StepDetail("login", 200, 34.2), StepDetail("pay", None, 12.0, StepOutcome.TIMED_OUT, "run_timeout")),
        tls=TlsDetail("TLSv1.3", certificate),
        dns=DnsDetail("NOERROR", ("10.2.0.4", "10.2.0.5"), 2, 60, "10.0.0.53"),
    )
    due = ticket()
    run = run_of(due)
    async with ApiClient(jobs=[entry()]) as client:
        await client.store_finished(due, replace(run, attempts=(replace(run.attempts[0], details=details),)))
        text = visible_text(await get_page(client, page_at(due.id)))

    assert "login 200 34 ms 34 ms Result succeeded, status 200" in text
    assert "pay timed out 12 ms 12 ms Result timed out, run_timeout" in text
    assert "subject checkout.example issuer R11 names checkout.example, www.checkout.example" in text
    assert "rcode NOERROR records 10.2.0.4, 10.2.0.5" in text


def test_what_a_later_version_stores_of_a_run_is_shown_by_its_name() -> None:
    stored = {"id": "x", "message": "m", "certificate": {"days": 12}, "steps": [], "rcode": "NOERROR"}

    assert other_values(stored, known={"id", "message"}) == {"certificate": {"days": 12}, "rcode": "NOERROR"}


async def test_every_link_works_and_hands_on_the_function_key() -> None:
    async with ApiClient() as client:
        addresses = find_links(await get_page(client, page_at(await client.perform()), code="a/b+c=="))

        assert len(addresses) > 5
        assert all("code=a%2Fb%2Bc%3D%3D" in address for address in addresses)
        assert {(await client.get(address)).status_code for address in addresses} == {200}


@virtual_time
async def test_a_failing_run_stands_next_to_the_last_good_one_and_its_neighbours() -> None:
    async with ApiClient(answer(), REFUSED, answer(), jobs=[entry(**ONCE)]) as client:
        good = await client.perform()
        await client.shop.clock.sleep(10)
        failed = await client.perform()
        await client.shop.clock.sleep(10)
        later = await client.perform()
        page = await get_page(client, page_at(failed))

    text = visible_text(page)
    assert "What differs from the last good run" in text
    assert "Outcome failed succeeded" in text
    assert "← 12:00:00 succeeded" in text
    assert "12:00:20 succeeded →" in text
    assert {page_at(good), page_at(later)} <= set(find_links(page))
    assert 'data-go="/api/dashboard/runs/{id}"' in page
    assert not has_inline_code(page)


@virtual_time
async def test_a_run_that_continues_can_be_cancelled() -> None:
    async with ApiClient(Hang("body", 9.0), jobs=[entry()]) as client:
        due = client.shop.ticket()
        client.shop.worker.submit(due)
        await client.shop.clock.sleep(1)
        page = await get_page(client, page_at(due.id))

    assert f'data-action="POST /api/runs/{due.id}/cancel"' in page


@virtual_time
async def test_the_waterfall_has_its_text_and_ids_can_be_copied() -> None:
    async with ApiClient(jobs=[entry()]) as client:
        due = ticket()
        await client.store_finished(due, run_of(due))
        page = await get_page(client, page_at(due.id))

    assert "32 ms: DNS 0.5 ms, connect 1.2 ms, first byte 30 ms" in visible_text(page)
    assert f'data-copy-text="{due.id}"' in page
