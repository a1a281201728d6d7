"""The life of a run, on virtual time: claim, gates, run, record, follow up."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from jobs.runs import ErrorClass, Outcome, Ticket
from jobs.runs.outcomes import Reason, ReasonCode
from scheduler.catalog.catalog import JobSnapshot
from scheduler.stores.port import Change, StoreError, StoreUnavailable
from scheduler.stores.runs.repository import AlreadyClaimed, RunResult, RunState
from scheduler.worker.options import COMMAND_OPTIONS, FUNCTIONS_OPTIONS
from scheduler.worker.recorder import NotRecorded
from tests.jobs.running.run_parts import REFUSED, Hang, answer
from tests.jobs.running.virtual_time import virtual_time
from tests.scheduler.fakes import WorkerHarness, entry
from tests.scheduler.stores.memory import MemoryData


@virtual_time
async def test_a_ticket_becomes_a_recorded_run_that_the_listener_hears_of() -> None:
    harness = WorkerHarness()
    ticket = harness.ticket()

    assert await harness.worker.execute(ticket) is None

    record = await harness.runs.find(ticket.id)
    assert record is not None
    assert record.run is not None
    assert (record.state, record.run.outcome) == (RunState.FINISHED, Outcome.SUCCEEDED)
    assert [event.run for event in harness.heard.finished] == [record.run]


@virtual_time
async def test_the_listener_is_notified_of_the_end_only_after_the_run_is_recorded() -> None:
    harness = WorkerHarness()
    recorded: list[bool] = []
    ticket = harness.ticket()
    finish_all = harness.runs.finish_all

    async def watched(ends: Sequence[RunResult]) -> Sequence[StoreError | None]:
        recorded.append(bool(harness.heard.finished))
        return await finish_all(ends)

    harness.runs.finish_all = watched  # type: ignore[method-assign]  # watches the real one
    await harness.worker.execute(ticket)

    assert recorded == [False]
    assert len(harness.heard.finished) == 1


@virtual_time
async def test_a_ticket_delivered_twice_requests_the_target_once() -> None:
    harness = WorkerHarness()
    ticket = harness.ticket()

    await harness.worker.execute(ticket)
    again = await harness.worker.execute(ticket)

    assert isinstance(again, AlreadyClaimed)
    assert again.retry_at is None
    assert len(harness.check.calls) == 1


@virtual_time
async def test_two_workers_with_the_same_ticket_run_it_once() -> None:
    data = MemoryData()
    one, other = (WorkerHarness(Hang("body", 1.0), data=data, owner=owner) for owner in ("one", "other"))
    ticket = one.ticket()

    ends = await asyncio.gather(one.worker.execute(ticket), other.worker.execute(ticket))

    assert sum(end is None for end in ends) == 1
    assert len(one.check.calls) + len(other.check.calls) == 1


@virtual_time
async def test_a_run_that_falls_due_while_the_last_one_continues_is_skipped_with_the_reason() -> None:
    harness = WorkerHarness(Hang("body", 5.0))
    first, second = harness.ticket(), harness.ticket(1)

    harness.worker.submit(first)
    await asyncio.sleep(1)
    await harness.worker.execute(second)

    record = await harness.runs.find(second.id)
    assert record is not None
    assert record.run is not None
    assert record.run.outcome is Outcome.SKIPPED
    assert first.id in record.run.message


@virtual_time
async def test_overlap_allow_runs_next_to_the_last_one() -> None:
    harness = WorkerHarness(Hang("body", 5.0), jobs=[entry(overlap="allow")])
    harness.worker.submit(harness.ticket())
    await asyncio.sleep(1)

    await harness.worker.execute(harness.ticket())

    assert len(harness.check.calls) == 2


@virtual_time
async def test_a_ticket_of_an_older_definition_that_the_new_one_does_not_have_is_skipped() -> None:
    harness = WorkerHarness(jobs=[entry(schedule="1 0 0 1 1 *")])
    ticket = replace(harness.ticket(), generation="older")

    await harness.worker.execute(ticket)

    record = await harness.runs.find(ticket.id)
    assert record is not None
    assert record.run is not None
    assert (record.run.outcome, harness.check.calls) == (Outcome.SKIPPED, [])
    assert "new definition" in record.run.message


@virtual_time
async def test_a_run_that_was_claimed_before_its_job_changed_is_one_of_the_new_definition() -> None:
    harness = WorkerHarness()
    harness.worker.submit_batch([ticket := harness.ticket(10)])
    await asyncio.sleep(1)
    changed = entry(check={"kind": "http", "url": "http://127.0.0.1:9/new"})
    harness.catalog.replace(JobSnapshot([changed]))
    await harness.worker.wait_until_idle()

    record = await harness.runs.find(ticket.id)
    assert record is not None
    assert record.run is not None
    run = record.run
    assert (run.outcome, run.endpoint, run.generation) == (
        Outcome.SUCCEEDED,
        "http://127.0.0.1:9/new",
        changed.generation,
    )


@virtual_time
async def test_a_run_that_has_started_ends_by_the_definition_that_it_began_with() -> None:
    harness = WorkerHarness(Hang(None, seconds=5))
    old = harness.catalog.get_job("checkout").generation
    harness.worker.submit(ticket := harness.ticket())
    await asyncio.sleep(1)
    harness.catalog.replace(JobSnapshot([]))
    await harness.worker.wait_until_idle()

    record = await harness.runs.find(ticket.id)
    assert record is not None
    assert record.run is not None
    assert (record.run.outcome, record.run.generation) == (Outcome.SUCCEEDED, old)


@virtual_time
async def test_a_ticket_of_a_job_that_is_gone_is_skipped() -> None:
    harness = WorkerHarness()
    ticket = Ticket.scheduled("gone", harness.clock.now(), "x")

    await harness.worker.execute(ticket)

    record = await harness.runs.find(ticket.id)
    assert record is not None
    assert record.run is not None
    assert (record.run.outcome, record.run.message) == (Outcome.SKIPPED, "the job was removed")


@virtual_time
async def test_a_disabled_job_runs_when_a_user_requests_and_not_on_its_schedule() -> None:
    harness = WorkerHarness(jobs=[entry(enabled=False)])
    requests_made = Ticket.requested("checkout", harness.clock.now(), harness.catalog.get_job("checkout").generation)

    await harness.worker.execute(harness.ticket())
    await harness.worker.execute(requests_made)

    outcomes = [event.run.outcome for event in harness.heard.finished]
    assert outcomes == [Outcome.SKIPPED, Outcome.SUCCEEDED]


@virtual_time
async def test_no_more_runs_continue_at_once_than_there_are_places() -> None:
    harness = WorkerHarness(Hang("body", 1.0), jobs=[entry(f"j{number}") for number in range(6)], places=2)
    for number in range(6):
        harness.worker.submit(harness.ticket(job=f"j{number}"))

    await asyncio.sleep(1.5)

    assert (len(harness.heard.finished), harness.worker.in_flight_count) == (2, 4)


@virtual_time
async def test_what_only_waits_for_its_turn_counts_as_not_stored() -> None:
    harness = WorkerHarness(Hang("body", 4.0))
    now = harness.clock.now()
    first, second = harness.ticket(-20), harness.ticket(-10)
    harness.worker.submit(first, second)
    before = harness.worker.persisted_until(now)
    await asyncio.sleep(1)
    meanwhile = harness.worker.persisted_until(now)
    await harness.worker.wait_until_idle()

    assert before < first.due_at
    assert first.due_at < meanwhile < second.due_at
    assert harness.worker.persisted_until(now) == now


@virtual_time
async def test_a_planned_ticket_that_the_end_cut_off_from_its_place_is_queued_again() -> None:
    harness = WorkerHarness(Hang("body", 9.0), places=1, jobs=[entry("a"), entry("b")])
    running, waiting = harness.ticket(-20, "a"), harness.ticket(-10, "b")
    harness.worker.submit(running)
    harness.worker.submit(waiting)
    await asyncio.sleep(1)

    await harness.worker.drain(0)

    queued = await harness.runs.find(waiting.id)
    assert queued is not None
    assert queued.state is RunState.QUEUED
    assert harness.worker.persisted_until(harness.clock.now()) == harness.clock.now()


@virtual_time
async def test_what_waits_for_a_place_when_the_program_ends_does_not_begin_though_one_is_free_in_time() -> None:
    harness = WorkerHarness(Hang("body", 2.0), places=1, jobs=[entry("a"), entry("b"), entry("c", effect="once")])
    tickets = [harness.ticket(-20, "a"), harness.ticket(-10, "b"), harness.ticket(-10, "c")]
    for ticket in tickets:
        harness.worker.submit(ticket)
    await asyncio.sleep(1)

    await harness.worker.drain(30)

    assert [event.run.job for event in harness.heard.finished] == ["a"]
    assert len(harness.check.calls) == 1
    record = await harness.runs.find(tickets[1].id)
    assert record is not None
    assert record.state is RunState.QUEUED
    assert await harness.runs.find(tickets[2].id) is None
    # It is planned again.
    assert harness.worker.persisted_until(harness.clock.now()) < tickets[2].due_at


@virtual_time
async def test_the_next_one_of_a_turn_does_not_begin_once_the_program_ends() -> None:
    harness = WorkerHarness(Hang("body", 2.0))
    turn = [harness.ticket(-20), harness.ticket(-10)]
    harness.worker.submit(*turn)
    await asyncio.sleep(1)

    await harness.worker.drain(30)

    assert len(harness.check.calls) == 1
    record = await harness.runs.find(turn[1].id)
    assert record is None or record.state is RunState.QUEUED


@virtual_time
async def test_a_claim_that_comes_when_the_program_ends_is_released() -> None:
    harness = WorkerHarness(jobs=[entry(effect="once")])
    ticket, claim_all = harness.ticket(), harness.runs.claim_all

    async def slow(*arguments: Any) -> Any:
        await asyncio.sleep(2)
        return await claim_all(*arguments)

    harness.runs.claim_all = slow  # type: ignore[method-assign]  # stands in for a store that is slow
    harness.worker.submit(ticket)
    await asyncio.sleep(1)

    await harness.worker.drain(30)

    record = await harness.runs.find(ticket.id)
    assert record is not None
    assert record.state is RunState.QUEUED
    assert harness.check.calls == []


@virtual_time
async def test_draining_waits_for_what_is_in_work() -> None:
    harness = WorkerHarness(Hang("body", 2.0))
    harness.worker.submit(harness.ticket())
    await asyncio.sleep(0.1)

    await harness.worker.drain(5)

    assert [event.run.outcome for event in harness.heard.finished] == [Outcome.SUCCEEDED]
    assert harness.worker.in_flight_count == 0


@virtual_time
async def test_what_is_still_in_work_after_the_grace_is_recorded_as_cancelled() -> None:
    harness = WorkerHarness(Hang("first_byte", 25.0), jobs=[entry(timeout={"attempt": "30s"})])
    ticket = harness.ticket()
    harness.worker.submit(ticket)
    await asyncio.sleep(0.1)

    await harness.worker.drain(1)

    record = await harness.runs.find(ticket.id)
    assert record is not None
    assert record.run is not None
    assert (record.run.outcome, record.run.error) == (Outcome.CANCELLED, ErrorClass.INTERRUPTED)


class AwayFor:
    """A memory store's `apply` that is away for some calls, once `calls` of them went through."""

    def __init__(self, harness: WorkerHarness, *, after: int, times: int) -> None:
        self._apply = harness.store.apply
        self._after, self._times = after, times
        harness.store.apply = self._away  # type: ignore[method-assign]  # stands in for a store that goes away

    async def _away(self, *changes: Change) -> tuple[str, ...]:
        if self._after > 0:
            self._after -= 1
        elif self._times > 0:
            self._times -= 1
            raise StoreUnavailable("the store is away")
        return await self._apply(*changes)


