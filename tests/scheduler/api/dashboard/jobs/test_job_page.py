"""GET /api/dashboard/jobs/{name}, as the server sends it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from jobs.runs import Observation, Trigger
from tests.jobs.running.run_parts import REFUSED, answer
from tests.jobs.running.virtual_time import virtual_time
from tests.parts.timing import computes_below
from tests.scheduler.api.api_client import ApiClient
from tests.scheduler.api.dashboard.page_text import find_links, get_page, has_inline_code, visible_text
from tests.scheduler.fakes import entry
from tests.scheduler.stores.samples import run_of, ticket

ONCE: dict[str, Any] = {"retry": {"attempts": 1}}
PAGE = "/api/dashboard/jobs/checkout"


@virtual_time
async def test_a_job_that_is_down_reports_since_when_and_why() -> None:
    async with ApiClient(answer(), REFUSED, jobs=[entry(**ONCE)]) as client:
        await client.perform(seconds=-10)
        await client.shop.clock.sleep(4000)
        await client.perform()
        await client.shop.clock.sleep(300)

        page = await get_page(client, PAGE)

    assert "<title>down · checkout · Scheduler · test</title>" in page
    assert "checkout is down since 13:06:40 (5 min)" in visible_text(page)
    assert "checkout.internal:443 refused the connection." in visible_text(page)


@virtual_time
async def test_a_job_that_is_up_reports_since_when() -> None:
    async with ApiClient(REFUSED, answer(), jobs=[entry(**ONCE)]) as client:
        await client.perform()
        for _ in range(3):
            await client.shop.clock.sleep(10)
            await client.perform()

        page = await get_page(client, PAGE)

    assert "<title>checkout · Scheduler · test</title>" in page
    assert "checkout is up since 12:00:10 (20 s)" in visible_text(page)


@virtual_time
async def test_a_job_whose_runs_a_dependency_skips_is_waiting_and_not_up() -> None:
    jobs = [entry("cache", **ONCE), entry(depends_on=["cache"], **ONCE)]
    async with ApiClient(answer(), answer(), REFUSED, answer(), answer(), jobs=jobs) as client:
        for name in ("cache", "checkout", "cache", "checkout"):
            await client.perform(name)
            await client.shop.clock.sleep(10)
        page = await get_page(client, PAGE)
        for name in ("cache", "checkout"):
            await client.perform(name)
        later = visible_text(await get_page(client, PAGE))

    text = visible_text(page)
    assert "checkout is waiting for cache since 12:00:30 (10 s)" in text
    assert "Its runs are skipped: dependency run cache@" in text
    assert "It was up when a run last reached its target." in text
    assert "checkout is up" not in text
    assert "checkout is up" in later


@virtual_time
async def test_a_job_that_never_was_down_is_up_for_as_long_as_is_known() -> None:
    async with ApiClient(jobs=[entry()]) as client:
        await client.perform()
        await client.shop.clock.sleep(30)

        assert "checkout is up for at least 30 s" in visible_text(await get_page(client, PAGE))


@virtual_time
async def test_a_backfill_does_not_report_how_a_job_is() -> None:
    async with ApiClient(jobs=[entry()]) as client:
        due = client.shop.ticket(-60)
        await client.store_finished(due, replace(run_of(due), trigger=Trigger.BACKFILL))

        assert "checkout has not run yet" in visible_text(await get_page(client, PAGE))


@virtual_time
async def test_a_job_that_has_not_run_reports_it() -> None:
    async with ApiClient(jobs=[entry()]) as client:
        text = visible_text(await get_page(client, PAGE))

    assert "checkout has not run yet" in text
    assert "There are no runs yet." in text


@virtual_time
@pytest.mark.parametrize(
    ("schedule", "more", "output"),
    [
        ("every 10s", {}, "Every 10 seconds every 10s"),
        ("every 10s", {"enabled": False}, "Disabled: runs only on demand"),
        (None, {}, "None: runs only on demand"),
        (None, {"depends_on": ["other"]}, "None: runs after other"),
    ],
)
async def test_the_schedule_stands_in_english(schedule: str | None, more: dict[str, Any], output: str) -> None:
    async with ApiClient(jobs=[entry("checkout", schedule, **more), entry("other")]) as client:
        assert f"Schedule {output}" in visible_text(await get_page(client, PAGE))


@virtual_time
async def test_the_next_run_stands_in_the_zone_of_the_schedule_and_in_utc() -> None:
    nightly: Any = {"cron": "0 0 3 * * *", "timezone": "Europe/Berlin"}
    async with ApiClient(jobs=[entry("checkout", nightly)]) as client:
        text = visible_text(await get_page(client, PAGE))

    assert "At 03:00 every day, Europe/Berlin time" in text
    assert "in 14 h: 2026-03-02 03:00:00 CET 2026-03-02 02:00:00 UTC, further ones" in text


@virtual_time
async def test_the_next_run_of_a_schedule_in_utc_stands_once() -> None:
    async with ApiClient(jobs=[entry()]) as client:
        assert "in 10 s: 2026-03-01 12:00:10 UTC, further ones" in visible_text(await get_page(client, PAGE))


@virtual_time
async def test_a_paused_job_reports_until_when_and_why() -> None:
    async with ApiClient(jobs=[entry()]) as client:
        await client.post_json("/api/jobs/checkout/pause", {"until": "2026-03-01T14:00:00Z", "reason": "deployment"})

        assert "paused until 14:00:00: deployment" in visible_text(await get_page(client, PAGE))


@virtual_time
async def test_an_open_circuit_reports_why() -> None:
    circuit = {"circuit": {"consecutive_failures": 1, "open_for": "60s"}}
    async with ApiClient(REFUSED, jobs=[entry(**ONCE, **circuit)]) as client:
        await client.perform()

        assert "circuit open since 12:00:00" in visible_text(await get_page(client, PAGE))


@virtual_time
async def test_the_last_runs_lead_to_their_pages_with_outcome_duration_and_reason() -> None:
    async with ApiClient(answer(), REFUSED, jobs=[entry(**ONCE)]) as client:
        await client.perform()
        run_id = await client.perform(seconds=10)
        await client.shop.clock.sleep(12)

        page = await get_page(client, PAGE)

    assert "12:00:10 failed connection refused 1" in visible_text(page)
    assert f"/api/dashboard/runs/{run_id}" in find_links(page)


@virtual_time
async def test_older_runs_are_a_link_away_and_lead_back() -> None:
    async with ApiClient(jobs=[entry(overlap="allow")]) as client:
        for number in range(30):
            await client.perform(seconds=number)
        first = await get_page(client, PAGE)
        (older,) = [address for address in find_links(first) if "continuation" in address]
        second = await get_page(client, older)

    assert "12:00:00" in visible_text(second)
    assert PAGE in find_links(second)
    assert not [address for address in find_links(second) if "continuation" in address]


@virtual_time
async def test_the_uptime_is_shown() -> None:
    async with ApiClient(jobs=[entry()]) as client:
        await client.perform()

        text = visible_text(await get_page(client, PAGE))

    assert "24h 100 % 1" in text
    assert "2026-03 0 s 0" in text


@virtual_time
async def test_the_tags_and_the_source_are_shown() -> None:
    async with ApiClient(jobs=[entry(tags={"team": "payments"})]) as client:
        text = visible_text(await get_page(client, PAGE))

    assert "team: payments" in text
    assert "Source jobs.yaml:1" in text


@virtual_time
async def test_jobs_that_depend_on_each_other_are_linked() -> None:
    async with ApiClient(jobs=[entry("checkout"), entry("report", None, depends_on=["checkout"])]) as client:
        assert "/api/dashboard/jobs/report" in find_links(await get_page(client, PAGE))
        assert PAGE in find_links(await get_page(client, "/api/dashboard/jobs/report"))


@virtual_time
async def test_a_heartbeat_reports_how_it_is() -> None:
    beat = {"kind": "heartbeat", "token": {"secret": "ping-token"}, "period": "1h"}
    async with ApiClient(jobs=[entry("checkout", None, check=beat)]) as client:
        assert "Heartbeat new" in visible_text(await get_page(client, PAGE))


async def test_every_link_works_and_hands_on_the_function_key() -> None:
    async with ApiClient(jobs=[entry(), entry("report", None, depends_on=["checkout"])]) as client:
        await client.perform()

        addresses = find_links(await get_page(client, PAGE, code="a/b+c=="))

        assert len(addresses) > 8
        assert all("code=a%2Fb%2Bc%3D%3D" in address for address in addresses)
        assert {(await client.get(address)).status_code for address in addresses} == {200}


@virtual_time
async def test_what_comes_from_outside_is_text_and_nothing_is_inline() -> None:
    evil = "<script>alert(1)</script>"
    async with ApiClient(
        answer(500, body=evil.encode()), jobs=[entry(description=evil, tags={"a": evil}, **ONCE)]
    ) as client:
        await client.perform()
        page = await get_page(client, PAGE, code='"><script>')

    assert "<script>alert" not in page
    assert '"><script>' not in page
    assert not has_inline_code(page)


async def test_while_the_store_is_unavailable_the_page_reports_it() -> None:
    async with ApiClient() as client:
        client.break_store()
        sent = await client.request("GET", PAGE, headers={"accept": "text/html"})

    assert (sent.status_code, sent.headers["Retry-After"]) == (503, "5")
    assert "Service Unavailable" in visible_text(sent.text)


@pytest.mark.parametrize("query", ["?page=2", "?continuation=xyz"])
async def test_a_parameter_that_cannot_be_used_is_refused(query: str) -> None:
    async with ApiClient() as client:
        assert (await client.get(f"{PAGE}{query}")).status_code == 400


async def test_a_job_of_ten_thousand_runs_is_quick_to_check_again() -> None:
    async with ApiClient() as client:
        for number in range(10_000):
            due = ticket("checkout", number)
            await client.store_finished(due, run_of(due))
        await get_page(client, PAGE)

        with computes_below(0.5):
            await get_page(client, PAGE)


def queues(down: Sequence[int] = (), gone: Sequence[int] = ()) -> Observation:
    rows = [
        {"name": f"queue-{number:03}", "dead": 41 if number in down else 0}
        for number in range(1000)
        if number not in gone
    ]
    return replace(answer(), body=json.dumps({"value": rows}).encode())


ROWS = [{"rows": {"label": "queues", "expect": [{"json": "$.dead", "below": 1, "label": "dead letters"}]}}]


@virtual_time
async def test_of_a_thousand_rows_the_worst_are_first_with_state_and_pages() -> None:
    async with ApiClient(queues(), queues([7, 901], [3]), jobs=[entry(expect=ROWS, **ONCE)]) as client:
        for _ in range(2):
            await client.perform()
            await client.shop.clock.sleep(60)
        page = await get_page(client, PAGE)
        last = await get_page(client, PAGE, entry_page="20")
        not_up = visible_text(await get_page(client, PAGE, entries="not_up"))
        found = await get_page(client, PAGE, entry="QUEUE-90", entries="not_up")
        none = visible_text(await get_page(client, PAGE, entry="nosuch"))
        listed = (await client.get("/api/jobs/checkout/health-entries")).json()["entries"]
        run = (await client.get("/api/runs", job="checkout")).json()["runs"][0]

    text = visible_text(page)
    assert "1,000 entries, 3 not up" in text
    assert text.index("queue-007") < text.index("queue-901") < text.index("queue-003") < text.index("queue-000")
    assert "dead letters 41, below 1" in text
    assert "not reported for 1 min" in text
    assert page.count('<svg class="entry-bar"') == 50
    assert "Page 1 of 20" in text
    assert "queue-999" in visible_text(last)
    assert "queue-000" not in not_up
    assert [name in found for name in ("<bdi>queue-901</bdi>", "<bdi>queue-007</bdi>")] == [True, False]
    assert "No entry matches the filters." in none
    assert len(listed) == 1000
    assert run["message"] == (
        "2 of 999 queues: queue-007 (dead letters 41, below 1), queue-901 (dead letters 41, below 1). "
        "No longer reported: queue-003."
    )


@virtual_time
async def test_the_page_of_a_job_with_a_thousand_rows_is_fast() -> None:
    async with ApiClient(queues(), queues(range(500)), jobs=[entry(expect=ROWS, **ONCE)]) as client:
        for _ in range(2):
            await client.perform()
            await client.shop.clock.sleep(60)
        await get_page(client, PAGE)
        with computes_below(0.15):
            await get_page(client, PAGE, entries="not_up")


@virtual_time
async def test_filters_of_entries_are_escaped_and_limited() -> None:
    async with ApiClient(queues(), jobs=[entry(expect=ROWS, **ONCE)]) as client:
        await client.perform()
        page = await get_page(client, PAGE, entry='"><script>alert(1)</script>', entry_page="999")
        assert not has_inline_code(page)
        assert "<script>alert" not in page
        assert (await client.get(PAGE, entry="x" * 101)).status_code == 400
        assert (await client.get(PAGE, entry_page="0")).status_code == 400
