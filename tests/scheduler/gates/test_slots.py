"""Concurrency groups and the limit over all jobs: runs that need a slot, wait for one, and lose patience."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from jobs.runs import Outcome, Run, Trigger
from scheduler.catalog.catalog import CatalogJob
from scheduler.gates import Skip, Wait
from tests.jobs.running.virtual_time import virtual_time
from tests.scheduler.fakes import entry
from tests.scheduler.gates.gate_process import GateProcess, due, outcomes, times
from tests.scheduler.stores.memory import MemoryData, MemoryStore

SUCCEEDED, SKIPPED = Outcome.SUCCEEDED, Outcome.SKIPPED
WHEREVER = pytest.mark.parametrize("processes", [1, 2], ids=["one process", "two processes"])


def performers(processes: int, *, max_running: int | None = None) -> list[GateProcess]:
    """Two, which may be the same one."""
    data = MemoryData()
    made = [
        GateProcess(MemoryStore(data), f"p{number}", shared=processes > 1, max_running=max_running)
        for number in range(processes)
    ]
    return made * (2 // processes)


def members(*names: str, group: object = "checkout") -> list[CatalogJob]:
    return [entry(name, concurrency_group=group) for name in names]


def most_at_once(runs: list[Run]) -> int:
    spans = [times(run) for run in runs if run.outcome is not SKIPPED]
    return max(sum(started <= at < over for started, over in spans) for at, _ in spans)


@virtual_time
@WHEREVER
async def test_runs_of_a_group_take_their_turns_by_due_instant(processes: int) -> None:
    one, other = performers(processes)
    pay, refund, book = members("pay", "refund", "book")

    runs = await asyncio.gather(
        one.perform(due(pay, 10), pay, 5),
        other.perform(due(refund, 12), refund, 5),
        one.perform(due(book, 11), book, 5),
    )

    assert outcomes(*runs) == [SUCCEEDED] * 3
    assert most_at_once(list(runs)) == 1
    if processes == 1:
        assert [times(run)[0] for run in runs] == [10, 20, 15]


@virtual_time
@WHEREVER
async def test_as_many_runs_of_a_group_continue_as_its_limit_allows(processes: int) -> None:
    one, other = performers(processes)
    jobs = members(*"abcde", group={"name": "checkout", "limit": 2})

    runs = await asyncio.gather(
        *((one, other)[number % 2].perform(due(job, 10), job, 5) for number, job in enumerate(jobs))
    )

    assert outcomes(*runs) == [SUCCEEDED] * 5
    assert most_at_once(list(runs)) == 2
    assert max(times(run)[1] for run in runs) <= 28


@virtual_time
async def test_groups_do_not_mind_one_another() -> None:
    performer = GateProcess(MemoryStore())
    (pay,), (mail,) = members("pay"), members("mail", group="post")

    runs = await asyncio.gather(performer.perform(due(pay, 1), pay, 5), performer.perform(due(mail, 1), mail, 5))

    assert [times(run)[0] for run in runs] == [1, 1]


@virtual_time
@WHEREVER
async def test_a_run_that_gets_no_slot_in_time_is_skipped_with_the_reason(processes: int) -> None:
    one, other = performers(processes)
    (pay,), (refund,) = members("pay"), members("refund", group={"name": "checkout", "wait": "5s"})

    in_flight, skipped = await asyncio.gather(
        one.perform(due(pay, 10), pay, 60), other.perform(due(refund, 20), refund, 1)
    )

    assert skipped.outcome is SKIPPED
    assert skipped.message == (
        f"no slot of concurrency group checkout (limit: 1) was free within 5s: run {in_flight.id} holds it"
    )
    assert times(skipped)[1] == 25


@virtual_time
async def test_a_run_that_would_not_wait_at_all_is_skipped_at_once() -> None:
    performer = GateProcess(MemoryStore())
    pay, refund = members("pay", "refund", group={"name": "checkout", "wait": "0s"})

    runs = await asyncio.gather(performer.perform(due(pay, 1), pay, 9), performer.perform(due(refund, 2), refund, 1))

    assert outcomes(*runs) == [SUCCEEDED, SKIPPED]
    assert times(runs[1])[1] == 2


@virtual_time
async def test_a_replay_waits_for_its_slot_as_long_as_it_takes() -> None:
    performer = GateProcess(MemoryStore())
    pay, refund = members("pay", "refund", group={"name": "checkout", "wait": "1s"})
    replay = replace(due(refund, 2), trigger=Trigger.REPLAY)

    runs = await asyncio.gather(performer.perform(due(pay, 1), pay, 300), performer.perform(replay, refund, 1))

    assert outcomes(*runs) == [SUCCEEDED, SUCCEEDED]


@virtual_time
async def test_patience_counts_from_the_due_instant_also_of_a_run_that_was_put_back_meanwhile() -> None:
    performer = GateProcess(MemoryStore())
    pay, refund = members("pay", "refund", group={"name": "checkout", "wait": "50s"})
    in_flight, ticket = due(pay, 0), due(refund, 1)
    assert await performer.gates.check(in_flight, pay) is None
    await asyncio.sleep(2)
    assert isinstance(await performer.gates.check(ticket, refund), Wait)
    await performer.gates.release(ticket, refund)
    await asyncio.sleep(53)

    assert isinstance(await performer.gates.check(ticket, refund), Skip)


@virtual_time
async def test_a_run_that_is_caught_up_waits_from_when_it_comes() -> None:
    performer = GateProcess(MemoryStore())
    pay, refund = members("pay", "refund")

    runs = await asyncio.gather(
        performer.perform(due(pay, 1), pay, 20), performer.perform(due(refund, -3600), refund, 1)
    )

    assert outcomes(*runs) == [SUCCEEDED, SUCCEEDED]


@virtual_time
@WHEREVER
async def test_no_more_runs_continue_in_all_processes_than_max_running_allows(processes: int) -> None:
    one, other = performers(processes, max_running=3)
    jobs = [entry(f"j{number}") for number in range(8)]

    runs = await asyncio.gather(
        *((one, other)[number % 2].perform(due(job, 10), job, 4) for number, job in enumerate(jobs))
    )

    assert outcomes(*runs) == [SUCCEEDED] * 8
    assert most_at_once(list(runs)) == 3


@virtual_time
async def test_a_run_that_waits_for_max_running_allows_so() -> None:
    performer = GateProcess(MemoryStore(), max_running=1)
    first, second = entry("a"), entry("b")
    in_flight = due(first, 0)
    await performer.gates.check(in_flight, first)

    verdict = await performer.gates.check(due(second, 0), second)

    assert isinstance(verdict, Wait)
    assert verdict.reason.message == f"no slot of all jobs (max_running: 1) is free: run {in_flight.id} holds it"


@virtual_time
@WHEREVER
async def test_a_long_run_retains_its_slot_to_its_end(processes: int) -> None:
    one, other = performers(processes)
    pay, refund = members("pay", "refund", group={"name": "checkout", "wait": "1h"})

    runs = await asyncio.gather(one.perform(due(pay, 1), pay, 400), other.perform(due(refund, 2), refund, 1))

    assert most_at_once(list(runs)) == 1
    assert 401 <= times(runs[1])[0] <= 403


@virtual_time
async def test_the_slot_of_a_process_that_died_is_free_a_minute_later() -> None:
    data = MemoryData()
    store = MemoryStore(data)
    dead, other = GateProcess(store, "dead", shared=True), GateProcess(MemoryStore(data), "other", shared=True)
    pay, refund = members("pay", "refund", group={"name": "checkout", "wait": "1h"})
    assert await dead.gates.check(due(pay, 0), pay) is None
    store.breaks_after = 0

    run = await other.perform(due(refund, 2), refund, 1)

    assert 60 <= times(run)[0] <= 62


@virtual_time
async def test_a_run_that_a_later_gate_skips_gives_its_slot_back() -> None:
    performer = GateProcess(MemoryStore(), max_running=1)
    (pay,), (refund,) = members("pay", group="a"), members("refund", group={"name": "b", "wait": "0s"})
    (third,) = members("third", group="b")
    pays = due(pay, 0)
    await performer.gates.check(pays, pay)
    skipped = await performer.gates.check(due(refund, 0), refund)
    await performer.gates.release(pays, pay)

    assert isinstance(skipped, Skip)
    assert await performer.gates.check(due(third, 0), third) is None


@virtual_time
async def test_a_run_that_waits_for_a_slot_counts_as_in_flight_for_the_next_one_of_its_job() -> None:
    performer = GateProcess(MemoryStore())
    pay, refund = members("pay", "refund")

    runs = await asyncio.gather(
        performer.perform(due(pay, 1), pay, 20),
        performer.perform(due(refund, 2), refund, 1),
        performer.perform(due(refund, 3), refund, 1),
    )

    assert outcomes(*runs) == [SUCCEEDED, SUCCEEDED, SKIPPED]


@virtual_time
async def test_a_plain_job_reads_nothing_from_the_store() -> None:
    performer, job = GateProcess(MemoryStore()), entry()
    await performer.gates.check(due(job, 0), job)
    await performer.gates.release(due(job, 0), job)
    store = performer.store
    assert isinstance(store, MemoryStore)
    before = store.reads

    assert await performer.gates.check(due(job, 1), job) is None
    await performer.gates.release(due(job, 1), job)

    assert (store.reads - before, store.changes) == (0, [])
