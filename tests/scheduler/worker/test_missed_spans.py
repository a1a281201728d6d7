"""Missed instants that are one skipped run, on virtual time: processes that die before they record or publish it."""

from __future__ import annotations

import asyncio
from datetime import datetime

import pytest

from jobs.running.run_factories import skipped_run
from jobs.runs import Ticket
from jobs.runs.outcomes import Reason
from scheduler.planning.plan import NO_SCHEDULER_CAUSE, MissedSpan
from scheduler.worker.skipping import FAILED_CLAIM_CAUSE, FAILED_CLAIM_RETRY_INTERVAL, FailedClaims, PendingTickets
from tests.jobs.running.virtual_time import virtual_time
from tests.scheduler.fakes import WorkerHarness
from tests.scheduler.stores.memory import MemoryData


def missed_span(harness: WorkerHarness, first: float, last: float) -> MissedSpan:
    """Instants of the only job, in seconds from now."""
    ends = (harness.ticket(first).due_at, harness.ticket(last).due_at)
    return MissedSpan(harness.catalog.get_job("checkout"), *ends)


async def record_and_die(missed: MissedSpan, data: MemoryData) -> None:
    """Record the span and publish nothing, as a process does that is killed in between."""
    dead = WorkerHarness(data=data, owner="dead")
    run = skipped_run(missed.entry.job, missed.ticket, dead.clock, missed.reason)
    assert await dead.runs.insert_finished(missed.ticket, run) is None


@virtual_time
async def test_planning_after_a_crash_starts_before_the_first_missed_instant_until_the_span_is_recorded() -> None:
    harness = WorkerHarness()
    now, missed = harness.clock.now(), missed_span(harness, -40, -20)
    harness.store.breaks_after = 0
    harness.worker.submit_missed(missed)
    await asyncio.sleep(1)
    before = harness.worker.persisted_until(now)
    harness.store.breaks_after = None
    await harness.worker.wait_until_idle()

    assert before < missed.first
    assert harness.worker.persisted_until(now) == now


@virtual_time
@pytest.mark.parametrize("cause", [NO_SCHEDULER_CAUSE, FAILED_CLAIM_CAUSE])
@pytest.mark.parametrize("first", [-40, -30, -20])
async def test_a_span_that_a_dead_process_recorded_with_another_message_is_published(first: int, cause: Reason) -> None:
    data = MemoryData()
    harness = WorkerHarness(data=data)
    missed = missed_span(harness, -40, -20)
    earlier = MissedSpan(missed.entry, harness.ticket(first).due_at, missed.last, cause)
    await record_and_die(earlier, data)

    harness.worker.submit_missed(missed)
    await harness.worker.wait_until_idle()

    published = {event.run.due_at: event.run.message for event in harness.heard.finished}
    assert published[missed.last] == earlier.reason.message


@virtual_time
async def test_instants_before_a_shorter_span_of_a_dead_process_are_recorded_as_well() -> None:
    data = MemoryData()
    harness = WorkerHarness(data=data)
    missed = missed_span(harness, -40, -20)
    await record_and_die(missed_span(harness, -20, -20), data)

    harness.worker.submit_missed(missed)
    await harness.worker.wait_until_idle()

    rest = missed.without_last()
    assert rest is not None
    assert rest.reason.message in [event.run.message for event in harness.heard.finished]


class RecorderThatIsInterrupted:
    """While it records the first span, further tickets cannot be claimed."""

    def __init__(self) -> None:
        self.failed_claims: FailedClaims | None = None
        self.further: list[Ticket] = []
        self.recorded: list[tuple[datetime, datetime]] = []

    async def record_missed(self, missed: MissedSpan) -> None:
        self.recorded.append((missed.first, missed.last))
        further, self.further = self.further, []
        for ticket in further:
            assert self.failed_claims is not None
            self.failed_claims.add(ticket)


@virtual_time
async def test_all_instants_are_recorded_that_cannot_be_claimed_while_earlier_ones_are_recorded() -> None:
    harness, recorder, pending = WorkerHarness(), RecorderThatIsInterrupted(), PendingTickets()
    first, *recorder.further = (harness.ticket(seconds) for seconds in (0, 10, 20, 30))
    recorder.failed_claims = FailedClaims(harness.catalog, recorder, pending, harness.clock)  # type: ignore[arg-type]
    due = [first.due_at, *(ticket.due_at for ticket in recorder.further)]

    recorder.failed_claims.add(first)
    await asyncio.sleep(FAILED_CLAIM_RETRY_INTERVAL + 1)
    meanwhile = pending.persisted_until(due[-1])
    await asyncio.sleep(FAILED_CLAIM_RETRY_INTERVAL)

    assert recorder.recorded == [(due[0], due[0]), (due[1], due[3])]
    assert due[0] <= meanwhile < due[1]
    assert pending.persisted_until(due[-1]) == due[-1]
