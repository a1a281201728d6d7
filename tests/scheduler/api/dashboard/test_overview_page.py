"""GET /api/dashboard, as the server sends it. What a browser makes of it: test_dashboard_in_browser."""

from __future__ import annotations

from scheduler.health.report import HealthStatus
from tests.jobs.running.run_parts import REFUSED, Hang, answer
from tests.jobs.running.virtual_time import virtual_time
from tests.parts.timing import computes_below
from tests.scheduler.api.api_client import ApiClient
from tests.scheduler.api.dashboard.page_text import find_links, get_page, has_inline_code, visible_text
from tests.scheduler.fakes import entry
from tests.scheduler.stores.samples import run_of, ticket

ONCE = {"retry": {"attempts": 1}}


@virtual_time
async def test_a_job_that_is_down_stands_first_with_since_when_and_why() -> None:
    async with ApiClient(answer(), REFUSED, jobs=[entry(**ONCE), entry("other")]) as client:  # type: ignore[arg-type]
        await client.perform(seconds=-10)
        await client.shop.clock.sleep(4000)
        await client.perform()
        await client.shop.clock.sleep(300)

        page = await get_page(client)

    assert "<title>1 down · Scheduler · test</title>" in page
    text = visible_text(page)
    assert "1 of 2 jobs is down" in text
    assert "checkout since 13:06:40 (5 min) checkout.internal:443 refused the connection." in text
    assert "latest run: failed, connection refused, 1 attempt, 5 min ago" in text
    assert "icon-down.svg" in page


@virtual_time
async def test_a_job_that_never_succeeded_is_down_for_as_long_as_is_known() -> None:
    async with ApiClient(answer(500), jobs=[entry(**ONCE)]) as client:  # type: ignore[arg-type]
        await client.perform()
        await client.shop.clock.sleep(30)

        assert "for at least 30 s" in visible_text(await get_page(client))


@virtual_time
async def test_a_job_on_another_page_is_reported_when_it_is_down() -> None:
    jobs = [entry(f"job-{number:03}", **ONCE) for number in range(60)]  # type: ignore[arg-type]
    async with ApiClient(answer(500), jobs=jobs) as client:
        await client.perform("job-057")

        text = visible_text(await get_page(client))

    assert "1 of 60 jobs is down" in text
    assert "Jobs 1 to 50 of 60" in text


@virtual_time
async def test_nothing_down_is_reported() -> None:
    async with ApiClient() as client:
        await client.perform()

        page = await get_page(client)

    assert "No job is down" in visible_text(page)
    assert "<title>Scheduler · test</title>" in page
    assert "Down now" not in page


async def test_a_new_installation_is_reported_what_to_do() -> None:
    async with ApiClient(jobs=[]) as client:
        text = visible_text(await get_page(client))

    assert "No job has run yet" in text
    assert "There are no jobs. Add a job file to the folder of the setting jobs (SCHEDULER_JOBS)" in text
    assert "There are no runs yet." in text


@virtual_time
async def test_every_job_has_its_row() -> None:
    jobs = [
        entry("asked", schedule=None),
        entry("follows", schedule=None, depends_on=["planned", {"job": "off", "condition": "failed"}]),
        entry("gated", depends_on=["planned"]),
        entry("off", enabled=False),
        entry("planned", description="Takes the money"),
    ]
    async with ApiClient(jobs=jobs) as client:
        await client.perform("planned")
        await client.shop.clock.sleep(2)

        text = visible_text(await get_page(client))

    assert "asked http://127.0.0.1:9/ on demand - no run yet -" in text
    assert "follows http://127.0.0.1:9/ after planned, off (failed) - skipped" in text
    assert "gated http://127.0.0.1:9/ every 10s if planned in 8 s no run yet -" in text
    assert "off http://127.0.0.1:9/ disabled - no run yet -" in text
    assert "planned Takes the money every 10s in 8 s succeeded 2 s ago 12 ms" in text


