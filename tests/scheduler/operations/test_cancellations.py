"""Cancelling a run: one that waits, one of this process, one of another process."""

from __future__ import annotations

import asyncio
import logging
from datetime import timedelta

import pytest

from jobs.runs import Outcome, Run
from scheduler.errors import Conflict, NotFound
from scheduler.features.runs.service import RunCanceller
from scheduler.stores.gates import CANCELLATIONS_TABLE
from scheduler.stores.runs.repository import Claim, RunState
from tests.jobs.running.run_parts import REFUSED, Hang
from tests.jobs.running.virtual_time import virtual_time
from tests.scheduler.audit.memory_trail import API_CALLER, COMMAND_CALLER
from tests.scheduler.fakes import Sent, WorkerHarness, entry
from tests.scheduler.stores.memory import MemoryData

LONG = Hang("first_byte", 60.0)
SLOW = entry(timeout={"attempt": "100s", "run": "200s"}, retry={"attempts": 2, "jitter": "none"})
BY_API = "Cancelled over the API before it finished."


def cancelling_of(harness: WorkerHarness) -> RunCanceller:
    return harness.operations(Sent()).cancellations


async def run_of(harness: WorkerHarness, run_id: str) -> Run:
    record = await harness.runs.find(run_id)
    assert record is not None
    assert record.run is not None
    return record.run


def notes(harness: WorkerHarness) -> list[str]:
    return [key for table, _, key in harness.store.data.rows if table == CANCELLATIONS_TABLE]


@virtual_time
async def test_a_queued_run_is_cancelled_at_once_and_never_runs() -> None:
    harness = WorkerHarness()
    ticket = harness.ticket()
    await harness.runs.enqueue(ticket)

    record = await cancelling_of(harness).cancel(ticket.id, caller=API_CALLER, wait=0)
    await harness.worker.execute(ticket)

    assert record.state is RunState.FINISHED
    run = await run_of(harness, ticket.id)
    assert (run.outcome, run.error, run.message) == (Outcome.CANCELLED, None, BY_API)
    assert [event.run for event in harness.heard.finished] == [run]
    assert harness.check.calls == []
    assert await harness.runs.list_unfinished() == []


@virtual_time
async def test_a_run_of_this_process_ends_at_once_and_retains_its_attempts() -> None:
    harness = WorkerHarness(REFUSED, LONG, jobs=[SLOW])
    ticket = harness.ticket()
    harness.worker.submit(ticket)
    await asyncio.sleep(2)

    record = await cancelling_of(harness).cancel(ticket.id, caller=COMMAND_CALLER, wait=1)

    assert harness.clock.monotonic() == pytest.approx(2.0, abs=0.1)
    assert record.run is not None
    assert (record.run.outcome, len(record.run.attempts)) == (Outcome.CANCELLED, 1)
    assert record.run.message.endswith("on the command line before it finished.")
    assert [event.run for event in harness.heard.finished] == [record.run]
    assert notes(harness) == []


@virtual_time
async def test_the_ticket_after_a_cancelled_one_is_performed() -> None:
    harness = WorkerHarness(LONG, Hang("body", 1.0), jobs=[SLOW])
    first, second = harness.ticket(-10), harness.ticket()
    harness.worker.submit(first, second)
    await asyncio.sleep(1)

    await cancelling_of(harness).cancel(first.id, caller=API_CALLER, wait=1)
    await harness.worker.drain(100)

    assert [event.run.outcome for event in harness.heard.finished] == [Outcome.CANCELLED, Outcome.SUCCEEDED]


@virtual_time
async def test_a_run_of_another_process_ends_when_that_reads() -> None:
    data = MemoryData()
    here, there = WorkerHarness(data=data), WorkerHarness(LONG, jobs=[SLOW], data=data, owner="there")
    ticket = there.ticket()
    there.worker.submit(ticket)
    await asyncio.sleep(4)

    record = await cancelling_of(here).cancel(ticket.id, caller=API_CALLER, wait=0)
    assert record.state is RunState.RUNNING
    assert notes(here) == [ticket.id]
    await asyncio.sleep(3)

    assert (await run_of(here, ticket.id)).message == BY_API
    assert notes(here) == []
    assert there.worker.in_flight_count == 0


@virtual_time
async def test_it_can_be_waited_for_the_end_in_another_process() -> None:
    data = MemoryData()
    here, there = WorkerHarness(data=data), WorkerHarness(LONG, jobs=[SLOW], data=data, owner="there")
    ticket = there.ticket()
    there.worker.submit(ticket)
    await asyncio.sleep(0.1)

    record = await cancelling_of(here).cancel(ticket.id, caller=API_CALLER, wait=15)

    assert record.run is not None
    assert record.run.outcome is Outcome.CANCELLED
    assert 3.0 <= here.clock.monotonic() <= 4.0


