"""Why a run was late, from ticket to history, through a whole worker on virtual time: each reason by itself."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.runs import Run, StartWait, Ticket, Trigger, WaitReason
from jobs.runs.waits import MAX_WAITS, MIN_WAIT_MS
from scheduler.hosts.embedded.recovery import RunRecovery
from scheduler.hosts.embedded.ticker import Ticker
from scheduler.stores.port import StoreError
from scheduler.stores.runs.repository import AlreadyClaimed, Claim
from scheduler.worker.options import FUNCTIONS_OPTIONS
from scheduler.worker.places import Shares
from scheduler.worker.waits import Arrival, WaitTimeline
from tests.jobs.running.run_parts import Hang, answer
from tests.jobs.running.virtual_time import VirtualTimeLoop, virtual_time
from tests.scheduler.fakes import START, VirtualClock, WorkerHarness, entry
from tests.scheduler.stores.memory import MemoryData
from tests.scheduler.stores.samples import run_of as finished

SECOND = timedelta(seconds=1)


async def stored_run(harness: WorkerHarness, ticket: Ticket) -> Run:
    record = await harness.runs.find(ticket.id)
    assert record is not None
    assert record.run is not None
    return record.run


def reasons(run: Run) -> list[tuple[str, float]]:
    """Reasons with seconds."""
    return [(wait.reason.value, round(wait.milliseconds / 1000, 2)) for wait in run.waits]


def stand_still(seconds: float) -> None:
    """The process has no CPU time for so long."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, VirtualTimeLoop)
    loop.skip(seconds)


def slow_claims(harness: WorkerHarness, seconds: float) -> None:
    """The store answers each claim so late."""
    claim_all = harness.runs.claim_all

    async def delayed(
        requests: Sequence[tuple[Ticket, datetime]], owner: str, now: datetime
    ) -> Sequence[Claim | AlreadyClaimed | StoreError]:
        await asyncio.sleep(seconds)
        return await claim_all(requests, owner, now)

    harness.runs.claim_all = delayed  # type: ignore[method-assign]  # stands in for a slow store


async def tick_until(harness: WorkerHarness, seconds: float, after: datetime | None = None) -> Ticker:
    """The embedded host's ticker runs for so long."""
    harness.worker.mark_ready()
    ticker = Ticker(harness.catalog, harness.worker, harness.clock, after=after)
    task = asyncio.ensure_future(ticker.run())
    await asyncio.sleep(seconds)
    task.cancel()
    await harness.worker.wait_until_idle()
    return ticker


@virtual_time
async def test_an_ordinary_run_stores_no_waits() -> None:
    harness = WorkerHarness(jobs=[entry(schedule="every 2s")])

    await tick_until(harness, 10.5)

    runs = [event.run for event in harness.heard.finished]
    assert len(runs) > 3
    assert {run.waits for run in runs} == {()}
    assert not any('"waits"' in row.body for row in harness.store.data.rows.values())


@virtual_time
async def test_a_run_that_waited_for_a_place_names_the_limit() -> None:
    harness = WorkerHarness(Hang("body", 4.0), jobs=[entry("slow"), entry("late")], places=1)
    harness.worker.submit_batch([harness.ticket(1, "slow"), late := harness.ticket(2, "late")])
    await harness.worker.wait_until_idle()

    run = await stored_run(harness, late)
    assert run.lateness_ms == pytest.approx(3000, abs=1)
    assert run.waits == (StartWait(WaitReason.PLACE, pytest.approx(3000, abs=1), "all places were in use"),)


@virtual_time
async def test_a_run_that_waited_for_the_share_of_its_job_names_the_share() -> None:
    jobs = [entry("slow", overlap="allow"), entry("other")]
    harness = WorkerHarness(Hang("body", 9.0), jobs=jobs, places=8, shares=Shares(job=0.25))
    tickets = [harness.ticket(seconds, "slow") for seconds in (1, 2, 3)]
    harness.worker.submit_batch(tickets)
    await harness.worker.wait_until_idle()

    run = await stored_run(harness, tickets[2])
    assert reasons(run) == [("place", 7.0)]
    assert run.waits[0].detail == "its job holds 2 of 8 places, the share of a job"


@virtual_time
async def test_a_run_that_waited_for_a_slot_names_its_group() -> None:
    group: dict[str, Any] = {"concurrency_group": {"name": "payments", "limit": 1, "wait": "20s"}}
    harness = WorkerHarness(Hang("body", 4.0), jobs=[entry("slow", **group), entry("late", **group)])
    harness.worker.submit_batch([harness.ticket(1, "slow"), late := harness.ticket(2, "late")])
    await harness.worker.wait_until_idle()

    run = await stored_run(harness, late)
    assert reasons(run) == [("place", 3.0)]
    assert run.waits[0].detail == "limit of concurrency group payments"


