"""The history of the jobs of a page, and what of it is read again."""

from __future__ import annotations

from jobs.runs import Outcome
from scheduler.queries.overview.history import TimelineReader
from scheduler.queries.overview.spans import SpanCounts, TimeWindow
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