@virtual_time
async def test_the_newest_runs_are_listed_with_what_happened() -> None:
    async with ApiClient(answer(500), Hang("body", 9.0), jobs=[entry(overlap="allow", **ONCE)]) as client:  # type: ignore[arg-type]
        await client.perform()
        client.shop.worker.submit(client.shop.ticket(1))
        await client.shop.clock.sleep(2)

        text = visible_text(await get_page(client))

    assert "12:00:01 checkout running - - 12:00:00 checkout failed 1" in text


@virtual_time
async def test_a_run_that_is_claimed_ahead_is_not_called_running_before_its_instant() -> None:
    async with ApiClient() as client:
        client.shop.worker.submit_batch([client.shop.ticket(2)])
        await client.shop.clock.sleep(1)

        text = visible_text(await get_page(client))

    assert "12:00:02 checkout about to start" in text


@virtual_time
async def test_a_strip_of_recent_runs_is_readable_without_colours() -> None:
    async with ApiClient(answer(), REFUSED, answer(), jobs=[entry(retry={"attempts": 2})]) as client:
        for seconds in range(3):
            await client.perform(seconds=seconds)

        page = await get_page(client)

    assert 'aria-label="3 runs: 3 succeeded"' in page
    assert "succeeded, 2 attempts" in page
    assert page.count('class="mark succeeded retried" title') == 1


@virtual_time
async def test_a_run_that_is_degraded_is_marked_and_reported_in_words() -> None:
    slow = {"response_time_below": "1ms", "severity": "degraded"}
    async with ApiClient(answer(), jobs=[entry(expect=[slow])]) as client:
        await client.perform()

        page = await get_page(client)

    assert 'aria-label="1 run: 1 succeeded (1 degraded)"' in page
    assert page.count('class="mark succeeded degraded" title') == 1
    assert "checkout succeeded, degraded 1" in visible_text(page)
    assert "Degraded: response_time_below: expected less than 1 ms" in visible_text(page)


async def test_a_part_that_is_not_well_is_reported() -> None:
    async with ApiClient() as client:
        client.add_health_part("store", HealthStatus.OK)
        client.add_health_part("datadog", HealthStatus.DEGRADED, "HTTP 403: look at the key")

        text = visible_text(await get_page(client))

    assert "datadog is degraded. HTTP 403: look at the key" in text
    assert "store is" not in text


async def test_while_the_store_is_unavailable_the_page_reports_it() -> None:
    async with ApiClient() as client:
        client.break_store()
        client.add_health_part("store", HealthStatus.DOWN, "the store is away")

        sent = await client.get("/api/dashboard")

    assert (sent.status_code, sent.headers["Retry-After"]) == (503, "5")
    assert sent.headers["content-type"].startswith("text/html")
    assert visible_text(sent.text).count("the store is away") == 1
    assert "Jobs and runs are unavailable" in visible_text(sent.text)


async def test_pages_of_jobs_lead_on_and_back() -> None:
    async with ApiClient(jobs=[entry(f"job-{number:03}") for number in range(60)]) as client:
        first = await get_page(client)
        (more,) = [address for address in find_links(first) if "continuation" in address]
        second = await get_page(client, more)

    assert "Jobs 51 to 60 of 60" in visible_text(second)
    assert "/api/dashboard" in find_links(second)
    assert not [address for address in find_links(second) if "continuation" in address]


async def test_behind_the_last_page_there_are_no_more_jobs() -> None:
    async with ApiClient() as client:
        assert "There are no more jobs." in visible_text(await get_page(client, continuation="zzz"))


async def test_a_function_key_follows_with_every_link() -> None:
    async with ApiClient(jobs=[entry(f"job-{number:03}") for number in range(60)]) as client:
        await client.perform("job-000")

        addresses = find_links(await get_page(client, code="a/b+c=="))

        assert len(addresses) > 55
        assert all("code=a%2Fb%2Bc%3D%3D" in address for address in addresses)
        assert {(await client.get(address)).status_code for address in addresses} == {200}


