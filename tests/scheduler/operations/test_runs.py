"""A job that somebody asks for."""

from __future__ import annotations

import asyncio

import pytest

from jobs.runs import Trigger
from scheduler.catalog.catalog import UnknownJob
from scheduler.dispatch.port import DispatchError
from scheduler.features.runs.service import RunStarter
from scheduler.stores.port import StoreUnavailable
from scheduler.stores.runs.repository import RunRecord, Runs, RunState
from tests.jobs.running.run_parts import Hang
from tests.jobs.running.virtual_time import virtual_time
from tests.scheduler.audit.memory_trail import API_CALLER
from tests.scheduler.fakes import Sent, WorkerHarness


class CountedReads(Runs):
    """Counts how often a run is read."""

    reads = 0

    async def find(self, run_id: str) -> RunRecord | None:
        self.reads += 1
        return await super().find(run_id)


def running_of(harness: WorkerHarness, sent: Sent) -> RunStarter:
    return RunStarter(harness.catalog, harness.runs, sent, harness.clock, harness.audit)


@virtual_time
async def test_a_run_that_is_requested_is_stored_and_handed_over() -> None:
    harness, sent = WorkerHarness(), Sent()

    record = await running_of(harness, sent).run_now("checkout", caller=API_CALLER)

    assert (record.state, record.ticket.trigger) == (RunState.QUEUED, Trigger.MANUAL)
    assert sent.sent == [((record.ticket,), None)]
    assert await harness.runs.find(record.ticket.id) == record


@virtual_time
async def test_the_trace_of_a_request_is_reported_with_the_ticket() -> None:
    harness, requested = WorkerHarness(), list[tuple[str, str]]()
    running = RunStarter(
        harness.catalog,
        harness.runs,
        Sent(),
        harness.clock,
        harness.audit,
        on_requested=lambda ticket, trace: requested.append((ticket.id, trace)),
    )

    record = await running.run_now("checkout", caller=API_CALLER, trace_parent="00-1-2-01")
    await running.run_now("checkout", caller=API_CALLER)

    assert requested == [(record.ticket.id, "00-1-2-01")]


@virtual_time
async def test_a_run_that_cannot_be_stored_is_not_handed_over() -> None:
    harness, sent = WorkerHarness(), Sent()
    harness.store.breaks_after = 0

    with pytest.raises(StoreUnavailable):
        await running_of(harness, sent).run_now("checkout", caller=API_CALLER)

    assert sent.sent == []


@virtual_time
async def test_a_run_that_cannot_be_handed_over_stays_queued() -> None:
    harness, sent = WorkerHarness(), Sent()
    sent.fails = DispatchError("the queue is away")

    with pytest.raises(DispatchError):
        await running_of(harness, sent).run_now("checkout", caller=API_CALLER)

    assert [record.state for record in await harness.runs.list_unfinished()] == [RunState.QUEUED]


@virtual_time
async def test_an_unknown_job_is_not_run() -> None:
    harness, sent = WorkerHarness(), Sent()

    with pytest.raises(UnknownJob):
        await running_of(harness, sent).run_now("nobody", caller=API_CALLER)

    assert sent.sent == []


@virtual_time
async def test_waiting_ends_soon_after_the_run() -> None:
    harness = WorkerHarness(Hang("body", 4.0))
    ticket = harness.ticket()
    await harness.runs.enqueue(ticket)
    harness.worker.submit(ticket)

    record = await running_of(harness, Sent()).wait_until_finished(ticket.id, 60)

    assert record is not None
    assert record.state is RunState.FINISHED
    assert 4.0 <= harness.clock.monotonic() <= 4.5


@virtual_time
async def test_waiting_for_a_run_of_this_process_reads_the_store_only_at_its_start_and_its_end() -> None:
    harness = WorkerHarness(Hang("body", 4.0))
    ticket = harness.ticket()
    await harness.runs.enqueue(ticket)
    harness.worker.submit(ticket)
    runs = CountedReads(harness.store)
    starter = RunStarter(harness.catalog, runs, Sent(), harness.clock, harness.audit, end_of=harness.worker.end_of)

    record = await starter.wait_until_finished(ticket.id, 60)

    assert record is not None
    assert record.state is RunState.FINISHED
    assert 4.0 <= harness.clock.monotonic() <= 4.1
    assert runs.reads == 2


@virtual_time
async def test_waiting_for_a_run_that_another_process_takes_over_reads_its_end() -> None:
    harness = WorkerHarness()
    ticket = harness.ticket()
    await harness.runs.enqueue(ticket)
    never = asyncio.get_running_loop().create_future()
    starter = RunStarter(harness.catalog, harness.runs, Sent(), harness.clock, harness.audit, end_of=lambda _: never)
    waiting = asyncio.ensure_future(starter.wait_until_finished(ticket.id, 60))
    await asyncio.sleep(1)
    await harness.worker.execute(ticket)

    record = await waiting

    assert record is not None
    assert record.state is RunState.FINISHED
    assert harness.clock.monotonic() <= 5.1


@virtual_time
async def test_waiting_ends_when_the_program_stops() -> None:
    harness = WorkerHarness(Hang("body", 9.0))
    ticket = harness.ticket()
    await harness.runs.enqueue(ticket)
    harness.worker.submit(ticket)
    starter = RunStarter(
        harness.catalog, harness.runs, Sent(), harness.clock, harness.audit, end_of=harness.worker.end_of
    )
    waiting = asyncio.ensure_future(starter.wait_until_finished(ticket.id, 60))
    await asyncio.sleep(1)

    starter.stop_waiting()

    record = await waiting
    assert record is not None
    assert record.state is RunState.RUNNING
    assert harness.clock.monotonic() == pytest.approx(1.0)
    await harness.worker.drain(20)


@virtual_time
async def test_waiting_ends_after_its_time_with_the_run_as_it_is_then() -> None:
    harness = WorkerHarness(Hang("body", 9.0))
    ticket = harness.ticket()
    await harness.runs.enqueue(ticket)
    harness.worker.submit(ticket)

    record = await running_of(harness, Sent()).wait_until_finished(ticket.id, 2)

    assert record is not None
    assert record.state is RunState.RUNNING
    assert harness.clock.monotonic() == pytest.approx(2.0)
    await harness.worker.drain(20)


@virtual_time
async def test_a_run_that_is_missing_is_not_waited_for() -> None:
    harness = WorkerHarness()

    assert await running_of(harness, Sent()).wait_until_finished("checkout@20260301T120000.000Z", 60) is None
    assert harness.clock.monotonic() == 0
