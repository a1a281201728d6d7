"""Pausing a job and resuming it."""

from __future__ import annotations

import logging
from datetime import timedelta

import pytest

from jobs.runs import Outcome, Ticket
from scheduler.catalog.catalog import UnknownJob
from scheduler.errors import InvalidArgument
from scheduler.features.jobs.service import JobPauser
from scheduler.stores.port import StoreUnavailable
from tests.jobs.running.virtual_time import virtual_time
from tests.scheduler.audit.memory_trail import API_CALLER, COMMAND_CALLER
from tests.scheduler.fakes import START, WorkerHarness

HOUR = timedelta(hours=1)


def pausing_of(harness: WorkerHarness) -> JobPauser:
    return JobPauser(harness.catalog, harness.pauses, harness.clock, harness.audit, harness.states)


async def outcome_of(harness: WorkerHarness, ticket: Ticket) -> tuple[Outcome, str]:
    await harness.worker.execute(ticket)
    record = await harness.runs.find(ticket.id)
    assert record is not None
    assert record.run is not None
    return record.run.outcome, record.run.message


@virtual_time
async def test_a_paused_jobs_scheduled_run_is_skipped_with_the_reason() -> None:
    harness = WorkerHarness()
    await pausing_of(harness).pause("checkout", until=START + HOUR, reason="deployment", caller=API_CALLER)

    assert await outcome_of(harness, harness.ticket()) == (
        Outcome.SKIPPED,
        "the job is paused until 2026-03-01 13:00:00Z: deployment",
    )
    assert harness.check.calls == []


@virtual_time
async def test_a_paused_job_runs_when_a_user_requests() -> None:
    harness = WorkerHarness()
    await pausing_of(harness).pause("checkout", caller=API_CALLER)
    requests_made = Ticket.requested("checkout", harness.clock.now(), harness.catalog.get_job("checkout").generation)

    assert (await outcome_of(harness, requests_made))[0] is Outcome.SUCCEEDED


@virtual_time
async def test_after_its_end_a_pause_keeps_nothing_out() -> None:
    harness = WorkerHarness()
    await pausing_of(harness).pause("checkout", until=START + HOUR, caller=API_CALLER)
    await harness.clock.sleep(3600)

    assert (await outcome_of(harness, harness.ticket()))[0] is Outcome.SUCCEEDED


@virtual_time
async def test_a_job_that_is_resumed_runs_again() -> None:
    harness = WorkerHarness()
    pausing = pausing_of(harness)
    await pausing.pause("checkout", caller=API_CALLER)

    assert await pausing.resume("checkout", caller=API_CALLER)
    assert (await outcome_of(harness, harness.ticket()))[0] is Outcome.SUCCEEDED
    assert not await pausing.resume("checkout", caller=API_CALLER)


@virtual_time
async def test_a_pause_that_is_over_already_is_refused() -> None:
    harness = WorkerHarness()

    with pytest.raises(InvalidArgument, match="is in the past") as refused:
        await pausing_of(harness).pause("checkout", until=START, caller=API_CALLER)

    assert refused.value.field == "until"
    assert await harness.pauses.list_active(START) == {}


@pytest.mark.parametrize("reason", ["\u202etnemyolped", "\x1b[2Jdeployment", "\x07"])
@virtual_time
async def test_a_reason_with_a_control_or_direction_character_is_refused(reason: str) -> None:
    harness = WorkerHarness()

    with pytest.raises(InvalidArgument, match=r"which .*: remove it"):
        await pausing_of(harness).pause("checkout", reason=reason, caller=API_CALLER)
    assert not await harness.pauses.list_active(harness.clock.now())


@virtual_time
async def test_only_a_known_job_is_paused() -> None:
    pausing = pausing_of(WorkerHarness())

    with pytest.raises(UnknownJob):
        await pausing.pause("nobody", caller=API_CALLER)
    with pytest.raises(UnknownJob):
        await pausing.resume("nobody", caller=API_CALLER)


@virtual_time
async def test_a_pause_that_cannot_be_stored_is_reported() -> None:
    harness = WorkerHarness()
    harness.store.breaks_after = 0

    with pytest.raises(StoreUnavailable):
        await pausing_of(harness).pause("checkout", caller=API_CALLER)


@virtual_time
async def test_every_change_is_a_line_of_the_log(caplog: pytest.LogCaptureFixture) -> None:
    pausing = pausing_of(WorkerHarness())

    with caplog.at_level(logging.INFO, "scheduler.audit"):
        await pausing.pause("checkout", reason="deployment", caller=COMMAND_CALLER)
        await pausing.resume("checkout", caller=API_CALLER)
        await pausing.resume("checkout", caller=API_CALLER)

    assert caplog.messages == [
        "job checkout was paused until it is resumed: deployment, requested on the command line",
        "job checkout was resumed, requested over the API",
    ]
