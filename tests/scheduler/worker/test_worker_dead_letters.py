"""Runs that become dead letters, and replays that take their turn."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from itertools import pairwise

import pytest

from jobs.runs import ErrorClass, Outcome, Ticket
from jobs.runs.outcomes import Reason, ReasonCode
from scheduler.gates import Wait
from scheduler.stores.dead_letters import DeadLetter
from scheduler.stores.runs.repository import Claim, RunState
from scheduler.worker.options import COMMAND_OPTIONS, FUNCTIONS_OPTIONS
from scheduler.worker.recorder import NotRecorded
from tests.jobs.running.run_parts import REFUSED, Hang, Step, answer
from tests.jobs.running.virtual_time import virtual_time
from tests.scheduler.fakes import WorkerHarness, entry
from tests.scheduler.stores.memory import MemoryData
from tests.scheduler.stores.samples import run_of

STORED = entry(dead_letter=True, retry={"attempts": 2, "jitter": "none"})


async def letters_of(harness: WorkerHarness) -> Sequence[DeadLetter]:
    return await harness.dead_letters.list_letters()


def replay(harness: WorkerHarness, seconds: float = 0.0) -> Ticket:
    due_at = harness.clock.now() + timedelta(seconds=seconds)
    return Ticket.replayed(harness.ticket(-100), due_at, harness.catalog.get_job("checkout").generation)


@virtual_time
async def test_a_run_that_is_down_after_its_last_attempt_becomes_a_dead_letter_if_its_job_reports_it() -> None:
    harness = WorkerHarness(REFUSED, jobs=[STORED])
    ticket = harness.ticket()
    await harness.worker.execute(ticket)

    (letter,) = await letters_of(harness)

    assert letter.ticket == ticket
    assert letter.error is ErrorClass.CONNECTION_REFUSED
    assert [attempt.error for attempt in letter.tried] == [ErrorClass.CONNECTION_REFUSED] * 2
    assert letter.definition is not None
    assert letter.definition["name"] == "checkout"


@virtual_time
async def test_a_health_check_that_is_down_is_no_dead_letter() -> None:
    harness = WorkerHarness(REFUSED, jobs=[entry(retry={"attempts": 1})])
    await harness.worker.execute(harness.ticket())

    assert await letters_of(harness) == []


@virtual_time
async def test_what_succeeds_in_the_end_or_is_skipped_is_no_dead_letter() -> None:
    harness = WorkerHarness(REFUSED, answer(), jobs=[STORED])
    await harness.worker.execute(harness.ticket())
    await harness.worker.skip_recorder.record_skipped(harness.ticket(10), Reason(ReasonCode.MISSED, "it is left out"))

    assert await letters_of(harness) == []


@virtual_time
async def test_a_cancelled_run_is_no_dead_letter() -> None:
    harness = WorkerHarness(Hang("body", 9.0), jobs=[STORED])
    harness.worker.submit(harness.ticket())
    await asyncio.sleep(1)
    await harness.worker.drain(0)

    assert [event.run.outcome for event in harness.heard.finished] == [Outcome.CANCELLED]
    assert await letters_of(harness) == []


@virtual_time
async def test_a_mistake_of_the_program_is_stored_with_its_traceback() -> None:
    harness = WorkerHarness(RuntimeError("what nobody thought of"), jobs=[STORED])
    await harness.worker.execute(harness.ticket())

    (letter,) = await letters_of(harness)

    assert letter.error is ErrorClass.INTERNAL_ERROR
    assert "RuntimeError: what nobody thought of" in letter.traceback


@virtual_time
async def test_a_process_that_dies_before_the_run_is_recorded_has_stored_the_letter() -> None:
    harness = WorkerHarness(REFUSED, jobs=[STORED], ways=COMMAND_OPTIONS)
    harness.store.breaks_after = 2  # the claim and the letter

    with pytest.raises(NotRecorded):
        await harness.worker.execute(harness.ticket())
    harness.store.breaks_after = None

    assert len(await letters_of(harness)) == 1
    assert [record.state for record in await harness.runs.list_unfinished()] == [RunState.RUNNING]


async def is_takeover(slow: WorkerHarness, ticket: Ticket, other: WorkerHarness) -> Claim:
    """Begin the run in `slow`, and let `other` take it over an hour later, as if `slow` had stood still."""
    slow.worker.submit(ticket)
    await asyncio.sleep(1)
    far = slow.clock.now() + timedelta(hours=1)
    claim = await other.runs.claim(ticket, "other", far + timedelta(hours=1), far)
    assert isinstance(claim, Claim)
    return claim


def two_processes(*steps: Step) -> tuple[WorkerHarness, WorkerHarness]:
    """Over the same store: the first one's run takes 20 s and fails, the other's goes as `steps` say."""
    data = MemoryData()
    slow = WorkerHarness(Hang("body", 20.0), jobs=[STORED], data=data, owner="slow")
    return slow, WorkerHarness(*steps, jobs=[STORED], data=data, owner="other")


@virtual_time
async def test_a_run_that_was_taken_over_and_succeeded_leaves_no_letter() -> None:
    slow, other = two_processes()
    ticket = slow.ticket()
    claim = await is_takeover(slow, ticket, other)
    await other.runs.finish(claim, run_of(ticket, Outcome.SUCCEEDED))

    await slow.worker.drain(60)

    assert slow.heard.finished == []  # the other owner tells how it went
    assert slow.heard.given_up == []
    assert await letters_of(slow) == []


@virtual_time
async def test_a_run_that_was_taken_over_and_failed_retains_the_letter_of_its_new_owner() -> None:
    slow, other = two_processes()
    ticket = slow.ticket()
    claim = await is_takeover(slow, ticket, other)
    failed = run_of(ticket, Outcome.FAILED)
    await other.dead_letters.add(DeadLetter.from_run(failed, ticket, STORED.job))
    await other.runs.finish(claim, failed)

    await slow.worker.drain(60)

    assert [letter.ticket for letter in await letters_of(slow)] == [ticket]


@virtual_time
async def test_a_new_owner_that_has_stored_the_letter_but_not_finished_the_run_does_not_lose_it() -> None:
    slow, other = two_processes()
    ticket = slow.ticket()
    claim = await is_takeover(slow, ticket, other)
    failed = run_of(ticket, Outcome.FAILED)
    await other.dead_letters.add(DeadLetter.from_run(failed, ticket, STORED.job))

    await slow.worker.drain(60)
    await other.runs.finish(claim, failed)

    assert [letter.ticket for letter in await letters_of(slow)] == [ticket]


@virtual_time
async def test_a_run_that_succeeds_after_its_owner_died_discards_the_letter_of_that_owner() -> None:
    slow, other = two_processes()
    ticket = slow.ticket()
    await slow.runs.claim(ticket, "slow", slow.clock.now() - timedelta(seconds=1), slow.clock.now())
    await slow.dead_letters.add(DeadLetter.from_run(run_of(ticket, Outcome.FAILED), ticket, STORED.job))

    await other.worker.execute(ticket)

    assert [event.run.outcome for event in other.heard.finished] == [Outcome.SUCCEEDED]
    assert await letters_of(other) == []


@virtual_time
async def test_a_ticket_that_is_due_later_is_performed_at_its_instant() -> None:
    harness = WorkerHarness()
    harness.worker.submit(replay(harness, 7))

    await harness.worker.wait_until_idle()

    (event,) = harness.heard.finished
    assert event.run.lateness_ms == pytest.approx(0, abs=1)
    assert harness.clock.monotonic() == pytest.approx(7.0)


@virtual_time
async def test_what_is_due_later_does_not_hold_up_the_end_and_stays_queued() -> None:
    harness = WorkerHarness()
    ticket = replay(harness, 500)
    await harness.runs.enqueue(ticket)
    harness.worker.submit(ticket)
    await asyncio.sleep(1)

    await harness.worker.drain(60)

    assert harness.clock.monotonic() == pytest.approx(1.0)
    assert [record.state for record in await harness.runs.list_unfinished()] == [RunState.QUEUED]
    assert harness.heard.finished == []


@virtual_time
async def test_replays_of_a_job_run_one_after_the_other_and_none_is_skipped() -> None:
    harness = WorkerHarness(Hang("body", 2.0))
    harness.worker.submit(harness.ticket())
    await asyncio.sleep(0.5)
    for _ in range(3):
        harness.worker.submit(replay(harness))

    await harness.worker.wait_until_idle()

    starts = [event.run.started_at for event in harness.heard.finished]
    assert [event.run.outcome for event in harness.heard.finished] == [Outcome.SUCCEEDED] * 4
    assert all(later - earlier >= timedelta(seconds=2) for earlier, later in pairwise(starts))


@virtual_time
async def test_replays_run_next_to_other_runs_where_the_job_allows_it() -> None:
    harness = WorkerHarness(Hang("body", 2.0), jobs=[entry(overlap="allow")])
    for _ in range(3):
        harness.worker.submit(replay(harness))

    await asyncio.sleep(1)

    assert len(harness.check.calls) == 1  # they take their turn among themselves
    harness.worker.submit(harness.ticket())
    await asyncio.sleep(0.5)
    assert len(harness.check.calls) == 2
    await harness.worker.wait_until_idle()


@virtual_time
async def test_a_replay_that_another_run_blocks_for_long_is_to_be_tried_again() -> None:
    harness = WorkerHarness(Hang("body", 9.0), ways=replace(FUNCTIONS_OPTIONS, max_wait=3.0))
    in_flight = harness.ticket()
    harness.worker.submit(in_flight)
    await asyncio.sleep(1)

    busy = await harness.worker.execute(replay(harness))

    assert isinstance(busy, Wait)
    assert busy.retry_at - harness.clock.now() == timedelta(seconds=5)
    assert str(busy) == f"run {in_flight.id} of its job is running"
    await harness.worker.wait_until_idle()
