"""Runs of a job that fall due while another one goes on: in one process, and over several."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from itertools import count, islice, pairwise

import pytest

from jobs.runs import Outcome, Ticket, Trigger
from scheduler.catalog.catalog import CatalogJob
from scheduler.gates import Wait
from scheduler.gates.remote_runs import KEYS_VALID_S
from scheduler.stores.port import Row
from scheduler.stores.runs.keys import HISTORY_TABLE, shard_of_job
from tests.jobs.running.virtual_time import virtual_time
from tests.scheduler.fakes import entry
from tests.scheduler.gates.gate_process import GateProcess, due, outcomes, times
from tests.scheduler.stores.memory import MemoryData, MemoryStore

SUCCEEDED, SKIPPED, CANCELLED = Outcome.SUCCEEDED, Outcome.SKIPPED, Outcome.CANCELLED
ALL = ("skip", "buffer_one", "buffer_all", "cancel_previous")
WHEREVER = pytest.mark.parametrize("processes", [1, 2], ids=["one process", "two processes"])
"""Runs of a job in one process that is alone, or each in another one of two."""


def performers(processes: int) -> list[GateProcess]:
    """Two, which may be the same one."""
    data = MemoryData()
    made = [GateProcess(MemoryStore(data), f"p{number}", shared=processes > 1) for number in range(processes)]
    return made * (2 // processes)


def as_replay(ticket: Ticket) -> Ticket:
    return replace(ticket, trigger=Trigger.REPLAY)


@virtual_time
@WHEREVER
async def test_skip_skips_what_falls_due_meanwhile(processes: int) -> None:
    one, other = performers(processes)
    job = entry(overlap="skip")
    tickets = [due(job, seconds) for seconds in (10, 20, 30)]

    first, second, third = await asyncio.gather(
        one.perform(tickets[0], job, 15), other.perform(tickets[1], job, 1), one.perform(tickets[2], job, 1)
    )

    assert outcomes(first, second, third) == [SUCCEEDED, SKIPPED, SUCCEEDED]
    assert second.message == f"the previous run ({first.id}) was still running (overlap: skip)"
    assert times(third) == (30, 31)


@virtual_time
@WHEREVER
async def test_allow_runs_next_to_the_last_one(processes: int) -> None:
    one, other = performers(processes)
    job = entry(overlap="allow")

    runs = await asyncio.gather(one.perform(due(job, 10), job, 15), other.perform(due(job, 20), job, 1))

    assert outcomes(*runs) == [SUCCEEDED, SUCCEEDED]
    assert times(runs[1]) == (20, 21)


@virtual_time
@WHEREVER
async def test_buffer_one_lets_one_wait_and_skips_the_others_with_both_names(processes: int) -> None:
    one, other = performers(processes)
    job = entry(overlap="buffer_one")
    tickets = [due(job, seconds) for seconds in (10, 20, 30, 50)]

    runs = await asyncio.gather(
        one.perform(tickets[0], job, 25.5),
        other.perform(tickets[1], job, 1),
        one.perform(tickets[2], job, 1),
        other.perform(tickets[3], job, 1),
    )

    assert outcomes(*runs) == [SUCCEEDED, SUCCEEDED, SKIPPED, SUCCEEDED]
    assert runs[2].message == (
        f"the previous run ({tickets[0].id}) was still running, and another run ({tickets[1].id}) waits for it "
        "(overlap: buffer_one)"
    )
    assert 35.5 <= times(runs[1])[0] <= 37
    assert times(runs[3]) == (50, 51)


@virtual_time
@WHEREVER
async def test_buffer_all_runs_everything_in_order_one_at_a_time(processes: int) -> None:
    one, other = performers(processes)
    job = entry(overlap="buffer_all")
    tickets = [due(job, seconds) for seconds in (10, 12, 14, 16)]

    runs = await asyncio.gather(
        *((one, other)[number % 2].perform(ticket, job, 5) for number, ticket in enumerate(tickets))
    )

    assert outcomes(*runs) == [SUCCEEDED] * 4
    starts = [times(run)[0] for run in runs]
    assert starts == sorted(starts)
    assert all(later - earlier >= 5 for earlier, later in pairwise(starts))
    if processes == 1:
        assert starts == [10, 15, 20, 25]


@virtual_time
@WHEREVER
async def test_cancel_previous_ends_the_run_before_and_reports_for_which(processes: int) -> None:
    one, other = performers(processes)
    job = entry(overlap="cancel_previous")
    first, second = due(job, 10), due(job, 20)

    runs = await asyncio.gather(one.perform(first, job, 60), other.perform(second, job, 1))

    assert outcomes(*runs) == [CANCELLED, SUCCEEDED]
    assert runs[0].message == (f"Cancelled by run {second.id} (overlap: cancel_previous) before it finished.")
    assert times(runs[0])[1] <= times(runs[1])[0] <= 27


@virtual_time
@WHEREVER
async def test_cancel_previous_ends_a_run_that_only_waited_when_a_newer_one_came(processes: int) -> None:
    one, other = performers(processes)
    job = entry(overlap="cancel_previous")
    tickets = [due(job, seconds) for seconds in (10, 11, 12)]

    runs = await asyncio.gather(
        one.perform(tickets[0], job, 60, lingers=3), other.perform(tickets[1], job, 1), one.perform(tickets[2], job, 1)
    )

    assert outcomes(*runs) == [CANCELLED, CANCELLED, SUCCEEDED]
    assert f"by run {tickets[2].id} (overlap: cancel_previous)" in runs[1].message


@virtual_time
@WHEREVER
@pytest.mark.parametrize("overlap", ALL)
async def test_a_replay_waits_for_whatever_continues(overlap: str, processes: int) -> None:
    one, other = performers(processes)
    job = entry(overlap=overlap)

    first, replay = await asyncio.gather(
        one.perform(due(job, 10), job, 9), other.perform(as_replay(due(job, 12)), job, 1)
    )

    assert outcomes(first, replay) == [SUCCEEDED, SUCCEEDED]
    assert 19 <= times(replay)[0] <= 23


@virtual_time
@WHEREVER
@pytest.mark.parametrize("overlap", ["skip", "buffer_one", "buffer_all"])
async def test_a_replay_of_a_past_instant_waits_for_a_run_that_was_due_later(overlap: str, processes: int) -> None:
    one, other = performers(processes)
    job = entry(overlap=overlap)
    in_flight = one.start(due(job, 10), job, 9)
    past = as_replay(due(job, -3600))
    await asyncio.sleep(12)

    replay = await other.perform(past, job, 1)

    assert outcomes(await in_flight, replay) == [SUCCEEDED, SUCCEEDED]
    assert 19 <= times(replay)[0] <= 26


@virtual_time
@pytest.mark.parametrize("overlap", [*ALL, "allow"])
async def test_replays_of_a_job_take_their_turns(overlap: str) -> None:
    performer, job = GateProcess(MemoryStore()), entry(overlap=overlap)

    runs = await asyncio.gather(*(performer.perform(as_replay(due(job, 10 + n)), job, 5) for n in range(3)))

    assert [times(run)[0] for run in runs] == [10, 15, 20]


@virtual_time
@WHEREVER
@pytest.mark.parametrize("overlap", ALL)
async def test_what_is_claimed_ahead_of_a_later_instant_is_no_overlap(overlap: str, processes: int) -> None:
    one, other = performers(processes)
    job = entry(overlap=overlap)

    runs = await asyncio.gather(one.perform(due(job, 10), job, 0.4), other.perform(due(job, 10.5), job, 0.4))

    assert outcomes(*runs) == [SUCCEEDED, SUCCEEDED]
    assert times(runs[0])[0] == 10


@virtual_time
@pytest.mark.parametrize("overlap", ALL)
async def test_the_run_of_a_dead_process_blocks_no_other_once_its_lease_has_ended(overlap: str) -> None:
    dead, alive = performers(2)
    job = entry(overlap=overlap)
    now = dead.clock.now()
    await dead.runs.claim(due(job, 0), dead.name, now + timedelta(seconds=30), now)

    run = await alive.perform(due(job, 31), job, 1)

    assert run.outcome is SUCCEEDED
    assert times(run)[0] == 31


@virtual_time
async def test_a_run_that_is_only_queued_blocks_no_other_where_runs_are_skipped() -> None:
    _, other = performers(2)
    job = entry(overlap="skip")
    await other.runs.enqueue(due(job, 0))

    assert (await other.perform(due(job, 10), job, 1)).outcome is SUCCEEDED


@virtual_time
async def test_a_queued_run_takes_its_turn_before_later_ones_where_they_wait() -> None:
    one, other = performers(2)
    job = entry(overlap="buffer_all")
    queued = due(job, 0)
    await one.runs.enqueue(queued)
    later = other.start(due(job, 10), job, 1)
    await asyncio.sleep(15)

    first = await one.perform(queued, job, 3)

    assert times(first) == (15, 18)
    assert times(await later)[0] >= 18


@virtual_time
async def test_a_run_whose_end_is_recorded_a_moment_later_does_not_keep_the_next_one_out() -> None:
    one, other = performers(2)
    job = entry(overlap="skip")
    now = one.clock.now()
    first = due(job, 0)
    claim = await one.runs.claim(first, one.name, now + timedelta(minutes=1), now)
    second = other.start(due(job, 1), job, 0.1)
    await asyncio.sleep(1.2)
    ended = await GateProcess(MemoryStore()).perform(first, job, 0.1)
    await one.runs.finish(claim, ended)  # type: ignore[arg-type]  # nobody else had it

    assert (await second).outcome is SUCCEEDED


@virtual_time
async def test_a_run_that_ended_here_and_is_not_recorded_yet_does_not_keep_the_next_one_out() -> None:
    one, _ = performers(2)
    job = entry(overlap="skip")
    now, ticket = one.clock.now(), due(job, 0)
    await one.runs.claim(ticket, one.name, now + timedelta(minutes=1), now)
    assert await one.gates.check(ticket, job) is None
    await asyncio.sleep(1)
    await one.gates.release(ticket, job)

    run = await one.perform(due(job, 2), job, 1)

    assert (run.outcome, times(run)[0]) == (SUCCEEDED, 3)


@virtual_time
async def test_many_jobs_that_are_due_together_check_the_open_runs_once() -> None:
    one, _ = performers(2)
    jobs = [entry(f"j{number}") for number in range(50)]
    tickets = [due(job, 0) for job in jobs]
    store = one.store
    assert isinstance(store, MemoryStore)
    await one.runs.list_open()
    once, before = store.reads, 0
    before = store.reads

    verdicts = await asyncio.gather(*(one.gates.check(*of) for of in zip(tickets, jobs, strict=True)))

    assert verdicts == [None] * 50
    assert store.reads - before <= once + 2


class Listed(MemoryStore):
    """Notes each list of runs: partition, and whether bodies were read."""

    def __init__(self) -> None:
        super().__init__()
        self.lists: list[tuple[str, bool]] = []

    async def list_rows(
        self, table: str, partition: str, *, after: str = "", until: str = "", limit: int, bodies: bool = True
    ) -> Sequence[Row]:
        self.lists += [(partition, bodies)] if table == HISTORY_TABLE else []
        return await super().list_rows(table, partition, after=after, until=until, limit=limit, bodies=bodies)


def of_shard(name: str, number: int) -> list[CatalogJob]:
    """Jobs whose runs are in one shard."""
    names = (f"j{place}" for place in count())
    return [entry(job) for job in islice((job for job in names if shard_of_job(job) == name), number)]


@virtual_time
async def test_jobs_of_one_shard_check_the_keys_of_that_shard_alone_and_once() -> None:
    store = Listed()
    one = GateProcess(store, shared=True)
    jobs = of_shard("2", 20)

    await asyncio.gather(*(one.gates.check(due(job, 0), job) for job in jobs))
    await asyncio.sleep(KEYS_VALID_S - 0.1)
    await asyncio.gather(*(one.gates.check(due(job, 0), job) for job in of_shard("2", 30)[20:]))

    assert store.lists == [("2", False)]


@virtual_time
async def test_bodies_are_read_of_the_one_job_that_has_another_open_run() -> None:
    store = Listed()
    one, other = GateProcess(store, "me", shared=True), GateProcess(store, "other", shared=True)
    jobs = of_shard("1", 5)
    now = one.clock.now()
    await other.runs.claim(due(jobs[3], 0), "other", now + timedelta(minutes=1), now)
    await asyncio.sleep(10)

    verdicts = await asyncio.gather(*(one.gates.check(due(job, 0), job) for job in jobs))

    assert [verdict is None for verdict in verdicts] == [True, True, True, False, True]
    assert store.lists == [("1", False), ("1", True)]


@virtual_time
async def test_a_read_that_failed_is_made_again_by_the_next_who_requests() -> None:
    store = MemoryStore()
    one = GateProcess(store, shared=True)
    first, second = of_shard("0", 2)
    store.breaks_after = 0
    assert isinstance(await one.gates.check(due(first, 0), first), Wait)
    store.breaks_after = None

    assert await one.gates.check(due(second, 0), second) is None


@virtual_time
async def test_many_jobs_with_other_open_runs_share_the_requests_for_bodies() -> None:
    store = Listed()
    one, other = GateProcess(store, "me", shared=True), GateProcess(store, "other", shared=True)
    jobs = of_shard("1", 30)
    now = one.clock.now()
    expected = [(due(job, 0), now + timedelta(minutes=1)) for job in jobs]
    await other.runs.claim_all(expected, "other", now)
    await asyncio.sleep(10)

    verdicts = await asyncio.gather(*(one.gates.check(due(job, 0), job) for job in jobs))

    assert all(verdict is not None for verdict in verdicts)
    assert len(store.lists) <= 3
