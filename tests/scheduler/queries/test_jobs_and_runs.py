"""What people ask the scheduler."""

from __future__ import annotations

from datetime import timedelta

import pytest

from jobs.runs import Outcome
from jobs.schedules import parse_schedule
from scheduler.catalog.catalog import UnknownJob
from scheduler.features.jobs.queries import JobAndRunQueries, next_due_instants
from scheduler.stores.gates import Pause
from scheduler.stores.runs.pages import RunPage
from tests.jobs.running.run_parts import answer
from tests.jobs.running.virtual_time import virtual_time
from tests.scheduler.fakes import START, WorkerHarness, entry


def queries_of(harness: WorkerHarness) -> JobAndRunQueries:
    return JobAndRunQueries(
        harness.catalog,
        harness.runs,
        harness.pauses,
        harness.clock,
        harness.states.states_of,
    )


@virtual_time
async def test_a_job_is_observed_with_its_newest_finished_run() -> None:
    harness = WorkerHarness(answer(), answer(500))
    queries = queries_of(harness)
    await harness.worker.execute(harness.ticket())
    newest = harness.ticket(1)
    await harness.worker.execute(newest)
    await harness.runs.enqueue(harness.ticket(2))

    view = await queries.view_job("checkout")

    assert view.latest is not None
    assert view.latest.run is not None
    assert (view.latest.ticket.id, view.latest.run.outcome) == (newest.id, Outcome.FAILED)


@virtual_time
async def test_the_next_due_instant_is_strictly_after_now() -> None:
    assert (await queries_of(WorkerHarness()).view_job("checkout")).next_at == START + timedelta(seconds=10)


@virtual_time
async def test_pages_of_jobs_report_where_they_stand() -> None:
    queries = queries_of(WorkerHarness(jobs=[entry(name) for name in "dcbae"]))

    first = await queries.list_jobs(limit=2)
    second = await queries.list_jobs(limit=2, after=first.continuation or "")
    last = await queries.list_jobs(limit=2, after=second.continuation or "")

    pages = [("".join(view.entry.job.name for view in page.jobs), page.before, page.total, page.continuation)
             for page in (first, second, last)]  # fmt: skip
    assert pages == [("ab", 0, 5, "b"), ("cd", 2, 5, "d"), ("e", 4, 5, None)]


@virtual_time
async def test_a_page_continues_after_a_job_that_is_gone_by_now() -> None:
    page = await queries_of(WorkerHarness(jobs=[entry("a"), entry("c")])).list_jobs(limit=5, after="b")

    assert [view.entry.job.name for view in page.jobs] == ["c"]


@virtual_time
async def test_a_page_that_ends_with_the_last_job_has_no_continuation() -> None:
    assert (await queries_of(WorkerHarness(jobs=[entry("a"), entry("b")])).list_jobs(limit=2)).continuation is None


@virtual_time
async def test_a_job_that_is_missing_is_reported() -> None:
    queries = queries_of(WorkerHarness())

    with pytest.raises(UnknownJob):
        await queries.view_job("nobody")


@virtual_time
async def test_the_next_due_instants_of_a_disabled_job_are_none() -> None:
    queries = queries_of(WorkerHarness(jobs=[entry(enabled=False)]))

    assert queries.next_due(await queries.view_job("checkout"), 3) == []


@virtual_time
async def test_a_paused_job_runs_next_at_the_end_of_its_pause() -> None:
    harness = WorkerHarness()
    queries = queries_of(harness)
    end = START + timedelta(minutes=1)
    await harness.pauses.set_pause(Pause("checkout", START, end))

    view = await queries.view_job("checkout")

    assert view.pause is not None
    assert view.next_at == end
    assert queries.next_due(view, 2) == [end, end + timedelta(seconds=10)]


@virtual_time
async def test_a_pause_without_an_end_has_no_next_run() -> None:
    harness = WorkerHarness()
    queries = queries_of(harness)
    await harness.pauses.set_pause(Pause("checkout", START))

    view = await queries.view_job("checkout")

    assert (view.next_at, queries.next_due(view, 2)) == (None, [])


def test_upcoming_instants_follow_each_other() -> None:
    schedule = parse_schedule("0 30 9 * * 1-5")

    found = next_due_instants(schedule, START, 2)

    assert [f"{at:%a %H:%M}" for at in found] == ["Mon 09:30", "Tue 09:30"]


def test_a_schedule_that_never_comes_has_no_instants() -> None:
    assert next_due_instants(parse_schedule("0 0 0 31 2 *"), START, 3) == []


@virtual_time
async def test_a_filtered_page_reads_a_limited_number_of_rows_once(monkeypatch: pytest.MonkeyPatch) -> None:
    harness = WorkerHarness()
    reads = 0

    async def read_short_page(*_: object, **__: object) -> RunPage:
        nonlocal reads
        reads += 1
        return RunPage((), "next")

    monkeypatch.setattr(harness.runs, "list_page", read_short_page)
    page = await queries_of(harness).list_runs(outcome="failed")

    assert (reads, page.continuation) == (1, "next")
