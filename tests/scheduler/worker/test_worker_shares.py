"""Runs that get no place because of the share of their job or host, through a whole worker."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from jobs.runs import Outcome, Ticket
from scheduler.catalog.catalog import CatalogJob
from scheduler.gates import Wait
from scheduler.worker.options import FUNCTIONS_OPTIONS
from scheduler.worker.place_assignment import MAX_WAITING_RUNS_PER_JOB
from scheduler.worker.places import Shares
from tests.jobs.running.run_parts import Hang
from tests.jobs.running.virtual_time import virtual_time
from tests.scheduler.fakes import START, WorkerHarness, entry
from tests.scheduler.worker.test_worker_gates import run_of

SHARES = Shares(0.1, 0.25)
LONG = {"attempt": "300s", "run": "300s"}


def slow(name: str = "slow", **more: object) -> CatalogJob:
    """A job whose runs take as long as they may."""
    return entry(name, "every 1s", overlap="allow", timeout=LONG, **more)


def other() -> CatalogJob:
    return entry("other", check={"kind": "http", "url": "http://127.0.0.2:9/"})


def tickets(harness: WorkerHarness, job: str, number: int, *, after_ms: int = 0) -> list[Ticket]:
    return [harness.ticket(after_ms / 1000 + each / 1000, job) for each in range(number)]


@virtual_time
async def test_a_slow_job_that_takes_its_share_leaves_the_places_to_others() -> None:
    harness = WorkerHarness(Hang("body", 250.0), jobs=[slow(), other()], places=20, shares=SHARES)
    for ticket in tickets(harness, "slow", 30, after_ms=1000):
        harness.worker.submit(ticket)
    await harness.clock.sleep(5)
    (ticket,) = tickets(harness, "other", 1, after_ms=1000)
    harness.worker.submit(ticket)
    await harness.clock.sleep(3)
    assert harness.worker.place_usage().used == 3
    assert ticket.id in harness.worker.in_progress
    await harness.worker.drain(0)


@virtual_time
async def test_a_run_beyond_those_that_may_wait_for_a_place_is_skipped_with_the_reason() -> None:
    harness = WorkerHarness(Hang("body", 250.0), jobs=[slow()], places=20, shares=SHARES)
    all_of_them = tickets(harness, "slow", 2 + MAX_WAITING_RUNS_PER_JOB + 1, after_ms=1000)
    for ticket in all_of_them:
        harness.worker.submit(ticket)
    await harness.clock.sleep(5)
    run = await run_of(harness, all_of_them[-1])
    assert run.outcome is Outcome.SKIPPED
    assert (
        run.message == "50 runs of its job wait for a place already: its job holds 2 of 20 places, the share of a job"
    )
    assert (harness.worker.place_usage().used, harness.worker.place_usage().waiting) == (2, MAX_WAITING_RUNS_PER_JOB)
    await harness.worker.drain(0)


@virtual_time
async def test_a_job_that_buffers_all_of_its_runs_has_none_of_them_skipped() -> None:
    jobs = [entry("patient", "every 1s", overlap="buffer_all"), *(slow(f"slow-{number}") for number in range(2))]
    harness = WorkerHarness(Hang("body", 2.0), jobs=jobs, places=2, shares=SHARES)
    all_of_them = tickets(harness, "patient", MAX_WAITING_RUNS_PER_JOB + 10, after_ms=1000)
    for ticket in (*tickets(harness, "slow-0", 1), *tickets(harness, "slow-1", 1), *all_of_them):
        harness.worker.submit(ticket)
    await harness.worker.wait_until_idle()
    assert {(await run_of(harness, ticket)).outcome for ticket in all_of_them} == {Outcome.SUCCEEDED}


@virtual_time
async def test_every_run_that_people_request_waits_for_its_place() -> None:
    harness = WorkerHarness(Hang("body", 1.0), jobs=[slow()], places=20, shares=SHARES)
    generation = harness.catalog.get_job("slow").generation
    all_of_them = [Ticket.requested("slow", START + timedelta(milliseconds=ms), generation) for ms in range(70)]
    for ticket in all_of_them:
        harness.worker.submit(ticket)
    await harness.worker.wait_until_idle()
    assert {(await run_of(harness, ticket)).outcome for ticket in all_of_them} == {Outcome.SUCCEEDED}


@virtual_time
async def test_every_run_that_a_job_catches_up_waits_for_its_place() -> None:
    harness = WorkerHarness(Hang("body", 1.0), jobs=[slow(catch_up={"policy": "all"})], places=20, shares=SHARES)
    all_of_them = tickets(harness, "slow", 70, after_ms=-3_600_000)
    for ticket in all_of_them:
        harness.worker.submit(ticket)
    await harness.worker.wait_until_idle()
    assert {(await run_of(harness, ticket)).outcome for ticket in all_of_them} == {Outcome.SUCCEEDED}


@virtual_time
async def test_in_the_functions_host_a_run_without_a_place_is_skipped_before_its_message_takes_too_long() -> None:
    harness = WorkerHarness(Hang("body", 250.0), jobs=[slow()], places=20, shares=SHARES, ways=FUNCTIONS_OPTIONS)
    first, second, third = tickets(harness, "slow", 3)
    in_flight = [asyncio.create_task(harness.worker.execute(ticket)) for ticket in (first, second)]
    await harness.clock.sleep(1)
    assert await harness.worker.execute(third) is None
    run = await run_of(harness, third)
    assert run.outcome is Outcome.SKIPPED
    assert run.message == "no place was free within 30s: its job holds 2 of 20 places, the share of a job"
    assert harness.clock.now() - START < timedelta(seconds=40)
    await asyncio.gather(*in_flight)


@virtual_time
async def test_in_the_functions_host_a_run_is_sent_again_where_all_places_are_accepted() -> None:
    harness = WorkerHarness(
        Hang("body", 250.0), jobs=[slow("a"), slow("b"), other()], places=2, shares=SHARES, ways=FUNCTIONS_OPTIONS
    )
    in_flight = [asyncio.create_task(harness.worker.execute(*tickets(harness, job, 1))) for job in "ab"]
    await harness.clock.sleep(1)
    (ticket,) = tickets(harness, "other", 1)
    end = await harness.worker.execute(ticket)
    assert isinstance(end, Wait)
    assert end.reason.message == "no place was free within 30s: all 2 places are in use"
    await asyncio.gather(*in_flight)


@virtual_time
@pytest.mark.parametrize("waits", [True, False])
async def test_a_run_that_is_cancelled_while_it_waits_for_a_place_takes_none(waits: bool) -> None:
    harness = WorkerHarness(Hang("body", 20.0), jobs=[slow()], places=2, shares=SHARES)
    first, second, third = tickets(harness, "slow", 3, after_ms=1000)
    for ticket in (first, second, third):
        harness.worker.submit(ticket)
    await harness.clock.sleep(2)
    assert harness.worker.cancel(third.id if waits else first.id, "by a test")
    await harness.worker.wait_until_idle()
    assert (await run_of(harness, third)).outcome is (Outcome.CANCELLED if waits else Outcome.SUCCEEDED)
    assert harness.worker.place_usage().used == 0
