"""A changed job is planned until the cursor at once, and every later instant by ticks: each exactly once."""

from __future__ import annotations

import asyncio

import pytest

from scheduler.catalog.catalog import CatalogJob, JobSnapshot
from scheduler.dispatch.batches import TicketBatch, encode_batch
from scheduler.dispatch.port import DispatchError
from scheduler.hosts.functions.timer import PLANNING_HORIZON
from tests.jobs.running.virtual_time import virtual_time
from tests.scheduler.audit.memory_trail import API_CALLER
from tests.scheduler.fakes import START, Sent, WorkerHarness, entry
from tests.scheduler.functions_harness import FunctionsHarness
from tests.scheduler.stores.memory import MemoryData


async def write(functions: FunctionsHarness, *jobs: CatalogJob) -> None:
    """Put these jobs in force, as a request does in this process."""
    before = functions.shop.catalog.snapshot
    functions.shop.catalog.replace(JobSnapshot([*before, *jobs]))
    await functions.changes.plan(before)


def offsets(functions: FunctionsHarness, job: str) -> list[float]:
    """Seconds of the planned instants of a job since the start."""
    tickets = [ticket for tickets, _ in functions.dispatch.sent for ticket in tickets if ticket.job == job]
    return [(ticket.due_at - START).total_seconds() for ticket in tickets]


@virtual_time
async def test_a_new_job_is_planned_until_the_cursor_and_ticks_continue_there() -> None:
    functions = FunctionsHarness(WorkerHarness(jobs=[entry(schedule="*/30 * * * * *")]))
    await functions.ticks.plan_ahead()
    await asyncio.sleep(25)

    await write(functions, entry("new", schedule="*/10 * * * * *"))

    assert offsets(functions, "new") == [30, 40, 50, 60, 70]
    for _ in range(3):
        await asyncio.sleep(60)
        await functions.ticks.plan_ahead()
    assert offsets(functions, "new") == list(range(30, 25 + 3 * 60 + 75 + 1, 10))
    assert len(functions.planned) == len(set(functions.planned))


@virtual_time
async def test_the_tick_of_another_process_continues_behind_a_change_as_well() -> None:
    data = MemoryData()
    jobs = [entry(schedule="*/30 * * * * *")]
    ours, other = (FunctionsHarness(WorkerHarness(jobs=jobs, data=data)) for _ in range(2))
    await other.ticks.plan_ahead()
    await asyncio.sleep(20)
    await write(ours, entry("new", schedule="*/10 * * * * *"))

    other.shop.catalog.replace(ours.shop.catalog.snapshot)
    for _ in range(3):
        await asyncio.sleep(50)
        await other.ticks.plan_ahead()

    assert offsets(ours, "new") == [30, 40, 50, 60, 70]
    assert offsets(other, "new") == list(range(80, 20 + 3 * 50 + 75 + 1, 10))


@virtual_time
async def test_a_faster_schedule_adds_the_instants_between_those_that_were_planned() -> None:
    functions = FunctionsHarness(WorkerHarness(jobs=[entry(schedule="*/20 * * * * *")]))
    await functions.ticks.plan_ahead()

    before = functions.shop.catalog.snapshot
    functions.shop.catalog.replace(JobSnapshot([entry(schedule="*/10 * * * * *")]))
    await functions.changes.plan(before)
    await asyncio.sleep(60)
    await functions.ticks.plan_ahead()

    assert sorted(offsets(functions, "checkout")) == list(range(10, 136, 10))


@virtual_time
async def test_a_change_whose_tickets_the_queue_refused_is_planned_by_the_next_change() -> None:
    functions = FunctionsHarness(WorkerHarness(jobs=[entry()]))
    await functions.ticks.plan_ahead()
    await asyncio.sleep(1)
    functions.dispatch.fails = DispatchError("the queue is unavailable")
    with pytest.raises(DispatchError):
        await write(functions, entry("new", schedule="*/20 * * * * *"))
    functions.dispatch.fails = None

    before = functions.shop.catalog.snapshot
    functions.shop.catalog.replace(JobSnapshot([entry(), entry("new", schedule="*/10 * * * * *")]))
    await functions.changes.plan(before)

    assert offsets(functions, "new") == list(range(10, 76, 10))


@virtual_time
async def test_a_schedule_that_returns_within_the_horizon_sends_tickets_that_run_once() -> None:
    functions = FunctionsHarness(WorkerHarness(jobs=[entry(schedule="*/30 * * * * *")]))
    await functions.ticks.plan_ahead()
    for schedule in ("*/20 * * * * *", "*/30 * * * * *"):
        before = functions.shop.catalog.snapshot
        functions.shop.catalog.replace(JobSnapshot([entry(schedule=schedule)]))
        await functions.changes.plan(before)

    assert offsets(functions, "checkout") == [30, 60, 20, 40, 30]
    batches = [encode_batch(TicketBatch(tickets)) for tickets, _ in functions.dispatch.sent]
    await asyncio.gather(*map(functions.work.perform_batch, batches))

    assert len(functions.shop.check.calls) == 2
    started = [
        (event.run.due_at - START).total_seconds() for event in functions.shop.heard.finished if event.run.attempts
    ]
    assert sorted(started) == [30, 60]


@virtual_time
async def test_of_a_paused_job_one_instant_is_planned_which_records_the_pause_and_none_of_a_disabled_one() -> None:
    functions = FunctionsHarness(WorkerHarness(jobs=[entry()]))
    await functions.ticks.plan_ahead()
    functions.shop.catalog.replace(JobSnapshot([entry(), entry("paused")]))
    await functions.shop.operations(Sent()).pauses.pause("paused", caller=API_CALLER)
    functions.shop.catalog.replace(JobSnapshot([entry()]))

    await write(functions, entry("paused"), entry("disabled", enabled=False))

    assert (offsets(functions, "paused"), offsets(functions, "disabled")) == ([10], [])


@virtual_time
async def test_without_a_tick_so_far_the_first_one_plans_the_change() -> None:
    functions = FunctionsHarness(WorkerHarness(jobs=[entry()]))

    await write(functions, entry("new", schedule="*/10 * * * * *"))
    assert offsets(functions, "new") == []

    await functions.ticks.plan_ahead()
    assert offsets(functions, "new") == list(range(10, int(PLANNING_HORIZON.total_seconds()), 10))


@virtual_time
async def test_a_change_that_could_not_be_sent_is_planned_by_the_next_tick() -> None:
    functions = FunctionsHarness(WorkerHarness(jobs=[entry(schedule="*/30 * * * * *")]))
    await functions.ticks.plan_ahead()
    await asyncio.sleep(1)
    functions.dispatch.fails = DispatchError("the queue does not answer")
    await asyncio.sleep(1)
    with pytest.raises(DispatchError):
        await write(functions, entry("new", schedule="*/10 * * * * *"))

    functions.dispatch.fails = None
    await asyncio.sleep(5)
    await functions.ticks.plan_ahead()

    assert offsets(functions, "new") == [10, 20, 30, 40, 50, 60, 70, 80]
