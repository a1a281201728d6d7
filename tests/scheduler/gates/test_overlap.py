"""Runs of a job that fall due while another one goes on."""

from __future__ import annotations

from datetime import timedelta

import pytest

from jobs.runs import Ticket
from scheduler.catalog import Entry
from scheduler.gates import OverlapAnywhere, OverlapHere, Skip, gates_in_order
from scheduler.stores.pauses import Pauses
from scheduler.stores.runs import Runs
from tests.jobs.running.virtual_time import virtual_time
from tests.scheduler.fakes import START, Shop, VirtualClock, entry
from tests.scheduler.stores.memory import MemoryStore


def ticket_of(job: Entry) -> Ticket:
    return Ticket.scheduled(job.job.name, START, job.generation)


@pytest.mark.parametrize(("overlap", "kept"), [("skip", True), ("allow", False)])
async def test_a_run_that_goes_on_keeps_the_next_one_out_unless_overlap_is_allowed(overlap: str, kept: bool) -> None:
    job = entry(overlap=overlap)
    clock = VirtualClock()
    here = OverlapHere({"checkout": {"checkout@20260301T115950.000Z"}})
    gates = gates_in_order(
        clock=clock, pauses=Pauses(MemoryStore(), clock.monotonic), overlap=here, runs=Runs(MemoryStore())
    )

    verdict = await gates.ask(ticket_of(job), job)

    assert (isinstance(verdict, Skip) and "checkout@20260301T115950.000Z" in verdict.reason) is kept


async def test_a_run_does_not_overlap_itself() -> None:
    ticket = ticket_of(entry())

    assert await OverlapHere({"checkout": {ticket.id}}).other_run(ticket) is None


@virtual_time
async def test_a_run_of_another_instance_is_seen_in_the_store_until_its_lease_ends() -> None:
    shop = Shop()
    overlap = OverlapAnywhere(shop.runs, shop.clock, OverlapHere({}))
    other, ours = shop.ticket(-10), shop.ticket()
    now = shop.clock.now()
    await shop.runs.claim(other, "other", now + timedelta(seconds=30), now)
    await shop.runs.claim(ours, "us", now + timedelta(seconds=30), now)

    assert await overlap.other_run(ours) == other.id
    await shop.clock.sleep(31)
    assert await overlap.other_run(ours) is None


@virtual_time
async def test_queued_and_finished_runs_do_not_overlap() -> None:
    shop = Shop()
    overlap = OverlapAnywhere(shop.runs, shop.clock, OverlapHere({}))
    await shop.worker.perform(shop.ticket(-20))
    await shop.runs.enqueue(shop.ticket(-10))

    assert await overlap.other_run(shop.ticket()) is None


@virtual_time
async def test_of_runs_that_begin_at_the_same_time_the_oldest_claim_goes_on() -> None:
    shop = Shop()
    overlap = OverlapAnywhere(shop.runs, shop.clock, OverlapHere({}))
    tickets = [shop.ticket(-10), shop.ticket(-20), shop.ticket()]
    for ticket in tickets:
        now = shop.clock.now()
        await shop.runs.claim(ticket, "instance", now + timedelta(seconds=30), now)
        await shop.clock.sleep(0.001)

    assert [await overlap.other_run(ticket) for ticket in tickets] == [None, tickets[0].id, tickets[0].id]


@virtual_time
async def test_a_long_run_is_seen_behind_many_that_were_skipped_for_it() -> None:
    shop = Shop()
    overlap = OverlapAnywhere(shop.runs, shop.clock, OverlapHere({}))
    long = shop.ticket(-400)
    now = shop.clock.now()
    await shop.runs.claim(long, "other", now + timedelta(seconds=30), now)
    for seconds in range(-390, 0, 10):
        await shop.worker.perform(shop.ticket(seconds))

    assert await overlap.other_run(shop.ticket()) == long.id


@virtual_time
async def test_a_run_of_this_instance_is_seen_whatever_the_store_says() -> None:
    shop = Shop()
    ours, going = shop.ticket(), shop.ticket(-10)

    here = OverlapHere({"checkout": {going.id}})

    assert await OverlapAnywhere(shop.runs, shop.clock, here).other_run(ours) == going.id
