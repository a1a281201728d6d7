"""Dependencies at work: a worker performs what follows from its runs, in the process that has performed them."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

from jobs.runs import Outcome, Run, Trigger
from scheduler.catalog.catalog import CatalogJob
from scheduler.stores.port import StoreUnavailable
from scheduler.stores.runs.repository import RunState
from tests.jobs.running.run_parts import answer
from tests.jobs.running.virtual_time import virtual_time
from tests.scheduler.audit.memory_trail import API_CALLER
from tests.scheduler.dependencies.chain_parts import waits_for
from tests.scheduler.fakes import WorkerHarness, entry
from tests.scheduler.stores.memory import MemoryData

ROOT = entry("root", "every 1m", retry={"attempts": 1})


async def runs_of(harness: WorkerHarness, job: str) -> list[Run]:
    """Newest first; all of them are over."""
    records = (await harness.runs.list_page(job=job)).records
    return [record.run for record in records if record.run is not None]


async def outcomes(harness: WorkerHarness, *jobs: str) -> list[list[Outcome]]:
    return [[run.outcome for run in await runs_of(harness, job)] for job in jobs]


@virtual_time
async def test_a_chain_runs_to_its_end() -> None:
    left, right = waits_for("left", "root"), waits_for("right", "root")
    harness = WorkerHarness(jobs=[ROOT, left, right, waits_for("join", "left", "right"), waits_for("last", "join")])

    harness.worker.submit(harness.ticket(job="root"))
    await harness.worker.wait_until_idle()

    assert await outcomes(harness, "left", "right", "join", "last") == [[Outcome.SUCCEEDED]] * 4
    (last,) = await runs_of(harness, "last")
    assert last.trigger is Trigger.DEPENDENCY
    assert last.correlation_id == "root@20260301T120000.000Z"
    assert await harness.runs.list_unacknowledged() == []


@virtual_time
async def test_a_failure_skips_what_follows() -> None:
    harness = WorkerHarness(answer(500), jobs=[ROOT, waits_for("load", "root"), waits_for("report", "load")])

    harness.worker.submit(harness.ticket(job="root"))
    await harness.worker.wait_until_idle()

    assert await outcomes(harness, "root", "load", "report") == [[Outcome.FAILED], [Outcome.SKIPPED], [Outcome.SKIPPED]]
    assert [event.run.job for event in harness.heard.finished] == ["root", "load", "report"]


@virtual_time
async def test_a_run_that_is_cancelled_while_it_is_queued_skips_what_follows() -> None:
    harness = WorkerHarness(jobs=[ROOT, waits_for("load", "root")])
    record = await harness.runs.enqueue(harness.ticket(60, "root"))

    await harness.operations(_Nowhere()).cancellations.cancel(record.ticket.id, caller=API_CALLER, wait=0)

    (run,) = await runs_of(harness, "load")
    assert run.message.endswith("was cancelled (condition: succeeded)")


@virtual_time
async def test_a_scheduled_run_waits_for_what_it_depends_on() -> None:
    jobs = [ROOT, entry("shop", "every 1m", depends_on=[{"job": "root", "within": "30s", "wait": "20s"}])]
    harness = WorkerHarness(jobs=jobs)

    harness.worker.submit_batch([harness.ticket(job="shop"), harness.ticket(7, job="root")])
    await harness.worker.wait_until_idle()

    (run,) = await runs_of(harness, "shop")
    assert run.outcome is Outcome.SUCCEEDED
    assert timedelta(seconds=7) <= run.started_at - run.due_at <= timedelta(seconds=9)


@virtual_time
async def test_a_scheduled_run_is_skipped_when_it_has_waited_long_enough() -> None:
    harness = WorkerHarness(jobs=[ROOT, entry("shop", "every 1m", depends_on=[{"job": "root", "wait": "20s"}])])

    harness.worker.submit(harness.ticket(job="shop"))
    await harness.worker.wait_until_idle()

    (run,) = await runs_of(harness, "shop")
    assert run.message == "dependency root has not run yet; it waited 20s for that"
    assert run.finished_at - run.due_at == timedelta(seconds=20)


@virtual_time
async def test_what_follows_exists_after_a_crash_between_the_record_and_what_follows() -> None:
    data = MemoryData()
    before = WorkerHarness(jobs=[ROOT, waits_for("load", "root")], data=data, follow_up=_Dies())
    before.worker.submit(before.ticket(job="root"))
    await before.worker.wait_until_idle()
    assert await outcomes(before, "root", "load") == [[Outcome.SUCCEEDED], []]

    after = WorkerHarness(jobs=[ROOT, waits_for("load", "root")], data=data)
    for run in await after.runs.list_unacknowledged():
        await after.worker.publisher.publish(run)
    await after.worker.wait_until_idle()

    assert await outcomes(after, "load") == [[Outcome.SUCCEEDED]]
    assert await after.runs.list_unacknowledged() == []


@virtual_time
async def test_a_job_that_is_disabled_after_its_run_was_queued_does_not_run() -> None:
    data = MemoryData()
    load: CatalogJob = waits_for("load", "root", enabled=False)
    harness = WorkerHarness(jobs=[ROOT, load], data=data)

    harness.worker.submit(harness.ticket(job="root"))
    await harness.worker.wait_until_idle()

    (run,) = await runs_of(harness, "load")
    assert (run.outcome, run.message) == (Outcome.SKIPPED, "the job is disabled")


@virtual_time
async def test_what_follows_while_the_program_stops_is_left_to_the_next_start() -> None:
    harness = WorkerHarness(_slow, jobs=[ROOT, waits_for("load", "root")])
    harness.worker.submit(harness.ticket(job="root"))
    await harness.clock.sleep(1)

    await harness.worker.drain(30)

    (record,) = (await harness.runs.list_page(job="load")).records
    assert record.state is RunState.QUEUED


async def _slow() -> None:
    await asyncio.sleep(5)


class _Dies:
    """Implements following.FollowUp: the process ends before anything follows."""

    def has_dependents(self, job: str) -> bool:
        return job == "root"

    async def start_dependents(self, run: Run) -> None:
        raise StoreUnavailable("the process is gone")


class _Nowhere:
    async def send(self, tickets: Any, *, not_before: Any = None) -> None:
        """Nobody is told."""

    async def aclose(self) -> None:
        """Nothing to close."""