@virtual_time
async def test_a_run_that_waited_for_the_previous_one_names_it() -> None:
    harness = WorkerHarness(Hang("body", 7.0), jobs=[entry(overlap="buffer_one")])
    harness.worker.submit_batch([first := harness.ticket(1), late := harness.ticket(3)])
    await harness.worker.wait_until_idle()

    run = await stored_run(harness, late)
    assert reasons(run) == [("gate", 5.0)]
    assert run.waits[0].detail == f"run {first.id}"


@virtual_time
async def test_a_run_that_waited_for_a_dependency_names_the_job() -> None:
    jobs = [entry("database"), entry("shop", depends_on=[{"job": "database", "wait": "60s"}])]
    harness = WorkerHarness(jobs=jobs)
    harness.worker.submit_batch([late := harness.ticket(1, "shop"), harness.ticket(5, "database")])
    await harness.worker.wait_until_idle()

    run = await stored_run(harness, late)
    assert [(wait.reason, wait.detail) for wait in run.waits] == [(WaitReason.GATE, "dependency database")]
    assert run.waits[0].milliseconds == pytest.approx(run.lateness_ms, abs=MIN_WAIT_MS)


@virtual_time
@pytest.mark.parametrize("effect", ["repeatable", "once"])
async def test_a_slow_store_shows_as_the_wait_for_the_claim(effect: str) -> None:
    harness = WorkerHarness(jobs=[entry(effect=effect)])
    slow_claims(harness, 3.0)
    harness.worker.submit_batch([late := harness.ticket(1)])
    await harness.worker.wait_until_idle()

    run = await stored_run(harness, late)
    # A run that is claimed early waits only for the part after its instant.
    assert reasons(run) == [("claim", 2.0 if effect == "repeatable" else 3.0)]


@virtual_time
async def test_a_tick_that_wakes_late_shows_as_starved_cpu() -> None:
    harness = WorkerHarness(jobs=[entry(schedule="every 10s")])
    asyncio.get_running_loop().call_at(5.0, stand_still, 8.0)

    await tick_until(harness, 14)

    (run,) = (event.run for event in harness.heard.finished if event.run.lateness_ms)
    assert run.lateness_ms == pytest.approx(3000, abs=5)
    assert reasons(run) == [("starved_cpu", 3.0)]


@virtual_time
async def test_a_process_that_stands_still_after_the_claim_shows_as_starved_cpu() -> None:
    harness = WorkerHarness()
    harness.worker.submit_batch([late := harness.ticket(1)])
    asyncio.get_running_loop().call_at(0.5, stand_still, 4.5)
    await harness.worker.wait_until_idle()

    run = await stored_run(harness, late)
    assert reasons(run) == [("starved_cpu", 4.0)]


@virtual_time
async def test_an_instant_before_the_start_of_the_program_waited_for_the_start() -> None:
    harness = WorkerHarness(jobs=[entry(schedule="every 10s")])
    await asyncio.sleep(14)

    await tick_until(harness, 2, after=START + 8 * SECOND)

    run = harness.heard.finished[0].run
    assert (run.due_at, reasons(run)) == (START + 10 * SECOND, [("start_up", 4.0)])


@virtual_time
async def test_missed_instants_that_run_later_were_caught_up_in_order() -> None:
    harness = WorkerHarness(Hang("body", 2.0), jobs=[entry(schedule="every 10s", catch_up={"policy": "all"})])
    await asyncio.sleep(45)

    await tick_until(harness, 4, after=START + 15 * SECOND)

    runs = {event.run.due_at: event.run for event in harness.heard.finished}
    first, second = runs[START + 20 * SECOND], runs[START + 30 * SECOND]
    assert reasons(first) == [("catch_up", 25.0)]
    # Each run is recorded 50 ms after its end.
    assert reasons(second) == [("catch_up", 15.0), ("gate", 2.05)]
    assert second.waits[1].detail == f"run {first.id} before it"
    assert reasons(runs[START + 40 * SECOND]) == [("start_up", 5.0), ("gate", 2.05), ("gate", 2.05)]


