"""The history of the jobs of a page, and what of it is read again."""

from __future__ import annotations

from jobs.runs import Outcome, Ticket
from scheduler.features.overview.timelines import SpanCounts, TimelineReader, TimeWindow
from tests.jobs.running.run_parts import REFUSED, answer
from tests.jobs.running.virtual_time import virtual_time
from tests.scheduler.api.api_client import ApiClient
from tests.scheduler.fakes import entry
from tests.scheduler.stores.samples import run_of

WINDOW = TimeWindow.HOURS_24


@virtual_time
async def test_a_new_run_appears_and_nothing_else_is_read_again() -> None:
    async with ApiClient(answer(), REFUSED, jobs=[entry(retry={"attempts": 1})]) as client:
        reader = TimelineReader(client.shop.runs, client.shop.clock)
        await client.perform()
        first = await reader.read({"checkout": "1"}, WINDOW)
        await client.perform(seconds=1)
        same = await reader.read({"checkout": "1"}, WINDOW)
        newer = await reader.read({"checkout": "2"}, WINDOW)

    assert first["checkout"].total == SpanCounts(succeeded=1)
    assert same["checkout"] is first["checkout"]
    assert newer["checkout"].total == SpanCounts(succeeded=1, down=1)
    assert newer["checkout"].is_exact
    assert newer["checkout"].success_rate == 0.5


@virtual_time
async def test_a_run_of_another_process_appears_after_a_minute() -> None:
    async with ApiClient(jobs=[entry()]) as client:
        reader = TimelineReader(client.shop.runs, client.shop.clock)
        before = await reader.read({"checkout": ""}, WINDOW)
        due = client.shop.ticket(0, "checkout")
        await client.store_finished(due, run_of(due))
        await client.shop.clock.sleep(61)
        after = await reader.read({"checkout": ""}, WINDOW)

    assert before["checkout"].success_rate is None
    assert sum(after["checkout"].total) == 1


@virtual_time
async def test_an_hour_of_which_runs_are_deleted_is_still_shown() -> None:
    async with ApiClient(jobs=[entry()]) as client:
        reader = TimelineReader(client.shop.runs, client.shop.clock)
        for number in range(3):
            due = client.shop.ticket(number, "checkout")
            await client.store_finished(due, run_of(due, Outcome.FAILED) if number == 0 else run_of(due))
        await client.shop.clock.sleep(120)
        await client.shop.runs.prune(client.shop.clock.now(), 1.0, 1)
        found = await reader.read({"checkout": ""}, WINDOW)

    timeline = found["checkout"]
    assert (timeline.total.succeeded, timeline.total.down) == (2, 1)
    assert not timeline.is_exact
    assert any(span.down for span in timeline.spans)


@virtual_time
async def test_a_new_job_shows_the_time_since_its_first_run() -> None:
    async with ApiClient(jobs=[entry()]) as client:
        reader = TimelineReader(client.shop.runs, client.shop.clock)
        windows = []
        for hours in (0, 0.5, 2, 25):
            await client.shop.clock.sleep(hours * 3600)
            due = Ticket.scheduled("checkout", client.shop.clock.now(), "g1")
            await client.store_finished(due, run_of(due))
            windows.append((await reader.read({"checkout": due.id}, WINDOW))["checkout"].window)

    assert windows == [TimeWindow.HOURS_1, TimeWindow.HOURS_1, TimeWindow.HOURS_3, TimeWindow.HOURS_24]


@virtual_time
async def test_a_job_that_rested_for_days_is_not_new() -> None:
    async with ApiClient(jobs=[entry()]) as client:
        reader = TimelineReader(client.shop.runs, client.shop.clock)
        for days in (0, 3):
            await client.shop.clock.sleep(days * 86_400)
            due = Ticket.scheduled("checkout", client.shop.clock.now(), "g1")
            await client.store_finished(due, run_of(due))
        found = await reader.read({"checkout": ""}, WINDOW)

    assert found["checkout"].window is WINDOW
    assert found["checkout"].total == SpanCounts(succeeded=1)


@virtual_time
async def test_the_first_run_of_a_new_job_is_shown_where_it_was() -> None:
    async with ApiClient(jobs=[entry()]) as client:
        reader = TimelineReader(client.shop.runs, client.shop.clock)
        await client.shop.clock.sleep(1800)
        due = Ticket.scheduled("checkout", client.shop.clock.now(), "g1")
        await client.store_finished(due, run_of(due))
        await client.shop.clock.sleep(600)
        found = await reader.read({"checkout": ""}, WINDOW)

    spans = found["checkout"].spans
    assert [number for number, counts in enumerate(spans) if sum(counts)] == [len(spans) - 1 - 15]
