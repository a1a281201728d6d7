"""What a process finds that another one left behind, on virtual time."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

import pytest

from jobs.runs import ErrorClass, Outcome, Run, Ticket, Trigger
from scheduler.health import HealthStatus
from scheduler.hosts.embedded.recovery import (
    RECOVERY_BATCH_SIZE,
    SWEEP_INTERVAL,
    SWEEP_RETRY_INTERVAL,
    RunRecovery,
)
from scheduler.hosts.embedded.recovery_sweep import ABANDONED_QUEUED_AFTER, has_died
from scheduler.stores.dead_letters import DeadLetter
from scheduler.stores.port import StoreError
from scheduler.stores.runs.keys import RunKey
from scheduler.stores.runs.repository import Claim, RowNames, RunRecord, RunResult, Runs, RunState
from tests.jobs.running.run_parts import Hang
from tests.jobs.running.virtual_time import virtual_time
from tests.scheduler.fakes import WorkerHarness, entry
from tests.scheduler.stores.samples import run_of as finished


def recovery_of(harness: WorkerHarness, *, died: bool | None = True, at_once: int = 50) -> RunRecovery:
    """In a world in which every other process has died, or lives, or cannot be seen."""
    return RunRecovery(
        harness.catalog,
        harness.runs,
        harness.dead_letters,
        harness.worker,
        harness.clock,
        max_concurrent_turns=at_once,
        has_died=lambda owner: died,
    )


async def claimed(harness: WorkerHarness, ticket: Ticket, lease: float = 60.0, owner: str = "other") -> Claim:
    now = harness.clock.now()
    claim = await harness.runs.claim(ticket, owner, now + timedelta(seconds=lease), now)
    assert isinstance(claim, Claim)
    return claim


async def run_of(harness: WorkerHarness, ticket: Ticket) -> Run | None:
    record = await harness.runs.find(ticket.id)
    return None if record is None else record.run


async def swept(harness: WorkerHarness, ticket: Ticket, *, died: bool | None = True) -> Run | None:
    await recovery_of(harness, died=died).sweep()
    await harness.worker.wait_until_idle()
    return await run_of(harness, ticket)


@virtual_time
async def test_a_run_that_was_due_a_moment_ago_is_run_again() -> None:
    harness = WorkerHarness()
    ticket = harness.ticket(-8)
    await claimed(harness, ticket)

    run = await swept(harness, ticket)

    assert run is not None
    assert (run.outcome, len(harness.check.calls)) == (Outcome.SUCCEEDED, 1)
    assert [event.run for event in harness.heard.finished] == [run]


@virtual_time
async def test_a_run_that_was_claimed_ahead_waits_for_its_instant() -> None:
    harness = WorkerHarness()
    ticket = harness.ticket(2)
    await claimed(harness, ticket)

    run = await swept(harness, ticket)

    assert run is not None
    assert (run.outcome, run.started_at) == (Outcome.SUCCEEDED, ticket.due_at)


@virtual_time
async def test_a_run_that_waits_for_its_instant_is_released_at_the_end() -> None:
    harness = WorkerHarness()
    ticket = harness.ticket(2)
    await claimed(harness, ticket)

    await recovery_of(harness).sweep()
    await asyncio.sleep(0)
    await harness.worker.drain(1.0)

    record = await harness.runs.find(ticket.id)
    assert record is not None
    assert (record.state, harness.check.calls) == (RunState.QUEUED, [])


@virtual_time
async def test_a_run_that_was_due_long_ago_is_recorded_as_interrupted() -> None:
    harness = WorkerHarness()
    ticket = harness.ticket(-30)
    await claimed(harness, ticket)

    run = await swept(harness, ticket)

    assert run is not None
    assert (run.outcome, run.error, harness.check.calls) == (Outcome.CANCELLED, ErrorClass.INTERRUPTED, [])
    assert [event.run for event in harness.heard.finished] == [run]


@virtual_time
@pytest.mark.parametrize(("policy", "again"), [("none", [False, False]), ("last", [False, True]), ("all", [True] * 2)])
async def test_the_catch_up_policy_reports_what_of_it_is_run_again_later(policy: str, again: list[bool]) -> None:
    harness = WorkerHarness(jobs=[entry(schedule="every 60s", catch_up={"policy": policy})])
    await asyncio.sleep(30)
    tickets = [harness.ticket(-90), harness.ticket(-30)]
    for ticket in tickets:
        await claimed(harness, ticket)

    runs = [await swept(harness, ticket) for ticket in tickets]

    assert [run is not None and run.outcome is Outcome.SUCCEEDED for run in runs] == again


@virtual_time
async def test_what_must_not_run_twice_has_failed() -> None:
    harness = WorkerHarness(jobs=[entry(effect="once", dead_letter=True)])
    ticket = harness.ticket(-1)
    await claimed(harness, ticket)

    run = await swept(harness, ticket)

    assert run is not None
    assert (run.outcome, run.error, harness.check.calls) == (Outcome.FAILED, ErrorClass.INTERRUPTED, [])
    assert [letter.ticket for letter in await harness.dead_letters.list_letters()] == [ticket]


@virtual_time
async def test_a_run_that_succeeds_after_the_list_was_made_gets_no_dead_letter() -> None:
    """A sweep of thousands of runs takes longer than some of them."""
    harness = WorkerHarness(jobs=[entry(effect="once", dead_letter=True)])
    ticket = harness.ticket(-1)
    claim = await claimed(harness, ticket)
    read_finished = harness.runs.read_finished

    async def late(keys: Sequence[RunKey]) -> Sequence[Run]:
        await harness.runs.finish(claim, finished(ticket))
        return await read_finished(keys)

    harness.runs.read_finished = late  # type: ignore[method-assign]  # its owner is a little quicker
    run = await swept(harness, ticket)

    assert run is not None
    assert (run.outcome, await harness.dead_letters.list_letters()) == (Outcome.SUCCEEDED, [])


@virtual_time
async def test_a_crash_between_a_dead_letter_and_its_end_is_completed_by_the_next_sweep() -> None:
    harness = WorkerHarness(jobs=[entry(effect="once", dead_letter=True)])
    ticket = harness.ticket(-1)
    await claimed(harness, ticket)
    finish_all = harness.runs.finish_all

    async def killed(results: Sequence[RunResult]) -> Sequence[StoreError | None]:
        raise asyncio.CancelledError

    harness.runs.finish_all = killed  # type: ignore[method-assign]  # the process ends here
    with pytest.raises(asyncio.CancelledError):
        await recovery_of(harness).sweep()
    harness.runs.finish_all = finish_all  # type: ignore[method-assign]
    await asyncio.sleep(3600)
    run = await swept(harness, ticket)

    assert run is not None
    assert (run.outcome, run.error) == (Outcome.FAILED, ErrorClass.INTERRUPTED)
    assert [letter.ticket for letter in await harness.dead_letters.list_letters()] == [ticket]


@virtual_time
async def test_a_process_that_lives_is_not_robbed() -> None:
    harness = WorkerHarness()
    ticket = harness.ticket(-1)
    await claimed(harness, ticket)

    assert await swept(harness, ticket, died=False) is None
    record = await harness.runs.find(ticket.id)
    assert record is not None
    assert (record.state, record.owner) == (RunState.RUNNING, "other")


@virtual_time
@pytest.mark.parametrize(("effect", "acquired"), [("repeatable", True), ("once", False)])
async def test_of_a_process_that_cannot_be_observed_only_what_does_no_harm_twice_is_accepted(
    effect: str, acquired: bool
) -> None:
    harness = WorkerHarness(jobs=[entry(effect=effect)])
    ticket = harness.ticket(-1)
    await claimed(harness, ticket)

    assert (await swept(harness, ticket, died=None) is not None) is acquired


@virtual_time
async def test_a_lease_that_has_ended_is_enough_at_a_later_sweep() -> None:
    harness = WorkerHarness(jobs=[entry(effect="once")])
    ticket = harness.ticket(-1)
    await claimed(harness, ticket, lease=20)
    sweeping = asyncio.create_task(recovery_of(harness, died=False).run())

    await asyncio.sleep(SWEEP_INTERVAL + 1)
    sweeping.cancel()

    run = await run_of(harness, ticket)
    assert run is not None
    assert run.outcome is Outcome.FAILED


@virtual_time
async def test_what_this_process_is_at_is_left_alone() -> None:
    harness = WorkerHarness(Hang("body", 5.0))
    harness.worker.submit(harness.ticket())
    await asyncio.sleep(1)

    await recovery_of(harness).sweep()
    await harness.worker.wait_until_idle()

    assert len(harness.check.calls) == 1


@virtual_time
async def test_what_was_queued_is_performed() -> None:
    harness = WorkerHarness()
    requests_made = Ticket.requested(
        "checkout", harness.clock.now() - timedelta(hours=1), harness.catalog.get_job("checkout").generation
    )
    await harness.runs.enqueue(requests_made)

    run = await swept(harness, requests_made)

    assert run is not None
    assert run.outcome is Outcome.SUCCEEDED


@virtual_time
async def test_a_planned_run_that_was_released_long_ago_is_skipped_with_the_reason() -> None:
    harness = WorkerHarness()
    ticket = harness.ticket(-3600)
    await harness.runs.release(await claimed(harness, ticket))

    run = await swept(harness, ticket)

    assert run is not None
    assert (run.outcome, run.message) == (
        Outcome.SKIPPED,
        "it was due while no scheduler was running (catch_up: none)",
    )


@virtual_time
async def test_a_command_that_has_just_queued_a_run_means_to_perform_it() -> None:
    harness = WorkerHarness()
    requests_made = Ticket.requested("checkout", harness.clock.now(), harness.catalog.get_job("checkout").generation)
    sweeping = asyncio.create_task(recovery_of(harness).run())
    await asyncio.sleep(SWEEP_INTERVAL - 1)
    await harness.runs.enqueue(replace(requests_made, due_at=requests_made.due_at))
    await asyncio.sleep(2)
    sweeping.cancel()

    assert harness.check.calls == []


@virtual_time
async def test_a_run_that_was_recorded_and_not_reported_is_reported() -> None:
    harness = WorkerHarness()
    ticket = harness.ticket(-1)
    await harness.worker.execute(ticket)
    (event,) = harness.heard.finished
    harness.heard.finished.clear()  # its process ended before it settled what it had told, if it had

    await recovery_of(harness).sweep()
    await harness.worker.wait_until_idle()

    assert [reported.run for reported in harness.heard.finished] == [event.run]
    assert await harness.runs.list_unacknowledged() == []


def test_a_process_is_known_by_its_number_on_this_host() -> None:
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    mark = f"{socket.gethostname()}:{child.pid}:abcd"
    assert has_died(mark) is False
    child.communicate(b"\n")

    assert has_died(mark) is True
    assert has_died(f"{socket.gethostname()}:{os.getpid()}:of-an-earlier-start") is True
    assert has_died("another-host:1:abcd") is None
    assert has_died("recovery") is None


@pytest.mark.parametrize(("died", "runs"), [(False, 0), (True, 1), (None, 1)])
@virtual_time
async def test_what_a_command_queued_is_left_to_it_while_it_lives(died: bool | None, runs: int) -> None:
    harness = WorkerHarness()
    backfilled = replace(harness.ticket(-3600), trigger=Trigger.REPLAY)
    await Runs(harness.store, names=RowNames("a command")).enqueue(backfilled)

    await recovery_of(harness, died=died).sweep(queued_grace=ABANDONED_QUEUED_AFTER)
    await harness.worker.wait_until_idle()

    assert len(harness.check.calls) == runs


async def left_open(harness: WorkerHarness, count: int, seconds: float, owner: str = "other") -> list[Ticket]:
    """So many runs of one job that another process had in work, due so long after now."""
    tickets = [harness.ticket(seconds + number / 1000) for number in range(count)]
    now = harness.clock.now()
    claims = await harness.runs.claim_all([(ticket, now + timedelta(minutes=1)) for ticket in tickets], owner, now)
    assert all(isinstance(claim, Claim) for claim in claims)
    return tickets


@virtual_time
async def test_a_thousand_interrupted_runs_are_recorded_without_waiting_for_each() -> None:
    harness = WorkerHarness()
    tickets = await left_open(harness, 1000, -3600)
    began = harness.clock.monotonic()

    await recovery_of(harness).sweep()

    assert harness.clock.monotonic() == began
    assert len(harness.heard.finished) == 1000
    assert not [record for record in await harness.runs.list_unfinished() if record.ticket in tickets]


@virtual_time
async def test_recovered_runs_begin_a_few_at_a_time() -> None:
    jobs = [entry(f"j{number}") for number in range(10)]
    harness = WorkerHarness(Hang("body", 1.0), jobs=jobs, places=100)
    for job in jobs:
        await claimed(harness, harness.ticket(-1, job.job.name))
    recovery = recovery_of(harness, at_once=4)

    recovering = asyncio.create_task(recovery.run())
    await asyncio.sleep(0.5)
    started, (part,) = len(harness.check.calls), await recovery.health()
    await asyncio.sleep(3)
    recovering.cancel()

    assert started == 4
    assert (part.status, part.message) == (HealthStatus.DEGRADED, "6 recovered runs wait to run again, 4 at a time")
    assert len(harness.check.calls) == 10


@virtual_time
async def test_health_reports_how_many_open_runs_are_left() -> None:
    harness = WorkerHarness()
    await left_open(harness, 3 * RECOVERY_BATCH_SIZE, -3600)
    recovery = recovery_of(harness)
    end_all, observed = harness.runs.finish_open_all, []

    async def watched(ended: Sequence[tuple[RunRecord, Run]]) -> Sequence[StoreError | bool]:
        observed.extend(await recovery.health())
        return await end_all(ended)

    harness.runs.finish_open_all = watched  # type: ignore[method-assign]  # watches the real one
    recovering = asyncio.create_task(recovery.run())
    await asyncio.sleep(1)
    recovering.cancel()

    assert [part.message for part in observed] == [
        f"{left * RECOVERY_BATCH_SIZE} of {3 * RECOVERY_BATCH_SIZE} runs that were open at the "
        "start are not recovered yet"
        for left in (3, 2, 1)
    ]
    assert [part.status for part in await recovery.health()] == [HealthStatus.OK]


@virtual_time
async def test_jobs_whose_runs_may_still_be_on_time_are_recovered_first() -> None:
    harness = WorkerHarness(jobs=[entry("old"), entry("recent"), entry("older")])
    for job, seconds in (("old", -3600), ("recent", -900), ("recent", -2), ("older", -7200)):
        await claimed(harness, harness.ticket(seconds, job))

    await recovery_of(harness).sweep()
    await harness.worker.wait_until_idle()

    assert [event.run.job for event in harness.heard.finished][:1] == ["recent"]
    assert len(harness.heard.finished) == 4


@virtual_time
async def test_the_runs_of_a_job_are_recovered_oldest_first_and_one_after_the_other() -> None:
    harness = WorkerHarness(Hang("body", 1.0), jobs=[entry(catch_up={"policy": "all"}, overlap="skip")])
    tickets = await left_open(harness, 2 * RECOVERY_BATCH_SIZE + 1, -600)

    await recovery_of(harness).sweep()
    await harness.worker.wait_until_idle()

    assert [event.run.id for event in harness.heard.finished] == [ticket.id for ticket in tickets]
    assert {event.run.outcome for event in harness.heard.finished} == {Outcome.SUCCEEDED}


@virtual_time
async def test_a_ticket_that_the_ticks_have_just_accepted_does_not_hide_the_run_that_died() -> None:
    """They find it claimed, and leave it to its owner."""
    harness = WorkerHarness()
    ticket = harness.ticket(-1)
    await claimed(harness, ticket)
    harness.worker.submit_batch([ticket])

    run = await swept(harness, ticket)

    assert run is not None
    assert (run.outcome, len(harness.check.calls)) == (Outcome.SUCCEEDED, 1)


@virtual_time
async def test_a_run_that_changes_while_it_is_recovered_is_left_alone() -> None:
    harness = WorkerHarness()
    ticket = harness.ticket(-3600)
    claim = await claimed(harness, ticket)
    take_over_all, end_all = harness.runs.take_over_all, harness.runs.finish_open_all

    async def late(ended: Sequence[tuple[RunRecord, Run]]) -> Sequence[StoreError | bool]:
        await harness.runs.renew_all([claim], claim.lease_until + timedelta(hours=1))
        return await end_all(ended)

    harness.runs.finish_open_all = late  # type: ignore[method-assign]  # somebody else is a little quicker
    await recovery_of(harness).sweep()

    record = await harness.runs.find(ticket.id)
    assert record is not None
    assert (record.state, record.owner, harness.heard.finished) == (RunState.RUNNING, "other", [])
    assert await take_over_all([(record, claim.lease_until)], "me") == [None]


@virtual_time
async def test_what_ends_while_recovery_continues_is_not_reported_twice() -> None:
    harness = WorkerHarness()
    recovery = recovery_of(harness)
    await asyncio.sleep(1)
    harness.worker.submit(harness.ticket())
    await asyncio.sleep(0.1)  # told, and not settled yet

    await recovery.sweep()
    await harness.worker.wait_until_idle()

    assert len(harness.heard.finished) == 1


@virtual_time
async def test_one_damaged_row_keeps_no_other_run_from_being_recovered() -> None:
    harness = WorkerHarness(jobs=[entry("good"), entry("bad")])
    good, bad = harness.ticket(-3600, "good"), harness.ticket(-3600, "bad")
    for ticket in (good, bad):
        await claimed(harness, ticket)
    for place, row in list(harness.store.data.rows.items()):
        if "bad" in row.key:
            harness.store.data.rows[place] = replace(row, body="\x00\x00")

    assert await swept(harness, good) is not None


@virtual_time
async def test_the_first_sweep_is_tried_again_soon_if_the_store_was_unavailable() -> None:
    harness = WorkerHarness()
    ticket = harness.ticket(-1)
    await claimed(harness, ticket)
    recovery = recovery_of(harness)
    harness.store.breaks_after = 0
    recovering = asyncio.create_task(recovery.run())
    await asyncio.sleep(1)
    (part,) = await recovery.health()
    harness.store.breaks_after = None
    await asyncio.sleep(SWEEP_RETRY_INTERVAL)
    recovering.cancel()

    assert part.status is HealthStatus.DEGRADED
    assert "recovery stopped and is retried" in part.message
    assert (await run_of(harness, ticket)) is not None


@virtual_time
async def test_a_program_that_ends_leaves_what_waits_to_the_next_one() -> None:
    jobs = [entry(f"j{number}") for number in range(3)]
    harness = WorkerHarness(Hang("body", 60.0), jobs=jobs)
    tickets = [harness.ticket(-1, job.job.name) for job in jobs]
    for ticket in tickets:
        await claimed(harness, ticket)
    recovery = recovery_of(harness, at_once=1)
    await recovery.sweep()
    await asyncio.sleep(1)

    await harness.worker.drain(1.0)

    assert len(harness.check.calls) == 1
    again = WorkerHarness(data=harness.store.data, jobs=jobs, owner="next")
    await recovery_of(again).sweep()
    await again.worker.wait_until_idle()
    assert len(again.check.calls) == 2


@virtual_time
async def test_a_dead_letter_whose_run_could_not_be_recorded_as_failed_is_discarded_with_its_end() -> None:
    """A killed process had written the letter of a repeatable run, but not its end, which is unknown now."""
    harness = WorkerHarness(jobs=[entry(dead_letter=True)])
    ticket = harness.ticket(-3600)
    await claimed(harness, ticket)
    await harness.dead_letters.add(DeadLetter.from_run(finished(ticket), ticket, entry(dead_letter=True).job))

    run = await swept(harness, ticket)

    assert run is not None
    assert (run.outcome, await harness.dead_letters.list_letters()) == (Outcome.CANCELLED, [])