@virtual_time
async def test_a_finished_run_is_recorded_over_a_short_absence_of_the_store() -> None:
    harness = WorkerHarness()
    ticket = harness.ticket()
    AwayFor(harness, after=1, times=2)

    await harness.worker.execute(ticket)

    record = await harness.runs.find(ticket.id)
    assert record is not None
    assert record.state is RunState.FINISHED


@virtual_time
async def test_a_store_that_stays_unavailable_fails_the_delivery_and_no_one_is_notified_of_a_run() -> None:
    harness = WorkerHarness(ways=FUNCTIONS_OPTIONS)
    AwayFor(harness, after=1, times=999)

    with pytest.raises(NotRecorded, match="the store is away"):
        await harness.worker.execute(harness.ticket())

    assert harness.heard.finished == []


@virtual_time
async def test_a_background_ticket_that_cannot_be_claimed_is_not_run_and_the_log_reports_it(
    caplog: pytest.LogCaptureFixture,
) -> None:
    harness = WorkerHarness()
    AwayFor(harness, after=0, times=99)

    harness.worker.submit(harness.ticket())
    await harness.worker.wait_until_idle()

    assert "could not claim run" in caplog.text
    assert "the store is away" in caplog.text
    assert harness.check.calls == []


@virtual_time
async def test_what_a_background_run_found_out_is_reported_although_the_store_stays_unavailable(
    caplog: pytest.LogCaptureFixture,
) -> None:
    harness = WorkerHarness(REFUSED, jobs=[entry(retry={"attempts": 1})], ways=COMMAND_OPTIONS)
    AwayFor(harness, after=1, times=99)

    harness.worker.submit(harness.ticket())
    await harness.worker.wait_until_idle()

    assert [event.run.error for event in harness.heard.finished] == [ErrorClass.CONNECTION_REFUSED]
    assert "could not record run" in caplog.text