async def test_without_a_key_no_link_has_one() -> None:
    async with ApiClient() as client:
        await client.perform()

        addresses = find_links(await get_page(client))

        assert not [address for address in addresses if "code" in address]
        assert {(await client.get(address)).status_code for address in addresses} == {200}


async def test_what_comes_from_outside_is_text_and_not_markup() -> None:
    async with ApiClient(jobs=[entry(description="<script>alert(1)</script>")]) as client:
        page = await get_page(client, code='"><script>')

    assert "<script>alert" not in page
    assert '"><script>' not in page


async def test_nothing_runs_or_is_styled_inline() -> None:
    """The content security policy would stop it."""
    async with ApiClient() as client:
        await client.perform()
        page = await get_page(client)

    assert not has_inline_code(page)


async def test_an_unknown_parameter_is_refused_here_too() -> None:
    async with ApiClient() as client:
        assert (await client.get("/api/dashboard", page=2)).status_code == 400


async def test_fifty_jobs_with_twenty_runs_each_are_quick() -> None:
    async with ApiClient(jobs=[entry(f"job-{number:03}") for number in range(50)]) as client:
        for name in client.shop.catalog.names():
            for number in range(20):
                due = ticket(name, number)
                await client.store_finished(due, run_of(due))
        await get_page(client)

        with computes_below(1):
            await get_page(client)


@virtual_time
async def test_of_many_outages_the_newest_few_are_described_and_a_link_leads_to_all() -> None:
    jobs = [entry(f"job-{number:03}", **ONCE) for number in range(70)]  # type: ignore[arg-type]
    async with ApiClient(answer(500), jobs=jobs) as client:
        for number in range(30):
            await client.perform(f"job-{2 * number:03}")
            await client.shop.clock.sleep(1)

        page = await get_page(client)
        filtered = await get_page(client, "/api/dashboard?show=down")

    assert "30 of 70 jobs are down" in visible_text(page)
    assert page.count('<li id="down-') == 4
    assert "down-job-058" in page
    assert "and 26 more" in visible_text(page)
    assert "/api/dashboard?show=down" in find_links(page)
    assert "Jobs that are down" in visible_text(filtered)
    assert filtered.count('<tr id="job-') == 30
    assert "Answered 500, expected 2xx." in visible_text(filtered)
    assert "All 70 jobs" in visible_text(filtered)
    assert '<li id="down-' not in filtered


@virtual_time
async def test_pages_of_jobs_that_are_down_lead_on_and_keep_the_filter() -> None:
    jobs = [entry(f"job-{number:03}", **ONCE) for number in range(70)]  # type: ignore[arg-type]
    async with ApiClient(answer(500), jobs=jobs) as client:
        for number in range(60):
            await client.perform(f"job-{number:03}")

        first = await get_page(client, "/api/dashboard?show=down")
        (more,) = [address for address in find_links(first) if "continuation" in address]
        second = await get_page(client, more)

    assert "Jobs that are down 1 to 50 of 60" in visible_text(first)
    assert "Jobs that are down 51 to 60 of 60" in visible_text(second)
    assert "/api/dashboard?show=down" in find_links(second)


async def test_when_no_job_is_down_the_filter_reports_it() -> None:
    async with ApiClient() as client:
        assert "No job is down." in visible_text(await get_page(client, "/api/dashboard?show=down"))


@virtual_time
async def test_jobs_and_runs_lead_to_their_pages() -> None:
    async with ApiClient() as client:
        run_id = await client.perform()

        addresses = find_links(await get_page(client))

    assert {"/api/dashboard/jobs/checkout", f"/api/dashboard/runs/{run_id}"} <= set(addresses)
    assert "/api/jobs/checkout" not in addresses