@virtual_time
async def test_the_store_is_not_requested_while_runs_are_short_and_once_for_all_that_are_long() -> None:
    harness = WorkerHarness(Hang("body", 2.9), jobs=[entry(overlap="allow"), SLOW])
    harness.worker.submit(harness.ticket())
    await asyncio.sleep(2.98)
    before = harness.store.reads
    assert harness.heard.finished

    long = WorkerHarness(Hang("body", 10.0), jobs=[entry(overlap="allow", timeout={"attempt": "30s"})])
    for seconds in range(5):
        long.worker.submit(long.ticket(seconds))
    await asyncio.sleep(1)
    started = long.store.reads
    await long.worker.drain(60)

    assert harness.store.reads == before
    # Three of the cancellations, one of the states of jobs.
    assert long.store.reads - started == 4


@virtual_time
async def test_a_run_whose_owner_died_is_cancelled_at_once() -> None:
    harness = WorkerHarness()
    ticket, now = harness.ticket(), harness.clock.now()
    await harness.runs.claim(ticket, "dead", now + timedelta(seconds=30), now)
    await asyncio.sleep(31)

    record = await cancelling_of(harness).cancel(ticket.id, caller=API_CALLER, wait=0)

    assert record.run is not None
    assert record.run.message == BY_API


@virtual_time
async def test_a_run_that_a_user_begins_in_this_moment_is_ended_there() -> None:
    data = MemoryData()
    here, there = WorkerHarness(data=data), WorkerHarness(LONG, jobs=[SLOW], data=data, owner="there")
    ticket = there.ticket()
    await there.runs.enqueue(ticket)
    finish = here.runs.finish

    async def late(claim: Claim, run: Run, *, acknowledged: bool = True) -> None:
        there.worker.submit(ticket)
        await asyncio.sleep(0.1)
        await finish(claim, run, acknowledged=acknowledged)

    here.runs.finish = late  # type: ignore[method-assign]  # the claim comes first
    record = await cancelling_of(here).cancel(ticket.id, caller=API_CALLER, wait=15)

    assert record.run is not None
    assert record.run.outcome is Outcome.CANCELLED
    assert len(there.check.calls) == 1
    assert here.heard.finished == []


@virtual_time
async def test_a_finished_run_is_not_cancelled() -> None:
    harness = WorkerHarness()
    ticket = harness.ticket()
    await harness.worker.execute(ticket)

    with pytest.raises(Conflict, match="is already finished: succeeded"):
        await cancelling_of(harness).cancel(ticket.id, caller=API_CALLER, wait=0)
    assert (await run_of(harness, ticket.id)).outcome is Outcome.SUCCEEDED


@virtual_time
async def test_a_run_that_ends_by_itself_before_it_is_observed_was_not_cancelled() -> None:
    data = MemoryData()
    here, there = WorkerHarness(data=data), WorkerHarness(Hang("body", 2.0), data=data, owner="there")
    ticket = there.ticket()
    there.worker.submit(ticket)
    await asyncio.sleep(1)

    with pytest.raises(Conflict, match="ended before it could be cancelled: succeeded"):
        await cancelling_of(here).cancel(ticket.id, caller=API_CALLER, wait=10)
    assert notes(here) == []


@virtual_time
async def test_a_run_that_is_missing_is_reported() -> None:
    with pytest.raises(NotFound, match="there is no run 'checkout@x'"):
        await cancelling_of(WorkerHarness()).cancel("checkout@x", caller=API_CALLER, wait=0)


@virtual_time
async def test_a_store_that_is_unavailable_while_a_run_is_long_does_it_no_harm(
    caplog: pytest.LogCaptureFixture,
) -> None:
    harness = WorkerHarness(Hang("body", 10.0), jobs=[entry(timeout={"attempt": "30s"})])
    harness.worker.submit(harness.ticket())
    await asyncio.sleep(1)
    harness.store.breaks_after = 0
    await asyncio.sleep(4)
    harness.store.breaks_after = None
    await harness.worker.drain(60)

    assert [event.run.outcome for event in harness.heard.finished] == [Outcome.SUCCEEDED]
    assert "could not read cancellation requests: the store is away" in caplog.text


@virtual_time
async def test_cancelling_is_a_line_of_the_log(caplog: pytest.LogCaptureFixture) -> None:
    harness = WorkerHarness()
    ticket = harness.ticket()
    await harness.runs.enqueue(ticket)

    with caplog.at_level(logging.INFO, "scheduler.audit"):
        await cancelling_of(harness).cancel(ticket.id, caller=API_CALLER, wait=0)

    assert caplog.messages == [f"run {ticket.id} was cancelled, requested over the API"]