@virtual_time
async def test_a_run_of_a_process_that_died_waited_for_its_recovery() -> None:
    harness = WorkerHarness()
    ticket = harness.ticket()
    await harness.runs.claim(ticket, "dead", START + 60 * SECOND, START)
    await asyncio.sleep(6)
    recovery = RunRecovery(
        harness.catalog, harness.runs, harness.dead_letters, harness.worker, harness.clock, has_died=lambda owner: True
    )

    await recovery.sweep()
    await harness.worker.wait_until_idle()

    run = await stored_run(harness, ticket)
    assert reasons(run) == [("start_up", 6.0)]
    assert run.waits[0].detail == "recovered from a process that ended"


@virtual_time
@pytest.mark.parametrize(
    ("sent_at", "expected"),
    [(-30, [("queue", 9.0)]), (6, [("queue", 6.0), ("queue", 3.0)]), (None, [("queue", 9.0)])],
    ids=["sent in time", "sent late", "unknown"],
)
async def test_a_message_that_waited_on_the_queue_delays_its_tickets(
    sent_at: int | None, expected: list[tuple[str, float]]
) -> None:
    harness = WorkerHarness(ways=FUNCTIONS_OPTIONS, shared=True)
    ticket = harness.ticket()
    await asyncio.sleep(9)

    await harness.worker.execute_batch([ticket], None if sent_at is None else START + sent_at * SECOND)

    assert reasons(await stored_run(harness, ticket)) == expected


@virtual_time
async def test_a_run_that_waited_for_several_things_names_the_longest_first() -> None:
    group: dict[str, Any] = {"concurrency_group": {"name": "payments", "limit": 1, "wait": "60s"}}
    jobs = [entry("slow", **group), entry("late", effect="once", **group)]
    harness = WorkerHarness(Hang("body", 6.0), jobs=jobs, data=MemoryData())
    slow_claims(harness, 1.0)
    harness.worker.submit_batch([harness.ticket(1.5, "slow"), late := harness.ticket(2, "late")])
    await harness.worker.wait_until_idle()

    run = await stored_run(harness, late)
    assert reasons(run) == [("place", 5.5), ("claim", 1.0)]
    assert sum(wait.milliseconds for wait in run.waits) == pytest.approx(run.lateness_ms, abs=MIN_WAIT_MS)


@virtual_time
async def test_a_backfill_is_not_late() -> None:
    harness = WorkerHarness(answer(), jobs=[entry()])
    await asyncio.sleep(3600)
    ticket = replace(harness.ticket(-3600), trigger=Trigger.BACKFILL)

    harness.worker.submit(ticket)
    await harness.worker.wait_until_idle()

    assert (await stored_run(harness, ticket)).waits == ()


MARKS = st.lists(st.tuples(st.floats(0, 20), st.sampled_from(WaitReason), st.sampled_from(["", "a", "b"])), max_size=12)
ARRIVALS = st.builds(
    Arrival,
    at=st.floats(-20, 20).map(lambda late: START + late * SECOND),
    monotonic=st.just(0.0),
    ready_at=st.sampled_from([START - SECOND, START + SECOND]),
    is_queued=st.booleans(),
    sent_at=st.none() | st.floats(-20, 30).map(lambda late: START + late * SECOND),
    is_recovered=st.booleans(),
)


@given(MARKS, ARRIVALS, st.floats(-30, 60), st.sampled_from(Trigger))
def test_the_waits_never_exceed_the_lateness(
    marks: list[tuple[float, WaitReason, str]], arrival: Arrival, set_by: float, trigger: Trigger
) -> None:
    """`set_by`: the wall clock is set by so many seconds meanwhile."""
    clock = VirtualClock()
    begin = clock.monotonic()
    timeline = WaitTimeline(clock, replace(arrival, monotonic=begin))
    for seconds, reason, detail in marks:
        clock.move(seconds)
        timeline.end_wait(reason, detail)
    timeline.end_wait(WaitReason.STARVED_CPU)
    ticket = replace(Ticket.scheduled("checkout", START, ""), trigger=trigger)
    started_at = arrival.at + (clock.monotonic() - begin + set_by) * SECOND

    waits = timeline.explain(ticket, replace(finished(ticket), started_at=started_at))

    lateness_ms = (started_at - START).total_seconds() * 1000
    assert len(waits) <= MAX_WAITS
    assert all(wait.milliseconds >= MIN_WAIT_MS for wait in waits)
    assert sum(wait.milliseconds for wait in waits) <= max(lateness_ms, 0) + 0.1
    if not set_by and trigger is not Trigger.BACKFILL and waits and len(waits) < MAX_WAITS:
        # Only waits that are too short to store are missing.
        assert sum(wait.milliseconds for wait in waits) >= lateness_ms - MIN_WAIT_MS * (len(marks) + 3)
