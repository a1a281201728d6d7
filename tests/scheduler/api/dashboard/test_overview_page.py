"""GET /api/dashboard, as the server sends it. What a browser makes of it: test_in_browser.

What is selected by the address: test_overview_selection. Cached pages: test_overview_polling.
"""

from __future__ import annotations

import html
import re

import yaml

from scheduler.health import HealthStatus
from tests.jobs.running.run_parts import REFUSED, answer
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
    assert "since 13:06:40 (5 min)" in text
    assert "checkout checkout.internal:443 refused the connection. GET http://127.0.0.1:9/ down 5 min" in text
    assert "failed 5 min ago" in text
    assert text.index("checkout checkout.internal") < text.index("other http://")
    assert "icon-down.svg" in page


@virtual_time
async def test_a_job_that_never_succeeded_is_down_since_its_first_run() -> None:
    async with ApiClient(answer(500), jobs=[entry(**ONCE)]) as client:  # type: ignore[arg-type]
        await client.perform()
        await client.shop.clock.sleep(30)

        assert "since 12:00:00 (30 s)" in visible_text(await get_page(client))


@virtual_time
async def test_a_job_that_is_down_is_on_the_first_page() -> None:
    jobs = [entry(f"job-{number:03}", **ONCE) for number in range(120)]  # type: ignore[arg-type]
    async with ApiClient(answer(500), jobs=jobs) as client:
        await client.perform("job-117")

        page = await get_page(client)

    assert "1 of 120 jobs is down" in visible_text(page)
    assert "Jobs 1 to 100 of 120" in visible_text(page)
    assert page.index('id="job-job-117"') < page.index('id="job-job-000"')


@virtual_time
async def test_nothing_down_is_reported() -> None:
    async with ApiClient() as client:
        await client.perform()

        page = await get_page(client)

    assert "No job is down" in visible_text(page)
    assert "<title>Scheduler · test</title>" in page
    assert "icon-down" not in page


async def test_a_new_installation_is_reported_what_to_do() -> None:
    async with ApiClient(jobs=[]) as client:
        page = await get_page(client)
        editor = await get_page(client, "/api/dashboard/new-job?url=https://www.example.com/health")

    text = visible_text(page)
    assert "No job has run yet" in text
    assert "Watch a URL" in text
    assert "python -m scheduler import gatus config.yaml" in text
    assert "In the folder of the setting jobs (SCHEDULER_JOBS)" in text
    assert 'action="/api/dashboard/new-job"' in page
    assert "url: https://www.example.com/health" in visible_text(editor)


async def test_the_job_file_that_a_new_installation_offers_to_copy_is_valid() -> None:
    async with ApiClient(jobs=[]) as client:
        page = await get_page(client)
        snippet = html.unescape(re.findall(r'data-copy-text="(jobs:[^"]*)"', page)[0])
        ((name, definition),) = yaml.safe_load(snippet)["jobs"].items()
        checked = await client.post_json("/api/definitions/validate", {"name": name, **definition})

    assert (checked.status_code, checked.json()["valid"]) == (200, True)


@virtual_time
async def test_a_job_that_is_down_shows_the_reason_of_its_latest_run_once() -> None:
    async with ApiClient(REFUSED, answer(503), jobs=[entry(**ONCE)]) as client:  # type: ignore[arg-type]
        await client.perform(seconds=-10)
        await client.perform()
        text = visible_text(await get_page(client))

    assert "checkout Answered 503, expected 2xx. GET http://127.0.0.1:9/ down" in text
    assert "refused the connection" not in text


@virtual_time
async def test_jobs_that_wait_are_counted_and_found_apart() -> None:
    jobs = [entry("cache", **ONCE), entry("cart", depends_on=["cache"]), entry("other")]  # type: ignore[arg-type]
    async with ApiClient(REFUSED, answer(), jobs=jobs) as client:
        for name in ("cache", "cart", "other"):
            await client.perform(name)
        everything = visible_text(await get_page(client))
        waiting = visible_text(await get_page(client, "/api/dashboard?state=waiting"))
        wall = visible_text(await get_page(client, "/api/dashboard/wall"))

    assert "3 all 1 down 1 up 1 waiting" in everything
    assert "Jobs that are waiting" in waiting
    assert "cart http://127.0.0.1:9/ waiting for cache" in waiting
    assert "other http" not in waiting
    assert "1 down 1 up 1 waiting" in wall


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

    assert "asked http://127.0.0.1:9/ no run yet - no run yet on demand" in text
    assert "follows http://127.0.0.1:9/ waiting for off 2 s - skipped 2 s ago - after planned, off (failed)" in text
    assert "gated http://127.0.0.1:9/ no run yet - no run yet in 8 s every 10s if planned" in text
    assert "off http://127.0.0.1:9/ disabled - no run yet disabled" in text
    assert "planned Takes the money up last 1 h: 100 % 12 ms succeeded 2 s ago in 8 s every 10s" in text


