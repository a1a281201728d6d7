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
from tests.scheduler.fakes import Shop, entry
from tests.scheduler.stores.memory import MemoryData

ROOT = entry("root", "every 1m", retry={"attempts": 1})


async def runs_of(shop: Shop, job: str) -> list[Run]:
    """Newest first; all of them are over."""
    records = (await shop.runs.list_page(job=job)).records
    return [record.run for record in records if record.run is not None]


async def outcomes(shop: Shop, *jobs: str) -> list[list[Outcome]]:
    return [[run.outcome for run in await runs_of(shop, job)] for job in jobs]


@virtual_time
async def test_a_chain_runs_to_its_end() -> None:
    left, right = waits_for("left", "root"), waits_for("right", "root")
    shop = Shop(jobs=[ROOT, left, right, waits_for("join", "left", "right"), waits_for("last", "join")])

    shop.worker.submit(shop.ticket(job="root"))
    await shop.worker.wait_until_idle()

    assert await outcomes(shop, "left", "right", "join", "last") == [[Outcome.SUCCEEDED]] * 4
    (last,) = await runs_of(shop, "last")
    assert last.trigger is Trigger.DEPENDENCY
    assert last.correlation_id == "root@20260301T120000.000Z"
    assert await shop.runs.list_unacknowledged() == []


@virtual_time
async def test_a_failure_leaves_out_what_follows() -> None:
    shop = Shop(answer(500), jobs=[ROOT, waits_for("load", "root"), waits_for("report", "load")])

    shop.worker.submit(shop.ticket(job="root"))
    await shop.worker.wait_until_idle()

    assert await outcomes(shop, "root", "load", "report") == [[Outcome.FAILED], [Outcome.SKIPPED], [Outcome.SKIPPED]]
    assert [event.run.job for event in shop.heard.finished] == ["root", "load", "report"]


@virtual_time
async def test_a_run_that_is_cancelled_while_it_is_queued_leaves_out_what_follows() -> None:
    shop = Shop(jobs=[ROOT, waits_for("load", "root")])
    record = await shop.runs.enqueue(shop.ticket(60, "root"))

    await shop.operations(_Nowhere()).cancellations.cancel(record.ticket.id, caller=API_CALLER, wait=0)

    (run,) = await runs_of(shop, "load")
    assert run.message.endswith("was cancelled (condition: succeeded)")


@virtual_time
async def test_a_scheduled_run_waits_for_what_it_depends_on() -> None:
    jobs = [ROOT, entry("shop", "every 1m", depends_on=[{"job": "root", "within": "30s", "wait": "20s"}])]
    shop = Shop(jobs=jobs)

    shop.worker.submit_batch([shop.ticket(job="shop"), shop.ticket(7, job="root")])
    await shop.worker.wait_until_idle()

    (run,) = await runs_of(shop, "shop")
    assert run.outcome is Outcome.SUCCEEDED
    assert timedelta(seconds=7) <= run.started_at - run.due_at <= timedelta(seconds=9)


@virtual_time
async def test_a_scheduled_run_is_left_out_when_it_has_waited_long_enough() -> None:
    shop = Shop(jobs=[ROOT, entry("shop", "every 1m", depends_on=[{"job": "root", "wait": "20s"}])])

    shop.worker.submit(shop.ticket(job="shop"))
    await shop.worker.wait_until_idle()

    (run,) = await runs_of(shop, "shop")
    assert run.message == "dependency root has not run yet; it waited 20s for that"
    assert run.finished_at - run.due_at == timedelta(seconds=20)


@virtual_time
async def test_what_follows_is_there_after_a_crash_between_the_record_and_what_follows() -> None:
    data = MemoryData()
    before = Shop(jobs=[ROOT, waits_for("load", "root")], data=data, follow_up=_Dies())
    before.worker.submit(before.ticket(job="root"))
    await before.worker.wait_until_idle()
    assert await outcomes(before, "root", "load") == [[Outcome.SUCCEEDED], []]

    after = Shop(jobs=[ROOT, waits_for("load", "root")], data=data)
    for run in await after.runs.list_unacknowledged():
        await after.worker.publisher.publish(run)
    await after.worker.wait_until_idle()

    assert await outcomes(after, "load") == [[Outcome.SUCCEEDED]]
    assert await after.runs.list_unacknowledged() == []


@virtual_time
async def test_a_job_that_is_disabled_after_its_run_was_queued_does_not_run() -> None:
    data = MemoryData()
    load: CatalogJob = waits_for("load", "root", enabled=False)
    shop = Shop(jobs=[ROOT, load], data=data)

    shop.worker.submit(shop.ticket(job="root"))
    await shop.worker.wait_until_idle()

    (run,) = await runs_of(shop, "load")
    assert (run.outcome, run.message) == (Outcome.SKIPPED, "the job is disabled")


@virtual_time
async def test_what_follows_while_the_program_stops_is_left_to_the_next_start() -> None:
    shop = Shop(_slow, jobs=[ROOT, waits_for("load", "root")])
    shop.worker.submit(shop.ticket(job="root"))
    await shop.clock.sleep(1)

    await shop.worker.drain(30)

    (record,) = (await shop.runs.list_page(job="load")).records
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
