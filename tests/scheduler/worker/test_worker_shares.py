"""Runs that get no place because of the share of their job or host, through a whole worker."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from jobs.runs import Outcome, Ticket
from scheduler.catalog.catalog import CatalogJob
from scheduler.gates import Wait
from scheduler.worker.concurrency.place_assignment import MAX_WAITING_RUNS_PER_JOB
from scheduler.worker.concurrency.places import Shares
from scheduler.worker.options import FUNCTIONS_OPTIONS
from tests.jobs.running.run_parts import Hang
from tests.jobs.running.virtual_time import virtual_time
from tests.scheduler.fakes import START, Shop, entry
from tests.scheduler.worker.test_worker_gates import run_of

SHARES = Shares(0.1, 0.25)
LONG = {"attempt": "300s", "run": "300s"}


def slow(name: str = "slow", **more: object) -> CatalogJob:
    """A job whose runs take as long as they may."""
    return entry(name, "every 1s", overlap="allow", timeout=LONG, **more)


def other() -> CatalogJob:
    return entry("other", check={"kind": "http", "url": "http://127.0.0.2:9/"})


def tickets(shop: Shop, job: str, number: int, *, after_ms: int = 0) -> list[Ticket]:
    return [shop.ticket(after_ms / 1000 + each / 1000, job) for each in range(number)]


@virtual_time
async def test_a_slow_job_that_takes_its_share_leaves_the_places_to_others() -> None:
    shop = Shop(Hang("body", 250.0), jobs=[slow(), other()], places=20, shares=SHARES)
    for ticket in tickets(shop, "slow", 30, after_ms=1000):
        shop.worker.submit(ticket)
    await shop.clock.sleep(5)
    (ticket,) = tickets(shop, "other", 1, after_ms=1000)
    shop.worker.submit(ticket)
    await shop.clock.sleep(3)
    assert shop.worker.place_usage().used == 3
    assert ticket.id in shop.worker.in_progress
    await shop.worker.drain(0)


@virtual_time
async def test_a_run_beyond_those_that_may_wait_for_a_place_is_skipped_with_the_reason() -> None:
    shop = Shop(Hang("body", 250.0), jobs=[slow()], places=20, shares=SHARES)
    all_of_them = tickets(shop, "slow", 2 + MAX_WAITING_RUNS_PER_JOB + 1, after_ms=1000)
    for ticket in all_of_them:
        shop.worker.submit(ticket)
    await shop.clock.sleep(5)
    run = await run_of(shop, all_of_them[-1])
    assert run.outcome is Outcome.SKIPPED
    assert (
        run.message == "50 runs of its job wait for a place already: its job holds 2 of 20 places, the share of a job"
    )
    assert (shop.worker.place_usage().used, shop.worker.place_usage().waiting) == (2, MAX_WAITING_RUNS_PER_JOB)
    await shop.worker.drain(0)


@virtual_time
async def test_a_job_that_buffers_all_of_its_runs_has_none_of_them_skipped() -> None:
    jobs = [entry("patient", "every 1s", overlap="buffer_all"), *(slow(f"slow-{number}") for number in range(2))]
    shop = Shop(Hang("body", 2.0), jobs=jobs, places=2, shares=SHARES)
    all_of_them = tickets(shop, "patient", MAX_WAITING_RUNS_PER_JOB + 10, after_ms=1000)
    for ticket in (*tickets(shop, "slow-0", 1), *tickets(shop, "slow-1", 1), *all_of_them):
        shop.worker.submit(ticket)
    await shop.worker.wait_until_idle()
    assert {(await run_of(shop, ticket)).outcome for ticket in all_of_them} == {Outcome.SUCCEEDED}


@virtual_time
async def test_every_run_that_people_ask_for_waits_for_its_place() -> None:
    shop = Shop(Hang("body", 1.0), jobs=[slow()], places=20, shares=SHARES)
    generation = shop.catalog.get_job("slow").generation
    all_of_them = [Ticket.requested("slow", START + timedelta(milliseconds=ms), generation) for ms in range(70)]
    for ticket in all_of_them:
        shop.worker.submit(ticket)
    await shop.worker.wait_until_idle()
    assert {(await run_of(shop, ticket)).outcome for ticket in all_of_them} == {Outcome.SUCCEEDED}


@virtual_time
async def test_every_run_that_a_job_catches_up_waits_for_its_place() -> None:
    shop = Shop(Hang("body", 1.0), jobs=[slow(catch_up={"policy": "all"})], places=20, shares=SHARES)
    all_of_them = tickets(shop, "slow", 70, after_ms=-3_600_000)
    for ticket in all_of_them:
        shop.worker.submit(ticket)
    await shop.worker.wait_until_idle()
    assert {(await run_of(shop, ticket)).outcome for ticket in all_of_them} == {Outcome.SUCCEEDED}


@virtual_time
async def test_in_the_functions_host_a_run_without_a_place_is_skipped_before_its_message_takes_too_long() -> None:
    shop = Shop(Hang("body", 250.0), jobs=[slow()], places=20, shares=SHARES, ways=FUNCTIONS_OPTIONS)
    first, second, third = tickets(shop, "slow", 3)
    going = [asyncio.create_task(shop.worker.execute(ticket)) for ticket in (first, second)]
    await shop.clock.sleep(1)
    assert await shop.worker.execute(third) is None
    run = await run_of(shop, third)
    assert run.outcome is Outcome.SKIPPED
    assert run.message == "no place was free within 30s: its job holds 2 of 20 places, the share of a job"
    assert shop.clock.now() - START < timedelta(seconds=40)
    await asyncio.gather(*going)


@virtual_time
async def test_in_the_functions_host_a_run_is_sent_again_where_all_places_are_taken() -> None:
    shop = Shop(
        Hang("body", 250.0), jobs=[slow("a"), slow("b"), other()], places=2, shares=SHARES, ways=FUNCTIONS_OPTIONS
    )
    going = [asyncio.create_task(shop.worker.execute(*tickets(shop, job, 1))) for job in "ab"]
    await shop.clock.sleep(1)
    (ticket,) = tickets(shop, "other", 1)
    end = await shop.worker.execute(ticket)
    assert isinstance(end, Wait)
    assert end.reason.message == "no place was free within 30s: all 2 places are in use"
    await asyncio.gather(*going)


@virtual_time
@pytest.mark.parametrize("waits", [True, False])
async def test_a_run_that_is_cancelled_while_it_waits_for_a_place_takes_none(waits: bool) -> None:
    shop = Shop(Hang("body", 20.0), jobs=[slow()], places=2, shares=SHARES)
    first, second, third = tickets(shop, "slow", 3, after_ms=1000)
    for ticket in (first, second, third):
        shop.worker.submit(ticket)
    await shop.clock.sleep(2)
    assert shop.worker.cancel(third.id if waits else first.id, "by a test")
    await shop.worker.wait_until_idle()
    assert (await run_of(shop, third)).outcome is (Outcome.CANCELLED if waits else Outcome.SUCCEEDED)
    assert shop.worker.place_usage().used == 0
