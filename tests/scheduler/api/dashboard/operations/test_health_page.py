"""GET /api/dashboard/health, as the server sends it."""

from __future__ import annotations

from datetime import timedelta

from scheduler.health import ExporterReport, HealthStatus, OwnReports
from tests.jobs.running.virtual_time import virtual_time
from tests.scheduler.api.api_client import ApiClient
from tests.scheduler.api.dashboard.page_text import find_links, get_page, has_inline_code, visible_text
from tests.scheduler.fakes import entry

PATH = "/api/dashboard/health"


@virtual_time
async def test_the_worst_part_is_first_with_its_message_and_the_page_about_it() -> None:
    async with ApiClient(jobs=[entry()]) as client:
        client.add_health_part("store", HealthStatus.OK)
        client.add_health_part("secrets", HealthStatus.DEGRADED, "the vault refused <b>access</b>")
        client.add_health_part("ticker", HealthStatus.DOWN, "no tick for 5 s")
        page = await get_page(client, PATH)

    text = visible_text(page)
    assert "<title>down · Health · Scheduler · test</title>" in page
    assert "The scheduler cannot run jobs" in text
    assert "ticker down no tick for 5 s secrets degraded the vault refused access Secrets ok: store" in text
    assert "/api/dashboard/secrets" in find_links(page)
    assert "/api/health/ready 503" in text
    assert "/api/health/live 200" in text
    assert not has_inline_code(page)


@virtual_time
async def test_the_watchdog_names_overdue_jobs() -> None:
    async with ApiClient(jobs=[entry(), entry("other")]) as client:
        await client.watchdog.make_report()
        await client.shop.clock.sleep(timedelta(minutes=10).total_seconds())
        await client.perform("other")
        await client.watchdog.make_report()
        text = visible_text(await get_page(client, PATH))

    assert "All parts of the scheduler work" in text
    assert "Watched jobs 2 Overdue jobs 1" in text
    assert "checkout silent 12:00:10" in text
    assert "Last tick none yet" in text


@virtual_time
async def test_exporters_have_what_they_sent_lost_and_hold() -> None:
    async with ApiClient(jobs=[entry()]) as client:
        reports = (
            ExporterReport("datadog", "degraded", "HTTP 403", 120, 3, 2, 4096, "2026-03-01 11:59:00Z"),
            ExporterReport("otlp", "off"),
        )
        client.health.own_reports = OwnReports(list_exporters=lambda: reports)
        text = visible_text(await get_page(client, PATH))

    assert "datadog degraded 120 sent 3 dropped 2 requests, 4 KiB since 2026-03-01 11:59:00Z HTTP 403" in text
    assert "otlp off 0 sent 0 dropped" in text


@virtual_time
async def test_without_a_store_the_page_has_what_is_known() -> None:
    async with ApiClient(jobs=[entry()]) as client:
        client.break_store()
        answer = await client.get(PATH)

    assert answer.status_code == 200
    assert "This process has no exporters." in visible_text(answer.text)
