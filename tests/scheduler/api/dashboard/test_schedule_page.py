"""GET /api/dashboard/schedule, as the server sends it."""

from __future__ import annotations

import re
from datetime import timedelta

from jobs.definition import JobDefinition
from scheduler.authentication.port import Authentication
from scheduler.catalog.catalog import CatalogJob
from scheduler.stores.gates import Pause
from tests.jobs.running.run_parts import Hang, answer
from tests.jobs.running.virtual_time import virtual_time
from tests.scheduler.api.access.test_tag_limits import PAYMENTS, Fixed
from tests.scheduler.api.api_client import ApiClient
from tests.scheduler.api.dashboard.page_text import find_links, get_page, has_inline_code, visible_text
from tests.scheduler.fakes import START, entry

PATH = "/api/dashboard/schedule"
HOSTILE = "<img src=x onerror=alert(1)>"


def define(name: str, schedule: object, **more: object) -> CatalogJob:
    """A job with any schedule."""
    check = {"kind": "http", "url": "http://127.0.0.1:9/"}
    return CatalogJob(JobDefinition.model_validate({"name": name, "schedule": schedule, "check": check, **more}), "a:1")


@virtual_time
async def test_the_next_day_is_shown_in_cells_of_ten_minutes() -> None:
    jobs = [entry("often", "every 1m"), entry("daily", "0 30 3 * * *")]
    async with ApiClient(jobs=jobs) as client:
        page = await get_page(client, PATH)

    text = visible_text(page)
    assert "1,441 runs are due in the next 24 h" in text
    assert "Of 2 jobs, 2 are due, from 12:00:00 to 2026-03-02 12:00:00." in text
    assert 'title="Mon 2 Mar 03:30 to 03:40: 11 runs"' in page
    assert page.count('class="heat-cell level-') == 144 + 2  # with the legend: 10 and 11 runs
    assert not has_inline_code(page)


@virtual_time
async def test_jobs_that_are_due_in_every_cell_can_be_hidden_in_the_heat_map() -> None:
    jobs = [entry("often", "every 1m"), entry("daily", "0 30 3 * * *")]
    async with ApiClient(jobs=jobs) as client:
        page = await get_page(client, PATH, jobs="rare")
        link = next(each for each in find_links(page) if "cell=" in each)
        cell = visible_text(await get_page(client, link.partition("#")[0]))

    assert page.count('<a class="heat-cell') == 1
    assert "1 run, most of it" not in page
    assert "Mon 2 Mar 03:30 to 03:40 1 job Job Runs Due daily 0 30 3 * * * 1 03:30:00" in cell


@virtual_time
async def test_where_all_runs_are_alike_the_map_has_the_other_jobs_unless_the_address_wants_all() -> None:
    jobs = [entry(f"often-{number}", "every 1m") for number in range(3)]
    async with ApiClient(jobs=[*jobs, entry("daily", "0 30 3 * * *")]) as client:
        page = await get_page(client, PATH)
        everything = await get_page(client, next(each for each in find_links(page) if "jobs=all" in each))

    text = visible_text(page)
    assert "All jobs together are alike in every cell: 30 to 31 runs. Shown are the jobs that are due at most" in text
    assert "1 run, Mon 2 Mar 03:30 to 03:40. Choose a cell" in text
    assert page.count('<a class="heat-cell') == 1
    assert everything.count('<a class="heat-cell') == 144
    assert "4,321 runs, equally many in each cell." in visible_text(everything)


@virtual_time
async def test_cells_are_coloured_by_the_time_in_flight_once_durations_are_known() -> None:
    jobs = [entry("long", "0 0 3,4 * * *"), entry("short", "0 0 3 * * *"), entry("new", "0 0 5 * * *")]
    async with ApiClient(Hang("body", 9.0), answer(), jobs=jobs) as client:
        for job in ("long", "short"):
            await client.perform(job, seconds=-60)
        page = await get_page(client, PATH)

    text = visible_text(page)
    assert "Time in flight:" in text
    assert 'title="Mon 2 Mar 04:00 to 04:10: 1 run, 9.4 s in flight"' in page
    assert re.search(r'level-5[^>]*title="Mon 2 Mar 03:00 to 03:10: 2 runs, 9.[0-9] s in flight"', page)
    assert re.search(r'level-1[^>]*title="Mon 2 Mar 05:00 to 05:10: 1 run, 1 ms in flight"', page)