@virtual_time
async def test_the_bars_are_readable_without_colours() -> None:
    async with ApiClient(answer(), REFUSED, answer(), jobs=[entry(**ONCE)]) as client:  # type: ignore[arg-type]
        for _ in range(3):
            await client.perform()
            await client.shop.clock.sleep(1200)

        page = await get_page(client)

    assert 'aria-label="3 h: 66.666 % succeeded, 1 failure, last 12:20:00"' in page
    assert page.count('<path class="bar-up" d="M') == 1
    assert page.count('<path class="bar-down" d="M') == 1


@virtual_time
async def test_a_job_that_is_degraded_is_unstable_and_says_why() -> None:
    slow = {"response_time_below": "1ms", "severity": "degraded"}
    async with ApiClient(answer(), jobs=[entry(expect=[slow])]) as client:
        await client.perform()

        page = await get_page(client)

    assert "1 all 1 unstable" in visible_text(page)
    assert 'aria-label="1 h: 100 % succeeded, 1 degraded"' in page
    assert "checkout Degraded: response_time_below: expected less than 1 ms" in visible_text(page)
    assert 'class="bar-degraded"' in page


async def test_a_part_that_is_not_well_is_reported() -> None:
    async with ApiClient() as client:
        client.add_health_part("store", HealthStatus.OK)
        client.add_health_part("datadog", HealthStatus.DEGRADED, "HTTP 403: look at the key")

        text = visible_text(await get_page(client))

    assert "datadog: degraded. HTTP 403: look at the key" in text
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
    assert "Last known state" not in sent.text


@virtual_time
async def test_while_the_store_is_unavailable_the_page_shows_what_was_known() -> None:
    async with ApiClient(REFUSED, jobs=[entry(**ONCE), entry("other")]) as client:  # type: ignore[arg-type]
        await client.perform()
        await get_page(client)
        await client.shop.clock.sleep(90)
        client.break_store()

        sent = await client.get("/api/dashboard")

    assert sent.status_code == 503
    text = visible_text(sent.text)
    assert "Jobs and runs are unavailable" in text
    assert "Last known state, as of 12:00:00 (1 min 30 s ago): 1 of 2 jobs is down." in text
    assert "checkout checkout.internal:443 refused the connection. GET http://127.0.0.1:9/ down 1 min 30 s" in text
    assert "icon-down.svg" in sent.text


async def test_pages_of_jobs_lead_on_and_back() -> None:
    async with ApiClient(jobs=[entry(f"job-{number:03}") for number in range(120)]) as client:
        first = await get_page(client)
        (more,) = [address for address in find_links(first) if "page" in address]
        second = await get_page(client, more)

    assert "Jobs 101 to 120 of 120" in visible_text(second)
    assert "/api/dashboard" in find_links(second)
    assert not [address for address in find_links(second) if "page" in address]


async def test_a_function_key_follows_with_every_link() -> None:
    async with ApiClient(jobs=[entry(f"job-{number:03}") for number in range(120)]) as client:
        await client.perform("job-000")

        addresses = find_links(await get_page(client, code="a/b+c=="))

        assert len(addresses) > 100
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
        assert (await client.get("/api/dashboard", pages=2)).status_code == 400


async def test_a_hundred_jobs_with_twenty_runs_each_are_quick() -> None:
    async with ApiClient(jobs=[entry(f"job-{number:03}") for number in range(100)]) as client:
        for name in client.shop.catalog.names():
            for number in range(20):
                due = ticket(name, number)
                await client.store_finished(due, run_of(due))
        await get_page(client)

        with computes_below(1):
            await get_page(client, "/api/dashboard?sort=name")


@virtual_time
async def test_jobs_and_runs_lead_to_their_pages() -> None:
    async with ApiClient() as client:
        run_id = await client.perform()

        addresses = find_links(await get_page(client))

    assert {"/api/dashboard/jobs/checkout", f"/api/dashboard/runs/{run_id}"} <= set(addresses)
    assert "/api/jobs/checkout" not in addresses


async def test_rows_are_as_high_as_the_person_has_chosen() -> None:
    async with ApiClient(jobs=[entry()]) as client:
        chosen = await client.get("/api/dashboard/preferences?rows=comfortable&next=/api/dashboard")
        comfortable = await get_page(client)
        await client.get("/api/dashboard/preferences?rows=huge")
        unchanged = await get_page(client)
        await client.get("/api/dashboard/preferences?rows=compact")
        compact = await get_page(client)

    assert chosen.headers["location"] == "/api/dashboard"
    assert 'data-rows="comfortable"' in comfortable
    assert 'data-rows="comfortable"' in unchanged
    assert "data-rows" not in compact


async def test_problems_of_several_parts_are_one_line_that_opens() -> None:
    async with ApiClient() as client:
        client.add_health_part("datadog", HealthStatus.DEGRADED, "HTTP 403: look at the key")
        client.add_health_part("disk", HealthStatus.DOWN, "full")
        page = await get_page(client)

    assert '<summary class="down">2 parts of the scheduler do not work as they should: datadog, disk</summary>' in page
    assert "disk: down. full" in visible_text(page)