@virtual_time
@pytest.mark.parametrize("changes", range(5))
async def test_a_crash_while_a_run_is_skipped_leaves_it_recorded_with_the_reason_or_free(changes: int) -> None:
    data = MemoryData()
    dead, next_one = WorkerHarness(data=data, owner="dead"), WorkerHarness(data=data)
    ticket = dead.ticket()
    dead.store.breaks_after = changes
    with suppress(StoreUnavailable):
        await dead.worker.skip_recorder.record_skipped(ticket, Reason(ReasonCode.MISSED, "it was left out"))

    assert await next_one.worker.skip_recorder.record_skipped(ticket, Reason(ReasonCode.MISSED, "it was left out"))

    record = await next_one.runs.find(ticket.id)
    assert record is not None
    assert record.run is not None
    assert (record.run.outcome, record.run.message) == (Outcome.SKIPPED, "it was left out")
    assert await next_one.runs.list_unfinished() == []
    assert len(next_one.heard.finished) == 1


@virtual_time
async def test_a_run_that_is_skipped_is_recorded_over_a_short_absence_of_the_store() -> None:
    harness = WorkerHarness()
    harness.store.breaks_after = 0
    skipping = asyncio.create_task(
        harness.worker.skip_recorder.record_skipped(harness.ticket(), Reason(ReasonCode.MISSED, "it was left out"))
    )
    await asyncio.sleep(2)
    harness.store.breaks_after = None

    assert await skipping
    assert [event.run.outcome for event in harness.heard.finished] == [Outcome.SKIPPED]