@virtual_time
async def test_a_cell_is_marked_as_suspended_from_a_tenth_of_its_runs_on() -> None:
    jobs = [entry(f"job-{number}", "0 0 3,4 * * *") for number in range(10)]
    async with ApiClient(jobs=[*jobs, entry("once", "0 0 3 * * *")]) as client:
        await client.shop.pauses.set_pause(Pause("job-0", START, None, "deployment"))
        page = await get_page(client, PATH)

    marked = {
        hour
        for of, hour in re.findall(r'class="heat-cell ([^"]+)"[^>]*title="Mon 2 Mar (..:..)', page)
        if "suspended" in of
    }
    assert 'title="Mon 2 Mar 03:00 to 03:10: 10 runs, 1 suspended"' in page
    assert marked == {"04:00"}
    assert "a tenth or more suspended" in visible_text(page)


@virtual_time
async def test_the_next_week_is_shown_in_cells_of_an_hour() -> None:
    async with ApiClient(jobs=[entry("hourly", "0 5 * * * *")]) as client:
        page = await get_page(client, PATH, range="7d")

    assert "168 runs are due in the next 7 d" in visible_text(page)
    assert page.count('<a class="heat-cell level-3') == 168  # alike: the middle of the scale
    assert 'title="Sun 8 Mar 11:00 to 12:00: 1 run"' in page


@virtual_time
async def test_a_cell_lists_its_jobs_in_pages() -> None:
    jobs = [entry(f"job-{number:02}", "0 */5 * * * *") for number in range(60)]
    async with ApiClient(jobs=jobs) as client:
        first = await get_page(client, PATH, cell="2026-03-01T13:10Z")
        more = next(each for each in find_links(first) if "page=2" in each)
        second = visible_text(await get_page(client, more.partition("#")[0]))
        passed = visible_text(await get_page(client, PATH, cell="2026-03-01T11:10Z"))

    assert "Sun 1 Mar 13:10 to 13:20 60 jobs" in visible_text(first)
    assert "job-00 0 */5 * * * * 2 13:10:00, 13:15:00" in visible_text(first)
    assert '13:20: 120 runs" aria-current="true"></a>' in first  # all are alike: no numbers
    assert "job-59 0 */5 * * * * 2 13:10:00, 13:15:00 Jobs before" in second
    assert "The cell of this link has passed." in passed


@virtual_time
async def test_filters_are_in_the_address_and_a_form_may_leave_them_empty() -> None:
    jobs = [entry("checkout-api", "0 5 * * * *", tags={"team": "shop"}), entry("search", "0 5 * * * *")]
    async with ApiClient(jobs=jobs) as client:
        by_tag = await get_page(client, PATH, name="", kind="http", tag="team=shop")
        by_name = visible_text(await get_page(client, PATH, name="sear"))
        nothing = visible_text(await get_page(client, PATH, name="x*"))
        wrong = await client.get(PATH, kind="htp")

    assert "Of 1 job that matches, 1 is due" in visible_text(by_tag)
    assert all("tag=team%3Dshop" in each for each in find_links(by_tag) if "cell=" in each)
    assert "search" in by_name
    assert "checkout" not in by_name
    assert "No job matches these filters." in nothing
    assert wrong.status_code == 400


@virtual_time
async def test_the_next_runs_are_listed_in_the_time_zone_and_in_utc() -> None:
    async with ApiClient(jobs=[entry("often", "every 10m"), entry("daily", "0 25 12 * * *")]) as client:
        client.cookies.set("scheduler_zone", "Europe/Berlin")
        text = visible_text(await get_page(client, PATH))

    expected = "Next runs In Job Due UTC in 10 min often 13:10:00 12:10:00 in 20 min often 13:20:00"
    assert expected in text
    assert "in 25 min daily 13:25:00 12:25:00 in 30 min often" in text


@virtual_time
async def test_jobs_that_are_not_due_are_listed_with_the_reason() -> None:
    jobs = [
        define("after", None, depends_on=["monthly"]),
        define("ended", {"cron": "0 3 * * *", "end": "2026-01-01"}),
        define("monthly", "0 0 3 20 * *"),
        define("off", "every 1m", enabled=False),
        define("requested", None),
        define("resting", "every 1m"),
    ]
    async with ApiClient(jobs=jobs) as client:
        await client.shop.pauses.set_pause(Pause("resting", START, None, HOSTILE))
        page = await get_page(client, PATH)

    text = visible_text(page)
    assert "0 runs are due in the next 24 h" in text
    assert "1,440 more are suspended by pauses and maintenance windows." in text
    assert "ended 0 3 * * *, until 2026-01-01 no further instants resting every 1m paused: <img" in text
    assert "off every 1m disabled monthly 0 0 3 20 * * due later, next 2026-03-20 03:00:00 in 18 d 15 h" in text
    assert "after runs after other jobs: monthly requested on demand only" in text
    assert HOSTILE not in page


