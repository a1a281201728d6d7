"""What keeps a claimed ticket from running."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from jobs.runs import Ticket, Trigger
from scheduler.catalog import Entry
from scheduler.gates import Overlap, OverlapAnywhere, OverlapHere, reason_to_skip
from tests.jobs.running.virtual_time import virtual_time
from tests.scheduler.fakes import START, Shop, entry

FREE = OverlapHere({})


def ticket_of(job: Entry, trigger: Trigger = Trigger.SCHEDULE) -> Ticket:
    return replace(Ticket.scheduled(job.job.name, START, job.generation), trigger=trigger)


async def test_nothing_keeps_a_planned_run_of_an_idle_job() -> None:
    job = entry()

    assert await reason_to_skip(ticket_of(job), job, FREE) is None


async def test_a_ticket_of_another_generation_is_left_out() -> None:
    reason = await reason_to_skip(ticket_of(entry()), entry(schedule="every 20s"), FREE)

    assert reason == "the job was changed after this run was planned; the new definition has its own runs"


async def test_a_replay_is_run_by_whichever_definition_is_in_force() -> None:
    replay = ticket_of(entry(), Trigger.REPLAY)

    assert await reason_to_skip(replay, entry(schedule="every 20s"), FREE) is None


@pytest.mark.parametrize("trigger", Trigger)
async def test_a_disabled_job_runs_for_every_cause_but_its_schedule(trigger: Trigger) -> None:
    job = entry(enabled=False)

    reason = await reason_to_skip(ticket_of(job, trigger), job, FREE)

    assert reason == ("the job is disabled" if trigger is Trigger.SCHEDULE else None)


@pytest.mark.parametrize(("overlap", "kept"), [("skip", True), ("allow", False)])
async def test_a_run_that_goes_on_keeps_the_next_one_out_unless_overlap_is_allowed(overlap: str, kept: bool) -> None:
    job = entry(overlap=overlap)
    going: Overlap = OverlapHere({"checkout": {"checkout@20260301T115950.000Z"}})

    reason = await reason_to_skip(ticket_of(job), job, going)

    assert (reason is not None and "checkout@20260301T115950.000Z" in reason) is kept


async def test_a_run_does_not_overlap_itself() -> None:
    ticket = ticket_of(entry())

    assert await OverlapHere({"checkout": {ticket.id}}).other_run(ticket) is None


@virtual_time
async def test_a_run_of_another_instance_is_seen_in_the_store_until_its_lease_ends() -> None:
    shop = Shop()
    overlap = OverlapAnywhere(shop.runs, shop.clock, {})
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
    overlap = OverlapAnywhere(shop.runs, shop.clock, {})
    await shop.worker.perform(shop.ticket(-20))
    await shop.runs.enqueue(shop.ticket(-10))

    assert await overlap.other_run(shop.ticket()) is None


@virtual_time
async def test_of_runs_that_begin_at_the_same_time_the_oldest_claim_goes_on() -> None:
    shop = Shop()
    overlap = OverlapAnywhere(shop.runs, shop.clock, {})
    tickets = [shop.ticket(-10), shop.ticket(-20), shop.ticket()]
    for ticket in tickets:
        now = shop.clock.now()
        await shop.runs.claim(ticket, "instance", now + timedelta(seconds=30), now)
        await shop.clock.sleep(0.001)

    assert [await overlap.other_run(ticket) for ticket in tickets] == [None, tickets[0].id, tickets[0].id]


@virtual_time
async def test_a_long_run_is_seen_behind_many_that_were_skipped_for_it() -> None:
    shop = Shop()
    overlap = OverlapAnywhere(shop.runs, shop.clock, {})
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

    assert await OverlapAnywhere(shop.runs, shop.clock, {"checkout": {going.id}}).other_run(ours) == going.id
