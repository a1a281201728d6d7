"""Transactions of a partition that wait for one another, on virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from itertools import count

import pytest

from scheduler.stores.azure.transactions import TRANSACTIONS_PER_PARTITION, AtomicGroup, TransactionQueues
from scheduler.stores.port import MAX_ATOMIC_GROUP, Upsert
from tests.jobs.running.virtual_time import virtual_time

MARKS = (f"m{number}" for number in count())


class SlowService:
    """Takes a second for a transaction. Notes the keys of each."""

    def __init__(self) -> None:
        self.transactions: list[list[str]] = []
        self.in_flight = self.most = 0
        self.fails: Exception | None = None

    async def make(self, steps: Sequence[AtomicGroup]) -> None:
        self.transactions.append([key for step in steps for key in sorted(step.keys)])
        self.in_flight += 1
        self.most = max(self.most, self.in_flight)
        await asyncio.sleep(1)
        self.in_flight -= 1
        if self.fails is not None:
            raise self.fails


def step(key: str, partition: str = "p") -> AtomicGroup:
    return AtomicGroup.build([Upsert("t", partition, key, "{}")], MARKS)


@virtual_time
async def test_what_comes_while_a_partition_is_busy_shares_the_next_transaction() -> None:
    service = SlowService()
    lanes = TransactionQueues(service.make)

    await asyncio.gather(*(lanes.submit([step(f"{number:03}")]) for number in range(150)))

    assert [len(keys) for keys in service.transactions] == [MAX_ATOMIC_GROUP, 50]
    assert service.most == TRANSACTIONS_PER_PARTITION


@virtual_time
async def test_changes_of_one_row_do_not_share_a_transaction() -> None:
    service = SlowService()
    lanes = TransactionQueues(service.make)

    await asyncio.gather(*(lanes.submit([step("same")]) for _ in range(3)))

    assert service.transactions == [["same"]] * 3


@virtual_time
async def test_partitions_do_not_wait_for_each_other() -> None:
    service = SlowService()
    lanes = TransactionQueues(service.make)
    started = asyncio.get_running_loop().time()

    await asyncio.gather(*(lanes.submit([step("1", partition)]) for partition in "abcdefgh"))

    assert asyncio.get_running_loop().time() - started == 1


@virtual_time
async def test_a_caller_that_is_cancelled_does_not_stop_its_changes_and_closing_waits_for_them() -> None:
    service = SlowService()
    lanes = TransactionQueues(service.make)
    caller = asyncio.ensure_future(lanes.submit([step("1")]))
    await asyncio.sleep(0.5)
    caller.cancel()
    await asyncio.wait([caller])

    await lanes.aclose()

    assert (service.transactions, service.in_flight) == ([["1"]], 0)


@virtual_time
async def test_a_mistake_reaches_all_who_wait_and_the_next_ones_are_made() -> None:
    service = SlowService()
    lanes = TransactionQueues(service.make)
    service.fails = ValueError("a mistake")
    for answer in await asyncio.gather(*(lanes.submit([step(key)]) for key in "ab"), return_exceptions=True):
        assert isinstance(answer, ValueError)
    service.fails = None

    await lanes.submit([step("c")])

    assert service.transactions[-1] == ["c"]


@virtual_time
@pytest.mark.parametrize("number", [1, 7])
async def test_a_partition_that_is_idle_is_forgotten(number: int) -> None:
    lanes = TransactionQueues(SlowService().make)

    await asyncio.gather(*(lanes.submit([step(str(key))]) for key in range(number)))
    await lanes.aclose()

    assert not lanes._waiting
    assert not lanes._in_flight
