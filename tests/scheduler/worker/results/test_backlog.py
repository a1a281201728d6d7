"""Results of an embedded host whose store is away, on virtual time."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import replace

import pytest

from jobs.runs import Outcome, Run
from scheduler.app.health_probes import results_probe
from scheduler.health import HealthStatus, PartHealth
from scheduler.stores.port import StoreDamaged, StoreError, StoreUnavailable
from scheduler.stores.runs.repository import RunResult, RunState
from scheduler.worker.options import EMBEDDED_OPTIONS, FUNCTIONS_OPTIONS
from scheduler.worker.recorder import RECORD_BACKOFF, NotRecorded
from scheduler.worker.store_outages import BACKLOG_GROUP_SIZE, BACKLOG_RETRY_INTERVAL, RESULT_OVERHEAD_BYTES
from tests.jobs.running.run_parts import Hang
from tests.jobs.running.virtual_time import virtual_time
from tests.scheduler.fakes import WorkerHarness, entry

GIVEN_UP = sum(RECORD_BACKOFF) + 1
"""Seconds after which a result waits."""


async def results_wait(harness: WorkerHarness, count: int = 1) -> list[str]:
    """Let so many runs come to their end while the store is away. Returns their ids."""
    names = list(harness.catalog.names())[:count]
    tickets = [harness.ticket(1, name) for name in names]
    harness.worker.submit_batch(tickets)
    await asyncio.sleep(1.5)
    harness.store.breaks_after = 0
    await asyncio.sleep(GIVEN_UP + 1)
    return [ticket.id for ticket in tickets]


def shop_of(count: int = 1, **more: object) -> WorkerHarness:
    """Jobs whose runs take a second."""
    names = [f"j{number:03}" for number in range(count)]
    return WorkerHarness(Hang("body", 1.0), jobs=[entry(name, **more) for name in names], places=count + 9)


async def run_of(harness: WorkerHarness, run_id: str) -> Run | None:
    record = await harness.runs.find(run_id)
    return None if record is None else record.run


async def part_of(harness: WorkerHarness) -> PartHealth:
    (part,) = await results_probe(harness.worker, harness.clock)()
    return part


@virtual_time
async def test_a_result_waits_until_the_store_is_back_however_long() -> None:
    harness = shop_of(effect="once", dead_letter=True)
    (run_id,) = await results_wait(harness)

    await asyncio.sleep(3600)
    harness.store.breaks_after = None
    await asyncio.sleep(2 * BACKLOG_RETRY_INTERVAL)

    run = await run_of(harness, run_id)
    assert run is not None
    assert run.outcome is Outcome.SUCCEEDED
    assert await harness.dead_letters.list_letters() == []


@virtual_time
async def test_a_function_waits_for_the_store_so_that_a_run_with_one_effect_is_not_recorded_as_interrupted() -> None:
    harness = WorkerHarness(
        Hang("body", 1.0), jobs=[entry("j000", effect="once", dead_letter=True)], ways=FUNCTIONS_OPTIONS
    )
    (run_id,) = await results_wait(harness)

    await asyncio.sleep(60)
    harness.store.breaks_after = None
    await asyncio.sleep(2 * BACKLOG_RETRY_INTERVAL)

    run = await run_of(harness, run_id)
    assert run is not None
    assert run.outcome is Outcome.SUCCEEDED


@virtual_time
async def test_a_function_gives_a_result_up_before_the_platform_ends_the_process() -> None:
    harness = WorkerHarness(Hang("body", 1.0), ways=FUNCTIONS_OPTIONS)
    ticket = harness.ticket()
    performing = asyncio.ensure_future(harness.worker.execute(ticket))
    await asyncio.sleep(1)
    harness.store.breaks_after = 0

    with pytest.raises(NotRecorded):
        await performing

    assert harness.clock.monotonic() < 300


@virtual_time
async def test_what_a_run_found_out_is_reported_while_its_result_waits_and_not_again() -> None:
    harness = shop_of()
    await results_wait(harness)
    reported = [event.run.id for event in harness.heard.finished]

    harness.store.breaks_after = None
    await harness.worker.wait_until_idle()

    assert len(reported) == 1
    assert [event.run.id for event in harness.heard.finished] == reported
    assert await harness.runs.list_unacknowledged() == []


@virtual_time
async def test_many_results_are_written_together_in_their_order() -> None:
    harness = shop_of(2 * BACKLOG_GROUP_SIZE)
    await results_wait(harness, 2 * BACKLOG_GROUP_SIZE)
    waited = [event.run.id for event in harness.heard.finished]
    finish_all, groups = harness.runs.finish_all, []

    async def watched(ends: Sequence[RunResult]) -> Sequence[StoreError | None]:
        groups.append([end.run.id for end in ends])
        return await finish_all(ends)

    harness.runs.finish_all = watched  # type: ignore[method-assign]  # watches the real one
    harness.store.breaks_after = None
    await asyncio.sleep(2 * BACKLOG_RETRY_INTERVAL)

    assert [run_id for group in groups for run_id in group] == waited
    assert len(groups) <= 4
    assert await harness.runs.list_unfinished() == []


@virtual_time
async def test_results_that_wait_hold_no_place() -> None:
    harness = WorkerHarness(Hang("body", 1.0), jobs=[entry("first"), entry("second")], places=1)
    finish_all = harness.runs.finish_all

    async def refuse(ends: Sequence[RunResult]) -> Sequence[StoreError | None]:
        answers = iter(await finish_all([end for end in ends if end.run.job != "first"]))
        damaged = StoreDamaged("the page of first is damaged")
        return [damaged if end.run.job == "first" else next(answers) for end in ends]

    harness.runs.finish_all = refuse  # type: ignore[method-assign]  # a part of the store is damaged
    harness.worker.submit_batch([harness.ticket(1, "first")])
    await asyncio.sleep(GIVEN_UP + 3)
    second = harness.ticket(1, "second")
    harness.worker.submit_batch([second])
    await asyncio.sleep(3)

    run = await run_of(harness, second.id)
    assert run is not None
    assert run.outcome is Outcome.SUCCEEDED
    assert (await part_of(harness)).status is HealthStatus.DEGRADED


@virtual_time
async def test_health_reports_how_many_results_wait_since_when() -> None:
    harness = shop_of(3)
    await results_wait(harness, 3)

    part = await part_of(harness)
    harness.store.breaks_after = None
    await asyncio.sleep(2 * BACKLOG_RETRY_INTERVAL)

    assert part.status is HealthStatus.DEGRADED
    assert part.message.startswith("3 results wait (0.0 MiB) since ")
    assert part.message.endswith("Z for the store: the store is away")
    assert (await part_of(harness)).status is HealthStatus.OK


@virtual_time
async def test_what_exceeds_the_bound_is_dropped_and_reported(caplog: pytest.LogCaptureFixture) -> None:
    jobs = [entry(f"j{number:03}") for number in range(3)]
    harness = WorkerHarness(
        Hang("body", 1.0), jobs=jobs, ways=replace(EMBEDDED_OPTIONS, backlog_bytes=2 * RESULT_OVERHEAD_BYTES + 1500)
    )
    ids = await results_wait(harness, 3)

    part = await part_of(harness)
    harness.store.breaks_after = None
    await asyncio.sleep(2 * BACKLOG_RETRY_INTERVAL)

    assert "1 result was dropped until" in part.message
    assert "could not record run" in caplog.text
    assert [await run_of(harness, run_id) is not None for run_id in ids].count(True) == 2
    assert len(harness.heard.finished) == 3


@virtual_time
async def test_the_store_is_not_tried_for_each_new_result_while_it_is_unavailable() -> None:
    harness = shop_of(2)
    first, second = harness.catalog.names()
    harness.worker.submit_batch([harness.ticket(1, first)])
    later = harness.ticket(8, second)
    harness.worker.submit_batch([later])
    await asyncio.sleep(1.5)
    # Claims are possible, results are not.
    harness.runs.finish_all = _refuse  # type: ignore[method-assign]  # a full disk
    await asyncio.sleep(8)

    assert harness.worker.backlog.count == 2
    assert len(harness.heard.finished) == 2


async def _refuse(ends: Sequence[RunResult]) -> Sequence[StoreError | None]:
    return [StoreUnavailable("disk is full")] * len(ends)


@virtual_time
async def test_at_the_end_the_log_reports_what_is_lost(caplog: pytest.LogCaptureFixture) -> None:
    harness = shop_of(2)
    ids = await results_wait(harness, 2)
    began = harness.clock.monotonic()
    caplog.clear()

    with caplog.at_level(logging.ERROR):
        await harness.worker.drain(3.0)

    (line,) = caplog.messages
    assert line.startswith("could not record 2 results before the end: the store is away; they are lost")
    assert line.endswith(", ".join(ids))
    assert harness.clock.monotonic() - began <= 5


@virtual_time
async def test_a_result_whose_run_was_taken_over_meanwhile_is_dropped() -> None:
    harness = shop_of()
    (run_id,) = await results_wait(harness)
    harness.store.breaks_after = None
    record = await harness.runs.find(run_id)
    assert record is not None
    assert record.lease_until is not None
    await harness.runs.claim(record.ticket, "other", record.lease_until.replace(year=2099), record.lease_until)

    await harness.worker.wait_until_idle()

    record = await harness.runs.find(run_id)
    assert record is not None
    assert (record.state, record.owner, harness.worker.backlog.count) == (RunState.RUNNING, "other", 0)