@virtual_time
async def test_a_pause_with_an_end_is_marked_in_its_cells() -> None:
    async with ApiClient(jobs=[entry("checkout", "0 */10 * * * *")]) as client:
        await client.shop.pauses.set_pause(Pause("checkout", START, START + timedelta(minutes=20), "deployment"))
        page = await get_page(client, PATH)

    assert 'suspended" title="Sun 1 Mar 12:00 to 12:10: 0 runs, 1 suspended"' in page
    assert "paused: deployment since 12:00:00 until 12:20:00: checkout." in visible_text(page)
    assert "in 20 min checkout 12:20:00" in visible_text(page)


@virtual_time
async def test_changes_of_the_clock_and_holidays_are_marked() -> None:
    zoned = {"timezone": "Europe/Berlin"}
    jobs = [
        define("at-half-past-two", {"cron": "0 30 2 * * *", **zoned}),
        define("without-holidays", {"cron": "0 0 9 * * *", **zoned, "except": [{"holidays": "DE"}]}),
    ]
    async with ApiClient(jobs=jobs) as client:
        client.cookies.set("scheduler_zone", "Europe/Berlin")
        await client.shop.clock.sleep(27 * 86_400)  # Saturday before the change
        week = await get_page(client, PATH, range="7d")
        day = await get_page(client, PATH)

    text = visible_text(week)
    change = "Sun 2026-03-29: the clock of Europe/Berlin changes by +1 h at 2026-03-29 01:00:00 UTC, in 13 h."
    assert f"{change} Runs later by the skipped time: at-half-past-two." in text
    assert "Fri 2026-04-03 is excluded (holidays of DE) by without-holidays." in text
    assert re.search(r'class="holiday">Fri <span class="note">3 Apr</span>', week)
    assert '<th scope="row" role="rowheader">02</th>' not in day
    assert "03 UTC+02:00" in visible_text(day)


@virtual_time
async def test_load_and_lanes_come_from_the_durations_of_runs() -> None:
    async with ApiClient(
        Hang("body", 9.0), jobs=[entry("often", "every 1m"), entry("daily", "0 30 3 * * *")]
    ) as client:
        before = visible_text(await get_page(client, PATH))
        await client.perform("daily", seconds=-60)
        await client.shop.clock.sleep(31)
        page = await get_page(client, PATH, range="7d", jobs="rare")

    text = visible_text(page)
    assert "No job that is due has run yet, so that nothing is known about its duration." in before
    assert "On average less than 0.01 runs are expected to be in flight of 9 places of this process;" in text
    assert "1 job without a finished run is not included." in text
    assert re.search(r'aria-label="7 runs of 9.42 s, &lt; 0.1 % of the time, the first at 03:30"', page)
    assert not has_inline_code(page)


@virtual_time
async def test_contention_of_a_group_is_named_with_its_cause_and_a_proposal() -> None:
    group = {"name": "nightly", "limit": 1, "wait": "1ms"}
    jobs = [entry(f"report-{number}", "0 30 3 * * *", concurrency_group=group) for number in range(3)]
    async with ApiClient(*(Hang("body", 2.0) for _ in jobs), jobs=jobs) as client:
        for job in jobs:
            await client.perform(job.job.name, seconds=-60)
        page = await get_page(client, PATH)

    text = visible_text(page)
    assert "Contention of groups 1 group with runs that wait" in text
    assert "nightly 3 jobs 1 3 2 up to 0.001 s 2 after 0.001 s 3 runs are due at the same instant: spread them" in text
    assert "Waiting: report-1, report-2. Worst: Mon 2 Mar 03:30 to 03:40 (3)." in text


@virtual_time
async def test_a_caller_that_is_limited_to_tags_sees_only_its_jobs() -> None:
    group = {"name": "shared", "limit": 1}
    jobs = [
        entry("ours", "0 5 * * * *", tags={"team": "payments"}, concurrency_group=group),
        entry("theirs", "0 5 * * * *", tags={"team": "shop"}, concurrency_group=group),
    ]
    async with ApiClient(jobs=jobs, authentication=Authentication(Fixed(PAYMENTS))) as client:
        await client.shop.pauses.set_pause(Pause("theirs", START, None, "secret plans"))
        text = visible_text(await get_page(client, PATH, cell="2026-03-01T13:00Z"))

    assert "24 runs are due in the next 24 h" in text
    assert "Only jobs that you may see are included." in text
    assert "theirs" not in text
    assert "secret plans" not in text


@virtual_time
async def test_a_new_installation_has_its_texts() -> None:
    async with ApiClient(jobs=[]) as client:
        text = visible_text(await get_page(client, PATH))

    assert "There are no jobs. Add a job file" in text
    assert "No run is due in the next 24 h." in text


@virtual_time
async def test_a_forecast_needs_no_store() -> None:
    async with ApiClient(jobs=[entry("hourly", "0 5 * * * *")]) as client:
        client.break_store()
        text = visible_text(await get_page(client, PATH))

    assert "24 runs are due in the next 24 h" in text
    assert "Durations are unavailable: " in text