@virtual_time
async def test_what_a_user_has_run_is_not_skipped() -> None:
    harness = WorkerHarness()
    ticket = harness.ticket()
    await harness.worker.execute(ticket)

    assert not await harness.worker.skip_recorder.record_skipped(ticket, Reason(ReasonCode.MISSED, "it was left out"))

    assert [event.run.outcome for event in harness.heard.finished] == [Outcome.SUCCEEDED]


@virtual_time
async def test_a_run_whose_lease_was_taken_over_leaves_the_other_owners_result() -> None:
    data = MemoryData()
    slow, other = (
        WorkerHarness(Hang("body", 20.0), data=data, owner="slow"),
        WorkerHarness(REFUSED, data=data, owner="other"),
    )
    ticket = slow.ticket()
    slow.worker.submit(ticket)
    await asyncio.sleep(1)
    far = slow.clock.now() + timedelta(hours=1)
    claim = await other.runs.claim(ticket, "other", far + timedelta(hours=1), far)
    assert not isinstance(claim, AlreadyClaimed)

    await slow.worker.drain(60)

    record = await slow.runs.find(ticket.id)
    assert record is not None
    assert (record.state, record.owner) == (RunState.RUNNING, "other")


@virtual_time
async def test_a_failed_run_is_recorded_with_every_attempt() -> None:
    harness = WorkerHarness(REFUSED, REFUSED, answer(503), jobs=[entry(retry={"attempts": 3, "jitter": "none"})])
    ticket = harness.ticket()

    await harness.worker.execute(ticket)

    record = await harness.runs.find(ticket.id)
    assert record is not None
    assert record.run is not None
    assert [attempt.error for attempt in record.run.attempts] == [
        ErrorClass.CONNECTION_REFUSED,
        ErrorClass.CONNECTION_REFUSED,
        ErrorClass.UNEXPECTED_STATUS,
    ]
